#include <algorithm>
#include <cerrno>

#include <sys/timerfd.h>

#include <gyre/loop/internal/outside_handle.h>
#include <gyre/loop/internal/time_left.h>

namespace gyre::internal {

Result<void> OutsideHandle::open(Poller& poller) {
  if (timer_) return {};
  if (poller.native_handle() < 0) {
    return fail(Errc::unsupported,
                "the poller of this loop, {}, has no descriptor that stands for it; use PollerKind::epoll or io_uring",
                to_string(poller.kind()));
  }
  FileDescriptor timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer) return std::unexpected(Error::from_errno(errno, "create a timer descriptor"));
  auto added = poller.add(timer.get(), {.readiness = Readiness::read}, kToken);
  if (added) timer_ = std::move(timer);
  return added;
}

Result<void> OutsideHandle::rejoin(Poller& poller) const {
  return poller.add(timer_.get(), {.readiness = Readiness::read}, kToken);
}

bool OutsideHandle::set_alarm(TimePoint moment, Duration from_now) noexcept {
  if (moment == alarm_) return true;
  itimerspec when{};
  if (from_now < kForever) when.it_value = to_timespec<timespec>(std::max(from_now, Duration(1)));  // zero would disarm
  if (timerfd_settime(timer_.get(), 0, &when, nullptr) != 0) return false;
  alarm_ = moment;
  return true;
}

}  // namespace gyre::internal
