#pragma once
// Canonical bytes of a Response: the value of a session's result row, from which a repeated request
// is answered. Addresses are left out; StateMachine takes them from the cluster map of the moment.

#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/namespace/commands.h"

namespace dogfs::metadata {

std::string encode_response(const Response& response);
// kUnsupported for a format this build does not know, kCorrupt for bytes that are no response.
Result<Response> decode_response(std::string_view bytes);

}  // namespace dogfs::metadata
