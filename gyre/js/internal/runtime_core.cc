#include <chrono>
#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <utility>

#include <unistd.h>

#include <gyre/js/internal/runtime_core.h>
#include <gyre/js/internal/snapshot.h>

// Life, operations, the loop's queues, and what the script's end means.

namespace gyre::js::internal {
namespace {

constexpr int kUncaughtExitCode = 1;
constexpr int kUnsettledExitCode = 13;  // as Node.js: a top-level await that nothing can settle any more

// The longest the carrier timer is armed for; JavaScript's own limit for a delay.
constexpr double kMaxTimerMilliseconds = 2147483647;

// With a smaller heap, V8 ends the process when it sets up an isolate from our snapshot; it needs 5 MiB.
constexpr std::size_t kSmallestHeap = std::size_t{8} << 20;

double unix_milliseconds() {
  return std::chrono::duration<double, std::milli>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string current_directory() {
  char buffer[4096];
  return getcwd(buffer, sizeof(buffer)) != nullptr ? std::string(buffer) : std::string("/");
}

}  // namespace

// --- Life ---

RuntimeCore::RuntimeCore(Loop& on_loop, RuntimeOptions given)
    : loop(on_loop),
      remote(on_loop.remote()),
      options(std::move(given)),
      working_directory(current_directory()),
      started(on_loop.clock().now()),
      time_origin(unix_milliseconds()) {}

RuntimeCore::~RuntimeCore() = default;

void RuntimeCore::start(Engine& engine) {
  if (loop.state() == LoopState::terminated) throw std::logic_error("gyre: the loop of a new runtime has ended");
  if (options.heap_limit != 0 && options.heap_limit < kSmallestHeap) {
    throw std::invalid_argument("gyre: RuntimeOptions::heap_limit must be 0 or at least 8 MiB");
  }
  engine_name = engine.name();
  engine_version = engine.version();
  auto made = engine.make_realm(*this,
                                {.heap_bytes = options.heap_limit,
                                 .array_buffer_bytes = options.array_buffer_limit,
                                 .allow_eval = options.allow_eval},
                                options.use_snapshot ? builtin_snapshot() : std::span<const std::byte>());
  if (!made) throw ErrorException(made.error());
  realm = std::move(*made);
  modules = std::make_unique<ModuleLoader>(*this);
  load_builtins();
  {
    const Scope scope(*realm);
    place_ = Persistent(*realm, realm->function("", 0, [this](Call&) { run_native_microtask(); }));
  }
  start_watchdog();
  loop.attach(*this);
  attached_ = true;
}

void RuntimeCore::dispose() {
  if (realm == nullptr || std::exchange(disposed_, true)) return;
  decide_end(RuntimeEnd::finished, exit_code);
  if (depth_ == 0) {
    const Entry last(*this);  // which carries out the end when it closes, and destroys the realm
    return;
  }
  realm->terminate();
  if (!std::exchange(end_carried_out_, true)) {
    leave_loop();
    fail_waits();
    tell_end();
  }
}

void RuntimeCore::destroy_realm() {
  watchdog_.reset();
  while (ValueCell* cell = cells_.pop_front()) cell->persistent.reset();
  release_builtins();
  main_promise_.reset();
  place_.reset();
  modules.reset();
  realm.reset();
}

Completion RuntimeCore::require_builtin(std::string_view name) {
  const Local argument = realm->string(name);
  return call_hook(require_, std::span(&argument, 1));
}

// --- Operations ---

RuntimeCore::Entry::Entry(RuntimeCore& core, Kind kind) : core_(core.shared_from_this()) {
  core.check_thread();
  scope_.emplace(*core.realm);
  core.script_runs();
  const int depth = core.depth_++;
  if (depth == core.base_depth_ && kind == Kind::operation) core.spent_ = Duration::zero();
  if (depth == 0 && kind == Kind::operation) {
    closes_ = true;
    core.flags[kSuspended] = 0;  // a new callback takes up what a handled exception had suspended
  }
  watches_ = core.begin_watch();
}

RuntimeCore::Entry::~Entry() {
  RuntimeCore& core = *core_;
  if (closes_) core.run_checkpoint();
  if (watches_) core.end_watch();
  if (core.depth_ == 1 && core.end != RuntimeEnd::running) core.carry_out_end();
  scope_.reset();
  if (--core.depth_ == 0 && core.disposed_ && core.realm != nullptr) core.destroy_realm();
}

void RuntimeCore::check_thread() const {
  static_cast<void>(loop.stats());
}

// From now on there may be microtasks in the engine's queue; those of the loop's that are queued later come after them.
void RuntimeCore::script_runs() {
  microtasks_due_ = true;
  if (attached_) loop.lead_microtasks(*this);
}

// The checkpoint after an operation, or between two callbacks of one wake. It is not charged to the operation as a
// whole: what others do in it is theirs, and our own part is watched piece by piece.
void RuntimeCore::run_checkpoint() {
  if (!usable() || depth_ != 1 || in_checkpoint_) return;
  end_watch();
  in_checkpoint_ = true;
  loop.run_checkpoint();
  in_checkpoint_ = false;
}

// Between two timers of one wake, or two immediates: each is an operation of its own, with its own time limit.
void RuntimeCore::checkpoint_from_script() {
  run_checkpoint();
  if (!usable()) {
    realm->terminate();
    return;
  }
  script_runs();  // the next callback makes no entry of its own
  spent_ = Duration::zero();
  begin_watch();
}

void RuntimeCore::decide_end(RuntimeEnd why, int code) {
  if (end != RuntimeEnd::running) return;
  end = why;
  exit_code = code;
}

// Drops what is pending and leaves the loop. No script is on the stack.
void RuntimeCore::carry_out_end() {
  if (std::exchange(end_carried_out_, true)) return;
  realm->cancel_termination();
  spent_ = Duration::zero();
  begin_watch();  // a script may have put a setter that never returns on a handle that is emptied now
  static_cast<void>(call_hook(terminal_cleanup_));
  end_watch();
  realm->cancel_termination();
  leave_loop();
  fail_waits();
  tell_end();
}

void RuntimeCore::leave_loop() {
  if (!std::exchange(attached_, false)) return;
  static_cast<void>(loop.cancel(carrier_));
  static_cast<void>(loop.cancel(immediate_));
  loop.detach(*this);
}

void RuntimeCore::tell_end() {
  if (auto on_end = std::move(options.on_end)) tell_host(on_end, end, exit_code);
}

Result<void> RuntimeCore::check_usable() const {
  if (usable()) return {};
  if (limit_error) return std::unexpected(*limit_error);
  return fail(Errc::terminated, "the runtime has ended and runs no more JavaScript");
}

Completion RuntimeCore::call_hook(const Persistent& hook, std::span<const Local> arguments) {
  if (hook.is_empty()) return {Completion::Kind::value, realm->undefined()};
  return realm->call(hook.get(), realm->undefined(), arguments);
}

// --- Ends and errors ---

void RuntimeCore::exit(int code) {
  // What was decided first stays, but the report of an uncaught exception ends here too, with the code for it.
  if (end == RuntimeEnd::uncaught) {
    exit_code = code;
  } else {
    decide_end(RuntimeEnd::exit, code);
  }
  realm->terminate();
}

void RuntimeCore::report_fatal(Local thrown, std::string_view origin) {
  decide_end(RuntimeEnd::uncaught, kUncaughtExitCode);
  ErrorReport report{.exception = realm->describe(thrown), .origin = std::string(origin), .inspected = inspect(thrown)};
  if (options.on_uncaught) {
    if (!disposed_) tell_host(options.on_uncaught, report);
  } else {
    write_error(report.to_string());
  }
}

void RuntimeCore::report_uncaught(Local thrown, std::string_view origin) {
  const Local arguments[] = {thrown, realm->string(origin)};
  static_cast<void>(call_hook(report_uncaught_, arguments));
}

std::string RuntimeCore::inspect(Local value) {
  const Completion inspected = realm->call(inspect_.get(), realm->undefined(), std::span(&value, 1));
  return inspected.is_value() ? realm->to_utf8(inspected.value) : std::string();
}

Local RuntimeCore::make_error(const Error& error) {
  const Local made = realm->error(ErrorClass::error, error.message());
  if (error.code().category() == std::system_category()) {
    realm->set(made, "errno", realm->number(-error.code().value()));
  }
  if (const auto code = error.context("code")) realm->set(made, "code", realm->string(*code));
  for (const Error::Field& field : error.context()) {
    // "code" is the innermost one, above; "stack" is that of the error made here.
    if (field.key != "code" && field.key != "stack") realm->set(made, field.key, realm->string(field.value));
  }
  return made;
}

Error RuntimeCore::to_error(const Completion& completion) {
  if (completion.is_terminated()) {
    end_watch();  // decides whether it was the time limit
    if (limit_error) return *limit_error;
    return Error(Errc::terminated, "the script was stopped");
  }
  const Exception exception = realm->describe(completion.value);
  const bool syntax = exception.message.starts_with("SyntaxError");
  Error error(syntax ? Errc::syntax_error : Errc::script_failed, exception.message);
  if (exception.location.line > 0) {
    error = error.with(
        "at", fmt::format("{}:{}:{}", exception.location.resource, exception.location.line, exception.location.column));
  }
  return exception.stack.empty() ? error : error.with("stack", exception.stack);
}

// --- Timers and immediates ---

double RuntimeCore::refresh_loop_time() {
  const Duration since = loop.refresh_now() - started;
  return loop_time_ = std::floor(std::chrono::duration<double, std::milli>(since).count());
}

double RuntimeCore::time_since_origin() const {
  return std::chrono::duration<double, std::milli>(loop.clock().now() - started).count();
}

// `milliseconds` counts from the loop time that the built-ins last read.
void RuntimeCore::arm_timer(double milliseconds) {
  if (!usable()) return;
  const auto due = static_cast<std::int64_t>(loop_time_ + std::min(milliseconds, kMaxTimerMilliseconds));
  static_cast<void>(loop.cancel(carrier_));
  auto armed = loop.set_timeout_at(started + std::chrono::milliseconds(due), [this] { run_timers(); }, carrier_ref_);
  carrier_ = armed.value_or(TimerId());
}

void RuntimeCore::ref_timer(bool ref) {
  carrier_ref_ = ref;
  ref ? loop.ref(carrier_) : loop.unref(carrier_);
}

void RuntimeCore::run_timers() {
  if (!usable()) return;
  const Entry entry(*this);
  carrier_ = TimerId();
  const Local now = realm->number(refresh_loop_time());
  const Completion next = call_hook(process_timers_, std::span(&now, 1));
  if (!next.is_value() || !usable()) return;
  const double expiry = realm->to_number(next.value);
  if (expiry != 0) {
    carrier_ref_ = expiry > 0;
    arm_timer(std::abs(expiry) - loop_time_);
  }
}

void RuntimeCore::arm_immediate() {
  if (!usable()) return;
  immediate_ = loop.set_immediate([this] { run_immediates(); }, immediate_ref_).value_or(ImmediateId());
}

void RuntimeCore::ref_immediate(bool ref) {
  immediate_ref_ = ref;
  ref ? loop.ref(immediate_) : loop.unref(immediate_);
}

void RuntimeCore::run_immediates() {
  if (!usable()) return;
  const Entry entry(*this);
  immediate_ = ImmediateId();
  static_cast<void>(call_hook(process_immediates_));
}

// --- The loop's and the realm's questions ---

bool RuntimeCore::run_ticks() {
  if (!may_run_checkpoint() || flags[kTicksWaiting] == 0) return false;
  const Entry entry(*this, Entry::Kind::checkpoint);
  static_cast<void>(call_hook(process_ticks_));
  return flags[kSuspended] == 0;
}

bool RuntimeCore::run_microtasks() {
  if (!may_run_checkpoint() || !microtasks_due_) {
    stale_places_ = queued_places_;  // what is in the engine's queue has to wait; the loop's microtasks have not
    return false;
  }
  const Entry entry(*this, Entry::Kind::checkpoint);
  drain_microtasks();
  return flags[kTicksWaiting] != 0;
}

void RuntimeCore::drain_microtasks() {
  realm->drain_microtasks();
  microtasks_due_ = false;
  queued_places_ = stale_places_ = 0;  // a termination drops the rest of the engine's queue, and places with it
  if (attached_) loop.stop_leading_microtasks(*this);
}

// What the module's body has left, ours and the loop's. Within a checkpoint of the loop's, only ours: the loop's
// follow.
void RuntimeCore::run_microtasks_of_module() {
  if (!in_checkpoint_) {
    end_watch();
    in_checkpoint_ = true;
    loop.run_microtasks();
    in_checkpoint_ = false;
    if (usable()) begin_watch();
  }
  if (usable() && microtasks_due_) drain_microtasks();
  script_runs();
}

// A microtask of the loop's is being queued after all that the engine has queued.
bool RuntimeCore::keep_place() {
  if (!usable()) return false;
  // Functions whose last reference is gone may be destroyed here, and their captures may own the runtime.
  const auto keep = depth_ == 0 ? shared_from_this() : nullptr;
  ++depth_;
  {
    const Scope scope(*realm);
    realm->enqueue_microtask(place_.get());
    ++queued_places_;
  }
  if (--depth_ == 0 && disposed_ && realm != nullptr) destroy_realm();
  return realm != nullptr;
}

// A place was reached. The microtask is no part of the script's operation: its time is not charged to that, and a call
// that it makes to the script is an operation of its own.
void RuntimeCore::run_native_microtask() {
  --queued_places_;
  if (stale_places_ > 0) {
    --stale_places_;
    return;
  }
  const bool watched = watching_;
  end_watch();
  const Duration spent = spent_;
  const int base_depth = std::exchange(base_depth_, depth_);
  loop.run_microtask_in_place(*this);
  base_depth_ = base_depth;
  spent_ = spent;
  if (!usable()) {
    realm->terminate();  // of the script's microtasks no other runs
  } else if (watched) {
    begin_watch();
  }
}

bool RuntimeCore::finish_checkpoint() {
  if (!may_run_checkpoint()) return false;
  if (flags[kRejectionsWaiting] != 0) {
    const Entry entry(*this, Entry::Kind::checkpoint);
    const Completion processed = call_hook(process_rejections_);
    if (processed.is_value() && realm->to_boolean(processed.value) && flags[kSuspended] == 0) return true;
  } else if (microtasks_due_ || flags[kTicksWaiting] != 0) {
    return true;  // what another runtime did in this checkpoint reached into this one
  }
  spent_ = Duration::zero();  // the operation is over, and with it what it may spend
  return false;
}

void RuntimeCore::on_quiescent() {
  if (!usable()) return;
  const Entry entry(*this);
  static_cast<void>(call_hook(emit_before_exit_));
}

void RuntimeCore::on_terminated(LoopEnd how) {
  attached_ = false;
  if (!usable()) return;
  const Entry entry(*this);
  Completion code;
  if (how == LoopEnd::auto_exit) {
    const bool unsettled =
        !main_promise_.is_empty() && realm->promise_state(main_promise_.get()) == PromiseState::pending;
    if (unsettled) write_error("Warning: a top-level await never settled: nothing is left that could settle it\n");
    const Local fallback = realm->number(unsettled ? kUnsettledExitCode : 0);
    code = call_hook(emit_exit_, std::span(&fallback, 1));
  } else {
    code = call_hook(stored_exit_code_);
  }
  const auto number = code.is_value() ? realm->to_int64(code.value) : std::nullopt;
  decide_end(RuntimeEnd::finished, static_cast<int>(number.value_or(0)));
}

void RuntimeCore::on_promise_rejection(Local promise, Local reason, bool handled) {
  const Local arguments[] = {realm->number(handled ? 1 : 0), promise, reason};
  static_cast<void>(call_hook(promise_reject_hook, arguments));
}

void RuntimeCore::on_microtask_exception(Local thrown) {
  if (!usable()) return;
  report_uncaught(thrown, "uncaughtException");
  if (!usable()) realm->terminate();  // no further microtask runs
}

void RuntimeCore::on_engine_task(Task task, double delay) {
  auto run = [self = weak_from_this(), task = std::move(task)]() mutable {
    const auto core = self.lock();
    if (core == nullptr || !core->usable()) return;
    const Entry entry(*core);
    task();
  };
  if (delay <= 0) {
    static_cast<void>(remote.post_completion(std::move(run)));
    return;
  }
  const Duration wait(static_cast<Duration::rep>(delay * 1e9));
  static_cast<void>(remote.post_completion([self = weak_from_this(), wait, run = Task(std::move(run))]() mutable {
    const auto core = self.lock();
    if (core != nullptr) static_cast<void>(core->loop.set_timeout(wait, std::move(run), false));
  }));
}

// --- Output ---

void RuntimeCore::write_output(std::string_view text) {
  if (disposed_) return;
  if (options.output) {
    tell_host(options.output, text);
  } else {
    std::fwrite(text.data(), 1, text.size(), stdout);
  }
}

void RuntimeCore::write_error(std::string_view text) {
  if (disposed_) return;
  if (options.error_output) {
    tell_host(options.error_output, text);
  } else {
    std::fflush(stdout);  // so that a terminal shows both in the order they were written
    std::fwrite(text.data(), 1, text.size(), stderr);
  }
}

}  // namespace gyre::js::internal
