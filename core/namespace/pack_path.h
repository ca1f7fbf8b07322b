#pragma once
// Where packs are (packs.h), for the state machine and for clients, who choose one by themselves.
// Pure.

#include <string>
#include <string_view>

#include "core/placement/policy.h"

namespace dogfs::metadata {

inline constexpr std::string_view kPacksDirectory = "/.packs";

// Of files of that policy; `number` below limits::kPacksPerPolicy.
std::string pack_path(const placement::Policy& policy, uint32_t number);

}  // namespace dogfs::metadata
