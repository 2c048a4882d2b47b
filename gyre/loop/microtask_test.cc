#include <algorithm>
#include <deque>
#include <functional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre {
namespace {

using namespace testing;

class Microtask : public ::testing::Test {
 protected:
  Task note(std::string word) {
    return [this, word = std::move(word)] { log += word + " "; };
  }
  /// Runs one checkpoint of what `prepare` queues.
  void in_task(Task prepare) {
    must(loop.post(std::move(prepare)));
    must(loop.poll_once());
  }
  ManualClock clock;
  Loop loop{LoopOptions{.clock = &clock}};
  std::string log;
};

TEST_F(Microtask, TicksComeBeforeMicrotasks) {  // L60
  in_task([&] {
    must(loop.next_tick(note("tick1")));
    must(loop.queue_microtask(note("microtask")));
    must(loop.next_tick(note("tick2")));
  });
  EXPECT_EQ(log, "tick1 tick2 microtask ");
}

TEST_F(Microtask, ATickQueuedByAMicrotaskWaitsForTheBatch) {  // L61
  in_task([&] {
    must(loop.queue_microtask([&] {
      log += "1 ";
      must(loop.next_tick(note("N")));
      must(loop.queue_microtask(note("3")));
    }));
    must(loop.queue_microtask(note("2")));
  });
  EXPECT_EQ(log, "1 2 3 N ");
}

TEST_F(Microtask, TicksQueuedByTicksComeBeforeMicrotasks) {  // L62
  int depth = 0;
  std::function<void()> tick = [&] {
    if (++depth < 100) must(loop.next_tick(tick));
  };
  in_task([&] {
    must(loop.queue_microtask([&] { EXPECT_EQ(depth, 100); }));
    must(loop.next_tick(tick));
  });
  EXPECT_EQ(depth, 100);
}

TEST_F(Microtask, AnEndOfCheckpointCallbackLetsMicrotasksGoFirst) {  // L65
  in_task([&] {
    must(loop.at_checkpoint_end([&] {
      log += "end1 ";
      must(loop.at_checkpoint_end(note("end3")));
      must(loop.queue_microtask(note("microtask")));
      must(loop.next_tick(note("tick")));
    }));
    must(loop.at_checkpoint_end(note("end2")));
  });
  EXPECT_EQ(log, "end1 tick microtask end2 end3 ");
}

TEST_F(Microtask, AChainNeitherGrowsTheStackNorLetsATaskIn) {  // L66
  int depth = 0;
  std::function<void()> link = [&] {
    if (++depth < 100'000) must(loop.queue_microtask(link));
  };
  must(loop.post([&] { must(loop.queue_microtask(link)); }));
  must(loop.post([&] { EXPECT_EQ(depth, 100'000); }));
  must(loop.poll_once());
  EXPECT_EQ(depth, 100'000);
}

TEST_F(Microtask, NestedOnesRunInOrderBeforeATimer) {  // L67
  must(loop.set_timeout(0s, note("timer")));
  must(loop.queue_microtask([&] {
    log += "outer1 ";
    must(loop.queue_microtask([&] {
      log += "n1a ";
      must(loop.queue_microtask(note("deep")));
    }));
    must(loop.queue_microtask(note("n1b")));
  }));
  must(loop.queue_microtask(note("outer2")));
  must(loop.poll_once());
  EXPECT_EQ(log, "outer1 outer2 n1a n1b deep timer ");
}

TEST_F(Microtask, OneQueuedInTheLastPhaseRunsBeforeTheLoopExits) {  // L47
  Loop exiting({.auto_exit = true});
  must(exiting.post([&] { must(exiting.queue_microtask([&] { must(exiting.next_tick(note("last"))); })); }));
  must(exiting.run());
  EXPECT_EQ(log, "last ");
}

TEST_F(Microtask, CheckpointsDoNotNest) {
  in_task([&] {
    must(loop.queue_microtask([&] {
      log += "a( ";
      must(loop.queue_microtask(note("b")));
      loop.run_checkpoint();
      log += ")a ";
    }));
  });
  EXPECT_EQ(log, "a( )a b ");
}

TEST_F(Microtask, ATaskMayAskForACheckpoint) {
  in_task([&] {
    must(loop.queue_microtask(note("microtask")));
    loop.run_checkpoint();
    log += "after ";
  });
  EXPECT_EQ(log, "microtask after ");
}

TEST_F(Microtask, ACheckpointMayBeAskedForBeforeTheFirstRun) {
  must(loop.queue_microtask([&] {
    EXPECT_TRUE(fails_with(loop.run(), Errc::reentrant_run));
    EXPECT_TRUE(fails_with(loop.close(), Errc::reentrant_close));
    log += "ran ";
  }));
  loop.run_checkpoint();
  EXPECT_EQ(log, "ran ");
  EXPECT_EQ(loop.state(), LoopState::awake);
}

TEST_F(Microtask, ThatAsksForShutdownBeforeTheFirstRunReturns) {
  bool accepted_ran = false;
  must(loop.post([&] { accepted_ran = true; }));
  must(loop.queue_microtask([&] { must(loop.remote().shutdown()); }));
  loop.run_checkpoint();
  must(loop.run());
  EXPECT_TRUE(accepted_ran);
}

TEST_F(Microtask, CapturesAreDestroyedWhenItHasRun) {  // L142
  in_task([&] {
    must(loop.queue_microtask([this, at_end = AtEnd([&] { log += "destroyed "; })] { log += "ran "; }));
    must(loop.queue_microtask(note("next")));
  });
  EXPECT_EQ(log, "ran destroyed next ");
}

TEST_F(Microtask, ADyingCaptureMayQueueMore) {
  in_task([&] {
    must(loop.queue_microtask([at_end = AtEnd([&] { must(loop.queue_microtask(note("from destructor"))); })] {}));
  });
  EXPECT_EQ(log, "from destructor ");
  log.clear();
  in_task([this, at_end = AtEnd([&] { must(loop.queue_microtask(note("from a task's"))); })] { log += "task "; });
  must(loop.poll_once());
  EXPECT_EQ(log, "task from a task's ");
}

// --- With a language runtime's queues ---

struct FakeRuntime final : LoopBinding {
  std::deque<std::function<void()>> ticks;
  std::deque<std::function<void()>> microtasks;
  std::function<bool()> finish = [] { return false; };

  static bool run_all(std::deque<std::function<void()>>& queue) {
    bool any = false;
    for (; !queue.empty(); any = true) {
      const auto callback = std::move(queue.front());
      queue.pop_front();
      callback();
    }
    return any;
  }
  bool run_ticks() override { return run_all(ticks); }
  bool run_microtasks() override {
    run_all(microtasks);
    return !ticks.empty();
  }
  bool finish_checkpoint() override { return finish(); }
  void on_quiescent() override {}
  void on_terminated(LoopEnd) override {}
};

TEST_F(Microtask, ARuntimesTicksAllComeBeforeAnyMicrotask) {
  FakeRuntime runtime;
  loop.attach(runtime);
  in_task([&] {
    must(loop.queue_microtask(note("microtask")));
    runtime.ticks.push_back([&] {
      log += "js-tick ";
      must(loop.next_tick([&] {
        log += "tick ";
        runtime.ticks.push_back([&] { log += "js-tick2 "; });
      }));
    });
  });
  EXPECT_EQ(log, "js-tick tick js-tick2 microtask ");
  loop.detach(runtime);
}

TEST_F(Microtask, ARuntimesMicrotasksBelongToTheSameBatch) {
  FakeRuntime runtime;
  loop.attach(runtime);
  in_task([&] {
    must(loop.queue_microtask([&] {
      log += "m1 ";
      runtime.microtasks.push_back([&] {
        log += "js-m1 ";
        must(loop.next_tick(note("tick")));
        must(loop.queue_microtask([&] {
          log += "m2 ";
          runtime.microtasks.push_back([&] { log += "js-m2 "; });
        }));
      });
    }));
  });
  EXPECT_EQ(log, "m1 js-m1 m2 js-m2 tick ");
  loop.detach(runtime);
}

TEST_F(Microtask, ARuntimesMicrotaskMayQueueALoopTickAlone) {
  FakeRuntime runtime;
  loop.attach(runtime);
  in_task([&] { runtime.microtasks.push_back([&] { must(loop.next_tick(note("tick"))); }); });
  EXPECT_EQ(log, "tick ");
  loop.detach(runtime);
}

TEST_F(Microtask, ARuntimeFinishesTheCheckpointLastAndMayReopenIt) {
  FakeRuntime runtime;
  int asked = 0;
  runtime.finish = [&] {
    log += "finish ";
    if (++asked > 1) return false;
    runtime.ticks.push_back([&] { log += "js-tick "; });
    return true;
  };
  loop.attach(runtime);
  must(loop.at_checkpoint_end(note("end")));
  must(loop.queue_microtask(note("microtask")));
  loop.run_checkpoint();
  EXPECT_EQ(log, "microtask end finish js-tick finish ");
  loop.detach(runtime);
}

TEST_F(Microtask, ARuntimeMayDetachInItsOwnCallback) {
  FakeRuntime runtime;
  loop.attach(runtime);
  runtime.ticks.push_back([&] {
    log += "detached ";
    loop.detach(runtime);
  });
  loop.run_checkpoint();
  runtime.ticks.push_back([] { ADD_FAILURE(); });
  loop.run_checkpoint();
  EXPECT_EQ(log, "detached ");
}

TEST_F(Microtask, RoomCanBeMadeBeforehandAndWhileSomeAreQueued) {  // R26
  EXPECT_EQ(loop.microtask_capacity(), 0u);
  std::vector<int> order;
  for (int i = 0; i < 100; ++i) must(loop.queue_microtask([&order, i] { order.push_back(i); }));
  loop.resize_microtasks(50'000);
  EXPECT_GE(loop.microtask_capacity(), 50'000u);
  for (int i = 100; i < 200; ++i) must(loop.queue_microtask([&order, i] { order.push_back(i); }));
  loop.resize_microtasks(0);
  must(loop.poll_once());
  ASSERT_EQ(order.size(), 200u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  EXPECT_LE(loop.microtask_capacity(), 256u);
}

}  // namespace
}  // namespace gyre
