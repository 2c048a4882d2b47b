#include <algorithm>
#include <cerrno>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include <liburing.h>
#include <poll.h>

#include <gyre/loop/internal/file_identity.h>
#include <gyre/loop/internal/poller.h>
#include <gyre/loop/internal/time_left.h>
#include <gyre/loop/internal/wake_event_linux.h>

namespace gyre::internal {
namespace {

unsigned to_poll(Readiness interest) {
  unsigned mask = POLLRDHUP;
  if (has(interest, Readiness::read)) mask |= POLLIN;
  if (has(interest, Readiness::write)) mask |= POLLOUT;
  if (has(interest, Readiness::priority)) mask |= POLLPRI;
  return mask;
}

Readiness from_poll(int mask) {
  Readiness readiness = Readiness::none;
  if (mask & POLLIN) readiness = readiness | Readiness::read;
  if (mask & POLLOUT) readiness = readiness | Readiness::write;
  if (mask & POLLPRI) readiness = readiness | Readiness::priority;
  if (mask & (POLLERR | POLLNVAL)) readiness = readiness | Readiness::error;
  if (mask & (POLLHUP | POLLRDHUP)) readiness = readiness | Readiness::hangup;
  return readiness;
}

// An initialised ring.
class Ring {
 public:
  static Result<Ring> make() {
    Ring made;
    // Completions are worked off when this thread next enters the kernel, without interrupting it. Kernels before 5.19
    // do not know these flags.
    for (const unsigned flags : {IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, 0u}) {
      io_uring_params params{};
      params.flags = flags | IORING_SETUP_CQSIZE;
      params.cq_entries = kCompletions;
      const int failure = io_uring_queue_init_params(kEntries, &made.ring_, &params);
      if (failure == -EINVAL && flags != 0) continue;
      if (failure < 0) return std::unexpected(Error::from_errno(-failure, "create an io_uring"));
      made.usable_ = true;
      made.features_ = params.features;
      break;
    }
    return made;
  }
  Ring(Ring&& other) noexcept
      : ring_(other.ring_), features_(other.features_), usable_(std::exchange(other.usable_, false)) {}
  Ring& operator=(Ring&&) = delete;
  ~Ring() {
    if (usable_) io_uring_queue_exit(&ring_);
  }
  io_uring* get() noexcept { return &ring_; }
  int fd() const noexcept { return ring_.ring_fd; }
  bool has(unsigned feature) const noexcept { return (features_ & feature) != 0; }

 private:
  static constexpr unsigned kEntries = 256;
  static constexpr unsigned kCompletions = 4096;
  Ring() = default;

  io_uring ring_{};
  unsigned features_ = 0;
  bool usable_ = false;
};

/// On io_uring. The kernel holds one poll request per descriptor: for edges one that reports again and again, for
/// levels one that is over with its first report and is made anew, along with the next wait.
///
/// What such requests cannot do, an epoll set does, which is made when first needed and is itself polled by the ring:
/// the kernel passes over wake-ups that are for priority alone, and knows no lasting requests before Linux 5.13.
class IoUringPoller final : public Poller {
 public:
  IoUringPoller(Ring ring, WakeEvent wake) : ring_(std::move(ring)), wake_(std::move(wake)) {}

  PollerKind kind() const noexcept override { return PollerKind::io_uring; }

  Result<void> add(int fd, Interest interest, std::uint64_t token) override {
    if (fd == ring_.fd() || fd == wake_.get()) {
      return std::unexpected(Error::from_errno(EBADF, "watch descriptor").with("fd", fd));
    }
    const auto identity = FileIdentity::of(fd);
    if (!identity) return std::unexpected(identity.error());
    if (const auto known = slots_.find(fd); known != slots_.end()) {
      if (entries_[known->second].identity == *identity) {
        return std::unexpected(Error::from_errno(EEXIST, "watch descriptor").with("fd", fd));
      }
      if (auto removed = remove(fd); !removed) return removed;  // closed, and now another file
    }
    if (free_.empty()) {
      if (entries_.size() == entries_.capacity()) {  // all three at once, so that nothing fails half-way
        entries_.reserve(std::max<std::size_t>(16, 2 * entries_.size()));
        free_.reserve(entries_.capacity());
        unarmed_.reserve(entries_.capacity());
      }
      entries_.emplace_back();
      free_.push_back(static_cast<std::uint32_t>(entries_.size() - 1));
    }
    const bool aside = goes_aside(interest);
    if (aside) {
      if (auto added = add_aside(fd, interest, token); !added) return added;
    }
    const std::uint32_t slot = free_.back();
    slots_.emplace(fd, slot);
    free_.pop_back();
    Entry& entry = entries_[slot];
    entry.fd = fd;
    entry.token = token;
    entry.interest = interest;
    entry.identity = *identity;
    entry.aside = aside;
    arm_later(slot);
    return {};
  }

