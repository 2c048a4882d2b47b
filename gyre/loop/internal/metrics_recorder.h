#pragma once

#include <array>
#include <mutex>

#include <gyre/base/internal/short_lock.h>
#include <gyre/loop/internal/rate_window.h>
#include <gyre/loop/metrics.h>
#include <gyre/loop/observer.h>

namespace gyre::internal {

/// Records a loop's metrics while it is that loop's observer. `snapshot` is for any thread.
///
/// The lock is taken for each record: it costs less than the readings of the clock around a callback, and makes every
/// snapshot coherent.
class MetricsRecorder final : public LoopObserver {
 public:
  explicit MetricsRecorder(const Clock& clock) : clock_(clock), since_(clock.now()), seen_(since_) {}

  LoopMetrics snapshot();
  /// From here on time stands still: the clock may go.
  void stop();

  void on_callback_start(CallbackKind kind, std::uint64_t id) override;
  void on_callback_end(CallbackKind kind, std::uint64_t id, bool failed) override;
  void on_turn(const QueueDepths& depths) override;
  void on_wait_start(Duration timeout) override;
  void on_wait_end(std::size_t events) override;

 private:
  static constexpr std::size_t kExact = 5;

  static void sample(LoopMetrics::Depth& depth, std::uint64_t value, bool first) noexcept;
  void fill_percentiles(LoopMetrics& metrics) const;
  TimePoint read_clock() { return stopped_ ? seen_ : clock_.now(); }

  const Clock& clock_;
  const TimePoint since_;
  // Callbacks nest where one runs a checkpoint by hand.
  static constexpr std::size_t kDepth = 16;
  std::array<TimePoint, kDepth> started_{};
  std::size_t depth_ = 0;
  TimePoint wait_started_{};

  ShortLock mutex_;
  // Guarded by mutex_:
  LoopMetrics metrics_;
  RateWindow successes_;
  std::array<std::uint64_t, kExact> first_values_{};
  TimePoint seen_;
  bool waiting_ = false;
  bool stopped_ = false;
};

}  // namespace gyre::internal
