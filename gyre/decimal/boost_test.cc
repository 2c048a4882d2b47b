#include <random>

#include <boost/multiprecision/cpp_int.hpp>
#include <gtest/gtest.h>

#include <gyre/decimal/random.h>
#include <gyre/decimal/rational.h>

// The same rules on numbers of another library: what GMP has worked out and what Boost does must be the same bytes.

namespace gyre::decimal {
namespace {

using boost::multiprecision::cpp_int;

std::string by_boost(const std::string& numerator, const std::string& denominator, bool negative, int places) {
  const cpp_int divisor(denominator);
  cpp_int scaled(numerator);
  for (int i = 0; i < places; ++i) scaled *= 10;
  cpp_int digits = scaled / divisor;
  const cpp_int twice_rest = (scaled % divisor) * 2;
  const bool tie = twice_rest == divisor;
  const bool odd = bit_test(digits, 0);
  if (twice_rest > divisor || (tie && odd) || (tie && digits == 0 && places > 0)) ++digits;
  std::string text = digits.str();
  const auto width = static_cast<std::size_t>(places) + 1;
  if (text.size() < width) text.insert(0, width - text.size(), '0');
  if (places > 0) text.insert(text.size() - static_cast<std::size_t>(places), ".");
  return (negative ? "-" : "") + text;
}

TEST(Boost, DEC_37_GivesTheSameBytes) {  // REQ_DEC_6
  std::mt19937_64 random(37);
  for (int i = 0; i < 1'000'000; ++i) {
    Rational value(random_integer(random, static_cast<std::uint32_t>(1 + random() % 150)),
                   random_integer(random, static_cast<std::uint32_t>(1 + random() % 150)) + 1);
    value.canonicalize();
    const bool negative = random() % 2 == 0 && sgn(value) != 0;
    const int places = static_cast<int>(random() % 30);
    const std::string expected = by_boost(value.get_num().get_str(), value.get_den().get_str(), negative, places);
    ASSERT_EQ(to_string(negative ? Rational(-value) : value, {.places = places}).value(), expected);
  }
}

}  // namespace
}  // namespace gyre::decimal
