#pragma once

#include <gyre/base/clock.h>
#include <gyre/loop/readiness.h>

namespace gyre {

/// How a descriptor is watched.
///
/// ```
/// loop.watch(fd, {.interest = Readiness::read, .trigger = Trigger::edge, .timeout = 5s}, callback);
/// ```
struct WatchOptions {
  Readiness interest = Readiness::read;
  /// `edge` needs a poller that knows edges: `epoll`, or `io_uring` on Linux 5.13 or newer.
  Trigger trigger = Trigger::level;
  /// After one call of the callback, nothing more until `Watcher::rearm` or `Watcher::modify`.
  bool one_shot = false;
  /// The callback gets `Readiness::timeout` when it was not called for this long, again and again; measured from the
  /// watch, from its last call, from `modify` or from `rearm`. Zero: never.
  Duration timeout = {};
  /// The watcher owns the descriptor from the moment that `watch` has succeeded: it closes it when it stops, and the
  /// loop does at its end.
  bool own = false;
};

}  // namespace gyre
