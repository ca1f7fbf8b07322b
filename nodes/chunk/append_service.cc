#include "nodes/chunk/append_service.h"

#include "core/base/limits.h"
#include "core/env/env.h"
#include "core/env/nursery.h"
#include "core/proto/append.pb.h"
#include "core/rpc/client.h"
#include "core/rpc/server.h"
#include "nodes/chunk/append_worker.h"

namespace dogfs::nodes {
namespace {

constexpr Duration kFetchLimit = 5s;

}  // namespace

AppendService::AppendService(const AppendPrimary::Parts& parts, AppendWorker& worker)
    : parts_(parts), worker_(worker) {}

void AppendService::register_with(rpc::Server& server) {
  using rpc::Call;
  using rpc::Method;
  server.handle_directly(Method::kAppendRecord, [this](Call call, rpc::Responder respond) {
    record(std::move(call), std::move(respond));
  });
  server.handle<proto::AppendLengthRequest>(
      Method::kAppendLength,
      [this](proto::AppendLengthRequest request, Call) { return length(std::move(request)); });
  server.handle<proto::AppendStoreRequest>(Method::kAppendStore,
                                           [this](proto::AppendStoreRequest request, Call call) {
                                             return store(std::move(request), std::move(call.bulk));
                                           });
  server.handle<proto::AppendSealRequest>(
      Method::kAppendSeal,
      [this](proto::AppendSealRequest request, Call) { return seal(std::move(request)); });
  server.handle<proto::AppendCatchUpRequest>(
      Method::kAppendCatchUp,
      [this](proto::AppendCatchUpRequest request, Call) { return catch_up(std::move(request)); });
  server.handle<proto::AppendEntriesRequest>(
      Method::kAppendEntries,
      [this](proto::AppendEntriesRequest request, Call) { return entries(std::move(request)); });
  server.handle<proto::AppendRequestsRequest>(
      Method::kAppendRequests,
      [this](proto::AppendRequestsRequest request, Call) { return requests(std::move(request)); });
}

Task<> AppendService::run() {
  struct Leave {
    AppendService& service;
    ~Leave() { service.children_ = nullptr; }
  } leave{*this};
  co_await nursery(parts_.env, [this](Nursery& children) { return keep(children); });
}

Task<> AppendService::keep(Nursery& children) {
  children_ = &children;
  Event never(parts_.env);
  co_await never.wait();
}

// A server that took the place of another has not got what that one promised.
Result<chunk::ShardName> AppendService::name_of(const proto::AppendReplica& replica) const {
  const chunk::ShardName name{BlockId(replica.block()), replica.shard(),
                              Generation(replica.generation())};
  if (!name.block || !name.generation || name.shard >= limits::kShardsMax)
    return fail(Code::kInvalid, "no replica of an append block: {}", chunk::describe(name));
  if (replica.node() != parts_.node.value)
    return fail(Code::kPrecondition, "the log of {} is meant for node {}, this is node {}",
                chunk::describe(name), replica.node(), parts_.node);
  return name;
}

// --- Primary ---

void AppendService::record(rpc::Call call, rpc::Responder respond) {
  proto::AppendRecordRequest request;
  if (auto parsed = rpc::parse(call.message, request); !parsed)
    return respond(fail(std::move(parsed).error()));
  const auto name = name_of(request.primary());
  if (!name) return respond(fail(name.error()));
  if (call.bulk.empty() || call.bulk.size() > limits::kAppendRecordBytesMax)
    return respond(fail(Code::kInvalid, "a record of {} bytes: 1 to {} are allowed",
                        call.bulk.size(), limits::kAppendRecordBytesMax));
  const auto leader = primary({.file = {InodeId(request.home()), InodeId(request.file())},
                               .block = name->block,
                               .generation = name->generation,
                               .epoch = Epoch(request.epoch())});
  if (!leader) return respond(fail(Code::kPrecondition, "{} is another's", describe(*name)));
  leader->append({.head = {.writer = request.writer(),
                           .request = request.request(),
                           .acknowledged_below = request.acknowledged_below(),
                           .length = static_cast<uint32_t>(call.bulk.size())},
                  .first_tried = request.first_tried(),
                  .data = std::move(call.bulk)},
                 std::move(respond));
}

// Null when the block is known with another epoch, or none can be begun now.
std::shared_ptr<AppendPrimary> AppendService::primary(const AppendPrimary::Place& place) {
  const auto known = primaries_.find(place.block);
  if (known != primaries_.end()) return known->second->place() == place ? known->second : nullptr;
  if (children_ == nullptr) return nullptr;
  forget_closed();
  if (primaries_.size() >= 2 * limits::kAppendLogsMax) return nullptr;
  auto made = std::make_shared<AppendPrimary>(parts_, place);
  primaries_.emplace(place.block, made);
  children_->spawn(lead(made));
  return made;
}

// Those that are forgotten can be begun again, but the log entry that allowed them is not given
// twice.
void AppendService::forget_closed() {
  if (primaries_.size() < limits::kAppendLogsMax) return;
  std::erase_if(primaries_, [](const auto& each) { return each.second->closed(); });
}

Task<> AppendService::lead(std::shared_ptr<AppendPrimary> primary) {
  co_await AppendPrimary::run(primary);
  const AppendPrimary::Place& place = primary->place();
  worker_.add({.file = place.file,
               .block = place.block,
               .generation = place.generation,
               .kind = metadata::AppendTaskKind::kSeal});
}

AppendService::Answered<proto::AppendLengthReply> AppendService::length(
    proto::AppendLengthRequest request) {
  CO_TRY(name, name_of(request.primary()));
  const auto leader = primary({.file = {InodeId(request.home()), InodeId(request.file())},
                               .block = name.block,
                               .generation = name.generation,
                               .epoch = Epoch(request.epoch())});
  if (!leader) co_return fail(Code::kPrecondition, "block {} is not open here", name.block);
  rpc::Answer<proto::AppendLengthReply> answer;
  CO_TRY(length, co_await AppendPrimary::committed_length(leader));
  answer.message.set_length(length);
  co_return answer;
}

// --- Replica ---

AppendService::Answered<proto::AppendStoreReply> AppendService::store(
    proto::AppendStoreRequest request, Buffer bytes) {
  CO_TRY(name, name_of(request.replica()));
  CO_TRY(entries, chunk::split_entries(bytes));
  const chunk::AppendOrigin origin{.identity = {parts_.cluster, name},
                                   .epoch = Epoch(request.epoch()),
                                   .activation = request.activation(),
                                   .ordinal = request.ordinal(),
                                   .file_offset = request.file_offset()};
  // Whoever has lost what it promised does not begin anew.
  const bool beginning = !entries.empty() && chunk::peek_entry(entries.front().view())->kind ==
                                                 chunk::AppendEntryKind::kRequests;
  CO_TRY(log, beginning ? co_await parts_.logs.find_or_create(origin, limits::kBlockBytesMin)
                        : co_await parts_.logs.find(name));
  CO_TRY_VOID(co_await log->append(std::move(entries), origin.epoch, origin.activation));
  co_return rpc::Answer<proto::AppendStoreReply>{};
}

AppendService::Answered<proto::AppendSealReply> AppendService::seal(
    proto::AppendSealRequest request) {
  CO_TRY(name, name_of(request.replica()));
  // One that never heard of the block must refuse it, too, from now on.
  const chunk::AppendOrigin origin{.identity = {parts_.cluster, name},
                                   .epoch = {},
                                   .activation = 0,
                                   .ordinal = request.ordinal(),
                                   .file_offset = request.file_offset()};
  CO_TRY(log, co_await parts_.logs.find_or_create(origin, 0));
  rpc::Answer<proto::AppendSealReply> answer;
  CO_TRY(length, co_await log->seal(Epoch(request.epoch())));
  answer.message.set_length(length);
  answer.message.set_begun(log->origin().activation != 0 || log->entries() > 0);
  answer.message.set_damaged(log->damaged());
  co_return answer;
}

AppendService::Answered<proto::AppendCatchUpReply> AppendService::catch_up(
    proto::AppendCatchUpRequest request) {
  CO_TRY(name, name_of(request.replica()));
  CO_TRY(log, co_await parts_.logs.find(name));
  while (log->length() < request.length()) {
    const uint64_t before = log->length();
    CO_TRY(entries, co_await fetch(request, before));
    CO_TRY_VOID(co_await log->catch_up(std::move(entries)));
    if (log->length() == before)
      co_return fail(Code::kUnavailable, "the source of {} has no more than {} bytes",
                     chunk::describe(name), before);
  }
  rpc::Answer<proto::AppendCatchUpReply> answer;
  answer.message.set_length(log->length());
  co_return answer;
}

Task<Result<std::vector<Buffer>>> AppendService::fetch(proto::AppendCatchUpRequest request,
                                                       uint64_t offset) {
  const auto address = Address::parse(request.source_address());
  if (!address) co_return fail(Code::kInvalid, "the source has no address");
  proto::AppendEntriesRequest question;
  *question.mutable_replica() = request.source();
  question.set_offset(offset);
  CO_TRY(reply, co_await parts_.rpc.call<proto::AppendEntriesReply>(
                    *address, rpc::Method::kAppendEntries, std::move(question), kFetchLimit));
  co_return chunk::split_entries(reply.bulk);
}

AppendService::Answered<proto::AppendEntriesReply> AppendService::entries(
    proto::AppendEntriesRequest request) {
  CO_TRY(name, name_of(request.replica()));
  CO_TRY(log, co_await parts_.logs.find(name));
  CO_TRY(entries, co_await log->entries_from(request.offset()));
  rpc::Answer<proto::AppendEntriesReply> answer;
  answer.bulk = Buffer::join(entries);
  co_return answer;
}

AppendService::Answered<proto::AppendRequestsReply> AppendService::requests(
    proto::AppendRequestsRequest request) {
  CO_TRY(name, name_of(request.replica()));
  CO_TRY(log, co_await parts_.logs.find(name));
  if (log->length() < request.length())
    co_return fail(Code::kPrecondition, "{} has {} bytes, not {}", chunk::describe(name),
                   log->length(), request.length());
  CO_TRY(requests, co_await log->requests(request.length()));
  rpc::Answer<proto::AppendRequestsReply> answer;
  answer.bulk = Buffer::take(requests.encode());
  co_return answer;
}

}  // namespace dogfs::nodes
