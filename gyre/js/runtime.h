#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <gyre/base/clock.h>
#include <gyre/base/error.h>
#include <gyre/base/task.h>
#include <gyre/js/convert.h>
#include <gyre/js/engine.h>
#include <gyre/js/error_report.h>
#include <gyre/js/value.h>
#include <gyre/loop/loop.h>

namespace gyre::js {

/// What the module "gyre:fs" may do.
enum class FileAccess : std::uint8_t { none, read, read_write };

/// Why a runtime runs no more JavaScript.
enum class RuntimeEnd : std::uint8_t {
  running,   ///< It has not ended.
  finished,  ///< Its loop had nothing left to do, or was shut down.
  exit,      ///< The script called process.exit.
  uncaught,  ///< An exception or rejection that nobody handled.
  limit,     ///< A limit was hit; `Runtime::limit_error` says which.
  stopped,   ///< `Runtime::request_stop` was called.
};

struct RuntimeOptions {
  /// process.argv from its second element on: the script's path, then its arguments.
  std::vector<std::string> arguments = {};
  /// process.env. Empty unless you say otherwise: a script sees nothing of the host's environment.
  std::map<std::string, std::string> environment = {};
  FileAccess file_access = FileAccess::none;
  /// Where console.log and process.stdout go; the process's standard output if empty.
  UniqueFunction<void(std::string_view)> output = {};
  /// Where console.error, warnings and reports of uncaught errors go; the process's standard error if empty.
  UniqueFunction<void(std::string_view)> error_output = {};
  /// Told of an exception nobody caught, instead of the report on `error_output`.
  UniqueFunction<void(const ErrorReport&)> on_uncaught = {};
  /// Called once when the runtime ends, with the exit code, on the loop's thread.
  UniqueFunction<void(RuntimeEnd, int)> on_end = {};
  // What these callbacks throw is dropped: they tell the host, and must not change what the script sees.

  /// The longest that one operation (a timer's callback, a call from the host, the main script), with the microtasks it
  /// leaves, may take. Zero: no limit. An operation over it is stopped, and the runtime ends.
  Duration task_timeout = Duration::zero();
  /// Limits of the JavaScript heap (at least 8 MiB) and of ArrayBuffer memory in bytes; 0: the engine's own.
  std::size_t heap_limit = 0;
  std::size_t array_buffer_limit = 0;
  /// Start from the snapshot with the built-ins loaded that was made when the library was built; without it, every
  /// runtime runs them anew, several times as slow. A snapshot that does not fit the engine is never used.
  bool use_snapshot = true;
  /// Whether eval and new Function work.
  bool allow_eval = true;
};

/// JavaScript on a loop: one isolated global object with its own heap, whose timers, promises and callbacks run on the
/// loop it was made for. Many runtimes may share a loop; they see nothing of each other.
///
/// Belongs to the loop's thread, and must be destroyed before the loop and the engine. Destroying it drops what the
/// script still had pending. It may be destroyed in a function that its own script has called, or in one of its
/// callbacks: the script then stops when that returns.
///
/// ```
/// gyre::Loop loop({.auto_exit = true});
/// auto engine = gyre::js::make_v8_engine();
/// gyre::js::Runtime runtime(loop, *engine);
/// runtime.set("add", [](double a, double b) { return a + b; });
/// runtime.eval("setTimeout(() => console.log(add(40, 2)), 10)");
/// loop.run();
/// ```
class Runtime {
 public:
  /// Throws `std::logic_error` if the loop has ended, `std::invalid_argument` for options out of range.
  Runtime(Loop& loop, Engine& engine, RuntimeOptions options = {});
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  /// Runs a classic script and the checkpoint after it; the result is the value of its last statement. Errors:
  /// `syntax_error`, `script_failed` with the exception's text and place, `limit_exceeded`, `terminated` after the
  /// runtime's end.
  Result<Value> eval(std::string_view code, std::string_view name = "[eval]");
  /// The same, and then waits for the value, if that is a promise, for `timeout` at most: see `Value::when_settled`.
  /// What goes wrong in the script, at once or later, arrives at `done`. Errors: `terminated` after the runtime's end.
  Result<void> eval_async(std::string_view code, SettledCallback done, Duration timeout = Duration::max(),
                          std::string_view name = "[eval]");
  /// Runs a program: an ES module (.mjs, or .js in a package of type "module", or with import or export in it) or a
  /// classic script. What it throws takes the path of uncaught exceptions. Errors: the file cannot be found or read.
  Result<void> run_file(std::string_view path);
  /// Like `run_file`, for code that comes from elsewhere; imports are resolved as if it stood in `directory`.
  Result<void> run_code(std::string_view code, std::string_view name, std::string_view directory);

