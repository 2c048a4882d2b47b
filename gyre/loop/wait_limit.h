#pragma once

#include <stop_token>

#include <gyre/base/clock.h>

namespace gyre {

/// How long a call waits for a loop on another thread to answer.
struct WaitLimit {
  /// After this much real time the call fails with `timed_out`. What it asked for then never happens.
  Duration timeout = Duration::max();
  /// When this is requested, the call fails with `cancelled`. What it asked for then never happens.
  std::stop_token stop = {};

  /// Until a moment of the system's monotonic clock.
  static WaitLimit until(TimePoint deadline) { return {.timeout = deadline - std::chrono::steady_clock::now()}; }
};

}  // namespace gyre
