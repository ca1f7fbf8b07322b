#include "core/namespace/sessions.h"

#include "core/base/limits.h"

namespace dogfs::metadata {
namespace {

// Forgets the answers that the client has; a mark only rises, whatever order requests come in.
void acknowledge(Tables& tables, const Command& command, SessionRow& session) {
  if (command.acknowledged_below <= session.acknowledged_below) return;
  if (session.results > 0)
    session.results -= tables.erase_results(command.client, command.acknowledged_below);
  session.acknowledged_below = command.acknowledged_below;
}

// The answer of before, or a new one. The caller writes the session's row; while the command is
// executed it says what is there.
Response answer_once(Tables& tables, const Command& command, SessionRow& session,
                     const std::function<Response()>& execute) {
  if (session.results >= limits::kSessionResultsMax) {
    acknowledge(tables, command, session);
    tables.put(command.client, session);
  }
  if (session.results > 0) {
    if (auto before = tables.result(command.client, command.request)) return *std::move(before);
  }
  if (session.results >= limits::kSessionResultsMax) {
    return fail(Code::kUnavailable, "client {} has {} answers outstanding; acknowledge some first",
                command.client, session.results);
  }
  Response response = execute();
  tables.put(command.client, command.request, response);
  ++session.results;
  return response;
}

}  // namespace

Response apply(Tables& tables, const EntryContext& entry, const RegisterClient&) {
  if (tables.sessions().size() >= limits::kSessionsMax) {
    return fail(Code::kUnavailable, "{} clients have a session, no more can; try later",
                limits::kSessionsMax);
  }
  SettingsRow settings = tables.settings();
  const ClientId client(settings.next_client++);
  tables.put(settings);
  const SessionRow session{
      .epoch = Epoch(entry.index.value), .acknowledged_below = {}, .results = 0};
  tables.put(client, session);
  return ClientRegistered{.client = client,
                          .epoch = session.epoch,
                          .inline_bytes = tables.settings().settings.inline_bytes};
}

Response apply(Tables& tables, const EntryContext&, const ExpireSession& operation) {
  const auto session = tables.session(operation.client);
  if (!session) return fail(Code::kNotFound, "client {} has no session", operation.client);
  if (session->epoch != operation.epoch) {
    return fail(Code::kPrecondition, "the session of client {} is at epoch {}, not {}",
                operation.client, session->epoch, operation.epoch);
  }
  tables.erase_session(operation.client);
  return Done{};
}

Response apply_once(Tables& tables, const Command& command,
                    const std::function<Response()>& execute) {
  const auto found = tables.session(command.client);
  if (!found) {
    return fail(Code::kUnknown,
                "client {} has no session, it expired; whether request {} was "
                "applied is not known",
                command.client, command.request);
  }
  if (!command.request || command.acknowledged_below > command.request) {
    return fail(Code::kInvalid, "request {} cannot acknowledge all below {}", command.request,
                command.acknowledged_below);
  }
  if (command.request < found->acknowledged_below) {
    return fail(Code::kUnknown, "request {} lies below {}, which client {} has acknowledged",
                command.request, found->acknowledged_below, command.client);
  }
  SessionRow session = *found;
  Response response = answer_once(tables, command, session, execute);
  acknowledge(tables, command, session);
  if (session != *found) tables.put(command.client, session);
  return response;
}

}  // namespace dogfs::metadata
