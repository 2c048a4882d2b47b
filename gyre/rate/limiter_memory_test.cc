#include <cstdlib>
#include <filesystem>
#include <new>
#include <thread>

#include <gtest/gtest.h>

#include <gyre/base/internal/test_allocations.h>
#include <gyre/rate/internal/test_support.h>
#include <gyre/rate/limiter.h>

namespace gyre::rate {
namespace {

using namespace std::chrono_literals;
using gyre::testing::allocations;
using gyre::testing::allocations_until_failure;
using gyre::testing::bytes_in_use;
using testing::rates;
using testing::said;
using testing::SetClock;

class MemoryTest : public ::testing::Test {
 protected:
  LimiterOptions options(Memory memory = Exact64{}) { return {.clock = &clock, .memory = memory}; }
  SetClock clock;
};

TEST_F(MemoryTest, RATE_31_ExistingKeysAllocateNothing) {
  Limiter<std::string> limiter(rates({{1ms, 4}, {1s, 100}}), options());
  std::vector<std::string> names;
  for (int i = 0; i < 1'000; ++i) names.push_back("a key that no small string holds " + std::to_string(i));
  for (int i = 0; i < 200; ++i) {
    for (const std::string& name : names) static_cast<void>(limiter.allow(name));
    clock.advance(1ms);
  }
  const std::size_t before = allocations;
  for (int i = 0; i < 1'000; ++i) {
    for (const std::string_view name : names) static_cast<void>(limiter.allow(name));
    clock.advance(300us);
  }
  EXPECT_EQ(allocations - before, 0u);
}

TEST_F(MemoryTest, RATE_21_AMillionCategoriesGoAtOnce) {
  const auto threads = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/task"), std::filesystem::directory_iterator());
  };
  const auto before_threads = threads();
  const std::size_t before = bytes_in_use;
  {
    LimiterOptions with = options();
    with.max_categories = 1'000'000;
    Limiter<std::string> limiter(rates({{1s, 20}}), with);
    for (int i = 0; i < 1'000'000; ++i) static_cast<void>(limiter.allow(std::to_string(i)));
    EXPECT_EQ(limiter.size(), 1'000'000u);
    for (int i = 0; i < 12; ++i) static_cast<void>(limiter.allow("1"));  // a history of its own
    const std::size_t used = bytes_in_use - before;
    EXPECT_GT(used, 100'000'000u);
    // What it says it uses is what it uses; short strings are within the records.
    EXPECT_NEAR(static_cast<double>(limiter.statistics().bytes), static_cast<double>(used),
                0.05 * static_cast<double>(used));
    EXPECT_EQ(threads(), before_threads);
  }
  EXPECT_EQ(bytes_in_use, before);
  EXPECT_EQ(threads(), before_threads);
}

TEST_F(MemoryTest, REQ_RATE_5_BytesOfACategoryInEachMode) {
  // Per category beyond the record of 128 bytes, as docs/rate.md says.
  const auto history = [&](Memory memory) {
    clock.set(0s);
    Limiter<std::int64_t> limiter(rates({{1min, 300}}), options(memory));
    static_cast<void>(limiter.allow(0));
    const std::size_t one = limiter.statistics().bytes;
    for (int i = 0; i < 299; ++i) {
      clock.advance(200ms);
      static_cast<void>(limiter.allow(0));
    }
    return limiter.statistics().bytes - one;
  };
  EXPECT_EQ(history(Exact64{}), 512u * 8);
  EXPECT_EQ(history(Exact32{}), 512u * 4);
  EXPECT_EQ(history(Gcra{.burst = 300}), 0u);
  EXPECT_EQ(history(Buckets{60}), 0u);  // 64 counters, allocated with the category
}

TEST_F(MemoryTest, EvictionGivesHistoriesBack) {
  LimiterOptions with = options();
  with.max_categories = 10;
  Limiter<std::int64_t> limiter(rates({{1s, 1'000}}), with);
  std::size_t most = 0;
  for (std::int64_t key = 0; key < 1'000; ++key) {
    for (int i = 0; i < 500; ++i) static_cast<void>(limiter.allow(key));
    most = std::max(most, limiter.statistics().bytes);
  }
  EXPECT_LE(most, 10u * 512 * 8 + 100'000);
}

TEST_F(MemoryTest, AFailedAllocationIsARefusalAndChangesNothing) {
  for (const Memory memory : {Memory(Exact64{}), Memory(Exact32{}), Memory(Buckets{100})}) {
    for (std::size_t nth = 1; nth < 8; ++nth) {
      clock.set(0s);
      Limiter<std::string> limiter(rates({{1s, 40}}), options(memory));
      int accepted = 0;
      int refused = 0;
      for (int i = 0; i < 60; ++i) {
        allocations_until_failure = nth;
        const Decision decision = limiter.allow("a key that no small string holds");
        const bool failed = allocations_until_failure == 0;
        allocations_until_failure = 0;
        if (failed) {
          ASSERT_EQ(decision.refusal, Refusal::memory);
          ++refused;
          const Decision again = limiter.allow("a key that no small string holds");
          ASSERT_TRUE(again.accepted);
          ++accepted;
        } else if (decision.accepted) {
          ++accepted;
        }
      }
      EXPECT_EQ(accepted, 40);
      if (nth == 1) {
        EXPECT_GT(refused, 0);
      }
    }
  }
}

TEST_F(MemoryTest, AFailedAllocationLeavesTheRatesAsTheyWere) {
  const Rates before = rates({{1s, 2}});
  const Rates after = rates({{1s, 3}, {2s, 5}});
  int failures = 0;
  for (std::size_t nth = 1; nth < 200; ++nth) {
    clock.set(0s);
    Limiter<std::int64_t> limiter(before, options(Buckets{50}));
    for (std::int64_t key = 0; key < 20; ++key) {
      static_cast<void>(limiter.allow(key));
      static_cast<void>(limiter.allow(key));
    }
    Rates copy = after;
    allocations_until_failure = nth;
    const auto result = [&] {
      try {
        return limiter.set_rates(std::move(copy));
      } catch (const std::bad_alloc&) {
        ADD_FAILURE() << "an exception got out";
        return Result<void>();
      }
    }();
    const bool failed = allocations_until_failure == 0;
    allocations_until_failure = 0;
    ASSERT_EQ(result.has_value(), !failed);
    EXPECT_EQ(limiter.rates(), failed ? before : after);
    for (std::int64_t key = 0; key < 20; ++key) EXPECT_EQ(limiter.allow(key).accepted, !failed);
    failures += failed ? 1 : 0;
    if (!failed) break;
  }
  EXPECT_GT(failures, 20);
}

}  // namespace
}  // namespace gyre::rate