  /// Defines a global. Callables become functions: their arguments and result are converted (convert.h), wrong types
  /// throw a TypeError that names the argument, and a failed `Result` or C++ exception throws an Error (with the
  /// context of the `Error` as properties). A callable lives until the script has lost its last reference to the
  /// function.
  template <typename T>
  void set(std::string_view name, T&& value);
  /// A global's value.
  Result<Value> get(std::string_view name);
  /// Calls a global function.
  template <typename... Args>
  Result<Value> call(std::string_view name, const Args&... args);
  /// Calls a global function and waits for what it returns: see `Value::call_async`.
  template <typename... Args>
  Result<void> call_async(std::string_view name, SettledCallback done, Duration timeout, const Args&... args);
  /// A value for use in the script.
  template <typename T>
  Value make(T&& value);

  /// Ends the runtime from any thread, with `exit_code`: a script that is running is stopped where it is, and nothing
  /// of it runs any more. Returns at once. The runtime must not be destroyed meanwhile.
  void request_stop(int exit_code);

  RuntimeEnd end() const;
  bool has_ended() const { return end() != RuntimeEnd::running; }
  /// What process.exitCode says, 1 after an uncaught exception, 3 after a limit was hit.
  int exit_code() const;
  /// The limit that ended the runtime: message, place, and how to raise it. Null if none did.
  const Error* limit_error() const;

  MemoryUsage memory_usage() const;
  Loop& loop() const;

 private:
  friend class Value;
  void define(std::string_view name, UniqueFunction<Local(Realm&)> make);
  Result<Value> call_global(std::string_view name, UniqueFunction<std::vector<Local>(Realm&)> arguments);
  Value make_value(UniqueFunction<Local(Realm&)> make);

