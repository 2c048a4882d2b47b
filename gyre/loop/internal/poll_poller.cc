#include <algorithm>
#include <cerrno>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <gyre/loop/internal/file_descriptor.h>
#include <gyre/loop/internal/file_identity.h>
#include <gyre/loop/internal/poller.h>
#include <gyre/loop/internal/time_left.h>

namespace gyre::internal {
namespace {

#ifdef POLLRDHUP
constexpr short kHalfClosed = POLLRDHUP;
#else
constexpr short kHalfClosed = 0;
#endif

short to_poll(Readiness interest) {
  int mask = kHalfClosed;
  if (has(interest, Readiness::read)) mask |= POLLIN;
  if (has(interest, Readiness::write)) mask |= POLLOUT;
  if (has(interest, Readiness::priority)) mask |= POLLPRI;
  return static_cast<short>(mask);
}

Readiness from_poll(short mask) {
  Readiness readiness = Readiness::none;
  if (mask & POLLIN) readiness = readiness | Readiness::read;
  if (mask & POLLOUT) readiness = readiness | Readiness::write;
  if (mask & POLLPRI) readiness = readiness | Readiness::priority;
  if (mask & (POLLERR | POLLNVAL)) readiness = readiness | Readiness::error;
  if (mask & (POLLHUP | kHalfClosed)) readiness = readiness | Readiness::hangup;
  return readiness;
}

/// On poll(2): POSIX and nothing else. The kernel keeps no set, so the set is here, and each wait hands it over whole.
class PollPoller final : public Poller {
 public:
  PollPoller(FileDescriptor woken, FileDescriptor waker) : woken_(std::move(woken)), waker_(std::move(waker)) {
    static_cast<void>(reset());
  }

  PollerKind kind() const noexcept override { return PollerKind::poll; }

  Result<void> add(int fd, Interest interest, std::uint64_t token) override {
    if (auto supported = check(interest); !supported) return supported;
    if (fd == woken_.get() || fd == waker_.get()) {
      return std::unexpected(Error::from_errno(EBADF, "watch descriptor").with("fd", fd));
    }
    const auto identity = FileIdentity::of(fd);
    if (!identity) return std::unexpected(identity.error());
    if (entries_.size() == entries_.capacity()) entries_.reserve(2 * entries_.size());
    if (asked_.size() == asked_.capacity()) asked_.reserve(2 * asked_.size());
    const auto [known, is_new] = positions_.try_emplace(fd, entries_.size());
    if (is_new) {
      entries_.push_back({});
      asked_.push_back({});
    } else if (entries_[known->second].identity == *identity) {
      return std::unexpected(Error::from_errno(EEXIST, "watch descriptor").with("fd", fd));
    }  // else the number was closed and now stands for another file
    entries_[known->second] = {.token = token, .identity = *identity, .one_shot = interest.one_shot};
    asked_[known->second] = {.fd = fd, .events = to_poll(interest.readiness), .revents = 0};
    return {};
  }

  Result<void> modify(int fd, Interest interest, std::uint64_t token) override {
    if (auto supported = check(interest); !supported) return supported;
    const auto known = positions_.find(fd);
    const char* const what = "change what a descriptor is watched for";
    if (known == positions_.end()) return std::unexpected(Error::from_errno(ENOENT, what).with("fd", fd));
    Entry& entry = entries_[known->second];
    if (const auto identity = FileIdentity::of(fd); !identity || !(*identity == entry.identity)) {
      return std::unexpected(Error::from_errno(identity ? ENOENT : EBADF, what).with("fd", fd));
    }
    entry.token = token;
    entry.one_shot = interest.one_shot;
    asked_[known->second] = {.fd = fd, .events = to_poll(interest.readiness), .revents = 0};
    return {};
  }

