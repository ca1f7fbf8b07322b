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

 private:
  LocalSource(Env& env, std::string path, std::shared_ptr<const Descriptor> file)
      : env_(env), path_(std::move(path)), file_(std::move(file)) {}

  Env& env_;
  std::string path_;
  std::shared_ptr<const Descriptor> file_;
  std::optional<uint64_t> size_;
  uint64_t offset_ = 0;
};

// A new regular file appears whole, by commit(), or not at all: until then its bytes are in a
// temporary file beside it, which goes when this object does. What is no regular file (a pipe, a
// device) is written to as bytes come.
class LocalSink final : public nodes::ByteSink {
 public:
  // `path` may be a directory: then the file is `name` in it. kNotFound: the directory; kDenied;
  // kInvalid.
  static Result<std::unique_ptr<LocalSink>> open(Env& env, const std::string& path,
                                                 const std::string& name);
  ~LocalSink() override;

  Task<Result<void>> write(Buffer bytes) override;
  Result<void> commit();
  std::string path() const { return path_.string(); }

 private:
  LocalSink(Env& env, std::filesystem::path path) : env_(env), path_(std::move(path)) {}
  Result<void> open_temporary();

  Env& env_;
  std::filesystem::path path_;
  std::filesystem::path temporary_;  // empty: none
  std::shared_ptr<const Descriptor> file_;
};

}  // namespace dogfs::tool
