#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include <gyre/decimal/big_float.h>
#include <gyre/decimal/internal/arithmetic.h>
#include <gyre/decimal/internal/float_access.h>

namespace gyre::decimal {
namespace {

using internal::bits;

// Powers of ten up to here are worked out in full; beyond, they are enclosed ever more tightly.
constexpr std::int64_t kLargestExactExponent = 1'000'000;
constexpr std::int64_t kGuardBits = 64;

Integer shifted_left(Integer value, std::int64_t count) {
  value <<= static_cast<mp_bitcnt_t>(count);
  return value;
}

// The exponent of the lowest bit of the mantissa.
std::int64_t unit(const Float& value) {
  return value.exponent() - bits(value.mantissa());
}

Result<void> check_precision(std::uint32_t precision) {
  if (precision >= 1 && precision <= Float::kLargestPrecision) return {};
  return fail(Errc::invalid_argument, "a precision of {} bits is not between 1 and {}", precision,
              Float::kLargestPrecision);
}

int compare_magnitudes(const Float& a, const Float& b) {
  if (a.exponent() != b.exponent()) return a.exponent() < b.exponent() ? -1 : 1;
  const std::int64_t difference = bits(a.mantissa()) - bits(b.mantissa());
  const int order = difference >= 0 ? cmp(a.mantissa(), shifted_left(b.mantissa(), difference))
                                    : cmp(shifted_left(a.mantissa(), -difference), b.mantissa());
  return order < 0 ? -1 : order > 0 ? 1 : 0;
}

int compare(const Float& a, const Float& b) {
  const auto rank = [](const Float& value) {  // -2 to 2: minus infinity, negative, zero, positive, infinity
    if (value.is_zero()) return 0;
    const int magnitude = value.is_infinite() ? 2 : 1;
    return value.is_negative() ? -magnitude : magnitude;
  };
  if (rank(a) != rank(b)) return rank(a) < rank(b) ? -1 : 1;
  if (rank(a) == 1) return compare_magnitudes(a, b);
  if (rank(a) == -1) return compare_magnitudes(b, a);
  return 0;
}

}  // namespace

Float FloatAccess::round(bool negative, Integer mantissa, std::int64_t exponent, bool more, std::uint32_t precision,
                         Rounding mode) {
  Float result;
  result.negative_ = negative;
  result.precision_ = precision;
  result.mode_ = mode;
  if (sgn(mantissa) == 0) return result;
  const std::int64_t excess = bits(mantissa) - precision;
  std::int64_t top = bits(mantissa) + exponent;
  if (excess > 0) {
    const auto last = static_cast<mp_bitcnt_t>(excess - 1);
    const bool half_bit = mpz_tstbit(mantissa.get_mpz_t(), last) != 0;
    const bool below = more || mpz_scan1(mantissa.get_mpz_t(), 0) < last;
    mantissa >>= static_cast<mp_bitcnt_t>(excess);
    const int half = !half_bit ? -1 : below ? 1 : 0;
    if (internal::rounds_away(mode, negative, mpz_odd_p(mantissa.get_mpz_t()) != 0, half_bit || below, half)) {
      ++mantissa;
      if (bits(mantissa) > precision) ++top;  // a power of two: its lowest bits are removed below
    }
  }
  mantissa >>= mpz_scan1(mantissa.get_mpz_t(), 0);
  if (top < Float::kLeastExponent) return result;
  if (top > Float::kLargestExponent) {
    const bool towards_zero = !internal::rounds_away(mode, negative, true, true, 1);
    if (!towards_zero) {
      result.form_ = Float::Form::infinite;
      return result;
    }
    top = Float::kLargestExponent;
    mantissa = shifted_left(1, precision) - 1;
  }
  result.form_ = Float::Form::finite;
  result.mantissa_ = std::move(mantissa);
  result.exponent_ = top;
  return result;
}

Float::Float(double value) : negative_(std::signbit(value)), precision_(53) {
  if (std::isnan(value)) throw std::invalid_argument("Float: not-a-number; use an absent value");
  if (std::isinf(value)) {
    form_ = Form::infinite;
  } else if (value != 0) {
    int exponent = 0;
    const double fraction = std::frexp(std::abs(value), &exponent);
    form_ = Form::finite;
    exponent_ = exponent;
    mantissa_ = static_cast<unsigned long>(std::ldexp(fraction, 53));
    mantissa_ >>= mpz_scan1(mantissa_.get_mpz_t(), 0);
  }
}

Float::Float(float value) : Float(static_cast<double>(value)) {
  precision_ = 24;
}

Float Float::infinity(bool negative, std::uint32_t precision) {
  Float result = zero(negative, precision);
  result.form_ = Form::infinite;
  return result;
}

Float Float::zero(bool negative, std::uint32_t precision) {
  Float result;
  result.negative_ = negative;
  result.precision_ = precision;
  return result;
}

Result<Float> Float::create(const Rational& value, std::uint32_t precision, Rounding mode) {
  if (auto valid = check_precision(precision); !valid) return std::unexpected(valid.error());
  if (sgn(value.get_den()) <= 0) {
    return fail(Errc::invalid_argument, "the denominator is not positive; canonicalize the fraction first");
  }
  Integer numerator = abs(value.get_num());
  Integer denominator = value.get_den();
  // Two bits more than needed; the rest says whether there is more.
  const std::int64_t shift = std::int64_t{precision} + 2 - (bits(numerator) - bits(denominator));
  (shift > 0 ? numerator : denominator) <<= static_cast<mp_bitcnt_t>(shift > 0 ? shift : -shift);
  Integer quotient;
  Integer rest;
  mpz_tdiv_qr(quotient.get_mpz_t(), rest.get_mpz_t(), numerator.get_mpz_t(), denominator.get_mpz_t());
  return FloatAccess::round(sgn(value) < 0, quotient, -shift, sgn(rest) != 0, precision, mode);
}

Result<Float> Float::create(const Integer& mantissa, std::int64_t exponent, std::uint32_t precision, Rounding mode) {
  if (auto valid = check_precision(precision); !valid) return std::unexpected(valid.error());
  constexpr std::int64_t kFar = std::int64_t{1} << 40;  // beyond all exponents, and far from overflow
  return FloatAccess::round(sgn(mantissa) < 0, abs(mantissa), std::clamp(exponent, -kFar, kFar), false, precision,
                            mode);
}

bool Float::is_integer() const noexcept {
  return is_zero() || (form_ == Form::finite && exponent_ >= bits(mantissa_));
}

std::optional<double> Float::exact_double() const noexcept {
  if (is_zero()) return negative_ ? -0.0 : 0.0;
  if (is_infinite()) return negative_ ? -HUGE_VAL : HUGE_VAL;
  constexpr std::int64_t kSmallestUnit = -1074;
  const std::int64_t lowest = exponent_ - bits(mantissa_);
  if (bits(mantissa_) > 53 || lowest < kSmallestUnit || exponent_ > 1024) return std::nullopt;
  const double magnitude = std::ldexp(static_cast<double>(mpz_get_ui(mantissa_.get_mpz_t())), static_cast<int>(lowest));
  return negative_ ? -magnitude : magnitude;
}

Result<Rational> Float::to_rational(std::uint64_t max_bits) const {
  if (is_infinite()) return fail(Errc::invalid_argument, "an infinity is no fraction");
  if (is_zero()) return Rational();
  if (static_cast<std::uint64_t>(exponent_ < 0 ? -exponent_ : exponent_) > max_bits) {
    return fail(Errc::limit_exceeded, "the exponent {} needs more than {} bits", exponent_, max_bits);
  }
  const std::int64_t lowest = exponent_ - bits(mantissa_);
  Rational result;
  result.get_num() = lowest > 0 ? shifted_left(mantissa_, lowest) : mantissa_;
  if (negative_) result.get_num() = -result.get_num();
  if (lowest < 0) result.get_den() = shifted_left(1, -lowest);  // the mantissa is odd: lowest terms
  return result;
}

bool Float::identical(const Float& other) const noexcept {
  return form_ == other.form_ && negative_ == other.negative_ && precision_ == other.precision_ &&
         exponent_ == other.exponent_ && mantissa_ == other.mantissa_;
}

int compare(const std::optional<Float>& a, const std::optional<Float>& b) {
  if (!a || !b) return (a ? 1 : 0) - (b ? 1 : 0);
  return compare(*a, *b);
}

namespace internal {
namespace {

// [low, high] * 2^exponent.
struct Enclosure {
  Integer low = 1;
  Integer high = 1;
  std::int64_t exponent = 0;

