#pragma once

#include <array>
#include <atomic>
#include <cstdint>
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
/// Every way into JavaScript goes through an `Entry`. The outermost one is an operation: the watchdog runs during it, and
/// when it closes, an end that was decided inside (exit, uncaught exception, limit) is carried out.
class RuntimeCore final : public std::enable_shared_from_this<RuntimeCore>, public RealmDelegate, public LoopBinding {
 public:
  RuntimeCore(Loop& loop, Engine& engine, RuntimeOptions options);
  ~RuntimeCore();

  /// Loads the built-ins and joins the loop. Apart from the constructor, because it hands out shared pointers.
  void start();
  /// Leaves the loop and destroys the realm.
  void dispose();

  class Entry {
   public:
    explicit Entry(RuntimeCore& core);
    ~Entry();
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    RuntimeCore& core_;
    Scope scope_;
  };

  // For the public API.
  Result<Value> eval(std::string_view code, std::string_view name);
  Result<void> run_file(std::string_view path);
  Result<void> run_code(std::string_view code, std::string_view name, std::string_view directory);
  Result<Value> call(Local function, std::span<const Local> arguments);
  Result<void> check_usable() const;
  void request_stop(int code);
  Value make_value(Local local);
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
  Local require_builtin(std::string_view name);

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
  bool finish_checkpoint() override;
  void on_quiescent() override;
  void on_terminated(LoopEnd how) override;

  Loop& loop;
  Remote remote;
  RuntimeOptions options;
  std::unique_ptr<Realm> realm;
  std::unique_ptr<ModuleLoader> modules;
  std::string working_directory;
  const std::string engine_name;
  const std::string engine_version;
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
  std::array<std::uint8_t, 8> flags{};

 private:
  bool usable() const noexcept { return realm != nullptr && end == RuntimeEnd::running; }
  void load_builtins();
  Completion call_hook(const Persistent& hook, std::span<const Local> arguments = {});
  void run_timers();
  void run_immediates();
  void run_main_module(const Completion& evaluated);
  void run_program(std::string_view source, std::string_view name, const ResolvedModule& resolved);
  void begin_operation();
  void end_operation();
  void decide_end(RuntimeEnd why, int code);
  void carry_out_end();
  void on_time_limit(int attempt);
  void stop_for_time();

  std::unique_ptr<Watchdog> watchdog_;
  std::uint64_t operation_ = 0;  // counts operations; an interrupt meant for one must not hit the next
  std::atomic<std::uint64_t> watched_operation_{0};
  int depth_ = 0;
  bool end_carried_out_ = false;
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
  Persistent terminal_cleanup_;
  Persistent inspect_;
  Persistent main_promise_;
  IntrusiveList<ValueCell> cells_;
};

/// Makes the object of C++ functions that the built-ins call `native` (host_bindings.cc, file_bindings.cc).
Local make_native_object(RuntimeCore& core);
void add_file_bindings(RuntimeCore& core, Local native);

/// Defines `object.name` as a function; for the files of bindings.
template <typename Callable>
void define_function(RuntimeCore& core, Local object, std::string_view name, Callable callable) {
  core.realm->set(object, name, core.realm->function(name, 0, std::move(callable)));
}

}  // namespace gyre::js::internal
