#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <gyre/base/clock.h>

namespace gyre::internal {

/// What share of tasks was accepted of late: the last minute, in steps of a tenth of a second.
///
/// It is shown running totals now and then. What they have grown by since the last time counts in the step of that last
/// time: whoever shows them at the first sight of each new step gets every task into the step in which it came.
class AcceptanceHistory {
 public:
  static constexpr Duration kStep = std::chrono::milliseconds(100);
  static constexpr std::int64_t kSteps = 600;

  /// When it should be shown the totals again.
  TimePoint due() const noexcept { return TimePoint(kStep * (step_ + 1)); }

  /// A total that is less than before counts as unchanged until it is more.
  void show(TimePoint now, std::uint64_t accepted, std::uint64_t refused) noexcept {
    Step& current = steps_[index(step_)];
    if (accepted > accepted_) current.accepted += accepted - std::exchange(accepted_, accepted);
    if (refused > refused_) current.refused += refused - std::exchange(refused_, refused);
    advance(step_of(now));
  }
  /// Over the `span` before the last `show`; at most a minute.
  double share(Duration span) const noexcept {
    Step sum;
    const std::int64_t count = std::clamp<std::int64_t>(span / kStep, 1, kSteps);
    for (std::int64_t step = step_; step > step_ - count; --step) {
      sum.accepted += steps_[index(step)].accepted;
      sum.refused += steps_[index(step)].refused;
    }
    return share_of(sum.accepted, sum.refused);
  }
  static double share_of(std::uint64_t accepted, std::uint64_t refused) noexcept {
    if (refused == 0) return 1;
    return static_cast<double>(accepted) / static_cast<double>(accepted + refused);
  }
  /// Begins anew with these totals.
  void reset(TimePoint now, std::uint64_t accepted, std::uint64_t refused) noexcept {
    steps_.fill({});
    step_ = step_of(now);
    accepted_ = accepted;
    refused_ = refused;
  }

 private:
  struct Step {
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;
  };

  static std::int64_t step_of(TimePoint now) noexcept {
    return std::max<std::int64_t>(now.time_since_epoch() / kStep, kSteps);
  }
  static std::size_t index(std::int64_t step) noexcept { return static_cast<std::size_t>(step % kSteps); }

  // A clock that goes backwards leaves everything in the present step.
  void advance(std::int64_t step) noexcept {
    if (step <= step_) return;
    if (step - step_ >= kSteps) steps_.fill({});
    for (std::int64_t passed = std::max(step_ + 1, step - kSteps + 1); passed <= step; ++passed) {
      steps_[index(passed)] = {};
    }
    step_ = step;
  }

  std::array<Step, kSteps> steps_{};
  std::int64_t step_ = kSteps;  // so that there always are `kSteps` before it
  std::uint64_t accepted_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace gyre::internal
