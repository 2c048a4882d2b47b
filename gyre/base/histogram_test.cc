#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/base/histogram.h>

namespace gyre {
namespace {

TEST(Histogram, WithoutValuesEverythingIsZero) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.min(), 0u);
  EXPECT_EQ(histogram.max(), 0u);
  EXPECT_EQ(histogram.mean(), 0.0);
  EXPECT_EQ(histogram.quantile(0.5), 0u);
}

TEST(Histogram, SmallValuesAreExact) {
  Histogram histogram;
  for (std::uint64_t value = 0; value < 64; ++value) histogram.record(value);
  for (std::uint64_t value = 0; value < 64; ++value) {
    EXPECT_EQ(histogram.quantile(static_cast<double>(value + 1) / 64), value);
  }
  EXPECT_EQ(histogram.mean(), 31.5);
}

TEST(Histogram, TakesTheExtremes) {
  constexpr auto kLargest = std::numeric_limits<std::uint64_t>::max();
  Histogram histogram;
  histogram.record(0);
  histogram.record(kLargest);
  histogram.record(kLargest);
  EXPECT_EQ(histogram.min(), 0u);
  EXPECT_EQ(histogram.max(), kLargest);
  EXPECT_GE(histogram.quantile(1), kLargest / 65 * 64);
  EXPECT_NEAR(histogram.mean(), 2.0 / 3 * static_cast<double>(kLargest), 1e12);
  std::uint64_t last_bound = 0;
  histogram.for_each_bucket([&](std::uint64_t bound, std::uint64_t) { last_bound = bound; });
  EXPECT_EQ(last_bound, kLargest);
}

TEST(Histogram, EveryBucketHoldsWhatItSays) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t value = random() >> (random() % 64);
    Histogram histogram;
    histogram.record(value);
    histogram.for_each_bucket([&](std::uint64_t bound, std::uint64_t count) {
      EXPECT_EQ(count, 1u);
      EXPECT_GE(bound, value);
      EXPECT_LE(static_cast<double>(bound - value), static_cast<double>(value) / 32);
    });
  }
}

// The bound holds whatever the values look like and in whatever order they come.
TEST(Histogram, QuantilesAreWithinTheirBoundOnManyShapes) {
  std::mt19937_64 random(7);
  const auto uniform = [&] { return std::uint64_t{random() % 1'000'000}; };
  const auto normal = [&] {
    return static_cast<std::uint64_t>(std::max(0.0, std::normal_distribution(50'000.0, 9'000.0)(random)));
  };
  const auto two_peaks = [&] { return random() % 10 == 0 ? 10'000'000 + uniform() : 1'000 + uniform() / 1000; };
  const auto heavy_tail = [&] {
    return static_cast<std::uint64_t>(std::exp(std::normal_distribution(10.0, 2.0)(random)));
  };
  std::uint64_t next = 0;
  const auto sorted = [&] { return next += 37; };
  for (const std::function<std::uint64_t()>& draw :
       std::initializer_list<std::function<std::uint64_t()>>{uniform, normal, two_peaks, heavy_tail, sorted}) {
    Histogram histogram;
    std::vector<std::uint64_t> values;
    for (int i = 0; i < 20'000; ++i) {
      values.push_back(draw());
      histogram.record(values.back());
    }
    std::sort(values.begin(), values.end());
    for (const double fraction : {0.0, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0}) {
      const auto rank = static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(values.size())));
      const auto exact = static_cast<double>(values[rank == 0 ? 0 : rank - 1]);
      EXPECT_NEAR(static_cast<double>(histogram.quantile(fraction)), exact, exact * 0.016 + 0.5) << fraction;
    }
  }
}

TEST(Histogram, Merges) {
  Histogram both;
  Histogram first;
  Histogram second;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    (i % 3 == 0 ? first : second).record(i * i);
    both.record(i * i);
  }
  first.merge(second);
  EXPECT_EQ(first.count(), both.count());
  EXPECT_EQ(first.mean(), both.mean());
  EXPECT_EQ(first.max(), both.max());
  EXPECT_EQ(first.min(), both.min());
  for (const double fraction : {0.1, 0.5, 0.99}) EXPECT_EQ(first.quantile(fraction), both.quantile(fraction));
}

}  // namespace
}  // namespace gyre
