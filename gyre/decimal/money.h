#pragma once

#include <cstdint>
#include <string>

#include <gyre/base/error.h>
#include <gyre/decimal/rational.h>

namespace gyre::decimal {

/// An amount as whole units and billionths, the form of many interfaces for money. Valid if `nanos` is at most
/// 999'999'999 either way and both have the same sign, or one of them is zero.
struct Money {
  std::int64_t units = 0;
  std::int32_t nanos = 0;

  bool is_valid() const noexcept {
    constexpr std::int32_t kMost = 999'999'999;
    return nanos >= -kMost && nanos <= kMost && !(units > 0 && nanos < 0) && !(units < 0 && nanos > 0);
  }
  friend bool operator==(const Money&, const Money&) = default;
};

/// To billionths, exact halves to even by default: 0.0000000005 becomes zero, though `to_string` writes it as
/// 0.000000001 by its own default. Error `limit_exceeded` for what is outside of
/// [-9223372036854775808.999999999, 9223372036854775807.999999999] before rounding.
Result<Money> to_money(const Rational& value, Rounding rounding = Rounding::half_even);
/// Error `invalid_argument` for an absent value.
Result<Money> to_money(OptionalRational auto const& value, Rounding rounding = Rounding::half_even) {
  if (!value) return fail(Errc::invalid_argument, "an absent value is no amount");
  return to_money(*value, rounding);
}

/// Error `invalid_argument` if it is not valid.
Result<Rational> to_rational(const Money& money);

enum class Nanos : std::uint8_t {
  all,      ///< Nine digits after the point.
  trimmed,  ///< No zeros at the end, no point behind a whole number.
};
/// Error `invalid_argument` if it is not valid.
Result<std::string> to_string(const Money& money, Nanos nanos = Nanos::all);

}  // namespace gyre::decimal
