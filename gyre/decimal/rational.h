#pragma once

#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <gmpxx.h>

#include <gyre/base/error.h>

/// Exact numbers as decimal text, and back. Nothing here depends on the locale, and nothing throws for its data.
namespace gyre::decimal {

/// A whole number of any size.
using Integer = mpz_class;
/// A fraction of any size: in lowest terms, with a positive denominator, as all of GMP's functions leave it. One that
/// was put together by hand needs `canonicalize()`. A value that may be absent is a `std::optional<Rational>`.
using Rational = mpq_class;

/// That type and nothing that could become one: sums and products of fractions are types of their own, which convert to
/// both.
template <typename T>
concept OptionalRational = std::same_as<T, std::optional<Rational>>;

/// What becomes of a value between two that can be written.
enum class Rounding : std::uint8_t {
  half_even,  ///< The nearer one; of two equally near ones, that with an even last digit.
  /// The same, but what is not zero is not written as zero if it is exactly half of the last place: 0.05 becomes 0.1,
  /// at one place. Not at zero places: 1/2 becomes 0.
  half_even_but_not_zero,
  half_up,    ///< The nearer one; of two equally near ones, the larger.
  half_away,  ///< The nearer one; of two equally near ones, that farther from zero.
  down,       ///< Towards zero.
  up,         ///< Away from zero.
  floor,      ///< Towards minus infinity.
  ceiling,    ///< Towards plus infinity.
};

/// As many places as a float of a certain precision needs to be told from its neighbours.
inline constexpr int kAutomatic = -1;
/// What is written for a value that is absent.
inline constexpr std::string_view kAbsentText = "<nil>";
/// Neither more places nor more digits are worked out than that, unless `max_digits` says so.
inline constexpr std::size_t kDefaultMaxDigits = 1'000'000;

struct TextOptions {
  /// Digits after the point; exactly as many are written. Automatic: as many as are needed, without zeros at the end.
  int places = kAutomatic;
  /// For automatic places: the precision in bits of the float to compare with. Zero: that of the fraction itself, at
  /// least 64.
  std::uint32_t precision = 0;
  Rounding rounding = Rounding::half_even_but_not_zero;
  /// A text that may have more digits is an error instead of a long wait.
  std::size_t max_digits = kDefaultMaxDigits;
};

/// Writes `value` as a decimal: correctly rounded, from the exact value in one step.
///
/// With automatic places the text is exact whenever the expansion ends within the places that are worked out. A value
/// that is rounded to zero keeps its sign, "-0.0"; zero has none; a whole number has no point unless places are asked
/// for.
///
/// Errors: `value_too_large` (no room; nothing can be said about what is written), `result_out_of_range` (more than
/// `max_digits`), `invalid_argument` (a denominator that is not positive), `not_enough_memory`.
/// Fractions of 64-bit numbers with at most 18 places are written without allocating.
std::to_chars_result to_chars(char* first, char* last, const Rational& value, const TextOptions& options = {}) noexcept;

/// The same, at the end of `text`, which is unchanged if there is an error. Errors: `limit_exceeded`,
/// `invalid_argument`, `out_of_memory`.
Result<void> append(std::string& text, const Rational& value, const TextOptions& options = {});
/// An absent value is written as `kAbsentText`.
Result<void> append(std::string& text, OptionalRational auto const& value, const TextOptions& options = {}) {
  if (value) return append(text, *value, options);
  text += kAbsentText;
  return {};
}
Result<std::string> to_string(const Rational& value, const TextOptions& options = {});

/// How many places automatic ones are, for a fraction and a precision in bits.
std::int64_t automatic_places(const Rational& value, std::uint32_t precision);

/// `value` to so many places; negative ones are tens, hundreds and so on. `places` is -1'000'000 to 1'000'000
/// (std::invalid_argument).
Rational round(const Rational& value, int places, Rounding rounding = Rounding::half_even);
std::optional<Rational> round(OptionalRational auto const& value, int places, Rounding rounding = Rounding::half_even) {
  if (!value) return std::nullopt;
  return round(*value, places, rounding);
}

struct Split {
  Integer whole;
  Rational fraction;  ///< Smaller than one, of the sign of the whole, or zero.
};
/// `value` rounded, as a whole number and a fraction. The fraction is zero if `places` is not positive.
Split split(const Rational& value, int places, Rounding rounding = Rounding::half_even);

/// An absent value is smaller than any other, and equal to itself. Returns -1, 0 or 1.
int compare(const std::optional<Rational>& a, const std::optional<Rational>& b);

struct Trimmed {
  std::string_view text;
  int places;
  friend bool operator==(const Trimmed&, const Trimmed&) = default;
};
/// Cuts zeros, then the point, off the end of a text that has `places` digits after its point. A text too short for
/// that is unchanged.
Trimmed trim(std::string_view text, int places) noexcept;

/// Like "big.Rat(41/152)".
std::string debug_string(const std::optional<Rational>& value);

}  // namespace gyre::decimal
