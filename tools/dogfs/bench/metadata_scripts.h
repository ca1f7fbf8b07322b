#pragma once
// The operations that `dogfs bench meta` measures, as scripts for DogfsDialect:
//
//   renew   RenewLease of an own upload: goes through the log, is applied once, changes nothing
//   create  an empty file, kept inline
//   stat    of one of kListedFiles files
//   list    a page of kListPage of their directory, with attributes
//   rename  of an own file, forth and back
//
// Everything lies below kBenchDirectory; prepare what is listed with the listed script.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "tools/dogfs/bench/dogfs_dialect.h"

namespace dogfs::tool {

enum class MetadataWork { kRenew, kCreate, kStat, kList, kRename, kMakeListed };
std::string_view work_name(MetadataWork work);

inline constexpr std::string_view kBenchDirectory = "/bench";
inline constexpr std::string_view kListedDirectory = "/bench/listed";
inline constexpr uint32_t kListedFiles = 1000;
inline constexpr uint32_t kListPage = 100;

// `tag` is part of all names made, unique for each script of a run.
std::unique_ptr<MetadataScript> make_script(MetadataWork work, std::string tag);

}  // namespace dogfs::tool
