#include <algorithm>
#include <string>

#include <gyre/decimal/internal/arithmetic.h>
#include <gyre/decimal/parse.h>

namespace gyre::decimal {
namespace internal {
namespace {

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

// What stands at `position`, to be shown in a message.
std::string seen(std::string_view text, std::size_t position) {
  if (position >= text.size()) return "the end";
  const char c = text[position];
  if (c > ' ' && c < 0x7F) return fmt::format("'{}'", c);
  return fmt::format("byte 0x{:02X}", static_cast<unsigned char>(c));
}

std::unexpected<Error> expected(std::string_view what, std::string_view text, std::size_t position) {
  return std::unexpected(Error(Errc::syntax_error, fmt::format("not a number: expected {} at position {}, found {}",
                                                               what, position, seen(text, position)))
                             .with("position", position));
}

std::unexpected<Error> too_long(std::size_t max_digits) {
  return fail(Errc::limit_exceeded, "the number has more than {} digits; raise ParseLimits::max_digits", max_digits);
}

// Converts digits that have been checked.
Integer integer_of(const std::string& digits) {
  Integer value;
  if (!digits.empty()) mpz_set_str(value.get_mpz_t(), digits.c_str(), 10);
  return value;
}

std::string_view take_digits(std::string_view text, std::size_t& position) {
  const std::size_t begin = position;
  while (position < text.size() && is_digit(text[position])) ++position;
  return text.substr(begin, position - begin);
}

bool take_sign(std::string_view text, std::size_t& position) {
  if (position >= text.size() || (text[position] != '-' && text[position] != '+')) return false;
  return text[position++] == '-';
}

}  // namespace

Result<Decimal> parse_decimal(std::string_view text, std::size_t max_digits) {
  std::size_t position = 0;
  Decimal number;
  number.negative = take_sign(text, position);
  std::string digits(take_digits(text, position));
  if (position < text.size() && text[position] == '.') {
    ++position;
    const std::string_view places = take_digits(text, position);
    digits += places;
    number.exponent = -static_cast<std::int64_t>(places.size());
  }
  if (digits.empty()) return expected("a digit", text, position);
  if (digits.size() > max_digits) return too_long(max_digits);
  if (position < text.size() && (text[position] == 'e' || text[position] == 'E')) {
    ++position;
    const bool negative = take_sign(text, position);
    const std::string_view exponent = take_digits(text, position);
    if (exponent.empty()) return expected("a digit of the exponent", text, position);
    constexpr std::int64_t kMost = 1'000'000'000'000'000;
    std::int64_t value = 0;
    for (const char c : exponent) value = std::min(kMost, value * 10 + (c - '0'));
    number.exponent += negative ? -value : value;
  }
  if (position < text.size()) return expected("the end", text, position);
  number.digits = integer_of(digits);
  return number;
}

}  // namespace internal

Result<Rational> parse_rational(std::string_view text, const ParseLimits& limits) {
  using namespace internal;
  const std::size_t slash = text.find('/');
  if (slash != text.npos) {
    std::size_t position = 0;
    const bool negative = take_sign(text, position);
    const std::string numerator(take_digits(text, position));
    if (numerator.empty()) return expected("a digit", text, position);
    if (position != slash) return expected("a digit or '/'", text, position);
    ++position;
    const std::string denominator(take_digits(text, position));
    if (denominator.empty()) return expected("a digit", text, position);
    if (position < text.size()) return expected("the end", text, position);
    if (std::max(numerator.size(), denominator.size()) > limits.max_digits) return too_long(limits.max_digits);
    Rational value(integer_of(numerator), integer_of(denominator));
    if (sgn(value.get_den()) == 0) {
      return std::unexpected(Error(Errc::invalid_argument, "the denominator is zero").with("position", slash + 1));
    }
    value.canonicalize();
    return negative ? Rational(-value) : value;
  }

  auto number = parse_decimal(text, limits.max_digits);
  if (!number) return std::unexpected(number.error());
  if (sgn(number->digits) == 0) return Rational();
  const std::int64_t exponent = number->exponent;
  if (exponent > limits.max_exponent || exponent < -limits.max_exponent - static_cast<std::int64_t>(text.size())) {
    return fail(Errc::limit_exceeded, "the exponent {} is beyond {}; raise ParseLimits::max_exponent", exponent,
                limits.max_exponent);
  }
  const Integer power = power_of_10(static_cast<std::uint64_t>(exponent < 0 ? -exponent : exponent));
  Rational value = exponent < 0 ? Rational(number->digits, power) : Rational(number->digits * power);
  value.canonicalize();
  return number->negative ? Rational(-value) : value;
}

}  // namespace gyre::decimal
