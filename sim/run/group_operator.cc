#include "sim/run/group_operator.h"

#include <algorithm>

#include "core/env/env.h"
#include "nodes/client/group_admin.h"

namespace dogfs::sim {
namespace {

constexpr Duration kLookAgain = 500ms;

std::vector<std::string> of_part(const nodes::GroupView& view, std::string_view part) {
  std::vector<std::string> names;
  for (const nodes::GroupMember& member : view.members)
    if (member.part == part) names.push_back(member.name);
  return names;
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::count(names, name) > 0;
}

}  // namespace

Task<> GroupOperator::work(Duration pause, const bool* done) {
  const auto most = static_cast<uint64_t>(2 * pause.count());
  while (!*done) {
    co_await env_.sleep(Duration(static_cast<int64_t>(env_.random().below(most + 1))));
    if (*done) co_return;
    if (servers_.size() <= kVotersMin || env_.random().chance(1, 3))
      co_await move_leadership();
    else
      co_await change_members();
  }
}

void GroupOperator::count(const Error& error) {
  ++(error.is(Code::kUnknown) ? counts_.unknown : counts_.refused);
}

Task<> GroupOperator::move_leadership() {
  const Server& to = servers_[env_.random().below(servers_.size())];
  acts_();
  const auto moved = co_await admin_.transfer(to.name, false);
  acts_();
  if (!moved) co_return count(moved.error());
  ++counts_.transfers;
}

Task<> GroupOperator::change_members() {
  const auto view = co_await admin_.view();
  if (!view) co_return;
  // One in four asks in the middle of a change; what is refused then does no harm.
  if (!view->settled() && !env_.random().chance(1, 4)) co_return;
  if (auto change = draw_change(*view)) co_await make(std::move(*change));
}

std::optional<GroupOperator::Change> GroupOperator::draw_change(const nodes::GroupView& view) {
  const auto voters = of_part(view, "voter"), joining = of_part(view, "joining");
  std::vector<const Server*> outside;
  for (const Server& server : servers_)
    if (!has(voters, server.name) && !has(joining, server.name)) outside.push_back(&server);
  if (voters.empty()) return std::nullopt;
  const std::string& leaver = voters[env_.random().below(voters.size())];
  if (voters.size() > kVotersMin && (outside.empty() || env_.random().chance(1, 2)))
    return Change{.remove = leaver};
  if (outside.empty()) return std::nullopt;
  Change change{.add = outside[env_.random().below(outside.size())]};
  if (env_.random().chance(1, 2)) change.remove = leaver;
  return change;
}

Task<> GroupOperator::make(Change change) {
  nodes::GroupAdmin::Change asked{.add = {}, .remove = change.remove};
  if (change.add != nullptr) asked.add = change.add->address;
  acts_();
  const auto begun = co_await admin_.change(std::move(asked));
  acts_();
  if (!begun) {
    env_.log().debug("the members stay as they are: {}", begun.error());
    count(begun.error());
  } else if (change.add == nullptr) {
    ++counts_.removals;
  } else {
    ++(change.remove.empty() ? counts_.additions : counts_.replacements);
  }
}

Task<> GroupOperator::bring_back(std::vector<std::string> names) {
  for (;; co_await env_.sleep(kLookAgain)) {
    const auto view = co_await admin_.view();
    if (!view) continue;
    const auto voters = of_part(*view, "voter");
    const auto missing = std::ranges::find_if(
        servers_, [&](const Server& s) { return has(names, s.name) && !has(voters, s.name); });
    if (missing == servers_.end()) co_return;
    if (!has(of_part(*view, "joining"), missing->name)) co_await make({.add = &*missing});
  }
}

}  // namespace dogfs::sim
