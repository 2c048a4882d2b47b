#pragma once

#include <stop_token>
#include <utility>

#include <gyre/base/clock.h>

namespace gyre {

/// How long a call waits for a loop on another thread to answer.
struct WaitLimit {
  WaitLimit() = default;
  template <typename Rep, typename Period>
  WaitLimit(std::chrono::duration<Rep, Period> longest)  // NOLINT(google-explicit-constructor): `shutdown(5s)` says it
      : timeout(saturating_nanoseconds(longest)) {}
  WaitLimit(std::stop_token until_stopped)  // NOLINT(google-explicit-constructor)
      : stop(std::move(until_stopped)) {}
  WaitLimit(std::stop_token until_stopped, Duration longest) : timeout(longest), stop(std::move(until_stopped)) {}
  /// Until a moment of the system's monotonic clock.
  static WaitLimit until(TimePoint deadline) {
    const TimePoint now = std::chrono::steady_clock::now();
    return {deadline > now ? deadline - now : Duration::zero()};  // the time since long ago cannot be represented
  }

  /// After this much real time the call fails with `timed_out`. What it asked for then never happens.
  Duration timeout = Duration::max();
  /// When this is requested, the call fails with `cancelled`. What it asked for then never happens.
  std::stop_token stop = {};
};

}  // namespace gyre
