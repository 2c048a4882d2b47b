#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gyre/base/clock.h>
#include <gyre/base/error.h>
#include <gyre/base/task.h>
#include <gyre/js/engine.h>

namespace gyre::js {

class Runtime;

namespace internal {
class RuntimeCore;
struct ValueCell;
}  // namespace internal

class Value;

/// Told what a promise was settled with.
using SettledCallback = UniqueFunction<void(Result<Value>)>;

/// A JavaScript value held by C++. Copies share the value. Belongs to its runtime's thread; it may outlive the runtime,
/// but then every operation fails with `terminated`.
class Value {
 public:
  /// Holds nothing; only assignment and `is_empty` make sense.
  Value() = default;
  /// For the library's own use.
  Value(std::shared_ptr<internal::RuntimeCore> core, Local local);

  bool is_empty() const noexcept { return cell_ == nullptr; }
  /// The type, `undefined` for an empty value or an ended runtime.
  ValueType type() const;
  bool is_function() const { return type() == ValueType::function; }

  /// The value as a C++ type (see convert.h); `wrong_type` if it is something else. No JavaScript conversion takes
  /// place: the string "1" is not a number. Reading an object or an array may run its getters, and so needs a runtime
  /// that has not ended; numbers, strings and bytes can be read until it is destroyed.
  template <typename T>
  Result<T> as() const;

  /// A property; a getter may run. `script_failed` if it throws.
  Result<Value> get(std::string_view key) const;
  /// Calls a function with `this` undefined, then runs the checkpoint. Arguments as for `Runtime::set`.
  template <typename... Args>
  Result<Value> call(const Args&... args) const;
  /// The same, and then waits for the result as `when_settled` does, before anything can go unhandled. An exception
  /// that is thrown at once arrives at `done`, too.
  template <typename... Args>
  Result<void> call_async(SettledCallback done, Duration timeout, const Args&... args) const;

  /// Calls `done` once, on the loop's thread, with what the value comes to as `await` would have it: what a promise was
  /// fulfilled with, `script_failed` with the text of the reason if it was rejected; what is no promise, as it is.
  /// Never inside this call; what it throws is contained by the loop.
  ///
  /// A promise that is pending after `timeout`, for the loop's clock, fails with `timed_out`. The script goes on: its
  /// promise may be settled later, which then nobody hears of. Until the time-out the wait keeps the loop alive;
  /// without one it does not. If the runtime ends first, `done` is called with `terminated` or the limit's error.
  ///
  /// A promise that is rejected already counts as unhandled at the end of the checkpoint; `call_async` and
  /// `Runtime::eval_async` wait before that.
  ///
  /// Errors: `terminated` after the runtime's end, or once the loop is ending; `done` is not called then.
  Result<void> when_settled(SettledCallback done, Duration timeout = Duration::max()) const;

  /// The value as console.log would print it.
  std::string to_string() const;

  /// The value in the innermost scope, for code that works on the engine seam directly. Throws `std::logic_error` if it
  /// comes from another realm.
  Local local(Realm& realm) const;
  /// For the library's own use.
  const std::shared_ptr<internal::RuntimeCore>& core() const;

 private:
  std::shared_ptr<internal::ValueCell> cell_;
};

}  // namespace gyre::js
