#pragma once
// Precompiled for every library that cannot see the seam, never included: the standard library's
// common headers and fmt. Nothing of DogFS is in it, so it is rebuilt only with the toolchain.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
