#pragma once

#include <memory>

#include <gyre/base/error.h>
#include <gyre/loop/readiness.h>
#include <gyre/loop/watch_options.h>

namespace gyre {

namespace internal {
struct Registration;
}

/// Keeps a descriptor watched (`Loop::watch`); destroying it stops the watching. Belongs to the loop's thread. The
/// descriptor stays yours, and the watcher does not close it, unless `WatchOptions::own` says so.
class Watcher {
 public:
  Watcher() = default;
  explicit Watcher(std::shared_ptr<internal::Registration> registration) : registration_(std::move(registration)) {}
  Watcher(Watcher&&) noexcept = default;
  Watcher& operator=(Watcher&& other) noexcept;
  ~Watcher();

  /// Changes what is watched for. With `Readiness::none` the descriptor stays registered, and only errors and hang-ups
  /// are reported. Arms a one-shot anew and starts the time-out again. Errors: `fd_not_registered` after `stop` or the
  /// loop's end, `terminated` while the loop is ending, the system's (EBADF); then all is as before.
  Result<void> modify(Readiness interest);
  /// Changes all options, `own` included. Errors: also `unsupported` for edges that the poller does not know.
  Result<void> modify(const WatchOptions& options);
  /// Has a one-shot report once more; what is ready already is reported again, for edges too. Errors: as `modify`.
  Result<void> rearm();
  /// Stops watching. When it returns, the callback will not start again, not even for events already received. Errors:
  /// `fd_not_registered`; those of the system tell that something went wrong, the watcher has stopped all the same.
  Result<void> stop();
  /// Whether the watcher keeps the loop alive; it does at first.
  void ref();
  void unref();

  /// False for one that is default-constructed, stopped, or left over from a loop that has ended.
  bool is_active() const noexcept;

 private:
  Result<void> change(const WatchOptions& options);

  std::shared_ptr<internal::Registration> registration_;
};

}  // namespace gyre
