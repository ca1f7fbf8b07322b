#pragma once
// MapHistory: what clients asked of the replicated map and what they were told, in either world,
// and the judgement of it. Each append adds a piece that is unique to its key's value, and every
// answer is the whole value, so the last value is the one order of all appends and an answer's
// length is its place in that order: linearizability is checked in full, in linear time.
//
// Used from one thread, that of the clients. Order is by a counter, not by a clock.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sim/check/violation.h"

namespace dogfs::nodes {

class MapHistory {
 public:
  // Each gives the operation's number. Pieces end with ',' and hold no other.
  size_t begin_append(std::string key, std::string piece);
  size_t begin_read(std::string key);

  void done(size_t number, std::string value);
  // Surely not applied.
  void refused(size_t number);
  // What never gets an outcome is unknown, too.
  void unknown(size_t number) { operations_[number].ended = ++clock_; }

  uint64_t acknowledged() const { return acknowledged_; }  // appends
  uint64_t reads() const { return reads_; }

  // Judges all operations on a key by the value that it has after them:
  //   durability       an append was acknowledged and is not there;
  //   exactly_once     a piece is there twice, or was refused and is there;
  //   wrong_bytes      a piece is there that nobody wrote;
  //   linearizability  an answer is no beginning of the value (two orders), an append's answer does
  //                    not end with its own piece, or what ended before an operation began comes
  //                    after it.
  void judge(const std::string& key, const std::string& value, sim::Violations& violations) const;

 private:
  enum class Outcome : uint8_t { kUnknown, kDone, kRefused };
  struct Operation {
    std::string key;
    std::string piece;  // empty: a read
    std::string value;
    Outcome outcome = Outcome::kUnknown;
    uint64_t began = 0;
    uint64_t ended = 0;  // 0: not yet
  };
  // Where each piece of a value ends.
  using Ends = std::map<std::string, size_t, std::less<>>;

  size_t begin(Operation operation);
  std::vector<const Operation*> of_key(const std::string& key) const;
  static Ends find_pieces(const std::string& key, std::string_view value,
                          sim::Violations& violations);
  static void judge_pieces(const std::vector<const Operation*>& operations, const Ends& ends,
                           sim::Violations& violations);
  static void judge_answer(const Operation& operation, std::string_view value,
                           sim::Violations& violations);
  static void judge_real_time(const std::vector<const Operation*>& operations, const Ends& ends,
                              sim::Violations& violations);

  std::vector<Operation> operations_;
  uint64_t clock_ = 0;
  uint64_t acknowledged_ = 0;
  uint64_t reads_ = 0;
};

}  // namespace dogfs::nodes
