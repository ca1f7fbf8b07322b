#include "core/chunk/append_disks.h"

#include "core/chunk/disks.h"
#include "core/env/nursery.h"

namespace dogfs::chunk {
namespace {

// A disk that works says where its logs are after a passing error or two. It is waited for, since
// whoever asks for a log of it meanwhile must not hear that there is none.
constexpr int kOpenAttempts = 20;
constexpr Duration kOpenPause = 500ms;

Task<Result<std::unique_ptr<AppendLogs>>> open_logs(Env& env, Disks& disks, size_t disk) {
  for (int attempt = 1;; ++attempt) {
    auto logs =
        co_await AppendLogs::open(disks.env(disk), disks.path(disk), disks.identity().cluster);
    const bool passing = !logs && logs.error().is(Code::kIo) && !disks.failed(disk);
    if (!passing || attempt == kOpenAttempts) co_return logs;
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
      env.log().warning("{} takes no append logs: {}", disks.name(i), logs.error());
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
  for (const auto& logs : logs_)
    if (logs) children.spawn(logs->run());
  Event never(env_);
  co_await never.wait();
}

AppendLogs* AppendDisks::holder(const ShardName& name) const {
  for (size_t i = 0; i < logs_.size(); ++i)
    if (logs_[i] && !disks_.failed(i) && logs_[i]->contains(name)) return logs_[i].get();
  return nullptr;
}

Task<Result<std::shared_ptr<AppendLog>>> AppendDisks::find(ShardName name) {
  AppendLogs* logs = holder(name);
  if (logs == nullptr) co_return fail(Code::kNotFound, "the log of {} is not here", describe(name));
  co_return co_await logs->find(name);
}

Task<Result<std::shared_ptr<AppendLog>>> AppendDisks::find_or_create(AppendOrigin origin,
                                                                     uint64_t bytes) {
  AppendLogs* logs = holder(origin.identity.name);
  if (logs == nullptr) {
    CO_TRY(index, disks_.choose(bytes));
    if (!logs_[index]) co_return fail(Code::kIo, "{} takes no append logs", disks_.name(index));
    logs = logs_[index].get();
  }
  co_return co_await logs->find_or_create(origin);
}

Task<Result<void>> AppendDisks::remove(ShardName name) {
  AppendLogs* logs = holder(name);
  if (logs == nullptr) co_return fail(Code::kNotFound, "the log of {} is not here", describe(name));
  co_return co_await logs->remove(name);
}

}  // namespace dogfs::chunk
