#pragma once

#include <gyre/base/clock.h>

namespace gyre::poll::internal {

/// `time + delay`, held at both ends of time instead of wrapping round.
constexpr TimePoint later(TimePoint time, Duration delay) {
  Duration::rep sum = 0;
  if (!__builtin_add_overflow(time.time_since_epoch().count(), delay.count(), &sum)) return TimePoint(Duration(sum));
  return delay < Duration::zero() ? TimePoint::min() : TimePoint::max();
}

/// `to - from`, held at both ends.
constexpr Duration elapsed(TimePoint from, TimePoint to) {
  Duration::rep difference = 0;
  const bool wraps =
      __builtin_sub_overflow(to.time_since_epoch().count(), from.time_since_epoch().count(), &difference);
  if (!wraps) return Duration(difference);
  return to < from ? Duration::min() : Duration::max();
}

}  // namespace gyre::poll::internal
