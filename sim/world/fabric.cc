#include "sim/world/fabric.h"

#include "core/base/check.h"
#include "core/env/event.h"
#include "sim/world/host.h"
#include "sim/world/process.h"
#include "sim/world/world.h"

namespace dogfs::sim {
namespace {
// A connection request is retransmitted this often, and so many times, before the caller hears no.
constexpr int kConnectTriesMax = 6;
constexpr Duration kConnectRetransmit = std::chrono::seconds(1);
}  // namespace

// A listening port. Connections wait in a backlog until they are accepted; those that still do when
// it stops are reset.
class ProcessListener final : public Listener {
 public:
  static constexpr size_t kBacklogMax = 128;

  ProcessListener(Fabric& fabric, Process& process, Address address)
      : fabric_(fabric), address_(std::move(address)), state_(std::make_shared<State>(process)) {
    fabric_.listeners_[address_] = this;
  }
  ~ProcessListener() override {
    const auto found = fabric_.listeners_.find(address_);
    if (found != fabric_.listeners_.end() && found->second == this) fabric_.listeners_.erase(found);
    state_->stopped = true;
    state_->arrived.notify();
    for (const auto& connection : state_->backlog) connection->reset_by(Connection::Side::kServer);
  }

  Task<Result<Stream>> accept() override { return accept_from(state_); }
  Address address() const override { return address_; }

  Process& process() { return state_->process; }
  bool full() const { return state_->backlog.size() >= kBacklogMax; }
  void add(std::shared_ptr<Connection> connection) {
    state_->backlog.push_back(std::move(connection));
    state_->arrived.notify();
  }

 private:
  // Shared with the frames that accept, which may find the listener gone when they go on.
  struct State {
    explicit State(Process& p) : process(p), arrived(p.env()) {}
    Process& process;
    Event arrived;
    std::deque<std::shared_ptr<Connection>> backlog;
    bool stopped = false;
  };

  static Task<Result<Stream>> accept_from(std::shared_ptr<State> state) {
    while (state->backlog.empty() && !state->stopped) co_await state->arrived.wait();
    if (state->stopped) co_return fail(Code::kClosed, "the listener was stopped");
    auto socket = std::make_unique<ConnectionSocket>(std::move(state->backlog.front()),
                                                     Connection::Side::kServer);
    state->backlog.pop_front();
    co_return Stream(state->process, std::move(socket));
  }

  Fabric& fabric_;
  Address address_;
  std::shared_ptr<State> state_;
};

// One connect() under way. The attempt outlives the caller, who may be cancelled or killed.
struct Fabric::ConnectAttempt {
  Process& client;
  Address target;
  OperationRef op;
  std::unique_ptr<Socket> socket;
  int tries = 0;
};

class ProcessNetwork final : public Network {
 public:
  ProcessNetwork(Fabric& fabric, Process& process) : fabric_(fabric), process_(process) {}

  Task<Result<Stream>> connect(Address address) override {
    auto attempt =
        std::make_shared<Fabric::ConnectAttempt>(Fabric::ConnectAttempt{process_, address, {}, {}});
    std::string refused;
    try {
      co_await suspend(process_, [this, attempt](OperationRef op) {
        attempt->op = op;
        fabric_.connect_step(attempt);
      });
    } catch (const boost::system::system_error& error) {
      if (error.code() == asio::error::operation_aborted) throw;
      refused = error.code().message();
    }
    if (!refused.empty())
      co_return fail(Code::kUnavailable, "cannot connect to {}: {}", address.to_string(), refused);
    co_return Stream(process_, std::move(attempt->socket));
  }

  Result<std::unique_ptr<Listener>> listen(Address address) override {
    if (address.host != process_.host().name())
      return fail(Code::kInvalid, "{} is not an address of {}", address.to_string(),
                  process_.host().name());
    if (address.port == 0) address.port = fabric_.next_port_++;
    if (fabric_.listeners_.contains(address))
      return fail(Code::kExists, "{} is in use", address.to_string());
    return std::make_unique<ProcessListener>(fabric_, process_, std::move(address));
  }

