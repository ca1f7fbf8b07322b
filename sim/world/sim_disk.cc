#include "sim/world/sim_disk.h"

#include <map>
#include <optional>
#include <utility>

#include "sim/world/disk_image.h"
#include "sim/world/disk_model.h"

namespace dogfs::sim {
namespace {

using Content = DiskImage::Content;

// What becomes of an operation.
enum class Fate : uint8_t { kHappens, kMisdirected, kFails, kCutShort };

// One operation under way.
struct Request {
  DiskOperation operation;
  std::string path{};
  Content file{};  // null for operations on names
  uint64_t begin = 0;
  uint64_t end = 0;
  std::move_only_function<void(Fate, uint64_t mark)> act{};
  OperationRef op{};
  uint64_t mark = 0;  // what a sync covers
};

bool changes_length(DiskOperation operation) {
  return operation == DiskOperation::kTruncate || operation == DiskOperation::kSize;
}

// Whether the second, begun later, must happen later.
bool depends(const Request& first, const Request& second) {
  if (first.file != second.file) return false;
  if (!first.file)
    return first.operation != DiskOperation::kSpace && second.operation != DiskOperation::kSpace;
  if (first.operation == DiskOperation::kSync || second.operation == DiskOperation::kSync)
    return false;
  if (changes_length(first.operation) || changes_length(second.operation)) return true;
  if (first.operation == DiskOperation::kRead && second.operation == DiskOperation::kRead)
    return false;
  return first.begin < second.end && second.begin < first.end;
}

Error io_error(std::string_view what) {
  return Error{Code::kIo, fmt::format("{}: input/output error", what)};
}

DiskFault fault_of(DiskOperation operation) {
  switch (operation) {
    case DiskOperation::kRead: return DiskFault::kReadError;
    case DiskOperation::kWrite: return DiskFault::kWriteError;
    case DiskOperation::kSync: return DiskFault::kSyncError;
    default: return DiskFault::kMetadataError;
  }
}

}  // namespace

class SimDisk::Queue : public std::enable_shared_from_this<Queue> {
 public:
  Queue(Scheduler& scheduler, Operations& operations, DiskImage& image, DiskModel& model)
      : image(image),
        model(model),
        scheduler_(scheduler),
        operations_(operations),
        busy_until_(model.timing().parallelism) {}

  void begin(Request request);
  void kill();
  // A stall may have ended.
  void wake() { pump_at(scheduler_.now()); }
  Operations& operations() { return operations_; }

  DiskImage& image;
  DiskModel& model;

 private:
  using Turn = std::pair<Instant, uint64_t>;  // when, and in which order begun

  void pump_at(Instant when);
  void pump();
  void run_next();
  Fate draw_fate(const Request& request, bool failed);

  Scheduler& scheduler_;
  Operations& operations_;
  std::vector<Instant> busy_until_;
  std::map<Turn, Request> under_way_;
  uint64_t begun_ = 0;
  bool dead_ = false;
};

void SimDisk::Queue::begin(Request request) {
  if (dead_) return;
  Instant& busy = *std::ranges::min_element(busy_until_);
  const Instant start = std::max(scheduler_.now(), busy);
  Instant when =
      start + model.draw_cost(request.operation, request.end - request.begin, image.counts());
  for (const auto& [turn, other] : under_way_)
    if (depends(other, request)) when = std::max(when, turn.first + Duration(1));
  busy = when;
  request.mark = request.file ? image.sync_mark(request.file) : image.directory_mark();
  under_way_.emplace(Turn(when, begun_++), std::move(request));
  pump_at(when);
}

void SimDisk::Queue::pump_at(Instant when) {
  if (when == kNever) return;
  scheduler_.after(when - scheduler_.now(), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->pump();
  });
}

void SimDisk::Queue::pump() {
  const auto self = shared_from_this();  // a trap may end the process
  while (!dead_ && !under_way_.empty() && under_way_.begin()->first.first <= scheduler_.now()) {
    if (!operations_.alive()) return kill();
    if (model.stalled_until() > scheduler_.now()) {
      image.counts().take_effect(DiskFault::kStall);
      return pump_at(model.stalled_until());
    }
    run_next();
  }
}

void SimDisk::Queue::run_next() {
  const bool passed = model.spring_trap();
  if (dead_ || under_way_.empty()) return;
  Request request = std::move(under_way_.begin()->second);
  under_way_.erase(under_way_.begin());
  // Cancelled, but perhaps it was too late for that.
  if (!operations_.pending(request.op) && model.random().chance(1, 2)) return;
  request.act(draw_fate(request, !passed), request.mark);
  operations_.complete(request.op, {});
}

