#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <gyre/base/clock.h>
#include <gyre/base/error.h>
#include <gyre/base/task.h>
#include <gyre/loop/admission.h>
#include <gyre/loop/batch_limits.h>
#include <gyre/loop/binding.h>
#include <gyre/loop/extension.h>
#include <gyre/loop/fast_path.h>
#include <gyre/loop/ids.h>
#include <gyre/loop/observer.h>
#include <gyre/loop/poller_kind.h>
#include <gyre/loop/posted_task.h>
#include <gyre/loop/readiness.h>
#include <gyre/loop/remote.h>
#include <gyre/loop/state.h>
#include <gyre/loop/watch_options.h>
#include <gyre/loop/watcher.h>

namespace gyre {

namespace internal {
class LoopCore;
struct LoopAccess;
enum class Queue { tasks, priority_tasks, ticks, microtasks };
}  // namespace internal

struct LoopOptions {
  /// End `run` when nothing is left that could ever make a callback run. Off, the loop waits for `Remote` calls.
  bool auto_exit = false;
  /// Where time comes from; the system's monotonic clock if null. Must outlive the loop.
  Clock* clock = nullptr;
  /// Told of every exception that leaves a callback. The loop goes on in any case. It runs on the loop's thread; what
  /// it throws itself is dropped.
  UniqueFunction<void(const Error& error, CallbackKind kind)> on_callback_error = {};
  /// Threads that run off-loaded work, started when first needed; 1 to 1024.
  unsigned offload_threads = 4;
  /// Off-loaded jobs that may wait for a thread; more are refused with `backpressure`.
  std::size_t offload_queue_limit = 10'000;
  /// While work is always ready, descriptors are still looked at after this many turns or this much time; at least 1.
  std::uint32_t turns_between_polls = 64;
  Duration time_between_polls = std::chrono::microseconds(50);
  /// How long the thread looks out for work from other threads before it sleeps, while such work keeps coming: a task
  /// that comes in this time costs nobody a system call. Only on the system's clock, and not on machines with one core.
  Duration spin_before_sleep = std::chrono::microseconds(5);
  /// How much later than its deadline a timer may fire, for the sake of fewer wake-ups: timers that are due within this
  /// time of each other fire together. Never earlier.
  Duration timer_slack = {};
  /// Whether the loop may do without the kernel's poller; see `FastPath`.
  FastPath fast_path = FastPath::automatic;
  /// How much of tasks, priority tasks or immediates runs in one go.
  BatchLimits batch_limits = {};
  /// How much a checkpoint runs in one go. With a limit, ticks and microtasks no longer all run before the next task.
  BatchLimits checkpoint_limits = {};
  /// Told of each batch that was cut by its limit, on the loop's thread.
  UniqueFunction<void(const BatchExcess& excess)> on_batch_excess = {};
  /// Told, after tasks have run, that so many more are waiting already: the loop falls behind those who post. On the
  /// loop's thread; it may schedule work.
  UniqueFunction<void(std::size_t waiting)> on_queue_pressure = {};
  /// Asked when the loop would end for want of work: true keeps it running, as does new work.
  UniqueFunction<bool()> on_quiescent = {};
  /// Which interface of the system tells what descriptors are ready for. One that is not to be had is replaced.
  PollerKind poller = PollerKind::automatic;
  /// Limits on the tasks that the loop accepts. They can be changed later (`Remote::set_admission`) if there is
  /// something here now; without, they cost nothing.
  std::optional<AdmissionOptions> admission = {};
};

/// Counters since the loop was made.
struct LoopStats {
  std::uint64_t turns = 0;
  std::uint64_t callbacks = 0;         ///< Of every kind, microtasks included; a binding's own are not counted.
  std::uint64_t failed_callbacks = 0;  ///< Those that threw.
  std::uint64_t polls = 0;             ///< Times that the kernel was asked for events.
  std::uint64_t sleeps = 0;            ///< Times that the thread went to sleep.
  std::uint64_t cut_batches = 0;       ///< Batches that exceeded their limits.
};

/// An event loop with JavaScript's semantics.
///
/// One thread runs it and owns it: every method of `Loop` is for that thread alone (before the first run, for the
/// thread that prepares it) and throws `std::logic_error` on another. Other threads hold a `Remote`.
///
/// A turn has phases, in this order: descriptors, immediates, close callbacks, timers, priority tasks, tasks. After
/// every single callback comes a checkpoint, which runs all next-tick callbacks, then all microtasks, and again, until
/// both queues are empty. What a phase adds to its own queue waits for the next turn.
///
/// Callbacks may throw anything: it is contained, counted, reported to `on_callback_error`, and the loop goes on.
///
/// ```
/// gyre::Loop loop({.auto_exit = true});
/// loop.set_timeout(10ms, [&] { std::puts("ten milliseconds later"); });
/// loop.queue_microtask([] { std::puts("first"); });
/// loop.run();
/// ```
class Loop {
 public:
  /// Takes no kernel resources yet. Throws `std::invalid_argument` for options out of range.
  explicit Loop(LoopOptions options = {});
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  /// Closes the loop at once if it has not ended: what is queued is destroyed unrun. Not from its own callbacks. On
  /// another thread than the one that is running the loop, it waits for a callback that is running.
  ~Loop();

