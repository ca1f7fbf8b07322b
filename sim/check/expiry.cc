#include "sim/check/expiry.h"

#include <algorithm>
#include <variant>

#include "core/base/limits.h"

namespace dogfs::sim {
namespace {

// Between a sign of life and the entry that it leads to, at most.
constexpr Duration kSlack = 5ms;

// The upload that a command is about, if it is about one that was there.
std::optional<metadata::FileHandle> upload_of(const CommittedCommand& committed) {
  return std::visit(
      [](const auto& operation) -> std::optional<metadata::FileHandle> {
        if constexpr (requires { operation.file.home; })
          return operation.file;
        else
          return std::nullopt;
      },
      committed.command.operation);
}

Duration scaled(Duration silence, int64_t ppm) {
  return Duration(silence.count() / 1'000'000 * (1'000'000 + ppm));
}

}  // namespace

void ExpiryJudge::appended(raft::LogPosition position, Instant when) {
  const uint64_t index = position.index.value;
  if (appended_.size() <= index) appended_.resize(index + 1);
  Appended& known = appended_[index];
  if (known.term < position.term) known = {position.term, when};
}

bool ExpiryJudge::knows(raft::LogPosition position) const {
  const auto known = find(position.index);
  return known && known->term == position.term;
}

std::optional<ExpiryJudge::Appended> ExpiryJudge::find(LogIndex index) const {
  if (index.value >= appended_.size() || !appended_[index.value].term) return std::nullopt;
  return appended_[index.value];
}

Instant ExpiryJudge::election(Term term) const {
  const auto found = elections_.find(term);
  return found == elections_.end() ? Instant{} : found->second;
}

void ExpiryJudge::judge(const std::vector<std::optional<raft::Entry>>& ledger,
                        const std::vector<CommittedCommand>& commands, const ExpiryRules& rules,
                        Violations& violations) {
  for (const CommittedCommand& committed : commands) {
    const size_t i = committed.position.value - 1;
    const auto appended = find(committed.position);
    const bool known =
        appended && i < ledger.size() && ledger[i] && ledger[i]->term == appended->term;
    if (!known) continue;  // nobody saw it led
    check_end(committed, *appended, rules, violations);
    note_signs(committed, *appended);
  }
}

void ExpiryJudge::note_signs(const CommittedCommand& committed, const Appended& appended) {
  const Sign sign{appended.term, appended.when};
  if (committed.command.client) clients_.insert_or_assign(committed.command.client, sign);
  if (committed.response)
    if (const auto* opened = std::get_if<metadata::ClientRegistered>(&*committed.response))
      clients_.insert_or_assign(opened->client, sign);
  if (const auto file = upload_of(committed)) uploads_.insert_or_assign(*file, sign);
  // A start that is repeated begins nothing and names no upload.
  if (committed.response)
    if (const auto* started = std::get_if<metadata::UploadStarted>(&*committed.response))
      uploads_.try_emplace(started->file, sign);
}

void ExpiryJudge::check_end(const CommittedCommand& committed, const Appended& appended,
                            const ExpiryRules& rules, Violations& violations) {
  if (!committed.response) return;
  const auto* session = std::get_if<metadata::ExpireSession>(&committed.command.operation);
  const auto* lease = std::get_if<metadata::ExpireLease>(&committed.command.operation);
  if (session == nullptr && lease == nullptr) return;
  ++(session != nullptr ? sessions_ended_ : leases_ended_);

  Instant since = election(appended.term);
  const auto hear = [&](const auto& signs, const auto& id) {
    const auto sign = signs.find(id);
    if (sign != signs.end() && sign->second.term == appended.term)
      since = std::max(since, sign->second.when);
  };
  session != nullptr ? hear(clients_, session->client) : hear(uploads_, lease->file);
  const Duration silence = session != nullptr ? rules.session_silence : rules.lease_silence;
  const Duration least = scaled(silence, -static_cast<int64_t>(rules.drift_ppm_max)) - kSlack;
  if (appended.when - since >= least) return;
  violations.add(Oracle::kExpiry, "{} at {} came {} ms after the last sign of life, not {} ms",
                 metadata::operation_name(committed.command.operation), committed.position,
                 to_ms(appended.when - since), to_ms(silence));
}

void ExpiryJudge::judge_overdue(const metadata::StateMachine& state, const ExpiryRules& rules,
                                Instant now, Violations& violations) const {
  if (elections_.empty()) return;
  const Instant leads_since = elections_.rbegin()->second;
  const auto silent_for = [&](const auto& signs, const auto& id) {
    const auto sign = signs.find(id);
    return now - (sign == signs.end() ? leads_since : std::max(leads_since, sign->second.when));
  };
  const auto most = [&](Duration silence) {
    return scaled(silence, static_cast<int64_t>(rules.drift_ppm_max)) + rules.ended_within;
  };
  for (const auto& upload : state.uploads({}, limits::kListPageMax))
    if (const Duration silent = silent_for(uploads_, upload.file);
        silent > most(rules.lease_silence))
      violations.add(Oracle::kExpiry, "upload {} has been silent for {} ms, and goes on",
                     upload.file.file, to_ms(silent));
  for (const auto& session : state.sessions({}, limits::kListPageMax))
    if (const Duration silent = silent_for(clients_, session.client);
        silent > most(rules.session_silence))
      violations.add(Oracle::kExpiry, "session {} has been silent for {} ms, and goes on",
                     session.client, to_ms(silent));
}

}  // namespace dogfs::sim