  std::shared_ptr<internal::RuntimeCore> core_;
};

namespace internal {

/// A JavaScript Error with the message of `error`, and its context as properties.
Local make_error(Realm& realm, const Error& error);
/// Calls a JavaScript function as an operation of its runtime.
Result<Value> call_value(const Value& function, UniqueFunction<std::vector<Local>(Realm&)> arguments);
/// The same, and waits for the result.
Result<void> call_value_async(const Value& function, UniqueFunction<std::vector<Local>(Realm&)> arguments,
                              SettledCallback done, Duration timeout);
/// Runs `look`, which runs no script, in a scope of the value's runtime. Errors: `terminated` if that is gone.
Result<void> look_at(const Value& value, UniqueFunction<void(Realm&, Local)> look);
/// The same as an operation of the runtime: `read` may run script. Errors: as `Runtime::eval` after the runtime's end.
Result<void> read_value(const Value& value, UniqueFunction<void(Realm&, Local)> read);

template <typename T>
Local to_local(Realm& realm, T&& value) {
  return Convert<std::remove_cvref_t<T>>::to_js(realm, std::forward<T>(value));
}

template <typename... Args>
UniqueFunction<std::vector<Local>(Realm&)> to_locals(const Args&... args) {
  return [&args...](Realm& realm) { return std::vector<Local>{to_local(realm, args)...}; };
}

template <typename T>
struct CallableTraits {};
template <typename T>
  requires requires { &T::operator(); }
struct CallableTraits<T> : CallableTraits<decltype(&T::operator())> {};
template <typename R, typename... Args>
struct CallableTraits<R (*)(Args...)> {
  using Result = R;
  using Arguments = std::tuple<std::remove_cvref_t<Args>...>;
};
template <typename R, typename C, typename... Args>
struct CallableTraits<R (C::*)(Args...)> : CallableTraits<R (*)(Args...)> {};
template <typename R, typename C, typename... Args>
struct CallableTraits<R (C::*)(Args...) const> : CallableTraits<R (*)(Args...)> {};
template <typename R, typename C, typename... Args>
struct CallableTraits<R (C::*)(Args...) noexcept> : CallableTraits<R (*)(Args...)> {};
template <typename R, typename C, typename... Args>
struct CallableTraits<R (C::*)(Args...) const noexcept> : CallableTraits<R (*)(Args...)> {};

template <typename T>
concept HostCallable = requires { typename CallableTraits<std::decay_t<T>>::Result; };

template <typename T>
inline constexpr bool kIsResult = false;
template <typename T>
inline constexpr bool kIsResult<Result<T>> = true;

template <typename Returned>
void give_back(Call& call, Returned&& returned) {
  using Plain = std::remove_cvref_t<Returned>;
  if constexpr (kIsResult<Plain>) {
    if (!returned) {
      call.thrown = make_error(call.realm, returned.error());
    } else if constexpr (!std::is_void_v<typename Plain::value_type>) {
      call.result = to_local(call.realm, *std::forward<Returned>(returned));
    }
  } else {
    call.result = to_local(call.realm, std::forward<Returned>(returned));
  }
}

template <typename Callable>
NativeFunction wrap(std::string name, Callable callable) {
  using Traits = CallableTraits<Callable>;
  using Arguments = typename Traits::Arguments;
  return [name = std::move(name), callable = std::move(callable)](Call& call) mutable {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      std::tuple<Result<std::tuple_element_t<I, Arguments>>...> converted{
          Convert<std::tuple_element_t<I, Arguments>>::from_js(call.realm, call[I])...};
      const Error* failed = nullptr;
      [[maybe_unused]] std::size_t position = 0;
      [[maybe_unused]] const auto check = [&](std::size_t index, const auto& argument) {
        if (!argument && failed == nullptr) {
          failed = &argument.error();
          position = index + 1;
        }
      };
      (check(I, std::get<I>(converted)), ...);
      if (failed != nullptr) {
        call.thrown = call.realm.error(ErrorClass::type_error,
                                       fmt::format("{}: argument {}: {}", name, position, failed->message()));
        return;
      }
      if constexpr (std::is_void_v<typename Traits::Result>) {
        std::invoke(callable, std::move(*std::get<I>(converted))...);
      } else {
        give_back(call, std::invoke(callable, std::move(*std::get<I>(converted))...));
      }
    }(std::make_index_sequence<std::tuple_size_v<Arguments>>());
  };
}

}  // namespace internal

template <typename T>
void Runtime::set(std::string_view name, T&& value) {
  if constexpr (internal::HostCallable<T>) {
    using Callable = std::decay_t<T>;
    constexpr auto kArity = std::tuple_size_v<typename internal::CallableTraits<Callable>::Arguments>;
    define(name, [&](Realm& realm) {
      return realm.function(name, static_cast<int>(kArity),
                            internal::wrap<Callable>(std::string(name), std::forward<T>(value)));
    });
  } else {
    define(name, [&](Realm& realm) { return internal::to_local(realm, std::forward<T>(value)); });
  }
}

template <typename... Args>
Result<Value> Runtime::call(std::string_view name, const Args&... args) {
  return call_global(name, internal::to_locals(args...));
}

template <typename... Args>
Result<void> Runtime::call_async(std::string_view name, SettledCallback done, Duration timeout, const Args&... args) {
  const auto function = get(name);
  if (!function) return std::unexpected(function.error());
  return function->call_async(std::move(done), timeout, args...);
}

template <typename T>
Value Runtime::make(T&& value) {
  return make_value([&](Realm& realm) { return internal::to_local(realm, std::forward<T>(value)); });
}

template <typename... Args>
Result<Value> Value::call(const Args&... args) const {
  return internal::call_value(*this, internal::to_locals(args...));
}

template <typename... Args>
Result<void> Value::call_async(SettledCallback done, Duration timeout, const Args&... args) const {
  return internal::call_value_async(*this, internal::to_locals(args...), std::move(done), timeout);
}

template <typename T>
Result<T> Value::as() const {
  std::optional<Result<T>> result;
  const auto convert = [&result](Realm& realm, Local value) { result.emplace(Convert<T>::from_js(realm, value)); };
  const auto read =
      internal::kRunsNoScript<T> ? internal::look_at(*this, convert) : internal::read_value(*this, convert);
  if (!read) return std::unexpected(read.error());
  return *std::move(result);
}

}  // namespace gyre::js
