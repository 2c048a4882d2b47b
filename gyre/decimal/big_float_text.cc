#include <algorithm>

#include <gyre/decimal/big_float.h>
#include <gyre/decimal/internal/arithmetic.h>
#include <gyre/decimal/internal/float_access.h>
#include <gyre/decimal/internal/layout.h>

namespace gyre::decimal {
namespace internal {
namespace {

/// magnitude * 2^exponent as a fraction times 10^scale, so that its whole part has the digits that are wanted.
struct Scaled {
  Integer numerator;
  Integer denominator = 1;

  Scaled(const Integer& magnitude, std::int64_t exponent, std::int64_t scale) : numerator(magnitude) {
    if (scale > 0) numerator *= power_of_10(static_cast<std::uint64_t>(scale));
    if (scale < 0) denominator = power_of_10(static_cast<std::uint64_t>(-scale));
    (exponent > 0 ? numerator : denominator) <<= static_cast<mp_bitcnt_t>(exponent > 0 ? exponent : -exponent);
  }
};

// The decimal exponent of a number, or one less.
std::int64_t least_decimal_exponent(const Float& value) {
  const std::int64_t n = value.exponent() - 1;  // 2^n <= value
  return n >= 0 ? floor_log10_of_power_of_2(n) : -floor_log10_of_power_of_2(-n) - 1;
}

struct OwnDigits {
  std::string text;
  std::int64_t exponent;
};

// The fewest digits that lie between the middles to both neighbours; of those the nearest.
OwnDigits shortest(const Float& value) {
  const std::int64_t precision = value.precision();
  Integer mantissa = value.mantissa();
  mantissa <<= static_cast<mp_bitcnt_t>(precision - bits(mantissa));
  const bool even = mpz_even_p(mantissa.get_mpz_t()) != 0;
  const bool power_of_2 = bits(value.mantissa()) == 1;  // the neighbour below is half as far
  const std::int64_t exponent = value.exponent() - precision - 2;
  const std::int64_t scale = digits_for_bits(precision) + 1 - least_decimal_exponent(value);

  mantissa <<= 2;
  const Integer below = mantissa - (power_of_2 ? 1 : 2);
  const Integer above = mantissa + 2;
  const Scaled middle(mantissa, exponent, scale);
  const Scaled first(below, exponent, scale);
  const Scaled last(above, exponent, scale);
  Integer low;
  Integer high;
  // The middle itself is read back as the even neighbour.
  if (even) {
    mpz_cdiv_q(low.get_mpz_t(), first.numerator.get_mpz_t(), first.denominator.get_mpz_t());
    mpz_fdiv_q(high.get_mpz_t(), last.numerator.get_mpz_t(), last.denominator.get_mpz_t());
  } else {
    mpz_fdiv_q(low.get_mpz_t(), first.numerator.get_mpz_t(), first.denominator.get_mpz_t());
    mpz_cdiv_q(high.get_mpz_t(), last.numerator.get_mpz_t(), last.denominator.get_mpz_t());
    ++low;
    --high;
  }
  const auto multiple_between = [&](std::uint64_t zeros) {
    const Integer power = power_of_10(zeros);
    Integer multiple;
    mpz_cdiv_q(multiple.get_mpz_t(), low.get_mpz_t(), power.get_mpz_t());
    return multiple * power <= high;
  };
  std::uint64_t zeros = 0;
  std::uint64_t too_many = mpz_sizeinbase(high.get_mpz_t(), 10) + 1;
  while (too_many - zeros > 1) {
    const std::uint64_t half = zeros + (too_many - zeros) / 2;
    (multiple_between(half) ? zeros : too_many) = half;
  }
  const Integer power = power_of_10(zeros);
  Integer digits = round_quotient(middle.numerator, middle.denominator * power, false, Rounding::half_even, false);
  if (digits * power < low) ++digits;
  if (digits * power > high) --digits;
  OwnDigits result{digits.get_str(), 0};
  result.exponent = static_cast<std::int64_t>(result.text.size()) - 1 + static_cast<std::int64_t>(zeros) - scale;
  return result;
}

// So many significant digits, correctly rounded.
OwnDigits rounded(const Float& value, std::int64_t count) {
  const Integer& mantissa = value.mantissa();
  const std::int64_t exponent = value.exponent() - bits(mantissa);
  for (std::int64_t scale = count - 1 - least_decimal_exponent(value);; --scale) {
    const Scaled scaled(mantissa, exponent, scale);
    OwnDigits result{round_quotient(scaled.numerator, scaled.denominator, false, Rounding::half_even, false).get_str(),
                     0};
    // One digit too many: the exponent was one more than its least, or all digits were nines.
    if (static_cast<std::int64_t>(result.text.size()) > count) continue;
    result.exponent = count - 1 - scale;
    return result;
  }
}

std::unexpected<Error> too_many_digits(std::size_t max_digits) {
  return fail(Errc::limit_exceeded, "the number may have more than {} digits; raise max_digits", max_digits);
}

}  // namespace

Result<std::string> own_precision_text(const Float& value, const FloatTextOptions& options) {
  const std::int64_t magnitude = value.exponent() < 0 ? -value.exponent() : value.exponent();
  const std::int64_t places = std::max(options.places, 0);
  if (static_cast<std::uint64_t>(digits_for_bits(magnitude) + digits_for_bits(value.precision()) + places) >
      options.max_digits) {
    return too_many_digits(options.max_digits);
  }
  if (options.places >= 0 && options.notation == Notation::fixed) {
    const auto exact = value.to_rational();
    if (!exact) return std::unexpected(exact.error());
    return to_string(*exact, {.places = options.places,
                              .rounding = Rounding::half_even,
                              .max_digits = 2 * options.max_digits});  // the limit has been checked
  }
  OwnDigits digits;
  std::int64_t plain_until = kShortestGeneralDigits;
  if (options.places < 0) {
    digits = shortest(value);
  } else if (options.notation == Notation::scientific) {
    digits = rounded(value, places + 1);
  } else {
    plain_until = std::max<std::int64_t>(places, 1);
    digits = rounded(value, plain_until);
    digits.text.erase(digits.text.find_last_not_of('0') + 1);
  }
  const Digits view{digits.text, digits.exponent};
  std::string text = value.is_negative() ? "-" : "";
  const std::size_t sign = text.size();
  text.resize(sign + layout_size(view, options.notation, plain_until));
  lay_out(text.data() + sign, view, options.notation, plain_until);
  return text;
}

}  // namespace internal

Result<std::string> to_string(const Float& value, const FloatTextOptions& options) {
  if (const auto number = value.exact_double()) return to_string(*number, options);
  return internal::own_precision_text(value, options);
}

Result<std::string> to_string(const std::optional<Float>& value, const FloatTextOptions& options) {
  if (value) return to_string(*value, options);
  return std::string(kAbsentText);
}

namespace {

SizeEstimate estimate(std::int64_t precision, std::int64_t exponent, bool whole, bool zero, bool negative) {
  using internal::digits_for_bits;
  const std::int64_t sign = negative ? 1 : 0;
  if (zero) return {.bytes = 1 + sign, .digits = 1, .places = 0, .fixed_bytes = 1 + sign};
  const std::int64_t significant = digits_for_bits(precision);
  if (whole) {
    const std::int64_t digits = exponent > 3 ? std::max(significant, digits_for_bits(exponent)) : significant;
    return {.bytes = digits + sign, .digits = significant, .places = 0, .fixed_bytes = digits + sign};
  }
  SizeEstimate result{.bytes = 0, .digits = significant, .places = significant, .fixed_bytes = 0};
  if (exponent > 0) {
    result.bytes = significant + 1;
    result.places = std::max<std::int64_t>(0, significant - internal::floor_log10_of_power_of_2(exponent - 1));
  } else if (exponent == 0) {
    result.bytes = significant + 2;
  } else {
    const std::int64_t leading = digits_for_bits(-exponent);
    result.bytes = significant + leading + 1;
    if (exponent < -3) result.places = leading + significant - 1;
  }
  result.bytes += sign;
  // Whole digits can be more than the significant ones where few places are left.
  result.fixed_bytes = std::max(result.bytes, significant + 1 + result.places + sign);
  if (exponent > 0) {
    result.fixed_bytes = std::max(result.fixed_bytes, digits_for_bits(exponent) + 1 + result.places + sign);
  }
  return result;
}

}  // namespace

SizeEstimate estimate_size(const Float& value) {
  if (value.is_infinite()) throw std::invalid_argument("decimal::estimate_size: an infinity");
  return estimate(value.precision(), value.exponent(), value.is_integer(), value.is_zero(), value.is_negative());
}

SizeEstimate estimate_size(const Rational& value, std::uint32_t precision) {
  const std::int64_t exponent = internal::bits(value.get_num()) - internal::bits(value.get_den());
  if (precision == 0) {
    precision = static_cast<std::uint32_t>(
        std::max({std::int64_t{64}, internal::bits(value.get_num()), internal::bits(value.get_den())}));
  }
  return estimate(precision, exponent, value.get_den() == 1, sgn(value) == 0, sgn(value) < 0);
}

}  // namespace gyre::decimal
