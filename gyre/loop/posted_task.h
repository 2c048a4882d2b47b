#pragma once

#include <atomic>
#include <memory>
#include <stop_token>
#include <utility>

#include <gyre/base/task.h>

namespace gyre {

namespace internal {

/// A task that its loop and whoever holds its handle compete for.
struct CancellableTask {
  explicit CancellableTask(Task given) : task(std::move(given)) {}
  bool claim() noexcept { return !taken.exchange(true, std::memory_order_acq_rel); }

  std::atomic<bool> taken{false};
  Task task;
};

}  // namespace internal

/// A task in a loop's queue that can still be taken back. Safe from any thread; destroying it leaves the task alone.
class PostedTask {
 public:
  PostedTask() = default;
  explicit PostedTask(std::shared_ptr<internal::CancellableTask> task) : task_(std::move(task)) {}

  /// True if the task will never run; what it captured is then destroyed before this returns, on this thread. False if
  /// it has begun, has run, or was cancelled before.
  bool cancel() {
    if (task_ == nullptr || !task_->claim()) return false;
    task_->task.reset();
    return true;
  }

 private:
  std::shared_ptr<internal::CancellableTask> task_;
};

namespace internal {

/// What goes into the queue for it.
inline Task runner_of(std::shared_ptr<CancellableTask> task) {
  return [task = std::move(task)] {
    if (!task->claim()) return;
    Task claimed =
        std::move(task->task);  // so that its captures go with it, though a handle may stay, and though it may throw
    claimed();
  };
}

/// A task that does nothing once `stop` is requested.
inline Task unless_stopped(std::stop_token stop, Task task) {
  return [stop = std::move(stop), task = std::move(task)]() mutable {
    if (!stop.stop_requested()) task();
  };
}

}  // namespace internal

}  // namespace gyre
