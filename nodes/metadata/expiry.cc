#include "nodes/metadata/expiry.h"

#include "core/base/mutation.h"

namespace dogfs::nodes {
namespace {

// How many sessions or uploads one page of a look covers.
constexpr size_t kPage = 256;

// The upload that an operation shows to be alive, if it is about one.
std::optional<metadata::FileHandle> upload_of(const metadata::Operation& operation) {
  return std::visit(
      [](const auto& op) -> std::optional<metadata::FileHandle> {
        if constexpr (requires { op.file.home; })
          return op.file;
        else
          return std::nullopt;
      },
      operation);
}

}  // namespace

// Planted bug M46: by the wall clock, which jumps.
Instant Expiry::now() const {
  if (MUTANT("M46")) return Instant(Duration(env_.wall_now().nanoseconds));
  return env_.now();
}

void Expiry::heard(const metadata::Command& command) {
  if (command.client) clients_[command.client] = now();
  if (const auto file = upload_of(command.operation)) uploads_[*file] = now();
}

Task<> Expiry::run() {
  for (;;) {
    co_await group_.leadership();
    clients_.clear();
    uploads_.clear();
    co_await watch(group_.term());
  }
}

Task<> Expiry::watch(Term term) {
  while (group_.leads(term)) {
    co_await expire_sessions(term);
    co_await expire_leases(term);
    co_await env_.sleep(options_.look_every);
  }
}

Task<> Expiry::expire_sessions(Term term) {
  std::map<ClientId, Instant> seen;
  for (ClientId after;;) {
    const auto page = group_.state().sessions(after, kPage);
    if (page.empty()) break;
    after = page.back().client;
    for (const auto& session : page) {
      // First seen after the election: its silence counts from now.
      const Instant heard = clients_.try_emplace(session.client, now()).first->second;
      if (now() - heard < options_.session_silence) {
        seen.emplace(session.client, heard);
        continue;
      }
      auto done = co_await group_.propose(metadata::ExpireSession{session.client, session.epoch});
      if (!done) env_.log().debug("expire session {}: {}", session.client, done.error());
      if (!group_.leads(term)) co_return;  // another leader may have heard those that follow
    }
  }
  for (const auto& [client, heard] : clients_)  // heard while this looked
    if (auto found = seen.find(client); found != seen.end()) found->second = heard;
  clients_ = std::move(seen);
}

Task<> Expiry::expire_leases(Term term) {
  std::map<metadata::FileHandle, Instant> seen;
  for (metadata::FileHandle after;;) {
    const auto page = group_.state().uploads(after, kPage);
    if (page.empty()) break;
    after = page.back().file;
    for (const auto& upload : page) {
      const Instant heard = uploads_.try_emplace(upload.file, now()).first->second;
      if (now() - heard < options_.lease_silence) {
        seen.emplace(upload.file, heard);
        continue;
      }
      env_.log().info("the writer of file {} is silent, its upload ends", upload.file.file);
      auto done = co_await group_.propose(metadata::ExpireLease{upload.file, upload.epoch});
      if (!done) env_.log().debug("expire lease: {}", done.error());
      if (!group_.leads(term)) co_return;
    }
  }
  for (const auto& [file, heard] : uploads_)
    if (auto found = seen.find(file); found != seen.end()) found->second = heard;
  uploads_ = std::move(seen);
}

}  // namespace dogfs::nodes
