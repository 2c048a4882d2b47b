#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gyre/base/intrusive_list.h>
#include <gyre/js/engine.h>
#include <gyre/js/internal/module_loader.h>
#include <gyre/js/runtime.h>
#include <gyre/js/watchdog.h>
#include <gyre/loop/loop.h>

namespace gyre::js::internal {

/// What copies of a `Value` share; emptied when its runtime goes.
struct ValueCell : ListHook {
  std::shared_ptr<RuntimeCore> core;
  Persistent persistent;
};

/// The machinery behind `Runtime`: what connects a realm's queues to the loop, and decides how a runtime ends.
///
/// Every way into JavaScript goes through an `Entry`. The outermost one is an operation (a timer's callback, a call
/// from the host): it closes with a checkpoint, the watchdog runs during all of it, and in the end what was decided
/// inside (exit, uncaught exception, limit, the destruction of the `Runtime`) is carried out.
///
/// A checkpoint never runs while script is on the stack: script that calls C++ that calls script runs to completion.
///
/// Its sources: runtime_core.cc (life, operations, the loop's queues), runtime_program.cc (what the host runs),
/// runtime_waits.cc (what the host waits for), runtime_limits.cc (who stops it).
class RuntimeCore final : public std::enable_shared_from_this<RuntimeCore>, public RealmDelegate, public LoopBinding {
 public:
  RuntimeCore(Loop& loop, RuntimeOptions options);
  ~RuntimeCore();

  /// Makes the realm, loads the built-ins and joins the loop. Apart from the constructor, because it hands out shared
  /// pointers.
  void start(Engine& engine);
  /// Leaves the loop and destroys the realm. While script is on the stack, that is stopped, and the realm goes when the
  /// stack is empty; the host hears of nothing any more.
  void dispose();
  /// Instead of `start`, in the tool that makes the library's snapshot.
  std::vector<std::byte> make_snapshot(Engine& engine);

  class Entry {
   public:
    enum class Kind : std::uint8_t {
      operation,   ///< Something that happens to the runtime; its microtasks follow.
      checkpoint,  ///< A part of the loop's checkpoint; belongs to the operation before it.
    };
    explicit Entry(RuntimeCore& core, Kind kind = Kind::operation);
    ~Entry();
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    const std::shared_ptr<RuntimeCore> core_;
    std::optional<Scope> scope_;
    bool closes_ = false;
    bool watches_ = false;
  };

  // For the public API.
  Result<Value> eval(std::string_view code, std::string_view name);
  Result<void> eval_async(std::string_view code, std::string_view name, SettledCallback done, Duration timeout);
  Result<void> run_file(std::string_view path);
  Result<void> run_code(std::string_view code, std::string_view name, std::string_view directory);
  Result<void> check_usable() const;
  /// Throws `std::logic_error` on a thread that does not own the loop.
  void check_thread() const;
  /// True as long as script may run.
  bool usable() const noexcept { return realm != nullptr && end == RuntimeEnd::running; }
  void request_stop(int code);
  /// Within an entry: has `done` told what becomes of it.
  Result<void> wait_for(const Completion& completion, SettledCallback done, Duration timeout);
  Value make_value(Local local);
  Result<Value> to_result(const Completion& completion);
  void add_cell(ValueCell& cell) { cells_.push_back(cell); }
  /// What a host call that did not end normally looks like to the host.
  Error to_error(const Completion& completion);
  std::string inspect(Local value);

  // For the built-ins.
  void exit(int code);
  void report_fatal(Local thrown, std::string_view origin);
  /// Takes an exception that reached C++ down the uncaught path.
  void report_uncaught(Local thrown, std::string_view origin);
  void arm_timer(double milliseconds);
  void ref_timer(bool ref);
  void arm_immediate();
  void ref_immediate(bool ref);
  void checkpoint_from_script();
  double refresh_loop_time();
  double time_since_origin() const;
  void write_output(std::string_view text);
  void write_error(std::string_view text);
  /// A JavaScript Error for a C++ one, with `code` for system errors as Node names them.
  Local make_error(const Error& error);
  Completion require_builtin(std::string_view name);

  // RealmDelegate
  void on_promise_rejection(Local promise, Local reason, bool handled) override;
  void on_microtask_exception(Local thrown) override;
  Local on_dynamic_import(std::string_view specifier, std::string_view referrer) override;
  void on_import_meta(ModuleId module, Local meta) override;
  void on_engine_task(Task task, double delay) override;
  void on_near_heap_limit() override;

  // LoopBinding
  bool run_ticks() override;
  bool run_microtasks() override;
  bool keep_place() override;
  bool finish_checkpoint() override;
  void on_quiescent() override;
  void on_terminated(LoopEnd how) override;

