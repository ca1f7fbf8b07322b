#pragma once
// A directory that is there and stays there. Used by whatever keeps files of its own in one; safe
// to call again at every start.

#include <string>

#include "core/base/error.h"
#include "core/env/task.h"

namespace dogfs {
class Env;
}

namespace dogfs::wal {

// Makes the directory if it is missing, and its name durable. Its parent must exist.
Task<Result<void>> make_durable_directory(Env& env, std::string path);

}  // namespace dogfs::wal