  // --- Running ---------------------------------------------------------------------------------------------------

  /// Runs until the loop ends: by `shutdown` or `close`, by `stop` (then accepted work is drained and the error is
  /// `cancelled`), or, with `auto_exit`, for want of work. Errors: `reentrant_run`, `already_running`, `terminated`, or
  /// the failure of the kernel's readiness interface.
  Result<void> run(std::stop_token stop = {});
  /// One turn, waiting for something to do if there is nothing. True if the loop is still alive.
  Result<bool> run_once(std::stop_token stop = {});
  /// One turn without waiting. True if the loop is still alive.
  Result<bool> poll_once();
  /// Turns until `duration` has passed or the loop ends. True if the loop has not ended.
  Result<bool> run_for(Duration duration);

  /// Asks for the end after all accepted work has run; returns at once. `run` returns when it is done, and must still
  /// be called if it was not yet. Errors: `terminated`.
  Result<void> shutdown();
  /// Ends a loop that is not running: what is queued is destroyed unrun. Errors: `reentrant_close`, `terminated`.
  Result<void> close();

  // --- Work ------------------------------------------------------------------------------------------------------
  // All fail with `terminated` once the loop is ending, and throw std::logic_error for an empty callback. `post` fails
  // with `backpressure` where admission control refuses it (`LoopOptions::admission`).

  // For plain closures (`PlainClosure`) there is an overload that makes the task in its place in the queue.

  /// Runs in the task phase: this turn's if that has not begun, else the next turn's.
  Result<void> post(Task task);
  Result<void> post(PlainClosure auto closure) {
    if (Task* const place = reserve<internal::Queue::tasks>()) [[likely]] {
      place->fill(closure);
      return {};
    }
    return post(Task(closure));
  }
  /// Like `post`, judged by the limits of its category too; see `Remote::post_in`.
  Result<void> post_in(std::string_view category, Task task);
  /// Like `post`, and never refused by admission control; see `Remote::post_completion`.
  Result<void> post_completion(Task task);
  /// Runs in the priority phase, before ordinary tasks.
  Result<void> post_priority(Task task);
  Result<void> post_priority(PlainClosure auto closure) {
    if (Task* const place = reserve<internal::Queue::priority_tasks>()) [[likely]] {
      place->fill(closure);
      return {};
    }
    return post_priority(Task(closure));
  }
  /// Runs in the next checkpoint, before microtasks. Accepted during the final drain as well.
  Result<void> next_tick(Task task);
  Result<void> next_tick(PlainClosure auto closure) {
    if (Task* const place = reserve<internal::Queue::ticks>()) [[likely]] {
      place->fill(closure);
      return {};
    }
    return next_tick(Task(closure));
  }
  /// Runs in the next checkpoint, after next-tick callbacks. Accepted during the final drain as well.
  Result<void> queue_microtask(Task task);
  Result<void> queue_microtask(PlainClosure auto closure) {
    if (Task* const place = reserve<internal::Queue::microtasks>()) [[likely]] {
      place->fill(closure);
      return {};
    }
    return queue_microtask(Task(closure));
  }
  /// Runs in the next checkpoint when no tick and no microtask is left. Accepted during the final drain as well.
  Result<void> at_checkpoint_end(Task task);
  /// Keeps room for so many microtasks from now on, while idle too, so that a flood of them allocates nothing. A loop
  /// has none at first, gets what it needs, and keeps room for about a thousand when a flood is over. What is queued
  /// stays.
  void resize_microtasks(std::size_t count);
  /// How many can be queued without another allocation, those included that are.
  std::size_t microtask_capacity() const;

