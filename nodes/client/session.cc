#include "nodes/client/session.h"

#include "core/base/limits.h"
#include "core/proto/namespace_codec.h"
#include "nodes/client/metadata_calls.h"

namespace dogfs::nodes {

// A change under way: its number, until its outcome is known or given up. What was given up counts
// as answered, so a copy that is still on its way will not be applied after a later request.
class Session::Request {
 public:
  Request(const Session& session, std::shared_ptr<Registered> registered)
      : shared_(session.shared_), asker_(session.asker_), registered_(std::move(registered)) {
    registered_->last_request = registered_->last_request.next();
    number_ = registered_->last_request;
    registered_->under_way.insert(number_);
    if (session.sent_) session.sent_(registered_->client, number_);
  }
  ~Request() {
    registered_->under_way.erase(number_);
    shared_->changed.notify();
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  Buffer encode(metadata::Operation operation) const {
    const metadata::Command command{.client = registered_->client,
                                    .request = number_,
                                    .acknowledged_below = *registered_->under_way.begin(),
                                    .wall = {},
                                    .operation = std::move(operation),
                                    .asker = asker_};
    return Buffer::take(proto::encode_command(command));
  }

 private:
  const std::shared_ptr<Shared> shared_;
  const std::optional<metadata::Asker> asker_;
  const std::shared_ptr<Registered> registered_;
  RequestId number_;
};

Session::Session(Env& env, MetadataCalls& calls, Duration limit,
                 std::optional<metadata::Asker> asker)
    : env_(env),
      calls_(calls),
      limit_(limit),
      asker_(std::move(asker)),
      shared_(std::make_shared<Shared>(env)) {}

Session::Session(const Session& other, RequestSent sent)
    : Session(other, std::move(sent), other.asker_) {}

Session Session::for_nobody(const Session& other) { return Session(other, {}, std::nullopt); }

Session::Session(const Session& other, RequestSent sent, std::optional<metadata::Asker> asker)
    : env_(other.env_),
      calls_(other.calls_),
      limit_(other.limit_),
      asker_(std::move(asker)),
      shared_(other.shared_),
      sent_(std::move(sent)) {}

Task<Result<void>> Session::open() {
  struct Leave {
    Shared& shared;
    ~Leave() {
      shared.opening = false;
      shared.changed.notify();
    }
  } leave{*shared_};
  shared_->opening = true;
  // Sent twice it opens two sessions, of which the unused one expires.
  const metadata::Command command{.client = {},
                                  .request = {},
                                  .acknowledged_below = {},
                                  .wall = {},
                                  .operation = metadata::RegisterClient{},
                                  .asker = {}};
  auto answer = co_await calls_.ask(rpc::Method::kMetadataExecute,
                                    Buffer::take(proto::encode_command(command)), limit_);
  if (!answer && answer.error().is(Code::kUnknown))
    co_return fail(Code::kUnavailable, "no session: {}", answer.error().message);
  if (!answer) co_return fail(std::move(answer).error());
  CO_TRY(response, proto::decode_response(answer->body.text()));
  if (!response) co_return fail(std::move(response).error());
  const auto* opened = std::get_if<metadata::ClientRegistered>(&*response);
  if (opened == nullptr)
    co_return fail(Code::kCorrupt, "the metadata server answered another question");
  shared_->registered = std::make_shared<Registered>();
  shared_->registered->client = opened->client;
  shared_->registered->inline_bytes = opened->inline_bytes;
  co_return Result<void>();
}

Task<Result<std::shared_ptr<Session::Registered>>> Session::registered() {
  for (;;) {
    while (shared_->opening) co_await shared_->changed.wait();
    if (!shared_->registered) {
      CO_TRY_VOID(co_await open());
    } else if (shared_->registered->under_way.size() < limits::kClientRequestsMax) {
      co_return shared_->registered;
    } else {
      co_await shared_->changed.wait();
    }
  }
}

Task<Result<uint32_t>> Session::inline_bytes() {
  CO_TRY(registered, co_await this->registered());
  co_return registered->inline_bytes;
}

void Session::note(LogIndex answered_at) {
  last_position_ = answered_at;
  ++answers_;
}

Task<Result<Session::At<metadata::Reply>>> Session::execute(metadata::Operation operation) {
  for (bool again = false;; again = true) {
    CO_TRY(registered, co_await this->registered());
    const Request request(*this, registered);
    auto answer =
        co_await calls_.ask(rpc::Method::kMetadataExecute, request.encode(operation), limit_);
    if (!answer) co_return fail(std::move(answer).error());
    note(answer->index);
    auto decoded = proto::decode_response(answer->body.text());
    if (!decoded) co_return fail(Code::kUnknown, "an answer that says {}", decoded.error().message);
    metadata::Response& response = *decoded;
    if (response) co_return At<metadata::Reply>{answer->index, std::move(*response)};
    if (!response.error().is(Code::kUnknown)) co_return fail(std::move(response).error());
    // The session has expired.
    if (shared_->registered == registered) shared_->registered.reset();
    if (again || answer->doubtful_attempts > 0) co_return fail(std::move(response).error());
  }
}

Task<Result<Session::At<metadata::Answer>>> Session::query(metadata::Query query) {
  auto answer =
      co_await calls_.ask(rpc::Method::kMetadataQuery,
                          Buffer::take(proto::encode_query({std::move(query), asker_})), limit_);
  // A question that may have been asked in vain changed nothing.
  if (!answer && answer.error().is(Code::kUnknown))
    co_return fail(Code::kUnavailable, "{}", answer.error().message);
  if (!answer) co_return fail(std::move(answer).error());
  note(answer->index);
  CO_TRY(response, proto::decode_answer(answer->body.text()));
  if (!response) co_return fail(std::move(response).error());
  co_return At<metadata::Answer>{answer->index, std::move(*response)};
}

}  // namespace dogfs::nodes
