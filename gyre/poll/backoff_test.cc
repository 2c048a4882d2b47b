#include <stdexcept>

#include <gtest/gtest.h>

#include <gyre/poll/backoff.h>

namespace gyre::poll {
namespace {

using namespace std::chrono_literals;

TEST(Backoff, GrowsToItsMaximumAndStartsAgainAfterASuccess) {
  Backoff backoff({.initial = 100ms, .maximum = 1s, .multiplier = 3, .jitter = 0});
  EXPECT_EQ(backoff.next(), 100ms);
  EXPECT_EQ(backoff.next(), 300ms);
  EXPECT_EQ(backoff.next(), 900ms);
  EXPECT_EQ(backoff.next(), 1s);
  for (int i = 0; i < 2000; ++i) EXPECT_EQ(backoff.next(), 1s) << "no power overflows";
  backoff.reset();
  EXPECT_EQ(backoff.failures(), 0u);
  EXPECT_EQ(backoff.next(), 100ms);
}

TEST(Backoff, JitterStaysInItsRangeAndDependsOnTheSeedOnly) {
  const BackoffOptions options{.initial = 100ms, .multiplier = 1, .jitter = 0.2, .seed = 5};
  Backoff one(options);
  Backoff two(options);
  bool differs = false;
  for (int i = 0; i < 1000; ++i) {
    const Duration delay = one.next();
    EXPECT_EQ(two.next(), delay);
    EXPECT_GE(delay, 80ms);
    EXPECT_LE(delay, 100ms);
    differs |= delay != 100ms;
  }
  EXPECT_TRUE(differs);
}

TEST(Backoff, TheEndOfTime) {
  Backoff backoff({.initial = Duration::max(), .maximum = Duration::max(), .jitter = 0});
  EXPECT_EQ(backoff.next(), Duration::max());
}

TEST(Backoff, RefusesOptionsOutOfRange) {
  EXPECT_THROW(Backoff({.initial = 0ms}), std::invalid_argument);
  EXPECT_THROW(Backoff({.initial = 2s, .maximum = 1s}), std::invalid_argument);
  EXPECT_THROW(Backoff({.multiplier = 0.5}), std::invalid_argument);
  EXPECT_THROW(Backoff({.jitter = 1.5}), std::invalid_argument);
}

}  // namespace
}  // namespace gyre::poll
