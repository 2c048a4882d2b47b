#pragma once

#include <algorithm>
#include <cstdint>

#include <gyre/base/clock.h>

#if defined(__x86_64__) && defined(__linux__)
#include <x86intrin.h>
#define GYRE_HAS_CYCLE_COUNTER 1
#endif

namespace gyre::internal {

/// For deadlines: a moment that is not before the present one on the operating system's monotonic clock, and at most
/// some tens of nanoseconds after it, in less than half the time that reading that clock takes. The clock's reading
/// waits for everything that the processor has under way; counting its cycles does not.
///
/// The cycle counter is compared with the clock every 20 microseconds, and trusted only while the kernel bases the
/// clock on it too (it then runs at one speed, in step on all processors), and while two measurements of its speed
/// agree. Where it cannot be trusted, this reads the clock. For one thread at a time.
class CycleClock {
 public:
  CycleClock();

  /// Never goes back.
  TimePoint not_before_now() noexcept {
#ifdef GYRE_HAS_CYCLE_COUNTER
    const std::uint64_t cycles = __rdtsc() - anchor_cycles_;
    if (cycles < window_) [[likely]] {
      const auto passed = static_cast<Duration::rep>(cycles * nanoseconds_per_cycle_ >> kFractionBits);
      return last_ = std::max(last_, anchor_ + Duration(passed));
    }
#endif
    return compare();
  }

  /// For tests: true while the counter is trusted.
  bool is_counting() const noexcept { return window_ != 0; }

 private:
  static constexpr int kFractionBits = 32;

  TimePoint compare() noexcept;
  void measure(TimePoint time, std::uint64_t before, std::uint64_t after) noexcept;

  TimePoint last_{};
  TimePoint anchor_{};               // read not before `anchor_cycles_`
  std::uint64_t anchor_cycles_ = 0;  // with it the anchor holds for `window_` cycles
  std::uint64_t window_ = 0;
  std::uint64_t nanoseconds_per_cycle_ = 0;  // a fixed-point number, rather too high than too low
  bool usable_;

  // The measurement under way and the one before.
  TimePoint start_{};
  std::uint64_t start_cycles_ = 0;
  std::uint64_t measured_ = 0;
};

}  // namespace gyre::internal
