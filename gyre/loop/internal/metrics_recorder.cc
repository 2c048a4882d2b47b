#include <algorithm>

#include <gyre/loop/internal/metrics_recorder.h>

namespace gyre::internal {
namespace {

Duration nanoseconds(std::uint64_t value) {
  return Duration(static_cast<Duration::rep>(value));
}

}  // namespace

void MetricsRecorder::on_callback_start(CallbackKind, std::uint64_t) {
  if (depth_ < kDepth) started_[depth_] = clock_.now();
  ++depth_;
}

void MetricsRecorder::on_callback_end(CallbackKind kind, std::uint64_t, bool failed) {
  if (depth_ == 0) return;  // it began before the recording
  if (--depth_ >= kDepth) return;
  const TimePoint now = clock_.now();
  const Duration took = std::max(now - started_[depth_], Duration::zero());
  const auto value = static_cast<std::uint64_t>(took.count());
  const std::lock_guard lock(mutex_);
  seen_ = now;
  if (metrics_.latency.count() < kExact) first_values_[metrics_.latency.count()] = value;
  metrics_.latency.record(value);
  LoopMetrics::Kind& of_kind = metrics_.kinds[static_cast<std::size_t>(kind)];
  ++of_kind.count;
  of_kind.time += took;
  if (failed) {
    ++of_kind.failed;
  } else {
    successes_.record(now);
  }
}

void MetricsRecorder::on_turn(const QueueDepths& depths) {
  const std::lock_guard lock(mutex_);
  const bool first = metrics_.turns++ == 0;
  sample(metrics_.tasks, depths.tasks + depths.immediates + depths.close_callbacks, first);
  sample(metrics_.priority, depths.priority_tasks, first);
  sample(metrics_.microtasks, depths.microtasks, first);
}

void MetricsRecorder::on_wait_start(Duration) {
  const std::lock_guard lock(mutex_);
  wait_started_ = seen_ = clock_.now();
  waiting_ = true;
}

void MetricsRecorder::on_wait_end(std::size_t) {
  const std::lock_guard lock(mutex_);
  seen_ = clock_.now();
  if (!std::exchange(waiting_, false)) return;
  ++metrics_.waits;
  metrics_.wait_time += seen_ - wait_started_;
}

void MetricsRecorder::stop() {
  const std::lock_guard lock(mutex_);
  seen_ = clock_.now();
  stopped_ = true;
}

LoopMetrics MetricsRecorder::snapshot() {
  const std::lock_guard lock(mutex_);
  LoopMetrics result = metrics_;
  const TimePoint now = read_clock();
  result.time = now - since_;
  if (waiting_) result.wait_time += now - wait_started_;
  if (result.time > Duration::zero()) {
    const double waited = static_cast<double>(result.wait_time.count()) / static_cast<double>(result.time.count());
    result.utilization = std::clamp(1 - waited, 0.0, 1.0);
  }
  result.callbacks_per_second = successes_.per_second(now);
  fill_percentiles(result);
  return result;
}

void MetricsRecorder::sample(LoopMetrics::Depth& depth, std::uint64_t value, bool first) noexcept {
  constexpr double kWeight = 0.1;
  depth.now = value;
  depth.max = std::max(depth.max, value);
  depth.average =
      first ? static_cast<double>(value) : depth.average + kWeight * (static_cast<double>(value) - depth.average);
}

void MetricsRecorder::fill_percentiles(LoopMetrics& metrics) const {
  const std::uint64_t count = metrics.latency.count();
  if (count > kExact) {
    metrics.p50 = nanoseconds(metrics.latency.quantile(0.50));
    metrics.p90 = nanoseconds(metrics.latency.quantile(0.90));
    metrics.p95 = nanoseconds(metrics.latency.quantile(0.95));
    metrics.p99 = nanoseconds(metrics.latency.quantile(0.99));
    return;
  }
  if (count == 0) return;
  auto values = first_values_;
  std::sort(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count));
  const auto at = [&](std::uint64_t percent) {
    return nanoseconds(values[std::min(percent * count / 100, count - 1)]);
  };
  metrics.p50 = count % 2 == 1 ? at(50) : nanoseconds((values[count / 2 - 1] + values[count / 2]) / 2);
  metrics.p90 = at(90);
  metrics.p95 = at(95);
  metrics.p99 = at(99);
}

}  // namespace gyre::internal
