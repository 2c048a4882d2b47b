#include <array>
#include <clocale>
#include <locale>
#include <numeric>
#include <random>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <gyre/decimal/float_text.h>
#include <gyre/decimal/parse.h>
#include <gyre/decimal/random.h>
#include <gyre/decimal/rational.h>

namespace gyre::decimal {
namespace {

using ::testing::HasSubstr;

Rational number(std::string_view text) {
  return parse_rational(text).value();
}
std::string text(const Rational& value, int places = kAutomatic, std::uint32_t precision = 0) {
  return to_string(value, {.places = places, .precision = precision}).value();
}
std::string by_chars(const Rational& value, const TextOptions& options) {
  std::string room(100'000, '#');
  const auto [end, error] = to_chars(room.data(), room.data() + room.size(), value, options);
  EXPECT_EQ(error, std::errc());
  return room.substr(0, static_cast<std::size_t>(end - room.data()));
}

struct TextRow {
  int row;
  const char* value;
  int places;
  std::uint32_t precision;
  const char* text;
};
constexpr TextRow kTexts[] = {
    {1, "0", kAutomatic, 0, "0"},
    {2, "0", 5, 0, "0.00000"},
    {3, "42", kAutomatic, 0, "42"},
    {4, "42", 0, 0, "42"},
    {5, "42", 5, 0, "42.00000"},
    {6, "-100", kAutomatic, 0, "-100"},
    {7, "123456789012345678901234567890", kAutomatic, 0, "123456789012345678901234567890"},
    {8, "1/2", kAutomatic, 0, "0.5"},
    {9, "1/4", kAutomatic, 0, "0.25"},
    {10, "1/4", 6, 0, "0.250000"},
    {11, "1/2", 3, 0, "0.500"},
    {12, "-3/8", kAutomatic, 0, "-0.375"},
    {13, "1/2", 0, 0, "0"},
    {14, "-1/2", 0, 0, "-0"},
    {15, "3/2", 0, 0, "2"},
    {16, "5/2", 0, 0, "2"},
    {17, "-5/2", 0, 0, "-2"},
    {18, "7/2", 0, 0, "4"},
    {19, "1/8", 1, 0, "0.1"},
    {20, "1/8", 2, 0, "0.12"},
    {21, "3/8", 2, 0, "0.38"},
    {22, "3/20", 1, 0, "0.2"},
    {23, "19/20", 1, 0, "1.0"},
    {24, "1/40", 2, 0, "0.02"},
    {25, "1/40", 1, 0, "0.0"},
    {26, "1/20", 1, 0, "0.1"},
    {27, "-1/20", 1, 0, "-0.1"},
    {28, "1/200", 2, 0, "0.01"},
    {29, "-1/200", 2, 0, "-0.01"},
    {30, "1/2000", 3, 0, "0.001"},
    {31, "1/2000000000", 9, 0, "0.000000001"},
    {32, "-3/64", 1, 0, "-0.0"},
    {33, "-1/30", 1, 0, "-0.0"},
    {34, "-1/5000000", 2, 0, "-0.00"},
    {35, "9999/10000", 2, 0, "1.00"},
    {36, "-9999/10000", 2, 0, "-1.00"},
    {37, "9999/1000", 2, 0, "10.00"},
    {38, "19999/200", 2, 0, "100.00"},
    {39, "1999/2000", 3, 0, "1.000"},
    {40, "112/1003", 5, 0, "0.11167"},
    {41, "678/9617", 3, 0, "0.071"},
    {42, "336/1003", 2, 0, "0.33"},
    {43, "351/1003", 1, 0, "0.3"},
    {44, "1/3", 6, 0, "0.333333"},
    {45, "2/3", 6, 0, "0.666667"},
    {46, "1/7", 9, 0, "0.142857143"},
    {47, "1/6", 4, 0, "0.1667"},
    {48, "1/3", 0, 0, "0"},
    {49, "123456789/100", 1, 0, "1234567.9"},
    {50, "213872935/24", 3, 0, "8911372.292"},
    {51, "12345678901234567890/1234567890123456789", 10, 128, "10.0000000000"},
    {52, "25247716232425925/12633333116050000", 2, 0, "2.00"},
    {53, "1/3", kAutomatic, 24, "0.333333333"},
    {54, "1/3", kAutomatic, 53, "0.33333333333333333"},
    {55, "1/3", kAutomatic, 64, "0.333333333333333333333"},
    {56, "1/3", kAutomatic, 113, "0.333333333333333333333333333333333333"},
    {57, "2/3", kAutomatic, 53, "0.66666666666666667"},
    {58, "1/10", kAutomatic, 24, "0.1"},
    {59, "1/10", kAutomatic, 53, "0.1"},
    {60, "22/7", kAutomatic, 53, "3.14285714285714286"},
    {61, "355/113", kAutomatic, 64, "3.141592920353982300885"},
    {62, "5/101", kAutomatic, 53, "0.049504950495049505"},
    {63, "5/101", 17, 53, "0.04950495049504950"},
    {64, "5/101", 18, 53, "0.049504950495049505"},
    {65, "213872935/24", kAutomatic, 0, "8911372.291666666666667"},
    {66, "-18446744073709551557/480", kAutomatic, 0, "-38430716820228232.41042"},
    {67, "15665333063902/12633333116050000", kAutomatic, 0, "0.00124"},
    {68, "1/1000000007", kAutomatic, 53, "0.00000000099999999300000005"},
    {69, "1000000000001/1000000000000", kAutomatic, 53, "1.000000000001"},
    {70, "1/1024", kAutomatic, 24, "0.0009765625"},
    {71, "100000000000000000001/3", kAutomatic, 53, "33333333333333333334"},
    {72, "7/1000000000000000000000", kAutomatic, 0, "0.000000000000000000007"},
};

TEST(RationalText, DEC_1_WorkedExamples) {
  for (const TextRow& row : kTexts) {
    const TextOptions options{.places = row.places, .precision = row.precision};
    EXPECT_EQ(to_string(number(row.value), options).value(), row.text) << "row " << row.row;
    EXPECT_EQ(by_chars(number(row.value), options), row.text) << "row " << row.row;
  }
}

struct RoundRow {
  int row;
  const char* value;
  int places;
  const char* result;
  const char* whole;
  const char* fraction;
};
constexpr RoundRow kRounded[] = {
    {73, "1.05", 1, "1", "1", "0"},
    {74, "1.15", 1, "6/5", "1", "1/5"},
    {75, "1.25", 1, "6/5", "1", "1/5"},
    {76, "1.35", 1, "7/5", "1", "2/5"},
    {77, "-1.35", 1, "-7/5", "-1", "-2/5"},
    {78, "1.95", 1, "2", "2", "0"},
    {79, "2.5", 0, "2", "2", "0"},
    {80, "-2.5", 0, "-2", "-2", "0"},
    {81, "0.5", 0, "0", "0", "0"},
    {82, "0.05", 1, "0", "0", "0"},
    {83, "15", -1, "20", "20", "0"},
    {84, "25", -1, "20", "20", "0"},
    {85, "105", -1, "100", "100", "0"},
    {86, "115", -1, "120", "120", "0"},
    {87, "-105", -1, "-100", "-100", "0"},
    {88, "250", -2, "200", "200", "0"},
    {89, "100", -1, "100", "100", "0"},
    {90, "512.34", -2, "500", "500", "0"},
    {91, "512.34", -3, "1000", "1000", "0"},
    {92, "512.34", -4, "0", "0", "0"},
    {93, "5/101", 2, "1/20", "0", "1/20"},
    {94, "-17174554827281306677/34482764", 9, "-498062012293483975849/1000000000", "-498062012293",
     "-483975849/1000000000"},
};

TEST(Round, DEC_2_WorkedExamples) {
  for (const RoundRow& row : kRounded) {
    EXPECT_EQ(round(number(row.value), row.places), number(row.result)) << "row " << row.row;
    const Split parts = split(number(row.value), row.places);
    EXPECT_EQ(Rational(parts.whole), number(row.whole)) << "row " << row.row;
    EXPECT_EQ(parts.fraction, number(row.fraction)) << "row " << row.row;
  }
}

/// a / b at so many places, with nothing but 64-bit integers.
std::string by_integers(std::int64_t a, std::int64_t b, int places) {
  std::int64_t scaled = a < 0 ? -a : a;
  for (int i = 0; i < places; ++i) scaled *= 10;
  std::int64_t digits = scaled / b;
  const std::int64_t rest = scaled % b;
  const bool tie = 2 * rest == b;
  if (2 * rest > b || (tie && digits % 2 == 1) || (tie && digits == 0 && places > 0)) ++digits;
  std::string result = std::to_string(digits);
  if (result.size() <= static_cast<std::size_t>(places)) {
    result.insert(0, static_cast<std::size_t>(places) + 1 - result.size(), '0');
  }
  if (places > 0) result.insert(result.size() - static_cast<std::size_t>(places), ".");
  return (a < 0 ? "-" : "") + result;
}

TEST(RationalText, DEC_6_AllSmallFractions) {
  int compared = 0;
  for (std::int64_t a = -150; a <= 150; ++a) {
    for (std::int64_t b = 1; b <= 150; ++b) {
      if (std::gcd(a, b) != 1) continue;
      for (const int places : {0, 1, 2, 3, 4, 5, 6, 9}) {
        ASSERT_EQ(text(Rational(a, b), places), by_integers(a, b, places)) << a << "/" << b << " at " << places;
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 200'000);
}

/// 2048 exponents, ten mantissas, both signs; without zero.
template <typename Visit>
void for_doubles(Visit visit, int exponent_step = 1) {
  std::mt19937_64 random(7);
  for (std::uint64_t exponent = 0; exponent < 2047; exponent += static_cast<std::uint64_t>(exponent_step)) {
    for (int i = 0; i < 10; ++i) {
      std::uint64_t mantissa = random() >> 12;
      if (i == 0) mantissa = 0;
      if (i == 1) mantissa = 1;
      if (i == 2) mantissa = (std::uint64_t{1} << 52) - 1;
      if (exponent == 0 && mantissa == 0) continue;
      const double value = std::bit_cast<double>(exponent << 52 | mantissa);
      visit(value);
      visit(-value);
    }
  }
}

TEST(RationalText, DEC_7_FractionsOfDoublesArePrintedAsDoubles) {
  for_doubles([](double value) {
    const Rational exact(value);
    for (const int places : {0, 1, 2, 3, 5, 9, 17}) {
      ASSERT_EQ(text(exact, places), to_string(value, {.notation = Notation::fixed, .places = places}).value())
          << std::hexfloat << value << " at " << places;
    }
  });
}

TEST(RationalText, DEC_8_BeyondTheTableOfPowers) {
  for (const double value :
       {0.1, -0.1, 1.0 / 3, 100.0 / 3, 123.456, 1e-7, 1e10, 1e21, 1e23, 5e-324, 2.2250738585072014e-308,
        1.7976931348623157e308, 4.37499999999999168e17, -1.904761904761903872e18, 0.5, 65536.0}) {
    for (const int places : {36, 37, 40, 50}) {
      EXPECT_EQ(text(Rational(value), places),
                to_string(value, {.notation = Notation::fixed, .places = places}).value());
    }
  }
}

TEST(RationalText, DEC_9_HalvesOfPowersOfTenAreExactAutomatically) {
  Integer power = 1;
  for (int d = 1; d <= 18; ++d) {
    power *= 10;
    for (const int sign : {1, -1}) {
      const Rational value(Integer(sign), power * 2);
      for (const std::uint32_t precision : {0U, 24U, 53U, 64U, 128U}) {
        EXPECT_EQ(number(text(value, kAutomatic, precision)), value);
      }
    }
  }
}

TEST(RationalText, DEC_10_AnAbsentValue) {
  std::string appended = "p:";
  ASSERT_TRUE(append(appended, std::optional<Rational>()).has_value());
  EXPECT_EQ(appended, "p:<nil>");
  ASSERT_TRUE(append(appended, std::optional<Rational>(Rational(1, 2))).has_value());
  EXPECT_EQ(appended, "p:<nil>0.5");
  EXPECT_EQ(debug_string(std::nullopt), "<nil>");
  EXPECT_EQ(round(std::optional<Rational>(), 2), std::nullopt);
  EXPECT_EQ(round(std::optional<Rational>(Rational(5, 2)), 0), Rational(2));
}

TEST(RationalText, DEC_11_AppendingReusesTheRoom) {
  std::mt19937_64 random(11);
  for (int i = 0; i < 200; ++i) {
    const std::string prefix = std::to_string(random());
    std::string appended = prefix;
    appended.reserve(prefix.size() + 1'925);
    const char* memory = appended.data();
    const Rational value(random_integer(random, 3'000) + 1, random_integer(random, 2'900) + 1);
    Rational reduced = value;
    reduced.canonicalize();
    ASSERT_TRUE(append(appended, reduced, {.places = static_cast<int>(random() % 900)}).has_value());
    EXPECT_EQ(appended.data(), memory);
    EXPECT_TRUE(appended.starts_with(prefix));
    EXPECT_GT(appended.size(), prefix.size());
  }
}

TEST(RationalText, DEC_12_ManyPlaces) {
  EXPECT_EQ(text(Rational(1, 3), 1000), "0." + std::string(1000, '3'));
  EXPECT_TRUE(text(Rational(1, 7), 100).ends_with("428571429"));
}

TEST(RationalText, DEC_13_AutomaticAt210407Bits) {
  const Rational value = number("12345678901234567891/1234567890123456789");
  const std::string long_text = text(value, kAutomatic, 210'407);
  EXPECT_EQ(long_text.size() - long_text.find('.') - 1, 63'340u);
  EXPECT_EQ(automatic_places(value, 210'407), 63'340);
}

TEST(RationalText, DEC_14_TheSmallestDouble) {
  const double smallest = std::numeric_limits<double>::denorm_min();
  for (const std::uint32_t precision : {53U, 256U}) {
    EXPECT_EQ(std::strtod(text(Rational(smallest), kAutomatic, precision).c_str(), nullptr), smallest);
  }
}

TEST(RationalText, DEC_15_WholeNumbers) {
  for (const char* whole : {"42", "-100", "0", "123456789012345678901234567890"}) {
    EXPECT_EQ(text(number(whole)), whole);
    EXPECT_EQ(text(number(whole), 5), std::string(whole) + ".00000");
  }
}

TEST(RationalText, DEC_16_RoundingRules) {
  const auto rounded = [](const char* value, int places, Rounding rounding) {
    return to_string(number(value), {.places = places, .rounding = rounding}).value();
  };
  EXPECT_EQ(rounded("1/20", 1, Rounding::half_even), "0.0");
  EXPECT_EQ(rounded("1/8", 2, Rounding::half_away), "0.13");
  EXPECT_EQ(rounded("-1/3", 2, Rounding::floor), "-0.34");
  EXPECT_EQ(rounded("-1/3", 2, Rounding::ceiling), "-0.33");
  struct Row {
    Rounding rounding;
    std::array<const char*, 8> texts;
  };
  const std::array<const char*, 8> values = {"1.25", "1.35", "1.21", "0.05", "-1.25", "-1.35", "-1.21", "-0.05"};
  const Row rows[] = {
      {Rounding::half_even, {"1.2", "1.4", "1.2", "0.0", "-1.2", "-1.4", "-1.2", "-0.0"}},
      {Rounding::half_even_but_not_zero, {"1.2", "1.4", "1.2", "0.1", "-1.2", "-1.4", "-1.2", "-0.1"}},
      {Rounding::half_up, {"1.3", "1.4", "1.2", "0.1", "-1.2", "-1.3", "-1.2", "-0.0"}},
      {Rounding::half_away, {"1.3", "1.4", "1.2", "0.1", "-1.3", "-1.4", "-1.2", "-0.1"}},
      {Rounding::down, {"1.2", "1.3", "1.2", "0.0", "-1.2", "-1.3", "-1.2", "-0.0"}},
      {Rounding::up, {"1.3", "1.4", "1.3", "0.1", "-1.3", "-1.4", "-1.3", "-0.1"}},
      {Rounding::floor, {"1.2", "1.3", "1.2", "0.0", "-1.3", "-1.4", "-1.3", "-0.1"}},
      {Rounding::ceiling, {"1.3", "1.4", "1.3", "0.1", "-1.2", "-1.3", "-1.2", "-0.0"}},
  };
  const Integer large = Integer(1) << 80;  // beyond the short path, with the same digits at the end
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ(rounded(values[i], 1, row.rounding), row.texts[i]) << values[i];
      // The same through the path for large numbers: whole tens more change no digit after the point.
      const Rational shift = sgn(number(values[i])) < 0 ? Rational(-large * 10) : Rational(large * 10);
      const std::string shifted =
          to_string(Rational(number(values[i]) + shift), {.places = 1, .rounding = row.rounding}).value();
      if (std::string_view(values[i]).find("0.05") == std::string_view::npos) {
        EXPECT_EQ(shifted.substr(shifted.size() - 2),
                  std::string_view(row.texts[i]).substr(std::string_view(row.texts[i]).size() - 2))
            << values[i];
      }
      EXPECT_EQ(round(number(values[i]), 1, row.rounding), number(row.texts[i])) << values[i];
    }
  }
}

TEST(Round, DEC_17_TargetIsSource) {
  Rational value(17, 16);
  value = round(value, 2);
  EXPECT_EQ(value, Rational(53, 50));
  for (const auto& [whole, places] : {std::pair{-100, -1}, {-1000, -1}, {-200, -1}, {-10000, -3}}) {
    EXPECT_EQ(round(Rational(whole), places), Rational(whole));
  }
}

TEST(Round, DEC_18_SplitAtTensAndMore) {
  const auto whole = [](const char* value, int places) {
    const Split parts = split(number(value), places);
    EXPECT_EQ(parts.fraction, 0);
    return parts.whole.get_si();
  };
  EXPECT_EQ(whole("12.34", -1), 10);
  EXPECT_EQ(whole("15", -1), 20);
  EXPECT_EQ(whole("512.34", -2), 500);
  EXPECT_EQ(whole("-12.34", -1), -10);
  EXPECT_EQ(whole("512.34", -3), 1000);
}

TEST(Round, RefusesPlacesWithoutEnd) {
  EXPECT_THROW(round(Rational(1, 3), 1'000'001), std::invalid_argument);
  EXPECT_THROW(round(Rational(1, 3), -1'000'001), std::invalid_argument);
}

TEST(RationalText, DEC_23_ZeroHasNoSign) {
  for (const int places : {kAutomatic, 0, 3}) EXPECT_FALSE(text(Rational(0), places).starts_with('-'));
  EXPECT_EQ(text(-Rational(0), 2), "0.00");
}

TEST(RationalText, DEC_33_ADecimalColumnComesBack) {
  const std::string column = "12345678901234567890.123456789";
  EXPECT_EQ(text(number(column), 9), column);
  EXPECT_EQ(text(number(column)), column);
}

TEST(RationalText, DEC_35_SumsAreExact) {
  EXPECT_EQ(text(2 * number("0.1") + Rational(1, 3), kAutomatic, 53), "0.53333333333333333");
}

TEST(RationalText, DEC_38_Trim) {
  EXPECT_EQ(trim("123.450", 3), (Trimmed{"123.45", 2}));
  EXPECT_EQ(trim("100.00000", 5), (Trimmed{"100", 0}));
  EXPECT_EQ(trim("0.00100", 5), (Trimmed{"0.001", 3}));
  EXPECT_EQ(trim("123.0", 1), (Trimmed{"123", 0}));
  EXPECT_EQ(trim("", 1), (Trimmed{"", 1}));
  EXPECT_EQ(trim("0", 5), (Trimmed{"0", 5}));
  EXPECT_EQ(trim("12", 2), (Trimmed{"12", 2}));
  EXPECT_EQ(trim("100", 0), (Trimmed{"100", 0}));
  EXPECT_EQ(trim("1.5", -1), (Trimmed{"1.5", -1}));
  EXPECT_EQ(trim("1000", 2), (Trimmed{"1000", 2}));  // no point where it should be
}

struct DecimalComma : std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
  char do_thousands_sep() const override { return '.'; }
  std::string do_grouping() const override { return "\3"; }
};

TEST(RationalText, DEC_39_TheLocaleIsNotAsked) {
  const std::locale before = std::locale::global(std::locale(std::locale::classic(), new DecimalComma));
  std::setlocale(LC_ALL, "de_DE.UTF-8");  // NOLINT(concurrency-mt-unsafe): as well, where it is installed
  EXPECT_EQ(text(Rational(12345, 2)), "6172.5");
  EXPECT_EQ(text(Rational(Integer(1) << 100, 3), 2), "422550200076076467165567735125.33");
  EXPECT_EQ(to_string(2500000.5, {.notation = Notation::fixed}).value(), "2500000.5");
  EXPECT_EQ(to_string(2.5, {.places = 3}).value(), "2.5");
  EXPECT_EQ(number("2.5"), Rational(5, 2));
  EXPECT_FALSE(parse_rational("2,5").has_value());
  std::setlocale(LC_ALL, "C");  // NOLINT(concurrency-mt-unsafe)
  std::locale::global(before);
}

TEST(RationalText, REQ_DEC_8_SaysWhenThereIsNoRoom) {
  const Rational small(22, 7);
  const Rational large(Integer(1) << 200, 3);
  for (const Rational& value : {small, large}) {
    const std::string whole = text(value, 4);
    for (std::size_t size = 0; size <= whole.size() + 1; ++size) {
      std::string room(size, '#');
      const auto [end, error] = to_chars(room.data(), room.data() + size, value, {.places = 4});
      if (size < whole.size()) {
        EXPECT_EQ(error, std::errc::value_too_large);
        EXPECT_EQ(end, room.data() + size);
      } else {
        EXPECT_EQ(error, std::errc());
        EXPECT_EQ(room.substr(0, whole.size()), whole);
      }
    }
  }
}

TEST(RationalText, REQ_DEC_5_ALimitOfDigits) {
  std::string appended = "p:";
  const auto refused = append(appended, Rational(1, 3), {.places = 2'000'000});
  ASSERT_FALSE(refused.has_value());
  EXPECT_TRUE(refused.error().is(Errc::limit_exceeded));
  EXPECT_EQ(appended, "p:");
  char room[10];
  EXPECT_EQ(to_chars(room, room + 10, Rational(1, 3), {.places = 2'000'000}).ec, std::errc::result_out_of_range);
  EXPECT_FALSE(to_string(Rational(Integer(1) << 10'000), {.max_digits = 100}).has_value());
  EXPECT_TRUE(to_string(Rational(Integer(1) << 10'000)).has_value());
  EXPECT_FALSE(to_string(Rational(1, 3), {.precision = 0xFFFFFFFF}).has_value());
}

TEST(RationalText, ADenominatorThatIsNotPositiveIsAnError) {
  Rational broken(1, 2);
  broken.get_den() = 0;
  EXPECT_TRUE(to_string(broken).error().is(Errc::invalid_argument));
  char room[10];
  EXPECT_EQ(to_chars(room, room + 10, broken).ec, std::errc::invalid_argument);
  broken.get_den() = 1;
}

TEST(RationalText, REQ_DEC_7_TheShortPathAgreesWithTheLongOne) {
  std::mt19937_64 random(77);
  for (int i = 0; i < 200'000; ++i) {
    const std::uint64_t numerator = random() >> (random() % 64);
    const std::uint64_t denominator = (random() >> (random() % 64)) | 1;
    Rational value(Integer(static_cast<unsigned long>(numerator)), Integer(static_cast<unsigned long>(denominator)));
    value.canonicalize();
    if (random() % 2 == 0) value = -value;
    const TextOptions options{.places = static_cast<int>(random() % 19),
                              .rounding = static_cast<Rounding>(random() % 8)};
    // A whole number above 2^64 takes the long path, and changes neither places nor rest.
    const Integer lift = (Integer(1) << 70) * 10;
    const std::string short_text = to_string(value, options).value();
    const Rational lifted = sgn(value) < 0 ? Rational(value - lift) : Rational(value + lift);
    const std::string long_text = to_string(lifted, options).value();
    if (options.rounding == Rounding::half_even_but_not_zero) continue;
    const Rational difference = number(long_text) - number(short_text);
    ASSERT_EQ(difference, sgn(value) < 0 ? Rational(-lift) : Rational(lift)) << value << " " << options.places;
  }
}

TEST(Random, FractionsStayInTheirRange) {
  std::mt19937_64 random(3);
  const Rational low(-1, 3);
  const Rational high(1, 7);
  Rational least = high;
  Rational most = low;
  for (int i = 0; i < 10'000; ++i) {
    const Rational value = random_rational(random, low, high, 1 + static_cast<std::uint32_t>(i % 200));
    ASSERT_GE(value, low);
    ASSERT_LT(value, high);
    least = std::min(least, value);
    most = std::max(most, value);
  }
  EXPECT_LT(least, Rational(-32, 100));
  EXPECT_GT(most, Rational(13, 100));
  EXPECT_THROW(random_rational(random, high, low), std::invalid_argument);
}

TEST(Compare, DEC_28_AbsentFractions) {
  EXPECT_EQ(compare(std::optional<Rational>(), std::nullopt), 0);
  EXPECT_EQ(compare(std::optional<Rational>(), Rational(-1)), -1);
  EXPECT_EQ(compare(Rational(-1), std::nullopt), 1);
  EXPECT_EQ(compare(Rational(5), Rational(10)), -1);
  EXPECT_EQ(compare(Rational(5), Rational(5)), 0);
}

struct BadText {
  const char* text;
  const char* position;
};

TEST(Parse, REQ_DEC_9_ErrorsSayWhere) {
  for (const BadText& bad :
       {BadText{"", "0"}, {"-", "1"},     {"abc", "0"},      {"1x", "1"},       {"1.2.3", "3"}, {".", "1"},
        {"1e", "2"},      {"1e+", "3"},   {"1e5x", "3"},     {"1/", "2"},       {"/2", "0"},    {"1/2/3", "3"},
        {"1/-2", "2"},    {"1.5/2", "1"}, {" 1", "0"},       {"1 ", "1"},       {"--1", "1"},   {"0x10", "1"},
        {"1/0", "2"},     {"<nil>", "0"}, {"Infinity", "0"}, {"1\xC3\xA9", "1"}}) {
    const auto value = parse_rational(bad.text);
    ASSERT_FALSE(value.has_value()) << bad.text;
    EXPECT_EQ(value.error().context("position"), bad.position) << bad.text;
  }
  EXPECT_THAT(parse_rational("12a4").error().message(), HasSubstr("expected the end at position 2, found 'a'"));
  EXPECT_THAT(parse_rational("1\xC3").error().message(), HasSubstr("found byte 0xC3"));
  EXPECT_FALSE(parse_rational(std::string_view("1\0", 2)).has_value());
}

TEST(Parse, REQ_DEC_9_Accepts) {
  EXPECT_EQ(number("+1.50e2"), 150);
  EXPECT_EQ(number("-00.5"), Rational(-1, 2));
  EXPECT_EQ(number("5."), 5);
  EXPECT_EQ(number(".5"), Rational(1, 2));
  EXPECT_EQ(number("1e-3"), Rational(1, 1000));
  EXPECT_EQ(number("1E3"), 1000);
  EXPECT_EQ(number("-6/4"), Rational(-3, 2));
  EXPECT_EQ(number("0/5"), 0);
  EXPECT_EQ(number("-0.000"), 0);
  EXPECT_EQ(number("0e999999999999999999999"), 0);
}

TEST(Parse, REQ_DEC_5_Limits) {
  EXPECT_TRUE(parse_rational("1e100001").error().is(Errc::limit_exceeded));
  EXPECT_TRUE(parse_rational("1e-99999999999999999999").error().is(Errc::limit_exceeded));
  EXPECT_TRUE(parse_rational("1e100000").has_value());
  EXPECT_TRUE(parse_rational("12345", {.max_digits = 4}).error().is(Errc::limit_exceeded));
  EXPECT_TRUE(parse_rational("1/12345", {.max_digits = 4}).error().is(Errc::limit_exceeded));
  EXPECT_TRUE(parse_rational("1234", {.max_digits = 4}).has_value());
}

TEST(Parse, REQ_DEC_9_WhatIsPrintedIsReadBack) {
  std::mt19937_64 random(9);
  for (int i = 0; i < 20'000; ++i) {
    // A finite expansion that fits: a whole number divided by a power of ten.
    const auto bits = static_cast<std::uint32_t>(1 + random() % 200);
    const auto places = static_cast<unsigned long>(random() % 20);
    Integer power;
    mpz_ui_pow_ui(power.get_mpz_t(), 10, places);
    Rational value(random_integer(random, bits), power);
    value.canonicalize();
    if (automatic_places(value, 0) < static_cast<std::int64_t>(places)) continue;
    ASSERT_EQ(number(text(value)), value);
  }
}

}  // namespace
}  // namespace gyre::decimal
