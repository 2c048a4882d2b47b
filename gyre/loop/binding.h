#pragma once

#include <cstddef>

namespace gyre {

namespace internal {

/// What a loop keeps with a binding: so many of its microtasks have a place in the runtime's queue.
class PlaceCount {
  friend class LoopCore;
  std::size_t value_ = 0;
};

}  // namespace internal

/// How a loop came to its end.
enum class LoopEnd {
  auto_exit,  ///< Nothing was left to wait for.
  shutdown,   ///< On request, after all accepted work had run.
  close,      ///< On request, at once.
};

/// How a language runtime joins a loop: its ticks and microtasks become part of every checkpoint, it is asked before
/// the loop ends for want of work, and told when it ends. See `Loop::attach`. All calls come on the loop's thread.
class LoopBinding {
 public:
  /// Runs the runtime's queued ticks until there are none; true if any ran. Must not throw.
  virtual bool run_ticks() = 0;
  /// Runs the runtime's queued microtasks until there are none; true if they have queued ticks. Must not throw.
  virtual bool run_microtasks() = 0;
  /// A microtask of the loop's is being queued while this binding leads (`Loop::lead_microtasks`): appends to the
  /// runtime's own queue something that calls `Loop::run_microtask_in_place` when its turn comes. The two queues
  /// thereby have one order. False if it cannot; the loop's microtask then does not wait for the runtime's. Must not
  /// throw.
  virtual bool keep_place() { return false; }
  /// Called when all queues are empty: the place to report unhandled rejections. True if that queued new work.
  virtual bool finish_checkpoint() = 0;
  /// Called when the loop has nothing left to wait for and would end. The runtime may add work; the loop then goes on.
  virtual void on_quiescent() = 0;
  /// The loop has ended. Called once; afterwards the binding is detached.
  virtual void on_terminated(LoopEnd how) = 0;

  internal::PlaceCount places;

 protected:
  ~LoopBinding() = default;
};

}  // namespace gyre
