#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <gyre/cli/units.h>

namespace gyre::cli {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

struct DurationCase {
  std::string text;
  std::chrono::nanoseconds value;
};

TEST(ParseDuration, ReadsNumberAndUnit) {
  const DurationCase cases[] = {
      {"50ms", 50ms},
      {"2s", 2s},
      {"1.5s", 1500ms},
      {"100us", 100us},
      {"100\u00B5s", 100us},
      {"100\u03BCs", 100us},
      {"1m", 1min},
      {"1h", 1h},
      {"2d", 48h},
      {"7ns", 7ns},
      {"0", 0ns},
      {"0.0", 0ns},
      {"000", 0ns},
      {"0s", 0ns},
      {"0ns", 0ns},
      {"007s", 7s},
      {"0.5ms", 500us},
      {"0.000000001s", 1ns},
      {"1.000000000s", 1s},
      {"1.5us", 1500ns},
      {"0.25h", 15min},
      {"1.0ns", 1ns},
      {"0.0000000000025h", 9ns},
      {"106751d", 24h * 106751},
      {"9223372036854775807ns", std::chrono::nanoseconds::max()},
      {"9223372036.854775807s", std::chrono::nanoseconds::max()},
      {"0000000000000000000000000000001s", 1s},
  };
  for (const auto& [text, value] : cases) {
    const auto result = parse_duration(text);
    ASSERT_TRUE(result) << text << ": " << result.error().message();
    EXPECT_EQ(*result, value) << text;
  }
}

struct ErrorCase {
  std::string text;
  std::string message;
};

TEST(ParseDuration, SaysWhatIsWrong) {
  const ErrorCase cases[] = {
      {"", "the duration is empty; write a duration as 50ms, 2s"},
      {"50", "'50' has no unit; write a duration as 50ms, 2s, 1.5s, 100us, 1m or 1h"},
      {"1.5", "has no unit"},
      {"0.1", "has no unit"},
      {"-5ms", "'-5ms' is negative"},
      {"-0", "is negative"},
      {"+5ms", "'+5ms' is not a duration"},
      {"ms", "is not a duration"},
      {".5s", "is not a duration"},
      {"5.s", "is not a duration"},
      {".", "is not a duration"},
      {"-", "is not a duration"},
      {"-ms", "is not a duration"},
      {" 5s", "is not a duration"},
      {"5 s", "has a space in it"},
      {"5s ", "has a space in it"},
      {"5\ts", "'5?s' has a space in it"},
      {"5S", "unknown unit 'S' (units are in lower case: 's')"},
      {"5MS", "unknown unit 'MS' (units are in lower case: 'ms')"},
      {"5sec", "unknown unit 'sec'"},
      {"5ms5", "unknown unit 'ms5'"},
      {"1h30m", "unknown unit 'h30m'"},
      {"1e3ms", "unknown unit 'e3ms'"},
      {"1,5s", "unknown unit ',5s'"},
      {"0x10s", "unknown unit 'x10s'"},
      {"1.2.3s", "unknown unit '.3s'"},
      {"infinity", "is not a duration"},
      {"0.5ns", "'0.5ns' is finer than a nanosecond"},
      {"0.0000000001s", "finer than a nanosecond"},
      {"0.0000000000000000000000000000000000000000001s", "finer than a nanosecond"},
      {"9223372036854775808ns", "'9223372036854775808ns' is too long"},
      {"9223372036.854775808s", "too long"},
      {"106752d", "the longest duration is 292 years"},
      {"18446744073709551616h", "too long"},
      {"99999999999999999999999999999999999999999999999999s", "too long"},
  };
  for (const auto& [text, message] : cases) {
    const auto result = parse_duration(text);
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().code(), Errc::invalid_argument) << text;
    EXPECT_THAT(result.error().message(), HasSubstr(message)) << text;
  }
}

TEST(ParseDuration, MessagesStayShortAndPrintable) {
  const auto result = parse_duration("1\x1b[31m" + std::string(100000, 'x'));
  ASSERT_FALSE(result);
  EXPECT_LT(result.error().message().size(), 400u);
  EXPECT_EQ(result.error().message().find('\x1b'), std::string::npos);
  EXPECT_FALSE(parse_duration(std::string(1'000'000, '9') + "s"));
  EXPECT_FALSE(parse_duration(std::string_view("5s\0", 3)));
}

struct SizeCase {
  std::string text;
  std::uint64_t value;
};

TEST(ParseSize, ReadsNumberAndUnit) {
  const SizeCase cases[] = {
      {"64M", 64ull << 20},
      {"512K", 512ull << 10},
      {"1G", 1ull << 30},
      {"2T", 2ull << 40},
      {"1048576", 1048576},
      {"64MiB", 64ull << 20},
      {"64Mi", 64ull << 20},
      {"64m", 64ull << 20},
      {"64mib", 64ull << 20},
      {"1KiB", 1024},
      {"1Ki", 1024},
      {"1k", 1024},
      {"1GiB", 1ull << 30},
      {"1TiB", 1ull << 40},
      {"10B", 10},
      {"10b", 10},
      {"0", 0},
      {"0M", 0},
      {"1.5G", 3ull << 29},
      {"0.5K", 512},
      {"1.0", 1},
      {"0.0009765625K", 1},
      {"18446744073709551615", std::numeric_limits<std::uint64_t>::max()},
      {"16777215T", 16777215ull << 40},
  };
  for (const auto& [text, value] : cases) {
    const auto result = parse_size(text);
    ASSERT_TRUE(result) << text << ": " << result.error().message();
    EXPECT_EQ(*result, value) << text;
  }
}

TEST(ParseSize, SaysWhatIsWrong) {
  const ErrorCase cases[] = {
      {"", "the size is empty; write a size as 64M, 512K, 1G, 64MiB or 1048576 (bytes)"},
      {"-1M", "'-1M' is negative"},
      {"M", "is not a size"},
      {"+1M", "is not a size"},
      {"64 M", "has a space in it"},
      {"64MB", "'64MB' may mean powers of 1000 or of 1024; write 64M or 64MiB for 1024"},
      {"1.5gb", "write 1.5G or 1.5GiB"},
      {"64X", "unknown unit 'X'"},
      {"64Mbit", "unknown unit 'Mbit'"},
      {"64%", "unknown unit '%'"},
      {"0x40", "unknown unit 'x40'"},
      {"1_000", "unknown unit '_000'"},
      {"0.5", "'0.5' is not a whole number of bytes"},
      {"0.3K", "is not a whole number of bytes"},
      {"18446744073709551616", "'18446744073709551616' is too large: sizes go up to 2^64-1 bytes"},
      {"16777216T", "too large"},
      {"99999999999999999999G", "too large"},
      {"unlimited", "is not a size"},
  };
  for (const auto& [text, message] : cases) {
    const auto result = parse_size(text);
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().code(), Errc::invalid_argument) << text;
    EXPECT_THAT(result.error().message(), HasSubstr(message)) << text;
  }
}

}  // namespace
}  // namespace gyre::cli
