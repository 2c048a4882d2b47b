#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gyre/base/error.h>
#include <gyre/js/engine.h>

namespace gyre::js {

class Runtime;

namespace internal {
class RuntimeCore;
struct ValueCell;
}  // namespace internal

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
