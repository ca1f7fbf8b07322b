#include "nodes/chunk/heartbeat.h"

#include "core/base/limits.h"
#include "core/chunk/store.h"
#include "core/env/disk.h"
#include "core/env/nursery.h"
#include "core/namespace/cluster_version.h"
#include "core/proto/cluster.pb.h"
#include "core/proto/cluster_codec.h"
#include "core/rpc/message_codec.h"
#include "nodes/chunk/shard_uploads.h"
#include "nodes/client/metadata_calls.h"

namespace dogfs::nodes {
namespace {

constexpr Duration kRegisterLimit = 5s;
constexpr Duration kReportLimit = 10s;
constexpr size_t kReportPage = 1000;
constexpr size_t kDeletesAtOnce = 16;  // they share the syncs of the directory
static_assert(kReportPage <= limits::kListPageMax);

// Refusals that no waiting changes.
bool final(Code code) {
  return code == Code::kInvalid || code == Code::kDenied || code == Code::kExists ||
         code == Code::kUnsupported || code == Code::kPrecondition || code == Code::kTooLarge;
}

// One data directory is one disk, for now.
void describe_disk(const Result<Space>& space, proto::DiskStatus& disk) {
  disk.set_failed(!space);
  if (!space) return;
  disk.set_capacity_bytes(space->total_bytes);
  disk.set_used_bytes(space->total_bytes - std::min(space->free_bytes, space->total_bytes));
}

}  // namespace

Task<Result<NodeId>> register_node(Env& env, MetadataCalls& metadata, Registration registration) {
  proto::RegisterRequest request;
  request.set_node(registration.node.value);
  request.set_kind(static_cast<uint32_t>(placement::NodeKind::kChunk));
  request.set_name(registration.name);
  request.set_store(registration.store.value);
  request.set_address(registration.address.to_string());
  request.set_zone(registration.zone);
  request.set_newest_version(metadata::newest_cluster_version());
  describe_disk(co_await env.disk().space(), *request.add_disks());
  for (;;) {
    auto answer =
        co_await metadata.ask(rpc::Method::kRegisterNode, rpc::serialize(request), kRegisterLimit);
    if (answer) {
      proto::RegisterReply reply;
      CO_TRY_VOID(rpc::parse(answer->body, reply));
      co_return NodeId(reply.node());
    }
    if (final(answer.error().code)) co_return fail(std::move(answer).error());
    env.log().info("not registered yet: {}", answer.error());
    co_await env.sleep(500ms);
  }
}

Heartbeat::Heartbeat(Env& env, const Parts& parts, Registration registration, Duration interval)
    : env_(env),
      parts_(parts),
      registration_(std::move(registration)),
      interval_(interval),
      orders_came_(env),
      report_wanted_(env) {}

Task<Result<void>> Heartbeat::run() {
  Result<void> ended;
  co_await nursery(env_, [&](Nursery& children) { return keep(children, ended); });
  co_return ended;
}

Task<> Heartbeat::keep(Nursery& children, Result<void>& ended) {
  children.spawn(delete_ordered());
  children.spawn(report_when_wanted());
  for (;;) {
    if (!registered_) {
      auto node = co_await register_node(env_, parts_.metadata, registration_);
      if (!node) {
        ended = fail(std::move(node).error());
        co_return;
      }
      registered_ = true;
      report_wanted_.set();
    }
    const Instant next = env_.now() + interval_;
    if (auto beaten = co_await beat(); !beaten) env_.log().debug("heartbeat: {}", beaten.error());
    co_await env_.sleep_until(next);
  }
}

Task<Result<void>> Heartbeat::beat() {
  proto::HeartbeatRequest request;
  request.set_node(registration_.node.value);
  request.set_store(registration_.store.value);
  request.set_map_version(map_.version().value);
  for (const auto& [block, shard] : deleted_) {
    if (static_cast<size_t>(request.deleted_size()) >= limits::kDeletionsPerHeartbeatMax) break;
    auto& row = *request.add_deleted();
    row.set_block(block.value);
    row.set_shard(shard);
  }
  describe_disk(co_await parts_.store.space(), *request.add_disks());
  auto answer =
      co_await parts_.metadata.ask(rpc::Method::kHeartbeat, rpc::serialize(request), 4 * interval_);
  if (!answer) {
    // The leader does not know this server with this store: say again who it is.
    if (answer.error().is(Code::kPrecondition)) registered_ = false;
    co_return fail(std::move(answer).error());
  }
  proto::HeartbeatReply reply;
  CO_TRY_VOID(rpc::parse(answer->body, reply));
  co_return take(reply);
}

Result<void> Heartbeat::take(const proto::HeartbeatReply& reply) {
  for (const auto& shard : reply.confirmed())
    deleted_.erase({BlockId(shard.block()), shard.shard()});
  for (const auto& order : reply.orders()) {
    if (ordered_.size() + deleted_.size() >= limits::kDeletionsPerHeartbeatMax) break;
    if (deleted_.contains({BlockId(order.block()), order.shard()})) continue;
    ordered_.insert({BlockId(order.block()), order.shard(), Generation(order.generation())});
    orders_came_.set();
  }
  if (reply.report_wanted()) report_wanted_.set();
  if (!reply.has_map()) return {};
  TRY(changes, proto::decode(reply.map()));
  map_.merge(std::move(changes));
  return {};
}

Task<> Heartbeat::delete_ordered() {
  for (;;) {
    co_await orders_came_.wait();
    orders_came_.reset();
    const std::set<chunk::ShardName> orders = ordered_;
    for (auto next = orders.begin(); next != orders.end();) {
      co_await nursery(env_, [&](Nursery& children) {
        for (size_t i = 0; i < kDeletesAtOnce && next != orders.end(); ++i, ++next)
          children.spawn(delete_shard(*next));
        return children.join();
      });
    }
  }
}

// What could not be deleted is ordered again by a later reply.
Task<> Heartbeat::delete_shard(chunk::ShardName name) {
  parts_.uploads.abort(name);
  const auto removed = co_await parts_.store.remove(name);
  ordered_.erase(name);
  if (removed || removed.error().is(Code::kNotFound)) {
    deleted_.insert({name.block, name.shard});
  } else {
    env_.log().warning("{} was ordered deleted: {}", chunk::describe(name), removed.error());
  }
}

Task<> Heartbeat::report_when_wanted() {
  for (;;) {
    co_await report_wanted_.wait();
    report_wanted_.reset();
    if (auto reported = co_await report(); !reported) {
      env_.log().info("shard report: {}", reported.error());
      report_wanted_.set();
      co_await env_.sleep(4 * interval_);
    }
  }
}

// A shard that cannot be read is not reported, so it counts as missing.
Task<Result<void>> Heartbeat::report() {
  proto::ShardReportRequest page;
  page.set_node(registration_.node.value);
  page.set_store(registration_.store.value);
  page.set_report(++reports_);
  chunk::ShardName after;
  while (!page.last()) {
    page.clear_shards();
    const auto shards = co_await parts_.store.list(after, kReportPage);
    for (const auto& [name, facts] : shards) {
      after = name;
      if (!facts) continue;
      auto& row = *page.add_shards();
      row.set_block(name.block.value);
      row.set_shard(name.shard);
      row.set_generation(name.generation.value);
      row.set_length(facts->shard_length);
      row.set_checksum(facts->checksum);
    }
    page.set_last(shards.empty());
    CO_TRY_VOID(co_await parts_.metadata.ask(rpc::Method::kShardReport, rpc::serialize(page),
                                             kReportLimit));
  }
  co_return Result<void>();
}

}  // namespace dogfs::nodes
