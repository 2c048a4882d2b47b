#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

#include <gyre/base/cache_line.h>
#include <gyre/base/task.h>
#include <gyre/loop/internal/block_queue.h>
#include <gyre/loop/internal/parker.h>
#include <gyre/loop/internal/poller.h>
#include <gyre/loop/state.h>

namespace gyre::internal {

/// One address per thread: comparing it is the cheapest way to ask "am I the owner?".
inline thread_local char thread_tag;

class LoopCore;

/// The part of a loop that other threads touch. It outlives the loop for as long as a `Remote` is held.
///
/// Wake-up protocol. A producer publishes (`ingress_pending`, or `wake_requested`), then reads how and whether the
/// owner sleeps (`state`, `sleeps_in_poller`). The owner publishes that it goes to sleep, then reads what producers
/// publish. All of these accesses are sequentially consistent, so at least one of the two sees the other: either the
/// producer wakes the owner, or the owner does not go to sleep. A producer that finds `ingress_pending` or
/// `wake_requested` set already leaves the waking to the one who set it.
struct SharedState {
  alignas(kCacheLinePair) std::atomic<LoopState> state{LoopState::awake};
  alignas(kCacheLinePair) std::atomic<bool> ingress_pending{false};
  std::atomic<bool> stop_requested{false};   // drain, then end
  std::atomic<bool> abort_requested{false};  // end without running what is queued
  std::atomic<bool> sleeps_in_poller{false};
  std::atomic<bool> wake_requested{false};  // cleared by the owner; one physical wake-up per sleep suffices
  std::atomic<const char*> owner{nullptr};
  Parker parker;

  alignas(kCacheLinePair) std::mutex mutex;
  // Guarded by mutex:
  bool accepting = true;
  BlockQueue<Task> external;
  BlockQueue<Task> internal;
  std::unique_ptr<Poller> poller;
  LoopCore* core = nullptr;  // null once the loop is gone
  bool done = false;
  std::condition_variable done_changed;

  bool on_owner_thread() const noexcept { return owner.load(std::memory_order_relaxed) == &thread_tag; }

  /// Publishes a task. `even_when_ending` is for completions of work that was accepted before.
  Result<void> push(BlockQueue<Task> SharedState::* queue, Task&& task, bool even_when_ending = false);
  Result<void> wake_if_sleeping();
  /// Wakes the owner wherever it sleeps, or keeps it from falling asleep.
  Result<void> wake_now();
  enum class Commit { first_never_run, first, again };
  /// Commits the end: from here on nothing is accepted.
  Commit commit_termination(bool abort);
  bool wait_done(Duration timeout);
};

}  // namespace gyre::internal