  Result<void> remove(int fd) override {
    const auto known = positions_.find(fd);
    if (known == positions_.end()) return {};
    const std::size_t position = known->second;
    positions_.erase(known);
    if (position + 1 != entries_.size()) {
      entries_[position] = entries_.back();
      asked_[position] = asked_.back();
      const int moved = asked_[position].fd;
      positions_[moved < 0 ? ~moved : moved] = position;
    }
    entries_.pop_back();
    asked_.pop_back();
    return {};
  }

  Result<void> reset() override {
    positions_.clear();
    entries_.assign(1, {});
    asked_.assign(1, {.fd = woken_.get(), .events = POLLIN, .revents = 0});
    return {};
  }

  Result<std::size_t> wait(Duration timeout, std::span<Event> events) override {
    int ready = 0;
    for (TimeLeft left(timeout);; left.update()) {
      const auto spec = to_timespec<timespec>(left.is_forever() ? Duration::zero() : left.get());
      ready = ppoll(asked_.data(), static_cast<nfds_t>(asked_.size()), left.is_forever() ? nullptr : &spec, nullptr);
      if (ready < 0 && errno == EINTR) continue;
      if (ready < 0) return std::unexpected(Error::from_errno(errno, "wait for events"));
      if (collect(ready, events)) return filled_;
      if (ready == 0) return 0;
      if (left.is_over()) return 0;
    }
  }

  Result<void> wake() noexcept override {
    for (;;) {
      if (::write(waker_.get(), "", 1) == 1) return {};
      if (errno == EAGAIN) return {};  // the pipe is full: a wake-up is certainly pending
      if (errno != EINTR) return std::unexpected(Error::from_errno(errno, "wake the loop"));
    }
  }

  int native_handle() const noexcept override { return -1; }

 private:
  struct Entry {
    std::uint64_t token = 0;
    FileIdentity identity{};
    bool one_shot = false;
  };

  static Result<void> check(Interest interest) {
    if (interest.trigger == Trigger::level) return {};
    return fail(Errc::unsupported,
                "poll cannot watch for edges; use Trigger::level, or PollerKind::epoll or io_uring for the loop");
  }

  // True if there is something to return for, be it a wake-up only.
  bool collect(int ready, std::span<Event> events) {
    filled_ = 0;
    bool woken = false;
    if (ready > 0 && asked_[0].revents != 0) {
      woken = true;
      --ready;
      char ignored[64];
      while (::read(woken_.get(), ignored, sizeof(ignored)) == static_cast<ssize_t>(sizeof(ignored))) {
      }
    }
    // Goes on where the last one had no room left, so that none is passed over for ever.
    const std::size_t count = asked_.size() - 1;
    for (std::size_t seen = 0; seen < count && ready > 0; ++seen) {
      if (filled_ == events.size()) {
        first_ = (first_ + seen) % count;
        return true;
      }
      const std::size_t position = 1 + (first_ + seen) % count;
      if (asked_[position].revents == 0) continue;
      --ready;
      const Readiness readiness = from_poll(asked_[position].revents);
      Entry& entry = entries_[position];
      const bool closed = (asked_[position].revents & POLLNVAL) != 0;
      const bool foreign = !closed && entry.identity.find(asked_[position].fd) != FileIdentity::Found::same;
      // A negative number is passed over by the kernel.
      if (closed || foreign || entry.one_shot) asked_[position].fd = ~asked_[position].fd;
      if (!foreign) events[filled_++] = {entry.token, readiness};
    }
    return woken || filled_ > 0;
  }

  FileDescriptor woken_;
  FileDescriptor waker_;
  std::unordered_map<int, std::size_t> positions_;
  // At the same positions; the first is the wake-up's.
  std::vector<Entry> entries_;
  std::vector<pollfd> asked_;
  std::size_t first_ = 0;
  std::size_t filled_ = 0;
};

}  // namespace

Result<std::unique_ptr<Poller>> make_poll_poller() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
    return std::unexpected(Error::from_errno(errno, "create a wake-up pipe"));
  }
  FileDescriptor woken(ends[0]);
  FileDescriptor waker(ends[1]);
  return std::make_unique<PollPoller>(std::move(woken), std::move(waker));
}

}  // namespace gyre::internal
