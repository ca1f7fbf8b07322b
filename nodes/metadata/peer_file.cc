#include "nodes/metadata/peer_file.h"

#include <charconv>

#include "core/base/limits.h"
#include "core/env/disk.h"

namespace dogfs::nodes {
namespace {
constexpr const char* kFile = "peers";
constexpr const char* kNewFile = "peers.new";
constexpr size_t kBytesMax = 64 * limits::kKiB;

// A line is "3 host:port".
void add_line(std::string_view line, PeerAddresses& addresses) {
  uint32_t node = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), node);
  const auto used = static_cast<size_t>(end - line.data());
  if (error != std::errc() || node == 0 || used >= line.size()) return;
  if (auto address = Address::parse(line.substr(used + 1))) addresses[NodeId(node)] = *address;
}

}  // namespace

Task<PeerAddresses> read_peer_file(Env& env) {
  PeerAddresses addresses;
  auto file = co_await env.disk().open(kFile, OpenMode::kRead);
  if (!file) co_return addresses;
  const auto bytes = co_await (*file)->read(0, kBytesMax);
  if (!bytes) co_return addresses;
  std::string_view text = bytes->text();
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    add_line(text.substr(0, end), addresses);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  co_return addresses;
}

Task<Result<void>> write_peer_file(Env& env, PeerAddresses addresses) {
  std::string text;
  for (const auto& [node, address] : addresses)
    text += fmt::format("{} {}\n", node, address.to_string());
  Disk& disk = env.disk();
  CO_TRY(file, co_await disk.open(kNewFile, OpenMode::kAlways));
  CO_TRY_VOID(co_await file->truncate(0));
  CO_TRY_VOID(co_await file->write(0, Buffer::take(std::move(text))));
  CO_TRY_VOID(co_await file->sync());
  CO_TRY_VOID(co_await disk.rename(kNewFile, kFile));
  co_return co_await disk.sync_directory("");
}

}  // namespace dogfs::nodes
