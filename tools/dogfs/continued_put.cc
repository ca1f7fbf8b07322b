#include "tools/dogfs/continued_put.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/base/sha256.h"
#include "tools/dogfs/destination.h"
#include "tools/dogfs/local_file.h"

namespace dogfs::tool {
namespace {

constexpr const char* kPartSuffix = ".dogfs-part";
constexpr size_t kListed = 1000;
constexpr size_t kDigestBytes = 16;

std::string digest_of(const std::string& text) {
  return Sha256::of(text).text().substr(0, 2 * kDigestBytes);
}

bool all_hexadecimal(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// What follows ".NAME." in the name of a part or a piece: a digest, the suffix, and perhaps a dot
// and an offset.
bool is_part(std::string_view text) {
  const std::string_view suffix = kPartSuffix;
  const size_t digits = 2 * kDigestBytes;
  if (text.size() < digits + suffix.size() || !all_hexadecimal(text.substr(0, digits)))
    return false;
  text.remove_prefix(digits);
  if (!text.starts_with(suffix)) return false;
  text.remove_prefix(suffix.size());
  return text.empty() || (text.size() > 1 && text[0] == '.' && all_hexadecimal(text.substr(1)));
}

// The next so many bytes of another source.
class Piece final : public nodes::ByteSource {
 public:
  Piece(LocalSource& whole, uint64_t bytes) : whole_(whole), left_(bytes) {}

  Task<Result<Buffer>> read(size_t max) override {
    if (left_ == 0) co_return Buffer();
    CO_TRY(bytes, co_await whole_.read(static_cast<size_t>(std::min<uint64_t>(max, left_))));
    left_ -= bytes.size();
    co_return bytes;
  }

 private:
  LocalSource& whole_;
  uint64_t left_;
};

// One put. Nothing of it is kept here but what the cluster has: the part, as far as it goes.
class Further {
 public:
  Further(nodes::Client& client, LocalSource& source, std::string path, uint64_t piece_bytes,
          nodes::PutOptions options)
      : client_(client),
        source_(source),
        path_(std::move(path)),
        piece_bytes_(piece_bytes),
        options_(std::move(options)),
        moved_(options_.progress),
        size_(*source.size()),
        directory_(path_.substr(0, path_.rfind('/'))),
        begin_("." + last_name(path_) + "."),
        part_(directory_ + "/" + begin_ + digest_of(source.state()) + kPartSuffix) {}

  Task<Result<ContinuedPut>> run() {
    CO_TRY_VOID(co_await remove_others());
    CO_TRY(there, co_await length());
    done_.begun_at = there.value_or(0);
    for (;;) {
      if (there.value_or(0) > size_)
        co_return fail(Code::kCorrupt, "{} is longer than what it is a part of", part_);
      if (there == size_) break;
      CO_TRY_VOID(co_await add(there));
      CO_TRY(longer, co_await length());
      there = longer;
    }
    CO_TRY_VOID(co_await publish());
    done_.bytes = size_;
    co_return done_;
  }

 private:
  // Of the part; nothing: there is none.
  Task<Result<std::optional<uint64_t>>> length() {
    auto found = co_await client_.stat(part_);
    if (!found && found.error().is(Code::kNotFound)) co_return std::nullopt;
    if (!found) co_return fail(std::move(found).error());
    file_ = found->attributes.id;
    co_return found->attributes.length;
  }

  Task<Result<void>> publish() {
    auto renamed = co_await client_.rename(part_, path_);
    if (renamed) co_return Result<void>();
    if (!renamed.error().is(Code::kNotFound)) co_return fail(std::move(renamed).error());
    // Another one that did the same was quicker.
    const auto found = co_await client_.stat(path_);
    if (found && found->attributes.id == file_) co_return Result<void>();
    co_return fail(Code::kUnavailable, "somebody removed {}; put it again", part_);
  }

  // Parts of what the local file was at other times.
  Task<Result<void>> remove_others() {
    for (std::string after = begin_;;) {
      CO_TRY(page, co_await client_.list(directory_.empty() ? "/" : directory_, after, kListed));
      for (const auto& entry : page.listing.entries) {
        after = entry.name;
        if (!after.starts_with(begin_)) co_return Result<void>();
        const std::string other = directory_ + "/" + after;
        const bool file = entry.attributes.kind == metadata::EntryKind::kFile;
        if (!file || other.starts_with(part_) || !is_part(after.substr(begin_.size()))) continue;
        auto removed = co_await client_.remove(other, false, true);
        if (!removed && !removed.error().is(Code::kNotFound))
          co_return fail(std::move(removed).error());
      }
      if (!page.listing.more) co_return Result<void>();
    }
  }

  // The next piece. No last one is so short that it would be stored without blocks, which cannot
  // be joined with others.
  Task<Result<void>> add(std::optional<uint64_t> there) {
    const uint64_t at = there.value_or(0);
    const uint64_t left = size_ - at;
    const uint64_t bytes = left < piece_bytes_ + kPutPieceBytesMin ? left : piece_bytes_;
    const std::string name = there ? fmt::format("{}.{:x}", part_, at) : part_;
    CO_TRY_VOID(source_.seek(at));
    Piece piece(source_, bytes);
    nodes::PutOptions options = options_;
    options.overwrite = false;
    options.size = bytes;
    if (moved_) options.progress = [this, at](uint64_t count) { moved_(at + count); };
    auto stored = co_await client_.put(name, piece, std::move(options));
    // Whoever put it, the same bytes are in it.
    const bool theirs = !stored && stored.error().is(Code::kExists);
    if (!stored && !theirs) co_return fail(std::move(stored).error());
    if (stored) done_.blocks_below_full_width += stored->blocks_below_full_width;
    if (stored) done_.deduplicated_bytes += stored->deduplicated_bytes;
    if (!source_.is_unchanged()) {
      co_await remove_all(name);
      co_return fail(Code::kUnavailable, "{} was changed while it was stored; put it again",
                     source_.path());
    }
    if (!there) co_return Result<void>();
    auto joined = co_await client_.concatenate(part_, {name}, at);
    if (joined) co_return Result<void>();
    // Another one was quicker; or the piece is one that can never be joined.
    const bool quicker =
        joined.error().is(Code::kPrecondition) || joined.error().is(Code::kNotFound);
    if (quicker || joined.error().is(Code::kTooLarge))
      (void)co_await client_.remove(name, false, true);
    if (quicker) co_return Result<void>();
    co_return fail(std::move(joined).error());
  }

  Task<> remove_all(std::string piece) {
    (void)co_await client_.remove(piece, false, true);
    if (piece != part_) (void)co_await client_.remove(part_, false, true);
  }

  nodes::Client& client_;
  LocalSource& source_;
  const std::string path_;
  const uint64_t piece_bytes_;
  const nodes::PutOptions options_;
  const std::function<void(uint64_t)> moved_;
  const uint64_t size_;
  const std::string directory_;  // without a slash at its end
  const std::string begin_;      // ".NAME.", of all parts
  const std::string part_;       // path of the own one
  InodeId file_;                 // the part, as it was seen last
  ContinuedPut done_;
};

}  // namespace

Task<Result<ContinuedPut>> put_further(nodes::Client& client, LocalSource& source, std::string path,
                                       uint64_t piece_bytes, nodes::PutOptions options) {
  if (!source.size())
    co_return fail(Code::kInvalid, "{} is no regular file: it cannot be continued", source.path());
  if (piece_bytes < kPutPieceBytesMin)
    co_return fail(Code::kInvalid, "pieces of {} bytes: at least {} are needed", piece_bytes,
                   kPutPieceBytesMin);
  Further further(client, source, std::move(path), piece_bytes, std::move(options));
  co_return co_await further.run();
}

}  // namespace dogfs::tool
