#pragma once

#include <gyre/decimal/big_float.h>

namespace gyre::decimal {

/// Builds numbers from their parts.
struct FloatAccess {
  /// (mantissa + something smaller than 1, if `more`) * 2^exponent, rounded. `mantissa` is not negative.
  static Float round(bool negative, Integer mantissa, std::int64_t exponent, bool more, std::uint32_t precision,
                     Rounding mode);
};

namespace internal {

/// digits * 10^exponent, rounded.
Float round_decimal(bool negative, const Integer& digits, std::int64_t exponent, std::uint32_t precision,
                    Rounding mode);

Float add(const Float& a, const Float& b, std::uint32_t precision, Rounding mode);
Float multiply(const Float& a, const Float& b, std::uint32_t precision, Rounding mode);
Float negated(Float value);

/// The text at the number's own precision, whether a double could hold it or not. For finite numbers that are not zero.
Result<std::string> own_precision_text(const Float& value, const FloatTextOptions& options);

}  // namespace internal
}  // namespace gyre::decimal
