#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <new>
#include <stdexcept>

#include <gyre/decimal/internal/arithmetic.h>
#include <gyre/decimal/rational.h>

namespace gyre::decimal {
namespace internal {
namespace {

constexpr int kMostPlaces = 1'000'000;
constexpr int kTablePowers = 37;

struct Limbs {
  mp_limb_t words[2];
};
static_assert(sizeof(mp_limb_t) == 8 && GMP_NAIL_BITS == 0, "the tables are made for 64-bit limbs");

constexpr std::array<Limbs, kTablePowers> kPowersOf10 = [] {
  std::array<Limbs, kTablePowers> table{};
  Wide power = 1;
  for (Limbs& limbs : table) {
    limbs = {{static_cast<mp_limb_t>(power), static_cast<mp_limb_t>(power >> 64)}};
    power *= 10;
  }
  return table;
}();

}  // namespace

Integer power_of_10(std::uint64_t exponent) {
  Integer power;
  if (exponent < kTablePowers) {
    const Limbs& limbs = kPowersOf10[exponent];
    mpz_import(power.get_mpz_t(), limbs.words[1] == 0 ? 1 : 2, -1, sizeof(mp_limb_t), 0, 0, limbs.words);
  } else {
    mpz_ui_pow_ui(power.get_mpz_t(), 10, exponent);
  }
  return power;
}

Integer round_quotient(Integer numerator, const Integer& denominator, bool negative, Rounding rounding,
                       bool ties_to_zero_go_up) {
  Integer quotient;
  mpz_abs(numerator.get_mpz_t(), numerator.get_mpz_t());
  mpz_tdiv_qr(quotient.get_mpz_t(), numerator.get_mpz_t(), numerator.get_mpz_t(), denominator.get_mpz_t());
  const bool has_rest = sgn(numerator) != 0;
  if (!has_rest) return quotient;
  mpz_mul_2exp(numerator.get_mpz_t(), numerator.get_mpz_t(), 1);
  const int half = cmp(numerator, denominator);
  const bool odd = mpz_odd_p(quotient.get_mpz_t()) != 0;
  const bool kept = ties_to_zero_go_up && half == 0 && sgn(quotient) == 0;
  if (kept || rounds_away(rounding, negative, odd, true, half < 0 ? -1 : half > 0 ? 1 : 0)) ++quotient;
  return quotient;
}

namespace {

std::int64_t exponent_of(const Rational& value) noexcept {
  return bits(value.get_num()) - bits(value.get_den());
}

std::uint32_t precision_of(const Rational& value, std::uint32_t asked) noexcept {
  if (asked != 0) return asked;
  return static_cast<std::uint32_t>(
      std::min<std::int64_t>(std::max({std::int64_t{64}, bits(value.get_num()), bits(value.get_den())}), 0x7FFFFFFF));
}

// What a text consists of: sign, the digits of a whole number, and after how many of them from the end the point
// stands.
struct Shape {
  bool negative;
  std::size_t digits;  // of the magnitude; zero has one
  std::size_t places;
  bool trim;
};

// Puts the point into `digits`, which has room for `shape.places` + 2 more. Returns the new end.
char* put_point(char* begin, char* digits, const Shape& shape) {
  std::size_t count = shape.digits;
  std::size_t places = shape.places;
  if (shape.trim) {
    while (places > 0 && digits[count - 1] == '0') {
      if (count == 1) {
        places = 0;  // nothing but zero
        break;
      }
      --count;
      --places;
    }
  }
  const std::size_t whole = count > places ? count - places : 0;
  const std::size_t zeros = whole == 0 ? places - count : 0;  // between the point and the first digit
  const std::size_t before = (whole == 0 ? 1 : whole) + (places > 0 ? 1 : 0) + zeros;
  // From the back, since the text grows where the digits are.
  if (whole == 0) {
    std::memmove(begin + before, digits, count);
    std::memset(begin, '0', before);
    begin[1] = '.';
    return begin + before + count;
  }
  std::memmove(begin, digits, whole);
  if (places == 0) return begin + whole;
  std::memmove(begin + whole + 1, digits + whole, places);
  begin[whole] = '.';
  return begin + whole + 1 + places;
}

// A text that does not fit into the caller's room is first written elsewhere; here is enough for 64-bit numbers.
constexpr std::size_t kSmallText = 64;

std::size_t write_small(char* text, std::uint64_t numerator, std::uint64_t denominator, bool negative,
                        std::uint32_t places, bool trim, Rounding rounding) {
  const std::uint64_t power = kPowersOf10[places].words[0];
  std::uint64_t whole = numerator / denominator;
  const Wide scaled = Wide(numerator % denominator) * power;
  auto fraction = static_cast<std::uint64_t>(scaled / denominator);
  const auto rest = static_cast<std::uint64_t>(scaled - Wide(fraction) * denominator);
  if (rest != 0) {
    const std::uint64_t other = denominator - rest;
    const int half = rest < other ? -1 : rest > other ? 1 : 0;
    const bool odd = ((places == 0 ? whole : fraction) & 1) != 0;
    const bool kept =
        rounding == Rounding::half_even_but_not_zero && half == 0 && places > 0 && whole == 0 && fraction == 0;
    if (kept || rounds_away(rounding, negative, odd, true, half)) {
      if (++fraction == power || places == 0) {
        fraction = 0;
        ++whole;  // below 2^64: a whole part of 2^64 - 1 has no rest
      }
    }
  }
  char* end = text;
  if (negative) *end++ = '-';
  end = std::to_chars(end, text + kSmallText, whole).ptr;
  if (places > 0 && !(trim && fraction == 0)) {
    *end++ = '.';
    for (std::uint32_t i = places; i-- > 0;) {
      end[i] = static_cast<char>('0' + fraction % 10);
      fraction /= 10;
    }
    end += places;
    while (trim && end[-1] == '0') --end;
  }
  return static_cast<std::size_t>(end - text);
}

struct Job {
  std::int64_t places;
  bool trim;
  bool small;  // without allocating
};

// Decides how many places, and whether that is within the limits.
std::errc plan(const Rational& value, const TextOptions& options, Job& job) noexcept {
  if (sgn(value.get_den()) <= 0) return std::errc::invalid_argument;
  const bool whole = value.get_den() == 1;
  job.trim = options.places < 0;
  job.places = !job.trim ? options.places : whole ? 0 : automatic_places(value, options.precision);
  const std::int64_t whole_digits =
      std::max<std::int64_t>(digits_for_bits(std::max<std::int64_t>(exponent_of(value) + 1, 0)), 1);
  if (static_cast<std::uint64_t>(whole_digits + job.places) > options.max_digits) {
    return std::errc::result_out_of_range;
  }
  job.small = job.places <= 18 && mpz_size(value.get_num_mpz_t()) <= 1 && mpz_size(value.get_den_mpz_t()) == 1;
  return {};
}

std::size_t write_small(char* text, const Rational& value, const Job& job, const TextOptions& options) noexcept {
  return write_small(text, mpz_getlimbn(value.get_num_mpz_t(), 0), mpz_getlimbn(value.get_den_mpz_t(), 0),
                     sgn(value) < 0, static_cast<std::uint32_t>(job.places), job.trim, options.rounding);
}

// Room for the text: sign, digits, zeros before them, point, and what mpz_get_str wants.
std::size_t write_large(std::string& text, const Rational& value, const Job& job, const TextOptions& options) {
  const bool negative = sgn(value) < 0;
  const auto places = static_cast<std::size_t>(job.places);
  const Integer magnitude =
      round_quotient(value.get_num() * power_of_10(places), value.get_den(), negative, options.rounding,
                     options.rounding == Rounding::half_even_but_not_zero && places > 0);
  const std::size_t old = text.size();
  const std::size_t digits_room = mpz_sizeinbase(magnitude.get_mpz_t(), 10) + 2;
  const std::size_t room = old + 1 + std::max(digits_room, places + 2) + 2;
  std::size_t length = 0;
  const auto write = [&](char* begin, std::size_t) {
    char* at = begin + old;
    if (negative) *at++ = '-';
    mpz_get_str(at, 10, magnitude.get_mpz_t());
    const Shape shape{negative, std::strlen(at), places, job.trim};
    length = static_cast<std::size_t>(put_point(at, at, shape) - begin);
    return length;
  };
  text.resize_and_overwrite(room, write);
  return length - old;
}

}  // namespace
}  // namespace internal

std::int64_t automatic_places(const Rational& value, std::uint32_t precision) {
  const std::int64_t exponent = internal::exponent_of(value);
  const std::int64_t significant = internal::digits_for_bits(internal::precision_of(value, precision));
  if (exponent > 0) {
    return std::max<std::int64_t>(0, significant - internal::floor_log10_of_power_of_2(exponent - 1));
  }
  if (exponent >= -3) return significant;
  return significant - 1 + internal::digits_for_bits(-exponent);
}

std::to_chars_result to_chars(char* first, char* last, const Rational& value, const TextOptions& options) noexcept try {
  internal::Job job{};
  if (const std::errc error = internal::plan(value, options, job); error != std::errc()) return {last, error};
  const auto copy = [&](const char* text, std::size_t size) -> std::to_chars_result {
    if (static_cast<std::size_t>(last - first) < size) return {last, std::errc::value_too_large};
    std::memcpy(first, text, size);
    return {first + size, std::errc()};
  };
  if (job.small) {
    char text[internal::kSmallText];
    return copy(text, internal::write_small(text, value, job, options));
  }
  std::string text;
  const std::size_t size = internal::write_large(text, value, job, options);
  return copy(text.data(), size);
} catch (const std::bad_alloc&) {
  return {last, std::errc::not_enough_memory};
} catch (const std::length_error&) {
  return {last, std::errc::not_enough_memory};
}

Result<void> append(std::string& text, const Rational& value, const TextOptions& options) {
  internal::Job job{};
  const std::errc refused = internal::plan(value, options, job);
  if (refused == std::errc::result_out_of_range) {
    return fail(Errc::limit_exceeded, "the number may have more than {} digits; raise max_digits", options.max_digits);
  }
  if (refused != std::errc()) {
    return fail(Errc::invalid_argument, "the denominator is not positive; canonicalize the fraction first");
  }
  const std::size_t old = text.size();
  try {
    if (job.small) {
      char small[internal::kSmallText];
      text.append(small, internal::write_small(small, value, job, options));
    } else {
      internal::write_large(text, value, job, options);
    }
  } catch (const std::bad_alloc&) {
    text.resize(old);
    return fail(Errc::out_of_memory, "no memory for the text of a number");
  }
  return {};
}

Result<std::string> to_string(const Rational& value, const TextOptions& options) {
  std::string text;
  if (auto done = append(text, value, options); !done) return std::unexpected(done.error());
  return text;
}

Rational round(const Rational& value, int places, Rounding rounding) {
  if (places < -internal::kMostPlaces || places > internal::kMostPlaces) {
    throw std::invalid_argument("decimal::round: places must be -1000000 to 1000000");
  }
  const bool negative = sgn(value) < 0;
  const bool kept = rounding == Rounding::half_even_but_not_zero && places > 0;
  const Integer power = internal::power_of_10(static_cast<std::uint64_t>(places < 0 ? -places : places));
  Rational result;
  if (places < 0) {
    result.get_num() =
        internal::round_quotient(value.get_num(), value.get_den() * power, negative, rounding, kept) * power;
  } else {
    result.get_num() = internal::round_quotient(value.get_num() * power, value.get_den(), negative, rounding, kept);
    result.get_den() = power;
    result.canonicalize();
  }
  return negative ? Rational(-result) : result;
}

Split split(const Rational& value, int places, Rounding rounding) {
  const Rational rounded = round(value, places, rounding);
  Split result;
  Integer rest;
  mpz_tdiv_qr(result.whole.get_mpz_t(), rest.get_mpz_t(), rounded.get_num_mpz_t(), rounded.get_den_mpz_t());
  result.fraction = Rational(rest, rounded.get_den());
  result.fraction.canonicalize();
  return result;
}

int compare(const std::optional<Rational>& a, const std::optional<Rational>& b) {
  if (!a || !b) return (a ? 1 : 0) - (b ? 1 : 0);
  const int order = cmp(*a, *b);
  return order < 0 ? -1 : order > 0 ? 1 : 0;
}

Trimmed trim(std::string_view text, int places) noexcept {
  if (places <= 0 || text.size() < static_cast<std::size_t>(places) + 1 ||
      text[text.size() - static_cast<std::size_t>(places) - 1] != '.') {
    return {text, places};
  }
  while (places > 0 && text.back() == '0') {
    text.remove_suffix(1);
    --places;
  }
  if (places == 0) text.remove_suffix(1);
  return {text, places};
}

std::string debug_string(const std::optional<Rational>& value) {
  if (!value) return std::string(kAbsentText);
  return fmt::format("big.Rat({}/{})", value->get_num().get_str(), value->get_den().get_str());
}

}  // namespace gyre::decimal
