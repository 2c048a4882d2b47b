#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre {
namespace {

using namespace testing;

class YieldedCheckpoint : public ::testing::Test {
 protected:
  Task note(std::string word) {
    return [this, word = std::move(word)] { log += word + " "; };
  }
  /// A microtask that puts the rest of its checkpoint off, and three behind it.
  void queue_microtasks(int yields = 1) {
    must(loop.queue_microtask([this, yields] {
      log += "m1 ";
      for (int i = 0; i < yields; ++i) must(loop.yield_checkpoint());
    }));
    for (const char* word : {"m2", "m3", "m4"}) must(loop.queue_microtask(note(word)));
  }
  ManualClock clock;
  Loop loop{LoopOptions{.clock = &clock}};
  std::string log;
};

TEST_F(YieldedCheckpoint, GoesOnAtTheNextTask) {  // L71
  queue_microtasks();
  must(loop.post(note("task")));
  must(loop.post(note("task2")));
  must(loop.poll_once());
  EXPECT_EQ(log, "m1 task m2 m3 m4 task2 ");
}

TEST_F(YieldedCheckpoint, GoesOnAtTheNextImmediate) {  // L71
  must(loop.poll_once());
  queue_microtasks();
  must(loop.set_timeout(0s, note("timer")));
  must(loop.set_immediate(note("immediate")));
  must(loop.poll_once());
  must(loop.poll_once());
  EXPECT_EQ(log, "m1 immediate m2 m3 m4 timer ");
}

TEST_F(YieldedCheckpoint, GoesOnAtTheNextTaskNotAtATimer) {  // L71
  must(loop.poll_once());
  must(loop.set_timeout(0s, note("timer")));
  queue_microtasks();
  must(loop.poll_once());
  must(loop.post(note("task")));
  must(loop.poll_once());
  EXPECT_EQ(log.substr(0, 3), "m1 ");
  EXPECT_NE(log.find("task m2 m3 m4"), std::string::npos) << log;
}

TEST_F(YieldedCheckpoint, TwiceIsOnce) {  // L71
  queue_microtasks(2);
  must(loop.post(note("task")));
  must(loop.poll_once());
  EXPECT_EQ(log, "m1 task m2 m3 m4 ");
}

TEST_F(YieldedCheckpoint, GoesOnBeforeTheLoopWouldSleep) {  // L71
  ManualClock automatic(ManualClock::Mode::automatic);
  Loop sleeper({.auto_exit = true, .clock = &automatic});
  must(sleeper.set_timeout(1h, note("timer")));
  must(sleeper.queue_microtask([&] {
    log += "m1 ";
    must(sleeper.yield_checkpoint());
  }));
  must(sleeper.queue_microtask(note("m2")));
  must(sleeper.run());
  EXPECT_EQ(log, "m1 m2 timer ");
}

TEST_F(YieldedCheckpoint, GoesOnWhenNobodyEverSleeps) {  // L71
  queue_microtasks();
  must(loop.set_timeout(1h, [] { ADD_FAILURE(); }));
  for (int i = 0; i < 3; ++i) must(loop.poll_once());
  EXPECT_EQ(log, "m1 m2 m3 m4 ");
}

TEST_F(YieldedCheckpoint, KeepsTheLoopAlive) {  // L71
  Loop exiting({.auto_exit = true, .clock = &clock});
  bool alive = false;
  must(exiting.queue_microtask([&] {
    must(exiting.yield_checkpoint());
    alive = exiting.is_alive();
  }));
  must(exiting.run());
  EXPECT_TRUE(alive);
  // Even with nothing left to go on with.
  must(loop.yield_checkpoint());
  EXPECT_TRUE(loop.is_alive());
  must(loop.resume_checkpoint());
  EXPECT_FALSE(loop.is_alive());
}

TEST_F(YieldedCheckpoint, BelongsToTheLoopsThread) {  // L71
  std::optional<Runner> runner(std::in_place, loop);
  ASSERT_TRUE(falls_asleep(loop.remote()));
  EXPECT_THROW(static_cast<void>(loop.yield_checkpoint()), std::logic_error);
  EXPECT_THROW(static_cast<void>(loop.advance_checkpoint()), std::logic_error);
  EXPECT_THROW(static_cast<void>(loop.resume_checkpoint()), std::logic_error);
  EXPECT_THROW(loop.run_checkpoint(), std::logic_error);
  must(loop.remote().shutdown());
  runner.reset();
  EXPECT_TRUE(fails_with(loop.yield_checkpoint(), Errc::terminated));
  EXPECT_TRUE(fails_with(loop.advance_checkpoint(), Errc::terminated));
  EXPECT_TRUE(fails_with(loop.resume_checkpoint(), Errc::terminated));
}

TEST_F(YieldedCheckpoint, IsNotPutOffByTheFinalDrain) {  // L71
  must(loop.post([&] {
    must(loop.queue_microtask([&] {
      log += "m1 ";
      EXPECT_TRUE(fails_with(loop.yield_checkpoint(), Errc::terminated));
    }));
    must(loop.queue_microtask(note("m2")));
    must(loop.set_immediate(note("immediate")));
    must(loop.yield_checkpoint());  // before the end is decided
    must(loop.shutdown());
  }));
  must(loop.run());
  EXPECT_EQ(log, "m1 m2 immediate ");
}

TEST_F(YieldedCheckpoint, AdvanceEndsOnePuttingOffAndTheNextRunsACheckpoint) {  // L72
  must(loop.post([&] {
    must(loop.yield_checkpoint());
    must(loop.queue_microtask(note("m1")));
    loop.run_checkpoint();
    EXPECT_EQ(log, "") << "a checkpoint asked for respects the putting-off";
    const std::uint64_t callbacks = loop.stats().callbacks;
    must(loop.advance_checkpoint());
    EXPECT_EQ(log, "");
    EXPECT_EQ(loop.stats().callbacks, callbacks);
    must(loop.advance_checkpoint());
    EXPECT_EQ(log, "m1 ");
    EXPECT_EQ(loop.stats().callbacks, callbacks + 1) << "of the microtask alone";
    must(loop.advance_checkpoint());
    EXPECT_EQ(loop.stats().callbacks, callbacks + 1);
  }));
  must(loop.poll_once());
  EXPECT_EQ(log, "m1 ");
}

TEST_F(YieldedCheckpoint, ResumeGoesOnAtOnce) {  // L72
  must(loop.post([&] {
    must(loop.yield_checkpoint());
    must(loop.queue_microtask(note("m1")));
    must(loop.resume_checkpoint());
    EXPECT_EQ(log, "m1 ");
    must(loop.queue_microtask(note("m2")));
    must(loop.resume_checkpoint());
    EXPECT_EQ(log, "m1 m2 ");
  }));
  must(loop.poll_once());
}

TEST_F(YieldedCheckpoint, MayBeResumedByTheSameCheckpoint) {  // L72
  must(loop.queue_microtask([&] {
    must(loop.yield_checkpoint());
    must(loop.resume_checkpoint());
    log += "m1 ";
  }));
  must(loop.queue_microtask([&] {
    must(loop.yield_checkpoint());
    must(loop.advance_checkpoint());
    log += "m2 ";
  }));
  must(loop.queue_microtask(note("m3")));
  must(loop.post(note("task")));
  must(loop.poll_once());
  EXPECT_EQ(log, "m1 m2 m3 task ");
}

TEST_F(YieldedCheckpoint, TheStepsOfAHostCountNothing) {  // L72
  must(loop.yield_checkpoint());
  must(loop.advance_checkpoint());
  must(loop.resume_checkpoint());
  loop.run_checkpoint();
  EXPECT_EQ(loop.stats().callbacks, 0u);
}

}  // namespace
}  // namespace gyre
