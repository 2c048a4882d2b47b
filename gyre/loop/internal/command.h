#pragma once

#include <cstdint>

#include <gyre/base/clock.h>
#include <gyre/base/task.h>
#include <gyre/loop/internal/timer_queue.h>

namespace gyre::internal {

/// What another thread asks of a loop, besides running a plain task. The owner carries commands out in the order in
/// which they were given, whenever it takes ingress over.
struct Command {
  enum class Kind : std::uint8_t {
    next_tick,
    microtask,
    checkpoint_end,
    immediate,
    close,
    timer,  ///< Arm one; `timer` is the id that the other thread has given it.
    call,   ///< Run `task` at once. Code of this library, not of a user.
  };

  Kind kind;
  bool ref = true;
  std::uint64_t timer = 0;
  TimePoint deadline{};
  Duration interval = TimerQueue::kOnce;
  Task task;
};

}  // namespace gyre::internal