 private:
  Fabric& fabric_;
  Process& process_;
};

Fabric::Fabric(World& world) : world_(world), random_(world.random("network")) {}
Fabric::~Fabric() = default;

std::unique_ptr<Network> Fabric::attach(Process& process) {
  return std::make_unique<ProcessNetwork>(*this, process);
}

Fabric::Link& Fabric::link(const Process& from, const Process& to) {
  return links_[{from.host_id(), to.host_id()}];
}

Instant Fabric::arrival(const Process& from, const Process& to, size_t bytes) {
  const auto spread = static_cast<uint64_t>((options_.latency_max - options_.latency_min).count());
  // Coarse steps, so that arrivals coincide and the schedule has something to choose.
  constexpr uint64_t kStep = 10'000;
  Duration latency = options_.latency_min + Duration(random_.below(spread / kStep + 1) * kStep);
  latency += Duration(bytes * 1'000'000'000 / options_.bytes_per_second);
  const Link& used = link(from, to);
  if (used.extra > Duration(0)) ++counts_.pieces_slowed;
  return world_.now() + latency + used.extra;
}

void Fabric::connect_step(std::shared_ptr<ConnectAttempt> attempt) {
  Host* host = nullptr;
  for (const auto& candidate : world_.hosts())
    if (candidate->name() == attempt->target.host) host = candidate.get();
  if (host == nullptr) return attempt->client.complete(attempt->op, asio::error::host_not_found);
  const uint32_t from = attempt->client.host_id();
  auto answer = [this, attempt, host, from] {
    if (!attempt->client.pending(attempt->op)) return;
    const bool lost = links_[{from, host->id()}].blocked || links_[{host->id(), from}].blocked ||
                      !host->powered();
    if (lost) {
      ++counts_.connects_blocked;
      if (++attempt->tries >= kConnectTriesMax)
        return attempt->client.complete(attempt->op, asio::error::timed_out);
      return world_.after(kConnectRetransmit, [this, attempt] { connect_step(attempt); });
    }
    const auto found = listeners_.find(attempt->target);
    if (found == listeners_.end() || found->second->full())
      return attempt->client.complete(attempt->op, asio::error::connection_refused);
    ProcessListener& listener = *found->second;
    const Address client_address{attempt->client.host().name(), next_port_++};
    auto connection = std::make_shared<Connection>(*this, attempt->client, listener.process(),
                                                   client_address, attempt->target);
    remember(connection);
    attempt->socket = std::make_unique<ConnectionSocket>(connection, Connection::Side::kClient);
    listener.add(connection);
    attempt->client.complete(attempt->op, {});
  };
  const Duration latency = options_.latency_min + Duration(random_.below(8) * 10'000);
  world_.after(2 * latency + links_[{from, host->id()}].extra, std::move(answer));
}

void Fabric::remember(const std::shared_ptr<Connection>& connection) {
  if (connections_.size() == connections_.capacity())
    std::erase_if(connections_, [](const auto& old) { return old.expired(); });
  connections_.push_back(connection);
}

void Fabric::detach(Process& process) {
  for (const auto& weak : std::vector(connections_)) {
    const auto connection = weak.lock();
    if (!connection || !connection->touches(process)) continue;
    for (const auto side : {Connection::Side::kClient, Connection::Side::kServer})
      if (&connection->process(side) == &process) connection->reset_by(side);
  }
  std::erase_if(listeners_,
                [&](const auto& entry) { return &entry.second->process() == &process; });
}

void Fabric::silence(Process& process) {
  for (const auto& weak : connections_) {
    const auto connection = weak.lock();
    if (!connection) continue;
    for (const auto side : {Connection::Side::kClient, Connection::Side::kServer})
      if (&connection->process(side) == &process) connection->vanish(side);
  }
}

void Fabric::powered_on(const Host& host) {
  for (const auto& weak : connections_) {
    const auto connection = weak.lock();
    if (!connection) continue;
    for (const auto to : {Connection::Side::kClient, Connection::Side::kServer})
      if (connection->process(to).host_id() == host.id()) connection->retry(to);
  }
}

void Fabric::block(const Host& from, const Host& to) {
  if (!std::exchange(links_[{from.id(), to.id()}].blocked, true)) ++counts_.partitions;
}

void Fabric::unblock(const Host& from, const Host& to) {
  if (std::exchange(links_[{from.id(), to.id()}].blocked, false)) unblocked(from.id(), to.id());
}

void Fabric::unblocked(uint32_t from_host, uint32_t to_host) {
  for (const auto& weak : connections_) {
    const auto connection = weak.lock();
    if (!connection) continue;
    for (const auto to : {Connection::Side::kClient, Connection::Side::kServer})
      if (connection->process(to).host_id() == to_host &&
          connection->process(Connection::other(to)).host_id() == from_host)
        connection->retry(to);
  }
}

void Fabric::clog(const Host& from, const Host& to, Duration extra) {
  if (extra > Duration(0)) ++counts_.clogs;
  links_[{from.id(), to.id()}].extra = extra;
}

bool Fabric::reset_one(Random& random) {
  std::vector<std::shared_ptr<Connection>> open;
  for (const auto& weak : connections_)
    if (auto connection = weak.lock(); connection && connection->open())
      open.push_back(std::move(connection));
  if (open.empty()) return false;
  ++counts_.resets;
  open[random.below(open.size())]->reset_both();
  return true;
}

void Fabric::heal() {
  for (auto& [pair, state] : links_) {
    state.extra = {};
    if (std::exchange(state.blocked, false)) unblocked(pair.first, pair.second);
  }
}

}  // namespace dogfs::sim
