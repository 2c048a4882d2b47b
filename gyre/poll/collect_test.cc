#include <chrono>
#include <ctime>
#include <numeric>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/poll/collect.h>
#include <gyre/poll/internal/test_support.h>

// As many values as sensible in one call.

namespace gyre::poll {
namespace {

using testing::must;
using namespace std::chrono_literals;

constexpr std::int64_t kOff = CollectOptions::kOff;

class Collecting : public testing::PollTest {
 protected:
  void fill(int count) {
    for (int i = 0; i < count; ++i) must(channel_.try_send(i));
  }
  void send_at(Duration when, int count = 1) {
    after(when, [this, count] { fill(count); });
  }
  /// Collects on the loop, to the end of the loop.
  CollectResult collect_all(const CollectOptions& options) {
    std::optional<CollectResult> result;
    collect(loop_, channel_, options, values_).then([&](const CollectResult& given) {
      result = given;
      ended_ = at();
    });
    must(loop_.run_for(10s));
    if (!result) return {99, CollectReason::cancelled};
    return *result;
  }
  void expect(const CollectResult& result, std::size_t count, CollectReason reason, long long when = 0) {
    EXPECT_EQ(result.count, count);
    EXPECT_EQ(result.reason, reason);
    EXPECT_EQ(values_.size(), count);
    EXPECT_EQ(ended_, when);
  }

