#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre {
namespace {

using namespace testing;

class Metrics : public ::testing::Test {
 protected:
  // A task that takes that long.
  Task taking(Duration time) {
    return [this, time] { clock.advance(time); };
  }
  LoopMetrics metrics() { return loop.remote().metrics().value(); }
  const LoopMetrics::Kind& of(const LoopMetrics& all, CallbackKind kind) {
    return all.kinds[static_cast<std::size_t>(kind)];
  }

  ManualClock clock;
  Loop loop{LoopOptions{.clock = &clock}};
};

TEST_F(Metrics, ThereAreNoneUnlessSwitchedOn) {  // L137
  must(loop.post(taking(1ms)));
  must(loop.poll_once());
  EXPECT_FALSE(loop.remote().metrics());
}

TEST_F(Metrics, OfAnOddFewValuesTheMedianIsTheMiddleOne) {  // L137
  must(loop.remote().set_metrics(true));
  for (const Duration time : {2ms, 3ms, 1ms}) must(loop.post(taking(time)));
  must(loop.poll_once());
  const LoopMetrics now = metrics();
  EXPECT_EQ(now.latency.count(), 3u);
  EXPECT_EQ(now.p50, 2ms);
  EXPECT_EQ(now.latency.max(), 3'000'000u);
  EXPECT_EQ(now.latency.mean(), 2e6);
}

TEST_F(Metrics, OfAnEvenFewValuesTheMedianIsHalfway) {  // L137
  must(loop.remote().set_metrics(true));
  for (const Duration time : {4ms, 1ms, 2ms, 10ms}) must(loop.post(taking(time)));
  must(loop.poll_once());
  EXPECT_EQ(metrics().p50, 3ms);
  EXPECT_EQ(metrics().p99, 10ms);
}

TEST_F(Metrics, OfManyValuesPercentilesAreWithinTheirBound) {
  must(loop.remote().set_metrics(true));
  for (int i = 1; i <= 1000; ++i) must(loop.post(taking(i * 1ms)));
  must(loop.poll_once());
  const LoopMetrics now = metrics();
  const auto expect_near = [](Duration value, Duration exact) {
    EXPECT_NEAR(static_cast<double>(value.count()), static_cast<double>(exact.count()),
                0.016 * static_cast<double>(exact.count()));
  };
  expect_near(now.p50, 500ms);
  expect_near(now.p90, 900ms);
  expect_near(now.p95, 950ms);
  expect_near(now.p99, 990ms);
}

TEST_F(Metrics, AFailedCallbackCountsAsLatencyButNotAsDone) {  // L138
  must(loop.remote().set_metrics(true));
  must(loop.post([&] {
    clock.advance(1ms);
    throw 1;
  }));
  must(loop.post(taking(1ms)));
  must(loop.poll_once());
  const LoopMetrics now = metrics();
  EXPECT_EQ(now.latency.count(), 2u);
  EXPECT_EQ(of(now, CallbackKind::task).count, 2u);
  EXPECT_EQ(of(now, CallbackKind::task).failed, 1u);
  EXPECT_EQ(of(now, CallbackKind::task).time, 2ms);
  EXPECT_DOUBLE_EQ(now.callbacks_per_second, 10);  // one in the first tenth of a second
}

TEST_F(Metrics, WhatTheLoopDoesForItselfIsNotCounted) {  // L138
  must(loop.remote().set_metrics(true));
  const TimerId timer = must(loop.remote().set_timeout(1h, [] {}));
  must(loop.remote().cancel(timer));
  must(loop.remote().wake());
  must(loop.poll_once());
  EXPECT_EQ(metrics().latency.count(), 0u);
}

TEST_F(Metrics, EveryKindIsCountedByItself) {
  must(loop.remote().set_metrics(true));
  must(loop.post([&] { must(loop.queue_microtask(taking(1ms))); }));
  must(loop.post_priority(taking(2ms)));
  must(loop.next_tick(taking(3ms)));
  must(loop.set_immediate(taking(4ms)));
  must(loop.set_timeout(0ms, taking(5ms)));
  must(loop.post_close(taking(6ms)));
  must(loop.at_checkpoint_end(taking(7ms)));
  must(loop.poll_once());
  must(loop.poll_once());
  const LoopMetrics now = metrics();
  EXPECT_EQ(of(now, CallbackKind::microtask).time, 1ms);
  EXPECT_EQ(of(now, CallbackKind::priority_task).time, 2ms);
  EXPECT_EQ(of(now, CallbackKind::next_tick).time, 3ms);
  EXPECT_EQ(of(now, CallbackKind::immediate).time, 4ms);
  EXPECT_EQ(of(now, CallbackKind::timer).time, 5ms);
  EXPECT_EQ(of(now, CallbackKind::close).time, 6ms);
  EXPECT_EQ(of(now, CallbackKind::checkpoint_end).time, 7ms);
  EXPECT_EQ(of(now, CallbackKind::task).time, 0ms);  // its microtask is not its own time
}

TEST_F(Metrics, DepthsAreSampledOncePerTurn) {  // L140
  must(loop.poll_once());
  must(loop.remote().set_metrics(true));
  for (int i = 0; i < 10; ++i) must(loop.post([] {}));
  must(loop.poll_once());
  EXPECT_EQ(metrics().tasks.now, 10u);
  EXPECT_DOUBLE_EQ(metrics().tasks.average, 10.0);
  must(loop.poll_once());
  EXPECT_EQ(metrics().tasks.now, 0u);
  EXPECT_DOUBLE_EQ(metrics().tasks.average, 9.0);
  EXPECT_EQ(metrics().tasks.max, 10u);
  EXPECT_EQ(metrics().turns, 2u);
}

TEST_F(Metrics, UtilizationIsTheShareOfTimeNotSpentWaiting) {
  ManualClock jumping(ManualClock::Mode::automatic);
  Loop other({.auto_exit = true, .clock = &jumping});
  must(other.remote().set_metrics(true));
  must(other.set_timeout(30ms, [&] { jumping.advance(10ms); }));
  must(other.run());
  const LoopMetrics now = other.remote().metrics().value();
  EXPECT_EQ(now.time, 40ms);
  EXPECT_EQ(now.wait_time, 30ms);
  EXPECT_DOUBLE_EQ(now.utilization, 0.25);
}

TEST_F(Metrics, SwitchingOnAgainStartsFromZero) {
  must(loop.remote().set_metrics(true));
  must(loop.post(taking(1ms)));
  must(loop.poll_once());
  must(loop.remote().set_metrics(true));
  EXPECT_EQ(metrics().latency.count(), 0u);
  must(loop.remote().set_metrics(false));
  EXPECT_FALSE(loop.remote().metrics());
}

TEST_F(Metrics, CanBeSwitchedFromACallback) {
  must(loop.post([&] { must(loop.remote().set_metrics(true)); }));
  must(loop.post([&] {
    clock.advance(1ms);
    must(loop.remote().set_metrics(false));
    must(loop.remote().set_metrics(true));
  }));
  must(loop.post(taking(2ms)));
  must(loop.poll_once());
  EXPECT_EQ(metrics().latency.count(), 1u);
  EXPECT_EQ(metrics().p50, 2ms);
}

TEST_F(Metrics, OutliveTheLoop) {
  std::optional<Loop> other(LoopOptions{.auto_exit = true, .clock = &clock});
  const Remote remote = other->remote();
  must(remote.metrics() ? Result<void>() : Remote(remote).set_metrics(true));
  must(other->post(taking(1ms)));
  must(other->run());
  other.reset();
  clock.advance(5s);
  ASSERT_TRUE(remote.metrics());
  EXPECT_EQ(remote.metrics()->latency.count(), 1u);
  EXPECT_EQ(remote.metrics()->time, 1ms);
}

// Counts, maximum and sum of a snapshot belong together, whoever asks and whenever.
TEST(ConcurrentMetrics, SnapshotsAreCoherentAndSwitchingIsSafe) {  // L141
  Loop loop;
  Remote remote = loop.remote();
  must(remote.set_metrics(true));
  std::atomic<bool> over = false;
  UniqueFunction<void()> again;
  again = [&] {
    if (!over) must(loop.post([&] { again(); }));
  };
  must(loop.post([&] { again(); }));
  Runner runner(loop);
  std::thread switcher([&] {
    for (int i = 0; i < 2000; ++i) must(remote.set_metrics(i % 2 == 0));
    over = true;
  });
  std::uint64_t looks = 0;
  while (!over) {
    const auto now = remote.metrics();
    if (!now) continue;
    ++looks;
    std::uint64_t of_kinds = 0;
    std::uint64_t in_buckets = 0;
    Duration time{};
    for (const auto& kind : now->kinds) of_kinds += kind.count, time += kind.time;
    now->latency.for_each_bucket([&](std::uint64_t, std::uint64_t count) { in_buckets += count; });
    ASSERT_EQ(of_kinds, now->latency.count());
    ASSERT_EQ(in_buckets, now->latency.count());
    ASSERT_EQ(static_cast<double>(time.count()), now->latency.sum());
    ASSERT_LE(now->latency.mean(), static_cast<double>(now->latency.max()));
    ASSERT_GE(now->time, Duration::zero());
  }
  switcher.join();
  must(remote.shutdown());
  must(runner.join());
  RecordProperty("looks", static_cast<int>(looks));
}

}  // namespace
}  // namespace gyre
