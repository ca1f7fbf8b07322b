#include "nodes/chunk/heartbeat.h"

#include "core/base/limits.h"
#include "core/base/mutation.h"
#include "core/chunk/append_disks.h"
#include "core/chunk/disks.h"
#include "core/env/disk.h"
#include "core/env/nursery.h"
#include "core/namespace/cluster_version.h"
#include "core/proto/cluster.pb.h"
#include "core/proto/cluster_codec.h"
#include "core/rpc/message_codec.h"
#include "nodes/chunk/append_worker.h"
#include "nodes/chunk/compactor.h"
#include "nodes/chunk/scrub.h"
#include "nodes/chunk/shard_uploads.h"
#include "nodes/chunk/shard_verdicts.h"
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

// `scrub`: null before there is one.
template <class Request>
Task<> describe_disks(chunk::Disks& disks, const Scrub* scrub, Request& request) {
  for (const auto& status : co_await disks.status()) {
    const Space& space = status.space;
    proto::DiskReport report{
        .name = status.name,
        .failure = status.failure,
        .capacity_bytes = space.total_bytes,
        .used_bytes = space.total_bytes - std::min(space.free_bytes, space.total_bytes),
        .shards = status.shards};
    if (scrub != nullptr) {
      const auto& progress = scrub->progress(static_cast<size_t>(request.disks_size()));
      report.scrub_passes = progress.passes;
      report.scrubbed = progress.checked;
      report.doubted = progress.doubted;
      report.logs_scrubbed = progress.logs;
    }
    proto::encode(report, *request.add_disks());
  }
}

}  // namespace

Task<Result<NodeId>> register_node(Env& env, MetadataCalls& metadata, chunk::Disks& disks,
                                   Registration registration) {
  proto::RegisterRequest request;
  request.set_node(registration.node.value);
  request.set_kind(static_cast<uint32_t>(placement::NodeKind::kChunk));
  request.set_name(registration.name);
  request.set_store(registration.store.value);
  request.set_address(registration.address.to_string());
  request.set_zone(registration.zone);
  request.set_newest_version(metadata::newest_cluster_version());
  co_await describe_disks(disks, nullptr, request);
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
      auto node = co_await register_node(env_, parts_.metadata, parts_.disks, registration_);
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
  for (const chunk::ShardName& name : deleted_) {
    if (static_cast<size_t>(request.deleted_size()) >= limits::kDeletionsPerHeartbeatMax) break;
    auto& row = *request.add_deleted();
    row.set_block(name.block.value);
    row.set_shard(name.shard);
    row.set_generation(name.generation.value);
  }
  co_await describe_disks(parts_.disks, &parts_.scrub, request);
  proto::encode(parts_.compactor.compacted(), *request.mutable_compacted());
  for (const auto& verdict : parts_.verdicts.pending())
    proto::encode(verdict, *request.add_verdicts());
  if (parts_.disks.failures() > std::exchange(failed_disks_, parts_.disks.failures()))
    report_wanted_.set();
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
    deleted_.erase({BlockId(shard.block()), shard.shard(), Generation(shard.generation())});
  for (const auto& order : reply.orders()) {
    if (ordered_.size() + deleted_.size() >= limits::kDeletionsPerHeartbeatMax) break;
    const chunk::ShardName name{BlockId(order.block()), order.shard(),
                                Generation(order.generation())};
    if (deleted_.contains(name)) continue;
    ordered_.insert(name);
    orders_came_.set();
  }
  for (const auto& task : reply.append_tasks())
    if (auto decoded = proto::decode(task)) parts_.worker.add(*decoded);
  for (const uint64_t block : reply.sparse_blocks()) parts_.compactor.add(BlockId(block));
  parts_.verdicts.recorded(reply.verdicts_recorded());
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
  if (MUTANT("M102") && parts_.logs.contains(name)) {
    ordered_.erase(name);
    deleted_.insert(name);
    co_return;
  }
  const auto removed = parts_.logs.contains(name) ? co_await parts_.logs.remove(name)
                                                  : co_await parts_.disks.remove(name);
  ordered_.erase(name);
  if (removed || removed.error().is(Code::kNotFound)) {
    deleted_.insert(name);
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

Task<Result<void>> Heartbeat::report() {
  ++reports_;
  chunk::ShardName after;
  for (bool last = false; !last;) CO_TRY_VOID(co_await report_page(after, last));
  co_return Result<void>();
}

// A shard that cannot be read is not reported, so it is doubtful. The leader may compare a part of
// the page only: then the next one begins there.
Task<Result<void>> Heartbeat::report_page(chunk::ShardName& after, bool& last) {
  proto::ShardReportRequest page;
  page.set_node(registration_.node.value);
  page.set_store(registration_.store.value);
  page.set_report(reports_);
  page.set_after(after.block.value);
  const auto shards = co_await parts_.disks.list(after, kReportPage);
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
  last = shards.size() < kReportPage;
  page.set_last(last);
  page.set_upto(after.block.value);
  CO_TRY(answer, co_await parts_.metadata.ask(rpc::Method::kShardReport, rpc::serialize(page),
                                              kReportLimit));
  proto::ShardReportReply reply;
  CO_TRY_VOID(rpc::parse(answer.body, reply));
  for (const auto& doubtful : reply.doubtful())
    parts_.verdicts.doubt(
        {BlockId(doubtful.block()), doubtful.shard(), Generation(doubtful.generation())});
  if (reply.checked() == 0) co_return Result<void>();
  after = {BlockId(reply.checked()), UINT32_MAX, Generation(UINT64_MAX)};
  last = false;
  co_return Result<void>();
}

}  // namespace dogfs::nodes
