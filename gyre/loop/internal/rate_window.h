#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <gyre/base/clock.h>

namespace gyre::internal {

/// How many events there were in the last ten seconds, in steps of a tenth of a second.
class RateWindow {
 public:
  static constexpr Duration kStep = std::chrono::milliseconds(100);
  static constexpr std::int64_t kSteps = 100;

  void record(TimePoint now) noexcept {
    advance(now);
    std::uint32_t& count = counts_[index(step_)];
    if (count != std::numeric_limits<std::uint32_t>::max()) ++count;
  }
  /// Events a second: over the window, or over the time since the first event if that is shorter.
  double per_second(TimePoint now) noexcept {
    advance(now);
    std::uint64_t sum = 0;
    for (const std::uint32_t count : counts_) sum += count;
    if (sum == 0) return 0;
    const std::int64_t steps = std::min(step_ - first_step_ + 1, kSteps);
    return static_cast<double>(sum) / (std::chrono::duration<double>(kStep).count() * static_cast<double>(steps));
  }

 private:
  static std::size_t index(std::int64_t step) noexcept { return static_cast<std::size_t>(step % kSteps); }

  // Empties what has left the window. A clock that has jumped, backwards or by more than the window, starts it anew.
  void advance(TimePoint now) noexcept {
    const std::int64_t step = std::max<std::int64_t>(now.time_since_epoch() / kStep, 0);
    if (step == step_) return;
    if (step < step_ || step - step_ >= kSteps) {
      counts_.fill(0);
      first_step_ = step;
    } else {
      for (std::int64_t passed = step_ + 1; passed <= step; ++passed) counts_[index(passed)] = 0;
    }
    step_ = step;
  }

  std::array<std::uint32_t, kSteps> counts_{};
  std::int64_t step_ = -2 * kSteps;  // before all others
  std::int64_t first_step_ = 0;
};

}  // namespace gyre::internal