  Result<void> modify(int fd, Interest interest, std::uint64_t token) override {
    const char* const what = "change what a descriptor is watched for";
    const auto known = slots_.find(fd);
    if (known == slots_.end()) return std::unexpected(Error::from_errno(ENOENT, what).with("fd", fd));
    Entry& entry = entries_[known->second];
    if (const auto identity = FileIdentity::of(fd); !identity || !(*identity == entry.identity)) {
      return std::unexpected(Error::from_errno(identity ? ENOENT : EBADF, what).with("fd", fd));
    }
    const bool aside = goes_aside(interest);
    Result<void> moved;
    if (aside) {
      moved = entry.aside ? aside_->modify(fd, interest, token) : add_aside(fd, interest, token);
    } else if (entry.aside) {
      moved = aside_->remove(fd);
    }
    if (moved) moved = disarm(known->second);
    if (!moved) return moved;
    entry.aside = aside;
    entry.token = token;
    entry.interest = interest;
    arm_later(known->second);
    return {};
  }

  Result<void> remove(int fd) override {
    const auto known = slots_.find(fd);
    if (known == slots_.end()) return {};
    const std::uint32_t slot = known->second;
    auto disarmed = disarm(slot);
    if (std::exchange(entries_[slot].aside, false)) static_cast<void>(aside_->remove(fd));
    slots_.erase(known);
    entries_[slot].fd = -1;
    ++entries_[slot].generation;
    free_.push_back(slot);
    // At once: the request holds the file, which its owner may want to close now.
    if (disarmed) disarmed = submit();
    return disarmed;
  }

  Result<void> reset() override {
    Result<void> result;
    while (!slots_.empty()) {
      if (auto removed = remove(slots_.begin()->first); !removed) result = removed;
    }
    return result;
  }

  Result<std::size_t> wait(Duration timeout, std::span<Event> events) override {
    for (TimeLeft left(timeout);; left.update()) {
      std::size_t filled = 0;
      bool woken = false;
      ask_again(events, filled, woken);
      if (auto armed = arm_all(events, filled); !armed) return std::unexpected(armed.error());
      const int failure = enter(filled > 0 || woken ? TimeLeft(Duration::zero()) : left);
      if (failure < 0 && failure != -EINTR && failure != -ETIME && failure != -EAGAIN && failure != -EBUSY) {
        return std::unexpected(Error::from_errno(-failure, "wait for events"));
      }
      collect(events, filled, woken);
      if (std::exchange(aside_is_ready_, false)) {
        const auto more = aside_->wait(Duration::zero(), events.subspan(filled));
        if (!more) return std::unexpected(more.error());
        filled += *more;
      }
      if (filled > 0 || woken || left.is_over() || failure == -ETIME) return filled;
    }
  }

  Result<void> wake() noexcept override { return wake_.signal(); }
  int native_handle() const noexcept override { return ring_.fd(); }

  Result<void> flush() override {
    std::size_t filled = 0;
    Event none[1];
    // An error that comes up here has no place to go: the wake-up has the caller wait, and it comes up again.
    if (auto armed = arm_all(std::span(none, 0), filled); !armed) return armed;
    if (!unarmed_.empty()) return wake();
    auto submitted = submit();
    drop_stale();
    return submitted;
  }

