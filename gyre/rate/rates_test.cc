#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <gyre/rate/internal/test_support.h>
#include <gyre/rate/rates.h>

namespace gyre::rate {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string why_not(std::initializer_list<Window> windows) {
  const auto rates = Rates::create(windows);
  if (rates) return "valid";
  EXPECT_TRUE(rates.error().is(Errc::invalid_argument));
  return rates.error().message();
}

TEST(Rates, RATE_1_VerdictsOfTheTable) {
  EXPECT_THAT(why_not({}), HasSubstr("no rates are given"));
  EXPECT_EQ(why_not({{1s, 1}}), "valid");
  EXPECT_THAT(why_not({{0s, 1}}), HasSubstr("1 per 0 s: the duration must be positive"));
  EXPECT_THAT(why_not({{1s, 0}}), HasSubstr("0 per 1 s: the limit must be positive"));
  EXPECT_THAT(why_not({{-1s, 5}}), HasSubstr("5 per -1 s: the duration must be positive"));
  EXPECT_THAT(why_not({{1s, 10}, {60s, 9}}),
              HasSubstr("10 per 1 s and 9 per 1 min: the longer window must have the larger limit"));
  EXPECT_THAT(why_not({{1s, 10}, {60s, 10}}), HasSubstr("must have the larger limit"));
  EXPECT_THAT(why_not({{1s, 10}, {60s, 600}}),
              HasSubstr("10 per 1 s and 600 per 1 min: the longer window must have the lower average"));
  EXPECT_EQ(why_not({{1s, 10}, {60s, 599}}), "valid");
  EXPECT_THAT(why_not({{1s, 1}, {2s, 2}}), HasSubstr("the lower average"));
  EXPECT_EQ(why_not({{1s, 2}, {2s, 3}}), "valid");
  EXPECT_EQ(why_not({{1s, 5}, {10s, 8}}), "valid");
  EXPECT_EQ(why_not({{1s, 3}, {60s, 120}, {1h, 3600}}), "valid");
  EXPECT_EQ(why_not({{1s, 1}, {60s, 10}, {1h, 500}, {24h, 8000}, {24h * 7, 50000}, {24h * 30, 200000}}), "valid");
}

TEST(Rates, RATE_1_RetentionIsTheLongestDuration) {
  EXPECT_EQ(testing::rates({{1s, 1}}).retention(), 1s);
  EXPECT_EQ(testing::rates({{60s, 599}, {1s, 10}}).retention(), 60s);
  EXPECT_EQ(testing::rates({{1s, 2}, {2s, 3}}).retention(), 2s);
  EXPECT_EQ(testing::rates({{1s, 5}, {10s, 8}}).retention(), 10s);
  EXPECT_EQ(testing::rates({{1s, 3}, {60s, 120}, {1h, 3600}}).retention(), 1h);
  EXPECT_EQ(testing::rates({{1s, 1}, {24h * 30, 200000}}).retention(), 24h * 30);
  EXPECT_EQ(Rates().retention(), 0s);
}

TEST(Rates, RATE_1_TheErrorListsAllThatIsWrong) {  // REQ_RATE_1
  EXPECT_THAT(
      why_not({{60s, 9}, {1s, 10}, {0s, 3}, {1h, 0}}),
      AllOf(HasSubstr("3 per 0 s: the duration must be positive"), HasSubstr("0 per 1 h: the limit must be positive"),
            HasSubstr("10 per 1 s and 9 per 1 min: the longer window must have the larger limit"),
            HasSubstr("9 per 1 min and 0 per 1 h: the longer window must have the larger limit")));
  EXPECT_THAT(why_not({{1s, 5}, {1s, 6}}), HasSubstr("5 per 1 s and 6 per 1 s: a duration is given twice"));
}

TEST(Rates, RATE_2_AveragesAreComparedExactly) {  // REQ_RATE_1
  EXPECT_EQ(why_not({{1s, 10}, {60s, 599}}), "valid");
  EXPECT_THAT(why_not({{1s, 10}, {60s, 600}}), HasSubstr("the lower average"));
  const std::int64_t billion = 1'000'000'000;
  const std::int64_t duration = billion * billion;
  const double first = static_cast<double>(billion) / static_cast<double>(duration);
  const double second = static_cast<double>(billion + 1) / static_cast<double>(duration + billion + 1);
  EXPECT_EQ(first, second);
  EXPECT_EQ(why_not({{Duration(duration), billion}, {Duration(duration + billion + 1), billion + 1}}), "valid");
  EXPECT_NE(why_not({{Duration(duration), billion}, {Duration(duration + billion), billion + 1}}), "valid");
}

TEST(Rates, REQ_RATE_2_AreACopy) {
  std::vector<Window> windows{{1s, 2}};
  const Rates rates = Rates::create(windows).value();
  windows[0].limit = 100;
  EXPECT_EQ(rates.windows()[0].limit, 2);
}

TEST(Rates, SayWhatTheyAre) {
  EXPECT_EQ(testing::rates({{1s, 10}, {60s, 300}}).to_string(), "10 per 1 s and 300 per 1 min");
  EXPECT_EQ(testing::rates({{1500ms, 1}}).to_string(), "1 per 1500 ms");
  EXPECT_EQ(Rates().to_string(), "no limit");
}

}  // namespace
}  // namespace gyre::rate
