#include "core/raft/quorum.h"

#include <algorithm>
#include <vector>

namespace dogfs::raft {
namespace {

uint64_t majority_value(const std::vector<Member>& voters,
                        const std::function<uint64_t(const Member&)>& value_of) {
  std::vector<uint64_t> values;
  values.reserve(voters.size());
  for (const Member& voter : voters) values.push_back(value_of(voter));
  // In descending order, the value at n/2 is reached by n/2 + 1 voters.
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle, std::greater<>());
  return *middle;
}

}  // namespace

uint64_t quorum_value(const Configuration& configuration,
                      const std::function<uint64_t(const Member&)>& value_of) {
  if (configuration.voters.empty()) return 0;
  const uint64_t incoming = majority_value(configuration.voters, value_of);
  if (!configuration.joint()) return incoming;
  return std::min(incoming, majority_value(configuration.outgoing, value_of));
}

}  // namespace dogfs::raft
