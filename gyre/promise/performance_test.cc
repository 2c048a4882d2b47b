#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/promise/internal/test_support.h>
#include <gyre/promise/performance.h>

namespace gyre {
namespace {

using namespace std::chrono_literals;
using testing::must;

class PerformanceTest : public ::testing::Test {
 protected:
  ManualClock clock_;
  Performance performance_{clock_};
};

TEST_F(PerformanceTest, P91_MeasuresUseTheLatestMark) {
  performance_.mark("a");
  clock_.advance(10ms);
  performance_.mark("a");
  clock_.advance(5ms);
  const auto entry = must(performance_.measure("m", "a"));
  EXPECT_DOUBLE_EQ(entry.start_time, 10);
  EXPECT_DOUBLE_EQ(entry.duration, 5);
  EXPECT_DOUBLE_EQ(must(performance_.measure("whole")).duration, 15);
  performance_.mark("b");
  EXPECT_DOUBLE_EQ(must(performance_.measure("backwards", "b", "a")).duration, -5);
}

TEST_F(PerformanceTest, P91_AMissingMarkIsAnErrorAndLeavesNothing) {
  const auto result = performance_.measure("m", "missing");
  ASSERT_TRUE(testing::fails_with(result, Errc::not_found));
  EXPECT_EQ(result.error().message(), "mark 'missing' not found");
  EXPECT_FALSE(performance_.measure("m", "", "missing").has_value());
  EXPECT_TRUE(performance_.entries().empty());
}

TEST_F(PerformanceTest, P91_EntriesAreCopiesSortedByStart) {
  clock_.advance(10ms);
  performance_.mark("late");
  must(performance_.measure("from the origin"));
  performance_.mark("late");
  const auto entries = performance_.entries();
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].name, "from the origin");
  EXPECT_EQ(performance_.entries_by_name("late").size(), 2u);
  EXPECT_TRUE(performance_.entries_by_name("late", PerformanceEntry::Type::measure).empty());
  EXPECT_EQ(performance_.entries_by_type(PerformanceEntry::Type::mark).size(), 2u);
}

TEST_F(PerformanceTest, P91_P107_ClearingMarksKeepsMeasuresAndDropsDetails) {
  const auto detail = std::make_shared<int>(1);
  performance_.mark("a", detail);
  performance_.mark("", detail);
  EXPECT_EQ(detail.use_count(), 3);
  must(performance_.measure("m", "a"));
  performance_.clear_marks("a");
  EXPECT_EQ(detail.use_count(), 2);
  performance_.clear_marks();
  EXPECT_EQ(detail.use_count(), 1);
  EXPECT_EQ(performance_.entries().size(), 1u);
  EXPECT_FALSE(performance_.measure("m", "a").has_value());
  performance_.clear_measures();
  EXPECT_TRUE(performance_.entries().empty());
}

TEST_F(PerformanceTest, P91_NowRunsForwardAndOriginIsUnixTime) {
  Loop loop;
  const Performance real(loop);
  double last = 0;
  for (int i = 0; i < 1000; ++i) {
    const double now = real.now();
    EXPECT_GE(now, last);
    last = now;
  }
  EXPECT_GT(real.time_origin(), 1.6e12);
  EXPECT_EQ(real.to_json().substr(0, 14), R"({"timeOrigin":)");
}

TEST_F(PerformanceTest, V17_TheOldestGoWhenThereAreTooManyAndAnObserverSeesAll) {
  int seen = 0;
  Performance small(clock_, {.max_entries = 3, .observer = [&](const PerformanceEntry&) { ++seen; }});
  for (int i = 0; i < 5; ++i) small.mark(std::to_string(i));
  EXPECT_EQ(small.entries().front().name, "2");
  EXPECT_EQ(small.dropped(), 2u);
  EXPECT_EQ(seen, 5);
}

TEST_F(PerformanceTest, P91_ManyThreads) {
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        for (int n = 0; n < 100; ++n) {
          performance_.mark("m");
          static_cast<void>(performance_.measure("x", "m"));
          static_cast<void>(performance_.entries_by_name("m"));
        }
      });
    }
  }
  EXPECT_EQ(performance_.entries().size(), 1600u);
}

}  // namespace
}  // namespace gyre
