#include "nodes/metadata/metadata_group.h"

#include "core/proto/namespace_codec.h"

namespace dogfs::nodes {

Task<Result<Committed>> MetadataGroup::execute(metadata::Command command) {
  command.wall = env_.wall_now();
  return host_.propose(Buffer::take(proto::encode_command(command)));
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
