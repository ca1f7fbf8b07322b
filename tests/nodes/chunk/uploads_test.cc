#include "core/chunk/disks.h"
#include "core/env/deadline.h"
#include "core/env/nursery.h"
#include "nodes/chunk/shard_uploads.h"
#include "sim/world/disk_image.h"
#include "sim/world/host.h"
#include "sim/world/world.h"

#include "tests/nodes/local_cluster.h"

#include "tests/doctest.h"

namespace dogfs::nodes::testing {
namespace {

constexpr uint32_t kCell = 4096;
const chunk::StripeShape kShape{2, 1, kCell};
const chunk::ShardName kName{BlockId(9), 1, Generation(1)};

// One store and its uploads on one host, and a script that uses them.
class UploadsWorld {
 public:
  using Script = std::function<Task<>(Env&, chunk::Disks&, ShardUploads&)>;

  void run(Script script) {
    host_.set_main([this, script](Env& env) { return main(env, script); });
    host_.boot();
    world_.run_for(60s);
    REQUIRE(host_.process()->ended());
  }
  sim::Host& host() { return host_; }

 private:
  Task<> main(Env& env, Script script) {
    const chunk::StoreIdentity identity{ClusterId(5), NodeId(6), StoreId(7)};
    chunk::Disks disks(env, {.directories = {chunk::DataDirectory()}});
    CHECK(co_await disks.format(identity));
    CHECK(co_await disks.open(identity));
    ShardUploads uploads(env, disks, 10s);
    const auto body = [&](Nursery& children) {
      children.spawn(uploads.run());
      return script(env, disks, uploads);
    };
    co_await nursery(env, body);
  }

