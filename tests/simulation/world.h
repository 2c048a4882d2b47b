#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gyre/base/clock.h>
#include <gyre/loop/internal/poller.h>

namespace gyre::simulation {

/// Where every choice of a simulation comes from (xorshift64*, S. Vigna 2016: small, fast, the same everywhere).
class Choices {
 public:
  explicit Choices(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u + 1) {}
  std::uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545F4914F6CDD1Du;
  }
  /// 0 to `count` - 1.
  int below(int count) { return static_cast<int>((next() >> 33) % static_cast<std::uint64_t>(count)); }
  bool one_in(int count) { return below(count) == 0; }

 private:
  std::uint64_t state_;
};

/// What the loop's clock and poller ask of the world around the loop.
class Surroundings {
 public:
  virtual ~Surroundings() = default;
  /// The loop goes to sleep, until `deadline` if nothing else happens. Something may happen now: another thread posts,
  /// a descriptor becomes ready, time passes. False: nothing will ever happen any more.
  virtual bool while_asleep(TimePoint deadline) = 0;
};

class SimulatedClock final : public Clock {
 public:
  explicit SimulatedClock(Surroundings& surroundings) : surroundings_(surroundings) {}
  TimePoint now() const noexcept override { return now_; }
  Duration time_until(TimePoint deadline) const noexcept override {
    return deadline == TimePoint::max() ? Duration::max() : std::max(deadline - now_, Duration::zero());
  }
  bool skip_to(TimePoint deadline) noexcept override {
    return deadline <= now_ || surroundings_.while_asleep(deadline);  // a sleep that is over at once is none
  }
  void advance(Duration step) { now_ += step; }

 private:
  Surroundings& surroundings_;
  TimePoint now_{std::chrono::hours(1)};
};

/// Level-triggered readiness of made-up descriptors.
class SimulatedPoller final : public internal::Poller {
 public:
  SimulatedPoller(SimulatedClock& clock, Surroundings& surroundings, Choices& choices)
      : clock_(clock), surroundings_(surroundings), choices_(choices) {}

  PollerKind kind() const noexcept override { return PollerKind::automatic; }
  Result<void> add(int fd, Interest interest, std::uint64_t token) override {
    if (!watched_.try_emplace(fd, Watched{interest.readiness, token}).second) {
      return std::unexpected(Error::from_errno(EEXIST, "watch"));
    }
    return {};
  }
  Result<void> modify(int fd, Interest interest, std::uint64_t token) override {
    const auto found = watched_.find(fd);
    if (found == watched_.end()) return std::unexpected(Error::from_errno(ENOENT, "modify"));
    found->second = {interest.readiness, token};
    return {};
  }
  Result<void> remove(int fd) override {
    watched_.erase(fd);
    return {};
  }
  Result<void> reset() override {
    watched_.clear();
    return {};
  }
  Result<std::size_t> wait(Duration timeout, std::span<Event> events) override;
  Result<void> wake() noexcept override {
    woken_ = true;
    return {};
  }
  int native_handle() const noexcept override { return -1; }

  /// What the descriptors are ready for, watched or not.
  std::map<int, Readiness> ready;

 private:
  struct Watched {
    Readiness interest;
    std::uint64_t token;
  };
  std::size_t collect(std::span<Event> events);

  SimulatedClock& clock_;
  Surroundings& surroundings_;
  Choices& choices_;
  std::map<int, Watched> watched_;
  bool woken_ = false;
};

inline std::size_t SimulatedPoller::collect(std::span<Event> events) {
  std::vector<Event> found;
  for (const auto& [fd, watched] : watched_) {
    const auto at = ready.find(fd);
    if (at == ready.end()) continue;
    const Readiness seen = at->second & (watched.interest | Readiness::error | Readiness::hangup);
    if (seen != Readiness::none) found.push_back({watched.token, seen});
  }
  // The kernel promises no order, and not all at once.
  for (std::size_t i = found.size(); i > 1; --i) {
    std::swap(found[i - 1], found[static_cast<std::size_t>(choices_.below(static_cast<int>(i)))]);
  }
  const std::size_t count = std::min(found.size(), events.size());
  std::copy_n(found.begin(), count, events.begin());
  return count;
}

inline Result<std::size_t> SimulatedPoller::wait(Duration timeout, std::span<Event> events) {
  const TimePoint deadline = timeout == Duration::max() ? TimePoint::max() : clock_.now() + timeout;
  for (;;) {
    if (const std::size_t count = collect(events); count > 0) return count;
    if (std::exchange(woken_, false) || clock_.now() >= deadline) return std::size_t{0};
    if (!surroundings_.while_asleep(deadline)) return std::size_t{0};
  }
}

}  // namespace gyre::simulation
