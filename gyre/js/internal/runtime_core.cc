#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <utility>

#include <gyre/js/internal/builtins.h>
#include <gyre/js/internal/runtime_core.h>

namespace gyre::js::internal {
namespace {

constexpr int kUncaughtExitCode = 1;
constexpr int kLimitExitCode = 3;
constexpr int kUnsettledExitCode = 13;  // as Node.js: a top-level await that nothing can settle any more

// How long an interrupt, which can name the line, is waited for before the script is simply terminated.
constexpr Duration kInterruptGrace = std::chrono::milliseconds(50);

// The longest the carrier timer is armed for; JavaScript's own limit for a delay.
constexpr double kMaxTimerMilliseconds = 2147483647;

double unix_milliseconds() {
  return std::chrono::duration<double, std::milli>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string current_directory() {
  char buffer[4096];
  return getcwd(buffer, sizeof(buffer)) != nullptr ? std::string(buffer) : std::string("/");
}

// True for the errors by which the engine says "this is a module".
bool is_module_syntax_error(const Exception& exception) {
  for (const std::string_view sign :
       {"Cannot use import statement outside a module", "Unexpected token 'export'", "Cannot use 'import.meta' outside a module",
        "await is only valid in async functions and the top level bodies of modules"}) {
    if (exception.message.find(sign) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

// --- Life --------------------------------------------------------------------------------------------------------------

RuntimeCore::RuntimeCore(Loop& on_loop, Engine& engine, RuntimeOptions given)
    : loop(on_loop),
      remote(on_loop.remote()),
      options(std::move(given)),
      working_directory(current_directory()),
      engine_name(engine.name()),
      engine_version(engine.version()),
      started(on_loop.clock().now()),
      time_origin(unix_milliseconds()) {
  if (loop.state() == LoopState::terminated) throw std::logic_error("gyre: the loop of a new runtime has ended");
  RealmLimits limits{.heap_bytes = options.heap_limit,
                     .array_buffer_bytes = options.array_buffer_limit,
                     .allow_eval = options.allow_eval};
  auto made = engine.make_realm(*this, limits);
  if (!made) throw ErrorException(made.error());
  realm = std::move(*made);
  if (options.task_timeout > Duration::zero()) {
    watchdog_ = std::make_unique<Watchdog>([this](int attempt) { on_time_limit(attempt); }, kInterruptGrace);
  }
}

RuntimeCore::~RuntimeCore() = default;

void RuntimeCore::start() {
  modules = std::make_unique<ModuleLoader>(*this);
  load_builtins();
  loop.attach(*this);
  attached_ = true;
}

void RuntimeCore::dispose() {
  if (realm == nullptr) return;
  if (end == RuntimeEnd::running) {
    end = RuntimeEnd::finished;
    carry_out_end();
  }
  watchdog_.reset();
  while (ValueCell* cell = cells_.pop_front()) cell->persistent.reset();
  for (Persistent* held :
       {&promise_reject_hook, &require_, &process_timers_, &process_immediates_, &process_ticks_, &process_rejections_,
        &report_uncaught_, &emit_before_exit_, &emit_exit_, &terminal_cleanup_, &inspect_, &main_promise_}) {
    held->reset();
  }
  modules.reset();
  realm.reset();
}

void RuntimeCore::load_builtins() {
  const Scope scope(*realm);
  const Local native = make_native_object(*this);
  add_file_bindings(*this, native);
  const Local compile = realm->function("compile", 1, [](Call& call) {
    static constexpr std::string_view kParameters[] = {"exports", "require", "native"};
    const std::string name = call.realm.to_utf8(call[0]);
    const auto source = builtin_source(name);
    if (!source) {
      call.thrown = call.realm.error(ErrorClass::error, "no built-in is called " + name);
      return;
    }
    const Completion compiled = call.realm.compile_function(*source, "gyre:internal/" + name, kParameters);
    (compiled.is_value() ? call.result : call.thrown) = compiled.value;
  });
  const auto must = [this](const Completion& completion) {
    if (completion.is_value()) return completion.value;
    const Exception exception = realm->describe(completion.value);
    throw std::logic_error("gyre: a built-in failed to load: " +
                           (exception.stack.empty() ? exception.message : exception.stack));
  };
  static constexpr std::string_view kLoaderParameters[] = {"compile", "native"};
  const Local loader =
      must(realm->compile_function(builtin_source("loader").value(), "gyre:internal/loader", kLoaderParameters));
  const Local arguments[] = {compile, native};
  require_ = Persistent(*realm, must(realm->call(loader, realm->undefined(), arguments)));

  const Local hooks = must(realm->get(require_builtin("bootstrap"), "hooks"));
  const auto hook = [&](std::string_view name) { return Persistent(*realm, must(realm->get(hooks, name))); };
  process_timers_ = hook("processTimers");
  process_immediates_ = hook("processImmediates");
  process_ticks_ = hook("processTicks");
  process_rejections_ = hook("processRejections");
  report_uncaught_ = hook("reportUncaught");
  emit_before_exit_ = hook("emitBeforeExit");
  emit_exit_ = hook("emitExit");
  terminal_cleanup_ = hook("terminalCleanup");
  inspect_ = Persistent(*realm, must(realm->get(require_builtin("inspect"), "inspect")));
}

Local RuntimeCore::require_builtin(std::string_view name) {
  const Local argument = realm->string(name);
  const Completion required = realm->call(require_.get(), realm->undefined(), std::span(&argument, 1));
  if (!required.is_value()) {
    throw std::logic_error("gyre: a built-in failed to load: " + realm->describe(required.value).stack);
  }
  return required.value;
}

// --- Operations --------------------------------------------------------------------------------------------------------

RuntimeCore::Entry::Entry(RuntimeCore& core) : core_(core), scope_(*core.realm) {
  if (core_.depth_++ == 0) core_.begin_operation();
}

RuntimeCore::Entry::~Entry() {
  if (--core_.depth_ == 0) core_.end_operation();
}

void RuntimeCore::begin_operation() {
  ++operation_;
  flags[kSuspended] = 0;  // a new callback takes up what a handled exception had suspended
  if (watchdog_) {
    watched_operation_.store(operation_, std::memory_order_relaxed);
    watchdog_->arm(options.task_timeout);
  }
}

void RuntimeCore::end_operation() {
  const bool expired = watchdog_ && watchdog_->disarm();
  if (expired && end == RuntimeEnd::running) stop_for_time();  // it was stopped where no line could be named
  if (end != RuntimeEnd::running) {
    realm->cancel_termination();
    carry_out_end();
  }
}

void RuntimeCore::decide_end(RuntimeEnd why, int code) {
  if (end != RuntimeEnd::running) return;
  end = why;
  exit_code = code;
}

// Drops what is pending and leaves the loop. Runs no more of the script's code.
void RuntimeCore::carry_out_end() {
  if (std::exchange(end_carried_out_, true)) return;
  {
    const Scope scope(*realm);
    static_cast<void>(call_hook(terminal_cleanup_));
  }
  static_cast<void>(loop.cancel(carrier_));
  static_cast<void>(loop.cancel(immediate_));
  if (std::exchange(attached_, false)) loop.detach(*this);
  if (options.on_end) options.on_end(end, exit_code);
}

Result<void> RuntimeCore::check_usable() const {
  if (usable()) return {};
  if (limit_error) return std::unexpected(*limit_error);
  return fail(Errc::terminated, "the runtime has ended and runs no more JavaScript");
}

Completion RuntimeCore::call_hook(const Persistent& hook, std::span<const Local> arguments) {
  return realm->call(hook.get(), realm->undefined(), arguments);
}

// --- Limits ------------------------------------------------------------------------------------------------------------

// On the watchdog's thread. The first attempt interrupts, so that the script's thread itself can say where it is; if the
// engine does not get to that in time, it is terminated wherever it is.
void RuntimeCore::on_time_limit(int attempt) {
  if (attempt > 0) {
    realm->terminate();
    return;
  }
  const std::uint64_t meant = watched_operation_.load(std::memory_order_relaxed);
  realm->request_interrupt([this, meant] {
    if (meant != operation_ || depth_ == 0 || !usable()) return;  // it came too late: the operation is over
    stop_for_time();
    realm->terminate();
  });
}

void RuntimeCore::stop_for_time() {
  const auto milliseconds = std::chrono::duration<double, std::milli>(options.task_timeout).count();
  Error error(Errc::limit_exceeded,
              fmt::format("the script ran for more than {:g} ms without returning to the loop; "
                          "raise the limit with --task-timeout (RuntimeOptions::task_timeout)",
                          milliseconds));
  std::string stack;
  for (const SourceLocation& frame : realm->current_stack(10)) {
    if (frame.resource.starts_with(kInternalScripts)) continue;
    stack += fmt::format("\n    at {}{}:{}:{}{}", frame.function.empty() ? "" : frame.function + " (", frame.resource,
                         frame.line, frame.column, frame.function.empty() ? "" : ")");
    if (stack.size() > 2000) break;
  }
  error = error.with("limit", "task-timeout");
  if (const auto frames = realm->current_stack(1); !frames.empty()) {
    error = error.with("at", fmt::format("{}:{}:{}", frames[0].resource, frames[0].line, frames[0].column));
  }
  if (!stack.empty()) error = error.with("stack", stack);
  limit_error = error;
  decide_end(RuntimeEnd::limit, kLimitExitCode);
}

void RuntimeCore::on_near_heap_limit() {
  if (end != RuntimeEnd::running) return;
  limit_error = Error(Errc::limit_exceeded, "the script's heap is full; raise the limit with --heap-limit "
                                            "(RuntimeOptions::heap_limit)")
                    .with("limit", "heap-limit");
  decide_end(RuntimeEnd::limit, kLimitExitCode);
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

// --- Ends and errors ---------------------------------------------------------------------------------------------------

void RuntimeCore::exit(int code) {
  // reportUncaught ends in exit, too; what was decided first stays.
  if (end == RuntimeEnd::uncaught) {
    exit_code = code;
  } else {
    decide_end(RuntimeEnd::exit, code);
  }
  realm->terminate_here();
}

void RuntimeCore::report_fatal(Local thrown, std::string_view origin) {
  decide_end(RuntimeEnd::uncaught, kUncaughtExitCode);
  ErrorReport report{.exception = realm->describe(thrown), .origin = std::string(origin), .inspected = inspect(thrown)};
  if (options.on_uncaught) {
    options.on_uncaught(report);
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
  if (const auto code = error.context("code")) realm->set(made, "code", realm->string(*code));
  for (const Error::Field& field : error.context()) {
    if (field.key != "code") realm->set(made, field.key, realm->string(field.value));
  }
  return made;
}

Error RuntimeCore::to_error(const Completion& completion) {
  if (completion.is_terminated()) {
    if (limit_error) return *limit_error;
    return Error(Errc::terminated, "the script was stopped");
  }
  const Exception exception = realm->describe(completion.value);
  const bool syntax = exception.message.starts_with("SyntaxError");
  Error error(syntax ? Errc::syntax_error : Errc::script_failed, exception.message);
  if (exception.location.line > 0) {
    error = error.with("at", fmt::format("{}:{}:{}", exception.location.resource, exception.location.line,
                                         exception.location.column));
  }
  return exception.stack.empty() ? error : error.with("stack", exception.stack);
}

// --- Public operations -------------------------------------------------------------------------------------------------

Value RuntimeCore::make_value(Local local) { return Value(shared_from_this(), local); }

Result<Value> RuntimeCore::eval(std::string_view code, std::string_view name) {
  if (auto usable_now = check_usable(); !usable_now) return std::unexpected(usable_now.error());
  const auto self = shared_from_this();
  Result<Value> result;
  {
    const Entry entry(*this);
    const Completion completion = realm->run_script(code, name);
    result = completion.is_value() ? Result<Value>(make_value(completion.value))
                                   : Result<Value>(std::unexpected(to_error(completion)));
    if (usable()) loop.run_checkpoint();
  }
  return result;
}

Result<Value> RuntimeCore::call(Local function, std::span<const Local> arguments) {
  const Completion completion = realm->call(function, realm->undefined(), arguments);
  Result<Value> result = completion.is_value() ? Result<Value>(make_value(completion.value))
                                               : Result<Value>(std::unexpected(to_error(completion)));
  if (usable()) loop.run_checkpoint();
  return result;
}

Result<void> RuntimeCore::run_file(std::string_view path) {
  if (auto usable_now = check_usable(); !usable_now) return usable_now;
  const auto resolved = modules->resolver().resolve_entry(path);
  if (!resolved) return std::unexpected(resolved.error());
  const auto source = modules->read(*resolved);
  if (!source) return std::unexpected(source.error());
  const Entry entry(*this);
  run_program(*source, resolved->path, *resolved);
  return {};
}

Result<void> RuntimeCore::run_code(std::string_view code, std::string_view name, std::string_view directory) {
  if (auto usable_now = check_usable(); !usable_now) return usable_now;
  const Entry entry(*this);
  const std::string path = std::string(directory) + "/" + std::string(name);
  run_program(code, path, {.format = ModuleFormat::detect, .url = "file://" + path, .path = path});
  return {};
}

void RuntimeCore::run_program(std::string_view source, std::string_view name, const ResolvedModule& resolved) {
  ModuleId module = 0;
  Completion completion;
  bool is_module = resolved.format != ModuleFormat::detect;
  if (!is_module) {
    completion = realm->run_script(source, name);
    if (completion.is_thrown()) {
      // A syntax error of this very file, found before any of it ran, may mean that it is a module.
      const Exception exception = realm->describe(completion.value);
      is_module = exception.location.resource == name && is_module_syntax_error(exception);
    }
  }
  if (is_module) {
    completion = resolved.format == ModuleFormat::json ? modules->load(resolved, module)
                                                       : modules->load_source(source, resolved.url, module);
    if (completion.is_value()) completion = realm->evaluate_module(module);
    if (completion.is_value()) {
      run_main_module(completion);
      // A module's body counts as a microtask, as in Node.js: the microtasks it leaves run before its ticks.
      realm->drain_microtasks();
    }
  }
  if (completion.is_thrown() && usable()) report_uncaught(completion.value, "uncaughtException");
  if (usable()) loop.run_checkpoint();
}

// The program's own promise: its rejection is an uncaught exception, and it should be settled when the loop ends.
void RuntimeCore::run_main_module(const Completion& evaluated) {
  main_promise_ = Persistent(*realm, evaluated.value);
  const Local nothing = realm->function("", 0, [](Call&) {});
  const Local rejected = realm->function("", 1, [this](Call& call) { report_uncaught(call[0], "uncaughtException"); });
  realm->promise_then(evaluated.value, nothing, rejected);
}

// --- Timers and immediates ---------------------------------------------------------------------------------------------

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
  const auto self = shared_from_this();
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
  const auto self = shared_from_this();
  const Entry entry(*this);
  immediate_ = ImmediateId();
  static_cast<void>(call_hook(process_immediates_));
}

// Between two timers of one wake, or two immediates: each is an operation of its own, with its own time limit.
void RuntimeCore::checkpoint_from_script() {
  loop.run_checkpoint();
  if (!usable()) {
    realm->terminate_here();
    return;
  }
  if (watchdog_) watchdog_->arm(options.task_timeout);
}

// --- The loop's and the realm's questions ------------------------------------------------------------------------------

bool RuntimeCore::run_ticks() {
  if (!usable() || flags[kSuspended] != 0 || flags[kTicksWaiting] == 0) return false;
  const Entry entry(*this);
  static_cast<void>(call_hook(process_ticks_));
  return flags[kSuspended] == 0;
}

bool RuntimeCore::run_microtasks() {
  if (!usable() || flags[kSuspended] != 0) return false;
  const Entry entry(*this);
  realm->drain_microtasks();
  return flags[kTicksWaiting] != 0;
}

bool RuntimeCore::finish_checkpoint() {
  if (!usable() || flags[kSuspended] != 0 || flags[kRejectionsWaiting] == 0) return false;
  const Entry entry(*this);
  const Completion processed = call_hook(process_rejections_);
  return processed.is_value() && realm->to_boolean(processed.value) && flags[kSuspended] == 0;
}

void RuntimeCore::on_quiescent() {
  if (!usable()) return;
  const Entry entry(*this);
  static_cast<void>(call_hook(emit_before_exit_));
}

void RuntimeCore::on_terminated(LoopEnd how) {
  attached_ = false;
  if (!usable()) return;
  if (how == LoopEnd::auto_exit) {
    const Entry entry(*this);
    if (!main_promise_.is_empty() && realm->promise_state(main_promise_.get()) == PromiseState::pending) {
      write_error("Warning: a top-level await never settled: nothing is left that could settle it\n");
      decide_end(RuntimeEnd::finished, kUnsettledExitCode);
      return;
    }
    const Completion code = call_hook(emit_exit_);
    decide_end(RuntimeEnd::finished, code.is_value() ? static_cast<int>(realm->to_number(code.value)) : exit_code);
  } else {
    decide_end(RuntimeEnd::finished, exit_code);
    carry_out_end();
  }
}

void RuntimeCore::on_promise_rejection(Local promise, Local reason, bool handled) {
  if (promise_reject_hook.is_empty()) return;
  const Local arguments[] = {realm->number(handled ? 1 : 0), promise, reason};
  static_cast<void>(call_hook(promise_reject_hook, arguments));
}

void RuntimeCore::on_microtask_exception(Local thrown) {
  if (!usable()) return;
  report_uncaught(thrown, "uncaughtException");
  if (!usable()) realm->terminate();  // no further microtask runs
}

Local RuntimeCore::on_dynamic_import(std::string_view specifier, std::string_view referrer) {
  const bool has_file = referrer.starts_with("file:") || referrer.starts_with("/");
  return modules->import(specifier, has_file ? std::string(referrer) : working_directory + "/[eval]");
}

void RuntimeCore::on_import_meta(ModuleId module, Local meta) {
  const std::string url = realm->module_url(module);
  realm->set(meta, "url", realm->string(url));
  if (const auto resolved = modules->resolver().resolve(url, working_directory + "/[eval]"); resolved) {
    const std::size_t slash = resolved->path.rfind('/');
    realm->set(meta, "filename", realm->string(resolved->path));
    realm->set(meta, "dirname", realm->string(slash == 0 ? "/" : std::string_view(resolved->path).substr(0, slash)));
  }
  realm->set(meta, "resolve", realm->function("resolve", 1, [this, url](Call& call) {
    const auto resolved = modules->resolver().resolve(call.realm.to_utf8(call[0]), url);
    if (resolved) {
      call.result = call.realm.string(resolved->url);
    } else {
      call.thrown = make_error(resolved.error());
    }
  }));
}

void RuntimeCore::on_engine_task(Task task, double delay) {
  auto run = [self = weak_from_this(), task = std::move(task)]() mutable {
    const auto core = self.lock();
    if (core == nullptr || !core->usable()) return;
    const Entry entry(*core);
    task();
  };
  if (delay <= 0) {
    static_cast<void>(remote.post(std::move(run)));
    return;
  }
  const Duration wait(static_cast<Duration::rep>(delay * 1e9));
  static_cast<void>(remote.post([self = weak_from_this(), wait, run = Task(std::move(run))]() mutable {
    const auto core = self.lock();
    if (core != nullptr) static_cast<void>(core->loop.set_timeout(wait, std::move(run), false));
  }));
}

// --- Output ------------------------------------------------------------------------------------------------------------

void RuntimeCore::write_output(std::string_view text) {
  if (options.output) {
    options.output(text);
  } else {
    std::fwrite(text.data(), 1, text.size(), stdout);
  }
}

void RuntimeCore::write_error(std::string_view text) {
  if (options.error_output) {
    options.error_output(text);
  } else {
    std::fflush(stdout);  // so that a terminal shows both in the order they were written
    std::fwrite(text.data(), 1, text.size(), stderr);
  }
}

}  // namespace gyre::js::internal
