#include "nodes/client/client.h"

#include <algorithm>

#include "core/env/env.h"
#include "core/env/nursery.h"
#include "core/namespace/path.h"
#include "core/proto/metadata.pb.h"
#include "core/proto/namespace_codec.h"
#include "core/rpc/client.h"
#include "nodes/client/append_tail.h"
#include "nodes/client/appender.h"
#include "nodes/client/file_reader.h"
#include "nodes/client/file_writer.h"
#include "nodes/client/metadata_calls.h"
#include "nodes/client/packer.h"
#include "nodes/client/server_health.h"
#include "nodes/client/session.h"

namespace dogfs::nodes {
namespace {

constexpr Duration kStatusLimit = 2s;

bool votes(const proto::MetadataStatusReply& reply) {
  return std::ranges::any_of(reply.members(), [&](const proto::MemberStatus& member) {
    return member.node() == reply.node() && member.store() == reply.store() && member.voter();
  });
}

Result<MetadataServerStatus> read_status(const Buffer& message) {
  proto::MetadataStatusReply reply;
  TRY_VOID(rpc::parse(message, reply));
  MetadataServerStatus status{.node = NodeId(reply.node()),
                              .role = reply.role(),
                              .term = Term(reply.term()),
                              .leader = NodeId(reply.leader().leader()),
                              .commit = LogIndex(reply.commit()),
                              .applied = LogIndex(reply.applied()),
                              .last = LogIndex(reply.last()),
                              .snapshot = LogIndex(reply.snapshot()),
                              .cluster = ClusterId(reply.cluster()),
                              .voter = votes(reply)};
  for (const auto& server : reply.disks()) {
    status.compacted_blocks += server.compacted().blocks();
    status.compacted_bytes += server.compacted().bytes();
    for (const auto& disk : server.disks())
      if (disk.failed())
        status.failed_disks.push_back({NodeId(server.node()), disk.name(), disk.failure()});
  }
  return status;
}

Task<Result<Changed>> change(Session& session, metadata::Operation operation) {
  CO_TRY(done, co_await session.execute(std::move(operation)));
  co_return Changed{done.position};
}

}  // namespace

struct Client::Parts {
  Parts(Env& e, ClientOptions o)
      : env(e),
        options(std::move(o)),
        rpc(env, {.cluster = options.cluster, .node = {}, .store = {}, .credentials = {}}),
        calls(env, rpc, {.servers = options.metadata, .refused_limit = options.refused_limit}) {}

  Task<> ask_status(MetadataServer& server);
  Task<> ask_all(Nursery& children, std::vector<MetadataServer>& servers);