 private:
  struct Entry {
    int fd = -1;
    std::uint32_t generation = 0;  // of the request: what earlier ones report is not heard any more
    std::uint64_t token = 0;
    Interest interest;
    FileIdentity identity{};
    bool armed = false;       // the kernel has a request
    bool aside = false;       // it is in the epoll set instead
    bool waiting = false;     // in `unarmed_`
    std::uint32_t event = 0;  // where its event of the wait number `event_of` is
    std::uint64_t event_of = 0;
  };
  // No slots: what stands in a slot's place in the names of requests that are for no descriptor.
  static constexpr std::uint32_t kWake = ~std::uint32_t{0};
  static constexpr std::uint32_t kAside = kWake - 1;
  static constexpr std::uint64_t kNobody = kWake - 2;

  bool goes_aside(Interest interest) const noexcept {
    if (has(interest.readiness, Readiness::priority)) return true;
    // Multishot poll came with Linux 5.13, as did this feature.
    return interest.trigger == Trigger::edge && !ring_.has(IORING_FEAT_RSRC_TAGS);
  }

  Result<void> add_aside(int fd, Interest interest, std::uint64_t token) {
    if (aside_ == nullptr) {
      auto made = make_epoll_poller();
      if (!made) return std::unexpected(made.error());
      aside_ = std::move(*made);
    }
    auto added = aside_->add(fd, interest, token);
    if (!added && added.error().is(std::errc::file_exists)) {  // closed and come back
      static_cast<void>(aside_->remove(fd));
      added = aside_->add(fd, interest, token);
    }
    return added;
  }

  static std::uint64_t name(std::uint32_t slot, std::uint32_t generation) {
    return std::uint64_t{generation} << 32 | slot;
  }

  void arm_later(std::uint32_t slot) noexcept {
    if (!std::exchange(entries_[slot].waiting, true)) unarmed_.push_back(slot);
  }

  Result<io_uring_sqe*> next_entry() {
    io_uring_sqe* entry = io_uring_get_sqe(ring_.get());
    if (entry == nullptr) {
      if (auto submitted = submit(); !submitted) return std::unexpected(submitted.error());
      entry = io_uring_get_sqe(ring_.get());
    }
    if (entry == nullptr) return std::unexpected(Error::from_errno(EBUSY, "hand a request to io_uring"));
    return entry;
  }

  Result<void> submit() {
    for (;;) {
      const int failure = io_uring_sq_ready(ring_.get()) == 0 ? 0 : io_uring_submit(ring_.get());
      if (failure == -EINTR) continue;
      if (failure < 0) return std::unexpected(Error::from_errno(-failure, "hand requests to io_uring"));
      return {};
    }
  }

  // Makes the request that the kernel has report no more.
  Result<void> disarm(std::uint32_t slot) {
    Entry& entry = entries_[slot];
    if (!entry.armed) return {};
    auto request = next_entry();
    if (!request) return std::unexpected(request.error());
    io_uring_prep_poll_remove(*request, name(slot, entry.generation));
    if (ring_.has(IORING_FEAT_CQE_SKIP)) (*request)->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(*request, kNobody);
    entry.armed = false;
    ++entry.generation;
    return {};
  }

  // A request reports to the thread that made it. If that is another one now, all are made anew.
  Result<void> follow_thread() {
    const auto current = std::this_thread::get_id();
    if (thread_ == current) return {};
    for (std::uint32_t slot = 0; slot < entries_.size(); ++slot) {
      if (!entries_[slot].armed) continue;
      if (auto disarmed = disarm(slot); !disarmed) return disarmed;
      arm_later(slot);
    }
    for (Own* own : {&own_wake_, &own_aside_}) {
      if (!own->armed) continue;
      auto request = next_entry();
      if (!request) return std::unexpected(request.error());
      io_uring_prep_poll_remove(*request, name(own->slot, own->generation));
      io_uring_sqe_set_data64(*request, kNobody);
      own->armed = false;
    }
    thread_ = current;
    return {};
  }

