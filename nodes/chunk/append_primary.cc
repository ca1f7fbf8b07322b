#include "nodes/chunk/append_primary.h"

#include <algorithm>

#include "core/base/limits.h"
#include "core/base/mutation.h"
#include "core/env/env.h"
#include "core/env/nursery.h"
#include "core/proto/append.pb.h"
#include "core/rpc/client.h"
#include "nodes/client/append_replica.h"
#include "nodes/client/open_commands.h"

namespace dogfs::nodes {
namespace {

constexpr Duration kActivationLimit = 4s;
constexpr Duration kRequestsLimit = 4s;
constexpr Duration kStoreLimit = 2s;
constexpr Duration kStorePause = 50ms;
constexpr size_t kEntryBytes = 256 * limits::kKiB;  // more records make another entry
constexpr size_t kEntryRecordsMax = 4096;
constexpr size_t kStoreBytes = 2 * limits::kMiB;  // of entries in one call
static_assert(kStoreBytes + limits::kAppendRecordBytesMax + limits::kAppendHeadBytesMax <
              limits::kFrameBulkBytesMax + limits::kMiB);

using proto::AppendRecordReply;

void answer_writer(rpc::Responder& respond, AppendRecordReply::Outcome outcome,
                   uint64_t offset = 0) {
  AppendRecordReply reply;
  reply.set_outcome(outcome);
  reply.set_file_offset(offset);
  respond(rpc::Reply{rpc::serialize(reply), {}});
}

}  // namespace

// A record with all who asked for it.
struct AppendPrimary::Waiter {
  Record record;
  std::vector<rpc::Responder> responders;
  uint64_t file_offset = 0;  // once it is in an entry

