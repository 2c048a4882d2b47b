// Feeds the parsers of numbers. What they accept must be written and read back as the same number; what they refuse
// must come with a position inside of the text, or a limit.
//
//   cmake --preset fuzz && cmake --build --preset fuzz && build/fuzz/bin/decimal_parse_fuzz

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <gyre/decimal/big_float.h>
#include <gyre/decimal/money.h>
#include <gyre/decimal/parse.h>
#include <gyre/decimal/rational.h>

namespace {

using namespace gyre::decimal;

// Small, so that the time goes into many inputs.
constexpr ParseLimits kLimits{.max_digits = 2'000, .max_exponent = 2'000};

void require(bool condition) {
  if (!condition) std::abort();
}

void check_error(const gyre::Error& error, std::string_view text) {
  require(!error.message().empty());
  if (error.is(gyre::Errc::limit_exceeded)) return;
  const auto position = error.context("position");
  require(position.has_value());
  require(std::strtoull(std::string(*position).c_str(), nullptr, 10) <= text.size());
}

void check_rational(std::string_view text, int places, std::uint32_t precision, Rounding rounding) {
  const auto value = parse_rational(text, kLimits);
  if (!value) return check_error(value.error(), text);
  require(sgn(value->get_den()) > 0);
  const std::string fraction = value->get_num().get_str() + "/" + value->get_den().get_str();
  require(parse_rational(fraction).value() == *value);

  const TextOptions options{.places = places, .precision = precision, .rounding = rounding};
  const std::string written = to_string(*value, options).value();
  const Rational back = parse_rational(written).value();
  if (places >= 0) {
    require(back == round(*value, places, rounding));
    const Split parts = split(*value, places, rounding);
    require(parts.whole + parts.fraction == back);
    require(abs(parts.fraction) < 1);
  }
  std::string room(written.size(), '#');
  const auto [end, error] = to_chars(room.data(), room.data() + room.size(), *value, options);
  require(error == std::errc() && room == written && end == room.data() + room.size());
  if (const auto money = to_money(*value)) {
    require(abs(to_rational(*money).value() - *value) <= Rational(1, 2'000'000'000));
    require(parse_rational(to_string(*money).value()).value() == to_rational(*money).value());
  }
}

void check_float(std::string_view text, std::uint32_t precision, int places, Notation notation) {
  const auto value = parse_float(text, precision, Rounding::half_even, kLimits);
  if (!value) return check_error(value.error(), text);
  const auto written = to_string(*value, {.notation = notation, .places = places, .max_digits = 5'000});
  if (!written) return require(written.error().is(gyre::Errc::limit_exceeded));
  if (value->is_finite()) require(parse_rational(*written, {.max_exponent = 10'000}).has_value());
  const auto back = parse_float(*written, precision);
  require(back.has_value());
  if (places < 0 && !value->exact_double()) require(back->identical(*value));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 3, size - 3);
  const int places = data[0] % 64 - 1;
  const std::uint32_t precision = 1 + data[1];
  check_rational(text, places, precision, static_cast<Rounding>(data[2] % 8));
  check_float(text, precision, places, static_cast<Notation>(data[2] % 3));
  return 0;
}
