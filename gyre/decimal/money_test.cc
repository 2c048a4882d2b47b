#include <random>

#include <gtest/gtest.h>

#include <gyre/decimal/money.h>
#include <gyre/decimal/parse.h>
#include <gyre/decimal/random.h>

namespace gyre::decimal {
namespace {

Rational number(std::string_view text) {
  return parse_rational(text).value();
}

struct MoneyRow {
  int row;
  const char* value;
  std::optional<Money> money;
  const char* text;
  const char* trimmed;
};
const MoneyRow kMoney[] = {
    {95, "0.000000001", Money{0, 1}, "0.000000001", "0.000000001"},
    {96, "3/2", Money{1, 500000000}, "1.500000000", "1.5"},
    {97, "-3/2", Money{-1, -500000000}, "-1.500000000", "-1.5"},
    {98, "-1/4", Money{0, -250000000}, "-0.250000000", "-0.25"},
    {99, "1/3", Money{0, 333333333}, "0.333333333", "0.333333333"},
    {100, "-2/3", Money{0, -666666667}, "-0.666666667", "-0.666666667"},
    {101, "0.0000000005", Money{0, 0}, "0.000000000", "0"},
    {102, "0.0000000015", Money{0, 2}, "0.000000002", "0.000000002"},
    {103, "0.0000000025", Money{0, 2}, "0.000000002", "0.000000002"},
    {104, "1.9999999995", Money{2, 0}, "2.000000000", "2"},
    {105, "0.9999999994", Money{0, 999999999}, "0.999999999", "0.999999999"},
    {106, "9223372036854775807.999999999", Money{9223372036854775807, 999999999}, "9223372036854775807.999999999",
     "9223372036854775807.999999999"},
    {107, "9223372036854775807.9999999990000000000000000000001", std::nullopt, "", ""},
    {108, "-9223372036854775808.999999999", Money{std::numeric_limits<std::int64_t>::min(), -999999999},
     "-9223372036854775808.999999999", "-9223372036854775808.999999999"},
    {109, "9223372036854775808", std::nullopt, "", ""},
    {110, "-17174554827281306677/34482764", Money{-498062012293, -483975849}, "-498062012293.483975849",
     "-498062012293.483975849"},
    {111, "498062012293.4839758495", Money{498062012293, 483975850}, "498062012293.483975850", "498062012293.48397585"},
};

TEST(MoneyTest, DEC_3_WorkedExamples) {
  for (const MoneyRow& row : kMoney) {
    const auto money = to_money(number(row.value));
    ASSERT_EQ(money.has_value(), row.money.has_value()) << "row " << row.row;
    if (!row.money) {
      EXPECT_TRUE(money.error().is(Errc::limit_exceeded));
      continue;
    }
    EXPECT_EQ(*money, *row.money) << "row " << row.row;
    EXPECT_EQ(to_string(*money).value(), row.text) << "row " << row.row;
    EXPECT_EQ(to_string(*money, Nanos::trimmed).value(), row.trimmed) << "row " << row.row;
    const Rational back = to_rational(*money).value();
    EXPECT_LE(abs(back - number(row.value)), number("0.0000000005")) << "row " << row.row;
  }
}

TEST(MoneyTest, DEC_3_AnAbsentValueIsRefused) {
  EXPECT_FALSE(to_money(std::optional<Rational>()).has_value());
  EXPECT_EQ(to_money(std::optional<Rational>(3)).value(), (Money{3, 0}));
}

TEST(MoneyTest, DEC_19_RandomFractionsAreOffByABillionthAtMost) {
  std::mt19937_64 random(19);
  const Rational billionth(1, 1'000'000'000);
  const Rational most = number("9223372036854775807.999999999");
  const Rational least = number("-9223372036854775808.999999999");
  int refused = 0;
  for (int i = 0; i < 100'000; ++i) {
    Rational value(random_integer(random, 126),
                   random_integer(random, static_cast<std::uint32_t>(1 + random() % 126)) + 1);
    value.canonicalize();
    if (random() % 2 == 0) value = -value;
    const auto money = to_money(value);
    ASSERT_EQ(money.has_value(), value >= least && value <= most);
    if (!money) {
      ++refused;
      continue;
    }
    ASSERT_TRUE(money->is_valid());
    const Rational back = to_rational(*money).value();
    ASSERT_LE(abs(back - value), billionth);
    ASSERT_TRUE(sgn(back) == 0 || sgn(back) == sgn(value));
    ASSERT_EQ(number(to_string(*money).value()), back);
    ASSERT_EQ(number(to_string(*money, Nanos::trimmed).value()), back);
  }
  EXPECT_GT(refused, 1'000);
}

TEST(MoneyTest, DEC_20_InvalidPairsAreRefused) {  // REQ_DEC_1
  for (const Money& money : {Money{1, -1}, Money{-1, 1}, Money{5, -999'999'999}, Money{0, 1'000'000'000},
                             Money{0, -1'000'000'000}, Money{0, std::numeric_limits<std::int32_t>::min()}}) {
    EXPECT_FALSE(money.is_valid());
    EXPECT_TRUE(to_rational(money).error().is(Errc::invalid_argument));
    EXPECT_TRUE(to_string(money).error().is(Errc::invalid_argument));
    EXPECT_TRUE(to_string(money, Nanos::trimmed).error().is(Errc::invalid_argument));
  }
  for (const Money& money : {Money{1, 0}, Money{-1, 0}, Money{0, 1}, Money{0, -1}}) EXPECT_TRUE(money.is_valid());
  EXPECT_EQ(to_string(Money{-1, -10}).value(), "-1.000000010");
  EXPECT_EQ(to_string(Money{-1, -10}, Nanos::trimmed).value(), "-1.00000001");
}

TEST(MoneyTest, DEC_34_AsALogFieldHasIt) {
  EXPECT_EQ(to_string(Money{1, 500'000'000}).value(), "1.500000000");
  EXPECT_EQ(to_string(Rational(1, 3), {.precision = 53}).value(), "0.33333333333333333");
}

TEST(MoneyTest, REQ_DEC_2_TheTieRuleIsAParameter) {
  const Rational half = number("0.0000000005");
  EXPECT_EQ(to_money(half).value(), (Money{0, 0}));
  EXPECT_EQ(to_money(half, Rounding::half_even_but_not_zero).value(), (Money{0, 1}));
  EXPECT_EQ(to_money(half, Rounding::half_away).value(), (Money{0, 1}));
  EXPECT_EQ(to_money(-half, Rounding::half_up).value(), (Money{0, 0}));
  EXPECT_EQ(to_money(-half, Rounding::floor).value(), (Money{0, -1}));
  EXPECT_EQ(to_string(half, {.places = 9}).value(), "0.000000001");
}

}  // namespace
}  // namespace gyre::decimal