  /// Runs in the close phase, after immediates.
  Result<void> post_close(Task task);

  /// Like `post`, unless `stop` is requested before the task's turn comes: then it is dropped, captures and all, when
  /// that turn comes. Costs an allocation.
  Result<void> post(Task task, std::stop_token stop);
  /// Like `post`, with a handle that can take it back. Costs an allocation.
  Result<PostedTask> post_cancellable(Task task);

  /// Runs in the check phase, right after descriptors.
  Result<ImmediateId> set_immediate(Task task, bool ref = true);
  /// One that keeps the loop alive for as long as `is_wanted` says so. The predicate is asked when nothing else keeps
  /// the loop alive, perhaps several times; one that throws says no. When the loop ends without it, it does not run.
  template <std::predicate Predicate>
  Result<ImmediateId> set_immediate(Task task, Predicate is_wanted) {
    return set_immediate_while(std::move(task), std::move(is_wanted));
  }
  /// Errors: `immediate_not_found` if it has run or was cancelled.
  Result<void> cancel(ImmediateId id);
  void ref(ImmediateId id);
  void unref(ImmediateId id);

  /// Runs once, `delay` after now, never earlier; a negative delay counts as zero. Equal deadlines keep their order. A
  /// timer armed during a turn does not fire in that turn. Errors: `timer_ids_exhausted`.
  Result<TimerId> set_timeout(Duration delay, Task task, bool ref = true);
  Result<TimerId> set_timeout(Duration delay, PlainClosure auto closure, bool ref = true) {
    Task* place = nullptr;
    const TimerId id = arm_timeout(delay, ref, place);
    if (!id) [[unlikely]]
      return set_timeout(delay, Task(closure), ref);
    place->fill(closure);
    return id;
  }
  /// Runs once at a moment of the loop's clock.
  Result<TimerId> set_timeout_at(TimePoint deadline, Task task, bool ref = true);
  Result<TimerId> set_timeout_at(TimePoint deadline, PlainClosure auto closure, bool ref = true) {
    Task* place = nullptr;
    const TimerId id = arm_timeout_at(deadline, ref, place);
    if (!id) [[unlikely]]
      return set_timeout_at(deadline, Task(closure), ref);
    place->fill(closure);
    return id;
  }
  /// Runs again and again; each run is due `interval` after the start of the one before. Runs that were missed are not
  /// made up for. An interval of zero runs once a turn.
  Result<TimerId> set_interval(Duration interval, Task task, bool ref = true);
  /// When it returns, the timer will not fire again, even if it was due. Errors: `timer_not_found`, `terminated`.
  Result<void> cancel(TimerId id);
  /// Several at once: a result for each, in order. Of an id given twice, the second is not found.
  std::vector<Result<void>> cancel(std::span<const TimerId> ids);
  /// Moves a pending timer's deadline to `delay` from now. Errors: `timer_not_found`, `terminated`.
  Result<void> reschedule(TimerId id, Duration delay);
  Result<void> reschedule_at(TimerId id, TimePoint deadline);
  /// How often an interval came too late for a run of its own, so that the run was left out. Errors: `timer_not_found`.
  Result<std::uint64_t> missed_runs(TimerId id) const;
  /// Whether a timer keeps the loop alive; it does at first. Unknown ids are ignored.
  void ref(TimerId id);
  void unref(TimerId id);

