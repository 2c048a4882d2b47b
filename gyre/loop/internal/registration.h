#pragma once

#include <cstdint>
#include <memory>

#include <gyre/base/task.h>
#include <gyre/loop/readiness.h>

namespace gyre::internal {

struct SharedState;
class WatcherTable;

/// One watched descriptor. The table owns it while it is active; the user's `Watcher` shares it.
struct Registration {
  WatcherTable* table = nullptr;        // null once it is inactive
  std::shared_ptr<SharedState> shared;  // to tell whether the calling thread owns the loop
  int fd = -1;
  Readiness interest = Readiness::none;
  bool ref = true;
  std::uint64_t token = 0;
  UniqueFunction<void(Readiness)> callback;
};

}  // namespace gyre::internal
