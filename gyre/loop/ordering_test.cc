#include <string>

#include <gtest/gtest.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

// The order of phases, of what is queued within a phase, and where checkpoints fall between callbacks.

namespace gyre {
namespace {

using namespace testing;

class Ordering : public ::testing::Test {
 protected:
  Task note(std::string word) {
    return [this, word = std::move(word)] { log += word + " "; };
  }
  ManualClock clock;
  Loop loop{LoopOptions{.clock = &clock}};
  std::string log;
};

TEST_F(Ordering, WhatIsQueuedBeforeTheFirstRun) {  // L48 L106
  must(loop.post(note("task")));
  must(loop.post_priority(note("priority")));
  must(loop.next_tick(note("tick")));
  must(loop.queue_microtask(note("microtask")));
  must(loop.at_checkpoint_end(note("end")));
  must(loop.set_immediate(note("immediate")));
  must(loop.set_timeout(0s, note("timer")));
  must(loop.poll_once());
  EXPECT_EQ(log, "priority tick microtask end timer immediate task ");
}

TEST_F(Ordering, ThePhasesOfATurn) {
  Pipe pipe;
  pipe.send();
  must(loop.poll_once());
  log.clear();
  const Watcher watcher = must(loop.watch(pipe.read_end(), Readiness::read, [&](Readiness) {
    static_cast<void>(pipe.receive());
    log += "descriptor ";
  }));
  must(loop.set_timeout(1ms, note("timer")));
  clock.advance(1ms);
  must(loop.poll_once());  // the timer was armed outside any turn; nothing hinders it
  EXPECT_EQ(log, "descriptor timer ");
  log.clear();
  must(loop.set_timeout(1ms, note("timer")));
  clock.advance(1ms);
  pipe.send();
  must(loop.post(note("task")));
  must(loop.post_priority(note("priority")));
  must(loop.post_close(note("close")));
  must(loop.set_immediate(note("immediate")));
  must(loop.queue_microtask(note("microtask")));
  must(loop.poll_once());
  EXPECT_EQ(log, "microtask descriptor immediate close timer priority task ");
}

TEST_F(Ordering, ATaskPostedInATaskWaitsForTheNextTurn) {
  must(loop.post([&] {
    log += "a ";
    must(loop.post(note("c")));
  }));
  must(loop.post(note("b")));
  must(loop.poll_once());
  EXPECT_EQ(log, "a b ");
  must(loop.poll_once());
  EXPECT_EQ(log, "a b c ");
}

TEST_F(Ordering, ATaskPostedBeforeTheTaskPhaseRunsInTheSameTurn) {
  must(loop.poll_once());
  must(loop.set_immediate([&] { must(loop.post(note("task"))); }));
  must(loop.poll_once());
  EXPECT_EQ(log, "task ");
}

TEST_F(Ordering, ATaskThatPostsItselfLetsAllOtherPhasesThrough) {  // L49
  int left = 1000;
  std::function<void()> again = [&] {
    if (--left > 0) must(loop.post(again));
    if (left == 500) {
      must(loop.set_timeout(0s, note("timer")));
      must(loop.set_immediate(note("immediate")));
      must(loop.queue_microtask([&] { log += "microtask" + std::to_string(left) + " "; }));
    }
    if (left == 498) log += "498 ";
  };
  must(loop.post(again));
  while (left > 0) must(loop.poll_once());
  EXPECT_EQ(log, "microtask500 immediate timer 498 ");
  EXPECT_EQ(loop.stats().turns, 1000u);
}

TEST_F(Ordering, AllTasksQueuedAtOnceRunInOnePhase) {  // L50
  int ran = 0;
  for (int i = 0; i < 5000; ++i) {
    must(loop.post([&, i] {
      EXPECT_EQ(ran, i);
      ++ran;
    }));
  }
  must(loop.poll_once());
  EXPECT_EQ(ran, 5000);
  EXPECT_EQ(loop.stats().turns, 1u);
}

TEST_F(Ordering, ACloseCallbackQueuedByOneRunsNextTurnWithoutASleep) {  // L52
  must(loop.post_close([&] {
    log += "first ";
    must(loop.post_close(note("second")));
  }));
  must(loop.run_once());
  EXPECT_EQ(log, "first ");
  must(loop.run_once());
  EXPECT_EQ(log, "first second ");
  EXPECT_EQ(loop.stats().sleeps, 0u);
}

TEST_F(Ordering, AMicrotaskRunsBetweenTwoTasksOfAPhase) {  // L54
  must(loop.post([&] {
    log += "A ";
    must(loop.queue_microtask(note("M")));
  }));
  must(loop.post(note("B")));
  must(loop.poll_once());
  EXPECT_EQ(log, "A M B ");
}

TEST_F(Ordering, AMicrotaskRunsBetweenTwoTimersOfAPhase) {  // L55
  must(loop.poll_once());
  must(loop.set_timeout(5ms, [&] {
    log += "T1 ";
    must(loop.queue_microtask(note("M")));
  }));
  must(loop.set_timeout(5ms, note("T2")));
  clock.advance(5ms);
  must(loop.poll_once());
  EXPECT_EQ(log, "T1 M T2 ");
}

TEST_F(Ordering, AMicrotaskRunsBetweenTwoDescriptorsOfABatch) {  // L56
  Pipe a;
  Pipe b;
  a.send();
  b.send();
  const auto watch = [&](Pipe& pipe) {
    return must(loop.watch(pipe.read_end(), Readiness::read, [&](Readiness) {
      static_cast<void>(pipe.receive());
      log += "F ";
      must(loop.queue_microtask(note("M")));
    }));
  };
  const Watcher first = watch(a);
  const Watcher second = watch(b);
  must(loop.poll_once());
  EXPECT_EQ(log, "F M F M ");
}

TEST_F(Ordering, AMicrotaskRunsBetweenImmediatesCloseCallbacksAndPriorityTasks) {
  const auto with_microtask = [&](std::string word) {
    return [this, word] {
      log += word + " ";
      must(loop.queue_microtask(note("M")));
    };
  };
  must(loop.poll_once());
  must(loop.set_immediate(with_microtask("i")));
  must(loop.set_immediate(with_microtask("i")));
  must(loop.post_close(with_microtask("c")));
  must(loop.post_close(with_microtask("c")));
  must(loop.post_priority(with_microtask("p")));
  must(loop.post_priority(with_microtask("p")));
  must(loop.poll_once());
  EXPECT_EQ(log, "i M i M c M c M p M p M ");
}

TEST_F(Ordering, PriorityTasksGoFirst) {  // L57
  for (int turn = 0; turn < 3; ++turn) {
    must(loop.post(note("task")));
    must(loop.post_priority(note("priority")));
    must(loop.poll_once());
  }
  EXPECT_EQ(log, "priority task priority task priority task ");
}

TEST_F(Ordering, APriorityTaskPostedInOneWaitsForTheNextTurn) {
  must(loop.poll_once());
  must(loop.post_priority([&] {
    log += "p1 ";
    must(loop.post_priority(note("p2")));
  }));
  must(loop.post(note("task")));
  must(loop.poll_once());
  must(loop.poll_once());
  EXPECT_EQ(log, "p1 task p2 ");
}

TEST_F(Ordering, APostThatReturnedElsewhereComesBeforeOneThatStartsHere) {  // L58
  Remote remote = loop.remote();
  must(loop.post(note("here1")));
  std::thread([&] {
    must(remote.post(note("there2")));
    must(remote.post_priority(note("there-priority1")));
  }).join();
  must(loop.post(note("here3")));
  must(loop.post_priority(note("here-priority2")));
  must(remote.post(note("4")));
  must(loop.poll_once());
  EXPECT_EQ(log, "there-priority1 here-priority2 here1 there2 here3 4 ");
}

}  // namespace
}  // namespace gyre
