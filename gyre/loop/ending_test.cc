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

// How a loop ends: by shutdown, by close, by its destructor.

// --- Shutdown ---

TEST(Shutdown, OfALoopNeverRunDrainsItOnOneOtherThread) {  // L4
  Loop loop;
  std::vector<std::thread::id> threads;
  const auto note = [&] { threads.push_back(std::this_thread::get_id()); };
  for (int i = 0; i < 3; ++i) must(loop.post(note));
  must(loop.queue_microtask(note));
  must(loop.next_tick(note));
  must(loop.remote().shutdown());
  ASSERT_EQ(threads.size(), 5u);
  for (const auto id : threads) {
    EXPECT_EQ(id, threads.front());
    EXPECT_NE(id, std::this_thread::get_id());
  }
  EXPECT_EQ(loop.state(), LoopState::terminated);
  EXPECT_TRUE(loop.remote().is_done());
  EXPECT_TRUE(fails_with(loop.post([] {}), Errc::terminated));
}

TEST(Shutdown, OfALoopNeverRunKeepsItsTimeLimit) {  // L7
  Loop loop;
  std::latch go_on(1);
  must(loop.post([&] { go_on.wait(); }));
  Remote remote = loop.remote();
  EXPECT_TRUE(fails_with(remote.shutdown(1ms), Errc::timed_out));
  EXPECT_FALSE(remote.is_done());
  go_on.count_down();
  EXPECT_TRUE(remote.wait_done(kPatience));
}

TEST(Shutdown, MayMeetAThreadThatStillPreparesTheLoop) {
  for (int round = 0; round < 200; ++round) {
    Loop loop;
    std::atomic<int> ran = 0;
    int accepted = 0;
    std::thread ender([remote = loop.remote()]() mutable { must(remote.shutdown()); });
    for (int i = 0; i < 50; ++i) {
      if (loop.post([&] { ++ran; })) ++accepted;
      if (loop.next_tick([&] { ++ran; })) ++accepted;
      static_cast<void>(loop.set_timeout(1h, [] {}));
    }
    ender.join();
    EXPECT_EQ(ran, accepted);
  }
}

TEST(Shutdown, OfALoopNeverRunMakesThePreparingThreadWaitNotThrow) {
  Loop loop;
  std::latch draining(1);
  must(loop.post([&] {
    draining.count_down();
    std::this_thread::sleep_for(5ms);  // long enough for the post below to come; if not, the test is only weaker
  }));
  std::thread ender([remote = loop.remote()]() mutable { must(remote.shutdown()); });
  draining.wait();
  EXPECT_TRUE(fails_with(loop.post([] { ADD_FAILURE(); }), Errc::terminated));
  EXPECT_TRUE(fails_with(loop.run(), Errc::terminated));
  ender.join();
}

TEST(Shutdown, OfALoopNeverRunWaitsForItsRunIfTheOwnerAsks) {
  Loop loop;
  bool ran = false;
  must(loop.post([&] { ran = true; }));
  must(loop.shutdown());
  EXPECT_FALSE(ran);
  EXPECT_EQ(loop.state(), LoopState::terminating);
  EXPECT_TRUE(fails_with(loop.post([] {}), Errc::terminated));
  must(loop.run());
  EXPECT_TRUE(ran);
}

TEST(Shutdown, ASecondOneIsRefusedAtOnce) {  // L6 L8
  Loop loop;
  Remote remote = loop.remote();
  must(remote.shutdown());
  EXPECT_TRUE(fails_with(remote.shutdown(), Errc::terminated));
  EXPECT_TRUE(fails_with(remote.shutdown(Duration::zero()), Errc::terminated));  // the end, not the time-out
  EXPECT_TRUE(fails_with(remote.close(), Errc::terminated));
  EXPECT_TRUE(fails_with(loop.shutdown(), Errc::terminated));
  EXPECT_TRUE(fails_with(loop.close(), Errc::terminated));
}

