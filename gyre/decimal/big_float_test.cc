#include <chrono>
#include <cmath>
#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <gyre/decimal/big_float.h>
#include <gyre/decimal/format.h>
#include <gyre/decimal/json.h>
#include <gyre/decimal/random.h>

namespace gyre::decimal {
namespace {

using ::testing::HasSubstr;

Rational exact(const Float& value) {
  return value.to_rational().value();
}
Float random_float(std::mt19937_64& random, std::uint32_t precision, std::int64_t largest_exponent) {
  const Integer mantissa = random_integer(random, static_cast<std::uint32_t>(1 + random() % precision)) + 1;
  const auto exponent =
      static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(2 * largest_exponent)) - largest_exponent;
  return Float::create(random() % 2 == 0 ? mantissa : Integer(-mantissa), exponent, precision).value();
}

struct SizeRow {
  int row;
  double value;
  std::int64_t exponent;
  SizeEstimate size;
};
constexpr SizeRow kSizes[] = {
    {127, 0.0, 0, {1, 1, 0, 1}},
    {128, -0.0, 0, {2, 1, 0, 2}},
    {129, 0.1, -3, {20, 17, 17, 35}},
    {130, -0.1, -3, {21, 17, 17, 36}},
    {131, 0.5, 0, {19, 17, 17, 35}},
    {132, 1, 1, {17, 17, 0, 17}},
    {133, 1.131213778389989, 1, {18, 17, 17, 35}},
    {134, 1.999999999999999e7, 25, {18, 17, 10, 28}},
    {135, 3e20, 69, {22, 17, 0, 22}},
    {136, 1e-20, -66, {39, 17, 37, 55}},
    {137, 5e-324, -1073, {343, 17, 341, 359}},
    {138, std::numeric_limits<double>::max(), 1024, {310, 17, 0, 310}},
};

TEST(SizeEstimateTest, DEC_5_WorkedExamples) {
  for (const SizeRow& row : kSizes) {
    EXPECT_EQ(Float(row.value).exponent(), row.exponent) << "row " << row.row;
    EXPECT_EQ(estimate_size(Float(row.value)), row.size) << "row " << row.row;
  }
  const Float wide = Float::create(Rational(42'360'000), 128).value();
  EXPECT_EQ(wide.exponent(), 26);
  EXPECT_EQ(estimate_size(wide), (SizeEstimate{40, 40, 0, 40}));
  EXPECT_THROW(static_cast<void>(estimate_size(Float::infinity())), std::invalid_argument);
}

TEST(SizeEstimateTest, DEC_40_IsEnoughAndNotMuchMore) {
  std::mt19937_64 random(40);
  for (int i = 0; i < 100'000; ++i) {
    const auto value = std::bit_cast<double>(random());
    if (!std::isfinite(value)) continue;
    const SizeEstimate size = estimate_size(Float(value));
    const auto shortest = static_cast<std::int64_t>(to_string(value, {.notation = Notation::fixed}).value().size());
    ASSERT_LE(shortest, size.bytes) << value;
    ASSERT_LE(size.bytes - shortest, 30) << value;

    Rational fraction(random_integer(random, static_cast<std::uint32_t>(1 + random() % 200)),
                      random_integer(random, static_cast<std::uint32_t>(1 + random() % 200)) + 1);
    fraction.canonicalize();
    const auto precision = static_cast<std::uint32_t>(random() % 3 == 0 ? 0 : 1 + random() % 200);
    ASSERT_LE(static_cast<std::int64_t>(to_string(fraction, {.precision = precision}).value().size()),
              estimate_size(fraction, precision).fixed_bytes)
        << fraction << " " << precision;
  }
}

TEST(FloatTest, RoundsCorrectly) {
  const auto rounded = [](const char* text, std::uint32_t precision, Rounding mode) {
    return to_string(parse_float(text, precision, mode).value()).value();
  };
  EXPECT_EQ(rounded("5", 2, Rounding::half_even), "4");
  EXPECT_EQ(rounded("7", 2, Rounding::half_even), "8");
  EXPECT_EQ(rounded("5", 2, Rounding::half_away), "6");
  EXPECT_EQ(rounded("5", 2, Rounding::down), "4");
  EXPECT_EQ(rounded("5", 2, Rounding::up), "6");
  EXPECT_EQ(rounded("-5", 2, Rounding::floor), "-6");
  EXPECT_EQ(rounded("-5", 2, Rounding::ceiling), "-4");
  EXPECT_EQ(rounded("15", 3, Rounding::half_even), "16");
  EXPECT_EQ(parse_float("0.1", 53).value().exact_double(), 0.1);
  EXPECT_FALSE(parse_float("0.1", 0).has_value());
  EXPECT_FALSE(Float::create(Rational(1), Float::kLargestPrecision + 1).has_value());
  EXPECT_THROW(Float(std::nan("")), std::invalid_argument);
}

TEST(FloatTest, AgreesWithDoubles) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; ++i) {
    const auto value = std::bit_cast<double>(random());
    if (std::isnan(value)) continue;
    const Float big(value);
    ASSERT_EQ(big.exact_double(), value);
    if (!std::isfinite(value)) continue;
    ASSERT_EQ(exact(big), Rational(value));
    const std::string text = to_string(value, {.notation = Notation::scientific}).value();
    if (std::abs(value) < 1e-300) continue;  // few bits: a float of 53 has more
    ASSERT_TRUE(parse_float(text, 53).value().identical(big)) << text;
  }
}

