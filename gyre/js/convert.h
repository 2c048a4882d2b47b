#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <gyre/base/error.h>
#include <gyre/js/engine.h>
#include <gyre/js/value.h>

namespace gyre::js {

/// How a C++ type travels to JavaScript and back. Specialise it for types of your own:
///
/// ```
/// template <> struct gyre::js::Convert<Point> {
///   static Local to_js(Realm& realm, const Point& point);
///   static Result<Point> from_js(Realm& realm, Local value);
/// };
/// ```
///
/// Provided: bool, integers, floating point, std::string, std::string_view and const char* (to JavaScript only),
/// std::vector, std::map with string keys, std::optional (undefined), std::monostate (undefined),
/// std::vector<std::byte> (ArrayBuffer), Value (whatever there is, functions too). Integers of 64 bits are numbers
/// where a double holds them exactly and BigInts beyond.
template <typename T>
struct Convert;

namespace internal {

/// "expected a number, got a string".
Error wrong_type(Realm& realm, std::string_view expected, Local value);
/// Throws `ErrorException` for the empty `Local` of a value that is too large.
Local must_fit(Local made);
Value value_of(Realm& realm, Local value);

/// Reading one of these runs no getter and no trap.
template <typename T>
inline constexpr bool kRunsNoScript = std::is_arithmetic_v<T> || std::same_as<T, std::string> ||
                                      std::same_as<T, std::vector<std::byte>> || std::same_as<T, Value>;

}  // namespace internal

template <>
struct Convert<bool> {
  static Local to_js(Realm& realm, bool value) { return realm.boolean(value); }
  static Result<bool> from_js(Realm& realm, Local value) {
    if (realm.type_of(value) != ValueType::boolean)
      return std::unexpected(internal::wrong_type(realm, "a boolean", value));
    return realm.to_boolean(value);
  }
};

template <std::floating_point T>
struct Convert<T> {
  static Local to_js(Realm& realm, T value) { return realm.number(static_cast<double>(value)); }
  static Result<T> from_js(Realm& realm, Local value) {
    if (realm.type_of(value) != ValueType::number)
      return std::unexpected(internal::wrong_type(realm, "a number", value));
    return static_cast<T>(realm.to_number(value));
  }
};

template <std::integral T>
  requires(!std::same_as<T, bool>)
struct Convert<T> {
  static constexpr double kMaxSafeInteger = 9007199254740991.0;

