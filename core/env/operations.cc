#include "core/env/operations.h"

#include "core/base/check.h"

namespace dogfs {

Operations::~Operations() { CHECK(!alive_ || operations_.size() == free_.size()); }

OperationRef Operations::park(Completion completion, asio::cancellation_slot slot) {
  if (!alive_) return {};
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(operations_.size()));
    operations_.emplace_back();
  }
  const uint32_t index = free_.back();
  free_.pop_back();
  Operation& operation = operations_[index];
  operation.completion = std::move(completion);
  operation.slot = slot;
  operation.task = current_task_;
  operation.decided = false;
  const OperationRef op{index, operation.generation};
  if (slot.is_connected()) slot.assign([this, op](asio::cancellation_type) { cancel(op); });
  return op;
}

bool Operations::exists(OperationRef op) const {
  return alive_ && op.index < operations_.size() &&
         operations_[op.index].generation == op.generation;
}

bool Operations::pending(OperationRef op) const {
  return exists(op) && !operations_[op.index].decided;
}

void Operations::complete(OperationRef op, error_code result, size_t count) {
  if (!pending(op)) return;
  Operation& operation = operations_[op.index];
  // A decided operation can no longer be cancelled: its bytes are already taken.
  operation.slot.clear();
  operation.slot = {};
  operation.result = result;
  operation.count = count;
  operation.decided = true;
  schedule(op);
}

void Operations::cancel(OperationRef op) {
  if (!pending(op)) return;
  Operation& operation = operations_[op.index];
  operation.slot = {};  // not cleared: this runs inside the slot's own handler
  operation.result = asio::error::operation_aborted;
  operation.count = 0;
  operation.decided = true;
  schedule(op);
}

Operations::Completion Operations::take(OperationRef op) {
  Operation& operation = operations_[op.index];
  // Asio's later emit() would reach into the finished operation.
  operation.slot.clear();
  operation.slot = {};
  Completion completion = std::move(operation.completion);
  operation.completion = nullptr;
  ++operation.generation;
  free_.push_back(op.index);
  return completion;
}

void Operations::fire(OperationRef op) {
  if (!exists(op)) return;
  Operation& operation = operations_[op.index];
  const error_code result = operation.decided ? operation.result : error_code();
  const size_t count = operation.decided ? operation.count : 0;
  const TaskId task = operation.task;
  Completion completion = take(op);
  as_task(task, [&] { completion(result, count); });
}

void Operations::discard(OperationRef op) {
  if (exists(op)) take(op);
}

void Operations::destroy_task(TaskId task) {
  CHECK(!alive_);
  for (auto& operation : operations_) {
    if (operation.task != task || !operation.completion) continue;
    ++operation.generation;
    Completion completion = std::move(operation.completion);
    operation.completion = nullptr;
  }
}

void Operations::kill() {
  alive_ = false;
  for (auto& operation : operations_) {
    ++operation.generation;
    Completion completion = std::move(operation.completion);
    operation.completion = nullptr;
  }
  std::vector<Operation>().swap(operations_);
  std::vector<uint32_t>().swap(free_);
}

}  // namespace dogfs
