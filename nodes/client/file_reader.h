#pragma once
// FileReader: one get. It asks where a range of a file is, which gives the bytes of an inline file;
// else it fetches pieces of its blocks ahead of
// the sink, ClientOptions::read_ahead bytes of them or two pieces (each a stripe at least), and
// gives them to the sink in order. Made for one get() and then thrown away. One thread.

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "core/env/event.h"
#include "core/env/task.h"
#include "nodes/client/block_check.h"
#include "nodes/client/block_reader.h"
#include "nodes/client/client.h"
#include "nodes/client/session.h"

namespace dogfs {
class Nursery;
}

namespace dogfs::nodes {

class FileReader {
 public:
  struct Parts {
    Env& env;
    rpc::Client& rpc;
    MetadataCalls& calls;
    Session& session;
    ServerHealth& health;
    const ClientOptions& options;
  };
  FileReader(const Parts& parts, ByteSink& sink, GetOptions options);
  ~FileReader();

  Task<Result<GetResult>> get(std::string path);

 private:
  // Bytes of one block that are fetched as a unit: some stripes of it.
  struct Piece {
    Piece(Env& env, std::shared_ptr<BlockReader> r, ec::ByteRange range_in_block)
        : reader(std::move(r)), range(range_in_block), done(env) {}
    uint64_t file_offset() const {
      return reader->block().file_offset + (range.offset - reader->block().block_offset);
    }
    std::shared_ptr<BlockReader> reader;
    ec::ByteRange range;
    std::optional<Result<BlockBytes>> bytes;
    Event done;
  };

  Task<Result<void>> locate(metadata::LocateQuery query);
  Task<Result<void>> find_tail();
  Task<Result<void>> locate_rest();
  Task<> copy(Nursery& children, Result<void>& copied);
  Task<Result<void>> copy_all(Nursery& children);
  Task<Result<void>> fetch_ahead(Nursery& children);
  Task<> fetch(std::shared_ptr<Piece> piece);
  enum class Relocated { kMoved, kWhereItWas, kFileChanged };
  Task<Relocated> relocate(Piece& piece);
  const metadata::LocatedBlock* place_of(const Piece& piece,
                                         const metadata::FileLocation& location) const;
  Task<Result<void>> deliver(Piece& piece);
  Task<Result<void>> deliver_content();
  Result<bool> next_piece();

  const Parts parts_;
  ByteSink& sink_;
  const GetOptions options_;
  metadata::FileLocation location_;             // of the part that was asked for last
  uint64_t contents_ = 0;                       // of the first answer: what is read
  size_t next_block_ = 0;                       // of location_
  uint64_t next_offset_ = 0;                    // of the file; what lies before was asked for
  uint64_t end_ = 0;                            // of the range
  std::optional<metadata::LocatedBlock> tail_;  // that was open, as long as it was
  std::shared_ptr<BlockReader> reader_;         // of the block that next_offset_ lies in
  std::deque<std::shared_ptr<Piece>> pieces_;   // asked for and not delivered
  uint64_t bytes_ahead_ = 0;
  BlockCheck check_;  // of what is delivered
  GetResult result_;
};

}  // namespace dogfs::nodes