TEST(Shutdown, TimesOutWhileAWorkerBlocksAndCompletesAfterwards) {  // L7 L30
  Loop loop;
  std::latch release(1);
  std::atomic<bool> delivered = false;
  must(loop.offload([&](std::stop_token) { release.wait(); }, [&](Result<void>) { delivered = true; }));
  Runner runner(loop);
  Remote remote = loop.remote();
  ASSERT_TRUE(falls_asleep(remote));
  EXPECT_TRUE(fails_with(remote.shutdown(Duration::zero()), Errc::timed_out));
  EXPECT_FALSE(remote.is_done());
  EXPECT_FALSE(remote.wait_done(1ms));
  release.count_down();
  EXPECT_TRUE(remote.wait_done(kPatience));
  EXPECT_TRUE(delivered);
  EXPECT_EQ(remote.state(), LoopState::terminated);
  must(runner.join());
}

TEST(Shutdown, TwoCallersWaitEachForItsOwnTime) {  // L9
  Loop loop;
  std::latch release(1);
  must(loop.post([&] { release.wait(); }));
  Runner runner(loop);
  Result<void> patient;
  std::thread other([&, remote = loop.remote()]() mutable { patient = remote.shutdown(); });
  EXPECT_TRUE(eventually([&] { return loop.state() == LoopState::terminating; }));  // its call is under way
  EXPECT_TRUE(fails_with(loop.remote().shutdown(1ms), Errc::timed_out));
  release.count_down();
  other.join();
  must(patient);
}

TEST(Shutdown, InATaskReturnsAtOnceAndTheTaskGoesOn) {  // L10
  Loop loop;
  std::string log;
  must(loop.post([&] {
    must(loop.shutdown());
    must(loop.remote().shutdown());
    log += "rest ";
    must(loop.queue_microtask([&] { log += "microtask "; }));
  }));
  must(loop.post([&] { log += "accepted before "; }));
  must(loop.run());
  EXPECT_EQ(log, "rest microtask accepted before ");
}

TEST(Shutdown, MayBeRepeatedByACallbackOfTheDrain) {  // L12
  Loop loop;
  must(loop.post([&] {
    must(loop.shutdown());
    must(loop.post_close([] {}));
  }));
  int checked = 0;
  const auto check = [&] {
    must(loop.shutdown());
    must(loop.remote().shutdown());
    EXPECT_TRUE(fails_with(loop.close(), Errc::reentrant_close));
    EXPECT_TRUE(fails_with(loop.remote().close(), Errc::reentrant_close));
    ++checked;
  };
  must(loop.post(check));
  must(loop.set_immediate([&] {
    must(loop.set_immediate([] {}));
    must(loop.shutdown());
  }));
  must(loop.post_close(check));
  static_cast<void>(loop.run());
  EXPECT_EQ(checked, 2);
}

TEST(Shutdown, InOffloadedWorkDoesNotWaitForItself) {  // L13
  Loop loop;
  bool delivered = false;
  must(loop.offload([remote = loop.remote()](std::stop_token) mutable { return remote.shutdown(); },
                    [&](Result<void> outcome) {
                      must(outcome);
                      delivered = true;
                    }));
  must(loop.run());
  EXPECT_TRUE(delivered);
}

TEST(Shutdown, RunsWhatWasAcceptedInTheOrderOfTheDrain) {  // L24
  Loop loop;
  std::string log;
  must(loop.poll_once());
  must(loop.post([&] { log += "task "; }));
  must(loop.post_priority([&] { log += "priority "; }));
  must(loop.post_close([&] { log += "close "; }));
  must(loop.set_immediate([&] { log += "immediate "; }));
  must(loop.shutdown());
  must(loop.run());
  EXPECT_EQ(log, "immediate close priority task ");
}

TEST(Shutdown, OfANeverRunLoopDrainsInTheOrderOfTheDrain) {  // L24
  Loop loop;
  std::string log;
  must(loop.post([&] { log += "task "; }));
  must(loop.post_priority([&] { log += "priority "; }));
  must(loop.post_close([&] { log += "close "; }));
  must(loop.set_immediate([&] { log += "immediate "; }));
  must(loop.remote().shutdown());
  EXPECT_EQ(log, "immediate close priority task ");
}

