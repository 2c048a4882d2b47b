#include <chrono>

#include <gyre/js/internal/runtime_core.h>

// What stops a script from outside: the time limit, the heap limit, and the host.

namespace gyre::js::internal {
namespace {

constexpr int kLimitExitCode = 3;

// Between two attempts to stop a script.
constexpr Duration kGrace = std::chrono::milliseconds(100);
// Before this attempt, the script is stopped by interrupts, which can name the line.
constexpr int kFirstTermination = 4;

}  // namespace

void RuntimeCore::start_watchdog() {
  if (options.task_timeout <= Duration::zero()) return;
  watchdog_ = std::make_unique<Watchdog>(options.task_timeout, kGrace, [this](int attempt) { on_time_limit(attempt); });
}

// False if it is watched already, or there is no limit.
bool RuntimeCore::begin_watch() {
  if (watchdog_ == nullptr || watching_) return false;
  watching_ = true;
  watched_piece_.store(++piece_, std::memory_order_relaxed);  // read under the watchdog's mutex, after the deadline
  watchdog_->arm(spent_);
  return true;
}

void RuntimeCore::end_watch() {
  if (!std::exchange(watching_, false)) return;
  const Watchdog::Outcome outcome = watchdog_->disarm();
  spent_ += outcome.elapsed;
  if (outcome.expired && usable()) stop_for_time();  // it was stopped where no line could be named
}

// On the watchdog's thread. An interrupt lets the script's own thread say where it is. If the engine does not get to
// that in time, the script is terminated wherever it is.
void RuntimeCore::on_time_limit(int attempt) {
  if (attempt >= kFirstTermination) {
    realm->terminate();
    return;
  }
  const std::uint64_t meant = watched_piece_.load(std::memory_order_relaxed);
  realm->request_interrupt([this, meant] {
    if (meant != piece_ || !watching_) return;  // it came too late: that piece is over
    if (usable()) stop_for_time();
    realm->terminate();
  });
}

void RuntimeCore::stop_for_time() {
  const auto milliseconds = std::chrono::duration<double, std::milli>(options.task_timeout).count();
  limit_error = with_place(
      Error(Errc::limit_exceeded, fmt::format("the script ran for more than {:g} ms without returning to the loop; "
                                              "raise the limit with --task-timeout (RuntimeOptions::task_timeout)",
                                              milliseconds))
          .with("limit", "task-timeout"));
  decide_end(RuntimeEnd::limit, kLimitExitCode);
}

// Deep inside the engine, so the place must wait until the script can be interrupted.
void RuntimeCore::on_near_heap_limit() {
  if (end != RuntimeEnd::running) return;
  limit_error = Error(Errc::limit_exceeded,
                      "the script's heap is full; raise the limit with --heap-limit "
                      "(RuntimeOptions::heap_limit)")
                    .with("limit", "heap-limit");
  decide_end(RuntimeEnd::limit, kLimitExitCode);
  realm->request_interrupt([this] {
    if (end_carried_out_) return;
    limit_error = with_place(*limit_error);
    realm->terminate();
  });
}

// From any thread. Whichever comes first stops the script: the interrupt if it is running, the task if the loop is.
void RuntimeCore::request_stop(int code) {
  realm->request_interrupt([this, code] {
    if (depth_ == 0 || !usable()) return;
    decide_end(RuntimeEnd::stopped, code);
    realm->terminate();
  });
  static_cast<void>(remote.post_priority([self = weak_from_this(), code] {
    const auto core = self.lock();
    if (core == nullptr || !core->usable()) return;
    const Entry entry(*core);
    core->decide_end(RuntimeEnd::stopped, code);
  }));
}

// Adds where the script is now, as far as that is its own code.
Error RuntimeCore::with_place(Error error) {
  constexpr int kFrames = 10;
  constexpr std::size_t kMaxStackBytes = 2000;
  std::string stack;
  for (const SourceLocation& frame : realm->current_stack(kFrames)) {
    if (frame.resource.starts_with(kInternalScripts) || stack.size() > kMaxStackBytes) continue;
    const std::string place = fmt::format("{}:{}:{}", frame.resource, frame.line, frame.column);
    if (stack.empty()) error = error.with("at", place);
    stack += frame.function.empty() ? fmt::format("\n    at {}", place)
                                    : fmt::format("\n    at {} ({})", frame.function, place);
  }
  return stack.empty() ? error : error.with("stack", stack);
}

}  // namespace gyre::js::internal