  void cut(std::int64_t to_bits) {
    const std::int64_t excess = bits(high) - to_bits;
    if (excess <= 0) return;
    low >>= static_cast<mp_bitcnt_t>(excess);
    mpz_cdiv_q_2exp(high.get_mpz_t(), high.get_mpz_t(), static_cast<mp_bitcnt_t>(excess));
    exponent += excess;
  }
};

Enclosure power_of_5(std::uint64_t n, std::int64_t to_bits) {
  Enclosure power;
  for (int bit = 63; bit >= 0; --bit) {
    power.low *= power.low;
    power.high *= power.high;
    power.exponent *= 2;
    if ((n >> bit & 1) != 0) {
      power.low *= 5;
      power.high *= 5;
    }
    power.cut(to_bits);
  }
  return power;
}

// digits * 5^five * 2^two for numbers whose power of five is too large to be worked out. The result cannot be exact,
// nor halfway, since the power has more bits than digits and precision together: some precision tells on which side it
// is.
Float round_enclosed(bool negative, const Integer& digits, std::int64_t five, std::int64_t two, std::uint32_t precision,
                     Rounding mode) {
  for (std::int64_t working = precision + kGuardBits;; working *= 2) {
    Enclosure power = power_of_5(static_cast<std::uint64_t>(five < 0 ? -five : five), working);
    Integer low;
    Integer high;
    std::int64_t exponent = two;
    if (five >= 0) {
      low = power.low * digits;
      high = power.high * digits;
      exponent += power.exponent;
    } else {
      const std::int64_t shift = working + bits(power.high);
      const Integer numerator = shifted_left(digits, shift);
      mpz_fdiv_q(low.get_mpz_t(), numerator.get_mpz_t(), power.high.get_mpz_t());
      mpz_cdiv_q(high.get_mpz_t(), numerator.get_mpz_t(), power.low.get_mpz_t());
      exponent -= power.exponent + shift;
    }
    // Rounding is monotonic: what both ends are rounded to, all between are.
    Float result = FloatAccess::round(negative, low, exponent, false, precision, mode);
    if (result.identical(FloatAccess::round(negative, high, exponent, false, precision, mode))) return result;
  }
}

}  // namespace

Float round_decimal(bool negative, const Integer& digits, std::int64_t exponent, std::uint32_t precision,
                    Rounding mode) {
  if (sgn(digits) == 0) return Float::zero(negative, precision);
  // Far outside of all exponents: 2^3.32 < 10 < 2^3.33.
  const std::int64_t least = bits(digits) + (exponent < 0 ? exponent * 333 / 100 - 1 : exponent * 332 / 100) - 1;
  const std::int64_t most = bits(digits) + (exponent < 0 ? exponent * 332 / 100 : exponent * 333 / 100 + 1);
  if (least > Float::kLargestExponent || most < Float::kLeastExponent) {
    const std::int64_t beyond = least > 0 ? Float::kLargestExponent + 1 : Float::kLeastExponent - 2;
    return FloatAccess::round(negative, 1, beyond, false, precision, mode);
  }
  const std::int64_t magnitude = exponent < 0 ? -exponent : exponent;
  if (magnitude > std::max(kLargestExactExponent, precision + bits(digits))) {
    return round_enclosed(negative, digits, exponent, exponent, precision, mode);
  }
  Integer power;
  mpz_ui_pow_ui(power.get_mpz_t(), 5, static_cast<unsigned long>(magnitude));
  if (exponent >= 0) return FloatAccess::round(negative, digits * power, exponent, false, precision, mode);
  const std::int64_t shift = std::max<std::int64_t>(0, std::int64_t{precision} + 2 - (bits(digits) - bits(power)));
  Integer rest;
  Integer quotient;
  const Integer numerator = shifted_left(digits, shift);
  mpz_tdiv_qr(quotient.get_mpz_t(), rest.get_mpz_t(), numerator.get_mpz_t(), power.get_mpz_t());
  return FloatAccess::round(negative, quotient, exponent - shift, sgn(rest) != 0, precision, mode);
}

Float negated(Float value) {
  Float result = Float::zero(!value.is_negative(), value.precision());
  if (value.is_infinite()) return Float::infinity(!value.is_negative(), value.precision());
  if (value.is_zero()) return result;
  return FloatAccess::round(!value.is_negative(), value.mantissa(), unit(value), false, value.precision(),
                            value.mode());
}

Float add(const Float& a, const Float& b, std::uint32_t precision, Rounding mode) {
  if (a.is_zero() || b.is_zero()) {
    const Float& other = a.is_zero() ? b : a;
    if (other.is_zero()) return Float::zero(a.is_negative() && b.is_negative(), precision);
    return FloatAccess::round(other.is_negative(), other.mantissa(), unit(other), false, precision, mode);
  }
  const Float& large = a.exponent() >= b.exponent() ? a : b;
  const Float& small = &large == &a ? b : a;
  const bool same_sign = large.is_negative() == small.is_negative();
  const std::int64_t far = std::int64_t{precision} + bits(large.mantissa()) + kGuardBits;
  if (large.exponent() - small.exponent() > far) {
    // The smaller one is less than a unit of what is kept: only its sign counts.
    Integer mantissa = shifted_left(large.mantissa(), precision + kGuardBits / 2);
    if (!same_sign) --mantissa;
    return FloatAccess::round(large.is_negative(), std::move(mantissa), unit(large) - precision - kGuardBits / 2, true,
                              precision, mode);
  }
  const std::int64_t lowest = std::min(unit(large), unit(small));
  Integer sum = shifted_left(large.mantissa(), unit(large) - lowest);
  const Integer other = shifted_left(small.mantissa(), unit(small) - lowest);
  if (same_sign) {
    sum += other;
  } else {
    sum -= other;
  }
  if (sgn(sum) == 0) return Float::zero(false, precision);
  const bool negative = large.is_negative() != (sgn(sum) < 0);
  return FloatAccess::round(negative, abs(sum), lowest, false, precision, mode);
}

Float multiply(const Float& a, const Float& b, std::uint32_t precision, Rounding mode) {
  const bool negative = a.is_negative() != b.is_negative();
  if (a.is_zero() || b.is_zero()) return Float::zero(negative, precision);
  return FloatAccess::round(negative, a.mantissa() * b.mantissa(), unit(a) + unit(b), false, precision, mode);
}

}  // namespace internal

Result<Float> parse_float(std::string_view text, std::uint32_t precision, Rounding mode, const ParseLimits& limits) {
  if (auto valid = check_precision(precision); !valid) return std::unexpected(valid.error());
  const bool negative = text.starts_with('-');
  if (text == "Infinity" || text == "-Infinity" || text == "+Infinity") return Float::infinity(negative, precision);
  auto number = internal::parse_decimal(text, limits.max_digits);
  if (!number) return std::unexpected(number.error());
  return internal::round_decimal(number->negative, number->digits, number->exponent, precision, mode);
}

Result<Float> pow10(std::int32_t n, std::uint32_t precision, Rounding mode) {
  constexpr std::uint32_t kDefault = 64;
  constexpr std::int32_t kLargestDouble = 308;
  if (precision == 0) {
    precision = n > 18 && n <= kLargestDouble
                    ? static_cast<std::uint32_t>(bits(internal::power_of_10(static_cast<std::uint64_t>(n) + 1)))
                    : kDefault;
  }
  if (auto valid = check_precision(precision); !valid) return std::unexpected(valid.error());
  return internal::round_decimal(false, 1, n, precision, mode);
}

Result<Float> largest(std::uint32_t precision, std::int64_t largest_exponent) {
  if (auto valid = check_precision(precision); !valid) return std::unexpected(valid.error());
  return Float::create(shifted_left(1, precision) - 1, largest_exponent - precision, precision);
}

Float smallest(std::int64_t least_exponent) {
  return FloatAccess::round(false, 1, least_exponent - 1, false, 1, Rounding::half_even);
}

Result<void> set_range(Float& result, const std::optional<Float>& x, const std::optional<Float>& y,
                       const std::optional<Float>& t) {
  if (!x || !y || !t) return fail(Errc::invalid_argument, "the range is not known: a value is absent");
  if (x->is_infinite() || y->is_infinite() || t->is_infinite()) {
    return fail(Errc::invalid_argument, "the range is not finite");
  }
  const int order = compare(*x, *y);
  if (order == 0) return fail(Errc::invalid_argument, "the range is empty: both ends are equal");
  if (order > 0) return fail(Errc::invalid_argument, "the range is empty: its beginning is larger than its end");
  if (t->is_negative() && !t->is_zero()) return fail(Errc::invalid_argument, "the place in the range is negative");
  if (compare(*t, Float(1.0)) >= 0) return fail(Errc::invalid_argument, "the place in the range is not below 1");
  const std::uint32_t precision = std::max({x->precision(), y->precision(), t->precision()});
  const Rounding mode = result.mode();
  const Float length = internal::add(*y, internal::negated(*x), precision, Rounding::floor);
  const Float offset = internal::multiply(length, *t, precision, Rounding::floor);
  Float value = internal::add(*x, offset, precision, Rounding::floor);
  value.set_mode(mode);
  result = std::move(value);
  return {};
}

std::string debug_string(const std::optional<Float>& value) {
  if (!value) return std::string(kAbsentText);
  const auto text = to_string(*value);
  return fmt::format("big.Float({}, {})", text ? *text : fmt::format("0.5..1 * 2^{}", value->exponent()),
                     value->precision());
}

}  // namespace gyre::decimal