  // Makes all requests that are missing. A descriptor that was closed meanwhile is reported once, if there is room.
  Result<void> arm_all(std::span<Event> events, std::size_t& filled) {
    if (auto followed = follow_thread(); !followed) return followed;
    if (auto armed = arm(own_wake_, wake_.get()); !armed) return armed;
    if (aside_ != nullptr) {
      if (auto armed = arm(own_aside_, aside_->native_handle()); !armed) return armed;
    }
    std::size_t kept = 0;
    Result<void> result;
    for (const std::uint32_t slot : unarmed_) {
      Entry& entry = entries_[slot];
      if (entry.fd < 0 || entry.armed || entry.aside) {
        entry.waiting = false;
        continue;
      }
      const auto found = entry.identity.find(entry.fd);
      if (found == FileIdentity::Found::closed && filled == events.size()) {
        unarmed_[kept++] = slot;
        continue;
      }
      if (found == FileIdentity::Found::closed) events[filled++] = {entry.token, Readiness::error};
      if (found != FileIdentity::Found::same) {
        entry.waiting = false;
        continue;
      }
      auto request = result ? next_entry() : std::unexpected(result.error());
      if (!request) {
        result = std::unexpected(request.error());
        unarmed_[kept++] = slot;
        continue;
      }
      if (entry.interest.trigger == Trigger::edge && !entry.interest.one_shot) {
        io_uring_prep_poll_multishot(*request, entry.fd, to_poll(entry.interest.readiness));
      } else {
        io_uring_prep_poll_add(*request, entry.fd, to_poll(entry.interest.readiness));
      }
      io_uring_sqe_set_data64(*request, name(slot, entry.generation));
      entry.armed = true;
      entry.waiting = false;
    }
    unarmed_.resize(kept);
    return result;
  }

  // A descriptor of the poller's own.
  struct Own {
    std::uint32_t slot;
    std::uint32_t generation = 0;
    bool armed = false;
  };
  Result<void> arm(Own& own, int fd) {
    if (own.armed) return {};
    auto request = next_entry();
    if (!request) return std::unexpected(request.error());
    io_uring_prep_poll_add(*request, fd, POLLIN);
    io_uring_sqe_set_data64(*request, name(own.slot, ++own.generation));
    own.armed = true;
    return {};
  }

  // Submits and waits. Returns a negative errno value or what liburing returns.
  int enter(const TimeLeft& left) {
    if (left.is_over()) return io_uring_submit_and_get_events(ring_.get());
    io_uring_cqe* first = nullptr;
    if (left.is_forever()) return io_uring_submit_and_wait_timeout(ring_.get(), &first, 1, nullptr, nullptr);
    auto spec = to_timespec<__kernel_timespec>(left.get());
    return io_uring_submit_and_wait_timeout(ring_.get(), &first, 1, &spec, nullptr);
  }

  // What was reported before this wait may not hold any more: levels are asked for again, before others.
  void ask_again(std::span<Event> events, std::size_t& filled, bool& woken) {
    ++wait_;
    if (io_uring_cq_ready(ring_.get()) == 0) return;
    const std::size_t others = unarmed_.size();
    go_through([&](const io_uring_cqe& completion) {
      const std::uint32_t slot = slot_of(completion);
      if (slot == kWake) {
        take_wake_up(completion, woken);
      } else if (slot == kAside) {
        own_aside_.armed = false;
      } else if (completion.res < 0 || (completion.flags & IORING_CQE_F_MORE) != 0) {
        if (filled == events.size()) return false;
        take(completion, events, filled);
      } else {
        entries_[slot].armed = false;
        ++entries_[slot].generation;
        arm_later(slot);
      }
      return true;
    });
    std::ranges::rotate(unarmed_, unarmed_.begin() + static_cast<std::ptrdiff_t>(others));
  }

  void collect(std::span<Event> events, std::size_t& filled, bool& woken) {
    go_through([&](const io_uring_cqe& completion) {
      if (slot_of(completion) == kWake) {
        take_wake_up(completion, woken);
      } else if (slot_of(completion) == kAside) {
        own_aside_.armed = false;
        aside_is_ready_ = completion.res >= 0;
      } else if (filled == events.size()) {
        return false;
      } else {
        take(completion, events, filled);
      }
      return true;
    });
  }

