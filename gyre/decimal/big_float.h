#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include <gyre/base/error.h>
#include <gyre/decimal/float_text.h>
#include <gyre/decimal/parse.h>
#include <gyre/decimal/rational.h>

namespace gyre::decimal {

/// A binary floating-point number of any precision: sign * mantissa * 2^exponent with the mantissa in [0.5, 1), at most
/// `precision` bits of it, and an exponent of 32 bits. There are infinities and a negative zero, but no not-a-number; a
/// value that may be absent is a `std::optional<Float>`. A precision of zero, that nobody chose, belongs to zero and
/// the infinities only.
class Float {
 public:
  static constexpr std::int64_t kLeastExponent = std::numeric_limits<std::int32_t>::min();
  static constexpr std::int64_t kLargestExponent = std::numeric_limits<std::int32_t>::max();
  static constexpr std::uint32_t kLargestPrecision = 1U << 24;

  /// Zero, of precision zero.
  Float() = default;
  /// The number itself, at 53 bits. Throws std::invalid_argument for not-a-number.
  explicit Float(double value);
  /// At 24 bits.
  explicit Float(float value);
  static Float infinity(bool negative = false, std::uint32_t precision = 0);
  static Float zero(bool negative = false, std::uint32_t precision = 0);

  /// The nearest number of that precision; of two, as `mode` says, which the number keeps. What is too large becomes
  /// infinite (or the largest number, if `mode` rounds towards zero), what is too small zero. Error `invalid_argument`
  /// for a precision of zero or beyond `kLargestPrecision`.
  static Result<Float> create(const Rational& value, std::uint32_t precision, Rounding mode = Rounding::half_even);
  /// mantissa * 2^exponent, likewise.
  static Result<Float> create(const Integer& mantissa, std::int64_t exponent, std::uint32_t precision,
                              Rounding mode = Rounding::half_even);

  bool is_zero() const noexcept { return form_ == Form::zero; }
  bool is_infinite() const noexcept { return form_ == Form::infinite; }
  bool is_finite() const noexcept { return form_ != Form::infinite; }
  bool is_negative() const noexcept { return negative_; }
  bool is_integer() const noexcept;
  std::uint32_t precision() const noexcept { return precision_; }
  Rounding mode() const noexcept { return mode_; }
  void set_mode(Rounding mode) noexcept { mode_ = mode; }
  /// Zero unless the number is finite and not zero.
  std::int64_t exponent() const noexcept { return exponent_; }
  /// Odd, and of at most `precision` bits; zero unless the number is finite and not zero.
  const Integer& mantissa() const noexcept { return mantissa_; }

  /// The nearest double, if it is this very number.
  std::optional<double> exact_double() const noexcept;
  /// The number itself. Errors: `invalid_argument` for an infinity, `limit_exceeded` if it has more than `max_bits`.
  Result<Rational> to_rational(std::uint64_t max_bits = std::uint64_t{1} << 30) const;

  /// The same number, with the same precision; the sign of zero counts, the mode does not.
  bool identical(const Float& other) const noexcept;

 private:
  enum class Form : std::uint8_t { zero, finite, infinite };
  friend struct FloatAccess;

  Form form_ = Form::zero;
  bool negative_ = false;
  Rounding mode_ = Rounding::half_even;
  std::uint32_t precision_ = 0;
  std::int64_t exponent_ = 0;
  Integer mantissa_;
};

/// An absent value is smaller than any other, even minus infinity; both zeros are equal. Returns -1, 0 or 1.
int compare(const std::optional<Float>& a, const std::optional<Float>& b);

/// A number that a double can hold is written as that double; others likewise, with as many digits as tell them from
/// other numbers of their precision. Correctly rounded. Error `limit_exceeded` at once, if working it out would take
/// more than `max_digits` digits.
Result<std::string> to_string(const Float& value, const FloatTextOptions& options = {});
Result<std::string> to_string(const std::optional<Float>& value, const FloatTextOptions& options = {});

/// The nearest number of that precision. Accepts what `to_string` writes. Errors as of `parse_rational`, but exponents
/// have no limit.
Result<Float> parse_float(std::string_view text, std::uint32_t precision, Rounding mode = Rounding::half_even,
                          const ParseLimits& limits = {});

/// 10^n, correctly rounded. Precision zero: 64 bits for n <= 18, else the bits of 10^(n + 1), at most
/// `kLargestPrecision`.
Result<Float> pow10(std::int32_t n, std::uint32_t precision = 0, Rounding mode = Rounding::half_even);
/// (1 - 2^-precision) * 2^largest_exponent.
Result<Float> largest(std::uint32_t precision, std::int64_t largest_exponent = Float::kLargestExponent);
/// 2^(least_exponent - 1), of precision 1.
Float smallest(std::int64_t least_exponent = Float::kLeastExponent);

/// Sets `result` to what lies `t` of the way from `x` to `y`, in [x, y): for drawing at random. All steps are rounded
/// down, so that `y` is never reached; hence the draw is a little biased. The precision is the largest of the three;
/// `result` keeps its mode, and may be one of the three. Error `invalid_argument`, `result` unchanged: one is absent or
/// infinite, x >= y, or t is not in [0, 1).
Result<void> set_range(Float& result, const std::optional<Float>& x, const std::optional<Float>& y,
                       const std::optional<Float>& t);

/// Like "big.Float(123.456, 53)".
std::string debug_string(const std::optional<Float>& value);

struct SizeEstimate {
  std::int64_t bytes;        ///< With sign and point.
  std::int64_t digits;       ///< Significant.
  std::int64_t places;       ///< Digits after the point.
  std::int64_t fixed_bytes;  ///< If all of those digits and places are written.
  friend bool operator==(const SizeEstimate&, const SizeEstimate&) = default;
};
/// How long the text of a number may be, from its precision and exponent alone: `bytes` for shortest text of a float,
/// `fixed_bytes` for a fraction with automatic places. Must be finite (std::invalid_argument).
SizeEstimate estimate_size(const Float& value);
SizeEstimate estimate_size(const Rational& value, std::uint32_t precision = 0);

}  // namespace gyre::decimal