TEST(FloatTest, ShortestTextIsReadBackAndNoneIsShorter) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 3'000; ++i) {
    const auto precision = static_cast<std::uint32_t>(1 + random() % 150);
    const Float value = random_float(random, precision, 1'000);
    const std::string text = to_string(value, {.notation = Notation::scientific}).value();
    if (value.exact_double()) continue;
    ASSERT_TRUE(parse_float(text, precision).value().identical(value)) << text << " " << precision;
    std::size_t digits = text.find('e') - (value.is_negative() ? 1 : 0);
    digits -= text.find('.') == std::string::npos ? 0 : 1;
    if (digits > 1) {
      const std::string shorter =
          to_string(value, {.notation = Notation::scientific, .places = static_cast<int>(digits) - 2}).value();
      ASSERT_FALSE(parse_float(shorter, precision).value().identical(value)) << shorter << " " << text;
    }
  }
}

TEST(FloatTest, TextWithPlacesIsCorrectlyRounded) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 2'000; ++i) {
    const Float value = random_float(random, 120, 300);
    if (value.exact_double()) continue;
    const int places = static_cast<int>(random() % 40);
    const std::string scientific = to_string(value, {.notation = Notation::scientific, .places = places}).value();
    const Rational found = parse_rational(scientific).value();
    const int exponent = std::stoi(scientific.substr(scientific.find('e') + 1));
    Integer power;
    mpz_ui_pow_ui(power.get_mpz_t(), 10, static_cast<unsigned long>(std::abs(exponent - places)));
    const Rational unit = exponent >= places ? Rational(power) : Rational(1, power);
    ASSERT_LE(2 * abs(found - exact(value)), unit) << scientific;
    const std::string fixed = to_string(value, {.notation = Notation::fixed, .places = places}).value();
    ASSERT_EQ(fixed, to_string(exact(value), {.places = places, .rounding = Rounding::half_even}).value());
    const std::string general = to_string(value, {.notation = Notation::general, .places = places + 1}).value();
    ASSERT_EQ(parse_rational(general).value(), found);
  }
}

TEST(FloatTest, DEC_24_InfinitiesAndZeros) {
  for (const Notation notation : {Notation::fixed, Notation::scientific, Notation::general}) {
    EXPECT_EQ(to_string(Float::infinity(), {.notation = notation}).value(), "Infinity");
    EXPECT_EQ(to_string(Float::infinity(true), {.notation = notation, .places = 3}).value(), "-Infinity");
  }
  EXPECT_EQ(to_string(Float::zero(true, 53)).value(), "-0");
  EXPECT_EQ(to_string(std::optional<Float>()).value(), "<nil>");
  EXPECT_TRUE(parse_float("-Infinity", 53).value().identical(Float::infinity(true, 53)));
  EXPECT_FALSE(parse_float("Infinit", 53).has_value());
}

