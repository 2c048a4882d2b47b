#pragma once

#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string_view>
#include <vector>

#include <gyre/base/clock.h>
#include <gyre/base/error.h>
#include <gyre/base/task.h>
#include <gyre/loop/admission.h>
#include <gyre/loop/fast_path.h>
#include <gyre/loop/ids.h>
#include <gyre/loop/metrics.h>
#include <gyre/loop/posted_task.h>
#include <gyre/loop/remote_watcher.h>
#include <gyre/loop/state.h>
#include <gyre/loop/wait_limit.h>

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
  /// loop is closed at once (`close`). Errors: also `backpressure` if the loop has admission control and refuses it;
  /// `Backpressure::of` says why, and when to try again.
  Result<void> post(Task task);
  Result<void> post(PlainClosure auto closure) {
    void* const place = prepare();
    if (place == nullptr) [[unlikely]]
      return post(Task(closure));
    ::new (place) Task(closure);
    return publish();
  }
  /// Like `post`, ahead of ordinary tasks of the same turn. For control work: completions, cancellation.
  Result<void> post_priority(Task task);

  /// Like `post`, unless `stop` is requested before the task's turn comes. Costs an allocation.
  Result<void> post(Task task, std::stop_token stop);
  /// Like `post`, with a handle that can take it back. Costs an allocation.
  Result<PostedTask> post_cancellable(Task task);

  /// Like `post`, judged by the limits of its category too (`AdmissionLimits::category_rates`), if the loop has any. An
  /// empty category is none.
  Result<void> post_in(std::string_view category, Task task);
  /// Like `post`, but waits where that would be refused, until the loop accepts the task; those who wait are served in
  /// the order of their coming, before those who do not. Errors: `timed_out` and `cancelled`, with the refusal as
  /// cause; the task is destroyed then. Throws std::logic_error on the loop's own thread.
  Result<void> post_wait(Task task, const WaitLimit& limit = {}, std::string_view category = {});
  /// Like `post`, and never refused by admission control: for what tells of the end of something that was accepted
  /// before.
  Result<void> post_completion(Task task);

  /// Changes the limits from now on. What is queued stays: a queue that is longer than the new depth accepts nothing
  /// until it is shorter. Errors: `unsupported` if the loop was made without `LoopOptions::admission`;
  /// `invalid_argument`, `out_of_memory`: then nothing has changed.
  Result<void> set_admission(AdmissionLimits limits);
  /// Empty if the loop has no admission control. Works after the end of the loop, too.
  std::optional<AdmissionMetrics> admission() const;
  /// Lets `admission` count from zero.
  void reset_admission();

  // What `Loop` has by the same names, from outside. Whatever one thread gives a loop keeps its order within its kind,
  // and comes before what the loop's own thread gives it later. All fail with `terminated` once the loop is ending.

  Result<void> next_tick(Task task);
  Result<void> queue_microtask(Task task);
  Result<void> at_checkpoint_end(Task task);
  Result<void> set_immediate(Task task, bool ref = true);
  Result<void> post_close(Task task);

  /// The delay counts from this call, however long the loop takes to hear of it. The id is known only to this thread
  /// when the callback starts, which may be before this returns. Errors: `timer_ids_exhausted`.
  Result<TimerId> set_timeout(Duration delay, Task task, bool ref = true);
  Result<TimerId> set_timeout_at(TimePoint deadline, Task task, bool ref = true);
  Result<TimerId> set_interval(Duration interval, Task task, bool ref = true);

  // These wait for the loop's answer: until it has finished the callback that it is running, if any. From a thread that
  // a callback of this loop waits for, give them a limit. On the loop's own thread, and while nobody has run the loop,
  // they act at once. Errors: `timed_out`, `cancelled`, `terminated`.

  /// When it returns, the timer will not start again. Errors: `timer_not_found`.
  Result<void> cancel(TimerId id, const WaitLimit& limit = {});
  /// Several in one go: a result for each, in order.
  Result<std::vector<Result<void>>> cancel(std::span<const TimerId> ids, const WaitLimit& limit = {});
  /// Unknown ids are ignored.
  Result<void> ref(TimerId id, const WaitLimit& limit = {});
  Result<void> unref(TimerId id, const WaitLimit& limit = {});
  Result<void> set_fast_path(FastPath mode, const WaitLimit& limit = {});

  /// Switches the recording of metrics on, from now and from zero, or off. Costs two readings of the clock and a lock
  /// per callback while on, nothing while off. See docs/benchmarks.md.
  Result<void> set_metrics(bool on, const WaitLimit& limit = {});
  /// What was recorded since then, also after the end of the loop; empty if metrics are off.
  std::optional<LoopMetrics> metrics() const;

  /// As `Loop::watch`. When the limit is reached first, nothing is watched. Errors: those of `Loop::watch`.
  Result<RemoteWatcher> watch(int fd, const WatchOptions& options, UniqueFunction<void(Readiness)> callback,
                              const WaitLimit& limit = {});

  /// Has the timer cancelled as soon as the loop hears of it, and does not wait for that. Never blocks.
  Result<void> request_cancel(TimerId id);

  /// Ends the loop's current sleep, if it sleeps.
  Result<void> wake();

  /// Asks the loop to end after it has run everything accepted so far, and waits for that, up to the limit. Timers do
  /// not fire any more. Called on the loop's own thread, or in work that this loop has off-loaded, it asks and returns
  /// at once. A loop that was never run is drained on a thread of its own. Errors: `timed_out` and `cancelled` (the
  /// loop still ends), `terminated` (it had ended before).
  Result<void> shutdown(const WaitLimit& limit = {});
  /// Ends the loop without running what is queued; a callback that is running finishes. Waits for the end, but not in
  /// work that this loop has off-loaded. Cuts a shutdown short that is under way. Errors: `reentrant_close` on the
  /// loop's own thread, `terminated` if it had ended before.
  Result<void> close();

  /// True once no callback of this loop will start any more.
  bool is_done() const;
  /// Waits for that; false if the limit is reached first.
  bool wait_done(const WaitLimit& limit = {}) const;
  /// Calls back once, when that is so: on the thread that ended the loop, or right here if it has ended.
  void on_done(Task callback);

  LoopState state() const;
  /// True on the thread that owns the loop now: there, to wait for the loop is to wait for ever.
  bool on_loop_thread() const noexcept;

 private:
  /// Where the next task is made that this thread posts; null where there is more to do than that.
  void* prepare();
  /// Posts it.
  Result<void> publish();

  std::shared_ptr<internal::SharedState> shared_;
};

}  // namespace gyre
