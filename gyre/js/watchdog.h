#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include <gyre/base/clock.h>
#include <gyre/base/task.h>

namespace gyre::js {

/// Calls back from a thread of its own when an operation takes too long. Arming and disarming around every operation
/// costs two stores and a clock reading: the watching thread looks at the deadline by itself, and sleeps for good only
/// after a while without operations.
///
/// `arm` and `disarm` are for one thread, the one that is watched.
class Watchdog {
 public:
  /// `on_expired(attempt)` is called when the deadline has passed, attempt 0, and again every `grace` with a higher number
  /// for as long as the operation is not disarmed. It runs on the watchdog's thread, never after `disarm` has returned.
  Watchdog(UniqueFunction<void(int attempt)> on_expired, Duration grace);
  ~Watchdog();

  void arm(Duration limit);
  /// True if `on_expired` was called for this operation.
  bool disarm();

 private:
  void watch();

  UniqueFunction<void(int)> on_expired_;
  const Duration grace_;
  // Steady-clock nanoseconds; 0 while nothing is watched.
  std::atomic<std::int64_t> deadline_{0};
  std::atomic<bool> parked_{true};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;          // guarded by mutex_
  std::int64_t expired_ = 0;       // the deadline that on_expired was called for; guarded by mutex_
  std::thread thread_;
};

}  // namespace gyre::js
