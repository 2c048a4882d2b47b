#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <gyre/base/clock.h>
#include <gyre/base/error.h>
#include <gyre/loop/fast_path.h>
#include <gyre/loop/state.h>

namespace gyre {

enum class Severity : std::uint8_t { debug, info, warning, error, critical };

constexpr std::string_view to_string(Severity severity) {
  constexpr std::string_view kNames[] = {"debug", "info", "warning", "error", "critical"};
  const auto index = static_cast<std::size_t>(severity);
  return index < std::size(kNames) ? kNames[index] : "unknown";
}

/// Something that a loop has to say to those who operate it.
struct Diagnostic {
  Severity severity = Severity::info;
  /// A stable name, such as "microtask_flood".
  std::string_view event;
  /// One sentence: what happened, and what to do about it.
  std::string message;
  std::vector<Error::Field> fields = {};
};

/// What is queued at the beginning of a turn.
struct QueueDepths {
  std::size_t tasks = 0;
  std::size_t priority_tasks = 0;
  std::size_t immediates = 0;
  std::size_t close_callbacks = 0;
  std::size_t microtasks = 0;  ///< Ticks and end-of-checkpoint callbacks included.
  std::size_t timers = 0;
};

/// Sees what a loop does: the ground for metrics, traces, logs and audits. While a loop has no observer, each of these
/// costs one comparison.
///
/// All calls come on the loop's thread, in the middle of its work: be short. What an observer throws is dropped. What
/// it does to the loop is not reported to any observer.
class LoopObserver {
 public:
  /// A callback was accepted. `id` names a timer or an immediate; it is 0 for the others. What other threads give the
  /// loop is reported when the loop takes it over, plain tasks excepted: those are counted by `on_ingress`.
  virtual void on_schedule(CallbackKind kind, std::uint64_t id) { static_cast<void>(kind), static_cast<void>(id); }
  /// A timer or immediate was cancelled before it ran.
  virtual void on_cancel(CallbackKind kind, std::uint64_t id) { static_cast<void>(kind), static_cast<void>(id); }
  /// The loop has taken over so many tasks that other threads had posted.
  virtual void on_ingress(std::size_t tasks) { static_cast<void>(tasks); }

  virtual void on_callback_start(CallbackKind kind, std::uint64_t id) {
    static_cast<void>(kind), static_cast<void>(id);
  }
  virtual void on_callback_end(CallbackKind kind, std::uint64_t id, bool failed) {
    static_cast<void>(kind), static_cast<void>(id), static_cast<void>(failed);
  }

  /// A turn begins; the loop has taken over what other threads had for it.
  virtual void on_turn(const QueueDepths& depths) { static_cast<void>(depths); }
  /// The loop asks the kernel for events, or sleeps, for up to `timeout`. What this call gives the loop by its own
  /// methods waits until then; what it gives by a `Remote` ends the wait.
  virtual void on_wait_start(Duration timeout) { static_cast<void>(timeout); }
  virtual void on_wait_end(std::size_t events) { static_cast<void>(events); }

  /// The loop begins or ceases to wait by the kernel's poller.
  virtual void on_fast_path(const FastPathChange& change) { static_cast<void>(change); }
  virtual void on_diagnostic(const Diagnostic& diagnostic) { static_cast<void>(diagnostic); }

 protected:
  ~LoopObserver() = default;
};

}  // namespace gyre
