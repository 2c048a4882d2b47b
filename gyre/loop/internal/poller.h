#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include <gyre/base/clock.h>
#include <gyre/base/error.h>
#include <gyre/loop/poller_kind.h>
#include <gyre/loop/readiness.h>

namespace gyre::internal {

/// The operating system's readiness interface. One thread at a time uses it; `wake` may be called from any.
///
/// A token is handed back with each event of its descriptor; the poller does not interpret it. A descriptor is in the
/// set once, and has at most one event per `wait`.
class Poller {
 public:
  struct Interest {
    Readiness readiness = Readiness::none;
    Trigger trigger = Trigger::level;
    bool one_shot = false;  ///< after one event, none until `modify`
  };
  struct Event {
    std::uint64_t token;
    Readiness readiness;
  };
  /// Not to be given to `add`.
  static constexpr std::uint64_t kReservedToken = ~std::uint64_t{0};

  virtual ~Poller() = default;

  virtual PollerKind kind() const noexcept = 0;
  /// Errors: EEXIST, EBADF, EPERM for a file that cannot be waited for, `unsupported` for edges.
  virtual Result<void> add(int fd, Interest interest, std::uint64_t token) = 0;
  /// What is ready is reported anew, as after `add`. Errors: ENOENT, EBADF, `unsupported`; then nothing has changed.
  virtual Result<void> modify(int fd, Interest interest, std::uint64_t token) = 0;
  /// A descriptor that the kernel no longer knows counts as removed.
  virtual Result<void> remove(int fd) = 0;
  /// Forgets all descriptors, those included that the kernel still watches after their numbers were closed.
  virtual Result<void> reset() = 0;
  /// Sleeps for up to `timeout` (`Duration::max()`: until something happens) and fills `events`. Returns how many; a
  /// wake-up alone gives none. Never returns early for an interrupting signal without an event.
  virtual Result<std::size_t> wait(Duration timeout, std::span<Event> events) = 0;
  /// Ends a `wait` that is going on, or the next one.
  virtual Result<void> wake() noexcept = 0;
  /// A descriptor that is readable whenever `wait` would return at once; -1 if there is none.
  virtual int native_handle() const noexcept = 0;
  /// To be called before somebody waits for the native handle: hands over what else would go with the next `wait`.
  virtual Result<void> flush() { return {}; }
};

/// Each fails with `unsupported` where the system or the build lacks the interface or forbids it.
Result<std::unique_ptr<Poller>> make_epoll_poller();
Result<std::unique_ptr<Poller>> make_io_uring_poller();
Result<std::unique_ptr<Poller>> make_poll_poller();
/// The kind wanted, or what replaces it.
Result<std::unique_ptr<Poller>> make_poller(PollerKind wanted);

}  // namespace gyre::internal
