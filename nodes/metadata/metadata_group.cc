#include "nodes/metadata/metadata_group.h"

#include "core/namespace/cluster_version.h"
#include "core/proto/namespace_codec.h"

namespace dogfs::nodes {

Result<void> MetadataGroup::check_version(const metadata::Command& command) const {
  auto allowed = metadata::check_version(command, state().settings().cluster_version);
  // Who has just been elected may have applied too little to know the version.
  const auto last = host_.core().log().term_at(host_.applied());
  if (!allowed && last != term())
    return fail(Code::kUnavailable,
                "the leader is new and does not know the cluster's version yet");
  return allowed;
}

Task<Result<Committed>> MetadataGroup::execute(metadata::Command command) {
  CO_TRY_VOID(check_version(command));
  command.wall = env_.wall_now();
  co_return co_await host_.propose(Buffer::take(proto::encode_command(command)));
}

void MetadataGroup::execute(std::string_view command, RaftHost::ProposalThen then) {
  host_.propose(Buffer::take(proto::stamped_command(command, env_.wall_now())), std::move(then));
}

Task<Result<metadata::Reply>> MetadataGroup::propose(metadata::Operation operation) {
  metadata::Command command;
  command.operation = std::move(operation);
  CO_TRY(committed, co_await execute(std::move(command)));
  CO_TRY(response, proto::decode_response(committed.reply.text()));
  co_return response;
}

Task<> MetadataGroup::leadership() {
  while (!leading()) co_await host_.role_changed().wait();
}

}  // namespace dogfs::nodes