  Loop& loop;
  Remote remote;
  RuntimeOptions options;
  std::unique_ptr<Realm> realm;
  std::unique_ptr<ModuleLoader> modules;
  std::string working_directory;
  std::string engine_name;
  std::string engine_version;
  const TimePoint started;
  const double time_origin;  // Unix milliseconds
  Persistent promise_reject_hook;

  RuntimeEnd end = RuntimeEnd::running;
  int exit_code = 0;
  std::optional<Error> limit_error;

  // Shared with the built-ins, which set them: ticks waiting, rejections waiting, checkpoint suspended.
  static constexpr std::size_t kTicksWaiting = 0;
  static constexpr std::size_t kRejectionsWaiting = 1;
  static constexpr std::size_t kSuspended = 2;
  std::uint8_t* flags = nullptr;

 private:
  void load_builtins();
  Local make_compile_function();
  Local run_builtins(Local native, Local compile);
  void connect_builtins(Local root);
  void tell_host_facts(Local native, Local root);
  void release_builtins() noexcept;
  Local must(const Completion& completion);
  Completion call_hook(const Persistent& hook, std::span<const Local> arguments = {});
  void settle_wait(std::uint64_t id, Result<Value> settled);
  void finish_wait(std::uint64_t id, Result<Value> settled);
  void fail_waits();
  void run_timers();
  void run_immediates();
  void run_program(std::string_view source, const ResolvedModule& resolved);
  Completion run_main_module(std::string_view source, const ResolvedModule& resolved);
  void run_checkpoint();
  void script_runs();
  void drain_microtasks();
  void run_microtasks_of_module();
  void run_native_microtask();
  bool may_run_checkpoint() const noexcept {
    return usable() && flags[kSuspended] == 0 && (depth_ == 0 || in_checkpoint_);
  }
  void decide_end(RuntimeEnd why, int code);
  void carry_out_end();
  void leave_loop();
  void tell_end();
  void destroy_realm();
  void start_watchdog();
  bool begin_watch();
  void end_watch();
  void on_time_limit(int attempt);
  void stop_for_time();
  Error with_place(Error error);

  std::unique_ptr<Watchdog> watchdog_;
  Duration spent_{};  // by the current operation, in the pieces of it that are over
  bool watching_ = false;
  std::uint64_t piece_ = 0;  // counts what is watched; an interrupt meant for one piece must not hit the next
  std::atomic<std::uint64_t> watched_piece_{0};
  int depth_ = 0;                // entries on the stack
  int base_depth_ = 0;           // of them, those below a native microtask that runs among the engine's
  bool in_checkpoint_ = false;   // the outermost entry has script behind it, and runs the checkpoint
  bool microtasks_due_ = false;  // something has run since the microtasks were drained
  // Places of the loop's microtasks in the engine's queue. The stale ones, which come first, were given up by the loop.
  std::size_t queued_places_ = 0;
  std::size_t stale_places_ = 0;
  bool end_carried_out_ = false;
  bool disposed_ = false;
  bool attached_ = false;
  TimerId carrier_;
  bool carrier_ref_ = true;
  double loop_time_ = 0;
  ImmediateId immediate_;
  bool immediate_ref_ = false;
  Persistent require_;
  Persistent process_timers_;
  Persistent process_immediates_;
  Persistent process_ticks_;
  Persistent process_rejections_;
  Persistent report_uncaught_;
  Persistent emit_before_exit_;
  Persistent emit_exit_;
  Persistent stored_exit_code_;
  Persistent terminal_cleanup_;
  Persistent inspect_;
  Persistent place_;  // the function that stands for a microtask of the loop's
  Persistent main_promise_;
  IntrusiveList<ValueCell> cells_;
  // What the host waits for, by number.
  struct Wait {
    SettledCallback done;
    TimerId deadline;
    std::optional<Result<Value>> settled;  // and the host is about to be told
  };
  std::map<std::uint64_t, Wait> waits_;
  std::uint64_t last_wait_ = 0;
};

/// Throws `std::invalid_argument` for an empty callback.
void require_callback(const SettledCallback& done);

/// Calls back into the host, whose exceptions must neither end the script's end half-way nor pass through the engine.
template <typename Callback, typename... Args>
void tell_host(Callback& callback, Args&&... args) noexcept {
  try {
    callback(std::forward<Args>(args)...);
  } catch (...) {  // NOLINT(bugprone-empty-catch): there is nobody else to tell
  }
}

/// Makes the object of C++ functions that the built-ins call `native` (host_bindings.cc, file_bindings.cc).
Local make_native_object(RuntimeCore& core);
void add_file_bindings(RuntimeCore& core, Local native);

/// Defines `object.name` as a function; for the files of bindings.
template <typename Callable>
void define_function(RuntimeCore& core, Local object, std::string_view name, Callable callable) {
  core.realm->set(object, name, core.realm->builtin_function(name, 0, std::move(callable)));
}

}  // namespace gyre::js::internal
