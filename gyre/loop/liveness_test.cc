#include <atomic>
#include <functional>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

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

// --- Immediates that are wanted as long as a predicate says so ---

TEST(LivenessPredicate, DecidesWhetherAnImmediateHoldsTheLoop) {  // L42
  for (const bool wanted : {false, true}) {
    Loop loop({.auto_exit = true});
    bool ran = false;
    must(loop.set_immediate([&] { ran = true; }, [=] { return wanted; }));
    EXPECT_EQ(loop.is_alive(), wanted);
    must(loop.run());
    EXPECT_EQ(ran, wanted);
  }
}

TEST(LivenessPredicate, IsNotAskedOnceItsImmediateIsGone) {  // L42
  Loop loop({.auto_exit = true});
  const auto capture = std::make_shared<int>();
  const ImmediateId id = must(loop.set_immediate([] { ADD_FAILURE(); },
                                                 [capture] {
                                                   ADD_FAILURE();
                                                   return true;
                                                 }));
  must(loop.cancel(id));
  EXPECT_EQ(capture.use_count(), 1);
  must(loop.run());
}

TEST(LivenessPredicate, MayScheduleAndCancel) {  // L43
  Loop loop({.auto_exit = true});
  bool timer = false;
  bool task = false;
  bool remote_task = false;
  ImmediateId id;
  id = must(loop.set_immediate([] { ADD_FAILURE(); },
                               [&] {
                                 must(loop.set_timeout(0s, [&] { timer = true; }));
                                 must(loop.post([&] { task = true; }));
                                 must(loop.remote().post([&] { remote_task = true; }));
                                 must(loop.cancel(id));  // and with it this predicate
                                 return false;
                               }));
  must(loop.run());
  EXPECT_TRUE(timer);
  EXPECT_TRUE(task);
  EXPECT_TRUE(remote_task);
}

TEST(LivenessPredicate, IsCountedWithWhatItHasAdded) {  // L43
  Loop loop;
  must(loop.set_immediate([] {},
                          [&] {
                            must(loop.remote().queue_microtask([] {}));
                            return false;
                          }));
  EXPECT_TRUE(loop.is_alive());
}

TEST(LivenessPredicate, EachKindOfWorkThatItAddsAbortsTheExit) {  // L43
  const std::vector<std::function<Result<void>(Loop&, Task)>> kinds{
      [](Loop& loop, Task task) { return loop.post(std::move(task)); },
      [](Loop& loop, Task task) { return loop.queue_microtask(std::move(task)); },
      [](Loop& loop, Task task) { return loop.remote().queue_microtask(std::move(task)); },
      [](Loop& loop, Task task) { return loop.remote().set_immediate(std::move(task)); },
      [](Loop& loop, Task task) -> Result<void> {
        must(loop.set_timeout(0s, std::move(task)));
        return {};
      }};
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    Loop loop({.auto_exit = true});
    bool asked = false;
    bool ran = false;
    must(loop.set_immediate([] {},
                            [&] {
                              if (!std::exchange(asked, true)) must(kinds[i](loop, [&] { ran = true; }));
                              return false;
                            }));
    must(loop.run());
    EXPECT_TRUE(ran) << i;
  }
}

TEST(LivenessPredicate, ThatChangesItsMindAfterTheLastNoChangesNothing) {  // L43
  Loop loop({.auto_exit = true});
  bool wanted = false;
  must(loop.set_immediate([] { ADD_FAILURE(); }, [&] { return wanted; }));
  QuiescenceProbe probe;
  loop.attach(probe);
  must(loop.run());
  wanted = true;
  EXPECT_EQ(probe.end, LoopEnd::auto_exit);
}

TEST(LivenessPredicate, ThatFailsSaysNo) {  // L44
  std::vector<CallbackKind> failures;
  Loop loop(
      {.auto_exit = true, .on_callback_error = [&](const Error&, CallbackKind kind) { failures.push_back(kind); }});
  bool ran = false;
  must(loop.set_immediate([] { ADD_FAILURE(); }, []() -> bool { throw std::runtime_error("it failed"); }));
  EXPECT_FALSE(loop.is_alive());
  must(loop.run());
  EXPECT_FALSE(ran);
  ASSERT_FALSE(failures.empty());
  EXPECT_EQ(failures[0], CallbackKind::liveness);
}

TEST(LivenessPredicate, ThatFailsDoesNotSilenceTheOthers) {  // L44
  Loop loop({.auto_exit = true});
  int ran = 0;
  must(loop.set_immediate([&] { ++ran; }, []() -> bool { throw std::runtime_error("it failed"); }));
  must(loop.set_immediate([&] { ++ran; }, [] { return true; }));
  must(loop.run());
  EXPECT_EQ(ran, 2) << "the loop turns, and both are due";
}

TEST(LivenessPredicate, IsAskedOnTheLoopsThreadAlone) {  // L44
  Loop loop({.auto_exit = true});
  Remote remote = loop.remote();
  std::thread::id owner;
  int asked = 0;
  must(loop.set_immediate([] {},
                          [&] {
                            EXPECT_EQ(std::this_thread::get_id(), owner);
                            ++asked;
                            // Others may talk to the loop meanwhile; they are not answered by asking.
                            std::thread([&] { static_cast<void>(remote.unref(TimerId(), 1ms)); }).join();
                            return asked < 3;
                          }));
  std::thread runner([&] {
    owner = std::this_thread::get_id();
    must(loop.run());
  });
  runner.join();
  EXPECT_GT(asked, 0);
}

TEST(LivenessPredicate, EmptyOnesAreRefused) {  // L146
  Loop loop;
  EXPECT_THROW(static_cast<void>(loop.set_immediate([] {}, UniqueFunction<bool()>())), std::logic_error);
  EXPECT_FALSE(loop.is_alive());
}

// --- The handler that is asked before the exit ---

TEST(QuiescenceHandler, MayKeepTheLoopRunning) {  // L41
  int asked = 0;
  Loop loop({.auto_exit = true, .on_quiescent = [&] { return ++asked < 3; }});
  must(loop.run());
  EXPECT_EQ(asked, 3);
}

TEST(QuiescenceHandler, MayAddWork) {  // L41 L40
  Loop* self = nullptr;
  int asked = 0;
  bool ran = false;
  Loop loop({.auto_exit = true, .on_quiescent = [&] {
               if (++asked == 1) must(self->set_timeout(0s, [&] { ran = true; }));
               return false;
             }});
  self = &loop;
  must(loop.run());
  EXPECT_TRUE(ran);
  EXPECT_EQ(asked, 2);
}

TEST(QuiescenceHandler, ThatFailsSaysNoAndBindingsAreStillAsked) {  // L41
  std::vector<CallbackKind> failures;
  Loop loop({.auto_exit = true,
             .on_callback_error = [&](const Error&, CallbackKind kind) { failures.push_back(kind); },
             .on_quiescent = []() -> bool { throw std::runtime_error("it failed"); }});
  QuiescenceProbe probe;
  int asked = 0;
  probe.quiescent = [&] { ++asked; };
  loop.attach(probe);
  must(loop.run());
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(failures, std::vector<CallbackKind>{CallbackKind::quiescence});
}

TEST(QuiescenceHandler, IsNotAskedWhenTheEndWasAskedFor) {  // L41
  Loop loop({.auto_exit = true, .on_quiescent = [] {
               ADD_FAILURE();
               return true;
             }});
  must(loop.post([&] { must(loop.shutdown()); }));
  must(loop.run());
}

}  // namespace
}  // namespace gyre
