#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include <gyre/base/clock.h>
#include <gyre/base/histogram.h>
#include <gyre/loop/admission.h>
#include <gyre/loop/fast_path.h>
#include <gyre/loop/state.h>

namespace gyre {

/// What a loop did since its metrics were switched on: a coherent picture, detached from the loop. See
/// `Remote::set_metrics` and `Remote::metrics`.
struct LoopMetrics {
  /// How long callbacks took, in nanoseconds, each one by itself: microtasks too, those that failed too, and not what
  /// the loop does for itself. Time in the queue is not in it.
  Histogram latency;
  /// The same by percentile. Up to five values they are exact (with an even number of values, the median is halfway
  /// between the two in the middle), then within 1.6 %.
  Duration p50{}, p90{}, p95{}, p99{};
  /// Callbacks a second that did not fail, over the last ten seconds.
  double callbacks_per_second = 0;

  struct Kind {
    std::uint64_t count = 0;
    std::uint64_t failed = 0;
    Duration time{};
  };
  std::array<Kind, kCallbackKinds> kinds{};  ///< By `CallbackKind`.

  /// How many were queued at the beginning of a turn.
  struct Depth {
    std::uint64_t now = 0;
    std::uint64_t max = 0;
    double average = 0;  ///< Exponentially weighted, a tenth for each new turn.
  };
  Depth tasks;       ///< Tasks, immediates and close callbacks.
  Depth priority;    ///< Priority tasks.
  Depth microtasks;  ///< Ticks, microtasks and end-of-checkpoint callbacks.

  std::uint64_t turns = 0;
  std::uint64_t waits = 0;
  Duration wait_time{};  ///< Asleep, or asking the kernel for events.
  Duration time{};       ///< Since metrics were switched on.
  /// The share of time in which the loop did not wait, 0 to 1.
  double utilization = 0;

  /// Empty if the loop has no admission control. Counted since the loop was made, or since `Remote::reset_admission`.
  std::optional<AdmissionMetrics> admission = std::nullopt;
};

}  // namespace gyre