TEST(Shutdown, TheDrainTakesCheckpointWorkAndNothingElse) {  // L22
  ManualClock clock;
  Loop loop({.clock = &clock});
  std::string log;
  must(loop.poll_once());
  must(loop.post([&] {
    EXPECT_TRUE(fails_with(loop.post([] {}), Errc::terminated));
    EXPECT_TRUE(fails_with(loop.post_priority([] {}), Errc::terminated));
    EXPECT_TRUE(fails_with(loop.post_close([] {}), Errc::terminated));
    EXPECT_TRUE(fails_with(loop.set_immediate([] {}), Errc::terminated));
    EXPECT_TRUE(fails_with(loop.set_timeout(0s, [] {}), Errc::terminated));
    EXPECT_TRUE(fails_with(loop.set_interval(0s, [] {}), Errc::terminated));
    EXPECT_TRUE(fails_with(loop.watch(0, Readiness::read, [](Readiness) {}), Errc::terminated));
    EXPECT_TRUE(fails_with(loop.offload([](std::stop_token) {}, [](Result<void>) {}), Errc::terminated));
    EXPECT_TRUE(fails_with(loop.remote().post([] {}), Errc::terminated));
    must(loop.next_tick([&] { log += "tick "; }));
    must(loop.queue_microtask([&] { log += "microtask "; }));
    must(loop.at_checkpoint_end([&] { log += "end "; }));
  }));
  must(loop.shutdown());
  must(loop.run());
  EXPECT_EQ(log, "tick microtask end ");
}

TEST(Shutdown, OtherThreadsAreRefusedDuringTheDrain) {  // L23
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
  EXPECT_TRUE(fails_with(loop.remote().post([] { ADD_FAILURE(); }), Errc::terminated));
  EXPECT_TRUE(fails_with(loop.remote().post_priority([] { ADD_FAILURE(); }), Errc::terminated));
  go_on.count_down();
  must(runner.join());
}

TEST(Shutdown, TimersNeverFireInTheDrainAndTheirCapturesAreGoneWhenItIsDone) {  // L25
  ManualClock clock;
  Loop loop({.clock = &clock});
  auto capture = std::make_shared<int>();
  const std::weak_ptr<int> observer = capture;
  must(loop.set_timeout(1ms, [capture = std::move(capture)] { ADD_FAILURE(); }));
  must(loop.post([&] {
    clock.advance(1s);
    must(loop.shutdown());
  }));
  must(loop.run());
  EXPECT_TRUE(observer.expired());
}

TEST(Shutdown, CancellingATimerWhileEndingSaysSo) {  // L87
  Loop loop;
  const TimerId timer = must(loop.set_timeout(1h, [] {}));
  must(loop.post([&] {
    must(loop.shutdown());
    EXPECT_TRUE(fails_with(loop.cancel(timer), Errc::terminated));
    loop.ref(timer);
    loop.unref(timer);
  }));
  must(loop.run());
  EXPECT_TRUE(fails_with(loop.cancel(timer), Errc::terminated));
  EXPECT_TRUE(fails_with(loop.reschedule(timer, 1s), Errc::terminated));
  loop.ref(timer);
  loop.unref(timer);
}

TEST(Shutdown, RacingPostsRunExactlyIfTheyWereAccepted) {  // L21
  for (int round = 0; round < 20; ++round) {
    Loop loop;
    std::atomic<int> accepted = 0;
    std::atomic<int> executed = 0;
    std::atomic<int> destroyed = 0;
    struct Counted {
      explicit Counted(std::atomic<int>* counter) : count(counter) {}
      Counted(Counted&& other) noexcept : count(std::exchange(other.count, nullptr)) {}
      ~Counted() {
        if (count != nullptr) ++*count;
      }
      std::atomic<int>* count;
    };
    Runner runner(loop);
    std::vector<std::thread> producers;
    std::latch start(17);
    for (int p = 0; p < 16; ++p) {
      producers.emplace_back([&, remote = loop.remote()]() mutable {
        start.arrive_and_wait();
        for (int i = 0; i < 64; ++i) {
          auto task = [&executed, counted = Counted(&destroyed)] { ++executed; };
          if (i % 2 == 0 ? remote.post(std::move(task)) : remote.post_priority(std::move(task))) ++accepted;
        }
      });
    }
    start.arrive_and_wait();
    must(loop.remote().shutdown());
    for (auto& producer : producers) producer.join();
    static_cast<void>(runner.join());  // refused if the shutdown came before its run
    EXPECT_EQ(executed, accepted);
    EXPECT_EQ(destroyed, 16 * 64);
  }
}

