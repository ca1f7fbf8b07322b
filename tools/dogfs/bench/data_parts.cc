#include "tools/dogfs/bench/data_parts.h"

#include <array>

namespace dogfs::tool {
namespace {

constexpr std::array kParts{
    DataPart{"large", "one large file for each client, put and get", run_large_part},
    DataPart{"small", "files of 4 and 64 KiB, 16 clients", run_small_part},
    DataPart{"range", "reads of 64 KiB and 1 MiB anywhere in a large file", run_range_part},
    DataPart{"degraded", "get with no, one and two chunk servers dead, in turn", run_degraded_part},
    DataPart{"append", "records of 4 KiB by 1 and 8 writers", run_append_part},
};

}  // namespace

std::span<const DataPart> data_parts() { return kParts; }

}  // namespace dogfs::tool
