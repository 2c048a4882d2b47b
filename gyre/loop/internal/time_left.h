#pragma once

#include <algorithm>
#include <ctime>

#include <gyre/base/clock.h>
#include <gyre/loop/internal/parker.h>

namespace gyre::internal {

/// How much of a wait is left after interruptions. Reads the clock only for waits that end by themselves.
class TimeLeft {
 public:
  explicit TimeLeft(Duration timeout) : left_(timeout) {
    if (is_limited()) deadline_ = std::chrono::steady_clock::now() + timeout;
  }
  bool is_forever() const noexcept { return left_ >= kForever; }
  bool is_over() const noexcept { return left_ <= Duration::zero(); }
  Duration get() const noexcept { return left_; }
  void update() noexcept {
    if (is_limited()) left_ = std::max(Duration(deadline_ - std::chrono::steady_clock::now()), Duration::zero());
  }

 private:
  bool is_limited() const noexcept { return !is_over() && !is_forever(); }

  Duration left_;
  TimePoint deadline_{};
};

/// As a C time structure with seconds and nanoseconds.
template <typename Timespec>
Timespec to_timespec(Duration duration) noexcept {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
  Timespec result{};
  result.tv_sec = static_cast<decltype(result.tv_sec)>(seconds.count());
  result.tv_nsec = static_cast<decltype(result.tv_nsec)>((duration - seconds).count());
  return result;
}

}  // namespace gyre::internal