Fate SimDisk::Queue::draw_fate(const Request& request, bool failed) {
  if (model.is_dead(request.path)) {
    if (operations_.pending(request.op)) image.counts().take_effect(DiskFault::kDeadDisk);
    return Fate::kFails;
  }
  const DiskModel::Fate drawn = model.draw_fate(request.operation);
  if (failed || !drawn.happens) {
    image.counts().inject(fault_of(request.operation));
    if (operations_.pending(request.op)) image.counts().take_effect(fault_of(request.operation));
    return Fate::kFails;
  }
  return drawn.misdirected ? Fate::kMisdirected : Fate::kHappens;
}

void SimDisk::Queue::kill() {
  if (std::exchange(dead_, true)) return;
  for (auto& [turn, request] : std::exchange(under_way_, {})) {
    if (model.random().chance(1, 2)) continue;
    const bool whole = request.operation != DiskOperation::kWrite || model.random().chance(1, 2);
    request.act(whole ? Fate::kHappens : Fate::kCutShort, request.mark);
  }
}

namespace {

using Queue = SimDisk::Queue;

template <class T, class Act>
Task<Result<T>> perform(std::shared_ptr<Queue> queue, Request request, Act act) {
  // Shared: the frame may die before the operation happens.
  auto result = std::make_shared<std::optional<Result<T>>>();
  request.act = [result, act = std::move(act)](Fate fate, uint64_t mark) mutable {
    result->emplace(act(fate, mark));
  };
  co_await suspend(queue->operations(), [&](OperationRef op) {
    request.op = op;
    queue->begin(std::move(request));
  });
  co_return std::move(**result);
}

// Operations on names happen or fail as a whole.
template <class T, class Act>
Task<Result<T>> perform_on_names(std::shared_ptr<Queue> queue, DiskOperation operation,
                                 std::string path, Act act) {
  return perform<T>(
      queue, Request{.operation = operation, .path = path},
      [path = std::move(path), act = std::move(act)](Fate fate, uint64_t mark) -> Result<T> {
        if (fate == Fate::kFails) return fail(io_error(path));
        return act(mark);
      });
}

class SimFile final : public File {
 public:
  SimFile(std::shared_ptr<Queue> queue, Content content, std::string path, OpenMode mode)
      : queue_(std::move(queue)),
        content_(std::move(content)),
        path_(std::move(path)),
        writable_(mode != OpenMode::kRead) {}

  Task<Result<Buffer>> read(uint64_t offset, size_t length) override;
  Task<Result<void>> write(uint64_t offset, Buffer bytes) override;
  Task<Result<void>> sync() override;
  Task<Result<void>> truncate(uint64_t size) override;
  Task<Result<uint64_t>> size() override;

 private:
  Task<Result<void>> refuse_change() {
    co_return fail(Code::kIo, "{} is open for reading only", path_);
  }

