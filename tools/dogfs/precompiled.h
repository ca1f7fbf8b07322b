#pragma once
// Precompiled for the program, never included: the command line's headers beside what the seam has.
// Nothing of DogFS is in it, so it is rebuilt only with the toolchain.

#include <CLI/CLI.hpp>

#include "core/env/precompiled.h"
