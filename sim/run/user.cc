#include "sim/run/user.h"

#include <algorithm>
#include <utility>

#include "core/env/env.h"
#include "nodes/client/memory_stream.h"

namespace dogfs::sim {
namespace {

Result<LogIndex> position_of(const Result<nodes::Changed>& changed) {
  if (!changed) return fail(changed.error());
  return changed->position;
}

// More than any directory of a run holds.
constexpr size_t kListedMax = limits::kListPageMax;

}  // namespace

User::User(const Scheduler& world, Env& env, const nodes::Client& client, Record& record)
    : world_(world),
      env_(env),
      record_(record),
      client_(client, [this](ClientId session, RequestId request) {
        at(asking_).requests.emplace_back(session, request);
      }) {}

Task<size_t> User::perform(Operation operation, Buffer bytes) {
  operation.began = world_.now();
  const uint64_t before = client_.answers();
  const size_t number = record_.history.begin(std::move(operation));
  asking_ = number;
  const Result<LogIndex> position = co_await call(number, std::move(bytes));
  Operation& told = at(number);
  told.ended = world_.now();
  if (position) {
    told.outcome = Outcome::kDone;
    told.position = *position;
    ++record_.done;
    if (record_.on_done) record_.on_done(told);
    co_return number;
  }
  const Code code = position.error().code;
  told.code = code;
  told.outcome = code == Code::kUnknown ? Outcome::kUnknown : Outcome::kRefused;
  env_.log().info("{}: {}", describe(told), position.error());
  // A refusal that no server pronounced names no position.
  const bool answered = client_.answers() != before;
  if (told.outcome == Outcome::kRefused && answered) told.position = client_.last_position();
  co_return number;
}

Task<size_t> User::replace(Operation put, Buffer bytes) {
  Operation stat;
  stat.client = put.client;
  stat.act = Act::kStat;
  stat.path = put.path;
  const Operation found = at(co_await perform(std::move(stat), {}));
  if (found.is.file) put.if_version = found.is;
  co_return co_await perform(std::move(put), std::move(bytes));
}

Task<Result<LogIndex>> User::call(size_t number, Buffer bytes) {
  const Operation asked = at(number);
  switch (asked.act) {
    case Act::kPut: co_return co_await put(number, std::move(bytes));
    case Act::kGet: co_return co_await get(number);
    case Act::kStat: co_return co_await stat(number);
    case Act::kList: co_return co_await list(number);
    case Act::kMakeDirectory:
      co_return position_of(
          co_await client_.make_directory(asked.path, asked.parents, std::nullopt));
    case Act::kRename: co_return position_of(co_await client_.rename(asked.path, asked.to));
    case Act::kCopy: co_return position_of(co_await client_.copy(asked.path, asked.to, true));
    case Act::kRemove: co_return position_of(co_await client_.remove(asked.path, asked.recursive));
    case Act::kTruncate: co_return position_of(co_await client_.truncate(asked.path, asked.cut_to));
    case Act::kConcatenate:
      co_return position_of(co_await client_.concatenate(asked.path, asked.sources));
    case Act::kSetQuota: co_return position_of(co_await client_.set_quota(asked.path, asked.quota));
    case Act::kUse: co_return co_await use(number);
    case Act::kSetAttributes: co_return co_await set_attributes(number);
  }
  co_return fail(Code::kInvalid, "no such act");
}

Task<Result<LogIndex>> User::put(size_t number, Buffer bytes) {
  nodes::MemorySource source(std::move(bytes));
  nodes::PutOptions options;
  options.overwrite = !at(number).if_absent;
  options.version = at(number).if_version;
  // Half of the puts tell their size beforehand.
  if (env_.random().chance(1, 2)) options.size = at(number).content.length;
  CO_TRY(result, co_await client_.put(at(number).path, source, std::move(options)));
  record_.blocks_below_width += result.blocks_below_full_width;
  co_return result.position;
}

Task<Result<LogIndex>> User::get(size_t number) {
  nodes::MemorySink sink;
  CO_TRY(result, co_await client_.get(at(number).path, sink, {}));
  at(number).read = content_of(sink.bytes);
  record_.rebuilt_bytes += result.rebuilt_bytes;
  record_.gets_rebuilt += result.rebuilt_bytes > 0 ? 1 : 0;
  co_return result.position;
}

Task<Result<LogIndex>> User::stat(size_t number) {
  CO_TRY(result, co_await client_.stat(at(number).path));
  at(number).is_directory = result.attributes.kind == metadata::EntryKind::kDirectory;
  at(number).length = result.attributes.length;
  at(number).marks = {result.attributes.inode.owner, result.attributes.inode.mode, {}};
  for (const auto& label : result.attributes.inode.labels)
    at(number).marks.labels[{label.kind, label.name}] = label.value;
  if (!at(number).is_directory) at(number).is = result.attributes.version();
  co_return result.position;
}

Task<Result<LogIndex>> User::use(size_t number) {
  CO_TRY(result, co_await client_.use(at(number).path));
  at(number).used = result.use;
  co_return result.position;
}

Task<Result<LogIndex>> User::set_attributes(size_t number) {
  metadata::SetAttributes changes{.path = at(number).path};
  changes.owner = at(number).change.owner;
  changes.mode = at(number).change.mode;
  changes.labels = at(number).change.labels;
  co_return position_of(co_await client_.set_attributes(std::move(changes)));
}

Task<Result<LogIndex>> User::list(size_t number) {
  const size_t count = at(number).count > 0 ? at(number).count : kListedMax;
  CO_TRY(result, co_await client_.list(at(number).path, at(number).after, count));
  for (const auto& entry : result.listing.entries) at(number).names.push_back(entry.name);
  co_return result.position;
}

}  // namespace dogfs::sim
