#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include <gyre/base/clock.h>
#include <gyre/base/error.h>
#include <gyre/loop/readiness.h>

namespace gyre::internal {

/// The operating system's readiness interface. One thread uses it; `wake` may be called from any.
///
/// A token is handed back with each event of its descriptor; the poller does not interpret it.
class Poller {
 public:
  struct Event {
    std::uint64_t token;
    Readiness readiness;
  };

  virtual ~Poller() = default;

  virtual Result<void> add(int fd, Readiness interest, std::uint64_t token) = 0;
  virtual Result<void> modify(int fd, Readiness interest, std::uint64_t token) = 0;
  /// A descriptor that the kernel no longer knows counts as removed.
  virtual Result<void> remove(int fd) = 0;
  /// Forgets all descriptors, those included that the kernel still watches after their numbers were closed.
  virtual Result<void> reset() = 0;
  /// Sleeps for up to `timeout` (`Duration::max()`: until something happens) and fills `events`. Returns how many; a
  /// wake-up alone gives none. Never returns early for an interrupting signal without an event.
  virtual Result<std::size_t> wait(Duration timeout, std::span<Event> events) = 0;
  /// Ends a `wait` that is going on, or the next one.
  virtual Result<void> wake() noexcept = 0;
  /// A descriptor that is readable whenever `wait` would return at once.
  virtual int native_handle() const noexcept = 0;
};

Result<std::unique_ptr<Poller>> make_epoll_poller();

}  // namespace gyre::internal
