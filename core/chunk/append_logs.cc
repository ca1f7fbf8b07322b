#include "core/chunk/append_logs.h"

#include <algorithm>

#include "core/base/limits.h"
#include "core/env/nursery.h"

namespace dogfs::chunk {
namespace {

constexpr std::string_view kDirectory = "appends";
constexpr std::string_view kUnfinishedSuffix = ".new";

std::string path_in(std::string_view directory, std::string_view name) {
  return directory.empty() ? std::string(name) : fmt::format("{}/{}", directory, name);
}

}  // namespace

// What came of one turn with a log.
struct AppendLogs::Outcome {
  explicit Outcome(Env& env) : over(env) {}
  Log log = fail(Code::kUnavailable, "this server is stopping");
  Event over;
};

// While it lives nobody else opens, makes or removes this log.
class AppendLogs::Turn {
 public:
  Turn(AppendLogs& logs, ShardName name, std::shared_ptr<Outcome> outcome)
      : logs_(logs), name_(name), outcome_(std::move(outcome)) {
    logs_.busy_.insert(name);
  }
  ~Turn() {
    logs_.busy_.erase(name_);
    logs_.idle_.notify();
    outcome_->over.set();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  void end_with(Log log) { outcome_->log = std::move(log); }

 private:
  AppendLogs& logs_;
  const ShardName name_;
  const std::shared_ptr<Outcome> outcome_;
};

AppendLogs::AppendLogs(Env& env, std::string directory, ClusterId cluster)
    : env_(env),
      directory_(std::move(directory)),
      cluster_(cluster),
      directory_sync_(env, directory_),
      idle_(env) {}

Task<Result<std::unique_ptr<AppendLogs>>> AppendLogs::open(Env& env, std::string directory,
                                                           ClusterId cluster) {
  const std::string place = path_in(directory, kDirectory);
  const auto made = co_await env.disk().make_directory(place);
  if (!made && !made.error().is(Code::kExists)) co_return fail(made.error());
  CO_TRY_VOID(co_await env.disk().sync_directory(directory));
  std::unique_ptr<AppendLogs> logs(new AppendLogs(env, place, cluster));
  CO_TRY_VOID(co_await logs->recover());
  co_return std::move(logs);
}

Task<Result<void>> AppendLogs::recover() {
  CO_TRY(files, co_await env_.disk().list(directory_));
  for (const DirectoryEntry& file : files) {
    if (const auto name = parse_append_file_name(file.name)) {
      logs_.emplace(*name, Entry());
    } else if (file.name.ends_with(kUnfinishedSuffix)) {
      CO_TRY_VOID(co_await env_.disk().remove(path_in(directory_, file.name)));
    } else {
      env_.log().warning("{} is no append log; left alone", path_in(directory_, file.name));
    }
  }
  co_return co_await env_.disk().sync_directory(directory_);
}

Task<> AppendLogs::run() {
  co_await nursery(env_, [this](Nursery& children) { return keep(children); });
}

Task<> AppendLogs::keep(Nursery& children) {
  struct Leave {
    AppendLogs& logs;
    ~Leave() { logs.children_ = nullptr; }
  } leave{*this};
  children_ = &children;
  Event never(env_);
  co_await never.wait();
}

// Closes those that nobody has used for longest, over what is kept open.
Result<void> AppendLogs::make_room() {
  std::vector<std::pair<uint64_t, Entry*>> unused;
  size_t open = 0;
  for (auto& [name, entry] : logs_) {
    if (!entry.log) continue;
    ++open;
    // This entry and its task hold it.
    const bool at_rest = entry.log->is_idle() || entry.log->has_failed();
    if (entry.log.use_count() <= 2 && at_rest) unused.emplace_back(entry.used, &entry);
  }
  std::ranges::sort(unused);
  for (auto& [used, entry] : unused) {
    if (open < limits::kAppendLogsKeptOpenMax) break;
    entry->log->close();
    entry->log.reset();
    --open;
  }
  if (open < limits::kAppendLogsMax) return {};
  return fail(Code::kUnavailable, "{} append logs are in use; try again", open);
}

// --- Turns ---

Task<AppendLogs::Log> AppendLogs::in_turn(Work work, AppendOrigin origin) {
  if (children_ == nullptr) co_return fail(Code::kUnavailable, "this server is stopping");
  const auto outcome = std::make_shared<Outcome>(env_);
  auto turn = std::make_unique<Turn>(*this, origin.identity.name, outcome);
  children_->spawn(do_work(work, origin, std::move(turn)));
  co_await outcome->over.wait();
  co_return outcome->log;
}

Task<> AppendLogs::do_work(Work work, AppendOrigin origin, std::unique_ptr<Turn> turn) {
  turn->end_with(co_await (this->*work)(origin));
  turn.reset();
}

// Begins a log's life in memory.
AppendLogs::Log AppendLogs::begin(ShardName name, std::shared_ptr<AppendLog> log) {
  if (children_ == nullptr) return fail(Code::kUnavailable, "this server is stopping");
  log->when_in_doubt([this, name] {
    if (doubt_) doubt_(name);
  });
  children_->spawn(AppendLog::run(log));
  logs_[name] = {log, ++uses_};
  return log;
}

// One that failed is looked at again: the disk may do better now.
Task<AppendLogs::Log> AppendLogs::open_one(AppendOrigin origin) {
  const ShardName name = origin.identity.name;
  if (const auto failed = std::exchange(logs_[name].log, nullptr)) co_await failed->ended();
  auto log = co_await AppendLog::open(env_, directory_, origin.identity);
  if (log) co_return begin(name, *std::move(log));
  if (log.error().is(Code::kCorrupt) && doubt_) doubt_(name);
  co_return log;
}

Task<AppendLogs::Log> AppendLogs::open_or_create(AppendOrigin origin) {
  const ShardName name = origin.identity.name;
  if (logs_.contains(name)) {
    // It may be known and gone: a removal that was not sure of itself.
    auto opened = co_await open_one(origin);
    if (opened || !opened.error().is(Code::kNotFound)) co_return opened;
  }
  CO_TRY(log, co_await AppendLog::create(env_, directory_sync_, directory_, origin));
  co_return begin(name, std::move(log));
}

Task<AppendLogs::Log> AppendLogs::remove_one(AppendOrigin origin) {
  const ShardName name = origin.identity.name;
  if (const auto log = std::exchange(logs_[name].log, nullptr)) {
    log->close();
    co_await log->ended();
  }
  const auto before = directory_sync_.mark();
  const auto removed = co_await env_.disk().remove(path_in(directory_, append_file_name(name)));
  if (!removed && !removed.error().is(Code::kNotFound)) co_return fail(removed.error());
  CO_TRY_VOID(co_await directory_sync_.sync(before));
  logs_.erase(name);
  co_return nullptr;
}

// --- What others ask for ---

// The log, if it is ready for use.
std::shared_ptr<AppendLog> AppendLogs::find_open(ShardName name) {
  const auto known = logs_.find(name);
  if (known == logs_.end() || !known->second.log || known->second.log->has_failed()) return nullptr;
  known->second.used = ++uses_;
  return known->second.log;
}

Task<Result<std::shared_ptr<AppendLog>>> AppendLogs::find(ShardName name) {
  while (busy_.contains(name)) co_await idle_.wait();
  if (auto open = find_open(name)) co_return open;
  if (!logs_.contains(name))
    co_return fail(Code::kNotFound, "the log of {} is not here", describe(name));
  CO_TRY_VOID(make_room());
  co_return co_await in_turn(&AppendLogs::open_one, {.identity = {cluster_, name}});
}

Task<Result<std::shared_ptr<AppendLog>>> AppendLogs::find_or_create(AppendOrigin origin) {
  const ShardName name = origin.identity.name;
  while (busy_.contains(name)) co_await idle_.wait();
  if (auto open = find_open(name)) co_return open;
  CO_TRY_VOID(make_room());
  co_return co_await in_turn(&AppendLogs::open_or_create, origin);
}

Task<Result<void>> AppendLogs::verify(ShardName name, AppendLog::Pause pause) {
  while (busy_.contains(name)) co_await idle_.wait();
  if (const auto open = find_open(name)) co_return co_await open->verify(std::move(pause));
  if (co_await scan(name, pause)) co_return Result<void>();
  // It may have been opened and written to meanwhile, and then this could not read it.
  CO_TRY(log, co_await find(name));
  co_return co_await log->verify(std::move(pause));
}

// Reads the file of a log that is not open, and changes nothing.
Task<Result<void>> AppendLogs::scan(ShardName name, AppendLog::Pause pause) {
  CO_TRY(file,
         co_await env_.disk().open(path_in(directory_, append_file_name(name)), OpenMode::kRead));
  CO_TRY_VOID(co_await scan_append_file(*file, {cluster_, name}, {}, std::move(pause)));
  co_return Result<void>();
}

void AppendLogs::condemn(const ShardName& name, Error damage) {
  if (const auto log = find_open(name)) log->condemn(std::move(damage));
}

Task<Result<void>> AppendLogs::remove(ShardName name) {
  while (busy_.contains(name)) co_await idle_.wait();
  if (!logs_.contains(name))
    co_return fail(Code::kNotFound, "the log of {} is not here", describe(name));
  CO_TRY_VOID(co_await in_turn(&AppendLogs::remove_one, {.identity = {cluster_, name}}));
  co_return Result<void>();
}

std::vector<ShardName> AppendLogs::names() const {
  std::vector<ShardName> names;
  for (const auto& [name, entry] : logs_) names.push_back(name);
  return names;
}

}  // namespace dogfs::chunk
