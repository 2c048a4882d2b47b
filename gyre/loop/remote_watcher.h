#pragma once

#include <memory>

#include <gyre/base/error.h>
#include <gyre/loop/wait_limit.h>
#include <gyre/loop/watch_options.h>

namespace gyre {

namespace internal {
struct Registration;
}

/// Keeps a descriptor watched by a loop on another thread (`Remote::watch`). Belongs to whoever holds it, on any
/// thread, one at a time; the callback runs on the loop's thread.
class RemoteWatcher {
 public:
  RemoteWatcher() = default;
  explicit RemoteWatcher(std::shared_ptr<internal::Registration> registration)
      : registration_(std::move(registration)) {}
  RemoteWatcher(RemoteWatcher&&) noexcept = default;
  RemoteWatcher& operator=(RemoteWatcher&& other) noexcept;
  /// Stops watching without waiting for the loop.
  ~RemoteWatcher();

  /// As `Watcher::modify` and `Watcher::rearm`. When the limit is reached first, all stays as it was. Errors: also
  /// `timed_out`, `cancelled`.
  Result<void> modify(const WatchOptions& options, const WaitLimit& limit = {});
  Result<void> rearm(const WaitLimit& limit = {});
  /// When it returns, the callback will not start again, whatever it returns; one that is running goes on. Errors:
  /// `fd_not_registered`, `terminated`, and `timed_out` or `cancelled`: then the loop gives the descriptor up as soon
  /// as it comes to it. Keep a descriptor of your own open until it has.
  Result<void> stop(const WaitLimit& limit = {});

 private:
  std::shared_ptr<internal::Registration> registration_;
};

}  // namespace gyre
