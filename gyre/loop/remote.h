#pragma once

#include <memory>

#include <gyre/base/clock.h>
#include <gyre/base/error.h>
#include <gyre/base/task.h>
#include <gyre/loop/state.h>

namespace gyre {

namespace internal {
struct SharedState;
}

/// A loop as other threads see it: copyable, safe from any thread, and valid for as long as you keep it, whatever
/// becomes of the loop.
///
/// ```
/// std::thread worker([remote = loop.remote()]() mutable {
///   remote.post([] { std::puts("on the loop's thread"); });
/// });
/// ```
class Remote {
 public:
  explicit Remote(std::shared_ptr<internal::SharedState> shared) : shared_(std::move(shared)) {}

  /// Runs `task` on the loop's thread, after what this thread posted before. Fails with `terminated` once the loop is
  /// ending; the task is then destroyed here, and never runs. A task that was accepted runs exactly once, unless the
  /// loop is closed at once (`close`).
  Result<void> post(Task task);
  /// Like `post`, ahead of ordinary tasks of the same turn. For control work: completions, cancellation.
  Result<void> post_priority(Task task);

  /// Ends the loop's current sleep, if it sleeps.
  Result<void> wake();

  /// Asks the loop to end after it has run everything accepted so far, and waits for that, up to `timeout`.
  /// Timers do not fire any more. Called on the loop's own thread, or in work that this loop has off-loaded, it asks
  /// and returns at once. A loop that was never run is drained on a thread of its own. Errors: `timed_out` (the loop
  /// still ends), `terminated` (it had ended before).
  Result<void> shutdown(Duration timeout = Duration::max());
  /// Ends the loop without running what is queued; a callback that is running finishes. Waits for the end, but not in
  /// work that this loop has off-loaded. Cuts a shutdown short that is under way. Errors: `reentrant_close` on the
  /// loop's own thread, `terminated` if it had ended before.
  Result<void> close();

  /// True once no callback of this loop will start any more.
  bool is_done() const;
  /// Waits for that; false if `timeout` passes first.
  bool wait_done(Duration timeout = Duration::max()) const;

  LoopState state() const;

 private:
  std::shared_ptr<internal::SharedState> shared_;
};

}  // namespace gyre