TEST(Shutdown, OfOneLoopDoesNotTouchAnother) {  // L33
  Loop first;
  Loop second;
  Runner first_runner(first);
  Runner second_runner(second);
  std::latch crossed(2);
  must(first.remote().post(
      [&, remote = second.remote()]() mutable { must(remote.post([&] { crossed.count_down(); })); }));
  must(second.remote().post(
      [&, remote = first.remote()]() mutable { must(remote.post([&] { crossed.count_down(); })); }));
  crossed.wait();
  must(first.remote().shutdown());
  must(first_runner.join());
  std::latch still_there(1);
  must(second.remote().post([&] { still_there.count_down(); }));
  still_there.wait();
  must(second.remote().shutdown());
}

// --- Close ---

TEST(Close, OfALoopNeverRunRunsNothingAndDestroysEverything) {  // L5
  Loop loop;
  auto capture = std::make_shared<int>();
  const auto task = [&] { return [capture] { ADD_FAILURE(); }; };
  must(loop.post(task()));
  must(loop.next_tick(task()));
  must(loop.queue_microtask(task()));
  must(loop.set_immediate(task()));
  must(loop.set_timeout(0s, task()));
  EXPECT_EQ(capture.use_count(), 6);
  must(loop.remote().close());
  EXPECT_EQ(capture.use_count(), 1);
  EXPECT_TRUE(fails_with(loop.post([] {}), Errc::terminated));
  EXPECT_TRUE(fails_with(loop.remote().post([] {}), Errc::terminated));
}

TEST(Close, InACallbackIsRefusedAndHarmless) {  // L11
  Loop loop({.auto_exit = true});
  bool next_ran = false;
  must(loop.post([&] {
    EXPECT_TRUE(fails_with(loop.close(), Errc::reentrant_close));
    EXPECT_TRUE(fails_with(loop.remote().close(), Errc::reentrant_close));
    must(loop.post([&] { next_ran = true; }));
  }));
  must(loop.run());
  EXPECT_TRUE(next_ran);
}

TEST(Close, BetweenStepsIsTheOwnersToCall) {
  Loop loop;
  must(loop.poll_once());
  must(loop.post([] { ADD_FAILURE(); }));
  must(loop.close());
  EXPECT_EQ(loop.state(), LoopState::terminated);
  EXPECT_TRUE(fails_with(loop.close(), Errc::terminated));
}

TEST(Close, LetsTheRunningCallbackFinishAndNothingElseStart) {  // L26 L27
  Loop loop;
  std::latch running(1);
  std::string log;
  must(loop.post([&] {
    must(loop.queue_microtask([&] { log += "microtask "; }));
    must(loop.next_tick([&] { log += "tick "; }));
    running.count_down();
    EXPECT_TRUE(eventually([&] { return loop.state() == LoopState::terminating; }));
    log += "finished ";
  }));
  must(loop.post([&] { log += "next "; }));
  Runner runner(loop);
  running.wait();
  must(loop.remote().close());
  must(runner.join());
  EXPECT_EQ(log, "finished ");
}

TEST(Close, CutsAShutdownShort) {  // L15 L16, otherwise: after a shutdown that takes too long, close has an effect
  Loop loop;
  std::latch running(1);
  std::function<void()> endless = [&] { must(loop.queue_microtask(endless)); };
  must(loop.post([&] {
    must(loop.shutdown());
    running.count_down();
    must(loop.queue_microtask(endless));
  }));
  must(loop.post([] { ADD_FAILURE(); }));
  Runner runner(loop);
  running.wait();
  EXPECT_TRUE(fails_with(loop.remote().shutdown(1ms), Errc::timed_out));
  must(loop.remote().close());
  must(runner.join());
}

