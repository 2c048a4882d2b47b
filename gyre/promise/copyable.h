#pragma once

#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace gyre::internal {

/// Whether a `T` can be copied. The standard library's containers claim so whatever they contain; this looks inside.
template <typename T>
struct IsCopyable : std::is_copy_constructible<T> {};
template <typename T>
  requires(requires { typename T::value_type; } && !std::is_same_v<typename T::value_type, T>)
struct IsCopyable<T>
    : std::bool_constant<std::is_copy_constructible_v<T> && IsCopyable<typename T::value_type>::value> {};
template <typename... Parts>
struct IsCopyable<std::tuple<Parts...>> : std::bool_constant<(IsCopyable<Parts>::value && ...)> {};
template <typename... Parts>
struct IsCopyable<std::variant<Parts...>> : std::bool_constant<(IsCopyable<Parts>::value && ...)> {};
template <typename First, typename Second>
struct IsCopyable<std::pair<First, Second>>
    : std::bool_constant<IsCopyable<First>::value && IsCopyable<Second>::value> {};
template <>
struct IsCopyable<void> : std::true_type {};

template <typename T>
inline constexpr bool kIsCopyable = IsCopyable<T>::value;

}  // namespace gyre::internal
