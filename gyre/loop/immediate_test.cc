#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre {
namespace {

using namespace testing;

class Immediate : public ::testing::Test {
 protected:
  Task note(std::string word) {
    return [this, word = std::move(word)] { log += word + " "; };
  }
  ManualClock clock;
  Loop loop{LoopOptions{.clock = &clock}};
  std::string log;
};

TEST_F(Immediate, OneSetInAnotherRunsNextTurnBeforeATimerNotYetDue) {  // L51
  must(loop.poll_once());
  must(loop.set_timeout(1ms, note("timer")));
  must(loop.set_immediate([&] {
    log += "first ";
    must(loop.set_immediate(note("second")));
  }));
  must(loop.run_once());
  EXPECT_EQ(log, "first ");
  must(loop.run_once());
  clock.advance(1ms);
  must(loop.run_once());
  EXPECT_EQ(log, "first second timer ");
  EXPECT_EQ(loop.stats().sleeps, 0u);
}

TEST_F(Immediate, RunInTheOrderTheyWereSet) {
  for (int i = 0; i < 300; ++i) must(loop.set_immediate(note(std::to_string(i))));
  must(loop.poll_once());
  std::string expected;
  for (int i = 0; i < 300; ++i) expected += std::to_string(i) + " ";
  EXPECT_EQ(log, expected);
}

TEST_F(Immediate, CancelledByAnEarlierOneOfTheSameBatchDoesNotRun) {  // L100
  ImmediateId second;
  must(loop.set_immediate([&] {
    must(loop.cancel(second));
    EXPECT_TRUE(fails_with(loop.cancel(second), Errc::immediate_not_found));
  }));
  second = must(loop.set_immediate([] { ADD_FAILURE(); }));
  must(loop.set_immediate(note("third")));
  must(loop.poll_once());
  EXPECT_EQ(log, "third ");
}

TEST_F(Immediate, CannotCancelItself) {  // L100
  ImmediateId self;
  self = must(loop.set_immediate([&] {
    EXPECT_TRUE(fails_with(loop.cancel(self), Errc::immediate_not_found));
    log += "ran ";
  }));
  must(loop.poll_once());
  EXPECT_EQ(log, "ran ");
}

TEST_F(Immediate, UnknownIdsAreNotFound) {
  EXPECT_TRUE(fails_with(loop.cancel(ImmediateId()), Errc::immediate_not_found));
  EXPECT_TRUE(fails_with(loop.cancel(ImmediateId(7, 0)), Errc::immediate_not_found));
  EXPECT_TRUE(fails_with(loop.cancel(ImmediateId(7, 100'000)), Errc::immediate_not_found));
  loop.ref(ImmediateId(7, 100'000));
  loop.unref(ImmediateId());
}

TEST_F(Immediate, AnOldIdNeverNamesANewOne) {
  const ImmediateId old = must(loop.set_immediate(note("old")));
  must(loop.cancel(old));
  const ImmediateId recent = must(loop.set_immediate(note("new")));
  EXPECT_EQ(recent.slot(), old.slot());  // the memory is used again, the name is not
  EXPECT_NE(recent, old);
  EXPECT_TRUE(fails_with(loop.cancel(old), Errc::immediate_not_found));
  must(loop.poll_once());
  EXPECT_EQ(log, "new ");
}

TEST_F(Immediate, CancellingDestroysTheCaptureAtOnce) {  // L143
  const ImmediateId id = must(loop.set_immediate([at_end = AtEnd([&] { log += "gone "; })] {}));
  must(loop.cancel(id));
  EXPECT_EQ(log, "gone ");
}

TEST_F(Immediate, CancellingOneWhoseCaptureCancelsAnother) {
  const ImmediateId inner = must(loop.set_immediate([] { ADD_FAILURE(); }));
  const ImmediateId outer = must(loop.set_immediate([at_end = AtEnd([&] {
                                                       must(loop.cancel(inner));
                                                       must(loop.set_immediate(note("new")));
                                                     })] { ADD_FAILURE(); }));
  must(loop.cancel(outer));
  must(loop.poll_once());
  EXPECT_EQ(log, "new ");
}

TEST_F(Immediate, ABatchCutShortByShutdownKeepsItsOrder) {
  must(loop.poll_once());
  for (int i = 0; i < 3; ++i) {
    must(loop.set_immediate([&, i] {
      log += std::to_string(i) + " ";
      if (i == 0) {
        must(loop.set_immediate(note("later")));
        must(loop.shutdown());
      }
    }));
  }
  must(loop.run());
  EXPECT_EQ(log, "0 1 2 later ");
}

TEST_F(Immediate, UnrefdWithoutOtherWorkNeverRuns) {  // L42
  Loop exiting({.auto_exit = true});
  must(exiting.set_immediate([] { ADD_FAILURE(); }, false));
  const ImmediateId later = must(exiting.set_immediate([] { ADD_FAILURE(); }));
  exiting.unref(later);
  exiting.unref(later);
  EXPECT_FALSE(exiting.is_alive());
  must(exiting.run());
}

TEST_F(Immediate, RefdKeepsTheLoopAliveUntilItHasRun) {  // L42
  Loop exiting({.auto_exit = true});
  const ImmediateId id = must(exiting.set_immediate(note("ran"), false));
  exiting.ref(id);
  exiting.ref(id);
  EXPECT_TRUE(exiting.is_alive());
  must(exiting.run());
  EXPECT_EQ(log, "ran ");
}

TEST_F(Immediate, UnrefdRunsIfTheLoopStillTurns) {
  must(loop.set_immediate(note("unref'd"), false));
  must(loop.poll_once());
  EXPECT_EQ(log, "unref'd ");
}

}  // namespace
}  // namespace gyre
