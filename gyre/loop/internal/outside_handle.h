#pragma once

#include <cstdint>

#include <gyre/base/clock.h>
#include <gyre/base/error.h>
#include <gyre/loop/internal/file_descriptor.h>
#include <gyre/loop/internal/poller.h>

namespace gyre::internal {

/// Makes a poller's native handle stand for the whole loop: a timer descriptor in the poller's set makes it readable
/// when one of the loop's timers is due. (Queued work does so through the poller's wake-up.)
class OutsideHandle {
 public:
  /// Of the timer descriptor's events, which say nothing that the loop does not find out by itself.
  static constexpr std::uint64_t kToken = Poller::kReservedToken - 1;

  bool in_use() const noexcept { return static_cast<bool>(timer_); }
  /// Errors: `unsupported` where the poller has no handle, the system's.
  Result<void> open(Poller& poller);
  /// Makes the handle readable at `moment`, which is `from_now` away; at no time for `TimePoint::max()`. Costs nothing
  /// if that has not changed. False if the system failed.
  bool set_alarm(TimePoint moment, Duration from_now) noexcept;
  /// After the poller's set was made anew.
  Result<void> rejoin(Poller& poller) const;

 private:
  FileDescriptor timer_;
  TimePoint alarm_ = TimePoint::max();
};

}  // namespace gyre::internal
