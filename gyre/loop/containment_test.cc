#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre {
namespace {

using namespace testing;

struct Failure {
  CallbackKind kind;
  std::string message;
};

class Containment : public ::testing::Test {
 protected:
  static void fail_now() { throw std::runtime_error("it failed"); }
  std::vector<Failure> failures;
  ManualClock clock;
  Loop loop{LoopOptions{.clock = &clock, .on_callback_error = [this](const Error& error, CallbackKind kind) {
                          failures.push_back({kind, error.message()});
                        }}};
};

TEST_F(Containment, EveryKindOfCallbackMayFailAndIsReportedOnce) {  // L135
  Pipe pipe;
  pipe.send();
  const Watcher watcher = must(loop.watch(pipe.read_end(), Readiness::read, [&](Readiness) {
    static_cast<void>(pipe.receive());
    fail_now();
  }));
  must(loop.post(fail_now));
  must(loop.post_priority(fail_now));
  must(loop.post_close(fail_now));
  must(loop.next_tick(fail_now));
  must(loop.queue_microtask(fail_now));
  must(loop.at_checkpoint_end(fail_now));
  must(loop.set_immediate(fail_now));
  must(loop.set_timeout(0s, fail_now));
  must(loop.poll_once());
  std::vector<CallbackKind> kinds;
  for (const Failure& failure : failures) {
    kinds.push_back(failure.kind);
    EXPECT_NE(failure.message.find("it failed"), std::string::npos) << failure.message;
  }
  EXPECT_EQ(kinds,
            (std::vector<CallbackKind>{CallbackKind::priority_task, CallbackKind::next_tick, CallbackKind::microtask,
                                       CallbackKind::checkpoint_end, CallbackKind::timer, CallbackKind::watcher,
                                       CallbackKind::immediate, CallbackKind::close, CallbackKind::task}));
  EXPECT_EQ(loop.stats().failed_callbacks, 9u);
  EXPECT_EQ(loop.stats().callbacks, 9u);
  bool goes_on = false;
  must(loop.post([&] { goes_on = true; }));
  must(loop.poll_once());
  EXPECT_TRUE(goes_on);
}

TEST_F(Containment, AFailingMicrotaskDoesNotStopTheOthers) {  // L69
  int ran = 0;
  must(loop.queue_microtask([&] { ++ran; }));
  must(loop.queue_microtask(fail_now));
  must(loop.queue_microtask([&] { ++ran; }));
  must(loop.poll_once());
  EXPECT_EQ(ran, 2);
}

TEST_F(Containment, AnythingCanBeThrown) {
  must(loop.post([] { throw 42; }));
  must(loop.post([] { throw "text"; }));
  must(loop.post([] { throw ErrorException(Error(Errc::not_found, "kept as it was")); }));
  must(loop.poll_once());
  ASSERT_EQ(failures.size(), 3u);
  EXPECT_EQ(failures[2].message, "kept as it was");
}

TEST_F(Containment, MisuseInsideACallbackIsItsFailure) {
  must(loop.post([&] { static_cast<void>(loop.post({})); }));
  must(loop.poll_once());
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(failures[0].kind, CallbackKind::task);
}

TEST_F(Containment, AFailingCallbacksCheckpointStillRuns) {
  bool ran = false;
  must(loop.post([&] {
    must(loop.queue_microtask([&] { ran = true; }));
    fail_now();
  }));
  must(loop.post([&] { EXPECT_TRUE(ran); }));
  must(loop.poll_once());
  EXPECT_TRUE(ran);
}

TEST_F(Containment, FailuresInTheDrainAreContained) {
  must(loop.post(fail_now));
  must(loop.set_immediate(fail_now));
  bool last = false;
  must(loop.post([&] { last = true; }));
  must(loop.shutdown());
  must(loop.run());
  EXPECT_EQ(failures.size(), 2u);
  EXPECT_TRUE(last);
}

TEST(ContainmentOfTheHandler, WhatItThrowsIsDropped) {  // L136
  int calls = 0;
  Loop loop({.auto_exit = true, .on_callback_error = [&](const Error&, CallbackKind) {
               ++calls;
               throw std::runtime_error("the handler fails too");
             }});
  must(loop.post([] { throw 1; }));
  must(loop.post([] { throw 2; }));
  must(loop.run());
  EXPECT_EQ(calls, 2);
}

TEST(ContainmentOfTheHandler, IsNotCalledFromItself) {  // L136
  int calls = 0;
  Loop* loop_pointer = nullptr;
  Loop loop({.auto_exit = true, .on_callback_error = [&](const Error&, CallbackKind) {
               ++calls;
               must(loop_pointer->queue_microtask([] { throw 2; }));
               if (calls == 1) loop_pointer->run_checkpoint();
               if (calls > 3) must(loop_pointer->shutdown());
             }});
  loop_pointer = &loop;
  must(loop.post([] { throw 1; }));
  static_cast<void>(loop.poll_once());
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(loop.stats().failed_callbacks, 2u);
}

TEST(ContainmentOfTheHandler, MayUseTheLoop) {  // L136
  std::string log;
  Loop* loop_pointer = nullptr;
  Loop loop({.on_callback_error = [&](const Error&, CallbackKind) {
    EXPECT_TRUE(fails_with(loop_pointer->close(), Errc::reentrant_close));
    must(loop_pointer->post([&] { log += "posted "; }));
    must(loop_pointer->shutdown());
  }});
  loop_pointer = &loop;
  must(loop.post([] { throw 1; }));
  must(loop.run());
  EXPECT_EQ(log, "posted ");
}

TEST(ContainmentOfTheHandler, WithoutOneTheLoopGoesOnSilently) {
  Loop loop({.auto_exit = true});
  must(loop.post([] { throw 1; }));
  must(loop.run());
  EXPECT_EQ(loop.stats().failed_callbacks, 1u);
}

struct FailingBinding final : LoopBinding {
  bool run_ticks() override { return false; }
  bool run_microtasks() override { return false; }
  bool finish_checkpoint() override { throw std::runtime_error("finish"); }
  void on_quiescent() override { throw std::runtime_error("quiescent"); }
  void on_terminated(LoopEnd) override { throw std::runtime_error("terminated"); }
};

TEST(ContainmentOfABinding, ItsFailuresAreReported) {
  std::string log;
  FailingBinding binding;
  Loop loop({.auto_exit = true,
             .on_callback_error = [&](const Error& error, CallbackKind) { log += error.message() + " "; }});
  loop.attach(binding);
  must(loop.run());
  EXPECT_NE(log.find("finish"), std::string::npos);
  EXPECT_NE(log.find("quiescent"), std::string::npos);
  EXPECT_NE(log.find("terminated"), std::string::npos);
}

}  // namespace
}  // namespace gyre
