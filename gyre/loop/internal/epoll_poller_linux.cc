#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <utility>

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <gyre/loop/internal/parker.h>
#include <gyre/loop/internal/poller.h>

namespace gyre::internal {
namespace {

class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

// The wake descriptor's own token. Registrations never use it: their slots are far smaller.
constexpr std::uint64_t kWakeToken = ~std::uint64_t{0};

std::uint32_t to_epoll(Readiness interest) {
  std::uint32_t mask = EPOLLRDHUP;
  if (has(interest, Readiness::read)) mask |= EPOLLIN;
  if (has(interest, Readiness::write)) mask |= EPOLLOUT;
  return mask;
}

Readiness from_epoll(std::uint32_t mask) {
  Readiness readiness = Readiness::none;
  if (mask & EPOLLIN) readiness = readiness | Readiness::read;
  if (mask & EPOLLOUT) readiness = readiness | Readiness::write;
  if (mask & EPOLLERR) readiness = readiness | Readiness::error;
  if (mask & (EPOLLHUP | EPOLLRDHUP)) readiness = readiness | Readiness::hangup;
  return readiness;
}

// With the wake-up descriptor in it.
Result<FileDescriptor> make_epoll_set(int wake) {
  FileDescriptor epoll(epoll_create1(EPOLL_CLOEXEC));
  if (epoll.get() < 0) return std::unexpected(Error::from_errno(errno, "create an epoll set"));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWakeToken;
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake, &event) != 0) {
    return std::unexpected(Error::from_errno(errno, "watch the wake-up descriptor"));
  }
  return epoll;
}

class EpollPoller final : public Poller {
 public:
  EpollPoller(FileDescriptor epoll, FileDescriptor wake) : epoll_(std::move(epoll)), wake_(std::move(wake)) {}

  Result<void> add(int fd, Readiness interest, std::uint64_t token) override {
    // A number that its user has closed may be one of ours by now.
    if (fd == epoll_.get() || fd == wake_.get()) {
      return std::unexpected(Error::from_errno(EBADF, "watch descriptor").with("fd", fd));
    }
    return control(EPOLL_CTL_ADD, fd, interest, token, "watch descriptor");
  }
  Result<void> modify(int fd, Readiness interest, std::uint64_t token) override {
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
    if (dup3(fresh->get(), epoll_.get(), O_CLOEXEC) >= 0) return {};
    return std::unexpected(Error::from_errno(errno, "replace an epoll set"));
  }

  Result<std::size_t> wait(Duration timeout, std::span<Event> events) override {
    std::array<epoll_event, kBatch> ready;
    const int capacity = static_cast<int>(std::min(events.size(), ready.size()));
    const int count = wait_uninterrupted(timeout, ready.data(), capacity);
    if (count < 0) return std::unexpected(Error::from_errno(errno, "wait for events"));
    std::size_t filled = 0;
    for (int i = 0; i < count; ++i) {
      if (ready[i].data.u64 == kWakeToken) {
        std::uint64_t ignored;
        static_cast<void>(!::read(wake_.get(), &ignored, sizeof(ignored)));  // EAGAIN: somebody was just about to write
      } else {
        events[filled++] = {ready[i].data.u64, from_epoll(ready[i].events)};
      }
    }
    return filled;
  }

  Result<void> wake() noexcept override {
    const std::uint64_t one = 1;
    for (;;) {
      if (::write(wake_.get(), &one, sizeof(one)) == static_cast<ssize_t>(sizeof(one))) return {};
      if (errno == EAGAIN) return {};  // the counter is full: a wake-up is certainly pending
      if (errno != EINTR) return std::unexpected(Error::from_errno(errno, "wake the loop"));
    }
  }

  int native_handle() const noexcept override { return epoll_.get(); }

 private:
  static constexpr std::size_t kBatch = 256;

  Result<void> control(int operation, int fd, Readiness interest, std::uint64_t token, const char* what) {
    epoll_event event{};
    event.events = to_epoll(interest);
    event.data.u64 = token;
    if (epoll_ctl(epoll_.get(), operation, fd, &event) == 0) return {};
    return std::unexpected(Error::from_errno(errno, what).with("fd", fd));
  }

  // Goes on with the time that is left when a signal interrupts.
  int wait_uninterrupted(Duration timeout, epoll_event* events, int capacity) {
    const bool limited = timeout > Duration::zero() && timeout < kForever;
    const auto deadline =
        limited ? std::chrono::steady_clock::now() + timeout : std::chrono::steady_clock::time_point{};
    for (;;) {
      const int count = wait_once(timeout, events, capacity);
      if (count >= 0 || errno != EINTR) return count;
      if (limited) timeout = std::max(Duration(deadline - std::chrono::steady_clock::now()), Duration::zero());
    }
  }

  int wait_once(Duration timeout, epoll_event* events, int capacity) {
    if (timeout >= kForever) return epoll_wait(epoll_.get(), events, capacity, -1);
    if (timeout == Duration::zero()) return epoll_wait(epoll_.get(), events, capacity, 0);
    if (has_pwait2_) {
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
      const timespec spec{.tv_sec = static_cast<time_t>(seconds.count()), .tv_nsec = (timeout - seconds).count()};
      const int count = epoll_pwait2(epoll_.get(), events, capacity, &spec, nullptr);
      if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
      has_pwait2_ = false;  // a kernel before 5.11, or a sandbox that does not know the call
    }
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(timeout).count();  // never early
    return epoll_wait(epoll_.get(), events, capacity, static_cast<int>(std::min<long long>(milliseconds, INT_MAX)));
  }

  FileDescriptor epoll_;
  FileDescriptor wake_;
  bool has_pwait2_ = true;
};

}  // namespace

Result<std::unique_ptr<Poller>> make_epoll_poller() {
  FileDescriptor wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (wake.get() < 0) return std::unexpected(Error::from_errno(errno, "create a wake-up descriptor"));
  auto epoll = make_epoll_set(wake.get());
  if (!epoll) return std::unexpected(epoll.error());
  return std::make_unique<EpollPoller>(std::move(*epoll), std::move(wake));
}

}  // namespace gyre::internal