  std::shared_ptr<Queue> queue_;
  Content content_;
  std::string path_;
  bool writable_;
};

Task<Result<Buffer>> SimFile::read(uint64_t offset, size_t length) {
  return perform<Buffer>(queue_,
                         Request{.operation = DiskOperation::kRead,
                                 .path = path_,
                                 .file = content_,
                                 .begin = offset,
                                 .end = offset + length},
                         [queue = queue_, file = content_, path = path_, offset, length](
                             Fate fate, uint64_t) -> Result<Buffer> {
                           if (fate == Fate::kFails) return fail(io_error(path));
                           if (file->has_dropped_pages() && queue->model.random().chance(1, 4))
                             queue->image.evict(file);
                           auto read = queue->image.read(file, offset, length);
                           if (!read) return fail(read.error().in(path));
                           return read;
                         });
}

// A failed or interrupted write leaves some of its bytes; says how many.
Result<size_t> write_some(Queue& queue, const Content& file, uint64_t offset, const Buffer& bytes) {
  const size_t count = queue.model.random().below(bytes.size() + 1);
  TRY_VOID(queue.image.write(file, offset, bytes.slice(0, count)));
  return count;
}

Result<void> cut_short(Queue& queue, const Content& file, uint64_t offset, const Buffer& bytes) {
  TRY(count, write_some(queue, file, offset, bytes));
  if (count > 0 && count < bytes.size()) queue.image.counts().happen(DiskFault::kTornWrite);
  return {};
}

Task<Result<void>> SimFile::write(uint64_t offset, Buffer bytes) {
  if (!writable_) return refuse_change();
  Request request{.operation = DiskOperation::kWrite,
                  .path = path_,
                  .file = content_,
                  .begin = offset,
                  .end = offset + bytes.size()};
  return perform<void>(queue_, std::move(request),
                       [queue = queue_, file = content_, path = path_, offset, bytes](
                           Fate fate, uint64_t) -> Result<void> {
                         Result<void> written;
                         switch (fate) {
                           case Fate::kHappens:
                             written = queue->image.write(file, offset, bytes);
                             break;
                           case Fate::kMisdirected:
                             written = queue->image.write_misdirected(file, offset, bytes,
                                                                      queue->model.random());
                             break;
                           case Fate::kCutShort:
                             written = cut_short(*queue, file, offset, bytes);
                             break;
                           case Fate::kFails: (void)write_some(*queue, file, offset, bytes); break;
                         }
                         if (fate == Fate::kFails) return fail(io_error(path));
                         if (!written) return fail(written.error().in(path));
                         return {};
                       });
}

Task<Result<void>> SimFile::sync() {
  return perform<void>(
      queue_, Request{.operation = DiskOperation::kSync, .path = path_, .file = content_},
      [queue = queue_, file = content_, path = path_](Fate fate, uint64_t mark) -> Result<void> {
        if (fate == Fate::kHappens) {
          queue->image.sync(file, mark);
          return {};
        }
        queue->image.fail_sync(file, mark, queue->model.random());
        return fail(io_error(path));
      });
}

Task<Result<void>> SimFile::truncate(uint64_t size) {
  if (!writable_) return refuse_change();
  return perform<void>(
      queue_, Request{.operation = DiskOperation::kTruncate, .path = path_, .file = content_},
      [queue = queue_, file = content_, path = path_, size](Fate fate, uint64_t) -> Result<void> {
        if (fate == Fate::kFails) return fail(io_error(path));
        return queue->image.truncate(file, size);
      });
}

Task<Result<uint64_t>> SimFile::size() {
  return perform<uint64_t>(
      queue_, Request{.operation = DiskOperation::kSize, .path = path_, .file = content_},
      [file = content_, path = path_](Fate fate, uint64_t) -> Result<uint64_t> {
        if (fate == Fate::kFails) return fail(io_error(path));
        return file->size();
      });
}

}  // namespace

SimDisk::SimDisk(Scheduler& scheduler, Operations& operations, DiskImage& image, DiskModel& model)
    : queue_(std::make_shared<Queue>(scheduler, operations, image, model)) {
  model.set_listener([weak = std::weak_ptr(queue_)] {
    if (const auto queue = weak.lock()) queue->wake();
  });
}

SimDisk::~SimDisk() { kill(); }

void SimDisk::kill() { queue_->kill(); }

Task<Result<std::unique_ptr<File>>> SimDisk::open(std::string path, OpenMode mode) {
  using Opened = std::unique_ptr<File>;
  return perform_on_names<Opened>(
      queue_, DiskOperation::kOpen, path, [queue = queue_, path, mode](uint64_t) -> Result<Opened> {
        TRY(content, queue->image.open(path, mode));
        return std::make_unique<SimFile>(queue, std::move(content), path, mode);
      });
}

Task<Result<void>> SimDisk::rename(std::string from, std::string to) {
  return perform_on_names<void>(
      queue_, DiskOperation::kRename, from,
      [queue = queue_, from, to](uint64_t) { return queue->image.rename(from, to); });
}

Task<Result<void>> SimDisk::remove(std::string path) {
  return perform_on_names<void>(
      queue_, DiskOperation::kRemove, path,
      [queue = queue_, path](uint64_t) { return queue->image.remove(path); });
}

Task<Result<std::vector<DirectoryEntry>>> SimDisk::list(std::string directory) {
  return perform_on_names<std::vector<DirectoryEntry>>(
      queue_, DiskOperation::kList, directory,
      [queue = queue_, directory](uint64_t) { return queue->image.list(directory); });
}

Task<Result<void>> SimDisk::make_directory(std::string path) {
  return perform_on_names<void>(
      queue_, DiskOperation::kMakeDirectory, path,
      [queue = queue_, path](uint64_t) { return queue->image.make_directory(path); });
}

Task<Result<void>> SimDisk::sync_directory(std::string directory) {
  return perform_on_names<void>(queue_, DiskOperation::kSyncDirectory, directory,
                                [queue = queue_, directory](uint64_t mark) {
                                  return queue->image.sync_directory(directory, mark);
                                });
}

Task<Result<Space>> SimDisk::space() {
  return perform_on_names<Space>(
      queue_, DiskOperation::kSpace, "",
      [queue = queue_](uint64_t) -> Result<Space> { return queue->image.space(); });
}

}  // namespace dogfs::sim