TEST(FloatTest, DEC_28_Compare) {
  const std::optional<Float> absent;
  const Float minus_infinity = Float::infinity(true);
  EXPECT_EQ(compare(absent, absent), 0);
  EXPECT_EQ(compare(absent, minus_infinity), -1);
  EXPECT_EQ(compare(minus_infinity, absent), 1);
  EXPECT_EQ(compare(Float(5.0), Float(10.0)), -1);
  EXPECT_EQ(compare(Float(-5.0), Float(-10.0)), 1);
  EXPECT_EQ(compare(Float(0.0), Float(-0.0)), 0);
  EXPECT_EQ(compare(Float(1e300), Float::infinity()), -1);
  EXPECT_EQ(compare(minus_infinity, minus_infinity), 0);
  std::mt19937_64 random(28);
  for (int i = 0; i < 20'000; ++i) {
    const Float a = random_float(random, 20, 10);
    const Float b = random_float(random, 20, 10);
    const int order = cmp(exact(a), exact(b));
    ASSERT_EQ(compare(a, b), order < 0 ? -1 : order > 0 ? 1 : 0);
  }
}

TEST(FloatTest, CopiesKeepPrecisionAndMode) {
  const Float value = Float::create(Rational(1, 3), 99, Rounding::floor).value();
  const Float copy = value;  // NOLINT(performance-unnecessary-copy-initialization)
  EXPECT_TRUE(copy.identical(value));
  EXPECT_EQ(copy.mode(), Rounding::floor);
}

Float in_range(double x, double y, double t) {
  Float result;
  EXPECT_TRUE(set_range(result, Float(x), Float(y), Float(t)).has_value());
  return result;
}

TEST(Range, DEC_29_WorkedExamples) {
  const double below_one = 1 - std::ldexp(1.0, -53);
  const double most = std::numeric_limits<double>::max();
  EXPECT_EQ(in_range(0, 10, 0.5).exact_double(), 5);
  EXPECT_EQ(in_range(-10, 0, 0.5).exact_double(), -5);
  EXPECT_EQ(in_range(3, 7, 0).exact_double(), 3);
  EXPECT_EQ(in_range(3, 7, below_one).exact_double(), 7 - std::ldexp(1.0, -50));
  EXPECT_EQ(to_string(in_range(3, 7, below_one)).value(), "6.999999999999999");
  EXPECT_EQ(in_range(-7, 3, 0.25).exact_double(), -4.5);
  EXPECT_EQ(to_string(in_range(-7, 3, below_one)).value(), "2.9999999999999982");
  EXPECT_EQ(in_range(-most, most, 0.5).exact_double(), 0);
}

TEST(Range, DEC_29_RandomOnesStayInside) {
  std::mt19937_64 random(29);
  for (int i = 0; i < 100'000; ++i) {
    std::optional<Float> x = random_float(random, static_cast<std::uint32_t>(1 + random() % 80), 1 + i % 200);
    std::optional<Float> y = random_float(random, static_cast<std::uint32_t>(1 + random() % 80), 1 + i % 200);
    if (compare(x, y) == 0) continue;
    if (compare(x, y) > 0) std::swap(x, y);
    const auto bits = static_cast<std::uint32_t>(1 + random() % 80);
    // Often the last place below one.
    Integer place = (Integer(1) << bits) - 1;
    if (random() % 2 == 0) place = random_integer(random, bits);
    std::optional<Float> t = Float::create(place, -static_cast<std::int64_t>(bits), bits).value();
    Float result;
    result.set_mode(Rounding::ceiling);
    ASSERT_TRUE(set_range(result, x, y, t).has_value());
    ASSERT_LE(compare(x, result), 0);
    ASSERT_LT(compare(result, y), 0);
    ASSERT_EQ(result.precision(), std::max({x->precision(), y->precision(), t->precision()}));
    ASSERT_EQ(result.mode(), Rounding::ceiling);
    std::optional<Float>& target = i % 3 == 0 ? x : i % 3 == 1 ? y : t;
    ASSERT_TRUE(set_range(*target, x, y, t).has_value());
    ASSERT_TRUE(target->identical(result));
  }
}

