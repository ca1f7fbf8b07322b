#include "sim/world/disk_image.h"

#include <algorithm>

#include "core/base/check.h"

namespace dogfs::sim {
namespace {

bool inside(std::string_view path, std::string_view directory) {
  return path.starts_with(directory) && path.size() > directory.size() &&
         path[directory.size()] == '/';
}

}  // namespace

DiskImage::DiskImage(uint64_t capacity_bytes)
    : capacity_bytes_(capacity_bytes), root_(std::make_shared<Directory>()) {}

DiskImage::~DiskImage() = default;

// Looking up.

Result<std::shared_ptr<DiskImage::Directory>> DiskImage::find_directory(
    std::string_view path) const {
  if (path.empty()) return root_;
  TRY_VOID(check_disk_path(path));
  std::shared_ptr<Directory> directory = root_;
  for (std::string_view rest = path; !rest.empty();) {
    const auto name = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
    const auto found = directory->current.find(std::string(name));
    if (found == directory->current.end()) return fail(Code::kNotFound, "no directory {}", path);
    if (!found->second.directory) return fail(Code::kInvalid, "{} is not a directory", path);
    directory = found->second.directory;
  }
  return directory;
}

Result<DiskImage::Place> DiskImage::find_place(const std::string& path) const {
  TRY_VOID(check_disk_path(path));
  const size_t slash = path.rfind('/');
  const auto parent = slash == std::string::npos ? "" : path.substr(0, slash);
  TRY(directory, find_directory(parent));
  return Place{directory, slash == std::string::npos ? path : path.substr(slash + 1)};
}

const DiskImage::Entry* DiskImage::find(const std::string& path) const {
  const auto place = find_place(path);
  if (!place) return nullptr;
  const auto found = place->directory->current.find(place->name);
  return found == place->directory->current.end() ? nullptr : &found->second;
}

// Files.

Result<DiskImage::Content> DiskImage::open(const std::string& path, OpenMode mode) {
  TRY(place, find_place(path));
  const auto found = place.directory->current.find(place.name);
  if (found != place.directory->current.end()) {
    if (mode == OpenMode::kCreate) return fail(Code::kExists, "{} exists", path);
    if (!found->second.file) return fail(Code::kInvalid, "{} is a directory", path);
    return found->second.file;
  }
  if (mode == OpenMode::kRead || mode == OpenMode::kWrite)
    return fail(Code::kNotFound, "no file {}", path);
  if (used_bytes_ >= capacity_bytes_) {
    counts_.happen(DiskFault::kNoSpace);
    return fail(Code::kNoSpace, "no space for {}", path);
  }
  auto file = std::make_shared<DiskContent>();
  file->set_linked(true);
  change({.to = place.directory, .to_name = place.name, .entry = {file, nullptr}});
  return file;
}

Result<Buffer> DiskImage::read(const Content& file, uint64_t offset, size_t length) {
  TRY_VOID(check_disk_range(offset, length));
  return file->read(offset, length, counts_);
}

// Accounts for a new size, or refuses it.
Result<void> DiskImage::charge(const Content& file, uint64_t new_size) {
  const uint64_t old_size = file->size();
  const uint64_t growth = new_size > old_size ? new_size - old_size : 0;
  if (growth > 0 && (growth > capacity_bytes_ || used_bytes_ > capacity_bytes_ - growth)) {
    counts_.happen(DiskFault::kNoSpace);
    return fail(Code::kNoSpace, "the disk is full");
  }
  if (file->linked()) used_bytes_ += new_size - old_size;
  return {};
}

Result<void> DiskImage::write(const Content& file, uint64_t offset, Buffer bytes) {
  TRY_VOID(check_disk_range(offset, bytes.size()));
  if (bytes.empty()) return {};
  TRY_VOID(charge(file, std::max(file->size(), offset + bytes.size())));
  file->write(offset, std::move(bytes));
  return {};
}

Result<void> DiskImage::write_misdirected(const Content& file, uint64_t offset, Buffer bytes,
                                          Random& random) {
  TRY_VOID(check_disk_range(offset, bytes.size()));
  std::vector<Content> targets = durable_files();
  if (targets.empty() || bytes.empty()) return write(file, offset, std::move(bytes));
  TRY_VOID(charge(file, std::max(file->size(), offset + bytes.size())));
  Content target = targets[random.below(targets.size())];
  const uint64_t sectors = target->durable().size() / DiskContent::kSectorBytes + 1;
  const uint64_t within = offset % DiskContent::kSectorBytes;
  counts_.inject(DiskFault::kMisdirectedWrite);
  file->write_misdirected(offset, std::move(bytes), target,
                          random.below(sectors) * DiskContent::kSectorBytes + within);
  return {};
}

Result<void> DiskImage::truncate(const Content& file, uint64_t size) {
  TRY_VOID(check_disk_range(size, 0));
  TRY_VOID(charge(file, size));
  file->truncate(size);
  return {};
}

void DiskImage::fail_sync(const Content& file, uint64_t mark, Random& random) {
  file->fail_sync(mark, random, counts_);
}

// Names.

void DiskImage::apply(const Change& change, Names Directory::* view) {
  if (change.from) ((*change.from).*view).erase(change.from_name);
  if (change.to) ((*change.to).*view)[change.to_name] = change.entry;
}

void DiskImage::change(Change change) {
  change.number = next_change_++;
  apply(change, &Directory::current);
  changes_.push_back(std::move(change));
}

Result<void> DiskImage::rename(const std::string& from, const std::string& to) {
  TRY(source, find_place(from));
  TRY(target, find_place(to));
  const auto found = source.directory->current.find(source.name);
  if (found == source.directory->current.end()) return fail(Code::kNotFound, "no file {}", from);
  const Entry entry = found->second;
  if (from == to) return {};
  if (inside(to, from)) return fail(Code::kInvalid, "{} lies below {}", to, from);
  if (const auto old = target.directory->current.find(target.name);
      old != target.directory->current.end()) {
    if (entry.directory || old->second.directory) return fail(Code::kExists, "{} exists", to);
    old->second.file->set_linked(false);
    used_bytes_ -= old->second.file->size();
  }
  change({.from = source.directory,
          .from_name = source.name,
          .to = target.directory,
          .to_name = target.name,
          .entry = entry});
  return {};
}

Result<void> DiskImage::remove(const std::string& path) {
  TRY(place, find_place(path));
  const auto found = place.directory->current.find(place.name);
  if (found == place.directory->current.end()) return fail(Code::kNotFound, "no file {}", path);
  const Entry& entry = found->second;
  if (entry.directory && !entry.directory->current.empty())
    return fail(Code::kExists, "{} is not empty", path);
  if (entry.file) {
    entry.file->set_linked(false);
    used_bytes_ -= entry.file->size();
  }
  change({.from = place.directory, .from_name = place.name});
  return {};
}

Result<std::vector<DirectoryEntry>> DiskImage::list(const std::string& directory) const {
  TRY(found, find_directory(directory));
  std::vector<DirectoryEntry> entries;
  for (const auto& [name, entry] : found->current)
    entries.push_back({name, entry.directory != nullptr});
  return entries;
}

Result<void> DiskImage::make_directory(const std::string& path) {
  TRY(place, find_place(path));
  if (place.directory->current.contains(place.name)) return fail(Code::kExists, "{} exists", path);
  change({.to = place.directory,
          .to_name = place.name,
          .entry = {nullptr, std::make_shared<Directory>()}});
  return {};
}

// A rename between two directories is one change: making it durable for one makes it, and what came
// before it, durable for the other.
Result<void> DiskImage::sync_directory(const std::string& directory, uint64_t mark) {
  TRY(found, find_directory(directory));
  std::vector<std::shared_ptr<Directory>> covered = {found};
  std::vector<bool> durable(changes_.size());
  for (size_t i = changes_.size(); i-- > 0;) {
    const Change& change = changes_[i];
    if (change.number >= mark) continue;
    durable[i] = std::ranges::any_of(
        covered, [&](const auto& d) { return d == change.from || d == change.to; });
    if (!durable[i]) continue;
    if (change.from) covered.push_back(change.from);
    if (change.to) covered.push_back(change.to);
  }
  std::vector<Change> rest;
  for (size_t i = 0; i < changes_.size(); ++i) {
    if (durable[i])
      apply(changes_[i], &Directory::durable);
    else
      rest.push_back(std::move(changes_[i]));
  }
  changes_ = std::move(rest);
  return {};
}

Space DiskImage::space() const {
  return {capacity_bytes_, capacity_bytes_ > used_bytes_ ? capacity_bytes_ - used_bytes_ : 0};
}

// Endings.

template <class F>
void DiskImage::for_each_file(const Directory& directory, const std::string& prefix, F&& f) const {
  for (const auto& [name, entry] : directory.current) {
    if (entry.file) f(prefix + name, entry.file);
    if (entry.directory) for_each_file(*entry.directory, prefix + name + '/', f);
  }
}

void DiskImage::process_crash(Random& random) {
  for_each_file(*root_, "", [&](const std::string&, const Content& file) {
    if (file->has_dropped_pages() && random.chance(1, 2)) file->evict(counts_);
  });
}

// The durable view becomes the only one.
void DiskImage::settle(Directory& directory) {
  directory.current = directory.durable;
  for (auto& [name, entry] : directory.current)
    if (entry.directory) settle(*entry.directory);
}

void DiskImage::power_loss(Random& random) {
  for_each_file(*root_, "", [](const std::string&, const Content& f) { f->set_linked(false); });
  const uint64_t loss = random.below(4);  // of 3: how likely a directory's journal ends here
  std::vector<std::shared_ptr<Directory>> ended;
  const auto has_ended = [&](const std::shared_ptr<Directory>& d) {
    return d && std::ranges::find(ended, d) != ended.end();
  };
  for (const Change& change : changes_) {
    counts_.inject(DiskFault::kLostEntry);
    if (!has_ended(change.from) && !has_ended(change.to) && !random.chance(loss, 3)) {
      apply(change, &Directory::durable);
      continue;
    }
    counts_.take_effect(DiskFault::kLostEntry);
    ended.push_back(change.from);
    ended.push_back(change.to);
  }
  changes_.clear();
  settle(*root_);
  used_bytes_ = 0;
  for_each_file(*root_, "", [&](const std::string&, const Content& file) {
    file->power_loss(random, counts_);
    file->set_linked(true);
    used_bytes_ += file->size();
  });
}

void DiskImage::wipe() {
  for_each_file(*root_, "", [](const std::string&, const Content& f) { f->set_linked(false); });
  changes_.clear();
  root_ = std::make_shared<Directory>();
  used_bytes_ = 0;
  counts_.happen(DiskFault::kLostDisk);
}

// Faults.

bool DiskImage::add_latent_error(const std::string& path, uint64_t offset) {
  const Entry* entry = find(path);
  if (!entry || !entry->file || entry->file->durable().size() <= offset) return false;
  entry->file->add_latent_error(offset);
  counts_.inject(DiskFault::kLatentError);
  return true;
}

bool DiskImage::rot(const std::string& path, uint64_t offset, uint32_t bit) {
  const Entry* entry = find(path);
  if (!entry || !entry->file || entry->file->durable().size() <= offset) return false;
  entry->file->rot(offset, bit);
  counts_.inject(DiskFault::kBitRot);
  return true;
}

bool DiskImage::add_random_latent_error(Random& random) {
  std::vector<Content> targets = durable_files();
  if (targets.empty()) return false;
  const Content& file = targets[random.below(targets.size())];
  file->add_latent_error(random.below(file->durable().size()));
  counts_.inject(DiskFault::kLatentError);
  return true;
}

bool DiskImage::rot_random(Random& random) {
  std::vector<Content> targets = durable_files();
  if (targets.empty()) return false;
  const Content& file = targets[random.below(targets.size())];
  const uint64_t offset = random.below(file->durable().size());
  file->rot(offset, static_cast<uint32_t>(random.below(8)));
  counts_.inject(DiskFault::kBitRot);
  return true;
}

bool DiskImage::rot_early(std::string_view directory, Random& random) {
  std::vector<Content> targets = durable_files(directory);
  std::erase_if(targets, [](const Content& file) { return file->durable().size() < 2; });
  if (targets.empty()) return false;
  const Content& file = targets[random.below(targets.size())];
  file->rot(random.below(file->durable().size() / 2), static_cast<uint32_t>(random.below(8)));
  counts_.inject(DiskFault::kBitRot);
  return true;
}

// Reachable files that have durable bytes, with paths that begin so.
std::vector<DiskImage::Content> DiskImage::durable_files(std::string_view prefix) const {
  std::vector<Content> files;
  for_each_file(*root_, "", [&](const std::string& path, const Content& file) {
    if (!file->durable().empty() && path.starts_with(prefix)) files.push_back(file);
  });
  return files;
}

std::vector<std::string> DiskImage::files() const {
  std::vector<std::string> paths;
  for_each_file(*root_, "",
                [&](const std::string& path, const Content&) { paths.push_back(path); });
  std::ranges::sort(paths);
  return paths;
}

const std::string* DiskImage::durable_bytes(const std::string& path) const {
  const Entry* entry = find(path);
  return entry && entry->file ? &entry->file->durable() : nullptr;
}

void DiskImage::add_durable_paths(const Directory& directory, const std::string& prefix,
                                  std::vector<std::string>& paths) {
  for (const auto& [name, entry] : directory.durable) {
    if (entry.file) paths.push_back(prefix + name);
    if (entry.directory) add_durable_paths(*entry.directory, prefix + name + '/', paths);
  }
}

std::vector<std::string> DiskImage::durable_paths() const {
  std::vector<std::string> paths;
  add_durable_paths(*root_, "", paths);
  return paths;
}

const DiskContent* DiskImage::find_durable(std::string_view path) const {
  const Directory* directory = root_.get();
  while (directory != nullptr) {
    const auto slash = path.find('/');
    const auto found = directory->durable.find(std::string(path.substr(0, slash)));
    if (found == directory->durable.end()) return nullptr;
    if (slash == std::string_view::npos) return found->second.file.get();
    directory = found->second.directory.get();
    path.remove_prefix(slash + 1);
  }
  return nullptr;
}

}  // namespace dogfs::sim
