#include <gtest/gtest.h>

#include <gyre/base/internal/cycle_clock.h>

namespace gyre::internal {
namespace {

TEST(CycleClock, LiesBetweenThePresentMomentAndLittleMore) {
  CycleClock clock;
  const TimePoint end = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
  TimePoint last{};
  std::uint64_t counted = 0;
  std::uint64_t asked = 0;
  while (last < end) {
    const TimePoint before = std::chrono::steady_clock::now();
    const TimePoint now = clock.not_before_now();
    const TimePoint after = std::chrono::steady_clock::now();
    ASSERT_GE(now, before);
    ASSERT_GE(now, last);
    ASSERT_LE(now, after + std::chrono::microseconds(1));
    last = now;
    counted += clock.is_counting() ? 1 : 0;
    ++asked;
  }
  RecordProperty("counted_per_mille", static_cast<int>(counted * 1000 / asked));
}

}  // namespace
}  // namespace gyre::internal
