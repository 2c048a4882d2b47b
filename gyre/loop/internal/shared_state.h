#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string_view>
#include <vector>

#include <gyre/base/cache_line.h>
#include <gyre/base/internal/short_lock.h>
#include <gyre/base/task.h>
#include <gyre/loop/internal/command.h>
#include <gyre/loop/internal/ingress.h>
#include <gyre/loop/internal/parker.h>
#include <gyre/loop/internal/poller.h>
#include <gyre/loop/state.h>

namespace gyre::internal {

/// One address per thread: comparing it is the cheapest way to ask "am I the owner?".
inline thread_local char thread_tag;

class LoopCore;
class AdmissionControl;
class MetricsRecorder;
struct SharedState;

/// The loop whose off-loaded work this thread executes just now. That loop waits for the work, so the work must not
/// wait for the loop.
inline thread_local const SharedState* offloading_for = nullptr;

/// The part of a loop that other threads touch. It outlives the loop for as long as a `Remote` is held.
///
/// Wake-up protocol. A producer publishes (`ingress`, `commands_pending`, or `wake_requested`), then reads whether and
/// how the owner sleeps (`state`, `sleeps_in_poller`). The owner publishes that it goes to sleep, then reads what
/// producers publish. All of these accesses are sequentially consistent, so at least one of the two sees the other:
/// either the producer wakes the owner, or the owner does not go to sleep. A producer that finds `ingress` not empty or
/// a flag set leaves the waking to the one who made it so. tests/model/wake_up.pml is a model of this.
struct SharedState {
  // Written by the owner when it falls asleep and wakes up, read by producers.
  alignas(kCacheLinePair) std::atomic<LoopState> state{LoopState::awake};
  std::atomic<bool> sleeps_in_poller{false};

  Ingress ingress;

  // One physical wake-up per sleep suffices: set by whoever makes it, cleared by the owner.
  alignas(kCacheLinePair) std::atomic<bool> wake_requested{false};
  std::atomic<bool> commands_pending{false};  // changes under the mutex

  // Hardly ever written, and read by the owner around every callback.
  alignas(kCacheLinePair) std::atomic<bool> stop_requested{false};  // drain, then end
  std::atomic<bool> abort_requested{false};                         // end without running what is queued
  /// The thread that may touch the loop: its `thread_tag`. Null before the first run and after the end. Written under
  /// `ownership`; relaxed reads suffice, for they only ask "is it me?", and a thread knows what it wrote itself.
  std::atomic<const char*> owner{nullptr};
  /// A run call, the final drain, or a borrowed call is on the owner's stack. Written under `ownership`, after `owner`;
  /// `is_inside` reads it without.
  std::atomic<bool> inside{false};
  /// The owner's: between run calls, somebody waits for the loop's native handle, so that calls which give the loop
  /// something to do must be seen there.
  bool waits_outside = false;
  /// Null if the loop has none. Set before any other thread knows the loop, and never changed.
  std::shared_ptr<AdmissionControl> admission;
  Parker parker;

  alignas(kCacheLinePair) ShortLock mutex;
  // Guarded by mutex:
  bool accepting = true;  // as the ingress gate for tasks; changes with it, under the mutex
  BlockQueue<Command> commands;
  std::uint64_t last_timer_id = TimerQueue::kForeignIds;  // of those that other threads have armed
  const Clock* clock = nullptr;                           // valid while `accepting`
  std::unique_ptr<Poller> poller;
  std::shared_ptr<MetricsRecorder> metrics;  // null while metrics are off
  bool done = false;
  std::vector<Task> when_done;
  std::condition_variable_any done_changed;
  std::condition_variable_any call_changed;  // a pending call was answered, or `accepting` has become false

  /// Taken before `mutex` where both are needed.
  std::mutex ownership;
  // Guarded by ownership:
  bool end_claimed = false;  // the loop was never run, and a thread was made to end it
  bool ended = false;
  LoopCore* core = nullptr;  // null once the loop is gone

  bool on_owner_thread() const noexcept { return owner.load(std::memory_order_relaxed) == &thread_tag; }
  /// True in a callback of the loop, and in whatever else this thread does as its owner. Between two steps it is false:
  /// another thread may destroy the loop then. Acquire: a thread that finds `inside` set by that other one also finds
  /// that it is not the owner any more.
  bool is_inside() const noexcept { return inside.load(std::memory_order_acquire) && on_owner_thread(); }

  /// True if other threads have given the loop something that it has not taken over.
  bool has_ingress(std::memory_order order = std::memory_order_acquire) const noexcept {
    return ingress.pending(order) || commands_pending.load(order);
  }
  /// Publishes a task. `Gate::completions` is for what work that was accepted before has to report.
  Result<void> push(IngressKind kind, Task&& task, Ingress::Gate gate = Ingress::Gate::tasks);
  /// Publishes the task in a record that was prepared.
  Result<void> publish(IngressRecord& record, IngressKind kind, Ingress::Gate gate = Ingress::Gate::tasks);
  /// Publishes a task that admission control, which there is, may refuse.
  Result<void> push_judged(Task&& task, std::string_view category);
  Result<void> push_command(Command&& command);
  /// Publishes a timer whose deadline is `deadline`, or, if that is empty, `delay` from now.
  Result<TimerId> push_timer(std::optional<TimePoint> deadline, Duration delay, Duration interval, Task&& task,
                             bool ref);
  Result<void> wake_if_sleeping();
  /// Wakes the owner wherever it sleeps, or keeps it from falling asleep.
  Result<void> wake_now();
  /// Commits the end: from here on nothing is accepted.
  void commit_termination(bool abort);
  /// Has a loop that no thread ever ran end on a thread of its own; does nothing for others.
  void end_if_never_run();
  bool is_done();
  bool wait_done(Duration timeout, const std::stop_token& stop = {});
  void on_done(Task&& callback);
  /// What it throws is dropped: there is no loop any more to report it.
  static void call_when_done(Task& callback) noexcept;

 private:
  /// Under the mutex, after a command was queued. True if the owner must be woken.
  bool mark_commands() noexcept;
};

// What different threads write lies on different cache lines. What it costs where it does not: the workload
// `shared_line` of the benchmark.
constexpr bool on_rising_lines(std::initializer_list<std::size_t> offsets) {
  std::size_t next = 0;
  for (const std::size_t offset : offsets) {
    if (offset < next) return false;
    next = offset / kCacheLinePair * kCacheLinePair + kCacheLinePair;
  }
  return true;
}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"  // compilers that can do it for such a type may
static_assert(on_rising_lines({
    offsetof(SharedState, state),           // the owner's, when it falls asleep or wakes up
    offsetof(SharedState, ingress),         // all producers'
    offsetof(SharedState, wake_requested),  // the producer's that wakes the owner
    offsetof(SharedState, stop_requested),  // hardly ever written, and read around every callback
    offsetof(SharedState, parker),
    offsetof(SharedState, mutex),
}));
static_assert(!on_rising_lines({offsetof(SharedState, stop_requested), offsetof(SharedState, owner)}));
#pragma GCC diagnostic pop
static_assert(alignof(Ingress) == kCacheLinePair && alignof(SharedState) == kCacheLinePair);

}  // namespace gyre::internal
