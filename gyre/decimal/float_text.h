#pragma once

#include <charconv>
#include <cstdint>
#include <string>

#include <gyre/base/error.h>
#include <gyre/decimal/rational.h>

namespace gyre::decimal {

enum class Notation : std::uint8_t {
  fixed,       ///< 0.00012
  scientific,  ///< 1.2e-04
  general,     ///< Scientific if the exponent is below -4 or not below the number of digits asked for (6 if shortest).
};

struct FloatTextOptions {
  Notation notation = Notation::general;
  /// Digits after the point; with general notation significant digits, and zeros at the end are left out. Automatic:
  /// the fewest digits that are read back as the same number.
  int places = kAutomatic;
  std::size_t max_digits = kDefaultMaxDigits;
};

/// As C's printf writes it with so many places; correctly rounded. Infinities are "Infinity" and "-Infinity",
/// not-a-number is "NaN". Unlike std::to_chars, the shortest fixed text of a large number has zeros where digits would
/// mean nothing: 1e23 is "100000000000000000000000". Errors as of `to_chars` for fractions. Does not allocate.
std::to_chars_result to_chars(char* first, char* last, double value, const FloatTextOptions& options = {}) noexcept;
std::to_chars_result to_chars(char* first, char* last, float value, const FloatTextOptions& options = {}) noexcept;

/// The same as a string. Error `limit_exceeded`.
Result<std::string> to_string(double value, const FloatTextOptions& options = {});
Result<std::string> to_string(float value, const FloatTextOptions& options = {});

/// A number as JSON has it: shortest digits, plain for 1e-6 <= |value| < 1e21, else like 1e-7 or 1e+21. Infinities and
/// not-a-number become strings, quoted.
std::string to_json_number(double value);

}  // namespace gyre::decimal
