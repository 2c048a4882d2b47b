#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include <gyre/base/task.h>
#include <gyre/loop/watch_options.h>

namespace gyre::internal {

struct SharedState;
class WatcherTable;

/// One watched descriptor. The table owns it while it is active; the user's `Watcher` shares it.
struct Registration {
  // What every event touches comes first.
  std::uint64_t token = 0;
  WatchOptions options;
  bool armed = true;  // false for a one-shot that has reported
  bool ref = true;
  int fd = -1;
  TimePoint idle_until{};    // when the time-out is due, if there is one
  TimePoint queued_until{};  // the moment of its entry in the table's queue of time-outs, if `is_queued`
  bool is_queued = false;
  WatcherTable* table = nullptr;        // null once it is inactive
  std::shared_ptr<SharedState> shared;  // to tell whether the calling thread owns the loop
  UniqueFunction<void(Readiness)> callback;
  /// Of one that another thread holds: set by that thread, it keeps the callback from starting. Null for all others.
  std::unique_ptr<std::atomic<bool>> muted;
};

}  // namespace gyre::internal
