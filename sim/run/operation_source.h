#pragma once
// OperationSource: what one client asks next. Draws operations from a workload's mix over a small
// shared set of paths, so that clients meet: four directories that stay, subdirectories that come,
// go and move, files in both; or, in a workload with a depth, trees of few names in which any name
// may be that of a file or of a directory. Pure; the bytes of a put follow from the seed and the
// put's number.

#include <cstdint>
#include <string>

#include "core/base/buffer.h"
#include "core/base/random.h"
#include "sim/check/history.h"
#include "sim/run/scenario.h"

namespace dogfs::sim {

inline constexpr uint32_t kTopDirectories = 4;
inline constexpr uint32_t kQuotaDirectory = 1;  // of these, the one that gets quotas
std::string top_directory(uint64_t number);     // "/d2"

class OperationSource {
 public:
  OperationSource(const Workload& load, uint32_t client, Random random);

  struct Drawn {
    Operation operation;
    Buffer bytes;               // of a put
    bool over_version = false;  // a put: only over the file that is there when it is looked at
  };
  Drawn next();
  Duration draw_pause();

 private:
  struct Kind {
    Act act;
    uint32_t weight;
    bool over_version = false;
  };
  Kind draw_kind();
  std::string draw_tangled();
  void draw_page(Operation& list);
  std::string draw_directory();
  std::string draw_file();
  uint64_t draw_size();
  Buffer draw_bytes(Operation& put);
  void draw_put(Drawn& drawn);
  void draw_quota(Operation& set);
  void draw_attributes(Operation& set);

  const Workload& load_;
  const uint32_t client_;
  Random random_;
};

}  // namespace dogfs::sim