TEST(Close, IsJoinedByAShutdown) {  // L16
  Loop loop;
  std::latch running(1);
  std::latch joined(1);
  must(loop.post([&] {
    running.count_down();
    EXPECT_TRUE(eventually([&] { return loop.state() == LoopState::terminating; }));
    joined.wait();
  }));
  must(loop.post([] { ADD_FAILURE(); }));
  Runner runner(loop);
  running.wait();
  std::thread closer([remote = loop.remote()]() mutable { must(remote.close()); });
  EXPECT_TRUE(eventually([&] { return loop.state() == LoopState::terminating; }));
  EXPECT_TRUE(fails_with(loop.remote().shutdown(1ms), Errc::timed_out));
  joined.count_down();
  static_cast<void>(loop.remote().shutdown());
  EXPECT_TRUE(loop.remote().is_done());
  closer.join();
  must(runner.join());
}

TEST(Close, DoesNotWaitForOffloadedWorkAndLeavesItsResultAside) {  // L14 L45
  Loop loop;
  std::latch started(1);
  std::latch release(1);
  std::latch finished(1);
  std::atomic<bool> was_asked_to_stop = false;
  auto capture = std::make_shared<int>();
  const std::weak_ptr<int> observer = capture;
  must(loop.offload(
      [&, remote = loop.remote(), at_end = AtEnd([&] { finished.count_down(); })](std::stop_token stop) mutable {
        started.count_down();
        release.wait();
        was_asked_to_stop = stop.stop_requested();
        EXPECT_TRUE(fails_with(remote.close(), Errc::terminated));
        EXPECT_TRUE(fails_with(remote.shutdown(), Errc::terminated));
        return 42;
      },
      [capture = std::move(capture)](Result<int>) { ADD_FAILURE(); }));
  Runner runner(loop);
  started.wait();
  ASSERT_TRUE(falls_asleep(loop.remote()));
  must(loop.remote().close());
  must(runner.join());
  EXPECT_TRUE(observer.expired());  // destroyed on the loop's thread, not whenever the work ends
  EXPECT_FALSE(loop.is_alive());
  release.count_down();
  finished.wait();
  EXPECT_TRUE(was_asked_to_stop);
}

TEST(Close, InOffloadedWorkDoesNotWaitForItself) {  // L14
  Loop loop;
  std::latch finished(1);
  must(loop.offload(
      [remote = loop.remote(), &finished](std::stop_token) mutable {
        must(remote.close());
        finished.count_down();
      },
      [](Result<void>) { ADD_FAILURE(); }));
  must(loop.run());
  finished.wait();
}

TEST(Close, RacingPostsNeverRunAfterwardsAndAllAreDestroyed) {
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> executed = 0;
    std::atomic<bool> closed = false;
    auto capture = std::make_shared<int>();
    {
      Loop loop;
      Runner runner(loop);
      std::latch start(5);
      std::vector<std::thread> producers;
      for (int p = 0; p < 4; ++p) {
        producers.emplace_back([&, remote = loop.remote()]() mutable {
          start.arrive_and_wait();
          for (int i = 0; i < 200; ++i) {
            static_cast<void>(remote.post([&, capture] {
              EXPECT_FALSE(closed);
              ++executed;
            }));
          }
        });
      }
      start.arrive_and_wait();
      must(loop.remote().close());
      closed = true;
      for (auto& producer : producers) producer.join();
    }
    EXPECT_EQ(capture.use_count(), 1);
  }
}

