#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gyre {

/// Where a loop is in its life. The numbers are stable: logs and programs may store them.
///
/// awake -> running <-> sleeping -> terminating -> terminated. A loop is never started again.
enum class LoopState : std::uint32_t {
  awake = 0,        ///< Made, never run.
  terminated = 1,   ///< No callback will start any more.
  sleeping = 2,     ///< The owner waits for something to do, or is between two calls of `run_once`.
  running = 4,      ///< The owner executes.
  terminating = 5,  ///< The end is decided; accepted work still runs.
};

constexpr std::string_view to_string(LoopState state) {
  switch (state) {
    case LoopState::awake:
      return "Awake";
    case LoopState::terminated:
      return "Terminated";
    case LoopState::sleeping:
      return "Sleeping";
    case LoopState::running:
      return "Running";
    case LoopState::terminating:
      return "Terminating";
  }
  return "Unknown";
}

/// The class of a callback, for error reports and counters.
enum class CallbackKind : std::uint8_t {
  task,
  priority_task,
  next_tick,
  microtask,
  checkpoint_end,
  timer,
  immediate,
  close,
  watcher,
  quiescence,
  liveness,  ///< A predicate that says whether an immediate keeps the loop alive.
  pressure,  ///< The handler of queue pressure, or of a batch that was cut.
};

inline constexpr std::size_t kCallbackKinds = 12;

constexpr std::string_view to_string(CallbackKind kind) {
  switch (kind) {
    case CallbackKind::task:
      return "task";
    case CallbackKind::priority_task:
      return "priority task";
    case CallbackKind::next_tick:
      return "next-tick callback";
    case CallbackKind::microtask:
      return "microtask";
    case CallbackKind::checkpoint_end:
      return "end-of-checkpoint callback";
    case CallbackKind::timer:
      return "timer";
    case CallbackKind::immediate:
      return "immediate";
    case CallbackKind::close:
      return "close callback";
    case CallbackKind::watcher:
      return "watcher";
    case CallbackKind::quiescence:
      return "quiescence handler";
    case CallbackKind::liveness:
      return "liveness predicate";
    case CallbackKind::pressure:
      return "pressure handler";
  }
  return "unknown";
}

}  // namespace gyre
