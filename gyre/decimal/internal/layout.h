#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <gyre/decimal/float_text.h>

namespace gyre::decimal::internal {

/// Exponents below are scientific in general notation, and from the number of significant digits on.
inline constexpr std::int64_t kLeastPlainExponent = -4;
inline constexpr std::int64_t kShortestGeneralDigits = 6;

/// Significant digits and the decimal exponent of the first: d.ddd * 10^exponent.
struct Digits {
  std::string_view text;
  std::int64_t exponent;
};

/// How long `lay_out` will be, without the sign.
std::size_t layout_size(const Digits& digits, Notation notation, std::int64_t plain_until) noexcept;
/// Writes all digits in that notation; `notation` general is scientific from the exponent `plain_until` on. Returns the
/// end.
char* lay_out(char* to, const Digits& digits, Notation notation, std::int64_t plain_until) noexcept;

}  // namespace gyre::decimal::internal
