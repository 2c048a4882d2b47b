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
/// costs two stores and two clock readings: the watching thread looks at the deadline by itself, and sleeps for good
/// only after a while without operations.
///
/// `arm` and `disarm` are for one thread at a time, the one that is watched, and take turns.
class Watchdog {
 public:
  /// `on_expired(attempt)` is called when an operation has taken `limit`, attempt 0, and again every `grace` with a
  /// higher number for as long as it is not disarmed. It runs on the watchdog's thread, never after `disarm` has
  /// returned.
  Watchdog(Duration limit, Duration grace, UniqueFunction<void(int attempt)> on_expired);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  struct Outcome {
    bool expired;      ///< `on_expired` was called.
    Duration elapsed;  ///< Since `arm`.
  };

  /// Begins to watch an operation, which has already spent a part of its limit: an operation may be watched in pieces.
  void arm(Duration already_spent = Duration::zero());
  Outcome disarm();

 private:
  void watch();

  const Duration limit_;
  const Duration grace_;
  UniqueFunction<void(int)> on_expired_;
  std::int64_t armed_at_ = 0;  // for the watched thread alone
  // Steady-clock nanoseconds; 0 while nothing is watched.
  std::atomic<std::int64_t> deadline_{0};
  std::atomic<bool> parked_{true};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;     // guarded by mutex_
  std::int64_t expired_ = 0;  // the deadline that on_expired was called for; guarded by mutex_
  std::thread thread_;
};

}  // namespace gyre::js
