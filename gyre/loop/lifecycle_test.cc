#include <atomic>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <pthread.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre {
namespace {

using namespace testing;

// --- Running ---

TEST(Lifecycle, RunFromACallbackIsRefusedAndHarmless) {  // L1
  Loop loop({.auto_exit = true});
  bool next_ran = false;
  must(loop.post([&] {
    EXPECT_TRUE(fails_with(loop.run(), Errc::reentrant_run));
    EXPECT_TRUE(fails_with(loop.run_once(), Errc::reentrant_run));
    EXPECT_TRUE(fails_with(loop.poll_once(), Errc::reentrant_run));
    EXPECT_TRUE(fails_with(loop.run_for(1ms), Errc::reentrant_run));
    must(loop.post([&] { next_ran = true; }));
  }));
  must(loop.run());
  EXPECT_TRUE(next_ran);
}

TEST(Lifecycle, RunWhileAnotherThreadRunsIsRefused) {  // L2
  Loop loop;
  Runner runner(loop);
  ASSERT_TRUE(falls_asleep(loop.remote()));
  EXPECT_TRUE(fails_with(loop.run(), Errc::already_running));
  EXPECT_TRUE(fails_with(loop.poll_once(), Errc::already_running));
  must(loop.remote().shutdown());
  must(runner.join());
}

TEST(Lifecycle, RunAfterTheEndIsRefused) {  // L2
  Loop loop({.auto_exit = true});
  must(loop.run());
  EXPECT_TRUE(fails_with(loop.run(), Errc::terminated));
  EXPECT_TRUE(fails_with(loop.run_once(), Errc::terminated));
  EXPECT_TRUE(fails_with(loop.run_for(1s), Errc::terminated));
}

TEST(Lifecycle, RunOnAnotherThreadWhileEndingIsRefused) {  // L2
  Loop loop;
  std::latch draining(1);
  std::latch go_on(1);
  must(loop.post([&] {
    must(loop.shutdown());
    draining.count_down();
    go_on.wait();
  }));
  Runner runner(loop);
  draining.wait();
  EXPECT_TRUE(fails_with(loop.run(), Errc::terminated));
  go_on.count_down();
  must(runner.join());
}

TEST(Lifecycle, OfTwoThreadsThatRaceToRunOneWins) {  // L3
  for (int round = 0; round < 50; ++round) {
    Loop loop;
    std::atomic<int> owners = 0;
    std::atomic<int> refused = 0;
    std::latch start(2);
    const auto race = [&] {
      start.arrive_and_wait();
      if (auto result = loop.run()) {
        ++owners;
      } else {
        EXPECT_TRUE(result.error().is(Errc::already_running) || result.error().is(Errc::terminated));
        ++refused;
        while (!loop.remote().shutdown()) {
        }
      }
    };
    std::thread first(race);
    std::thread second(race);
    first.join();
    second.join();
    EXPECT_EQ(owners, 1);
    EXPECT_EQ(refused, 1);
  }
}

TEST(Lifecycle, TheStateFollowsTheLife) {
  Loop loop;
  EXPECT_EQ(loop.state(), LoopState::awake);
  must(loop.post([&] { EXPECT_EQ(loop.state(), LoopState::running); }));
  must(loop.poll_once());
  EXPECT_EQ(loop.state(), LoopState::sleeping);
  must(loop.post([&] {
    must(loop.shutdown());
    EXPECT_EQ(loop.state(), LoopState::terminating);
  }));
  must(loop.run());
  EXPECT_EQ(loop.state(), LoopState::terminated);
}

TEST(Lifecycle, StateNumbersAreStable) {  // L31
  EXPECT_EQ(static_cast<int>(LoopState::awake), 0);
  EXPECT_EQ(static_cast<int>(LoopState::terminated), 1);
  EXPECT_EQ(static_cast<int>(LoopState::sleeping), 2);
  EXPECT_EQ(static_cast<int>(LoopState::running), 4);
  EXPECT_EQ(static_cast<int>(LoopState::terminating), 5);
  EXPECT_EQ(to_string(LoopState::sleeping), "Sleeping");
  EXPECT_EQ(to_string(static_cast<LoopState>(3)), "Unknown");
}

TEST(Lifecycle, OptionsOutOfRangeAreRefusedByName) {  // L145
  EXPECT_THROW(Loop({.offload_threads = 0}), std::invalid_argument);
  EXPECT_THROW(Loop({.offload_threads = 1025}), std::invalid_argument);
  EXPECT_THROW(Loop({.turns_between_polls = 0}), std::invalid_argument);
  EXPECT_THROW(Loop({.time_between_polls = -1ns}), std::invalid_argument);
  EXPECT_THROW(Loop({.spin_before_sleep = -1ns}), std::invalid_argument);
  EXPECT_THROW(Loop({.timer_slack = -1ns}), std::invalid_argument);
  try {
    Loop loop({.offload_threads = 0});
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("offload_threads"), std::string::npos);
  }
}

