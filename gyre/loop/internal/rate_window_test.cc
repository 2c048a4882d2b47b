#include <gtest/gtest.h>

#include <gyre/loop/internal/rate_window.h>

namespace gyre::internal {
namespace {

using namespace std::chrono_literals;

TimePoint at(Duration time) {
  return TimePoint(1h + time);
}

TEST(RateWindow, IsZeroWithoutEvents) {
  RateWindow window;
  EXPECT_EQ(window.per_second(at(0s)), 0);
}

TEST(RateWindow, CountsOverTenSeconds) {
  RateWindow window;
  for (int i = 0; i < 1000; ++i) window.record(at(i * 10ms));  // a hundred a second, for ten seconds
  EXPECT_DOUBLE_EQ(window.per_second(at(9'999ms)), 100);
  EXPECT_DOUBLE_EQ(window.per_second(at(14'999ms)), 50);
}

TEST(RateWindow, AYoungWindowCountsOverItsAge) {
  RateWindow window;
  for (int i = 0; i < 50; ++i) window.record(at(i * 20ms));
  EXPECT_DOUBLE_EQ(window.per_second(at(999ms)), 50);
}

TEST(RateWindow, IsZeroAfterTenSecondsOfSilence) {  // L139
  RateWindow window;
  for (int i = 0; i < 1000; ++i) window.record(at(0s));
  EXPECT_GT(window.per_second(at(9s)), 0);
  EXPECT_EQ(window.per_second(at(10s)), 0);
}

TEST(RateWindow, AClockThatJumpsBackStartsItAnew) {  // L139
  RateWindow window;
  for (int i = 0; i < 1000; ++i) window.record(at(100s));
  EXPECT_EQ(window.per_second(at(50s)), 0);
  window.record(at(50s));
  EXPECT_DOUBLE_EQ(window.per_second(at(50s)), 10);
}

TEST(RateWindow, AClockThatJumpsFarAheadStartsItAnew) {
  RateWindow window;
  for (int i = 0; i < 1000; ++i) window.record(at(0s));
  window.record(at(24h * 365 * 200));
  EXPECT_DOUBLE_EQ(window.per_second(at(24h * 365 * 200)), 10);
}

}  // namespace
}  // namespace gyre::internal
