#include "nodes/client/open_commands.h"

#include "core/proto/namespace_codec.h"
#include "nodes/client/metadata_calls.h"

namespace dogfs::nodes {

Task<Result<metadata::Reply>> execute_openly(MetadataCalls& calls, metadata::Operation operation,
                                             Duration limit) {
  const metadata::Command command{.client = {},
                                  .request = {},
                                  .acknowledged_below = {},
                                  .wall = {},
                                  .operation = std::move(operation),
                                  .asker = {}};
  auto answer = co_await calls.ask(rpc::Method::kMetadataExecute,
                                   Buffer::take(proto::encode_command(command)), limit);
  if (!answer && answer.error().is(Code::kUnknown))
    co_return fail(Code::kUnavailable, "{}", answer.error().message);
  if (!answer) co_return fail(std::move(answer).error());
  CO_TRY(response, proto::decode_response(answer->body.text()));
  co_return std::move(response);
}

}  // namespace dogfs::nodes
