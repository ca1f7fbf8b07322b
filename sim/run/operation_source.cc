#include "sim/run/operation_source.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace dogfs::sim {

std::string top_directory(uint64_t number) { return fmt::format("/d{}", number); }

OperationSource::OperationSource(const Workload& load, uint32_t client, Random random)
    : load_(load), client_(client), random_(random) {}

OperationSource::Drawn OperationSource::next() {
  Drawn drawn;
  Operation& operation = drawn.operation;
  operation.client = client_;
  const Kind kind = draw_kind();
  operation.act = kind.act;
  drawn.over_version = kind.over_version;
  switch (operation.act) {
    case Act::kPut: draw_put(drawn); break;
    case Act::kGet: operation.path = draw_file(); break;
    case Act::kStat: operation.path = random_.chance(1, 3) ? draw_directory() : draw_file(); break;
    case Act::kList:
      operation.path =
          random_.chance(1, 2) ? top_directory(random_.below(kTopDirectories)) : draw_directory();
      draw_page(operation);
      break;
    case Act::kMakeDirectory:
      operation.path = draw_directory();
      operation.parents = random_.chance(1, load_.depth > 0 ? 2 : 3);
      break;
    case Act::kRename:
      if (random_.chance(1, 4)) {
        operation.path = draw_directory();
        // Into itself, now and then; and where another client moves the target's directory.
        operation.to = random_.chance(1, 8) ? operation.path + "/n0" : draw_directory();
      } else {
        operation.path = draw_file();
        operation.to = draw_file();
      }
      break;
    case Act::kCopy:
      operation.path = draw_file();
      operation.to = draw_file();
      break;
    case Act::kRemove:
      operation.path = random_.chance(1, 5) ? draw_directory() : draw_file();
      operation.recursive = random_.chance(1, 2);
      break;
    case Act::kTruncate:
      operation.path = draw_file();
      operation.cut_to = random_.below(draw_size() + 1);
      break;
    case Act::kConcatenate:
      operation.path = draw_file();
      for (uint64_t left = random_.chance(1, 4) ? 2 : 1; left > 0; --left)
        operation.sources.push_back(draw_file());
      break;
    case Act::kSetQuota: draw_quota(operation); break;
    case Act::kSetAttributes: draw_attributes(operation); break;
    case Act::kUse:
      operation.path = random_.chance(1, 4) ? draw_directory() : top_directory(kQuotaDirectory);
      break;
  }
  return drawn;
}

void OperationSource::draw_put(Drawn& drawn) {
  Operation& put = drawn.operation;
  put.path = draw_file();
  put.if_absent = random_.chance(1, 8) && !drawn.over_version;
  drawn.bytes = draw_bytes(put);
  put.content = content_of(drawn.bytes.text());
}

// What others put, too, is of the larger sizes: then it has blocks.
Buffer OperationSource::draw_bytes(Operation& put) {
  if (load_.contents > 0 && random_.chance(1, 2)) {
    put.number = 1 + random_.below(load_.contents);
    return make_bytes(load_.size_max - put.number * load_.size_max / 16, put.number);
  }
  const uint64_t size = draw_size();
  put.number = random_.next();
  return make_bytes(size, put.number);
}

// Often too little for what is there already, and for much of what comes.
void OperationSource::draw_quota(Operation& set) {
  set.path = top_directory(kQuotaDirectory);
  if (random_.chance(1, 4)) return;  // none any more
  const uint64_t entries = random_.between(0, 16), bytes = random_.below(4 * load_.size_max + 1);
  const uint64_t kind = random_.below(3);
  if (kind != 0) set.quota.entries = entries;
  if (kind != 1) set.quota.bytes = bytes;
}

