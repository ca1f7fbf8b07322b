#include "nodes/client/metadata_calls.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/mutation.h"
#include "core/proto/metadata.pb.h"
#include "core/rpc/client.h"

namespace dogfs::nodes {
namespace {

// Redirects that are followed without trying another server in between: a server that was cut off
// may name a leader of long ago, and two of them may name each other.
constexpr int kRedirectsMax = 3;

// A pause takes up to so great a part of the time waited so far: the search slows down as fast as
// any doubling would, and finds a new leader at most that much later than it could.
constexpr int kPauseShare = 4;

bool worth_another_try(Code code) {
  return code == Code::kUnavailable || code == Code::kUnknown || code == Code::kNotLeader ||
         code == Code::kDeadline || code == Code::kClosed;
}

}  // namespace

// The search for an answer to one request.
struct MetadataCalls::Search {
  Instant begun;
  Instant deadline;
  Instant refused_deadline;
  size_t next_server = 0;
  size_t tried = 0;  // servers, since the last pause
  int redirects = 0;
  int doubtful_attempts = 0;
  bool refused = true;  // nothing but refused connections so far
  std::optional<Address> redirect;
  std::optional<Address> silent;  // did not answer last
  Error last{Code::kUnavailable, "no metadata server was asked"};

  Instant end() const { return refused ? refused_deadline : deadline; }
};

MetadataCalls::MetadataCalls(Env& env, rpc::Client& rpc, MetadataCallOptions options)
    : env_(env), rpc_(rpc), options_(std::move(options)) {
  CHECK(!options_.servers.empty());
  first_server_ = env_.random().below(options_.servers.size());
}

Task<Result<MetadataAnswer>> MetadataCalls::ask(rpc::Method method, Buffer message,
                                                Duration limit) {
  Search search{.begun = env_.now(),
                .deadline = env_.now() + limit,
                .refused_deadline = env_.now() + std::min(limit, options_.refused_limit),
                .next_server = first_server_,
                .redirect = leader_};
  do {
    auto answer = co_await attempt(search, method, message);
    if (answer) co_return answer;
    const bool final = !worth_another_try(answer.error().code);
    if (final && search.doubtful_attempts == 0) co_return answer;
    search.last = std::move(answer).error();
    if (final) break;
    if (!search.redirect && search.tried >= options_.servers.size()) co_await pause(search);
  } while (env_.now() < search.end());
  co_return give_up(search, limit);
}

std::unexpected<Error> MetadataCalls::give_up(const Search& search, Duration limit) const {
  if (search.doubtful_attempts > 0)
    return fail(Code::kUnknown, "sent, but no metadata leader confirmed it within {} ms: {}",
                to_ms(limit), search.last.message);
  if (!search.refused)
    return fail(Code::kUnavailable, "no metadata leader answered within {} ms: {}", to_ms(limit),
                search.last.message);
  std::string reasons;
  for (const Address& server : options_.servers)
    if (const auto reason = rpc_.refusal(server))
      reasons += fmt::format("{}{}", reasons.empty() ? "" : "; ", *reason);
  return fail(Code::kUnavailable, "no metadata server is there: {}", reasons);
}

Task<Result<MetadataAnswer>> MetadataCalls::attempt(Search& search, rpc::Method method,
                                                    Buffer message) {
  const Address to = next_server(search);
  const Duration limit = std::min(options_.attempt_limit, search.deadline - env_.now());
  auto reply = co_await rpc_.call(to, method, std::move(message), limit);
  proto::MetadataReply body;
  Result<void> parsed = reply ? rpc::parse(reply->message, body) : fail(reply.error());
  if (!parsed) {
    // Planted bug M34: whoever was the leader once is asked again and again.
    if (MUTANT("M34") && leader_ == to) {
      search.redirect = leader_;
      co_await pause(search);
      co_return fail(std::move(parsed).error());
    }
    if (parsed.error().is(Code::kUnknown)) ++search.doubtful_attempts;
    search.refused = search.refused && rpc_.refusal(to);
    if (leader_ == to) leader_.reset();
    search.silent = to;
    first_server_ = search.next_server % options_.servers.size();  // not this one again
    co_return fail(std::move(parsed).error());
  }
  search.refused = false;
  if (body.has_redirect()) {
    if (leader_ == to) leader_.reset();
    redirected(search, body.redirect().address());
    co_return fail(Code::kNotLeader, "{} is not the leader{}", to.to_string(),
                   body.redirect().address().empty() ? " and knows of none" : "");
  }
  leader_ = to;
  co_return MetadataAnswer{.index = LogIndex(body.index()),
                           .body = Buffer::take(std::move(*body.mutable_body())),
                           .doubtful_attempts = search.doubtful_attempts};
}

Address MetadataCalls::next_server(Search& search) const {
  if (search.redirect) return *std::exchange(search.redirect, std::nullopt);
  search.redirects = 0;
  ++search.tried;
  return options_.servers[search.next_server++ % options_.servers.size()];
}

void MetadataCalls::redirected(Search& search, std::string_view address) {
  auto to = Address::parse(address);
  // Whoever did not answer just now is not asked again on hearsay alone.
  if (!to || *to == search.silent || ++search.redirects > kRedirectsMax) return;
  search.redirect = std::move(*to);
}

Task<> MetadataCalls::pause(Search& search) {
  const Duration waited = env_.now() - search.begun;
  const Duration most =
      std::clamp(waited / kPauseShare, options_.backoff_min, options_.backoff_max);
  const auto half = static_cast<uint64_t>(most.count()) / 2;
  const Instant until = env_.now() + Duration(env_.random().between(half, 2 * half));
  co_await env_.sleep_until(std::min(until, search.end()));
  search.tried = 0;
  search.silent.reset();
}

}  // namespace dogfs::nodes