  static Local to_js(Realm& realm, T value) {
    if constexpr (sizeof(T) == 8) {
      if (static_cast<double>(value) > kMaxSafeInteger || static_cast<double>(value) < -kMaxSafeInteger) {
        if constexpr (std::unsigned_integral<T>) {
          if (value > static_cast<T>(std::numeric_limits<std::int64_t>::max())) {
            return realm.bigint_unsigned(static_cast<std::uint64_t>(value));
          }
        }
        return realm.bigint(static_cast<std::int64_t>(value));
      }
    }
    return realm.number(static_cast<double>(value));
  }
  static Result<T> from_js(Realm& realm, Local value) {
    const auto number = [&] {
      if constexpr (std::unsigned_integral<T>) {
        return realm.to_uint64(value);
      } else {
        return realm.to_int64(value);
      }
    }();
    if (!number || !std::in_range<T>(*number))
      return std::unexpected(internal::wrong_type(realm, "an integer in range", value));
    return static_cast<T>(*number);
  }
};

template <>
struct Convert<std::string> {
  static Local to_js(Realm& realm, std::string_view value) { return internal::must_fit(realm.string(value)); }
  static Result<std::string> from_js(Realm& realm, Local value) {
    if (realm.type_of(value) != ValueType::string)
      return std::unexpected(internal::wrong_type(realm, "a string", value));
    return realm.to_utf8(value);
  }
};
template <>
struct Convert<std::string_view> {
  static Local to_js(Realm& realm, std::string_view value) { return internal::must_fit(realm.string(value)); }
};
template <>
struct Convert<const char*> {
  static Local to_js(Realm& realm, const char* value) { return internal::must_fit(realm.string(value)); }
};
template <std::size_t N>
struct Convert<char[N]> {
  static Local to_js(Realm& realm, const char* value) { return internal::must_fit(realm.string(value)); }
};

template <>
struct Convert<std::monostate> {
  static Local to_js(Realm& realm, std::monostate) { return realm.undefined(); }
  static Result<std::monostate> from_js(Realm&, Local) { return std::monostate(); }
};

template <>
struct Convert<Value> {
  static Local to_js(Realm& realm, const Value& value) { return value.local(realm); }
  static Result<Value> from_js(Realm& realm, Local value) { return internal::value_of(realm, value); }
};

template <typename T>
struct Convert<std::optional<T>> {
  static Local to_js(Realm& realm, const std::optional<T>& value) {
    return value ? Convert<T>::to_js(realm, *value) : realm.undefined();
  }
  static Result<std::optional<T>> from_js(Realm& realm, Local value) {
    const ValueType type = realm.type_of(value);
    if (type == ValueType::undefined || type == ValueType::null) return std::optional<T>();
    auto converted = Convert<T>::from_js(realm, value);
    if (!converted) return std::unexpected(converted.error());
    return std::optional<T>(std::move(*converted));
  }
};

template <>
struct Convert<std::vector<std::byte>> {
  static Local to_js(Realm& realm, std::vector<std::byte> bytes) {
    return internal::must_fit(realm.array_buffer(std::move(bytes)));
  }
  static Result<std::vector<std::byte>> from_js(Realm& realm, Local value) {
    const auto bytes = realm.bytes_of(value);
    if (!bytes) return std::unexpected(internal::wrong_type(realm, "an ArrayBuffer or a view of one", value));
    return std::vector<std::byte>(bytes->begin(), bytes->end());
  }
};

template <typename T>
struct Convert<std::vector<T>> {
  static Local to_js(Realm& realm, const std::vector<T>& values) {
    std::vector<Local> elements;
    elements.reserve(values.size());
    for (const auto& value : values) elements.push_back(Convert<T>::to_js(realm, value));
    return realm.array(elements);
  }
  static Result<std::vector<T>> from_js(Realm& realm, Local value) {
    if (!realm.is_array(value)) return std::unexpected(internal::wrong_type(realm, "an array", value));
    std::vector<T> values;
    const std::uint32_t length = realm.array_length(value);
    for (std::uint32_t i = 0; i < length; ++i) {
      const Completion element = realm.get_index(value, i);
      if (!element.is_value()) return fail(Errc::script_failed, "reading element {} of the array threw", i);
      auto converted = Convert<T>::from_js(realm, element.value);
      if (!converted) return std::unexpected(converted.error().with("index", i));
      values.push_back(std::move(*converted));
    }
    return values;
  }
};

template <typename T>
struct Convert<std::map<std::string, T>> {
  static Local to_js(Realm& realm, const std::map<std::string, T>& values) {
    const Local object = realm.object();
    for (const auto& [key, value] : values) realm.set(object, key, Convert<T>::to_js(realm, value));
    return object;
  }
  static Result<std::map<std::string, T>> from_js(Realm& realm, Local value) {
    if (realm.type_of(value) != ValueType::object)
      return std::unexpected(internal::wrong_type(realm, "an object", value));
    std::map<std::string, T> values;
    const Completion keys = realm.own_keys(value);
    if (!keys.is_value()) return fail(Errc::script_failed, "listing the object's keys threw");
    const std::uint32_t count = realm.array_length(keys.value);
    for (std::uint32_t i = 0; i < count; ++i) {
      const Completion key = realm.get_index(keys.value, i);
      const Completion entry = realm.get(value, key.value);
      if (!entry.is_value()) return fail(Errc::script_failed, "reading a property of the object threw");
      std::string name = realm.to_utf8(key.value);
      auto converted = Convert<T>::from_js(realm, entry.value);
      if (!converted) return std::unexpected(converted.error().with("key", name));
      values.emplace(std::move(name), std::move(*converted));
    }
    return values;
  }
};

}  // namespace gyre::js
