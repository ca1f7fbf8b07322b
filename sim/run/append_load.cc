#include "sim/run/append_load.h"

#include <algorithm>
#include <map>
#include <memory>

#include "core/env/nursery.h"
#include "nodes/client/appender.h"
#include "nodes/client/client.h"
#include "nodes/client/memory_stream.h"
#include "sim/run/cluster.h"
#include "sim/world/host.h"
#include "sim/world/world.h"

namespace dogfs::sim {
namespace {

constexpr Duration kAppendPause = 200ms;
constexpr uint32_t kCheckerNumber = 0;

}  // namespace

AppendLoad::AppendLoad(World& world, Cluster& cluster, const Appending& load)
    : world_(world), options_(cluster.client_options()), load_(load), over_(load.clients) {
  for (uint32_t i = 0; i < load.clients; ++i) {
    hosts_.push_back(&cluster.add_client());
    hosts_.back()->set_main([this, i](Env& env) { return client_main(env, i + 1); });
  }
  if (load.clients == 0) return;
  checker_ = &world.add_host("append-checker", {});
  checker_->set_main([this](Env& env) { return checker_main(env); });
}

void AppendLoad::start() {
  running_ = load_.clients;
  for (Host* host : hosts_)
    if (!host->up()) host->boot();
}

void AppendLoad::verify() {
  if (checker_ == nullptr)
    verified_ = true;
  else
    checker_->boot();
}

std::string AppendLoad::path(uint64_t file) const { return fmt::format("{}/{}", kDirectory, file); }

// One that was started anew goes on with new records.
Task<> AppendLoad::client_main(Env& env, uint32_t number) {
  nodes::Client client(env, options_);
  co_await nursery(env, [&](Nursery& children) {
    children.spawn(client.run());
    return run_lanes(env, client, number);
  });
}

Task<> AppendLoad::run_lanes(Env& env, nodes::Client& client, uint32_t number) {
  co_await nursery(env, [&](Nursery& lanes) {
    for (uint32_t lane = 0; lane < load_.at_once; ++lane)
      lanes.spawn(run_lane(env, client, number, lane));
    return lanes.join();
  });
  if (!over_[number - 1]) --running_;
  over_[number - 1] = true;
}

Task<> AppendLoad::run_lane(Env& env, nodes::Client& client, uint32_t number, uint32_t lane) {
  Random random = env.random().fork("append", lane);
  std::map<std::string, std::unique_ptr<nodes::Appender>> open;
  while (!stopping_ && world_.now() < Instant(load_.until)) {
    const std::string file = path(random.below(load_.files));
    if (random.chance(1, 8)) {
      co_await read(client, file, history_.reads);
    } else {
      auto& appender = open[file];
      if (!appender) {
        auto opened = co_await client.open_append(file, {});
        if (opened) appender = std::move(*opened);
      }
      const auto size = random.between(kRecordBytesMin, load_.size_max);
      if (appender) co_await append(*appender, number, file, size);
      if (random.chance(1, 16)) appender.reset();
    }
    co_await env.sleep(Duration(
        static_cast<int64_t>(random.below(2 * static_cast<uint64_t>(load_.think.count()) + 1))));
  }
}

// Of unknown outcome until it is answered, also when its client dies.
Task<> AppendLoad::append(nodes::Appender& appender, uint32_t number, std::string path,
                          uint64_t size) {
  const RecordName name{number, ++last_number_};
  const size_t index = history_.appends.size();
  history_.appends.push_back({.path = std::move(path),
                              .name = name,
                              .outcome = Outcome::kUnknown,
                              .offset = 0,
                              .ended = {}});
  const auto offset = co_await appender.append(make_record(name, size));
  AppendedOperation& told = history_.appends[index];
  told.ended = world_.now();
  if (offset) {
    told.outcome = Outcome::kDone;
    told.offset = *offset;
    if (on_done_) on_done_();
  } else if (!offset.error().is(Code::kUnknown)) {
    told.outcome = Outcome::kRefused;
  }
}

Task<bool> AppendLoad::read(nodes::Client& client, std::string path,
                            std::vector<AppendedRead>& reads) {
  AppendedRead read{.path = path, .began = world_.now(), .ended = {}, .wrong = {}, .records = {}};
  nodes::MemorySink sink;
  const auto got = co_await client.get(path, sink, {});
  if (!got && !got.error().is(Code::kNotFound)) co_return false;
  read.ended = world_.now();
  uint64_t where = 0;
  if (auto records = take_apart(sink.bytes, where))
    read.records = std::move(*records);
  else
    read.wrong = fmt::format("no record of anybody at {} of {} bytes", where, sink.bytes.size());
  reads.push_back(std::move(read));
  co_return true;
}

Task<> AppendLoad::checker_main(Env& env) {
  nodes::Client client(env, options_);
  co_await nursery(env, [&](Nursery& children) {
    children.spawn(client.run());
    return check_all(env, client);
  });
}

Task<> AppendLoad::check_all(Env& env, nodes::Client& client) {
  for (uint64_t file = 0; file < load_.files; ++file) {
    for (bool done = false; !done; co_await env.sleep(kAppendPause)) {
      auto appender = co_await client.open_append(path(file), {});
      if (!appender) continue;
      co_await append(**appender, kCheckerNumber, path(file), kRecordBytesMin);
      done = history_.appends.back().outcome == Outcome::kDone;
    }
    while (!co_await read(client, path(file), last_reads_)) co_await env.sleep(kAppendPause);
  }
  verified_ = true;
}

}  // namespace dogfs::sim
