#pragma once
// DurableDisk: what an oracle may know of one chunk server's disk: the durable view, which is what
// is left when every machine loses power now and nothing unsynced survives. The run shows it a
// simulated disk; tests forge one. Views stay valid until the disk changes.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dogfs::sim {

class DurableDisk {
 public:
  struct File {
    std::string_view bytes;
    // Bytes of it were spoiled behind the server's back (bit rot, unreadable sectors, misdirected
    // writes) and not written over since.
    bool spoiled = false;
  };

  virtual ~DurableDisk() = default;
  // The machine's, which is its node's in the cluster map.
  virtual const std::string& name() const = 0;
  // The disk was replaced by a blank one at some time.
  virtual bool was_lost() const = 0;
  // One of several disks of the machine was not used for a while, or at all: what was deleted
  // meanwhile lies there still, and is an orphan when it comes back.
  virtual bool was_away() const { return false; }
  virtual std::optional<File> find(const std::string& path) const = 0;
  // The paths of all files, in one order on every call.
  virtual std::vector<std::string> files() const = 0;
};

}  // namespace dogfs::sim