  void stored() {
    for (auto& respond : responders)
      answer_writer(respond, AppendRecordReply::kStored, file_offset);
    responders.clear();
  }
};

struct AppendPrimary::Entry {
  Buffer bytes;
  uint64_t end = 0;  // of the block, with it
  std::vector<Waiter> waiters;
};

struct AppendPrimary::Replica {
  metadata::PlacedShard shard;
  uint64_t stored = 0;  // entries
  Instant last_progress;
};

AppendPrimary::AppendPrimary(const Parts& parts, Place place)
    : parts_(parts),
      place_(place),
      activation_(MUTANT("M41") ? 1 : parts.env.random().next() | 1),
      last_record_(parts.env.now()),
      changed_(parts.env) {}

AppendPrimary::~AppendPrimary() = default;

Task<> AppendPrimary::run(std::shared_ptr<AppendPrimary> self) {
  co_await nursery(self->parts_.env, [&](Nursery& children) { return self->live(children); });
  self->close("it ended");
}

Task<> AppendPrimary::live(Nursery& children) {
  if (auto activated = co_await activate(); !activated) {
    close(activated.error().message);
    co_return;
  }
  for (const auto& replica : replicas_) children.spawn(feed(replica));
  children.spawn(watch());
  co_await begin();
  while (!closed_) {
    while (!closed_ && wants_entry()) make_entry();
    if (draining_ && committed_ == first_entry_ + entries_.size()) close("it is full");
    if (!closed_) co_await changed_.wait();
  }
}

// --- The beginning ---

Task<Result<void>> AppendPrimary::activate() {
  CO_TRY(active, co_await ask_for_activation(false));
  active_ = std::move(active);
  for (const auto& shard : active_.block.shards)
    replicas_.push_back(std::make_shared<Replica>(Replica{shard, 0, parts_.env.now()}));
  requests_ = co_await requests_before(active_.previous);
  requests_.hand_over_to(active_.ordinal);
  if (requests_.size() > limits::kAppendRequestsMax / 2)
    requests_ = chunk::AppendRequests(active_.ordinal);
  push_entry(chunk::encode_requests({parts_.cluster, place_.block, place_.generation}, place_.epoch,
                                    requests_.encode()),
             0, {});
  if (MUTANT("M41")) co_await resume();
  activated_ = true;
  changed_.notify();
  co_return Result<void>();
}

Task<Result<metadata::AppendActivated>> AppendPrimary::ask_for_activation(bool begun) {
  CO_TRY(reply, co_await execute_openly(parts_.metadata,
                                        metadata::ActivateAppend{.file = place_.file,
                                                                 .block = place_.block,
                                                                 .epoch = place_.epoch,
                                                                 .node = parts_.node,
                                                                 .activation = activation_,
                                                                 .begun = begun},
                                        kActivationLimit));
  if (auto* active = std::get_if<metadata::AppendActivated>(&reply)) co_return std::move(*active);
  co_return fail(Code::kCorrupt, "the metadata server answered another question");
}

// Waits until every replica has a log, and has the metadata log say so.
Task<> AppendPrimary::begin() {
  const auto blank = [](const auto& replica) { return replica->stored == 0; };
  while (!closed_ && std::ranges::any_of(replicas_, blank)) co_await changed_.wait();
  if (closed_) co_return;
  const auto said = co_await ask_for_activation(true);
  if (!said) close(said.error().message);
}

// The planted bug M41: a primary that was started anew goes on where its own log ends.
Task<> AppendPrimary::resume() {
  auto log = co_await parts_.logs.find(origin().identity.name);
  if (!log || (*log)->entries() == 0) co_return;
  if (auto known = co_await (*log)->requests((*log)->length())) requests_ = std::move(*known);
  entries_.clear();
  entry_bytes_ = 0;
  length_ = committed_length_ = (*log)->length();
  first_entry_ = committed_ = (*log)->entries();
  for (const auto& replica : replicas_) replica->stored = committed_;
}

// What the file's blocks before this one hold. Whoever cannot be asked leaves doubts about what was
// first tried there, and about nothing else.
Task<chunk::AppendRequests> AppendPrimary::requests_before(
    std::optional<metadata::AppendLog> previous) {
  chunk::AppendRequests none(active_.first || MUTANT("M42") ? 0 : active_.ordinal);
  if (!previous || MUTANT("M42")) co_return none;
  for (const auto& holder : previous->holders) {
    const auto address = Address::parse(holder.address);
    if (!address) continue;
    proto::AppendRequestsRequest request;
    *request.mutable_replica() =
        append_replica(previous->block, previous->generation, holder.index, holder.node);
    request.set_length(previous->length);
    auto reply = co_await parts_.rpc.call<proto::AppendRequestsReply>(
        *address, rpc::Method::kAppendRequests, std::move(request), kRequestsLimit);
    if (!reply) continue;
    auto requests = chunk::AppendRequests::decode(reply->bulk.text());
    if (requests) co_return std::move(*requests);
  }
  co_return none;
}

// --- Records ---

void AppendPrimary::append(Record record, rpc::Responder respond) {
  if (closed_ || draining_) return answer_writer(respond, AppendRecordReply::kClosed);
  last_record_ = parts_.env.now();
  const auto same = [&](const Waiter& waiter) {
    return waiter.record.head.writer == record.head.writer &&
           waiter.record.head.request == record.head.request;
  };
  if (const auto waits = std::ranges::find_if(waiting_, same); waits != waiting_.end()) {
    waits->responders.push_back(std::move(respond));
    return;
  }
  if (waiting_bytes_ + record.data.size() > limits::kAppendQueueBytesMax)
    return answer_writer(respond, AppendRecordReply::kBusy);
  waiting_bytes_ += record.data.size();
  Waiter waiter{.record = std::move(record), .responders = {}};
  waiter.responders.push_back(std::move(respond));
  waiting_.push_back(std::move(waiter));
  changed_.notify();
}

bool AppendPrimary::is_full(size_t record_bytes) const {
  const bool entries = first_entry_ + entries_.size() + 1 >= limits::kAppendLogEntriesMax;
  return entries || length_ + record_bytes > active_.capacity ||
         requests_.size() >= limits::kAppendRequestsMax;
}

// One entry at a time is under way, so that all who come meanwhile share the next one's sync; two,
// when there is much to send.
bool AppendPrimary::wants_entry() const {
  if (waiting_.empty() || draining_ || entry_bytes_ >= limits::kAppendQueueBytesMax) return false;
  const uint64_t under_way = first_entry_ + entries_.size() - committed_;
  return under_way == 0 || (under_way == 1 && waiting_bytes_ >= kEntryBytes);
}

void AppendPrimary::make_entry() {
  std::vector<chunk::AppendedRecord> heads;
  std::vector<Buffer> data;
  std::vector<Waiter> waiters;
  uint64_t end = length_;
  while (!waiting_.empty() && end - length_ < kEntryBytes && heads.size() < kEntryRecordsMax) {
    Waiter& next = waiting_.front();
    const auto& head = next.record.head;
    const size_t bytes = next.record.data.size();
    if (!data.empty() && end - length_ + bytes > limits::kAppendRecordBytesMax) break;
    const auto known = requests_.find(head.writer, head.request);
    if (known) {
      next.file_offset = *known;
    } else if (!requests_.is_new(head.writer, head.request, next.record.first_tried)) {
      for (auto& respond : next.responders) answer_writer(respond, AppendRecordReply::kForgotten);
      next.responders.clear();
    } else if (is_full(end - length_ + bytes)) {
      draining_ = true;
      break;
    } else {
      next.file_offset = active_.block.file_offset + end;
      requests_.add(active_.ordinal, head, next.file_offset);
      heads.push_back(head);
      data.push_back(next.record.data);
      end += bytes;
    }
    waiting_bytes_ -= bytes;
    waiters.push_back(std::move(next));
    waiting_.pop_front();
  }
  if (draining_) refuse_waiting();
  if (heads.empty()) return answer_known(std::move(waiters));
  push_entry(chunk::encode_records({parts_.cluster, place_.block, place_.generation}, place_.epoch,
                                   length_, heads, data),
             end, std::move(waiters));
}

// Records that were stored before: by an entry that is committed, or with the last one under way.
void AppendPrimary::answer_known(std::vector<Waiter> waiters) {
  const bool under_way = committed_ < first_entry_ + entries_.size();
  for (Waiter& waiter : waiters) {
    if (waiter.responders.empty()) continue;
    if (under_way)
      entries_.back().waiters.push_back(std::move(waiter));
    else
      waiter.stored();
  }
}

void AppendPrimary::refuse_waiting() {
  for (Waiter& waiter : waiting_)
    for (auto& respond : waiter.responders) answer_writer(respond, AppendRecordReply::kClosed);
  waiting_.clear();
  waiting_bytes_ = 0;
}

void AppendPrimary::push_entry(Buffer bytes, uint64_t end, std::vector<Waiter> waiters) {
  entry_bytes_ += bytes.size();
  length_ = end;
  for (Waiter& waiter : waiters) waiter.record.data = {};
  entries_.push_back({std::move(bytes), end, std::move(waiters)});
  changed_.notify();
}

// --- Replicas ---

// Gives one replica the entries that it lacks, in order, as many at a time as have come together.
Task<> AppendPrimary::feed(std::shared_ptr<Replica> replica) {
  while (!closed_) {
    std::vector<Buffer> entries;
    size_t bytes = 0;
    for (uint64_t i = replica->stored - first_entry_; i < entries_.size() && bytes < kStoreBytes;
         bytes += entries_[i++].bytes.size())
      entries.push_back(entries_[i].bytes);
    if (entries.empty()) {
      replica->last_progress = parts_.env.now();
      co_await changed_.wait();
      continue;
    }
    const size_t count = entries.size();
    auto stored = co_await store(*replica, std::move(entries));
    if (closed_) co_return;  // what was under way is nobody's any more
    if (stored) {
      replica->stored += count;
      replica->last_progress = parts_.env.now();
      advance();
      continue;
    }
    const bool transient =
        stored.error().is(Code::kUnavailable) || stored.error().is(Code::kUnknown);
    const Duration since = parts_.env.now() - replica->last_progress;
    if (!transient || since >= parts_.limits.replica_lag)
      close(fmt::format("replica {} at node {}: {}", replica->shard.index, replica->shard.node,
                        stored.error()));
    if (!closed_) co_await parts_.env.sleep(kStorePause);
  }
}

Task<Result<void>> AppendPrimary::store(Replica& replica, std::vector<Buffer> entries) {
  if (replica.shard.node == parts_.node) return store_here(std::move(entries), replica.stored == 0);
  return store_there(replica, std::move(entries));
}

chunk::AppendOrigin AppendPrimary::origin() const {
  return {.identity = {parts_.cluster, {place_.block, 0, place_.generation}},
          .epoch = place_.epoch,
          .activation = activation_,
          .ordinal = active_.ordinal,
          .file_offset = active_.block.file_offset};
}

// A log that is gone, with its disk, is never begun anew: it would seem to have all it ever had.
Task<Result<void>> AppendPrimary::store_here(std::vector<Buffer> entries, bool beginning) {
  CO_TRY(log, beginning ? co_await parts_.logs.find_or_create(origin(), active_.capacity)
                        : co_await parts_.logs.find(origin().identity.name));
  co_return co_await log->append(std::move(entries), place_.epoch, activation_);
}

Task<Result<void>> AppendPrimary::store_there(Replica& replica, std::vector<Buffer> entries) {
  const auto address = Address::parse(replica.shard.address);
  if (!address) co_return fail(Code::kInvalid, "\"{}\" is no address", replica.shard.address);
  proto::AppendStoreRequest request;
  *request.mutable_replica() =
      append_replica(place_.block, place_.generation, replica.shard.index, replica.shard.node);
  request.set_epoch(place_.epoch.value);
  request.set_activation(activation_);
  request.set_ordinal(active_.ordinal);
  request.set_file_offset(active_.block.file_offset);
  CO_TRY_VOID(co_await parts_.rpc.call<proto::AppendStoreReply>(
      *address, rpc::Method::kAppendStore, std::move(request), kStoreLimit, Buffer::join(entries)));
  co_return Result<void>();
}

// Commits what a quorum has. Planted bugs, M36: what this server has; M106: likewise, while no
// block before has a record of the file, as of packs.
void AppendPrimary::advance() {
  std::vector<uint64_t> stored;
  for (const auto& replica : replicas_) stored.push_back(replica->stored);
  std::ranges::sort(stored, std::greater());
  const bool alone = MUTANT("M36") || (active_.first && MUTANT("M106"));
  const size_t quorum = alone ? 1 : metadata::append_quorum(stored.size());
  const uint64_t everywhere = stored.back();
  for (; committed_ < stored[quorum - 1]; ++committed_) {
    Entry& entry = entries_[committed_ - first_entry_];
    committed_length_ = entry.end;
    for (Waiter& waiter : entry.waiters) waiter.stored();
    entry.waiters.clear();
  }
  while (first_entry_ < everywhere) {
    entry_bytes_ -= entries_.front().bytes.size();
    entries_.pop_front();
    ++first_entry_;
  }
  changed_.notify();
}

// --- The end ---

Task<Result<uint64_t>> AppendPrimary::committed_length(std::shared_ptr<AppendPrimary> self) {
  while (!self->closed_ && !self->activated_) co_await self->changed_.wait();
  if (self->closed_)
    co_return fail(Code::kPrecondition, "block {} is not open here", self->place_.block);
  co_return self->committed_length_;
}

Task<> AppendPrimary::watch() {
  while (!closed_) {
    co_await parts_.env.sleep(parts_.limits.replica_lag / 4);
    const Instant now = parts_.env.now();
    for (const auto& replica : replicas_) {
      const bool behind = replica->stored < first_entry_ + entries_.size();
      if (behind && now - replica->last_progress >= parts_.limits.replica_lag)
        close(fmt::format("replica {} at node {} lags", replica->shard.index, replica->shard.node));
    }
    if (now - last_record_ >= parts_.limits.idle) close("nobody appends");
  }
}

void AppendPrimary::close(const std::string& why) {
  if (closed_) return;
  parts_.env.log().info("append block {} is to be sealed: {}", place_.block, why);
  closed_ = true;
  refuse_waiting();
  // What was given to replicas may be stored: a responder that is dropped says so.
  entries_.clear();
  changed_.notify();
}

}  // namespace dogfs::nodes
