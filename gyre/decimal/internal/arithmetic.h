#pragma once

#include <cstdint>

#include <gyre/decimal/rational.h>

namespace gyre::decimal::internal {

__extension__ using Wide = unsigned __int128;

/// floor(n * log10(2)), exact for n below 2^31.
constexpr std::int64_t floor_log10_of_power_of_2(std::int64_t n) noexcept {
  constexpr std::uint64_t kLog10Of2 = 5553023288523357132;  // times 2^64
  return static_cast<std::int64_t>(Wide(static_cast<std::uint64_t>(n)) * kLog10Of2 >> 64);
}
/// ceil(1 + n * log10(2)): so many digits tell all numbers of n bits apart. The product is never whole, but for n = 0.
constexpr std::int64_t digits_for_bits(std::int64_t n) noexcept {
  return n == 0 ? 1 : floor_log10_of_power_of_2(n) + 2;
}

inline std::int64_t bits(const Integer& value) noexcept {
  return sgn(value) == 0 ? 0 : static_cast<std::int64_t>(mpz_sizeinbase(value.get_mpz_t(), 2));
}

/// 10^exponent.
Integer power_of_10(std::uint64_t exponent);

/// Whether a magnitude whose whole part is `quotient_is_odd` and whose rest is below, at or above one half (`half`: -1,
/// 0, 1) is rounded away from zero.
constexpr bool rounds_away(Rounding rounding, bool negative, bool quotient_is_odd, bool has_rest, int half) noexcept {
  switch (rounding) {
    case Rounding::half_even:
    case Rounding::half_even_but_not_zero:
      return half > 0 || (half == 0 && quotient_is_odd);
    case Rounding::half_up:
      return half > 0 || (half == 0 && !negative);
    case Rounding::half_away:
      return half >= 0;
    case Rounding::down:
      return false;
    case Rounding::up:
      return has_rest;
    case Rounding::floor:
      return negative && has_rest;
    case Rounding::ceiling:
      return !negative && has_rest;
  }
  return false;
}

/// |numerator / denominator| to a whole number. Both may be changed.
Integer round_quotient(Integer numerator, const Integer& denominator, bool negative, Rounding rounding,
                       bool ties_to_zero_go_up);

}  // namespace gyre::decimal::internal