TEST(Range, DEC_30_ErrorsAreToldApart) {
  const auto refusal = [](const std::optional<Float>& x, const std::optional<Float>& y, const std::optional<Float>& t) {
    Float result(42.0);
    const auto done = set_range(result, x, y, t);
    EXPECT_FALSE(done.has_value());
    EXPECT_TRUE(result.identical(Float(42.0)));
    return done.error().message();
  };
  const Float one(1.0);
  const Float two(2.0);
  std::set<std::string> messages;
  messages.insert(refusal(one, one, Float(0.5)));
  messages.insert(refusal(two, one, Float(0.5)));
  messages.insert(refusal(one, two, one));
  messages.insert(refusal(one, two, Float(-0.1)));
  messages.insert(refusal(one, Float::infinity(), Float(0.5)));
  messages.insert(refusal(one, std::nullopt, Float(0.5)));
  EXPECT_EQ(messages.size(), 6u);
}

TEST(Pow10, DEC_31_IsCorrectlyRounded) {  // REQ_DEC_4
  for (int n = -450; n <= 450; n += 10) {
    Integer power;
    mpz_ui_pow_ui(power.get_mpz_t(), 10, static_cast<unsigned long>(std::abs(n)));
    const Rational value = n < 0 ? Rational(1, power) : Rational(power);
    for (const std::uint32_t precision : {53U, 64U, 1064U, 4000U}) {
      const Float found = pow10(n, precision).value();
      // Within half a unit of the last bit.
      const std::int64_t last = found.exponent() - precision;
      const Integer two_to = Integer(1) << static_cast<mp_bitcnt_t>(std::abs(last - 1));
      const Rational half = last - 1 < 0 ? Rational(1, two_to) : Rational(two_to);
      ASSERT_LE(abs(exact(found) - value), half) << n << " " << precision;
    }
  }
  EXPECT_EQ(to_string(pow10(310).value()).value(), "1e+310");
  EXPECT_EQ(to_string(pow10(-450).value()).value(), "1e-450");
}

TEST(Pow10, DEC_31_DefaultPrecision) {
  for (const auto& [n, precision] : {std::pair{0, 64U},
                                     {18, 64U},
                                     {-5, 64U},
                                     {19, 67U},
                                     {20, 70U},
                                     {30, 103U},
                                     {100, 336U},
                                     {200, 668U},
                                     {300, 1000U},
                                     {307, 1024U},
                                     {308, 1027U},
                                     {309, 64U},
                                     {-400, 64U}}) {
    EXPECT_EQ(pow10(n).value().precision(), precision) << n;
  }
}

TEST(Pow10, DEC_31_FarExponents) {
  EXPECT_TRUE(pow10(std::numeric_limits<std::int32_t>::min()).value().is_zero());
  EXPECT_TRUE(pow10(std::numeric_limits<std::int32_t>::max()).value().is_infinite());
  // Enclosed, not worked out: two precisions must agree, and neighbours differ by a factor of ten.
  for (const std::int32_t n : {2'000'000, -2'000'000, 600'000'000, -600'000'000}) {
    const Float wide = pow10(n, 300).value();
    const Float narrow = pow10(n, 100).value();
    EXPECT_TRUE(
        Float::create(wide.mantissa(),
                      wide.exponent() - static_cast<std::int64_t>(mpz_sizeinbase(wide.mantissa().get_mpz_t(), 2)), 100)
            .value()
            .identical(narrow));
    EXPECT_NEAR(static_cast<double>(wide.exponent()), n * std::log2(10.0), 2);
  }
  // At the border both ways agree with each other.
  const Float worked_out = pow10(1'000'000, 200).value();
  const Float enclosed = parse_float("0.1e1000001", 200).value();
  EXPECT_TRUE(worked_out.identical(enclosed));
}

