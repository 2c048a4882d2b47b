#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <gyre/decimal/json.h>
#include <gyre/decimal/random.h>

namespace gyre::decimal {
namespace {

using ::testing::HasSubstr;

TEST(Json, DEC_25_FloatsAsTheyAreWritten) {
  EXPECT_EQ(encode_json(Float(123.456)).value(), R"({"value":"123.456","prec":53})");
  EXPECT_EQ(encode_json(Float(1e10)).value(), R"({"value":"1e+10","prec":53})");
  EXPECT_EQ(encode_json(Float::infinity()).value(), R"({"value":"Infinity","prec":0})");
  EXPECT_EQ(encode_json(Float::infinity(true, 24)).value(), R"({"value":"-Infinity","prec":24})");
  EXPECT_EQ(encode_json(Float()).value(), R"({"value":"0","prec":0})");
  EXPECT_EQ(encode_json(Float(-0.0)).value(), R"({"value":"-0","prec":53})");
  EXPECT_EQ(encode_json(std::optional<Float>()).value(), "null");
  const Float large = parse_float("1.2931238712218821393129e+123933", 99).value();
  EXPECT_THAT(encode_json(large).value(), HasSubstr("1.2931238712218821393129"));
  EXPECT_EQ(debug_string(Float(123.456)), "big.Float(123.456, 53)");
  EXPECT_EQ(debug_string(std::optional<Float>()), "<nil>");
}

TEST(Json, DEC_25_FloatsComeBackBitForBit) {  // REQ_DEC_3
  std::mt19937_64 random(25);
  int checked = 0;
  const auto check = [&](const Float& value) {
    const std::string json = encode_json(value).value();
    const auto back = decode_json_float(json);
    ASSERT_TRUE(back.has_value()) << json;
    ASSERT_TRUE(back->identical(value)) << json;
    ++checked;
  };
  for (const std::uint32_t precision : {1U, 2U, 24U, 53U, 64U, 99U, 113U, 1000U}) {
    for (int i = 0; i < 400; ++i) {
      const Integer mantissa = random_integer(random, static_cast<std::uint32_t>(1 + random() % (precision + 10))) + 1;
      const auto exponent = static_cast<std::int64_t>(random() % 6'000) - 3'000;
      check(Float::create(random() % 2 == 0 ? mantissa : Integer(-mantissa), exponent, precision).value());
    }
    // Doubles of few bits, whose text as doubles would name other numbers of this precision.
    for (const double value : {5e-324, 1.5e-323, 2.2250738585072009e-308, 1e-310, 0.1}) {
      check(Float::create(Rational(value), precision).value());
    }
    check(parse_float("1.2931238712218821393129e+123933", precision).value());
    check(parse_float("-7e-123933", precision).value());
    check(Float::zero(true, precision));
    check(Float::infinity(true, precision));
  }
  check(Float());
  check(Float::infinity());
  EXPECT_GT(checked, 3'200);
}

TEST(Json, DEC_26_DecodingFloats) {
  const auto decoded = [](std::string_view json) { return decode_json_float(json).value(); };
  EXPECT_TRUE(decoded(R"({"value":"1.5"})").identical(Float::create(Rational(3, 2), 64).value()));
  EXPECT_TRUE(decoded(R"({"value":"1.5","prec":0})").identical(Float::create(Rational(3, 2), 64).value()));
  EXPECT_TRUE(decoded(R"({"prec":53,"value":"1.5"})").identical(Float(1.5)));
  EXPECT_TRUE(decoded(R"({"value":"0","prec":0})").identical(Float()));
  EXPECT_TRUE(decoded(R"({"value":"0","prec":33})").identical(Float::zero(false, 33)));
  EXPECT_TRUE(decoded(R"({"value":"-Infinity","prec":0})").identical(Float::infinity(true)));
  EXPECT_TRUE(decoded(R"( { "value" : "\u0031\u002e5" , "other" : [1, {"a": null}, -2.5e3, "x"], "prec" : 53 } )")
                  .identical(Float(1.5)));
  for (const char* bad : {"null",
                          "",
                          "{",
                          "{}",
                          "1.5",
                          "\"1.5\"",
                          "[]",
                          "true",
                          R"({"value":1.5,"prec":53})",
                          R"({"value":null,"prec":53})",
                          R"({"value":"abc","prec":53})",
                          R"({"value":"","prec":53})",
                          R"({"value":"1.5","prec":-1})",
                          R"({"value":"1.5","prec":1.5})",
                          R"({"value":"1.5","prec":"53"})",
                          R"({"value":"1.5","prec":99999999999})",
                          R"({"value":"1.5","prec":4000000000})",
                          R"({"value":"1.5","prec":53}x)",
                          R"({"value":"1.5" "prec":53})",
                          R"({"value":"1.5","prec":053})",
                          R"({"value":"1.5","x":01})",
                          R"({"value":"1.5","x":[1,]})",
                          R"({"value":"1.5",})",
                          R"({"value":"1.5\q"})",
                          R"({"value":"1.5\u00"})",
                          "{\"value\":\"1.5\n\"}",
                          R"({"value":"1/2"})",
                          R"({"value":"1.5)",
                          R"({"value":"NaN"})"}) {
    EXPECT_FALSE(decode_json_float(bad).has_value()) << bad;
  }
  EXPECT_EQ(decode_json_optional_float(" null ").value(), std::nullopt);
  EXPECT_TRUE(decode_json_optional_float(R"({"value":"2","prec":24})").value()->identical(Float(2.0F)));
  EXPECT_FALSE(decode_json_optional_float("nul").has_value());
  EXPECT_EQ(decode_json_float(R"({"value":1})").error().context("position"), "9");
  std::string deep = R"({"value":"1","x":)" + std::string(100'000, '[');
  EXPECT_FALSE(decode_json_float(deep).has_value());
}

TEST(Json, DEC_27_Fractions) {
  Rational value(123, 456);
  value.canonicalize();
  EXPECT_EQ(encode_json(value), "\"41/152\"");
  EXPECT_EQ(encode_json(Rational(0)), "\"0/1\"");
  EXPECT_EQ(encode_json(Rational(123)), "\"123/1\"");
  EXPECT_EQ(encode_json(std::optional<Rational>()), "null");
  EXPECT_EQ(debug_string(value), "big.Rat(41/152)");

  const auto decoded = [](std::string_view json) { return decode_json_rational(json).value(); };
  EXPECT_EQ(decoded("\"41/152\""), value);
  EXPECT_EQ(decoded("\"82/304\""), value);
  EXPECT_EQ(decoded(R"("\u0031\u002f\u0032")"), Rational(1, 2));
  EXPECT_EQ(decoded(R"("1\/2")"), Rational(1, 2));
  EXPECT_EQ(decoded("\"-7\""), -7);
  EXPECT_EQ(decoded("\"0.125\""), Rational(1, 8));
  EXPECT_EQ(decoded(" \"1.5e3\" "), 1500);
  for (const char* bad : {"\"1/0\"", "\"abc\"", "\"\"", "1", "0.5", "true", "null", "", "\"1/2", "\"1/2\"x",
                          "[\"1/2\"]", "\"1/2\\n\"", "\"1 /2\"", "\"\\u00e91\"", "'1/2'"}) {
    EXPECT_FALSE(decode_json_rational(bad).has_value()) << bad;
  }
  EXPECT_EQ(decode_json_optional_rational("null").value(), std::nullopt);
  EXPECT_EQ(decode_json_optional_rational("\"1/2\"").value(), Rational(1, 2));
  EXPECT_FALSE(decode_json_optional_rational("nulll").has_value());
}

TEST(Json, DEC_27_RandomFractionsComeBack) {
  std::mt19937_64 random(27);
  for (int i = 0; i < 5'000; ++i) {
    Rational value(random_integer(random, static_cast<std::uint32_t>(1 + random() % 400)),
                   random_integer(random, static_cast<std::uint32_t>(1 + random() % 400)) + 1);
    value.canonicalize();
    if (random() % 2 == 0) value = -value;
    ASSERT_EQ(decode_json_rational(encode_json(value)).value(), value);
  }
}

}  // namespace
}  // namespace gyre::decimal