  /// Calls `callback` in the descriptor phase whenever `fd` is ready for something in `interest` (level-triggered), or
  /// has an error or hang-up. `fd` must stay open until the watcher has stopped; if it does not, the callback may miss
  /// events, but never sees those of another file that got the same number. Errors: `fd_already_registered`, or the
  /// system's (EBADF, EPERM for a regular file, EMFILE).
  Result<Watcher> watch(int fd, Readiness interest, UniqueFunction<void(Readiness)> callback);
  /// The same with edges, one-shots, a time-out or ownership of the descriptor. Errors: also `unsupported` for edges
  /// that the poller does not know.
  Result<Watcher> watch(int fd, const WatchOptions& options, UniqueFunction<void(Readiness)> callback);

  /// A descriptor that is readable when `poll_once` would find something to do: for a loop of another kind that drives
  /// this one (docs/embedding.md). It is this loop's: do not close or read it, and stop watching it before the loop
  /// ends. Costs a timer descriptor and, from then on, a poll in each turn. Errors: `unsupported` with
  /// `PollerKind::poll`, `terminated`, the system's (EMFILE).
  Result<int> native_handle();
  /// Which poller is in use; empty before the first watch.
  std::optional<PollerKind> poller_kind() const;

  /// Runs `work(std::stop_token)` on a thread of the loop's pool and then `done(Result<T>)` as a priority task on this
  /// loop, where T is what `work` returns (or what its `Result` holds). An exception in `work` arrives as an error; if
  /// its thread ends under it, `broken` does. `done` never leaves the loop's thread: if the loop is closed first, the
  /// stop token is set, and `done` is destroyed uncalled. Errors: `backpressure`.
  template <typename Work, typename Done>
  Result<void> offload(Work work, Done done);

  /// Work that the loop cannot see: as long as a hold lives, the loop is alive. A hold belongs to the loop's thread.
  class Hold;
  Hold hold();

  /// Sets how the loop waits, also while it runs. Errors: `fast_path_incompatible` for `forced` while descriptors are
  /// watched, `terminated`, or why the kernel's poller could not be made for `disabled`.
  Result<void> set_fast_path(FastPath mode);

  // --- Looking ---------------------------------------------------------------------------------------------------

  /// Different for each loop of the process, counting up from 1; for logs.
  std::uint64_t id() const noexcept;
  Remote remote() const;
  LoopState state() const;
  /// True while something could still make a callback run.
  bool is_alive() const;
  /// Timers that are pending, ref'd or not; one counts until its callback has returned.
  std::size_t timer_count() const;
  /// The clock as it was last read: once a turn, and whenever a timer is armed.
  TimePoint now() const;
  /// Reads the clock again.
  TimePoint refresh_now();
  const LoopStats& stats() const;
  FastPathStats fast_path_stats() const;
  /// How many more timers this thread can arm before `timer_ids_exhausted`.
  std::uint64_t timer_ids_left() const;
  /// From now on `observer` sees what the loop does, until it is removed or the loop has ended. It must live so long.
  void add_observer(LoopObserver& observer);
  void remove_observer(LoopObserver& observer);
  Clock& clock() const;

  // --- For language runtimes -------------------------------------------------------------------------------------

