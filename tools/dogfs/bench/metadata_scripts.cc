#include "tools/dogfs/bench/metadata_scripts.h"

#include <map>

#include "core/base/check.h"

namespace dogfs::tool {
namespace {

using metadata::Operation;
using metadata::Query;
using Call = MetadataScript::Call;
using Next = Result<std::optional<Call>>;

// A name of 24 bytes, as the files have; ascending, as programs number theirs.
std::string file_name(std::string_view directory, std::string_view tag, uint64_t number) {
  std::string name = fmt::format("f-{}-", tag);
  name += fmt::format("{:0{}}", number, 24 - std::min<size_t>(name.size(), 23));
  return fmt::format("{}/{}", directory, name);
}

// Makes empty files; what comes after one is made is the derived script's.
class Creates : public MetadataScript {
 public:
  Creates(std::string_view directory, std::string tag)
      : directory_(directory), tag_(std::move(tag)) {}

  Call first(uint32_t slot) override {
    making_[slot] = {file_name(directory_, tag_, made_++), false};
    return Operation(metadata::PutInline{.path = making_[slot].path,
                                         .policy = std::nullopt,
                                         .content = {},
                                         .condition = metadata::PublishCondition::kIfAbsent});
  }
  Next next(uint32_t slot, const metadata::Reply&) override {
    making_[slot].made = true;
    return std::optional<Call>();
  }

 protected:
  const std::string& path(uint32_t slot) { return making_[slot].path; }
  bool made(uint32_t slot) { return making_[slot].made; }

 private:
  struct Making {
    std::string path;
    bool made = false;
  };
  const std::string directory_;
  const std::string tag_;
  uint64_t made_ = 0;
  std::map<uint32_t, Making> making_;
};

class Renames final : public Creates {
 public:
  using Creates::Creates;
  Call first(uint32_t slot) override {
    if (!made(slot)) return Creates::first(slot);
    bool& away = away_[slot];
    away = !away;
    const std::string other = path(slot) + "-away";
    return Operation(away ? metadata::Rename{.from = path(slot), .to = other}
                          : metadata::Rename{.from = other, .to = path(slot)});
  }

 private:
  std::map<uint32_t, bool> away_;
};

class Renewals final : public MetadataScript {
 public:
  explicit Renewals(std::string tag) : tag_(std::move(tag)) {}
  Call first(uint32_t slot) override {
    if (const auto held = held_.find(slot); held != held_.end())
      return Operation(
          metadata::RenewLease{.file = held->second.file, .epoch = held->second.epoch});
    return Operation(metadata::StartUpload{.path = file_name(kBenchDirectory, tag_, slot),
                                           .policy = std::nullopt});
  }
  Next next(uint32_t slot, const metadata::Reply& reply) override {
    if (const auto* upload = std::get_if<metadata::UploadStarted>(&reply)) held_[slot] = *upload;
    return std::optional<Call>();
  }

 private:
  const std::string tag_;
  std::map<uint32_t, metadata::UploadStarted> held_;
};

class Queries final : public MetadataScript {
 public:
  explicit Queries(bool list) : list_(list) {}
  Call first(uint32_t) override {
    constexpr uint64_t kStride = 617;  // prime to kListedFiles: neighbours are not asked in turn
    if (list_)
      return Query(metadata::ListQuery{
          .path = std::string(kListedDirectory), .after = {}, .limit = kListPage});
    return Query(metadata::StatQuery{
        .path = file_name(kListedDirectory, "listed", ++asked_ * kStride % kListedFiles)});
  }
  Next next(uint32_t, const metadata::Reply&) override { return std::optional<Call>(); }

 private:
  const bool list_;
  uint64_t asked_ = 0;
};

}  // namespace

std::string_view work_name(MetadataWork work) {
  switch (work) {
    case MetadataWork::kRenew: return "renew";
    case MetadataWork::kCreate: return "create";
    case MetadataWork::kStat: return "stat";
    case MetadataWork::kList: return "list";
    case MetadataWork::kRename: return "rename";
    case MetadataWork::kMakeListed: return "make_listed";
  }
  UNREACHABLE();
}

std::unique_ptr<MetadataScript> make_script(MetadataWork work, std::string tag) {
  switch (work) {
    case MetadataWork::kRenew: return std::make_unique<Renewals>(std::move(tag));
    case MetadataWork::kCreate: return std::make_unique<Creates>(kBenchDirectory, std::move(tag));
    case MetadataWork::kStat: return std::make_unique<Queries>(false);
    case MetadataWork::kList: return std::make_unique<Queries>(true);
    case MetadataWork::kRename: return std::make_unique<Renames>(kBenchDirectory, std::move(tag));
    case MetadataWork::kMakeListed: return std::make_unique<Creates>(kListedDirectory, "listed");
  }
  UNREACHABLE();
}

}  // namespace dogfs::tool
