#include <array>
#include <charconv>

#include <gyre/decimal/internal/arithmetic.h>
#include <gyre/decimal/money.h>

namespace gyre::decimal {
namespace {

constexpr std::uint32_t kBillion = 1'000'000'000;

std::unexpected<Error> invalid(const Money& money) {
  return fail(Errc::invalid_argument,
              "{} units with {} nanos is no amount: nanos must be at most 999999999 either way, and of the units' sign",
              money.units, money.nanos);
}

Integer integer_of(std::int64_t value) {
  Integer result;
  const auto magnitude = value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  mpz_import(result.get_mpz_t(), 1, -1, sizeof(magnitude), 0, 0, &magnitude);
  return value < 0 ? Integer(-result) : result;
}

}  // namespace

Result<Money> to_money(const Rational& value, Rounding rounding) {
  static_assert(sizeof(unsigned long) == 8, "GMP's conversions are used for 64-bit numbers");
  const auto outside = [] {
    return fail(Errc::limit_exceeded,
                "the amount is outside of -9223372036854775808.999999999 to 9223372036854775807.999999999");
  };
  if (sgn(value.get_den()) <= 0) {
    return fail(Errc::invalid_argument, "the denominator is not positive; canonicalize the fraction first");
  }
  const bool negative = sgn(value) < 0;
  const Integer scaled = abs(value.get_num()) * kBillion;
  // The most that fits, in nanos: checked before rounding, so that what is larger is refused even if it would be
  // rounded to it.
  Integer most = 1;
  most <<= 63;
  most = (negative ? most + 1 : most) * kBillion - 1;
  if (scaled > most * value.get_den()) return outside();
  const Integer nanos = internal::round_quotient(scaled, value.get_den(), negative, rounding,
                                                 rounding == Rounding::half_even_but_not_zero);
  Integer units;
  const unsigned long rest = mpz_tdiv_q_ui(units.get_mpz_t(), nanos.get_mpz_t(), kBillion);
  const std::uint64_t magnitude = mpz_get_ui(units.get_mpz_t());
  return Money{.units = static_cast<std::int64_t>(negative ? 0 - magnitude : magnitude),
               .nanos = negative ? -static_cast<std::int32_t>(rest) : static_cast<std::int32_t>(rest)};
}

Result<Rational> to_rational(const Money& money) {
  if (!money.is_valid()) return invalid(money);
  Rational result(integer_of(money.units) * kBillion + money.nanos, kBillion);
  result.canonicalize();
  return result;
}

Result<std::string> to_string(const Money& money, Nanos nanos) {
  if (!money.is_valid()) return invalid(money);
  std::array<char, 32> text;  // sign, 19 digits, point, 9 digits
  char* end = text.data();
  if (money.units == 0 && money.nanos < 0) *end++ = '-';
  end = std::to_chars(end, text.data() + text.size(), money.units).ptr;
  *end++ = '.';
  auto rest = static_cast<std::uint32_t>(money.nanos < 0 ? -money.nanos : money.nanos);
  for (int i = 8; i >= 0; --i) {
    end[i] = static_cast<char>('0' + rest % 10);
    rest /= 10;
  }
  const std::string_view all(text.data(), static_cast<std::size_t>(end + 9 - text.data()));
  return std::string(nanos == Nanos::trimmed ? trim(all, 9).text : all);
}

}  // namespace gyre::decimal