TEST(Close, OfAllKindsAtOnceEndsOnce) {
  for (int round = 0; round < 50; ++round) {
    Loop loop;
    QuiescenceProbe probe;
    loop.attach(probe);
    std::latch start(4);
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&, i, remote = loop.remote()]() mutable {
        start.arrive_and_wait();
        static_cast<void>(i == 0 ? remote.close() : remote.shutdown());
        EXPECT_TRUE(remote.is_done());
      });
    }
    start.arrive_and_wait();
    if (round % 2 == 0) {
      static_cast<void>(loop.run());
    } else {
      static_cast<void>(loop.close());
    }
    for (auto& thread : threads) thread.join();
    EXPECT_TRUE(probe.end.has_value());
  }
}

// --- Destruction ---

TEST(Destruction, WithEverythingQueuedDestroysItAll) {  // L144
  auto capture = std::make_shared<int>();
  const std::weak_ptr<int> observer = capture;
  Pipe pipe;
  std::optional<Remote> remote;
  Watcher watcher;
  {
    Loop loop({.on_callback_error = [capture](const Error&, CallbackKind) {}});
    remote = loop.remote();
    const auto task = [capture] { ADD_FAILURE(); };
    must(loop.post(task));
    must(loop.post_priority(task));
    must(loop.post_close(task));
    must(loop.next_tick(task));
    must(loop.queue_microtask(task));
    must(loop.at_checkpoint_end(task));
    must(loop.set_immediate(task));
    must(loop.set_timeout(0s, task));
    must(loop.set_interval(0s, task));
    must(remote->post(task));
    watcher = must(loop.watch(pipe.write_end(), Readiness::write, [capture](Readiness) { ADD_FAILURE(); }));
    must(loop.offload([capture](std::stop_token) {}, [capture](Result<void>) { ADD_FAILURE(); }));
    capture.reset();
  }
  EXPECT_TRUE(eventually([&] { return observer.expired(); }));  // what was off-loaded may have been running
  EXPECT_TRUE(remote->is_done());
  EXPECT_EQ(remote->state(), LoopState::terminated);
  EXPECT_FALSE(watcher.is_active());
  EXPECT_TRUE(fails_with(watcher.modify(Readiness::read), Errc::fd_not_registered));
  EXPECT_TRUE(fails_with(watcher.stop(), Errc::fd_not_registered));
}

TEST(Destruction, EndedLoopsHoldNothing) {  // L144
  auto capture = std::make_shared<int>();
  Loop loop({.auto_exit = true, .on_callback_error = [capture](const Error&, CallbackKind) {}});
  for (int i = 0; i < 100; ++i) must(loop.post([capture] {}));
  must(loop.set_timeout(1h, [capture] {}, false));
  must(loop.run());
  EXPECT_EQ(capture.use_count(), 1);
}

TEST(Destruction, CapturesMayUseTheLoopOnTheirWayOut) {
  std::string log;
  TimerId timer;  // outlives the loop, as everything does that captures refer to
  {
    Loop loop;
    timer = must(loop.set_timeout(1h, [] {}));
    const auto meddle = [&, remote = loop.remote()]() mutable {
      EXPECT_FALSE(loop.post([] { ADD_FAILURE(); }));
      EXPECT_FALSE(loop.queue_microtask([] { ADD_FAILURE(); }));
      EXPECT_FALSE(loop.set_immediate([] { ADD_FAILURE(); }));
      EXPECT_FALSE(loop.set_timeout(0s, [] { ADD_FAILURE(); }));
      EXPECT_FALSE(loop.cancel(timer));
      EXPECT_FALSE(remote.post([] { ADD_FAILURE(); }));
      EXPECT_FALSE(loop.close());
      must(Result<void>{});
      loop.run_checkpoint();
      static_cast<void>(loop.is_alive());
      log += "x";
    };
    must(loop.post([m = AtEnd(meddle)] {}));
    must(loop.next_tick([m = AtEnd(meddle)] {}));
    must(loop.set_immediate([m = AtEnd(meddle)] {}));
    must(loop.set_timeout(0s, [m = AtEnd(meddle)] {}));
    must(loop.remote().post([m = AtEnd(meddle)] {}));
  }
  EXPECT_EQ(log, "xxxxx");
}

