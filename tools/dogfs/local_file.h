#pragma once
// Local files as the client's source and sink of bytes. Both do their work off the event loop, and
// own the file together with the jobs that use it. "-" is standard input or output, which may also
// be named by a pipe or a terminal: waiting for it never keeps the program from ending.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "nodes/client/byte_stream.h"

namespace dogfs {
class Env;
}

namespace dogfs::tool {

class Descriptor;

class LocalSource final : public nodes::ByteSource {
 public:
  // kNotFound, kDenied; kInvalid for a directory.
  static Result<std::unique_ptr<LocalSource>> open(Env& env, const std::string& path);

  // Of a regular file, as it was when opened.
  std::optional<uint64_t> size() const { return size_; }
  Task<Result<Buffer>> read(size_t max) override;

  const std::string& path() const { return path_; }
  // Of a regular file: reads on from there.
  Result<void> seek(uint64_t offset);
  // Of a regular file, as it was when opened: which it is, its size, and when it was changed, its
  // inode included. Text.
  const std::string& state() const { return state_; }
  bool is_unchanged() const;

 private:
  LocalSource(Env& env, std::string path, std::shared_ptr<const Descriptor> file)
      : env_(env), path_(std::move(path)), file_(std::move(file)) {}

  Env& env_;
  std::string path_;
  std::shared_ptr<const Descriptor> file_;
  std::optional<uint64_t> size_;
  std::string state_;
};

// A new regular file appears whole, by commit(), or not at all: until then its bytes are in a
// temporary file beside it, which goes when this object does. What is no regular file (a pipe, a
// device) is written to as bytes come. One that is opened to be continued keeps its temporary file
// when it is not committed, and goes on behind it the next time.
class LocalSink final : public nodes::ByteSink {
 public:
  // `path` may be a directory: then the file is `name` in it. kNotFound: the directory; kDenied;
  // kInvalid.
  static Result<std::unique_ptr<LocalSink>> open(Env& env, const std::string& path,
                                                 const std::string& name);
  // The same for a regular file, whose temporary file is named by `version` of what is stored: one
  // of another version is removed. kInvalid: it is no regular file; kUnavailable: somebody else is
  // at it.
  static Result<std::unique_ptr<LocalSink>> open_to_continue(Env& env, const std::string& path,
                                                             const std::string& name,
                                                             const std::string& version);
  ~LocalSink() override;

  Task<Result<void>> write(Buffer bytes) override;
  Result<void> commit();
  // What an earlier one has left in the temporary file.
  uint64_t begins_at() const { return begins_at_; }
  // The temporary file is of no use for later.
  void give_up() { kept_ = false; }
  std::string path() const { return path_.string(); }

 private:
  LocalSink(Env& env, std::filesystem::path path) : env_(env), path_(std::move(path)) {}
  // The file that is meant, in a directory or behind a link. kExists, kInvalid.
  static Result<std::filesystem::path> find_target(const std::string& path,
                                                   const std::string& name);
  Result<void> open_temporary();
  Result<void> open_partial(const std::string& version);
  Result<void> take_mode();

  Env& env_;
  std::filesystem::path path_;
  std::filesystem::path temporary_;  // empty: none
  bool kept_ = false;                // when it is not committed
  uint64_t begins_at_ = 0;
  std::shared_ptr<const Descriptor> file_;
};

}  // namespace dogfs::tool
