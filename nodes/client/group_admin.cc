#include "nodes/client/group_admin.h"

#include <algorithm>

#include "core/namespace/cluster_version.h"
#include "core/proto/metadata.pb.h"

namespace dogfs::nodes {
namespace {

constexpr Duration kStatusLimit = 2s;
constexpr Duration kChangeLimit = 10s;

GroupMember member_of(const proto::MemberStatus& row) {
  return {.node = NodeId(row.node()),
          .store = StoreId(row.store()),
          .name = row.name(),
          .address = row.address(),
          .part = row.part(),
          .progress = row.progress(),
          .match = LogIndex(row.match()),
          .heard = row.heard(),
          .snapshot_sent = row.snapshot_sent(),
          .snapshot_bytes = row.snapshot_bytes(),
          .short_of_space = row.short_of_space()};
}

void put(const GroupMember& member, proto::GroupMember& row) {
  row.set_node(member.node.value);
  row.set_store(member.store.value);
  row.set_name(member.name);
  row.set_address(member.address);
}

template <class Reply>
Result<std::vector<std::string>> plan_in(const Result<MetadataAnswer>& answer) {
  if (!answer) return fail(answer.error());
  Reply reply;
  TRY_VOID(rpc::parse(answer->body, reply));
  return std::vector<std::string>(reply.plan().begin(), reply.plan().end());
}

}  // namespace

bool GroupView::settled() const {
  return !joint && std::ranges::none_of(members, [](const GroupMember& member) {
    return member.part == "joining" || member.part == "leaving";
  });
}

bool GroupChange::done_in(const GroupView& view) const {
  const auto row = [&](const GroupMember& member) {
    return std::ranges::find_if(view.members, [&](const GroupMember& m) {
      return m.node == member.node && m.store == member.store;
    });
  };
  const auto end = view.members.end();
  const bool entered = !add.node || (row(add) != end && row(add)->part == "voter");
  const bool left = !remove.node || row(remove) == end;
  return entered && left && !view.joint;
}

GroupAdmin::GroupAdmin(Env& env, std::vector<Address> metadata, ClusterId cluster)
    : rpc_(env, {.cluster = cluster, .node = {}, .store = {}, .credentials = {}}),
      calls_(env, rpc_, {.servers = std::move(metadata), .refused_limit = kChangeLimit}) {}

// What one server says, if it leads; else `leader` is where it thinks the leader is.
Task<Result<GroupView>> GroupAdmin::ask(Address address, Address& leader) {
  CO_TRY(answer,
         co_await rpc_.call<proto::MetadataStatusReply>(
             address, rpc::Method::kMetadataStatus, proto::MetadataStatusRequest(), kStatusLimit));
  const proto::MetadataStatusReply& reply = answer.message;
  leader = Address::parse(reply.leader().address()).value_or(Address());
  if (reply.role() != "leader")
    co_return fail(Code::kNotLeader, "{} is {} in term {}", address.to_string(), reply.role(),
                   reply.term());
  GroupView view{.leader = NodeId(reply.node()),
                 .term = Term(reply.term()),
                 .commit = LogIndex(reply.commit()),
                 .last = LogIndex(reply.last()),
                 .snapshot = LogIndex(reply.snapshot()),
                 .joint = reply.joint()};
  for (const auto& row : reply.members()) view.members.push_back(member_of(row));
  for (const auto& server : reply.disks()) view.disks.push_back(proto::decode(server));
  co_return view;
}

Task<Result<GroupView>> GroupAdmin::view() {
  Result<GroupView> view = fail(Code::kUnavailable, "no metadata server was asked");
  for (const Address& server : calls_.servers()) {
    Address leader;
    view = co_await ask(server, leader);
    if (view) co_return view;
    if (leader.host.empty() || leader == server) continue;
    Address ignored;
    if (auto from_leader = co_await ask(leader, ignored)) co_return from_leader;
  }
  co_return fail(Code::kUnavailable, "no metadata leader is found: {}", view.error().message);
}

Task<Result<GroupMember>> GroupAdmin::server_at(Address address) {
  auto answer = co_await rpc_.call<proto::MetadataStatusReply>(
      address, rpc::Method::kMetadataStatus, proto::MetadataStatusRequest(), kStatusLimit);
  if (!answer && answer.error().is(Code::kUnsupported))
    co_return fail(Code::kInvalid, "{} is no metadata server", address.to_string());
  if (!answer) co_return fail(std::move(answer).error());
  const proto::MetadataStatusReply& reply = answer->message;
  GroupMember member{.node = NodeId(reply.node()),
                     .store = StoreId(reply.store()),
                     .name = reply.name(),
                     .address = address.to_string()};
  if (member.name.empty()) member.name = fmt::format("meta-{}", member.node);
  co_return member;
}

Task<Result<GroupMember>> GroupAdmin::find(std::string who) {
  CO_TRY(group, co_await view());
  std::string names;
  std::optional<GroupMember> found;
  for (const GroupMember& member : group.members) {
    names += (names.empty() ? "" : ", ") + member.name;
    if (member.name != who && fmt::format("{}", member.node) != who) continue;
    // Of a node that takes its own place, with another store, the one that stays is meant.
    if (!found || found->part == "leaving") found = member;
  }
  if (found) co_return *std::move(found);
  co_return fail(Code::kNotFound, "'{}' is no member of the group: {} are", who, names);
}

Task<Result<GroupChange>> GroupAdmin::meant(Change change) {
  GroupChange meant;
  if (change.add) {
    CO_TRY(member, co_await server_at(*change.add));
    meant.add = std::move(member);
  }
  if (!change.remove.empty()) {
    CO_TRY(member, co_await find(change.remove));
    meant.remove = std::move(member);
  }
  co_return meant;
}

Task<Result<std::vector<std::string>>> GroupAdmin::change(Change change) {
  proto::ChangeGroupRequest request;
  request.set_dry_run(change.dry_run);
  CO_TRY(meant, co_await this->meant(std::move(change)));
  if (meant.add.node) put(meant.add, *request.mutable_add());
  if (meant.remove.node) put(meant.remove, *request.mutable_remove());
  co_return plan_in<proto::ChangeGroupReply>(
      co_await calls_.ask(rpc::Method::kChangeGroup, rpc::serialize(request), kChangeLimit));
}

Task<Result<std::vector<std::string>>> GroupAdmin::transfer(std::string to, bool dry_run) {
  CO_TRY(member, co_await find(to));
  proto::TransferLeadershipRequest request;
  request.set_node(member.node.value);
  request.set_dry_run(dry_run);
  co_return plan_in<proto::TransferLeadershipReply>(
      co_await calls_.ask(rpc::Method::kTransferLeadership, rpc::serialize(request), kChangeLimit));
}

Task<Result<std::vector<std::string>>> GroupAdmin::upgrade(bool dry_run) {
  proto::RaiseVersionRequest request;
  request.set_dry_run(dry_run);
  request.set_version(metadata::newest_cluster_version());
  co_return plan_in<proto::RaiseVersionReply>(
      co_await calls_.ask(rpc::Method::kRaiseVersion, rpc::serialize(request), kChangeLimit));
}

}  // namespace dogfs::nodes