  Env& env;
  const ClientOptions options;
  rpc::Client rpc;
  MetadataCalls calls;
  ServerHealth health;
  uint64_t copied_bytes = 0;
};

Client::Client(Env& env, ClientOptions options)
    : parts_(std::make_shared<Parts>(env, std::move(options))),
      session_(std::make_unique<Session>(parts_->env, parts_->calls,
                                         parts_->options.operation_limit, parts_->options.asker)),
      packer_(std::make_shared<Packer>(
          Packer::Parts{parts_->env, parts_->rpc, parts_->calls, parts_->options}, *session_)) {}

Client::Client(const Client& other, RequestSent sent)
    : parts_(other.parts_),
      session_(std::make_unique<Session>(*other.session_, std::move(sent))),
      packer_(other.packer_) {}

Client::~Client() = default;

Task<> Client::run() { return parts_->rpc.run(); }

LogIndex Client::last_position() const { return session_->last_position(); }

uint64_t Client::answers() const { return session_->answers(); }

uint64_t Client::copied_bytes() const {
  return parts_->copied_bytes + parts_->rpc.stats().copied_bytes;
}

Task<Result<PutResult>> Client::put(std::string path, ByteSource& source, PutOptions options) {
  CO_TRY_VOID(metadata::parse_path(path));
  Parts& p = *parts_;
  FileWriter writer({p.env, p.rpc, *session_, *packer_, p.health, p.options, p.copied_bytes},
                    source, std::move(options));
  co_return co_await writer.put(std::move(path));
}

Task<Result<GetResult>> Client::get(std::string path, ByteSink& sink, GetOptions options) {
  CO_TRY_VOID(metadata::parse_path(path));
  Parts& p = *parts_;
  FileReader reader({p.env, p.rpc, p.calls, *session_, p.health, p.options}, sink,
                    std::move(options));
  co_return co_await reader.get(std::move(path));
}

Task<Result<std::unique_ptr<Appender>>> Client::open_append(std::string path,
                                                            AppendOptions options) {
  CO_TRY_VOID(metadata::parse_path(path));
  Parts& p = *parts_;
  auto appender =
      std::make_unique<Appender>(Appender::Parts{p.env, p.rpc, p.calls, *session_, p.options},
                                 std::move(path), std::move(options));
  CO_TRY_VOID(co_await appender->open());
  co_return std::move(appender);
}

Task<Result<StatResult>> Client::stat(std::string path) {
  CO_TRY(found, co_await session_->query_for<metadata::Attributes>(metadata::StatQuery{path}));
  if (!found.value.appending) co_return StatResult{std::move(found.value), found.position};
  // Its end is for the last block's primary to say.
  Parts& p = *parts_;
  CO_TRY(located, co_await locate_with_tail(
                      {p.env, p.rpc, p.calls}, *session_,
                      {.path = std::move(path), .file = {}, .offset = UINT64_MAX, .length = 0},
                      p.options.operation_limit));
  found.value.length = located.second.length;
  co_return StatResult{std::move(found.value), located.first};
}

Task<Result<ListResult>> Client::list(std::string path, std::string after, size_t count) {
  const auto limit = static_cast<uint32_t>(std::min(count, limits::kListPageMax));
  CO_TRY(found, co_await session_->query_for<metadata::Listing>(
                    metadata::ListQuery{std::move(path), std::move(after), limit}));
  co_return ListResult{std::move(found.value), found.position};
}

Task<Result<Changed>> Client::make_directory(std::string path, bool parents,
                                             std::optional<placement::Policy> policy) {
  return change(*session_, metadata::MakeDirectory{std::move(path), parents, policy});
}

Task<Result<Changed>> Client::rename(std::string from, std::string to) {
  return change(*session_, metadata::Rename{std::move(from), std::move(to)});
}

Task<Result<Changed>> Client::remove(std::string path, bool recursive, bool forever) {
  return change(*session_, metadata::Remove{std::move(path), recursive, forever});
}

Task<Result<Changed>> Client::set_trash(uint64_t seconds) {
  return change(*session_, metadata::SetTrash{seconds});
}

Task<Result<Changed>> Client::set_attributes(metadata::SetAttributes changes) {
  return change(*session_, std::move(changes));
}

Task<Result<Changed>> Client::copy(std::string from, std::string to, bool overwrite) {
  using metadata::PublishCondition;
  return change(*session_, metadata::Copy{.from = std::move(from),
                                          .to = std::move(to),
                                          .condition = overwrite ? PublishCondition::kOverwrite
                                                                 : PublishCondition::kIfAbsent,
                                          .version = {}});
}

Task<Result<Changed>> Client::truncate(std::string path, uint64_t length) {
  return change(*session_, metadata::Truncate{std::move(path), length});
}

Task<Result<Changed>> Client::concatenate(std::string path, std::vector<std::string> sources,
                                          std::optional<uint64_t> at) {
  return change(*session_, metadata::Concatenate{std::move(path), std::move(sources), at});
}

Task<Result<Changed>> Client::set_layout(std::string path, metadata::Layout layout, bool inherit) {
  return change(*session_, metadata::SetLayout{std::move(path), layout, inherit});
}

Task<Result<Changed>> Client::set_quota(std::string path, metadata::Quota quota) {
  return change(*session_, metadata::SetQuota{std::move(path), quota});
}

Task<Result<UseResult>> Client::use(std::string path) {
  CO_TRY(found,
         co_await session_->query_for<metadata::DirectoryUse>(metadata::UseQuery{std::move(path)}));
  co_return UseResult{std::move(found.value), found.position};
}

Task<Result<ExportResult>> Client::export_namespace(RowSink& sink) {
  Parts& p = *parts_;
  ExportResult result;
  proto::ExportQuestion question;
  for (bool more = true; more;) {
    auto answer = co_await p.calls.ask(rpc::Method::kMetadataExport,
                                       Buffer::take(proto::encode_export(question)),
                                       p.options.operation_limit);
    if (!answer && (answer.error().is(Code::kNotFound) || answer.error().is(Code::kUnknown)))
      co_return fail(Code::kUnavailable, "{}", answer.error().message);
    if (!answer) co_return fail(std::move(answer).error());
    CO_TRY(part, proto::decode_export_part(answer->body.text()));
    more = part.more;
    question = {.id = part.id, .position = std::move(part.position)};
    result.rows += part.rows.size();
    CO_TRY_VOID(co_await sink.take(part.settings, std::move(part.rows)));
  }
  co_return result;
}

Task<Result<Changed>> Client::begin_import(metadata::BeginImport settings) {
  return change(*session_, std::move(settings));
}

Task<Result<Changed>> Client::import_rows(std::vector<metadata::ImportedRow> rows) {
  return change(*session_, metadata::ImportRows{std::move(rows)});
}

Task<Result<Changed>> Client::finish_import(uint64_t rows) {
  for (;;) {  // each entry checks a part: all of it at once would hold up the servers
    CO_TRY(done, co_await session_->execute(metadata::FinishImport{rows}));
    const auto* step = std::get_if<metadata::StepTaken>(&done.value);
    if (step == nullptr || !step->more) co_return Changed{done.position};
  }
}

Task<Result<ClusterStatus>> Client::cluster_status() {
  CO_TRY(status, co_await session_->query_for<metadata::ClusterStatus>(metadata::StatusQuery{}));
  CO_TRY(changes,
         co_await session_->query_for<placement::MapChanges>(metadata::MapQuery{MapVersion()}));
  ClusterStatus out{.settings = status.value.settings,
                    .counters = status.value.counters,
                    .file_bytes = status.value.file_bytes,
                    .map = {},
                    .position = status.position};
  out.map.merge(std::move(changes.value));
  co_return out;
}

Task<> Client::Parts::ask_status(MetadataServer& server) {
  auto reply = co_await rpc.call(server.address, rpc::Method::kMetadataStatus,
                                 rpc::serialize(proto::MetadataStatusRequest()), kStatusLimit);
  if (reply)
    server.status = read_status(reply->message);
  else
    server.status = fail(Code::kUnavailable, "{}", reply.error().message);
}

Task<> Client::Parts::ask_all(Nursery& children, std::vector<MetadataServer>& servers) {
  for (MetadataServer& server : servers) children.spawn(ask_status(server));
  co_await children.join();
}

Task<std::vector<MetadataServer>> Client::metadata_status() {
  std::vector<MetadataServer> servers;
  for (const Address& address : parts_->options.metadata)
    servers.push_back({address, fail(Code::kUnavailable, "it was not asked")});
  co_await nursery(parts_->env,
                   [&](Nursery& children) { return parts_->ask_all(children, servers); });
  co_return servers;
}

}  // namespace dogfs::nodes
