#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>

namespace gyre {

/// A moment on the monotonic clock, with nanosecond precision.
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>;
using Duration = std::chrono::nanoseconds;

/// `time + delay`, held at the ends of time instead of wrapping round.
constexpr TimePoint saturating_add(TimePoint time, Duration delay) {
  Duration::rep sum = 0;
  if (__builtin_add_overflow(time.time_since_epoch().count(), delay.count(), &sum)) {
    return delay > Duration::zero() ? TimePoint::max() : TimePoint::min();
  }
  return TimePoint(Duration(sum));
}

/// A duration of any unit in nanoseconds, of which there are 292 years: what is longer becomes the longest.
template <typename Rep, typename Period>
constexpr Duration saturating_nanoseconds(std::chrono::duration<Rep, Period> duration) {
  using Wide = std::chrono::duration<long double, std::nano>;
  if (Wide(duration) >= Wide(Duration::max())) return Duration::max();
  if (Wide(duration) <= Wide(Duration::min())) return Duration::min();
  return std::chrono::duration_cast<Duration>(duration);
}

/// Where time comes from. Everything in this library that measures or waits asks a `Clock` that its owner handed to
/// it, so that any test of timing can run on a `ManualClock`. Safe from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const noexcept = 0;
  /// How long a thread should sleep for `deadline` to have come. `Duration::max()` means: sleep until somebody wakes
  /// you, time does not pass by itself.
  virtual Duration time_until(TimePoint deadline) const noexcept = 0;
  /// Called where a loop would otherwise sleep until `deadline`. A clock that can jump there does so and returns true.
  virtual bool skip_to(TimePoint deadline) noexcept {
    static_cast<void>(deadline);
    return false;
  }
};

/// The operating system's monotonic clock (CLOCK_MONOTONIC).
class SteadyClock final : public Clock {
 public:
  TimePoint now() const noexcept override { return std::chrono::steady_clock::now(); }
  Duration time_until(TimePoint deadline) const noexcept override {
    if (deadline == TimePoint::max()) return Duration::max();
    return std::max(deadline - now(), Duration::zero());
  }
};

/// A clock that stands still until it is told to move. In automatic mode it jumps to the next deadline whenever the
/// loop has nothing else to do, so that hours of timers run in milliseconds and always in the same order.
class ManualClock final : public Clock {
 public:
  enum class Mode { manual, automatic };

  explicit ManualClock(Mode mode = Mode::manual, TimePoint start = TimePoint(std::chrono::hours(1)))
      : now_(start.time_since_epoch().count()), mode_(mode) {}

  TimePoint now() const noexcept override { return TimePoint(Duration(now_.load())); }
  Duration time_until(TimePoint deadline) const noexcept override {
    return deadline <= now() ? Duration::zero() : Duration::max();
  }
  bool skip_to(TimePoint deadline) noexcept override {
    if (mode_ == Mode::manual || deadline == TimePoint::max()) return false;
    if (deadline > now()) now_.store(deadline.time_since_epoch().count());
    return true;
  }
  /// Moves time on by `step`, which must not be negative. A loop asleep on this clock sees it when it is next woken
  /// (`Remote::wake`).
  void advance(Duration step) noexcept { now_.fetch_add(step.count()); }

 private:
  // Sequentially consistent throughout: whoever advances the clock and then asks whether the loop sleeps must not find
  // it awake while the loop, falling asleep, still reads the old time.
  std::atomic<Duration::rep> now_;
  const Mode mode_;
};

}  // namespace gyre
