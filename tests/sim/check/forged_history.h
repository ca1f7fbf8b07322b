#pragma once
// Forged: builds histories and logs by hand, one line per fact, for the tests of the oracles. Time
// advances by a millisecond with each fact.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/check/history.h"
#include "sim/check/linearizability.h"

namespace dogfs::sim {

class Forged {
 public:
  History history;
  std::vector<CommittedCommand> log;

  // Begins an operation; finish it with one of the next.
  size_t begin(Operation operation) {
    operation.began = tick();
    return history.begin(std::move(operation));
  }
  Operation& done(size_t number, uint64_t position) {
    return end(number, Outcome::kDone, position);
  }
  Operation& refused(size_t number, Code code, uint64_t position = 0) {
    Operation& operation = end(number, Outcome::kRefused, position);
    operation.code = code;
    return operation;
  }
  Operation& unknown(size_t number) { return end(number, Outcome::kUnknown, 0); }

  // A command of session 1; its request number is its position unless given. The upload that a
  // publication ends, unless it names one, was started just before.
  void commit(uint64_t position, metadata::Operation operation,
              std::optional<metadata::Response> response = {}, uint64_t request = 0) {
    if (auto* publish = std::get_if<metadata::Publish>(&operation);
        publish != nullptr && publish->file == metadata::FileHandle())
      publish->file = start_upload(0, publish->path);
    metadata::Command command{.client = ClientId(1),
                              .request = RequestId(request == 0 ? position : request),
                              .acknowledged_below = {},
                              .wall = {},
                              .operation = std::move(operation)};
    log.push_back({LogIndex(position), std::move(command),
                   response.value_or(metadata::Response(metadata::Done{}))});
  }

  metadata::FileHandle start_upload(uint64_t position, std::string path) {
    const metadata::FileHandle file{.home = InodeId(1), .file = InodeId(++uploads_)};
    metadata::UploadStarted started;
    started.file = file;
    commit(position, metadata::StartUpload{.path = std::move(path), .policy = {}}, started,
           1000 + uploads_);
    return file;
  }

  void create_cluster(uint64_t position, std::string_view policy, uint32_t inline_bytes = 0) {
    metadata::CreateCluster create;
    create.inline_bytes = inline_bytes;
    create.policy = *placement::Policy::parse(policy);
    log.push_back({LogIndex(position), {.operation = create}, metadata::Done{}});
  }
  void register_server(uint64_t position, uint32_t number) {
    metadata::RegisterNode announced;
    announced.kind = placement::NodeKind::kChunk;
    metadata::NodeRegistered registered;
    registered.node = NodeId(number);
    log.push_back({LogIndex(position), {.operation = announced}, registered});
  }

  // Whole operations that are in order.
  void put(std::string path, std::string_view bytes, uint64_t position) {
    const size_t number = begin({.act = Act::kPut, .path = path, .content = content_of(bytes)});
    commit(position, publish(path, bytes.size()));
    done(number, position);
  }
  // Of bytes that can be cut and joined: make_bytes(length, number). In blocks.
  void put_made(std::string path, uint64_t length, uint64_t number, uint64_t position) {
    Operation put{.act = Act::kPut, .path = path, .content = made(length, number)};
    put.number = number;
    const size_t begun = begin(put);
    commit(position, publish(path, length));
    done(begun, position);
  }
  static Content made(uint64_t length, uint64_t number) {
    return content_of(make_bytes(length, number).text());
  }
  void truncate(std::string path, uint64_t length, uint64_t position) {
    Operation cut{.act = Act::kTruncate, .path = path};
    cut.cut_to = length;
    const size_t number = begin(cut);
    commit(position, metadata::Truncate{.path = path, .length = length});
    done(number, position);
  }
  void concatenate(std::string path, std::vector<std::string> sources, uint64_t position) {
    Operation join{.act = Act::kConcatenate, .path = path};
    join.sources = sources;
    const size_t number = begin(join);
    commit(position, metadata::Concatenate{.path = path, .sources = sources});
    done(number, position);
  }
  void set_quota(std::string path, metadata::Quota quota, uint64_t position) {
    Operation set{.act = Act::kSetQuota, .path = path};
    set.quota = quota;
    const size_t number = begin(set);
    commit(position, metadata::SetQuota{.path = path, .quota = quota});
    done(number, position);
  }
  void set_mode(std::string path, uint16_t mode, uint64_t position) {
    Operation set{.act = Act::kSetAttributes, .path = path};
    set.change.mode = mode;
    const size_t number = begin(set);
    metadata::SetAttributes changes{.path = path};
    changes.mode = mode;
    commit(position, std::move(changes));
    done(number, position);
  }
  void set_labels(std::string path, std::vector<metadata::LabelChange> labels, uint64_t position) {
    Operation set{.act = Act::kSetAttributes, .path = path};
    set.change.labels = labels;
    const size_t number = begin(set);
    metadata::SetAttributes changes{.path = path};
    changes.labels = std::move(labels);
    commit(position, std::move(changes));
    done(number, position);
  }
  // Of a file: its length, and its id and changes.
  Operation& stat(std::string path, uint64_t length, metadata::FileVersion is, uint64_t position) {
    Operation& told = done(begin({.act = Act::kStat, .path = std::move(path)}), position);
    told.length = length;
    told.is = is;
    return told;
  }
  void get(std::string path, const Content& read, uint64_t position) {
    const size_t number = begin({.act = Act::kGet, .path = std::move(path)});
    done(number, position).read = read;
  }
  void rename(std::string from, std::string to, uint64_t position) {
    const size_t number = begin({.act = Act::kRename, .path = from, .to = to});
    commit(position, metadata::Rename{.from = from, .to = to});
    done(number, position);
  }
  void remove(std::string path, uint64_t position) {
    const size_t number = begin({.act = Act::kRemove, .path = path});
    commit(position, metadata::Remove{.path = path});
    done(number, position);
  }
  void make_directory(std::string path, uint64_t position) {
    const size_t number = begin({.act = Act::kMakeDirectory, .path = path});
    commit(position, metadata::MakeDirectory{.path = path});
    done(number, position);
  }
  void get(std::string path, std::string_view bytes, uint64_t position) {
    get(std::move(path), content_of(bytes), position);
  }

  static metadata::Operation publish(std::string path, uint64_t length) {
    return metadata::Publish{.file = {}, .epoch = {}, .path = std::move(path), .length = length};
  }

 private:
  Instant tick() { return now_ += 1ms; }
  Operation& end(size_t number, Outcome outcome, uint64_t position) {
    Operation& operation = history.at(number);
    operation.outcome = outcome;
    operation.position = LogIndex(position);
    operation.ended = tick();
    return operation;
  }
  Instant now_{};
  uint64_t uploads_ = 0;
};

// All that the check by commit position finds.
Violations judge_by_log(const Forged& forged);
// The breaches of linearizability among it; there must be none of exactly-once.
uint64_t linearizability_breaches(const Forged& forged);

}  // namespace dogfs::sim