  sim::World world_{3};
  sim::Host& host_ = world_.add_host("chunk", {});
};

Buffer cells(const std::string& shard, size_t first, size_t count) {
  return Buffer::copy(std::string_view(shard).substr(first * kCell, count * kCell));
}

// kShape puts a block of 2 * n bytes into shards of n bytes.
chunk::ShardEnd end_of(const std::string& shard) { return {2 * shard.size(), {}}; }

std::string code_of(const auto& result) {
  return std::string(result ? "ok" : code_name(result.error().code));
}

Task<> write_one(ShardUploads& uploads, uint64_t upload, uint64_t offset, Buffer bytes,
                 std::vector<uint64_t>& order) {
  auto written = co_await uploads.write(upload, offset, {std::move(bytes)});
  CHECK_EQ(code_of(written), "ok");
  order.push_back(offset / kCell);
}

Task<> write_backwards(Nursery& children, Env& env, ShardUploads& uploads, uint64_t upload,
                       const std::string& shard, std::vector<uint64_t>& order) {
  for (size_t i = 4; i-- > 0;) {
    children.spawn(write_one(uploads, upload, i * kCell, cells(shard, i, 1), order));
    co_await env.sleep(10ms);
  }
  co_await children.join();
}

Task<> out_of_order(Env& env, chunk::Disks& store, ShardUploads& uploads) {
  const auto shard = pattern(4 * kCell, 1);
  const auto upload = co_await uploads.begin(kName, kShape, shard.size());
  REQUIRE(upload.has_value());
  std::vector<uint64_t> order;
  const auto body = [&](Nursery& children) {
    return write_backwards(children, env, uploads, *upload, shard, order);
  };
  co_await nursery(env, body);
  CHECK_EQ(order.size(), 4u);
  // A repeated write and a repeated finish are answered again.
  CHECK_EQ(code_of(co_await uploads.write(*upload, kCell, {cells(shard, 1, 1)})), "ok");
  const auto first = co_await uploads.finish(*upload, end_of(shard));
  const auto again = co_await uploads.finish(*upload, end_of(shard));
  REQUIRE(first.has_value());
  CHECK((first == again));
  const auto read = co_await store.read(kName, 0, shard.size());
  CHECK_EQ(read->text(), shard);
  CHECK_EQ(uploads.queued_bytes(), 0u);
}

TEST_CASE("writes that come in any order make the shard, and repeated ones are answered") {
  UploadsWorld().run(out_of_order);
}

Task<> give_up(Nursery& children, Env& env, ShardUploads& uploads, uint64_t upload,
               const std::string& shard) {
  std::vector<uint64_t> order;
  children.spawn(write_one(uploads, upload, 0, cells(shard, 0, 2), order));
  co_await env.sleep(1us);  // the write is under way; leaving cancels its call
}

Task<> cancelled_call(Env& env, chunk::Disks&, ShardUploads& uploads) {
  const auto shard = pattern(2 * kCell, 1);
  const auto upload = co_await uploads.begin(kName, kShape, shard.size());
  REQUIRE(upload.has_value());
  const auto body = [&](Nursery& children) {
    return give_up(children, env, uploads, *upload, shard);
  };
  co_await nursery(env, body);
  CHECK_EQ(code_of(co_await uploads.write(*upload, 0, {cells(shard, 0, 2)})), "ok");
  CHECK_EQ(uploads.queued_bytes(), 0u);
  CHECK_EQ(code_of(co_await uploads.finish(*upload, end_of(shard))), "ok");
}

TEST_CASE("a call that is cancelled leaves the upload whole") {
  UploadsWorld().run(cancelled_call);
}

Task<> replaced(Env&, chunk::Disks& store, ShardUploads& uploads) {
  const auto old_shard = pattern(2 * kCell, 1);
  const auto shard = pattern(3 * kCell, 2);
  const auto first = co_await uploads.begin(kName, kShape, 0);
  REQUIRE(first.has_value());
  CHECK_EQ(code_of(co_await uploads.write(*first, 0, {cells(old_shard, 0, 2)})), "ok");
  const auto second = co_await uploads.begin(kName, kShape, 0);
  REQUIRE(second.has_value());
  CHECK_EQ(code_of(co_await uploads.write(*first, 2 * kCell, {cells(old_shard, 0, 1)})),
           "not_found");
  CHECK_EQ(code_of(co_await uploads.write(*second, 0, {cells(shard, 0, 3)})), "ok");
  CHECK_EQ(code_of(co_await uploads.finish(*first, end_of(old_shard))), "not_found");
  CHECK_EQ(code_of(co_await uploads.finish(*second, end_of(shard))), "ok");
  CHECK_EQ((co_await store.read(kName, 0, shard.size()))->text(), shard);
}

TEST_CASE("a second upload of a shard replaces the first") { UploadsWorld().run(replaced); }

Task<> silent(Env& env, chunk::Disks& store, ShardUploads& uploads) {
  const auto shard = pattern(2 * kCell, 1);
  const auto upload = co_await uploads.begin(kName, kShape, 0);
  REQUIRE(upload.has_value());
  CHECK_EQ(code_of(co_await uploads.write(*upload, 0, {cells(shard, 0, 1)})), "ok");
  co_await env.sleep(14s);
  CHECK_EQ(uploads.count(), 0u);
  CHECK_EQ(store.writer_count(), 0u);
  CHECK_EQ(code_of(co_await uploads.write(*upload, kCell, {cells(shard, 1, 1)})), "not_found");
}

TEST_CASE("an upload that falls silent is given up, with its writer") {
  UploadsWorld world;
  world.run(silent);
  CHECK_EQ(world.host().disk_image().list("shards")->size(), 0u);
}

Task<> wrong(Env&, chunk::Disks& store, ShardUploads& uploads) {
  const auto shard = pattern(3 * kCell, 1);
  CHECK_EQ(code_of(co_await uploads.begin({BlockId(9), 3, Generation(1)}, kShape, 0)), "invalid");
  CHECK_EQ(code_of(co_await uploads.begin(kName, {2, 1, 0}, 0)), "invalid");
  const auto upload = co_await uploads.begin(kName, kShape, 0);
  REQUIRE(upload.has_value());
  CHECK_EQ(code_of(co_await uploads.write(*upload, 1, {cells(shard, 0, 1)})), "invalid");
  CHECK_EQ(code_of(co_await uploads.write(*upload, 0, {Buffer()})), "invalid");
  CHECK_EQ(
      code_of(co_await uploads.write(*upload, limits::kUploadWindowBytes, {cells(shard, 0, 1)})),
      "invalid");
  CHECK_EQ(code_of(co_await uploads.write(*upload + 1, 0, {cells(shard, 0, 1)})), "not_found");
  CHECK_EQ(code_of(co_await uploads.write(*upload, 0, {cells(shard, 0, 3)})), "ok");
  chunk::ShardEnd end = end_of(shard);
  end.checksum = 1;
  CHECK_EQ(code_of(co_await uploads.finish(*upload, end)), "corrupt");
  CHECK_EQ(store.shard_count(), 0u);
}

TEST_CASE("what cannot be is refused, and a shard with another checksum is not kept") {
  UploadsWorld().run(wrong);
}

// Sends the first window of a shard of large cells.
Task<> send_window(ShardUploads& uploads, uint64_t upload, Buffer window,
                   std::vector<std::string>& codes) {
  codes.push_back(code_of(co_await uploads.write(upload, 0, {std::move(window)})));
}

Task<> fill_queue(Nursery& children, Env& env, sim::Host& host, ShardUploads& uploads) {
  constexpr chunk::StripeShape kLarge{2, 1, limits::kCellBytesMax};
  constexpr size_t kFull = limits::kUploadQueueBytesMax / limits::kUploadWindowBytes;
  const Buffer window = Buffer::copy(std::string(limits::kUploadWindowBytes, 'w'));
  std::vector<uint64_t> numbers;
  for (uint64_t block = 1; block <= kFull + 3; ++block) {
    const auto upload = co_await uploads.begin({BlockId(block), 0, Generation(1)}, kLarge, 0);
    REQUIRE(upload.has_value());
    numbers.push_back(*upload);
  }
  host.disk_model().stall_until(kNever);
  std::vector<std::string> codes;
  for (const uint64_t number : numbers) children.spawn(send_window(uploads, number, window, codes));
  co_await env.sleep(5s);
  CHECK((codes == std::vector<std::string>(3, "unavailable")));
  CHECK_EQ(uploads.queued_bytes(), limits::kUploadQueueBytesMax);
  host.disk_model().stall_until(Instant{});
  co_await children.join();
  CHECK_EQ(std::ranges::count(codes, "ok"), static_cast<ptrdiff_t>(kFull));
  CHECK_EQ(uploads.queued_bytes(), 0u);
}

TEST_CASE("bytes that wait for a stalled disk, those that it is at included, are bounded") {
  UploadsWorld world;
  world.run([&](Env& env, chunk::Disks&, ShardUploads& uploads) {
    return nursery(
        env, [&](Nursery& children) { return fill_queue(children, env, world.host(), uploads); });
  });
}

const chunk::ShardName kWhole{BlockId(8), 0, Generation(1)};
constexpr chunk::StripeShape kReplicas{1, 2, limits::kCellBytesMax};

Task<> whole(Env& env, sim::Host& host, chunk::Disks& store, ShardUploads& uploads) {
  const Buffer bytes = Buffer::copy(pattern(3 * limits::kMiB, 1));
  const chunk::ShardEnd end{bytes.size(), {}};
  // Ended by its caller's deadline while the bytes go to the disk.
  CHECK_EQ(code_of(co_await within(env, 3ms, uploads.store_whole(kWhole, kReplicas, {bytes}, end))),
           "deadline");
  co_await env.sleep(100ms);
  CHECK_EQ(uploads.count(), 0u);
  host.disk_model().fail_nth(3);
  CHECK_EQ(code_of(co_await uploads.store_whole(kWhole, kReplicas, {bytes}, end)), "io");
  CHECK_EQ(uploads.count(), 0u);
  CHECK_EQ(code_of(co_await uploads.store_whole(kWhole, kReplicas, {bytes}, {5, {}})), "invalid");
  co_await env.sleep(100ms);
  CHECK_EQ(uploads.count(), 0u);
  CHECK_EQ(uploads.queued_bytes(), 0u);
  CHECK_EQ(store.writer_count(), 0u);
  CHECK_EQ(host.disk_image().list("shards")->size(), 0u);
  CHECK_EQ(code_of(co_await uploads.store_whole(kWhole, kReplicas, {bytes}, end)), "ok");
  CHECK((co_await store.read(kWhole, 0, bytes.size()) == bytes));
}

TEST_CASE("a shard that comes whole is stored, or nothing of it stays") {
  UploadsWorld world;
  world.run([&world](Env& env, chunk::Disks& store, ShardUploads& uploads) {
    return whole(env, world.host(), store, uploads);
  });
}

Task<> at_the_end_of_numbers(Env&, chunk::Disks&, ShardUploads& uploads) {
  const auto shard = pattern(2 * kCell, 1);
  const auto upload = co_await uploads.begin(kName, kShape, 0);
  REQUIRE(upload.has_value());
  for (const uint64_t cells_before_end : {1, 2}) {
    const uint64_t offset = 0 - cells_before_end * kCell;
    CHECK_EQ(code_of(co_await uploads.write(*upload, offset, {cells(shard, 0, 1)})), "invalid");
    CHECK_EQ(code_of(co_await uploads.write(*upload, offset, {cells(shard, 0, 2)})), "invalid");
  }
  CHECK_EQ(uploads.queued_bytes(), 0u);
}

TEST_CASE("an offset near the end of numbers is beyond the window, too") {
  UploadsWorld().run(at_the_end_of_numbers);
}

Task<> overlapping(Env& env, chunk::Disks& store, ShardUploads& uploads) {
  const auto shard = pattern(4 * kCell, 1);
  const auto upload = co_await uploads.begin(kName, kShape, 0);
  REQUIRE(upload.has_value());
  CHECK_EQ(code_of(co_await uploads.write(*upload, 0, {cells(shard, 0, 2)})), "ok");
  CHECK_EQ(code_of(co_await uploads.write(*upload, kCell, {cells(shard, 1, 2)})), "invalid");
  std::vector<uint64_t> order;
  const auto body = [&](Nursery& children) -> Task<> {
    children.spawn(write_one(uploads, *upload, 3 * kCell, cells(shard, 3, 1), order));
    co_await env.sleep(1ms);
    CHECK_EQ(code_of(co_await uploads.write(*upload, 2 * kCell, {cells(shard, 2, 2)})), "invalid");
    CHECK_EQ(code_of(co_await uploads.write(*upload, 3 * kCell, {cells(shard, 2, 2)})), "invalid");
    CHECK_EQ(code_of(co_await uploads.write(*upload, 2 * kCell, {cells(shard, 2, 1)})), "ok");
    co_await children.join();
  };
  co_await nursery(env, body);
  CHECK_EQ(uploads.queued_bytes(), 0u);
  CHECK_EQ(code_of(co_await uploads.finish(*upload, end_of(shard))), "ok");
  CHECK_EQ((co_await store.read(kName, 0, shard.size()))->text(), shard);
}

TEST_CASE("bytes that overlap others are refused, and disturb nothing") {
  UploadsWorld().run(overlapping);
}

Task<> failing(Env& env, sim::Host& host, chunk::Disks& store, ShardUploads& uploads) {
  const auto shard = pattern(3 * kCell, 1);
  const auto upload = co_await uploads.begin(kName, kShape, 0);
  REQUIRE(upload.has_value());
  host.disk_model().fail_nth(1);
  CHECK_EQ(code_of(co_await uploads.write(*upload, 0, {cells(shard, 0, 1)})), "io");
  CHECK_EQ(code_of(co_await uploads.write(*upload, 0, {cells(shard, 0, 1)})), "io");
  CHECK_EQ(code_of(co_await uploads.finish(*upload, end_of(shard))), "io");
  // Nothing of it stays: not the file, and after the silence not what is told.
  CHECK_EQ(store.writer_count(), 0u);
  co_await env.sleep(1s);
  CHECK_EQ(host.disk_image().list("shards")->size(), 0u);
  co_await env.sleep(14s);
  CHECK_EQ(uploads.count(), 0u);
}

TEST_CASE("a disk that fails is told to every later call of the upload, and keeps nothing") {
  UploadsWorld world;
  world.run([&world](Env& env, chunk::Disks& store, ShardUploads& uploads) {
    return failing(env, world.host(), store, uploads);
  });
}

}  // namespace
}  // namespace dogfs::nodes::testing
