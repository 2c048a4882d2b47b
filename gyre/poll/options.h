#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>

#include <gyre/base/clock.h>
#include <gyre/base/error.h>
#include <gyre/base/histogram.h>
#include <gyre/base/task.h>
#include <gyre/poll/backoff.h>

namespace gyre::poll {

/// Where a task stands with its schedule. Whether it runs is another matter.
enum class ScheduleState : std::uint8_t {
  none,   ///< It will not start.
  timer,  ///< It becomes ready at a certain time.
  ready,  ///< It starts as soon as it may.
};

/// What a record tells.
enum class RecordKind {
  run_started,
  run_ended,      ///< With the error.
  task_started,   ///< The duration is the lateness.
  task_finished,  ///< Both stages; the duration is theirs.
  task_failed,    ///< With the error, and the duration.
  hook_called,
  over_budget,  ///< A warning: a first stage's synchronous part, a second stage or a hook held the loop for so long.
  misuse,       ///< A scheduling call was refused, with the error.
};

struct Record {
  RecordKind kind;
  std::string key = {};  ///< Of the task, or "hook 3". Empty for runs.
  Duration duration = {};
  const Error* error = nullptr;
};

struct SchedulerOptions {
  /// `schedule` with a positive delay, and `schedule_at` with a time to come, leave a task alone that is ready.
  bool keep_ready = false;
  /// How many tasks may run at once; 0 means any number.
  std::size_t max_concurrent = 0;
  /// Which of several possible events (a value for a hook, the end of a first stage) comes next is left to chance, so
  /// that none can starve the others. With a seed, always to the same.
  std::optional<std::uint64_t> seed = {};
  /// A callback that holds the loop for longer is recorded; zero means none is.
  Duration callback_budget = {};
  /// Told what happens, on the loop's thread, with the task's `Context` current. Must not throw. Off, records cost
  /// nothing.
  UniqueFunction<void(const Record& record)> on_record = {};
};

struct TaskOptions {
  /// Of several tasks that are ready, the one with the highest starts first; equals in the order of becoming ready.
  int priority = 0;
  /// A first stage that takes longer has failed with `timed_out`: its token is stopped and its result will be dropped.
  /// It counts as running until it has really ended. Zero means no limit.
  Duration timeout = {};
  /// With it, a failure of this task does not end the run: the task is scheduled again, after delays that grow with
  /// each failure, unless it is scheduled already.
  std::optional<BackoffOptions> retry = {};
};

/// What is done about tasks that still run when a run ends.
enum class ExitMode {
  leave,            ///< They are told to stop, and left. The next run waits for them first.
  cancel_and_wait,  ///< They are told to stop, and waited for.
  wait,             ///< They are waited for.
};

struct RunOptions {
  std::stop_token stop = {};
  /// The run ends with `timed_out` then, by the loop's clock.
  std::optional<TimePoint> deadline = {};
  ExitMode exit = ExitMode::leave;
  /// How long the exit waits at most; tasks that have not ended then are told to stop, and left.
  Duration exit_limit = Duration::max();
};

/// What becomes of the present run of a task that is removed.
enum class Removal {
  drop,    ///< It is told to stop; its result is dropped.
  finish,  ///< It finishes, with its second stage.
};

/// What a hook says about itself.
enum class HookAction { keep, unregister };

struct TaskStats {
  std::uint64_t runs = 0;       ///< Started.
  std::uint32_t errors = 0;     ///< Runs that failed.
  std::uint32_t coalesced = 0;  ///< Requests to start that found the task ready already.
  Duration last_duration = {};  ///< Both stages, of the last run that ended.
  Duration last_lateness = {};  ///< How long after its time the last run started.
};

struct SchedulerStats {
  std::uint64_t turns = 0;  ///< Times that the scheduler looked for something to do.
  std::uint64_t starts = 0;
  std::size_t running = 0;
  Histogram lateness;  ///< In nanoseconds.
};

}  // namespace gyre::poll