  // Hands all completions that are still of interest to `consume`, until that returns false.
  template <typename Consume>
  void go_through(Consume consume) {
    unsigned head = 0;
    unsigned seen = 0;
    io_uring_cqe* completion = nullptr;
    io_uring_for_each_cqe(ring_.get(), head, completion) {
      if (!is_stale(*completion) && !consume(*completion)) break;
      ++seen;
    }
    io_uring_cq_advance(ring_.get(), seen);
  }

  void take_wake_up(const io_uring_cqe& completion, bool& woken) {
    own_wake_.armed = false;
    if (completion.res < 0) return;  // the thread that made the request has ended
    wake_.clear();
    woken = true;
  }

  void take(const io_uring_cqe& completion, std::span<Event> events, std::size_t& filled) {
    const std::uint32_t slot = slot_of(completion);
    Entry& entry = entries_[slot];
    if ((completion.flags & IORING_CQE_F_MORE) == 0) {
      entry.armed = false;
      ++entry.generation;
    }
    if (completion.res == -ECANCELED) {  // the thread that made the request has ended
      arm_later(slot);
      return;
    }
    const Readiness asked = entry.interest.readiness | Readiness::error | Readiness::hangup;
    const Readiness readiness = completion.res < 0 ? Readiness::error : from_poll(completion.res) & asked;
    if (!entry.armed && completion.res >= 0 && (!entry.interest.one_shot || readiness == Readiness::none)) {
      arm_later(slot);
    }
    if (readiness == Readiness::none) return;
    if (entry.event_of == wait_) {  // several edges since the last wait
      events[entry.event].readiness = events[entry.event].readiness | readiness;
      return;
    }
    entry.event_of = wait_;
    entry.event = static_cast<std::uint32_t>(filled);
    events[filled++] = {entry.token, readiness};
  }

  static std::uint32_t slot_of(const io_uring_cqe& completion) {
    return static_cast<std::uint32_t>(completion.user_data);
  }
  // What a request reports that was for nobody, or that has been taken back since.
  bool is_stale(const io_uring_cqe& completion) const {
    if (completion.user_data == kNobody) return true;
    const std::uint32_t slot = slot_of(completion);
    for (const Own& own : {own_wake_, own_aside_}) {
      if (slot == own.slot) return completion.user_data != name(slot, own.generation);
    }
    return entries_[slot].fd < 0 || completion.user_data != name(slot, entries_[slot].generation);
  }
  // So that what nobody wants does not make the native handle readable.
  void drop_stale() {
    io_uring_cqe* completion = nullptr;
    while (io_uring_peek_cqe(ring_.get(), &completion) == 0 && is_stale(*completion)) {
      io_uring_cqe_seen(ring_.get(), completion);
    }
  }

  Ring ring_;
  WakeEvent wake_;
  std::unordered_map<int, std::uint32_t> slots_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> free_;
  std::vector<std::uint32_t> unarmed_;
  std::thread::id thread_ = std::this_thread::get_id();
  std::uint64_t wait_ = 0;
  std::unique_ptr<Poller> aside_;
  bool aside_is_ready_ = false;
  Own own_wake_{.slot = kWake};
  Own own_aside_{.slot = kAside};
};

bool is_missing(const Error& error) {
  return error.is(std::errc::function_not_supported) || error.is(std::errc::operation_not_permitted) ||
         error.is(std::errc::permission_denied) || error.is(std::errc::invalid_argument);
}

}  // namespace

Result<std::unique_ptr<Poller>> make_io_uring_poller() {
  auto wake = WakeEvent::make();
  if (!wake) return std::unexpected(wake.error());
  auto ring = Ring::make();
  if (!ring && is_missing(ring.error())) {
    return std::unexpected(
        Error(Errc::unsupported, "this system has no io_uring, or forbids it").caused_by(ring.error()));
  }
  if (!ring) return std::unexpected(ring.error());
  if (!ring->has(IORING_FEAT_EXT_ARG) || !ring->has(IORING_FEAT_NODROP)) {
    return fail(Errc::unsupported, "io_uring needs Linux 5.11 or newer here");
  }
  return std::make_unique<IoUringPoller>(*std::move(ring), *std::move(wake));
}

}  // namespace gyre::internal
