#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre {
namespace {

using namespace testing;
using Limit = BatchExcess::Limit;

class BatchLimit : public ::testing::Test {
 protected:
  LoopOptions options(BatchLimits batch, BatchLimits checkpoint = {}, bool auto_exit = false) {
    return {.auto_exit = auto_exit,
            .clock = &clock,
            .batch_limits = batch,
            .checkpoint_limits = checkpoint,
            .on_batch_excess = [this](const BatchExcess& excess) { excesses.push_back(excess); }};
  }
  Task note(std::string word) {
    return [this, word = std::move(word)] { log += word + " "; };
  }
  void expect_excess(std::size_t index, CallbackKind kind, Limit limit, std::size_t callbacks, std::size_t left) {
    ASSERT_LT(index, excesses.size());
    EXPECT_EQ(excesses[index].kind, kind) << to_string(excesses[index].kind);
    EXPECT_EQ(excesses[index].limit, limit);
    EXPECT_EQ(excesses[index].callbacks, callbacks);
    EXPECT_EQ(excesses[index].left, left);
  }
  ManualClock clock;
  std::vector<BatchExcess> excesses;
  std::string log;
};

TEST_F(BatchLimit, CutsTasksAndKeepsTheirOrder) {
  Loop loop(options({.max_callbacks = 3}));
  for (const char* word : {"1", "2", "3", "4", "5", "6", "7"}) must(loop.post(note(word)));
  must(loop.poll_once());
  EXPECT_EQ(log, "1 2 3 ");
  must(loop.set_immediate(note("immediate")));
  must(loop.set_timeout(0s, note("timer")));
  must(loop.poll_once());
  EXPECT_EQ(log, "1 2 3 immediate timer 4 5 6 ");
  must(loop.poll_once());
  EXPECT_EQ(log, "1 2 3 immediate timer 4 5 6 7 ");
  ASSERT_EQ(excesses.size(), 2u) << "exactly as many as are allowed is no excess";
  expect_excess(0, CallbackKind::task, Limit::callbacks, 3, 4);
  expect_excess(1, CallbackKind::task, Limit::callbacks, 3, 1);
  EXPECT_EQ(loop.stats().cut_batches, 2u);
}

TEST_F(BatchLimit, HoldsForEveryKindOfBatch) {
  Loop loop(options({.max_callbacks = 1}));
  must(loop.poll_once());  // the start is behind it, where priority tasks come first
  must(loop.post_priority(note("p1")));
  must(loop.post_priority(note("p2")));
  must(loop.set_immediate(note("i1")));
  must(loop.set_immediate(note("i2")));
  must(loop.post_close(note("c1")));
  must(loop.post_close(note("c2")));
  must(loop.poll_once());
  must(loop.set_immediate(note("i3")));
  must(loop.poll_once());
  must(loop.poll_once());
  EXPECT_EQ(log, "i1 c1 p1 i2 c2 p2 i3 ");
  ASSERT_EQ(excesses.size(), 4u);
  expect_excess(0, CallbackKind::immediate, Limit::callbacks, 1, 1);
  expect_excess(1, CallbackKind::close, Limit::callbacks, 1, 1);
  expect_excess(2, CallbackKind::priority_task, Limit::callbacks, 1, 1);
  expect_excess(3, CallbackKind::immediate, Limit::callbacks, 1, 1);
}

TEST_F(BatchLimit, IsNotExceededByImmediatesThatWereCancelledMeanwhile) {
  Loop loop(options({.max_callbacks = 3}));
  std::vector<ImmediateId> rest;
  must(loop.set_immediate([&] {
    for (const ImmediateId id : rest) must(loop.cancel(id));
    must(loop.set_immediate(note("next turn")));
  }));
  for (int i = 0; i < 5; ++i) rest.push_back(must(loop.set_immediate([] { ADD_FAILURE(); })));
  must(loop.poll_once());
  EXPECT_TRUE(excesses.empty());
}

TEST_F(BatchLimit, OfTimeLetsATimerBeLateByTheLimitAndOneTaskAtMost) {  // wish 33
  Loop loop(options({.max_time = 100ms}));
  int ran = 0;
  for (int i = 0; i < 100'000; ++i) {
    must(loop.post([&] {
      ++ran;
      clock.advance(1ms);
    }));
  }
  const TimePoint deadline = clock.now() + 10ms;
  TimePoint fired;
  must(loop.set_timeout_at(deadline, [&] {
    fired = clock.now();
    must(loop.shutdown());
  }));
  must(loop.run());
  EXPECT_LE(fired - deadline, 101ms);
  EXPECT_EQ(ran, 100'000) << "the drain runs the rest";
  expect_excess(0, CallbackKind::task, Limit::time, 100, 99'900);
}

TEST_F(BatchLimit, OfTimeLetsOneCallbackRunHoweverLongItTakes) {
  Loop loop(options({.max_time = 1ns}));
  for (const char* word : {"1", "2"}) {
    must(loop.post([this, word] {
      log += word;
      clock.advance(1h);
    }));
  }
  must(loop.poll_once());
  EXPECT_EQ(log, "1");
  must(loop.poll_once());
  EXPECT_EQ(log, "12");
}

TEST_F(BatchLimit, OfTimeLetsOneCallbackRunEvenIfTheTimeIsUpBefore) {
  // Each look at this clock takes a millisecond.
  struct SlowClock final : Clock {
    mutable TimePoint time{1h};
    TimePoint now() const noexcept override { return time += 1ms; }
    Duration time_until(TimePoint) const noexcept override { return Duration::zero(); }
  } slow;
  Loop loop({.clock = &slow, .batch_limits = {.max_time = 1ns}});
  for (int i = 0; i < 3; ++i) must(loop.post(note("task")));
  for (int i = 0; i < 3; ++i) must(loop.poll_once());
  EXPECT_EQ(log, "task task task ");
}

TEST_F(BatchLimit, NeitherTheEndNorAShutdownLeavesAnythingBehind) {
  for (const bool auto_exit : {false, true}) {
    Loop loop(options({.max_callbacks = 2}, {.max_callbacks = 2}, auto_exit));
    int ran = 0;
    for (int i = 0; i < 50; ++i) {
      must(loop.post([&] { ++ran; }));
      must(loop.post_priority([&] { ++ran; }));
      must(loop.set_immediate([&] { ++ran; }));
      must(loop.post_close([&] { ++ran; }));
      must(loop.next_tick([&] { ++ran; }));
      must(loop.queue_microtask([&] { ++ran; }));
      must(loop.at_checkpoint_end([&] { ++ran; }));
    }
    if (!auto_exit) must(loop.shutdown());
    must(loop.run());
    EXPECT_EQ(ran, 350);
    if (!auto_exit) {
      EXPECT_TRUE(excesses.empty()) << "there is no next turn to leave it to";
    }
  }
}

TEST_F(BatchLimit, OfACheckpointLetsTimersHaveTheirTurn) {
  Loop loop(options({}, {.max_callbacks = 10}));
  bool timer = false;
  int ran = 0;
  std::function<void()> chain = [&] {
    ++ran;
    if (!timer) must(loop.queue_microtask(chain));  // without a limit, this would go on for ever
  };
  must(loop.queue_microtask(chain));
  must(loop.poll_once());
  must(loop.set_timeout(0s, [&] { timer = true; }));
  for (int i = 0; i < 10 && !timer; ++i) must(loop.poll_once());
  EXPECT_TRUE(timer);
  ASSERT_FALSE(excesses.empty());
  expect_excess(0, CallbackKind::microtask, Limit::callbacks, 10, 1);
  while (must(loop.poll_once())) {
  }
  EXPECT_GT(ran, 10);
}

TEST_F(BatchLimit, OfACheckpointHoldsForItsEndToo) {
  Loop loop(options({}, {.max_callbacks = 10}));
  bool timer = false;
  int ran = 0;
  std::function<void()> chain = [&] {
    if (!timer && ++ran < 1'000) must(loop.at_checkpoint_end(chain));
  };
  must(loop.at_checkpoint_end(chain));
  must(loop.set_timeout(0s, [&] { timer = true; }));
  for (int i = 0; i < 5; ++i) must(loop.poll_once());
  EXPECT_TRUE(timer);
  ASSERT_FALSE(excesses.empty());
  expect_excess(0, CallbackKind::checkpoint_end, Limit::callbacks, 10, 1);
  EXPECT_LT(ran, 100);
}

TEST_F(BatchLimit, OfACheckpointMayBeOneOfTime) {
  Loop loop(options({}, {.max_time = 10ms}));
  must(loop.poll_once());  // the start is behind it, which has a checkpoint of its own
  for (int i = 0; i < 25; ++i) {
    must(loop.queue_microtask([&] {
      log += "m";
      clock.advance(1ms);
    }));
  }
  must(loop.poll_once());
  EXPECT_EQ(log, std::string(20, 'm')) << "two checkpoints, of ten callbacks each";
  must(loop.poll_once());
  EXPECT_EQ(log, std::string(25, 'm'));
  ASSERT_EQ(excesses.size(), 2u);
  expect_excess(0, CallbackKind::microtask, Limit::time, 10, 15);
}

TEST_F(BatchLimit, ACutCheckpointKeepsTheLoopAwakeAndInOrder) {
  Loop loop(options({}, {.max_callbacks = 1}, true));
  must(loop.next_tick([&] {
    log += "tick ";
    must(loop.next_tick(note("second")));
  }));
  must(loop.queue_microtask(note("microtask")));
  must(loop.at_checkpoint_end(note("end")));
  must(loop.set_timeout(1h, [&] { ADD_FAILURE(); }, false));
  must(loop.run());
  EXPECT_EQ(log, "tick second microtask end ");
}

TEST_F(BatchLimit, AHandlerThatFailsIsContained) {
  int failures = 0;
  Loop loop({.clock = &clock,
             .on_callback_error =
                 [&](const Error&, CallbackKind kind) {
                   EXPECT_EQ(kind, CallbackKind::pressure);
                   ++failures;
                 },
             .batch_limits = {.max_callbacks = 1},
             .on_batch_excess = [](const BatchExcess&) { throw std::runtime_error("it failed"); }});
  for (int i = 0; i < 3; ++i) must(loop.post([] {}));
  while (must(loop.poll_once())) {
  }
  EXPECT_EQ(failures, 2);
}

TEST_F(BatchLimit, AHandlerMayUseTheLoop) {
  Loop* self = nullptr;
  Loop loop({.clock = &clock, .batch_limits = {.max_callbacks = 1}, .on_batch_excess = [&](const BatchExcess&) {
               must(self->post(note("posted")));
             }});
  self = &loop;
  for (const char* word : {"1", "2"}) must(loop.post(note(word)));
  for (int i = 0; i < 3; ++i) must(loop.poll_once());
  EXPECT_EQ(log.substr(0, 11), "1 2 posted ");
}

TEST_F(BatchLimit, ACloseIsNoExcess) {
  Loop loop(options({.max_callbacks = 3}, {.max_callbacks = 3}));
  std::thread closer;
  must(loop.post([&] {
    closer = std::thread([remote = loop.remote()]() mutable { must(remote.close()); });
    ASSERT_TRUE(eventually([&] { return loop.state() == LoopState::terminating; }));
  }));
  for (int i = 0; i < 10; ++i) must(loop.post([] { ADD_FAILURE(); }));
  must(loop.run());
  closer.join();
  EXPECT_TRUE(excesses.empty());
}

TEST_F(BatchLimit, NegativeTimesAreRefused) {
  EXPECT_THROW(Loop({.batch_limits = {.max_time = -1ns}}), std::invalid_argument);
  EXPECT_THROW(Loop({.checkpoint_limits = {.max_time = -1ns}}), std::invalid_argument);
}

TEST_F(BatchLimit, LimitsHaveNames) {
  EXPECT_EQ(to_string(Limit::callbacks), "callbacks");
  EXPECT_EQ(to_string(Limit::time), "time");
}

}  // namespace
}  // namespace gyre
