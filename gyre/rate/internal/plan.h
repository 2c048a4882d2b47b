#pragma once

#include <cstdint>
#include <vector>

#include <gyre/rate/options.h>
#include <gyre/rate/rates.h>

namespace gyre::rate::internal {

/// Times in nanoseconds of the limiter's clock.
using Nanoseconds = std::int64_t;

/// A time that has always passed.
inline constexpr Nanoseconds kAlways = std::numeric_limits<Nanoseconds>::min() + 1;

/// How times of events are kept.
enum class Kept : std::uint8_t {
  nothing,  ///< No windows: nothing is limited.
  one,      ///< One window with a limit of one: the time of the next acceptance says it all.
  exact64,
  exact32,
  gcra,
  buckets,
};

/// What follows from the rates and the memory mode, worked out once. Never changes.
struct Plan {
  struct Window {
    Nanoseconds duration;
    std::int64_t limit;
    Nanoseconds interval = 0;  // gcra
    std::int64_t burst = 0;    // gcra
    Nanoseconds width = 0;     // buckets
    std::uint32_t at = 0;      // buckets: where the window's counters begin; the first holds their sum
  };

  /// Throws std::invalid_argument for options that make no sense with these rates.
  Plan(const Rates& rates, const LimiterOptions& options);

  Rates rates;
  Kept kept = Kept::nothing;
  bool insert_late = false;
  std::vector<Window> windows;
  /// What costs more is never accepted.
  std::int64_t largest_cost = 0;
  /// How many events are remembered at most.
  std::uint32_t depth = 0;
  /// So long after the last event the state is as if there had been none.
  Nanoseconds retention = 0;
  Nanoseconds tick = 1;            // exact32
  std::uint32_t bucket_count = 0;  // buckets
  std::uint32_t counters = 0;      // buckets: of all windows together
};

/// At the ends of time, instead of wrapping round.
constexpr Nanoseconds plus(Nanoseconds time, Nanoseconds span) {
  Nanoseconds sum = 0;
  if (!__builtin_add_overflow(time, span, &sum)) return sum;
  return span > 0 ? std::numeric_limits<Nanoseconds>::max() : kAlways;
}
constexpr Nanoseconds minus(Nanoseconds time, Nanoseconds span) {
  Nanoseconds difference = 0;
  if (!__builtin_sub_overflow(time, span, &difference)) return difference;
  return span > 0 ? kAlways : std::numeric_limits<Nanoseconds>::max();
}
constexpr Nanoseconds times(Nanoseconds span, std::int64_t count) {
  Nanoseconds product = 0;
  if (!__builtin_mul_overflow(span, count, &product)) return product;
  return std::numeric_limits<Nanoseconds>::max();
}
constexpr Nanoseconds divide_up(Nanoseconds value, Nanoseconds by) {
  return value / by + (value % by > 0 ? 1 : 0);
}
constexpr Nanoseconds divide_down(Nanoseconds value, Nanoseconds by) {
  return value / by - (value % by < 0 ? 1 : 0);
}

}  // namespace gyre::rate::internal