TEST(Limits, DEC_32_LargestAndSmallest) {
  EXPECT_EQ(largest(53, 1024).value().exact_double(), std::numeric_limits<double>::max());
  EXPECT_EQ(largest(24, 128).value().exact_double(), std::numeric_limits<float>::max());
  EXPECT_EQ(smallest(-1073).exact_double(), std::numeric_limits<double>::denorm_min());
  EXPECT_EQ(smallest().precision(), 1u);
  EXPECT_TRUE(Float::create(Integer(1), Float::kLeastExponent - 2, 1).value().is_zero());
  EXPECT_FALSE(Float::create(Integer(1), Float::kLeastExponent - 1, 1).value().is_zero());
  EXPECT_TRUE(Float::create(Integer(1), Float::kLargestExponent, 1).value().is_infinite());
  EXPECT_TRUE(
      Float::create(Integer(1), Float::kLargestExponent, 9, Rounding::down).value().identical(largest(9).value()));
  EXPECT_FALSE(largest(0).has_value());
  EXPECT_FALSE(largest(Float::kLargestPrecision + 1).has_value());
}

TEST(Limits, DEC_32_FormattingThemFailsAtOnce) {
  const auto begin = std::chrono::steady_clock::now();
  for (const Float& value : {largest(53).value(), smallest(), pow10(600'000'000).value()}) {
    for (const Notation notation : {Notation::fixed, Notation::scientific, Notation::general}) {
      for (const int places : {kAutomatic, 5}) {
        EXPECT_TRUE(to_string(value, {.notation = notation, .places = places}).error().is(Errc::limit_exceeded));
      }
    }
    EXPECT_TRUE(encode_json(value).error().is(Errc::limit_exceeded));
    EXPECT_TRUE(value.to_rational().error().is(Errc::limit_exceeded));
    EXPECT_THAT(debug_string(value), HasSubstr("big.Float(0.5..1 * 2^"));
  }
  // A generous bound: worked out, one of them alone would take minutes.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

TEST(Format, REQ_DEC_10_Fractions) {
  const Rational third(1, 3);
  EXPECT_EQ(fmt::format("{}", Rational(1, 4)), "0.25");
  EXPECT_EQ(fmt::format("{:.3}", third), "0.333");
  EXPECT_EQ(fmt::format("{:.3f}", third), "0.333");
  EXPECT_EQ(fmt::format("{:.24a}", third), "0.333333333");
  EXPECT_EQ(fmt::format("{:a}", third), "0.333333333333333333333");
  EXPECT_EQ(fmt::format("{:.3e}", Rational(12345)), "1.234e+04");
  EXPECT_EQ(fmt::format("{:.3g}", Rational(12345)), "1.23e+04");
  EXPECT_EQ(fmt::format("[{:>8}]", fmt::format("{:.1}", third)), "[     0.3]");
}

TEST(Format, REQ_DEC_10_Floats) {
  const Float value(123.456);
  EXPECT_EQ(fmt::format("{}", value), "123.456");
  EXPECT_EQ(fmt::format("{:.1}", value), "123.5");
  EXPECT_EQ(fmt::format("{:e}", value), "1.23456e+02");
  EXPECT_EQ(fmt::format("{:.2e}", value), "1.23e+02");
  EXPECT_EQ(fmt::format("{:.2g}", value), "1.2e+02");
  EXPECT_EQ(fmt::format("{:f}", Float(1e10)), "10000000000");
  EXPECT_EQ(fmt::format("{:.24a}", value), "123.456");
  EXPECT_EQ(fmt::format("{:a}", Float::infinity()), "Infinity");
  EXPECT_THROW(static_cast<void>(fmt::format(fmt::runtime("{:x}"), value)), fmt::format_error);
  EXPECT_THROW(static_cast<void>(fmt::format(fmt::runtime("{:.}"), value)), fmt::format_error);
  EXPECT_THROW(static_cast<void>(fmt::format("{:.3000000}", value)), fmt::format_error);
  EXPECT_THROW(static_cast<void>(fmt::format("{}", largest(53).value())), fmt::format_error);
}

}  // namespace
}  // namespace gyre::decimal