// --- Driving turn by turn ---

TEST(Lifecycle, PollOnceNeverWaits) {
  Loop loop;
  EXPECT_FALSE(must(loop.poll_once()));  // nothing to do, not alive
  int ran = 0;
  must(loop.post([&] {
    ++ran;
    must(loop.post([&] { ++ran; }));
  }));
  EXPECT_TRUE(must(loop.poll_once()));
  EXPECT_EQ(ran, 1);
  EXPECT_FALSE(must(loop.poll_once()));
  EXPECT_EQ(ran, 2);
  EXPECT_EQ(loop.stats().sleeps, 0u);
}

TEST(Lifecycle, RunOnceWaitsForSomethingToDo) {
  Loop loop;
  bool ran = false;
  std::thread producer([&ran, remote = loop.remote()]() mutable {
    EXPECT_TRUE(falls_asleep(remote));
    must(remote.post([&] { ran = true; }));
  });
  must(loop.run_once());
  producer.join();
  EXPECT_TRUE(ran);
}

TEST(Lifecycle, RunOnceDoesNotWaitWhenItHasRunWhatWasQueuedBefore) {
  Loop loop;
  int ran = 0;
  must(loop.set_timeout(0s, [&] { ++ran; }));
  must(loop.run_once());  // fires in the start-up pass
  must(loop.queue_microtask([&] { ++ran; }));
  must(loop.run_once());
  EXPECT_EQ(ran, 2);
  EXPECT_EQ(loop.stats().sleeps, 0u);
}

TEST(Lifecycle, RunOnceEndsALoopThatWasAskedToEndBetweenSteps) {
  Loop loop;
  std::string log;
  must(loop.poll_once());
  must(loop.post([&] { log += "accepted "; }));
  must(loop.shutdown());
  EXPECT_FALSE(must(loop.run_once()));
  EXPECT_EQ(log, "accepted ");
  EXPECT_EQ(loop.state(), LoopState::terminated);
}

TEST(Lifecycle, RunOnceReturnsWhenItsTokenIsStopped) {  // L17
  Loop loop;
  std::stop_source source;
  std::thread stopper([&, remote = loop.remote()] {
    EXPECT_TRUE(falls_asleep(remote));
    source.request_stop();
  });
  must(loop.run_once(source.get_token()));
  stopper.join();
  must(loop.run_once(source.get_token()));  // stopped before: does not wait
  EXPECT_EQ(loop.state(), LoopState::sleeping);
}

TEST(Lifecycle, RunForStopsAtItsTimeAndNotAtTheNextTimer) {
  ManualClock clock(ManualClock::Mode::automatic);
  Loop loop({.clock = &clock});
  const TimePoint start = clock.now();
  std::string log;
  must(loop.set_timeout(30ms, [&] { log += "30 "; }));
  must(loop.set_timeout(10s, [&] { log += "late "; }));
  EXPECT_TRUE(must(loop.run_for(1s)));
  EXPECT_EQ(log, "30 ");
  EXPECT_EQ(clock.now() - start, 1s);
  EXPECT_TRUE(must(loop.run_for(9s)));
  EXPECT_EQ(log, "30 late ");
}

TEST(Lifecycle, RunForTakesThatLongOnTheRealClock) {
  Loop loop;
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(must(loop.run_for(20ms)));
  EXPECT_GE(std::chrono::steady_clock::now() - start, 20ms);
  EXPECT_LE(loop.stats().turns, 5u);  // no busy waiting
}

TEST(Lifecycle, RunForEndsWithTheLoop) {
  Loop loop({.auto_exit = true});
  must(loop.post([] {}));
  EXPECT_FALSE(must(loop.run_for(1h)));
}

TEST(Lifecycle, RunGoesOnFromSteps) {
  Loop loop({.auto_exit = true});
  std::string log;
  must(loop.post([&] {
    log += "a";
    must(loop.post([&] { log += "b"; }));
  }));
  must(loop.poll_once());
  EXPECT_EQ(log, "a");
  must(loop.run());
  EXPECT_EQ(log, "ab");
}

// --- Cancelling the run ---

class CancelledRun : public ::testing::TestWithParam<std::string> {};

TEST_P(CancelledRun, EndsASleepAtOnce) {  // L17
  for (int round = 0; round < 50; ++round) {
    Loop loop;
    Pipe pipe;
    Watcher watcher;
    if (GetParam() == "timer") must(loop.set_timeout(1h, [] {}));
    if (GetParam() == "descriptor") watcher = must(loop.watch(pipe.read_end(), Readiness::read, [](Readiness) {}));
    Runner runner(loop);
    if (round % 2 == 0) {  // asleep; else at any moment
      ASSERT_TRUE(falls_asleep(loop.remote()));
    }
    runner.stop();
    EXPECT_TRUE(fails_with(runner.join(), Errc::cancelled));
  }
}

