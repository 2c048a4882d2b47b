#pragma once

#include <cstddef>
#include <memory>
#include <stop_token>

#include <gyre/base/error.h>
#include <gyre/base/task.h>

namespace gyre {

/// A bounded pool of threads for work that blocks. Threads start when first needed and stay. Safe from any thread.
class OffloadPool {
 public:
  using Job = UniqueFunction<void(std::stop_token)>;

  OffloadPool(unsigned threads, std::size_t queue_limit);
  /// Asks running jobs to stop, destroys those that have not begun, and does not wait: a blocked job must not block
  /// the one who closes the pool. Threads end with their current job.
  ~OffloadPool();

  /// Errors: `backpressure` when the queue is full; EAGAIN when no thread can be started.
  Result<void> submit(Job job);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace gyre
