#pragma once
// Small files that must be there whole or not at all, whatever happens meanwhile: what a local
// cluster consists of, and which process is which of its servers.

#include <filesystem>
#include <string_view>

#include "core/base/error.h"

namespace dogfs::tool {

// Durably makes `text` all that `path` holds. After an error the file is as it was. `path` with
// ".new" at its end is used meanwhile. kNotFound, kDenied, kNoSpace, kIo.
Result<void> replace_file(const std::filesystem::path& path, std::string_view text);

}  // namespace dogfs::tool