  /// Joins a runtime's queues to the loop's checkpoints until `detach`. The binding must outlive its attachment.
  void attach(LoopBinding& binding);
  void detach(LoopBinding& binding);
  /// Says that an attached runtime's queue of microtasks may hold something from now on: each microtask of the loop's
  /// that is queued gets a place among them (`LoopBinding::keep_place`), so that all run first in, first out. One
  /// binding leads at a time, the last that said so: the microtasks of several runtimes have no order among each other.
  /// Places that are left when the binding has been asked to run its microtasks are given up; the loop runs by itself
  /// what had them.
  void lead_microtasks(LoopBinding& binding);
  /// Says that the queue is empty. The binding leads no more.
  void stop_leading_microtasks(LoopBinding& binding);
  /// For a place that was kept: runs the loop's first microtask. Only within `LoopBinding::run_microtasks`; elsewhere,
  /// and when the checkpoint has been cut short or put off, it does nothing, and the loop runs the microtask by itself.
  /// What the microtask throws is contained.
  void run_microtask_in_place(LoopBinding& binding);
  /// Runs microtasks without ticks: for a runtime in which something counts as a microtask that is none of the queue,
  /// such as the body of a module. Does nothing inside a checkpoint, or while one is put off.
  void run_microtasks();
  /// Keeps `extension` until the loop has ended, or until it is removed. It costs nothing before the end. `key`, the
  /// address of something that the library owns, finds it again; null if nobody needs to.
  void add_extension(const void* key, std::shared_ptr<LoopExtension> extension);
  /// The extension that was added first with that key; null if there is none, and after the end.
  LoopExtension* find_extension(const void* key) const;
  void remove_extension(const LoopExtension& extension);
  /// Throws std::logic_error where a method of this loop would: on another thread than the owner's.
  void require_owner() const;
  /// Runs a checkpoint now; does nothing inside one, or while one is put off.
  void run_checkpoint();
  /// Puts the rest of the present checkpoint off: it goes on after the next task or immediate, or before the loop would
  /// sleep. Until then the loop counts as alive. To put it off twice is to put it off once. Errors: `terminated`.
  Result<void> yield_checkpoint();
  /// Ends a putting-off, so that the checkpoint goes on after this callback; without one, runs a checkpoint.
  Result<void> advance_checkpoint();
  /// Ends a putting-off and goes on with the checkpoint at once.
  Result<void> resume_checkpoint();

 private:
  Result<ImmediateId> set_immediate_while(Task task, UniqueFunction<bool()> is_wanted);
  /// An empty task at the end of a queue, to be filled at once. Null where there is more to do than that.
  template <internal::Queue kQueue>
  Task* reserve();
  /// A timer whose callback is empty, and to be filled at once: `place` points at it. No id where there is more to do
  /// than that. The id is what is returned because that is in registers: what was just written in halves is slow to be
  /// read as a whole.
  TimerId arm_timeout(Duration delay, bool ref, Task*& place);
  TimerId arm_timeout_at(TimePoint deadline, bool ref, Task*& place);

  /// `job` runs on a pool thread, then `done` on the loop's, with the error if `job` threw or null.
  Result<void> offload_job(UniqueFunction<void(std::stop_token)> job, UniqueFunction<void(const Error*)> done);

  friend struct internal::LoopAccess;

  std::unique_ptr<internal::LoopCore> core_;
};

class Loop::Hold {
 public:
  Hold() = default;
  explicit Hold(std::shared_ptr<std::size_t> count) : count_(std::move(count)) { ++*count_; }
  Hold(Hold&& other) noexcept = default;
  Hold& operator=(Hold&& other) noexcept {
    if (this != &other) {
      release();
      count_ = std::move(other.count_);
    }
    return *this;
  }
  ~Hold() { release(); }
  void release() {
    if (count_) --*std::exchange(count_, nullptr);
  }

 private:
  std::shared_ptr<std::size_t> count_;
};

namespace internal {

template <typename T>
struct ResultOf {
  using type = Result<T>;
};
template <typename T>
struct ResultOf<Result<T>> {
  using type = Result<T>;
};

}  // namespace internal

template <typename Work, typename Done>
Result<void> Loop::offload(Work work, Done done) {
  using Returned = std::invoke_result_t<Work&, std::stop_token>;
  using Outcome = typename internal::ResultOf<Returned>::type;
  auto outcome = std::make_shared<std::optional<Outcome>>();
  return offload_job(
      [work = std::move(work), outcome](std::stop_token stop) mutable {
        if constexpr (std::is_void_v<Returned>) {
          work(std::move(stop));
          outcome->emplace();
        } else {
          outcome->emplace(work(std::move(stop)));
        }
      },
      [done = std::move(done), outcome](const Error* failure) mutable {
        if (failure != nullptr) {
          done(Outcome(std::unexpect, *failure));
        } else {
          done(std::move(**outcome));
        }
      });
}

}  // namespace gyre