void OperationSource::draw_attributes(Operation& set) {
  constexpr uint16_t kModes[] = {0600, 0640, 0755};
  constexpr std::string_view kOwners[] = {"", "ann", "bob"};
  constexpr metadata::LabelKind kKinds[] = {
      metadata::LabelKind::kXattr, metadata::LabelKind::kHeader, metadata::LabelKind::kTag};
  constexpr std::string_view kNames[] = {"color", "content-type"};
  set.path = random_.chance(1, 4) ? draw_directory() : draw_file();
  const uint64_t what = random_.below(3);
  if (what != 0) set.change.mode = kModes[random_.below(std::size(kModes))];
  if (what != 1) set.change.owner = kOwners[random_.below(std::size(kOwners))];
  for (uint64_t labels = random_.below(3); labels > 0; --labels) {
    metadata::LabelChange change{.kind = kKinds[random_.below(std::size(kKinds))],
                                 .name = std::string(kNames[random_.below(std::size(kNames))]),
                                 .value = {}};
    if (random_.chance(2, 3)) change.value = fmt::format("{}", random_.below(4));
    set.change.labels.push_back(std::move(change));
  }
}

Duration OperationSource::draw_pause() {
  return Duration(
      static_cast<int64_t>(random_.below(2 * static_cast<uint64_t>(load_.think.count()) + 1)));
}

OperationSource::Kind OperationSource::draw_kind() {
  const Mix& mix = load_.mix;
  const Kind kinds[] = {{Act::kPut, mix.put},
                        {Act::kGet, mix.get},
                        {Act::kStat, mix.stat},
                        {Act::kList, mix.list},
                        {Act::kMakeDirectory, mix.mkdir},
                        {Act::kRename, mix.rename},
                        {Act::kRemove, mix.remove},
                        {Act::kCopy, mix.copy},
                        {Act::kTruncate, mix.truncate},
                        {Act::kConcatenate, mix.concatenate},
                        {Act::kSetQuota, mix.quota},
                        {Act::kUse, mix.use},
                        {Act::kSetAttributes, mix.attributes},
                        {Act::kPut, mix.replace, true}};
  uint64_t draw = random_.below(mix.total());
  for (const Kind& kind : kinds) {
    if (draw < kind.weight) return kind;
    draw -= kind.weight;
  }
  return kinds[1];
}

std::string OperationSource::draw_tangled() {
  std::string path = top_directory(random_.below(2));
  for (uint64_t left = random_.between(1, load_.depth); left > 0; --left)
    path += fmt::format("/n{}", random_.below(load_.names));
  return path;
}

// A whole listing half of the time, else a page: the first, or one behind some name.
void OperationSource::draw_page(Operation& list) {
  if (random_.chance(1, 2)) return;
  list.count = random_.between(1, 4);
  if (random_.chance(1, 3)) return;
  const char* first[] = {"f1", "f2", "n0", "n1", "s0", "zz"};
  list.after = first[random_.below(std::size(first))];
}

// A subdirectory, never one of the four: those stay.
std::string OperationSource::draw_directory() {
  if (load_.depth > 0) return draw_tangled();
  return fmt::format("/d{}/s{}", random_.below(kTopDirectories), random_.below(3));
}

std::string OperationSource::draw_file() {
  if (load_.depth > 0) return draw_tangled();
  const uint64_t number = random_.below(load_.paths);
  std::string directory = top_directory(number % kTopDirectories);
  if (number % 3 == 2) directory += fmt::format("/s{}", number % 9 / 3);
  return fmt::format("{}/f{}", directory, number);
}

// All magnitudes alike, and the ends of the range now and then.
uint64_t OperationSource::draw_size() {
  const uint64_t low = load_.size_min, high = load_.size_max;
  if (random_.chance(1, 8)) return random_.chance(1, 2) ? low : high;
  uint64_t bits = 0;
  while (bits < 63 && (uint64_t{1} << bits) < high) ++bits;
  const uint64_t ceiling = std::min(high, uint64_t{1} << random_.below(bits + 1));
  return std::clamp(random_.below(ceiling + 1), low, high);
}

}  // namespace dogfs::sim