INSTANTIATE_TEST_SUITE_P(Sleeping, CancelledRun, ::testing::Values("nothing", "timer", "descriptor"),
                         [](const auto& test) { return test.param; });

TEST(Lifecycle, ACancelledRunDrainsFirst) {  // L18
  Loop loop;
  std::stop_source source;
  int ran = 0;
  must(loop.post([&] { source.request_stop(); }));
  for (int i = 0; i < 50; ++i) {
    must(loop.post([&] {
      ++ran;
      must(loop.queue_microtask([&] { ++ran; }));
    }));
  }
  EXPECT_TRUE(fails_with(loop.run(source.get_token()), Errc::cancelled));
  EXPECT_EQ(ran, 100);
}

TEST(Lifecycle, WorkThatIsAlwaysReadyDoesNotKeepARunFromBeingCancelled) {  // L107
  Loop loop;
  std::stop_source source;
  int ran = 0;
  std::function<void()> again = [&] {
    if (++ran == 1000) source.request_stop();
    static_cast<void>(loop.post(again));  // refused in the drain
  };
  must(loop.post(again));
  EXPECT_TRUE(fails_with(loop.run(source.get_token()), Errc::cancelled));
  EXPECT_EQ(ran, 1001);  // the one that was queued when the run was cancelled is drained
}

TEST(Lifecycle, ARunCancelledAfterAShutdownWasAskedForIsNoError) {
  Loop loop;
  std::stop_source source;
  must(loop.post([&] {
    must(loop.shutdown());
    source.request_stop();
  }));
  must(loop.run(source.get_token()));
}

TEST(Lifecycle, ARunCancelledBeforehandDrainsToo) {  // L19
  Loop loop;
  std::stop_source source;
  source.request_stop();
  bool ran = false;
  must(loop.post([&] { ran = true; }));
  EXPECT_TRUE(fails_with(loop.run(source.get_token()), Errc::cancelled));
  EXPECT_TRUE(ran);
}

TEST(Lifecycle, CancellationSeenBeforeAnAutomaticExitWins) {  // L20
  Loop loop({.auto_exit = true});
  std::stop_source source;
  QuiescenceProbe probe;
  probe.quiescent = [&] { source.request_stop(); };
  loop.attach(probe);
  EXPECT_TRUE(fails_with(loop.run(source.get_token()), Errc::cancelled));
}

TEST(Lifecycle, CancellationAfterAnAutomaticExitWasDecidedChangesNothing) {  // L20
  Loop loop({.auto_exit = true});
  std::stop_source source;
  must(loop.set_immediate([stop = AtEnd([&] { source.request_stop(); })] { ADD_FAILURE(); }, false));
  must(loop.run(source.get_token()));
  EXPECT_TRUE(source.stop_requested());
}

// --- Threads ---

