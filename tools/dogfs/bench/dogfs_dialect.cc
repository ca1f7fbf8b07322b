#include "tools/dogfs/bench/dogfs_dialect.h"

#include "core/base/coding.h"
#include "core/proto/metadata.pb.h"
#include "core/proto/namespace_codec.h"
#include "core/rpc/handshake.h"
#include "core/rpc/message_codec.h"

namespace dogfs::tool {
namespace {

using rpc::FrameHeader;
using rpc::FrameType;

constexpr uint64_t kQuerySample = 16;  // one answer of so many is looked into
constexpr uint32_t kDeadlineMs = 10'000;
// Call ids: a slot in the low half, what makes it unique above. Registrations stand behind them.
constexpr uint64_t kSlotBits = 20;
constexpr uint64_t kRegistration = uint64_t{1} << (kSlotBits - 1);
constexpr uint64_t kSlotMask = (uint64_t{1} << kSlotBits) - 1;

void put_frame(FrameHeader header, std::string_view message, std::string& out) {
  header.message_bytes = static_cast<uint32_t>(message.size());
  header.body_crc = rpc::body_crc(as_bytes(message), {});
  const auto bytes = rpc::encode_header(header);
  out += as_text(bytes);
  out += message;
}

}  // namespace

DogfsDialect::DogfsDialect(std::unique_ptr<MetadataScript> script, uint32_t slots)
    : script_(std::move(script)),
      sessions_((slots + limits::kClientRequestsMax - 1) / limits::kClientRequestsMax),
      slots_(slots) {}

void DogfsDialect::greet(std::string& out) {
  const Buffer hello = rpc::encode_hello(rpc::Identity{}, limits::kConnectionWindowBytes);
  put_frame({.type = FrameType::kHello}, hello.text(), out);
}

bool DogfsDialect::ready() const { return greeted_ && registered_ == sessions_.size(); }

void DogfsDialect::send(uint64_t id, rpc::Method method, std::string_view message,
                        std::string& out) {
  put_frame({.type = FrameType::kRequest,
             .call = ++calls_ << kSlotBits | id,
             .method = static_cast<uint16_t>(method),
             .deadline_ms = kDeadlineMs},
            message, out);
}

void DogfsDialect::begin(uint32_t slot, std::string& out) { call(slot, script_->first(slot), out); }

void DogfsDialect::call(uint32_t slot, const MetadataScript::Call& next, std::string& out) {
  if (const auto* query = std::get_if<metadata::Query>(&next)) {
    slots_[slot].query = true;
    return send(slot, rpc::Method::kMetadataQuery, proto::encode_query({*query, std::nullopt}),
                out);
  }
  Session& session = session_of(slot);
  session.last = session.last.next();
  session.answered.push_back(false);
  slots_[slot] = {false, session.last};
  const metadata::Command command{.client = session.client,
                                  .request = session.last,
                                  .acknowledged_below = session.lowest,
                                  .wall = {},
                                  .operation = std::get<metadata::Operation>(next)};
  send(slot, rpc::Method::kMetadataExecute, proto::encode_command(command), out);
}

void DogfsDialect::settle(Session& session, RequestId request) {
  session.answered[request.value - session.lowest.value] = true;
  while (!session.answered.empty() && session.answered.front()) {
    session.answered.pop_front();
    session.lowest = session.lowest.next();
  }
}

Result<size_t> DogfsDialect::take(std::string_view in, std::string& out,
                                  std::vector<uint32_t>& ended) {
  size_t used = 0;
  while (in.size() - used >= rpc::kHeaderBytes) {
    const auto header = rpc::decode_header(as_bytes(in.substr(used)));
    if (!header) return fail(Code::kCorrupt, "{}", header.error().to_string());
    const size_t body_bytes = size_t{header->message_bytes} + header->bulk_bytes;
    if (in.size() - used < rpc::kHeaderBytes + body_bytes) break;
    const ByteView body = as_bytes(in.substr(used + rpc::kHeaderBytes, body_bytes));
    used += rpc::kHeaderBytes + body_bytes;
    if (rpc::body_crc(body, {}) != header->body_crc)
      return fail(Code::kCorrupt, "the checksum of an answer is wrong");
    TRY_VOID(answered(*header, body, out, ended));
  }
  if (owed_ >= limits::kConnectionWindowBytes / limits::kCreditReturnShare)
    put_frame({.type = FrameType::kCredit, .call = std::exchange(owed_, 0)}, {}, out);
  return used;
}

Result<void> DogfsDialect::answered(const FrameHeader& header, ByteView body, std::string& out,
                                    std::vector<uint32_t>& ended) {
  if (header.type == FrameType::kPing) put_frame({.type = FrameType::kPong}, {}, out);
  if (header.type == FrameType::kHelloReply) {
    greeted_ = true;
    const metadata::Command open{.client = {},
                                 .request = {},
                                 .acknowledged_below = {},
                                 .wall = {},
                                 .operation = metadata::RegisterClient{}};
    for (size_t i = 0; i < sessions_.size(); ++i)
      send(kRegistration | i, rpc::Method::kMetadataExecute, proto::encode_command(open), out);
  }
  if (header.type == FrameType::kGoodbye) return fail(Code::kClosed, "{}", as_text(body));
  if (header.type != FrameType::kResponse) return {};
  owed_ += rpc::frame_cost(header);
  if (header.code != 0)
    return fail(static_cast<Code>(header.code), "the server answered {}", as_text(body));
  proto::MetadataReply reply;
  if (!reply.ParseFromArray(body.data(), static_cast<int>(body.size())))
    return fail(Code::kCorrupt, "an answer of {} bytes is none", body.size());
  if (reply.has_redirect()) return fail(Code::kNotLeader, "the leader is another one now");
  const uint64_t place = header.call & kSlotMask;
  const auto slot = static_cast<uint32_t>(place & ~kRegistration);
  if ((place & kRegistration) == 0 && slots_[slot].query) {
    ended.push_back(slot);
    return check_sample(reply.body());
  }
  TRY(response, proto::decode_response(reply.body()));
  if (!response) return fail(response.error().in("the metadata"));
  if ((place & kRegistration) != 0) return registered(slot, *response);
  settle(session_of(slot), slots_[slot].request);
  TRY(next, script_->next(slot, *response));
  if (next)
    call(slot, *next, out);
  else
    ended.push_back(slot);
  return {};
}

// Long listings cost more to decode than to ask for.
Result<void> DogfsDialect::check_sample(std::string_view body) const {
  if (calls_ % kQuerySample != 0) return {};
  TRY(answer, proto::decode_answer(body));
  if (!answer) return fail(answer.error().in("the metadata"));
  return {};
}

Result<void> DogfsDialect::registered(size_t session, const metadata::Reply& reply) {
  const auto* client = std::get_if<metadata::ClientRegistered>(&reply);
  if (client == nullptr) return fail(Code::kCorrupt, "no session was opened");
  sessions_[session].client = client->client;
  ++registered_;
  return {};
}

}  // namespace dogfs::tool
