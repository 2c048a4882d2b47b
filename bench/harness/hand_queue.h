#pragma once

#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace bench {

/// The least queue that hands closures to a loop, for peers that have none of their own: a mutex and two vectors that
/// are swapped under it.
class HandQueue {
 public:
  /// From any thread. True if the queue was empty: then, and only then, the loop must be woken.
  template <typename Closure>
  bool push(Closure closure) {
    const std::lock_guard lock(mutex_);
    incoming_.emplace_back(closure);
    return incoming_.size() == 1;
  }

  /// Runs what was queued when it was called. On the loop's thread.
  void drain() {
    {
      const std::lock_guard lock(mutex_);
      std::swap(incoming_, running_);
    }
    for (auto& closure : running_) closure();
    running_.clear();
  }

 private:
  std::mutex mutex_;
  std::vector<std::function<void()>> incoming_;
  std::vector<std::function<void()>> running_;
};

}  // namespace bench