TEST(Lifecycle, UseOnAnotherThreadThrows) {
  Loop loop;
  Pipe pipe;
  Watcher watcher = must(loop.watch(pipe.read_end(), Readiness::read, [](Readiness) {}));
  const TimerId timer = must(loop.set_timeout(1h, [] {}));
  const ImmediateId immediate = must(loop.set_immediate([] {}));
  must(loop.poll_once());
  QuiescenceProbe probe;
  std::thread([&] {
    EXPECT_THROW(static_cast<void>(loop.post([] {})), std::logic_error);
    EXPECT_THROW(static_cast<void>(loop.post_priority([] {})), std::logic_error);
    EXPECT_THROW(static_cast<void>(loop.post_close([] {})), std::logic_error);
    EXPECT_THROW(static_cast<void>(loop.next_tick([] {})), std::logic_error);
    EXPECT_THROW(static_cast<void>(loop.queue_microtask([] {})), std::logic_error);
    EXPECT_THROW(static_cast<void>(loop.at_checkpoint_end([] {})), std::logic_error);
    EXPECT_THROW(static_cast<void>(loop.set_immediate([] {})), std::logic_error);
    EXPECT_THROW(static_cast<void>(loop.set_timeout(0s, [] {})), std::logic_error);
    EXPECT_THROW(static_cast<void>(loop.set_timeout_at(TimePoint{}, [] {})), std::logic_error);
    EXPECT_THROW(static_cast<void>(loop.set_interval(0s, [] {})), std::logic_error);
    EXPECT_THROW(static_cast<void>(loop.cancel(timer)), std::logic_error);
    EXPECT_THROW(static_cast<void>(loop.reschedule(timer, 1s)), std::logic_error);
    EXPECT_THROW(static_cast<void>(loop.cancel(immediate)), std::logic_error);
    EXPECT_THROW(loop.ref(timer), std::logic_error);
    EXPECT_THROW(loop.unref(timer), std::logic_error);
    EXPECT_THROW(loop.ref(immediate), std::logic_error);
    EXPECT_THROW(loop.unref(immediate), std::logic_error);
    EXPECT_THROW(static_cast<void>(loop.watch(0, Readiness::read, [](Readiness) {})), std::logic_error);
    EXPECT_THROW(static_cast<void>(loop.offload([](std::stop_token) {}, [](Result<void>) {})), std::logic_error);
    EXPECT_THROW(static_cast<void>(loop.hold()), std::logic_error);
    EXPECT_THROW(static_cast<void>(loop.is_alive()), std::logic_error);
    EXPECT_THROW(static_cast<void>(loop.now()), std::logic_error);
    EXPECT_THROW(static_cast<void>(loop.refresh_now()), std::logic_error);
    EXPECT_THROW(static_cast<void>(loop.timer_count()), std::logic_error);
    EXPECT_THROW(static_cast<void>(loop.stats()), std::logic_error);
    EXPECT_THROW(static_cast<void>(loop.shutdown()), std::logic_error);
    EXPECT_THROW(static_cast<void>(loop.close()), std::logic_error);
    EXPECT_THROW(loop.attach(probe), std::logic_error);
    EXPECT_THROW(loop.detach(probe), std::logic_error);
    EXPECT_THROW(loop.run_checkpoint(), std::logic_error);
    EXPECT_THROW(static_cast<void>(watcher.modify(Readiness::read)), std::logic_error);
    EXPECT_THROW(static_cast<void>(watcher.stop()), std::logic_error);
    EXPECT_THROW(watcher.ref(), std::logic_error);
    EXPECT_THROW(watcher.unref(), std::logic_error);
    EXPECT_EQ(loop.state(), LoopState::sleeping);  // anybody may ask
  }).join();
  EXPECT_TRUE(watcher.is_active());
}

TEST(Lifecycle, EmptyCallbacksThrowAndQueueNothing) {  // L146
  Loop loop;
  const TimerId before = must(loop.set_timeout(1h, [] {}));
  EXPECT_THROW(static_cast<void>(loop.post({})), std::logic_error);
  EXPECT_THROW(static_cast<void>(loop.post_priority({})), std::logic_error);
  EXPECT_THROW(static_cast<void>(loop.post_close({})), std::logic_error);
  EXPECT_THROW(static_cast<void>(loop.next_tick({})), std::logic_error);
  EXPECT_THROW(static_cast<void>(loop.queue_microtask({})), std::logic_error);
  EXPECT_THROW(static_cast<void>(loop.at_checkpoint_end({})), std::logic_error);
  EXPECT_THROW(static_cast<void>(loop.set_immediate({})), std::logic_error);
  EXPECT_THROW(static_cast<void>(loop.set_timeout(0s, {})), std::logic_error);
  EXPECT_THROW(static_cast<void>(loop.set_interval(0s, {})), std::logic_error);
  EXPECT_THROW(static_cast<void>(loop.watch(0, Readiness::read, {})), std::logic_error);
  EXPECT_THROW(static_cast<void>(loop.remote().post({})), std::logic_error);
  EXPECT_THROW(static_cast<void>(loop.remote().post_priority({})), std::logic_error);
  EXPECT_EQ(must(loop.set_timeout(1h, [] {})).value(), before.value() + 1);
  EXPECT_EQ(loop.timer_count(), 2u);
}

// --- Bindings ---

TEST(Binding, ASecondAttachmentOfTheSameThrows) {  // L149
  QuiescenceProbe probe;
  Loop loop;
  loop.attach(probe);
  EXPECT_THROW(loop.attach(probe), std::logic_error);
  loop.detach(probe);
  loop.attach(probe);
}

TEST(Binding, LearnsHowTheLoopEnded) {
  QuiescenceProbe exited;
  QuiescenceProbe shut_down;
  QuiescenceProbe closed;
  {
    Loop loop({.auto_exit = true});
    loop.attach(exited);
    must(loop.run());
  }
  {
    Loop loop;
    loop.attach(shut_down);
    must(loop.shutdown());
    must(loop.run());
  }
  {
    Loop loop;
    loop.attach(closed);
  }
  EXPECT_EQ(exited.end, LoopEnd::auto_exit);
  EXPECT_EQ(shut_down.end, LoopEnd::shutdown);
  EXPECT_EQ(closed.end, LoopEnd::close);
}

TEST(Binding, IsToldNothingAfterItsDetachment) {
  QuiescenceProbe probe;
  {
    Loop loop;
    loop.attach(probe);
    loop.detach(probe);
  }
  EXPECT_FALSE(probe.end.has_value());
}

}  // namespace
}  // namespace gyre
