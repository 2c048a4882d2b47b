#include <cmath>
#include <cstdio>
#include <random>

#include <gtest/gtest.h>

#include <gyre/decimal/float_text.h>

namespace gyre::decimal {
namespace {

template <typename Number>
std::string text(Number value, Notation notation, int places = kAutomatic) {
  return to_string(value, {.notation = notation, .places = places}).value();
}

struct FloatRow {
  int row;
  double value;
  const char* texts[6];  // shortest, then three places: each fixed, scientific, general
};
constexpr FloatRow kFloats[] = {
    {112, 0.0, {"0", "0e+00", "0", "0.000", "0.000e+00", "0"}},
    {113, -0.0, {"-0", "-0e+00", "-0", "-0.000", "-0.000e+00", "-0"}},
    {114, 0.1, {"0.1", "1e-01", "0.1", "0.100", "1.000e-01", "0.1"}},
    {115,
     1.0 / 3,
     {"0.3333333333333333", "3.333333333333333e-01", "0.3333333333333333", "0.333", "3.333e-01", "0.333"}},
    {116,
     100.0 / 3,
     {"33.333333333333336", "3.3333333333333336e+01", "33.333333333333336", "33.333", "3.333e+01", "33.3"}},
    {117, 123.456, {"123.456", "1.23456e+02", "123.456", "123.456", "1.235e+02", "123"}},
    {118, 1e10, {"10000000000", "1e+10", "1e+10", "10000000000.000", "1.000e+10", "1e+10"}},
    {119, 1e21, {"1000000000000000000000", "1e+21", "1e+21", "1000000000000000000000.000", "1.000e+21", "1e+21"}},
    {120, 1e23, {"100000000000000000000000", "1e+23", "1e+23", "99999999999999991611392.000", "1.000e+23", "1e+23"}},
    {121,
     4.37499999999999168e17,
     {"437499999999999170", "4.3749999999999917e+17", "4.3749999999999917e+17", "437499999999999168.000", "4.375e+17",
      "4.37e+17"}},
    {122,
     1.904761904761903872e18,
     {"1904761904761903900", "1.9047619047619039e+18", "1.9047619047619039e+18", "1904761904761903872.000", "1.905e+18",
      "1.9e+18"}},
    {123, 123456789, {"123456789", "1.23456789e+08", "1.23456789e+08", "123456789.000", "1.235e+08", "1.23e+08"}},
    {124, 1e-7, {"0.0000001", "1e-07", "1e-07", "0.000", "1.000e-07", "1e-07"}},
    {125, 100000, {"100000", "1e+05", "100000", "100000.000", "1.000e+05", "1e+05"}},
    {126, 1000000, {"1000000", "1e+06", "1e+06", "1000000.000", "1.000e+06", "1e+06"}},
};
constexpr Notation kNotations[] = {Notation::fixed, Notation::scientific, Notation::general};

TEST(FloatText, DEC_4_WorkedExamples) {
  for (const FloatRow& row : kFloats) {
    for (int i = 0; i < 6; ++i) {
      EXPECT_EQ(text(row.value, kNotations[i % 3], i < 3 ? kAutomatic : 3), row.texts[i]) << "row " << row.row;
    }
  }
}

TEST(FloatText, DEC_4_OfFloats) {
  EXPECT_EQ(text(0.1F, Notation::general), "0.1");
  EXPECT_EQ(text(static_cast<double>(0.1F), Notation::general), "0.10000000149011612");
  EXPECT_EQ(text(123456789.0F, Notation::fixed), "123456790");
}

TEST(FloatText, DEC_22_LargeShortestFixedTextHasZerosAtItsEnd) {
  EXPECT_EQ(text(1e23, Notation::fixed), "100000000000000000000000");
  EXPECT_EQ(text(4.37499999999999168e17, Notation::fixed), "437499999999999170");
  EXPECT_EQ(text(1.904761904761903872e18, Notation::fixed), "1904761904761903900");
  EXPECT_EQ(text(123456789.0F, Notation::fixed), "123456790");
}

TEST(FloatText, DEC_23_MinusZeroKeepsItsSign) {
  EXPECT_EQ(text(-0.0, Notation::fixed), "-0");
  EXPECT_EQ(text(-0.0, Notation::scientific, 2), "-0.00e+00");
  EXPECT_EQ(text(-0.0F, Notation::general), "-0");
}

TEST(FloatText, DEC_24_Infinities) {
  for (const Notation notation : kNotations) {
    for (const int places : {kAutomatic, 0, 5}) {
      EXPECT_EQ(text(HUGE_VAL, notation, places), "Infinity");
      EXPECT_EQ(text(-HUGE_VAL, notation, places), "-Infinity");
      EXPECT_EQ(text(-HUGE_VALF, notation, places), "-Infinity");
      EXPECT_EQ(text(std::nan(""), notation, places), "NaN");
    }
  }
}

// What C prints; for the shortest text the fewest digits that are read back the same.
template <typename Number>
std::string reference(Number value, Notation notation, int places) {
  const auto print = [&](const char* format, int digits) {
    char room[1200];
    std::snprintf(room, sizeof(room), format, digits, static_cast<double>(value));
    return std::string(room);
  };
  const auto back = [](const std::string& digits) {
    if constexpr (sizeof(Number) == 4) return std::strtof(digits.c_str(), nullptr);
    return static_cast<Number>(std::strtod(digits.c_str(), nullptr));
  };
  if (places >= 0) {
    return print(notation == Notation::fixed ? "%.*f" : notation == Notation::scientific ? "%.*e" : "%.*g", places);
  }
  int digits = 0;
  while (back(print("%.*e", digits)) != value) ++digits;
  const std::string scientific = print("%.*e", digits);
  if (notation == Notation::scientific) return scientific;
  const int exponent = std::atoi(scientific.c_str() + scientific.find('e') + 1);
  if (notation == Notation::general && (exponent < -4 || exponent >= 6)) return scientific;
  if (exponent <= digits) return print("%.*f", digits - exponent);
  std::string whole(scientific, 0, scientific.find('e'));
  std::erase(whole, '.');
  return whole + std::string(static_cast<std::size_t>(exponent - digits), '0');
}

TEST(FloatText, DEC_21_DoublesAsCPrintsThem) {
  std::mt19937_64 random(21);
  std::size_t differing_shortest = 0;
  for (std::uint64_t exponent = 0; exponent < 2047; ++exponent) {
    for (int i = 0; i < 10; ++i) {
      const std::uint64_t mantissa = i == 0 ? 0 : i == 1 ? 1 : i == 2 ? (std::uint64_t{1} << 52) - 1 : random() >> 12;
      const std::uint64_t sign = (exponent + static_cast<std::uint64_t>(i)) % 2 << 63;
      const auto value = std::bit_cast<double>(sign | exponent << 52 | mantissa);
      for (const Notation notation : kNotations) {
        for (const int places : {kAutomatic, 0, 1, 3, 6, 12, 17}) {
          const std::string expected = reference(value, notation, places);
          const std::string found = text(value, notation, places);
          if (found == expected) continue;
          // Where several texts of the fewest digits are read back the same, ours is the nearest; C rounds to that many
          // digits, which is not always one of them, and then takes one digit more.
          ASSERT_EQ(places, kAutomatic) << found << " " << expected;
          ASSERT_LE(found.size(), expected.size());
          ASSERT_EQ(std::strtod(found.c_str(), nullptr), value);
          ++differing_shortest;
        }
      }
    }
  }
  EXPECT_LT(differing_shortest, 300u);
}

TEST(FloatText, DEC_21_FloatsAsCPrintsThem) {
  std::mt19937 random(21);
  std::size_t differing_shortest = 0;
  for (std::uint32_t exponent = 0; exponent < 255; ++exponent) {
    for (int i = 0; i < 9; ++i) {
      const std::uint32_t mantissa = i == 0   ? 0
                                     : i == 1 ? 1
                                     : i == 2 ? (1U << 23) - 1
                                              : static_cast<std::uint32_t>(random()) >> 9;
      const auto value = std::bit_cast<float>(exponent << 23 | mantissa);
      for (const Notation notation : kNotations) {
        for (const int places : {kAutomatic, 0, 1, 3, 6, 9}) {
          const std::string expected = reference(value, notation, places);
          const std::string found = text(value, notation, places);
          if (found == expected) continue;
          ASSERT_EQ(places, kAutomatic) << found << " " << expected;
          ASSERT_LE(found.size(), expected.size());
          ASSERT_EQ(std::strtof(found.c_str(), nullptr), value);
          ++differing_shortest;
        }
      }
    }
  }
  EXPECT_LT(differing_shortest, 50u);
}

TEST(FloatText, REQ_DEC_8_SaysWhenThereIsNoRoom) {
  for (const Notation notation : kNotations) {
    for (const int places : {kAutomatic, 4}) {
      for (const double value : {-123.456, 1e22, -1e-5, HUGE_VAL}) {
        const std::string whole = text(value, notation, places);
        for (std::size_t size = 0; size <= whole.size(); ++size) {
          std::string room(size, '#');
          const auto [end, error] =
              to_chars(room.data(), room.data() + size, value, {.notation = notation, .places = places});
          EXPECT_EQ(error, size < whole.size() ? std::errc::value_too_large : std::errc());
          EXPECT_EQ(end, room.data() + size);
        }
      }
    }
  }
  EXPECT_TRUE(to_string(0.5, {.places = 2'000'000}).error().is(Errc::limit_exceeded));
  EXPECT_TRUE(to_string(0.5F, {.places = 2'000'000}).error().is(Errc::limit_exceeded));
  EXPECT_EQ(to_string(0.5, {.notation = Notation::fixed, .places = 5'000}).value().size(), 5'002u);
}

TEST(FloatText, JsonNumbers) {
  EXPECT_EQ(to_json_number(0), "0");
  EXPECT_EQ(to_json_number(-0.0), "-0");
  EXPECT_EQ(to_json_number(0.1), "0.1");
  EXPECT_EQ(to_json_number(1e-6), "0.000001");
  EXPECT_EQ(to_json_number(1e-7), "1e-7");
  EXPECT_EQ(to_json_number(-1.5e-10), "-1.5e-10");
  EXPECT_EQ(to_json_number(1e20), "100000000000000000000");
  EXPECT_EQ(to_json_number(1e21), "1e+21");
  EXPECT_EQ(to_json_number(1.5e300), "1.5e+300");
  EXPECT_EQ(to_json_number(std::nan("")), "\"NaN\"");
  EXPECT_EQ(to_json_number(HUGE_VAL), "\"Infinity\"");
  EXPECT_EQ(to_json_number(-HUGE_VAL), "\"-Infinity\"");
}

}  // namespace
}  // namespace gyre::decimal
