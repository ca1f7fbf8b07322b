#include "core/namespace/state_machine.h"

#include "core/base/check.h"
#include "core/base/digest.h"
#include "core/namespace/appends.h"
#include "core/namespace/cluster.h"
#include "core/namespace/cluster_version.h"
#include "core/namespace/contents.h"
#include "core/namespace/damage.h"
#include "core/namespace/directories.h"
#include "core/namespace/files.h"
#include "core/namespace/garbage.h"
#include "core/namespace/import.h"
#include "core/namespace/known_blocks.h"
#include "core/namespace/layouts.h"
#include "core/namespace/packs.h"
#include "core/namespace/path.h"
#include "core/namespace/quota.h"
#include "core/namespace/sessions.h"
#include "core/namespace/tables.h"
#include "core/namespace/trash.h"
#include "core/namespace/uploads.h"

namespace dogfs::metadata {
namespace {

// Every answer gets the addresses of the moment: a server may have moved since the request was
// first applied, and a repeated request is answered from a row that holds none.
class AddressWriter {
 public:
  explicit AddressWriter(const placement::ClusterMap& map) : map_(map) {}

  void operator()(BlocksAllocated& reply) {
    for (PlacedBlock& block : reply.blocks) fill(block.shards);
  }
  void operator()(AppendOpened& reply) { fill(reply.block.shards); }
  void operator()(AppendActivated& reply) {
    fill(reply.block.shards);
    if (reply.previous) fill(reply.previous->holders);
  }
  void operator()(SealBegun& reply) { fill(reply.block.shards); }
  void operator()(ConversionBegun& reply) {
    fill(reply.log.holders);
    fill(reply.next.shards);
  }
  void operator()(auto&) {}

 private:
  void fill(std::vector<PlacedShard>& shards) {
    for (PlacedShard& shard : shards) {
      if (const auto* node = map_.find(shard.node)) shard.address = node->address;
    }
  }
  const placement::ClusterMap& map_;
};

Response execute(Tables& tables, const EntryContext& entry, const Operation& operation) {
  return std::visit([&](const auto& op) { return dogfs::metadata::apply(tables, entry, op); },
                    operation);
}

Response respond(Tables& tables, LogIndex index, const Command& command) {
  const bool create = std::holds_alternative<CreateCluster>(command.operation);
  if (!tables.created() && !create) {
    return fail(Code::kUnavailable, "the cluster is not created yet");
  }
  const uint32_t version = tables.created() ? tables.settings().settings.cluster_version : 0;
  const EntryContext entry{.index = index,
                           .wall = command.wall,
                           .client = command.client,
                           .asker = command.asker ? &*command.asker : nullptr};
  if (!leader_operation(command.operation)) {
    return apply_once(tables, command, [&]() -> Response {
      TRY_VOID(check_version(command, version));
      TRY_VOID(check_not_importing(tables, command.operation));
      return execute(tables, entry, command.operation);
    });
  }
  if (command.client) {
    return fail(Code::kInvalid, "{} is not an operation of a session",
                operation_name(command.operation));
  }
  TRY_VOID(check_version(command, version));
  TRY_VOID(check_not_importing(tables, command.operation));
  return execute(tables, entry, command.operation);
}

}  // namespace

StateMachine::StateMachine() : tables_(std::make_unique<Tables>()) {}
StateMachine::~StateMachine() = default;
StateMachine::StateMachine(StateMachine&&) noexcept = default;
StateMachine& StateMachine::operator=(StateMachine&&) noexcept = default;

Response StateMachine::apply(LogIndex index, const Command& command) {
  skip(index);
  Response response = respond(*tables_, index, command);
  if (response) std::visit(AddressWriter(tables_->map()), *response);
  return response;
}

void StateMachine::skip(LogIndex index) {
  CHECK(index > applied_, "entry {} applied after {}", index, applied_);
  applied_ = index;
}

uint64_t StateMachine::digest() const {
  return Digest().add(applied_.value).add(tables_->rows().digest()).value();
}

const placement::ClusterMap& StateMachine::cluster_map() const { return tables_->map(); }
const ClusterSettings& StateMachine::settings() const { return tables_->settings().settings; }
Counters StateMachine::counters() const { return tables_->counters(); }
bool StateMachine::removal_pending() const {
  return !tables_->settings().importing && !tables_->removals().empty();
}

bool StateMachine::trash_pending() const {
  return !tables_->settings().importing && metadata::trash_pending(*tables_);
}
uint64_t StateMachine::trash_clock() const { return tables_->settings().trash_clock; }

BlockId StateMachine::allocation_mark(Slot slot) const {
  return compose_id<BlockId>(slot, settings().incarnation, tables_->slot(slot).next_block);
}

}  // namespace dogfs::metadata
