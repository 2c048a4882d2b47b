#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <utility>

#include <fcntl.h>
#include <sys/epoll.h>

#include <gyre/loop/internal/poller.h>
#include <gyre/loop/internal/time_left.h>
#include <gyre/loop/internal/wake_event_linux.h>

namespace gyre::internal {
namespace {

std::uint32_t to_epoll(Poller::Interest interest) {
  std::uint32_t mask = EPOLLRDHUP;
  if (has(interest.readiness, Readiness::read)) mask |= EPOLLIN;
  if (has(interest.readiness, Readiness::write)) mask |= EPOLLOUT;
  if (has(interest.readiness, Readiness::priority)) mask |= EPOLLPRI;
  if (interest.trigger == Trigger::edge) mask |= EPOLLET;
  if (interest.one_shot) mask |= EPOLLONESHOT;
  return mask;
}

Readiness from_epoll(std::uint32_t mask) {
  Readiness readiness = Readiness::none;
  if (mask & EPOLLIN) readiness = readiness | Readiness::read;
  if (mask & EPOLLOUT) readiness = readiness | Readiness::write;
  if (mask & EPOLLPRI) readiness = readiness | Readiness::priority;
  if (mask & EPOLLERR) readiness = readiness | Readiness::error;
  if (mask & (EPOLLHUP | EPOLLRDHUP)) readiness = readiness | Readiness::hangup;
  return readiness;
}

// With the wake-up descriptor in it.
Result<FileDescriptor> make_epoll_set(int wake) {
  FileDescriptor epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return std::unexpected(Error::from_errno(errno, "create an epoll set"));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = Poller::kReservedToken;
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake, &event) != 0) {
    return std::unexpected(Error::from_errno(errno, "watch the wake-up descriptor"));
  }
  return epoll;
}

class EpollPoller final : public Poller {
 public:
  EpollPoller(FileDescriptor epoll, WakeEvent wake) : epoll_(std::move(epoll)), wake_(std::move(wake)) {}

  PollerKind kind() const noexcept override { return PollerKind::epoll; }

  Result<void> add(int fd, Interest interest, std::uint64_t token) override {
    // A number that its user has closed may be one of ours by now.
    if (fd == epoll_.get() || fd == wake_.get()) {
      return std::unexpected(Error::from_errno(EBADF, "watch descriptor").with("fd", fd));
    }
    return control(EPOLL_CTL_ADD, fd, interest, token, "watch descriptor");
  }
  Result<void> modify(int fd, Interest interest, std::uint64_t token) override {
    return control(EPOLL_CTL_MOD, fd, interest, token, "change what a descriptor is watched for");
  }
  Result<void> remove(int fd) override {
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr) == 0) return {};
    // Closed by its owner already: the kernel has dropped it from the set.
    if (errno == EBADF || errno == ENOENT || errno == EPERM) return {};
    return std::unexpected(Error::from_errno(errno, "stop watching descriptor").with("fd", fd));
  }

  Result<void> reset() override {
    auto fresh = make_epoll_set(wake_.get());
    if (!fresh) return std::unexpected(fresh.error());
    // In place of the old one, under the same number: it may be known outside as the native handle.
    while (dup3(fresh->get(), epoll_.get(), O_CLOEXEC) < 0) {
      if (errno != EINTR && errno != EBUSY) return std::unexpected(Error::from_errno(errno, "replace an epoll set"));
    }
    return {};
  }

  Result<std::size_t> wait(Duration timeout, std::span<Event> events) override {
    std::array<epoll_event, kBatch> ready;
    const int capacity = static_cast<int>(std::min(events.size(), ready.size()));
    const int count = wait_uninterrupted(timeout, ready.data(), capacity);
    if (count < 0) return std::unexpected(Error::from_errno(errno, "wait for events"));
    std::size_t filled = 0;
    for (int i = 0; i < count; ++i) {
      if (ready[i].data.u64 == kReservedToken) {
        wake_.clear();
      } else {
        events[filled++] = {ready[i].data.u64, from_epoll(ready[i].events)};
      }
    }
    return filled;
  }

  Result<void> wake() noexcept override { return wake_.signal(); }
  int native_handle() const noexcept override { return epoll_.get(); }

 private:
  static constexpr std::size_t kBatch = 256;

  Result<void> control(int operation, int fd, Interest interest, std::uint64_t token, const char* what) {
    epoll_event event{};
    event.events = to_epoll(interest);
    event.data.u64 = token;
    if (epoll_ctl(epoll_.get(), operation, fd, &event) == 0) return {};
    return std::unexpected(Error::from_errno(errno, what).with("fd", fd));
  }

  // Goes on with the time that is left when a signal interrupts.
  int wait_uninterrupted(Duration timeout, epoll_event* events, int capacity) {
    for (TimeLeft left(timeout);; left.update()) {
      const int count = wait_once(left, events, capacity);
      if (count >= 0 || errno != EINTR) return count;
    }
  }

  int wait_once(const TimeLeft& left, epoll_event* events, int capacity) {
    if (left.is_forever()) return epoll_wait(epoll_.get(), events, capacity, -1);
    if (left.is_over()) return epoll_wait(epoll_.get(), events, capacity, 0);
    if (has_pwait2_) {
      const auto spec = to_timespec<timespec>(left.get());
      const int count = epoll_pwait2(epoll_.get(), events, capacity, &spec, nullptr);
      if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
      has_pwait2_ = false;  // a kernel before 5.11, or a sandbox that does not know the call
    }
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(left.get()).count();  // never early
    return epoll_wait(epoll_.get(), events, capacity, static_cast<int>(std::min<long long>(milliseconds, INT_MAX)));
  }

  FileDescriptor epoll_;
  WakeEvent wake_;
  bool has_pwait2_ = true;
};

}  // namespace

Result<std::unique_ptr<Poller>> make_epoll_poller() {
  auto wake = WakeEvent::make();
  if (!wake) return std::unexpected(wake.error());
  auto epoll = make_epoll_set(wake->get());
  if (!epoll) {
    if (!epoll.error().is(std::errc::function_not_supported)) return std::unexpected(epoll.error());
    return std::unexpected(Error(Errc::unsupported, "this system has no epoll").caused_by(epoll.error()));
  }
  return std::make_unique<EpollPoller>(*std::move(epoll), *std::move(wake));
}

}  // namespace gyre::internal
