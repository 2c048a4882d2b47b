#include <gtest/gtest.h>

#include <gyre/base/cache_line.h>
#include <gyre/base/clock.h>

namespace gyre {
namespace {

using namespace std::chrono_literals;

TEST(ManualClock, MovesOnlyWhenTold) {
  ManualClock clock;
  const TimePoint start = clock.now();
  EXPECT_EQ(clock.now(), start);
  clock.advance(5ms);
  EXPECT_EQ(clock.now(), start + 5ms);
}

TEST(ManualClock, SleepersMustBeWokenUnlessTheDeadlineHasCome) {
  ManualClock clock;
  EXPECT_EQ(clock.time_until(clock.now() + 1ns), Duration::max());
  EXPECT_EQ(clock.time_until(clock.now()), Duration::zero());
  EXPECT_FALSE(clock.skip_to(clock.now() + 1s));
}

TEST(ManualClock, AutomaticModeJumpsForwardOnly) {
  ManualClock clock(ManualClock::Mode::automatic);
  const TimePoint start = clock.now();
  EXPECT_TRUE(clock.skip_to(start + 1h));
  EXPECT_EQ(clock.now(), start + 1h);
  EXPECT_TRUE(clock.skip_to(start));
  EXPECT_EQ(clock.now(), start + 1h);
  EXPECT_FALSE(clock.skip_to(TimePoint::max()));
}

TEST(SaturatingNanoseconds, HoldsWhatIsTooLongAtTheEnds) {
  EXPECT_EQ(saturating_nanoseconds(5ms), Duration(5'000'000));
  EXPECT_EQ(saturating_nanoseconds(-5ms), Duration(-5'000'000));
  EXPECT_EQ(saturating_nanoseconds(Duration::max()), Duration::max());
  EXPECT_EQ(saturating_nanoseconds(std::chrono::hours::max()), Duration::max());
  EXPECT_EQ(saturating_nanoseconds(std::chrono::hours::min()), Duration::min());
  EXPECT_EQ(saturating_nanoseconds(std::chrono::duration<double>(1e300)), Duration::max());
}

TEST(SteadyClock, TellsTheTimeLeft) {
  SteadyClock clock;
  const Duration left = clock.time_until(clock.now() + 1h);
  EXPECT_GT(left, 59min);
  EXPECT_LE(left, 1h);
  EXPECT_EQ(clock.time_until(clock.now() - 1s), Duration::zero());
  EXPECT_EQ(clock.time_until(TimePoint::max()), Duration::max());
  EXPECT_FALSE(clock.skip_to(clock.now()));
}

TEST(SaturatingAdd, StopsAtTheEndOfTime) {
  const TimePoint now = SteadyClock().now();
  EXPECT_EQ(saturating_add(now, Duration::max()), TimePoint::max());
  EXPECT_EQ(saturating_add(now, 5ms), now + 5ms);
  EXPECT_EQ(saturating_add(TimePoint(), Duration::max()), TimePoint::max());
  EXPECT_EQ(saturating_add(TimePoint::min(), Duration::max()), TimePoint(Duration(-1)));
  EXPECT_EQ(saturating_add(TimePoint::min(), -1ns), TimePoint::min());
  EXPECT_EQ(saturating_add(TimePoint(-2ns), Duration::min()), TimePoint::min());
}

TEST(CacheAligned, KeepsNeighboursApart) {
  CacheAligned<int> pair[2];
  EXPECT_EQ(sizeof(pair), 2 * kCacheLinePair);
}

}  // namespace
}  // namespace gyre