TEST(Destruction, OnAnotherThreadWaitsForTheRunningCallback) {
  for (int round = 0; round < 50; ++round) {
    auto loop = std::make_unique<Loop>();
    std::latch running(1);
    std::atomic<bool> finished = false;
    if (round % 2 == 0) {
      must(loop->post([&, &l = *loop] {
        running.count_down();
        EXPECT_TRUE(eventually([&] { return l.state() == LoopState::terminating; }));
        finished = true;
      }));
    }
    std::thread owner([&l = *loop, round, &running] {
      static_cast<void>(l.remote());
      if (round % 2 == 1) running.count_down();
      static_cast<void>(l.run());
    });
    running.wait();
    if (round % 2 == 1) {
      ASSERT_TRUE(falls_asleep(loop->remote()));
    }
    loop.reset();
    EXPECT_EQ(finished, round % 2 == 0);
    owner.join();
  }
}

TEST(Destruction, AfterTheThreadThatStepsIsGone) {
  Loop loop;
  must(loop.post([] {}));
  std::thread([&] {
    must(loop.poll_once());
    must(loop.post([] { ADD_FAILURE(); }));
  }).join();
}

TEST(Destruction, AThreadThatIsCancelledInACallbackEndsTheLoop) {  // W20
  Loop loop;
  Remote remote = loop.remote();
  must(loop.post([] { pthread_exit(nullptr); }));
  must(loop.post([] { ADD_FAILURE(); }));
  std::thread([&] { static_cast<void>(loop.run()); }).join();
  EXPECT_TRUE(remote.is_done());
  EXPECT_TRUE(fails_with(remote.post([] {}), Errc::terminated));
}

TEST(Shutdown, RunsTicksAndMicrotasksThatOtherThreadsQueuedLast) {  // L21
  Loop loop;
  Remote remote = loop.remote();
  std::string log;
  must(loop.post([&] {
    must(loop.shutdown());
    log += "task ";
  }));
  must(loop.post([&] { log += "last "; }));
  must(loop.poll_once());
  EXPECT_EQ(log, "task last ");

  Loop other;
  must(other.poll_once());
  must(other.remote().next_tick([&] { log += "tick "; }));
  must(other.remote().queue_microtask([&] { log += "microtask "; }));
  must(other.remote().at_checkpoint_end([&] { log += "end "; }));
  must(other.shutdown());
  must(other.run());
  EXPECT_EQ(log, "task last tick microtask end ");
}

// --- Hearing of the end ---

TEST(Done, CallsBackOnceOnTheThreadThatEndedTheLoop) {
  Loop loop({.auto_exit = true});
  int calls = 0;
  std::thread::id where;
  Remote remote = loop.remote();
  remote.on_done([&] {
    ++calls;
    where = std::this_thread::get_id();
    EXPECT_TRUE(remote.is_done());
  });
  must(loop.post([&] { EXPECT_EQ(calls, 0); }));
  Runner runner(loop);
  const auto id = runner.id();
  must(runner.join());
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(where, id);
}

TEST(Done, CallsBackAtOnceIfTheLoopHasEnded) {
  Loop loop;
  must(loop.close());
  int calls = 0;
  loop.remote().on_done([&] { ++calls; });
  EXPECT_EQ(calls, 1);
}

TEST(Done, WhatACallbackThrowsIsDroppedAndTheNextIsCalled) {
  int calls = 0;
  {
    Loop loop;
    loop.remote().on_done([&] {
      ++calls;
      throw 1;
    });
    loop.remote().on_done([&] { ++calls; });
    EXPECT_THROW(loop.remote().on_done({}), std::logic_error);
  }
  EXPECT_EQ(calls, 2);
}

TEST(Done, AWaitCanBeStopped) {  // L7
  Loop loop;
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(loop.remote().wait_done(stop.get_token()));
  std::atomic<bool> blocked = true;
  must(loop.post([&] {
    while (blocked) std::this_thread::yield();
  }));
  Runner runner(loop);
  EXPECT_TRUE(fails_with(loop.remote().shutdown(stop.get_token()), Errc::cancelled));
  blocked = false;
  EXPECT_TRUE(loop.remote().wait_done());
}

}  // namespace
}  // namespace gyre
