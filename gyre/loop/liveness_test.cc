#include <atomic>
#include <functional>
#include <latch>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

// What keeps a loop alive, and how one that nothing keeps alive ends by itself.

namespace gyre {
namespace {

using namespace testing;

TEST(Liveness, AnEmptyLoopExitsAtOnceIfItMay) {  // L34
  Loop loop({.auto_exit = true});
  must(loop.run());
  EXPECT_EQ(loop.stats().sleeps, 0u);
  EXPECT_EQ(loop.state(), LoopState::terminated);
}

TEST(Liveness, AnEmptyLoopWaitsIfItMayNotExit) {  // L34
  Loop loop;
  Runner runner(loop);
  ASSERT_TRUE(falls_asleep(loop.remote()));
  must(loop.remote().shutdown());
  must(runner.join());
}

TEST(Liveness, EachKindOfWorkKeepsTheLoopAliveUntilItHasRun) {
  Loop loop;
  EXPECT_FALSE(loop.is_alive());
  const auto task = [] {};
  must(loop.post(task));
  EXPECT_TRUE(loop.is_alive());
  EXPECT_FALSE(must(loop.poll_once()));
  must(loop.post_priority(task));
  EXPECT_TRUE(loop.is_alive());
  EXPECT_FALSE(must(loop.poll_once()));
  must(loop.post_close(task));
  EXPECT_TRUE(loop.is_alive());
  EXPECT_FALSE(must(loop.poll_once()));
  must(loop.next_tick(task));
  EXPECT_TRUE(loop.is_alive());
  EXPECT_FALSE(must(loop.poll_once()));
  must(loop.queue_microtask(task));
  EXPECT_TRUE(loop.is_alive());
  EXPECT_FALSE(must(loop.poll_once()));
  must(loop.at_checkpoint_end(task));
  EXPECT_TRUE(loop.is_alive());
  EXPECT_FALSE(must(loop.poll_once()));
  must(loop.set_immediate(task));
  EXPECT_TRUE(loop.is_alive());
  EXPECT_FALSE(must(loop.poll_once()));
  must(loop.set_timeout(0s, task));
  EXPECT_TRUE(loop.is_alive());
  EXPECT_FALSE(must(loop.poll_once()));
  must(loop.remote().post(task));
  EXPECT_TRUE(loop.is_alive());
  EXPECT_FALSE(must(loop.poll_once()));
}

TEST(Liveness, AnUnrefdTimerNeitherHoldsTheLoopNorFires) {  // L35 L37
  ManualClock clock(ManualClock::Mode::automatic);
  Loop loop({.auto_exit = true, .clock = &clock});
  must(loop.set_timeout(1ms, [] { ADD_FAILURE(); }, false));
  must(loop.set_interval(1ms, [] { ADD_FAILURE(); }, false));
  EXPECT_FALSE(loop.is_alive());
  must(loop.run());
}

TEST(Liveness, AnUnrefdTimerFiresWhileARefdOneHoldsTheLoop) {  // L35
  ManualClock clock(ManualClock::Mode::automatic);
  Loop loop({.auto_exit = true, .clock = &clock});
  std::string log;
  must(loop.set_timeout(1ms, [&] { log += "unref'd "; }, false));
  must(loop.set_timeout(2ms, [&] { log += "ref'd "; }));
  must(loop.set_timeout(3ms, [&] { log += "late "; }, false));
  must(loop.run());
  EXPECT_EQ(log, "unref'd ref'd ");
}

TEST(Liveness, RefAndUnrefOfATimerMayBeRepeated) {  // L36
  Loop loop;
  const TimerId timer = must(loop.set_timeout(1h, [] {}));
  loop.ref(timer);
  loop.unref(timer);
  loop.unref(timer);
  EXPECT_FALSE(loop.is_alive());
  loop.ref(timer);
  loop.ref(timer);
  EXPECT_TRUE(loop.is_alive());
  loop.unref(TimerId(12345, 3));  // unknown: ignored
  EXPECT_TRUE(loop.is_alive());
  must(loop.cancel(timer));
  EXPECT_FALSE(loop.is_alive());
}

TEST(Liveness, AnUnrefdTimerThatIsRescheduledStaysUnrefd) {
  Loop loop;
  const TimerId timer = must(loop.set_interval(1h, [] {}, false));
  must(loop.reschedule(timer, 2h));
  EXPECT_FALSE(loop.is_alive());
}

TEST(Liveness, OffloadedWorkHoldsTheLoopUntilItIsDone) {  // L38
  Loop loop({.auto_exit = true});
  std::latch release(1);
  bool delivered = false;
  must(loop.offload([&](std::stop_token) { release.wait(); }, [&](Result<void>) { delivered = true; }));
  std::thread releaser([&, remote = loop.remote()] {
    EXPECT_TRUE(falls_asleep(remote));
    release.count_down();
  });
  EXPECT_TRUE(loop.is_alive());
  must(loop.run());
  EXPECT_TRUE(delivered);
  releaser.join();
}

TEST(Liveness, AWatchedDescriptorHoldsTheLoopUntilItsWatcherStops) {  // L39
  Loop loop({.auto_exit = true});
  Pipe pipe;
  Watcher watcher = must(loop.watch(pipe.read_end(), Readiness::read, [](Readiness) {}));
  Remote remote = loop.remote();
  std::thread stopper([&]() mutable {
    EXPECT_TRUE(falls_asleep(remote));
    must(remote.post([&] { must(watcher.stop()); }));
  });
  EXPECT_TRUE(loop.is_alive());
  must(loop.run());
  stopper.join();
}

TEST(Liveness, AnUnrefdWatcherDoesNotHoldTheLoop) {
  Loop loop({.auto_exit = true});
  Pipe pipe;
  Watcher watcher = must(loop.watch(pipe.read_end(), Readiness::read, [](Readiness) {}));
  watcher.unref();
  watcher.unref();
  EXPECT_FALSE(loop.is_alive());
  watcher.ref();
  EXPECT_TRUE(loop.is_alive());
  watcher.unref();
  must(loop.run());
  EXPECT_FALSE(watcher.is_active());
}

TEST(Liveness, AHoldHoldsTheLoop) {
  Loop loop({.auto_exit = true});
  Loop::Hold hold = loop.hold();
  Loop::Hold moved = std::move(hold);
  Loop::Hold other = loop.hold();
  other = std::move(moved);
  EXPECT_TRUE(loop.is_alive());
  must(loop.post([&] { other.release(); }));
  must(loop.run());
  Loop::Hold none;
  none.release();
}

TEST(Liveness, AHoldMayOutliveItsLoop) {
  Loop::Hold hold;
  {
    Loop loop;
    hold = loop.hold();
  }
  hold.release();
}

struct Probe final : LoopBinding {
  std::function<void()> quiescent = [] {};
  int asked = 0;
  bool run_ticks() override { return false; }
  bool run_microtasks() override { return false; }
  bool finish_checkpoint() override { return false; }
  void on_quiescent() override {
    ++asked;
    quiescent();
  }
  void on_terminated(LoopEnd) override {}
};

TEST(Liveness, ABindingMayGoOnWhenTheLoopWouldExit) {  // L41 L40
  ManualClock clock(ManualClock::Mode::automatic);
  Loop loop({.auto_exit = true, .clock = &clock});
  Probe probe;
  std::string log;
  probe.quiescent = [&] {
    switch (probe.asked) {
      case 1:
        must(loop.post([&] { log += "task "; }));
        break;
      case 2:
        must(loop.set_timeout(1s, [&] { log += "timer "; }));
        break;
      case 3:
        must(loop.queue_microtask([&] { must(loop.set_immediate([&] { log += "immediate "; })); }));
        break;
      default:
        break;
    }
  };
  loop.attach(probe);
  must(loop.run());
  EXPECT_EQ(log, "task timer immediate ");
  EXPECT_EQ(probe.asked, 4);
}

TEST(Liveness, AFailingQuiescenceHandlerMeansNoAndTheNextIsStillAsked) {  // L41
  std::vector<std::pair<std::string, CallbackKind>> failures;
  Loop loop({.auto_exit = true, .on_callback_error = [&](const Error& error, CallbackKind kind) {
               failures.emplace_back(error.message(), kind);
             }});
  Probe failing;
  Probe next;
  failing.quiescent = [] { throw std::runtime_error("not now"); };
  loop.attach(failing);
  loop.attach(next);
  must(loop.run());
  EXPECT_EQ(next.asked, 1);
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(failures[0].second, CallbackKind::quiescence);
}

TEST(Liveness, APostThatComesAsTheLoopExitsIsEitherRefusedOrRun) {  // L40
  for (int round = 0; round < 300; ++round) {
    Loop loop({.auto_exit = true});
    std::atomic<int> executed = 0;
    int accepted = 0;
    std::latch start(2);
    must(loop.post([&] { start.arrive_and_wait(); }));
    std::thread producer([&, remote = loop.remote()]() mutable {
      start.arrive_and_wait();
      for (int i = 0; i < 20; ++i) {
        if (remote.post([&] { ++executed; })) ++accepted;
      }
    });
    must(loop.run());
    producer.join();
    EXPECT_EQ(executed, accepted);
  }
}

TEST(Liveness, AutomaticExitDropsUnrefdTimersWithTheirCaptures) {
  auto capture = std::make_shared<int>();
  Loop loop({.auto_exit = true});
  must(loop.set_timeout(1h, [capture] {}, false));
  must(loop.set_immediate([capture] {}, false));
  must(loop.run());
  EXPECT_EQ(capture.use_count(), 1);
}

}  // namespace
}  // namespace gyre
