#pragma once
// AppendService: what a chunk server answers about append blocks, as a block's primary
// (append_primary.h) and as a replica of blocks whose primary is another. Owned by the chunk node,
// which registers it with its rpc server and runs run(); one thread.

#include <map>
#include <memory>

#include "core/chunk/append_disks.h"
#include "core/env/event.h"
#include "core/rpc/message_codec.h"
#include "core/rpc/types.h"
#include "nodes/chunk/append_primary.h"

namespace dogfs::rpc {
class Server;
}
namespace dogfs::proto {
class AppendCatchUpReply;
class AppendCatchUpRequest;
class AppendEntriesReply;
class AppendEntriesRequest;
class AppendLengthReply;
class AppendLengthRequest;
class AppendReplica;
class AppendRequestsReply;
class AppendRequestsRequest;
class AppendSealReply;
class AppendSealRequest;
class AppendStoreReply;
class AppendStoreRequest;
}  // namespace dogfs::proto

namespace dogfs::nodes {

class AppendWorker;

class AppendService {
 public:
  // The worker hears of blocks that are to be sealed.
  AppendService(const AppendPrimary::Parts& parts, AppendWorker& worker);

  void register_with(rpc::Server& server);
  // Keeps the tasks of primaries; ends only by cancellation.
  Task<> run();

 private:
  template <class Message>
  using Answered = Task<Result<rpc::Answer<Message>>>;

  void record(rpc::Call call, rpc::Responder respond);
  std::shared_ptr<AppendPrimary> primary(const AppendPrimary::Place& place);
  Task<> lead(std::shared_ptr<AppendPrimary> primary);
  void forget_closed();

  Answered<proto::AppendLengthReply> length(proto::AppendLengthRequest request);
  Answered<proto::AppendStoreReply> store(proto::AppendStoreRequest request, Buffer entries);
  Answered<proto::AppendSealReply> seal(proto::AppendSealRequest request);
  Answered<proto::AppendCatchUpReply> catch_up(proto::AppendCatchUpRequest request);
  Answered<proto::AppendEntriesReply> entries(proto::AppendEntriesRequest request);
  Answered<proto::AppendRequestsReply> requests(proto::AppendRequestsRequest request);

  Result<chunk::ShardName> name_of(const proto::AppendReplica& replica) const;
  Task<Result<std::vector<Buffer>>> fetch(proto::AppendCatchUpRequest request, uint64_t offset);
  Task<> keep(Nursery& children);

  const AppendPrimary::Parts parts_;
  AppendWorker& worker_;
  Nursery* children_ = nullptr;  // while run() runs
  std::map<BlockId, std::shared_ptr<AppendPrimary>> primaries_;
};

}  // namespace dogfs::nodes
