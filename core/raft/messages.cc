#include "core/raft/messages.h"

#include <fmt/ranges.h>

#include "core/raft/record.h"

namespace dogfs::raft {
namespace {

std::string describe_body(const VoteRequest& request) {
  return fmt::format("{}vote? last {}{}", request.pre_vote ? "pre-" : "", request.last,
                     request.transfer ? " transfer" : "");
}

std::string describe_body(const VoteReply& reply) {
  return fmt::format("{}vote {}", reply.pre_vote ? "pre-" : "", reply.granted ? "yes" : "no");
}

std::string round_suffix(ReadRound round) {
  return round ? fmt::format(" round {}", round) : std::string();
}

std::string describe_body(const AppendRequest& request) {
  std::string text = fmt::format("append after {}", request.previous);
  for (const Entry& entry : request.entries) {
    text += " " + describe(entry);
  }
  return text + fmt::format(" commit {}", request.commit) + round_suffix(request.read_round);
}

std::string describe_body(const AppendReply& reply) {
  std::string text = fmt::format("match {}", reply.match) + round_suffix(reply.read_round);
  if (reply.short_of_space) text += " short of space";
  if (!reply.rejection) return text;
  return fmt::format("reject after {} hint {}, ", reply.rejection->previous,
                     reply.rejection->hint) +
         text;
}

std::string describe_body(const TimeoutNow&) { return "campaign now"; }

}  // namespace

std::string describe(const Configuration& configuration) {
  std::string text;
  const auto list = [&](std::string_view name, const std::vector<Member>& members) {
    if (members.empty()) return;
    text += fmt::format("{}{} {}", text.empty() ? "" : " ", name, fmt::join(members, " "));
  };
  list("voters", configuration.voters);
  list("learners", configuration.learners);
  list("outgoing", configuration.outgoing);
  list("target", configuration.target);
  return text;
}

std::string describe(const Entry& entry) {
  const std::string position = fmt::format("{}", entry.position());
  if (entry.payload.empty()) return position;
  if (entry.kind != EntryKind::kConfiguration) {
    return position + fmt::format("'{}'", entry.payload.text());
  }
  const auto configuration = decode_configuration(entry.payload.view());
  return position + "[" + (configuration ? describe(*configuration) : "?") + "]";
}

std::string describe(const Message& message) {
  const Envelope& envelope = message.envelope;
  return fmt::format("{}->{} t{} ", envelope.from.node, envelope.to.node, envelope.term) +
         std::visit([](const auto& body) { return describe_body(body); }, message.body);
}

}  // namespace dogfs::raft
