#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <gyre/base/error.h>
#include <gyre/decimal/rational.h>

namespace gyre::decimal {

struct ParseLimits {
  /// In numerator, denominator, or before the exponent.
  std::size_t max_digits = 500'000;
  /// A fraction with the exponent n has about n digits, however short its text is.
  std::int64_t max_exponent = 100'000;
};

/// Reads a number, exactly: digits with an optional sign, point and exponent, or a fraction of two whole numbers: "42",
/// "-0.5", "1e-7", "22/7". Accepts all that `to_string` writes for a number, and nothing around it.
///
/// Errors: `syntax_error`, with the byte where it stands as "position" in the context; `invalid_argument` for a zero
/// denominator; `limit_exceeded`.
Result<Rational> parse_rational(std::string_view text, const ParseLimits& limits = {});

namespace internal {

/// A decimal number as it is written: `negative` digits * 10^exponent.
struct Decimal {
  bool negative = false;
  Integer digits;
  std::int64_t exponent = 0;
};
/// What `parse_rational` accepts, without the fractions. Exponents are held at plus or minus 10^15.
Result<Decimal> parse_decimal(std::string_view text, std::size_t max_digits);

}  // namespace internal
}  // namespace gyre::decimal