  Channel<int> channel_{100};
  std::vector<int> values_;
  long long ended_ = -1;
};

TEST_F(Collecting, S40_ClosedAndEmpty) {
  channel_.close();
  const auto result = collect_all({});
  expect(result, 0, CollectReason::closed);
  EXPECT_FALSE(result.is_success());
}
TEST_F(Collecting, S40_MaximumLeavesTheRest) {
  fill(4);
  expect(collect_all({.max = 3}), 3, CollectReason::max);
  EXPECT_EQ(channel_.size(), 1u);
}
TEST_F(Collecting, S40_MaximumBeforeTheEndIsASuccess) {
  fill(3);
  channel_.close();
  const auto result = collect_all({.max = 3});
  expect(result, 3, CollectReason::max);
  EXPECT_TRUE(result.is_success());
}
TEST_F(Collecting, S40_TheEndBelowTheMaximum) {
  fill(2);
  channel_.close();
  expect(collect_all({.max = 3}), 2, CollectReason::closed);
}
TEST_F(Collecting, S40_TheEndBelowTheMinimum) {
  fill(1);
  channel_.close();
  expect(collect_all({.min = 2}), 1, CollectReason::closed);
}
TEST_F(Collecting, S40_WithoutAMinimumTheTimerIsForTheFirstValue) {
  send_at(100ms);
  expect(collect_all({.min = kOff, .partial_timeout = 50ms}), 0, CollectReason::timeout, 50);
}
TEST_F(Collecting, S40_WithoutAMinimumTheFirstValueIsEnough) {
  send_at(30ms);
  expect(collect_all({.min = kOff, .partial_timeout = 3s}), 1, CollectReason::drained, 30);
}
TEST_F(Collecting, S40_DrainsWhatIsThere) {
  fill(3);
  expect(collect_all({.max = 10, .min = kOff, .partial_timeout = -1ns}), 3, CollectReason::drained);
}
TEST_F(Collecting, S40_EverythingOffAndNothingThere) {
  expect(collect_all({.max = kOff, .min = kOff, .partial_timeout = -1ns}), 0, CollectReason::drained);
}
TEST_F(Collecting, S40_WaitsForTheFifthWithoutATimer) {
  fill(4);
  send_at(700ms);
  expect(collect_all({.max = kOff, .min = 5, .partial_timeout = -1ns}), 5, CollectReason::min, 700);
}
TEST_F(Collecting, S40_SixteenThenTheRest) {
  fill(18);
  expect(collect_all({}), 16, CollectReason::max);
  values_.clear();
  send_at(1ms);
  send_at(2ms);
  const auto before = at();
  expect(collect_all({}), 4, CollectReason::min, before + 2);
}
TEST_F(Collecting, S40_WaitsWithoutLimitForTheFirstValueThenFiftyMilliseconds) {
  send_at(100ms);
  send_at(110ms);
  expect(collect_all({}), 2, CollectReason::timeout, 150);
}
TEST_F(Collecting, TheMaximumCountsWhereTheMinimumIsGreater) {
  fill(3);
  expect(collect_all({.max = 2, .min = 9}), 2, CollectReason::max);
}
TEST_F(Collecting, ZeroMeansTheDefaults) {
  fill(18);
  expect(collect_all({.max = 0, .min = 0, .partial_timeout = 0ns}), 16, CollectReason::max);
}

TEST_F(Collecting, S41_AHandlersErrorEndsIt) {
  fill(5);
  const Error error(Errc::not_found, "no");
  int handled = 0;
  std::optional<CollectResult> result;
  collect(loop_, channel_, {}, [&](int) -> Result<void> {
    if (++handled == 2) return std::unexpected(error);
    return {};
  }).then([&](const CollectResult& given) { result = given; });
  finish();
  EXPECT_EQ(result->reason, CollectReason::handler_error);
  EXPECT_EQ(result->count, 2u);
  EXPECT_EQ(result->error->correlation_id(), error.correlation_id());
  EXPECT_EQ(channel_.size(), 3u);
}

TEST_F(Collecting, S42_AStopInTheHandlerOfTheThirdValue) {
  fill(5);
  int handled = 0;
  std::optional<CollectResult> result;
  collect(
      loop_, channel_, {},
      [&](int) {
        if (++handled == 3) stop_.request_stop();
      },
      stop_.get_token())
      .then([&](const CollectResult& given) { result = given; });
  finish();
  EXPECT_EQ(result->reason, CollectReason::cancelled);
  EXPECT_EQ(result->count, 3u);
  EXPECT_EQ(handled, 3);
  EXPECT_EQ(channel_.size(), 2u);
}

TEST_F(Collecting, AStopEndsTheWait) {
  std::optional<CollectResult> result;
  collect(loop_, channel_, {}, values_, stop_.get_token()).then([&](const CollectResult& given) { result = given; });
  after(5ms, [&] { stop_.request_stop(); });
  finish();
  EXPECT_EQ(result->reason, CollectReason::cancelled);
  EXPECT_TRUE(result->error->is(Errc::cancelled));
  EXPECT_EQ(loop_.timer_count(), 0u);
}

TEST_F(Collecting, AStopBeforehandTakesNothing) {
  fill(5);
  stop_.request_stop();
  std::optional<CollectResult> result;
  collect(loop_, channel_, {}, values_, stop_.get_token()).then([&](const CollectResult& given) { result = given; });
  finish();
  EXPECT_EQ(result->count, 0u);
  EXPECT_EQ(channel_.size(), 5u);
}

TEST_F(Collecting, AHandlersExceptionRejects) {
  fill(1);
  const auto collected = collect(loop_, channel_, {}, [](int) { throw std::out_of_range("thrown"); });
  collected.ignore_rejection();
  EXPECT_NE(collected.reason_as<std::out_of_range>(), nullptr);
}

TEST_F(Collecting, OnAThread) {  // REQ_LP_1, REQ_LP_2
  fill(4);
  EXPECT_EQ(collect_blocking(channel_, {.max = 3}, values_).reason, CollectReason::max);
  EXPECT_EQ(values_.capacity(), 3u) << "one allocation";
  const auto began = std::chrono::steady_clock::now();
  const auto late = collect_blocking(channel_, {.min = 2, .partial_timeout = 20ms}, values_);
  EXPECT_EQ(late.reason, CollectReason::timeout);
  EXPECT_GE(std::chrono::steady_clock::now() - began, 20ms);
  int sum = 0;
  std::jthread sender([&] {
    for (int i = 1; i <= 3; ++i) must(channel_.send_blocking(i));
    channel_.close();
  });
  const auto closed = collect_blocking(channel_, {.min = 10, .partial_timeout = -1ns}, [&](int n) { sum += n; });
  EXPECT_EQ(closed.reason, CollectReason::closed);
  EXPECT_EQ(sum, 6);
}

TEST_F(Collecting, S43_TwoConsumersShareAMillionValues) {
  constexpr int kCount = 1'000'000;
  Channel<int> channel(1024);
  std::vector<std::vector<int>> taken(2);
  {
    std::vector<std::jthread> consumers;
    for (auto& mine : taken) {
      consumers.emplace_back([&] {
        while (collect_blocking(channel, {.max = 256}, mine).is_success()) {
        }
      });
    }
    for (int i = 0; i < kCount; ++i) must(channel.send_blocking(i));
    channel.close();
  }
  std::vector<bool> seen(kCount);
  for (const auto& mine : taken) {
    for (const int value : mine) {
      ASSERT_FALSE(seen[static_cast<std::size_t>(value)]);
      seen[static_cast<std::size_t>(value)] = true;
    }
  }
  EXPECT_EQ(taken[0].size() + taken[1].size(), std::size_t{kCount});
}

/// The processor time that a call takes on this thread.
template <typename Call>
Duration processor_time(Call call) {
  const auto read = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + Duration(time.tv_nsec);
  };
  const Duration before = read();
  call();
  return read() - before;
}

TEST_F(Collecting, REQ_LP_3_WaitingIsSleeping) {
  const CollectOptions options{.min = -1, .partial_timeout = 100ms};
  EXPECT_LT(
      processor_time([&] { EXPECT_EQ(collect_blocking(channel_, options, values_).reason, CollectReason::timeout); }),
      50ms)
      << "on a thread";
  Loop loop({.auto_exit = true});  // by the system's clock
  std::optional<CollectResult> result;
  EXPECT_LT(processor_time([&] {
              collect(loop, channel_, options, values_).then([&](const CollectResult& given) { result = given; });
              must(loop.run());
            }),
            50ms)
      << "on a loop";
  EXPECT_EQ(result->reason, CollectReason::timeout);
}

TEST_F(Collecting, REQ_LP_4_TwoConsumersOnOneLoop) {
  std::vector<int> one;
  std::vector<int> two;
  collect(loop_, channel_, {.max = 2, .min = 2}, one);
  collect(loop_, channel_, {.max = 2, .min = 2}, two);
  send_at(1ms, 4);
  finish();
  EXPECT_EQ(one.size() + two.size(), 4u);
  EXPECT_EQ(one.size(), 2u);
}

}  // namespace
}  // namespace gyre::poll
