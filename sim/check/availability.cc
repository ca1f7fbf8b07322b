#include "sim/check/availability.h"

#include <algorithm>

namespace dogfs::sim {
namespace {

// When the client was answered by the group, in order.
std::vector<Instant> answers(const History& history, uint32_t client) {
  std::vector<Instant> times;
  for (const Operation& operation : history.operations())
    if (operation.client == client && operation.position && operation.ended != kNever)
      times.push_back(operation.ended);
  std::ranges::sort(times);
  return times;
}

class Calm {
 public:
  Calm(const std::vector<Instant>& answers, const AvailabilityRules& rules, Violations& violations)
      : answers_(answers), rules_(rules), violations_(violations) {}

  void judge(Instant from, Instant until) {
    from = std::max(from, rules_.from);
    until = std::min(until, rules_.until);
    if (until - from <= rules_.answered_within) return;
    judged_ += until - from;
    Instant last = from;
    for (auto at = std::ranges::lower_bound(answers_, from); at != answers_.end() && *at < until;
         ++at)
      last = gap(last, *at);
    gap(last, until);
  }
  Duration judged() const { return judged_; }

 private:
  Instant gap(Instant last, Instant next) {
    if (next - last > rules_.answered_within)
      violations_.add(Oracle::kLiveness,
                      "a majority of the metadata servers was well, and answered nobody for {} ms, "
                      "until {} ms",
                      to_ms(next - last), to_ms(next.time_since_epoch()));
    return next;
  }

  const std::vector<Instant>& answers_;
  const AvailabilityRules& rules_;
  Violations& violations_;
  Duration judged_{};
};

}  // namespace

Duration check_stability(const std::vector<Disturbance>& disturbances,
                         const std::vector<Instant>& elections, const StabilityRules& rules,
                         Violations& violations) {
  for (const Instant election : elections) {
    if (election < rules.from || election > rules.until) continue;
    Disturbance last{.when = rules.from};
    for (const Disturbance& disturbance : disturbances)
      if (disturbance.when <= election) last = disturbance;
    if (last.well && election - last.when > rules.settled_within)
      violations.add(Oracle::kLiveness,
                     "a leader was replaced at {} ms, {} ms after anything had happened to the "
                     "metadata servers",
                     to_ms(election.time_since_epoch()), to_ms(election - last.when));
  }
  Duration judged{};
  Disturbance last{.when = rules.from};
  const auto stays_until = [&](Instant end) {
    const Duration calm = std::min(end, rules.until) - std::max(last.when, rules.from);
    if (last.well) judged += std::max(Duration(0), calm - rules.settled_within);
  };
  for (const Disturbance& disturbance : disturbances) {
    stays_until(disturbance.when);
    last = disturbance;
  }
  stays_until(rules.until);
  return judged;
}

Duration check_availability(const std::vector<Disturbance>& disturbances, const History& history,
                            const AvailabilityRules& rules, Violations& violations) {
  const auto answered = answers(history, rules.client);
  Calm calm(answered, rules, violations);
  Instant from = rules.from;
  bool well = true;
  for (const Disturbance& disturbance : disturbances) {
    if (disturbance.by_hand && disturbance.well == well) continue;
    if (well) calm.judge(from, disturbance.when);
    from = disturbance.when;
    well = disturbance.well;
  }
  if (well) calm.judge(from, rules.until);
  return calm.judged();
}

}  // namespace dogfs::sim
