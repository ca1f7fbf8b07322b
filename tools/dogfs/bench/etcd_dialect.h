#pragma once
// EtcdDialect: etcd's KV.Put and KV.Range as gRPC calls on one HTTP/2 connection, with just as much
// of both protocols as that takes: headers are sent as literals and not read back. A call counts
// when its answer carried a message and ended: etcd's refusals carry none.

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "tools/dogfs/bench/load.h"

namespace dogfs::tool {

class EtcdDialect final : public Dialect {
 public:
  enum class Call { kPut, kGet };
  // Keys begin with `tag`. A put carries so many bytes.
  EtcdDialect(Call call, std::string tag, size_t value_bytes);

  void greet(std::string& out) override;
  bool ready() const override { return greeted_; }
  void begin(uint32_t slot, std::string& out) override;
  Result<size_t> take(std::string_view in, std::string& out, std::vector<uint32_t>& ended) override;

 private:
  // A call under way. Stream ids count up by two from 1, so calls stand in their order.
  struct Stream {
    uint32_t slot = 0;
    bool answered = false;  // a message came
    bool ended = false;
  };
  struct Frame;
  Result<void> took(const Frame& frame, std::string& out, std::vector<uint32_t>& ended);
  Result<void> end(uint32_t id, std::vector<uint32_t>& ended);
  void send_waiting(std::string& out);
  std::string request();
  Stream* stream(uint32_t id);

  const Call call_;
  const std::string tag_;
  const std::string value_;
  std::string headers_;
  uint64_t made_ = 0;
  bool greeted_ = false;
  uint32_t first_id_ = 1;  // of streams_.front()
  std::deque<Stream> streams_;
  std::deque<uint32_t> waiting_;  // slots, for window to send in
  int64_t window_ = 65'535;       // to send, of the connection
  uint32_t owed_ = 0;             // window to give back
};

}  // namespace dogfs::tool
