#include "core/chunk/append_disks.h"

#include "core/chunk/disks.h"
#include "core/env/nursery.h"

namespace dogfs::chunk {
namespace {

// A disk that works says where its logs are after a passing error or two. It is waited for, since
// whoever asks for a log of it meanwhile must not hear that there is none.
constexpr int kOpenAttempts = 5;
constexpr Duration kOpenPause = 500ms;

Task<Result<std::unique_ptr<AppendLogs>>> open_logs(Env& env, Disks& disks, size_t disk,
                                                    int attempts = kOpenAttempts) {
  for (int attempt = 1;; ++attempt) {
    auto logs =
        co_await AppendLogs::open(disks.env(disk), disks.path(disk), disks.identity().cluster);
    const bool passing = !logs && logs.error().is(Code::kIo) && !disks.failed(disk);
    if (!passing || attempt == attempts) co_return logs;
    co_await env.sleep(kOpenPause);
  }
}

}  // namespace

Task<Result<std::unique_ptr<AppendDisks>>> AppendDisks::open(Env& env, Disks& disks) {
  std::unique_ptr<AppendDisks> all(new AppendDisks(env, disks));
  Error last{Code::kIo, "no disk works"};
  bool any = false;
  for (size_t i = 0; i < disks.count(); ++i) {
    all->logs_.emplace_back();
    if (disks.failed(i)) continue;
    auto logs = co_await open_logs(env, disks, i);
    if (logs) {
      all->logs_.back() = std::move(*logs);
      any = true;
    } else {
      env.log().warning("{} takes no append logs yet: {}", disks.name(i), logs.error());
      last = std::move(logs).error();
    }
  }
  if (!any) co_return fail(std::move(last));
  co_return std::move(all);
}

Task<> AppendDisks::run() {
  co_await nursery(env_, [this](Nursery& children) { return keep(children); });
}

Task<> AppendDisks::keep(Nursery& children) {
  for (size_t i = 0; i < logs_.size(); ++i)
    children.spawn(logs_[i] ? logs_[i]->run() : open_late(children, i));
  Event never(env_);
  co_await never.wait();
}

Task<> AppendDisks::open_late(Nursery& children, size_t disk) {
  while (!disks_.failed(disk)) {
    auto logs = co_await open_logs(env_, disks_, disk, 1);
    if (logs) {
      logs_[disk] = std::move(*logs);
      logs_[disk]->when_in_doubt(doubt_);
      children.spawn(logs_[disk]->run());
      co_return;
    }
    co_await env_.sleep(kOpenPause);
  }
}

AppendLogs* AppendDisks::holder(const ShardName& name) const {
  for (size_t i = 0; i < logs_.size(); ++i)
    if (logs_[i] && !disks_.failed(i) && logs_[i]->contains(name)) return logs_[i].get();
  return nullptr;
}

Error AppendDisks::not_here(const ShardName& name) const {
  for (size_t i = 0; i < logs_.size(); ++i)
    if (!logs_[i] && !disks_.failed(i))
      return {Code::kIo, fmt::format("{} did not say yet whether it has the log of {}",
                                     disks_.name(i), describe(name))};
  return {Code::kNotFound, fmt::format("the log of {} is not here", describe(name))};
}

Task<Result<std::shared_ptr<AppendLog>>> AppendDisks::find(ShardName name) {
  AppendLogs* logs = holder(name);
  if (logs == nullptr) co_return fail(not_here(name));
  co_return co_await logs->find(name);
}

Task<Result<std::shared_ptr<AppendLog>>> AppendDisks::find_or_create(AppendOrigin origin,
                                                                     uint64_t bytes) {
  AppendLogs* logs = holder(origin.identity.name);
  if (logs == nullptr) {
    // One that is made now would stand for the one that is there.
    if (Error missing = not_here(origin.identity.name); missing.is(Code::kIo))
      co_return fail(std::move(missing));
    CO_TRY(index, disks_.choose(bytes));
    logs = logs_[index].get();
  }
  co_return co_await logs->find_or_create(origin);
}

Task<Result<void>> AppendDisks::verify(ShardName name, AppendLog::Pause pause) {
  AppendLogs* logs = holder(name);
  if (logs == nullptr) co_return fail(not_here(name));
  co_return co_await logs->verify(name, std::move(pause));
}

void AppendDisks::condemn(const ShardName& name, Error damage) {
  if (AppendLogs* logs = holder(name)) logs->condemn(name, std::move(damage));
}

void AppendDisks::when_in_doubt(std::function<void(const ShardName&)> doubt) {
  doubt_ = std::move(doubt);
  for (const auto& logs : logs_)
    if (logs) logs->when_in_doubt(doubt_);
}

std::vector<ShardName> AppendDisks::names(size_t disk) const {
  if (!logs_[disk] || disks_.failed(disk)) return {};
  return logs_[disk]->names();
}

Task<Result<void>> AppendDisks::remove(ShardName name) {
  AppendLogs* logs = holder(name);
  if (logs == nullptr) co_return fail(not_here(name));
  co_return co_await logs->remove(name);
}

}  // namespace dogfs::chunk
