#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <malloc.h>

#include <gyre/poll/collect.h>
#include <gyre/poll/internal/test_support.h>
#include <gyre/promise/timers.h>

// Those who stop, remove, destroy and restart at the worst moment; very many tasks; the ends of time.

namespace gyre::poll {
namespace {

using testing::must;
using namespace std::chrono_literals;

class Adversaries : public testing::PollTest {
 protected:
  std::unique_ptr<Poller> poller_ = std::make_unique<Poller>(loop_);
};

TEST_F(Adversaries, DestroyedInAFirstStage) {
  auto alive = std::make_shared<int>(1);
  must(poller_->add("a", [this, alive](Loop& loop) -> Promise<void> {
    poller_.reset();
    co_await sleep_for(loop, 5ms);
    EXPECT_EQ(*alive, 1) << "what the task captured lives until it has ended";
    says("ended");
  }));
  must(poller_->add_run_hook([](Ctl& c) { must(c.schedule_asap("a")); }));
  const auto run = poller_->run();
  finish();
  EXPECT_TRUE(run.value()->is(Errc::cancelled));
  EXPECT_EQ(log_, Lines{"ended 5"});
  EXPECT_EQ(alive.use_count(), 1);
}

TEST_F(Adversaries, DestroyedInASynchronousTask) {
  must(poller_->add("a", [this] { poller_.reset(); }));
  must(poller_->add_run_hook([](Ctl& c) { must(c.schedule_asap("a")); }));
  const auto run = poller_->run();
  finish();
  EXPECT_TRUE(run.value()->is(Errc::cancelled));
}

TEST_F(Adversaries, DestroyedInASecondStageAHookAndARunHook) {
  for (const int where : {0, 1, 2}) {
    poller_ = std::make_unique<Poller>(loop_);
    Channel<int> channel(1);
    must(channel.try_send(1));
    must(poller_->add("a", [this]() -> Stage { return [this](Ctl&) { poller_.reset(); }; }));
    must(poller_->add_run_hook([this, where](Ctl& c) {
      if (where == 0) must(c.schedule_asap("a"));
      if (where == 2) poller_.reset();
    }));
    if (where == 1) must(poller_->add_hook(channel, [this](Ctl&, std::optional<int>) { poller_.reset(); }));
    const auto run = poller_->run();
    must(loop_.run_for(10ms));
    EXPECT_TRUE(run.value()->is(Errc::cancelled));
    EXPECT_EQ(poller_, nullptr);
  }
}

TEST_F(Adversaries, StoppedInEveryCallback) {
  for (const int where : {0, 1, 2, 3}) {
    poller_ = std::make_unique<Poller>(loop_);
    std::stop_source stop;
    Channel<int> channel(1);
    must(channel.try_send(1));
    bool went_on = false;
    must(poller_->add("a", [&]() -> Stage {
      if (where == 0) stop.request_stop();
      return [&](Ctl& c) {
        EXPECT_NE(where, 0);
        if (where == 1) stop.request_stop();
        must(c.schedule_asap("b"));
      };
    }));
    must(poller_->add("b", [&] { went_on = true; }));
    must(poller_->add_hook(channel, [&](Ctl& c, std::optional<int>) {
      if (where == 2) stop.request_stop();
      must(c.schedule_asap(where == 2 ? "b" : "a"));
    }));
    must(poller_->add_run_hook([&](Ctl& c) {
      if (where == 3) stop.request_stop();
      if (where != 2) must(c.schedule_asap(where == 3 ? "b" : "a"));
    }));
    EXPECT_TRUE(poller_->run_here({.stop = stop.get_token()}).is(Errc::cancelled));
    EXPECT_FALSE(went_on) << where;
  }
}

TEST_F(Adversaries, StopCallbacksThatDestroyRestartAndRemove) {
  std::optional<std::stop_callback<std::function<void()>>> on_stop;
  std::optional<Promise<Reason>> again;
  must(poller_->add("a", [&](Loop& loop, std::stop_token stop) -> Promise<void> {
    on_stop.emplace(stop, [&] {
      again = poller_->run();  // the run has ended for all to see
      must(poller_->remove("a"));
      poller_.reset();
    });
    co_await sleep_for(loop, 5ms);
  }));
  must(poller_->add("b", [] {}));
  must(poller_->add_run_hook([](Ctl& c) { must(c.schedule_asap("a")); }));
  after(1ms, [&] { stop_.request_stop(); });
  const auto run = poller_->run({.stop = stop_.get_token()});
  finish();
  EXPECT_TRUE(run.value()->is(Errc::cancelled));
  EXPECT_TRUE(again->value()->is(Errc::cancelled));
}

TEST_F(Adversaries, ATaskThatRemovesItself) {
  must(poller_->add("sync", [&] { must(poller_->remove("sync")); }));
  must(poller_->add("async", [&](Loop& loop) -> Promise<Stage> {
    must(poller_->remove("async"));
    co_await sleep_for(loop, 1ms);
    says("goes on");
    co_return [&](Ctl&) { says("never"); };
  }));
  must(poller_->add_run_hook([](Ctl& c) {
    must(c.schedule_asap("sync"));
    must(c.schedule_asap("async"));
  }));
  poller_->run_here({.deadline = time(10ms)});
  EXPECT_EQ(log_, Lines{"goes on 1"});
  EXPECT_EQ(poller_->size(), 0u);
}

TEST_F(Adversaries, ATaskThatNeverEndsHoldsUpNothing) {
  auto gate = std::make_unique<testing::Gate>(loop_);
  must(poller_->add("never", [&] { return gate->pair.promise; }));
  must(poller_->add("a", [&] { says("a"); }));
  must(poller_->add_run_hook([](Ctl& c) {
    must(c.schedule_asap("never"));
    must(c.schedule("a", 5ms));
  }));
  poller_->run_here({.deadline = time(10ms)});
  EXPECT_EQ(log_, Lines{"a 5"});
  poller_->run_here({.deadline = time(20ms), .exit = ExitMode::wait, .exit_limit = 5ms});
  EXPECT_EQ(at(), 25) << "also while it waits for its start";
  poller_.reset();
  gate->open();  // after everything
  finish();
}

TEST_F(Adversaries, TheLoopEndsWhileTasksRun) {
  auto counter = std::make_shared<int>(0);
  auto loop = std::make_unique<Loop>();
  auto poller = std::make_unique<Poller>(*loop);
  must(poller->add("a", [counter](Loop& home) -> Promise<void> {
    struct OnEnd {
      std::shared_ptr<int>& counter;  // of the lambda, which must live longer than its frame
      ~OnEnd() { ++*counter; }
    };
    auto& captured = const_cast<std::shared_ptr<int>&>(counter);
    const OnEnd on_end{captured};
    co_await sleep_for(home, 1h);
  }));
  must(poller->add_run_hook([](Ctl& c) { must(c.schedule_asap("a")); }));
  const auto run = poller->run();
  for (int i = 0; i < 5; ++i) must(loop->poll_once());
  poller.reset();
  EXPECT_EQ(*counter, 0);
  loop.reset();
  EXPECT_EQ(*counter, 1);
  EXPECT_EQ(counter.use_count(), 1) << "nothing is left";
}

TEST_F(Adversaries, TheSchedulerOutlivesItsLoop) {
  auto loop = std::make_unique<Loop>();
  Poller poller(*loop);
  Channel<int> channel(1);
  must(poller.add("a", [](Loop& home) -> Promise<void> { co_await sleep_for(home, 1h); }));
  must(poller.add_hook(channel, [](Ctl&, std::optional<int>) {}));
  must(poller.add_run_hook([](Ctl& c) { must(c.schedule_asap("a")); }));
  const auto run = poller.run({.stop = stop_.get_token()});
  for (int i = 0; i < 5; ++i) must(loop->poll_once());
  loop.reset();
  EXPECT_TRUE(run.reason()->is(Errc::terminated));
  must(channel.try_send(1));
  stop_.request_stop();
}

TEST_F(Adversaries, ClocksAtTheEndsOfTime) {
  for (const TimePoint when : {TimePoint::min() + 1ns, TimePoint::max() - 1h}) {
    ManualClock clock(ManualClock::Mode::manual, when);
    Loop loop({.clock = &clock});
    Poller poller(loop);
    int runs = 0;
    must(poller.add("a", [&]() -> Stage {
      ++runs;
      return [&](Ctl& c) {
        must(c.schedule("a", Duration::max()));
        must(c.schedule_at_sooner("a", TimePoint::max()));
        stop_.request_stop();
      };
    }));
    must(poller.add_run_hook([](Ctl& c) { must(c.schedule_at("a", TimePoint::min())); }));
    stop_ = std::stop_source();
    EXPECT_TRUE(poller.run_here({.stop = stop_.get_token()}).is(Errc::cancelled));
    EXPECT_EQ(runs, 1);
  }
}

TEST_F(Adversaries, ARestartStorm) {
  int runs = 0;
  must(poller_->add("a", [&](Loop& loop) -> Promise<void> {
    co_await sleep_for(loop, 1ms);
    throw std::out_of_range("thrown");
  }));
  must(poller_->add_run_hook([&](Ctl& c) { must(c.schedule_asap("a")); }));
  const auto storm = [&](Loop&) -> Promise<void> {
    while (++runs < 1000) EXPECT_TRUE((co_await poller_->run()).is(Errc::task_failed));
  };
  storm(loop_);
  finish();
  EXPECT_EQ(runs, 1000);
}

TEST_F(Adversaries, AHundredThousandTasksAtOnce) {
  constexpr int kTasks = 100'000;
  Scheduler<int> poller(loop_);
  poller.reserve(kTasks);
  int runs = 0;
  for (int i = 0; i < kTasks; ++i) must(poller.add(i, [&] { ++runs; }));
  bool between = false;
  must(poller.add_run_hook([&](Control<int>& c) {
    for (int i = 0; i < kTasks; ++i) must(c.schedule_asap(i));
    must(loop_.set_timeout(0ms, [&] { between = runs > 0 && runs < kTasks; }));
  }));
  poller.run_here({.deadline = time(1s)});
  EXPECT_EQ(runs, kTasks);
  EXPECT_TRUE(between) << "other work has its turn meanwhile";
}

TEST_F(Adversaries, S27_AMillionTasksInRandomOrder) {  // REQ_POLL_4
  constexpr int kTasks = 1'000'000;
  const std::size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
  Scheduler<int> poller(loop_);
  poller.reserve(kTasks);
  int runs = 0;
  for (int i = 0; i < kTasks; ++i) must(poller.add(i, [&runs] { ++runs; }));
  std::mt19937_64 random(3);
  std::size_t bytes = 0;
  must(poller.add_run_hook([&](Control<int>& c) {
    const TimePoint now = c.now();
    for (int i = 0; i < kTasks; ++i) must(c.schedule_at(i, now + Duration(1 + random() % 1'000'000'000)));
    bytes = mallinfo2().uordblks + mallinfo2().hblkhd - before;
    EXPECT_EQ(poller.pending_timers(), std::size_t{kTasks});
    EXPECT_EQ(loop_.timer_count(), 0u) << "the loop has no timer for each task";
  }));
  poller.run_here({.deadline = time(2s)});
  EXPECT_EQ(runs, kTasks);
  EXPECT_LE(poller.stats().lateness.quantile(0.99), 5'000'000u);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LE(bytes / kTasks, 216u) << "200 bytes, the key and the capture";
#endif
}

}  // namespace
}  // namespace gyre::poll
