#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/poll/internal/test_support.h>
#include <gyre/promise/timers.h>

// One run after another, and tasks that outlast theirs.

namespace gyre::poll {
namespace {

using testing::must;
using namespace std::chrono_literals;

class Restarts : public testing::PollTest {
 protected:
  /// A task that takes `duration` whatever its token says, and then fails.
  void add_deaf_task(Duration duration) {
    must(poller_.add("a", [this, duration](Loop& loop, std::stop_token stop) -> Promise<void> {
      token_ = stop;
      says("starts");
      co_await sleep_for(loop, duration);
      says("ends");
      throw std::out_of_range("nobody hears it");
    }));
    must(poller_.add("b", [this] { says("b"); }));
    must(poller_.add_run_hook([this](Ctl& c) {
      says("run");
      must(c.schedule_asap(key_));
    }));
  }

  Poller poller_{loop_};
  std::string key_ = "a";
  std::stop_token token_;
};

TEST_F(Restarts, S22_ARunWaitsForTasksOfTheOneBefore) {
  add_deaf_task(100ms);
  after(10ms, [&] { stop_.request_stop(); });
  EXPECT_TRUE(poller_.run_here({.stop = stop_.get_token()}).is(Errc::cancelled));
  EXPECT_EQ(at(), 10) << "nothing is waited for";
  EXPECT_TRUE(token_.stop_requested());
  key_ = "b";
  EXPECT_TRUE(poller_.run_here({.deadline = time(200ms)}).is(Errc::timed_out));
  EXPECT_EQ(log_, (Lines{"run 0", "starts 0", "ends 100", "run 100", "b 100"}));
}

TEST_F(Restarts, S22_TheWaitCanBeStopped) {
  add_deaf_task(100ms);
  poller_.run_here({.deadline = time(10ms)});
  after(10ms, [&] { stop_.request_stop(); });
  EXPECT_TRUE(poller_.run_here({.stop = stop_.get_token()}).is(Errc::cancelled));
  EXPECT_EQ(at(), 20);
  EXPECT_EQ(log_, (Lines{"run 0", "starts 0"})) << "nothing else happened";
}

TEST_F(Restarts, S23_ASecondRunIsRefusedAndTheFirstGoesOn) {
  add_deaf_task(5ms);
  key_ = "b";
  const auto first = poller_.run({.deadline = time(50ms)});
  const auto second = poller_.run();
  ASSERT_TRUE(second.is_fulfilled());
  EXPECT_TRUE(second.value()->is(Errc::already_running));
  finish();
  EXPECT_TRUE(first.value()->is(Errc::timed_out));
  EXPECT_EQ(log_, (Lines{"run 0", "b 0"}));
}

TEST_F(Restarts, REQ_POLL_7_CancelAndWait) {
  add_deaf_task(100ms);
  EXPECT_TRUE(poller_.run_here({.deadline = time(10ms), .exit = ExitMode::cancel_and_wait}).is(Errc::timed_out));
  EXPECT_EQ(log_, (Lines{"run 0", "starts 0", "ends 100"}));
  EXPECT_TRUE(token_.stop_requested());
}

TEST_F(Restarts, REQ_POLL_7_WaitWithALimit) {
  add_deaf_task(100ms);
  after(40ms, [&] { EXPECT_FALSE(token_.stop_requested()); });
  poller_.run_here({.deadline = time(10ms), .exit = ExitMode::wait, .exit_limit = 50ms});
  EXPECT_EQ(at(), 60);
  EXPECT_TRUE(token_.stop_requested());
}

TEST_F(Restarts, ASecondStageAfterTheEndNeverRuns) {
  must(poller_.add("a", [&](Loop& loop) -> Promise<Stage> {
    co_await sleep_for(loop, 20ms);
    co_return [&](Ctl&) { says("second"); };
  }));
  must(poller_.add_run_hook([](Ctl& c) { must(c.schedule_asap("a")); }));
  poller_.run_here({.deadline = time(10ms), .exit = ExitMode::wait});
  EXPECT_EQ(log_, Lines{});
  EXPECT_EQ(at(), 20);
}

TEST_F(Restarts, SchedulesStartEmpty) {
  bool first = true;
  must(poller_.add("a", [&] { says("a"); }));
  must(poller_.add_run_hook([&](Ctl& c) {
    EXPECT_EQ(must(c.next("a")), std::nullopt);
    if (first) must(c.schedule("a", 100ms));
    first = false;
  }));
  poller_.run_here({.deadline = time(50ms)});
  poller_.run_here({.deadline = time(500ms)});
  EXPECT_EQ(log_, Lines{});
}

TEST_F(Restarts, S22_WhatWasToRunAgainDoesNotRunInTheNextOne) {
  must(poller_.add("a", [this](Loop& loop) -> Promise<void> {
    says("starts");
    co_await sleep_for(loop, 50ms);
  }));
  must(poller_.add("b", [] { return Stage([](Ctl& c) { must(c.schedule_asap("a")); }); }));  // while it runs
  bool first = true;
  must(poller_.add_run_hook([&](Ctl& c) {
    if (std::exchange(first, false)) {
      must(c.schedule_asap("a"));
      must(c.schedule("b", 5ms));
    } else {
      EXPECT_EQ(must(c.next("a")), std::nullopt);
    }
  }));
  poller_.run_here({.deadline = time(10ms)});
  poller_.run_here({.deadline = time(200ms)});
  EXPECT_EQ(log_, Lines{"starts 0"});
}

TEST_F(Restarts, S47_AHundredRunsWithFailuresLeaveNothingBehind) {
  std::mt19937 random(7);
  int run = 0;
  for (const char* key : {"a", "b", "c"}) {
    must(poller_.add(key, [&](Loop& loop) -> Promise<Stage> {
      co_await sleep_for(loop, std::chrono::milliseconds(random() % 5));
      if (random() % 4 == 0) throw std::out_of_range("thrown");
      if (random() % 4 == 0) throw ErrorException(Error(Errc::not_found, "no"));
      co_return [&](Ctl& c) -> Result<void> {
        if (random() % 4 == 0) return fail(Errc::not_found, "no");
        must(c.schedule("a", 1ms));
        return {};
      };
    }));
  }
  must(poller_.add_run_hook([&](Ctl& c) {
    for (const char* key : {"a", "b", "c"}) must(c.schedule(key, std::chrono::milliseconds(random() % 3)));
  }));
  const Promises home = Promises::of(loop_);
  const std::size_t promises = home.live();
  for (; run < 100; ++run) {
    const auto mode = static_cast<ExitMode>(random() % 3);
    EXPECT_FALSE(poller_.run_here({.deadline = clock_.now() + 1s, .exit = mode}).is(Errc::no_tasks));
  }
  finish();
  EXPECT_EQ(loop_.timer_count(), 0u);
  EXPECT_EQ(poller_.stats().running, 0u);
  EXPECT_EQ(home.live(), promises);
}

TEST_F(Restarts, OnALoopAndAThreadOfItsOwn) {
  std::atomic<int> runs = 0;
  std::jthread own([&](std::stop_token stop) {
    Loop loop;
    Poller poller(loop);
    must(poller.add("a", [&]() -> Stage {
      ++runs;
      return [](Ctl& c) { must(c.schedule("a", 1ms)); };
    }));
    must(poller.add_run_hook([](Ctl& c) { must(c.schedule_asap("a")); }));
    EXPECT_TRUE(poller.run_here({.stop = stop}).is(Errc::cancelled));
  });
  EXPECT_TRUE(gyre::testing::eventually([&] { return runs >= 3; }));
}

}  // namespace
}  // namespace gyre::poll
