#include <functional>
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

/// Writes down what it is told.
class Recorder final : public LoopObserver {
 public:
  void on_schedule(CallbackKind kind, std::uint64_t id) override { add("schedule", kind, id); }
  void on_cancel(CallbackKind kind, std::uint64_t id) override { add("cancel", kind, id); }
  void on_ingress(std::size_t tasks) override { lines.push_back("ingress " + std::to_string(tasks)); }
  void on_callback_start(CallbackKind kind, std::uint64_t id) override {
    add("start", kind, id);
    if (at_start) at_start();
  }
  void on_callback_end(CallbackKind kind, std::uint64_t id, bool failed) override {
    add(failed ? "failed" : "end", kind, id);
  }
  void on_turn(const QueueDepths& given) override { depths.push_back(given); }
  void on_wait_start(Duration timeout) override { waits.push_back(timeout); }
  void on_wait_end(std::size_t) override { ++waits_ended; }
  void on_diagnostic(const Diagnostic& diagnostic) override { diagnostics.push_back(diagnostic); }

  std::vector<std::string> lines;
  std::vector<QueueDepths> depths;
  std::vector<Duration> waits;
  std::size_t waits_ended = 0;
  std::vector<Diagnostic> diagnostics;
  std::function<void()> at_start;

 private:
  void add(std::string what, CallbackKind kind, std::uint64_t id) {
    lines.push_back(std::move(what) + " " + std::string(to_string(kind)) + (id != 0 ? " " + std::to_string(id) : ""));
  }
};

using Lines = std::vector<std::string>;

class Observed : public ::testing::Test {
 protected:
  Observed() { loop.add_observer(recorder); }
  ManualClock clock;
  Recorder recorder;
  Loop loop{LoopOptions{.clock = &clock}};
};

TEST_F(Observed, EachCallbackFromItsSchedulingToItsEnd) {
  must(loop.poll_once());
  const TimerId timer = must(loop.set_timeout(0s, [] {}));
  const ImmediateId immediate = must(loop.set_immediate([] { throw std::runtime_error("it failed"); }));
  must(loop.post([&] { must(loop.queue_microtask([] {})); }));
  must(loop.poll_once());
  const std::string timer_id = std::to_string(timer.value());
  const std::string immediate_id = std::to_string(immediate.value());
  EXPECT_EQ(recorder.lines, (Lines{"schedule timer " + timer_id, "schedule immediate " + immediate_id, "schedule task",
                                   "start immediate " + immediate_id, "failed immediate " + immediate_id,
                                   "start timer " + timer_id, "end timer " + timer_id, "start task",
                                   "schedule microtask", "end task", "start microtask", "end microtask"}));
}

TEST_F(Observed, WhatIsCancelled) {
  const TimerId timer = must(loop.set_timeout(1h, [] {}));
  const ImmediateId immediate = must(loop.set_immediate([] {}));
  recorder.lines.clear();
  must(loop.cancel(timer));
  must(loop.cancel(immediate));
  static_cast<void>(loop.cancel(timer));
  static_cast<void>(loop.cancel(immediate));
  EXPECT_EQ(recorder.lines, (Lines{"cancel timer " + std::to_string(timer.value()),
                                   "cancel immediate " + std::to_string(immediate.value())}));
}

TEST_F(Observed, WhatOtherThreadsGiveWhenItIsTakenOver) {
  Remote remote = loop.remote();
  must(remote.post([] {}));
  must(remote.post_priority([] {}));
  must(remote.queue_microtask([] {}));
  const TimerId timer = must(remote.set_timeout(1h, [] {}));
  must(remote.request_cancel(timer));
  EXPECT_TRUE(recorder.lines.empty());
  static_cast<void>(loop.is_alive());
  const std::string id = std::to_string(timer.value());
  EXPECT_EQ(recorder.lines, (Lines{"ingress 2", "schedule microtask", "schedule timer " + id, "cancel timer " + id}));
}

TEST_F(Observed, QueueDepthsAtTheBeginningOfATurn) {
  must(loop.poll_once());
  must(loop.post([] {}));
  must(loop.remote().post([] {}));
  must(loop.post_priority([] {}));
  must(loop.set_immediate([] {}));
  must(loop.post_close([] {}));
  must(loop.set_timeout(1h, [] {}));
  must(loop.poll_once());
  ASSERT_EQ(recorder.depths.size(), 2u);
  EXPECT_EQ(recorder.depths[0].tasks, 0u);
  const QueueDepths& depths = recorder.depths[1];
  EXPECT_EQ(depths.tasks, 2u);
  EXPECT_EQ(depths.priority_tasks, 1u);
  EXPECT_EQ(depths.immediates, 1u);
  EXPECT_EQ(depths.close_callbacks, 1u);
  EXPECT_EQ(depths.timers, 1u);
}

TEST(ObservedWaits, BeginAndEnd) {
  for (const FastPath mode : {FastPath::automatic, FastPath::disabled}) {
    Recorder recorder;
    Loop loop({.auto_exit = true, .fast_path = mode});
    loop.add_observer(recorder);
    must(loop.set_timeout(5ms, [] {}));
    must(loop.run());
    ASSERT_FALSE(recorder.waits.empty());
    EXPECT_GT(recorder.waits[0], 0ms);
    EXPECT_LE(recorder.waits[0], 5ms);
    EXPECT_EQ(recorder.waits.size(), recorder.waits_ended);
  }
}

TEST_F(Observed, AFailureOfANestedCheckpointIsNotTheCallbacksOwn) {
  must(loop.post([&] {
    must(loop.queue_microtask([] { throw std::runtime_error("it failed"); }));
    loop.run_checkpoint();
  }));
  recorder.lines.clear();
  must(loop.poll_once());
  EXPECT_EQ(recorder.lines,
            (Lines{"start task", "schedule microtask", "start microtask", "failed microtask", "end task"}));
}

TEST_F(Observed, AnObserverThatFailsHarmsNobody) {
  struct Failing final : LoopObserver {
    int calls = 0;
    void on_callback_start(CallbackKind, std::uint64_t) override {
      ++calls;
      throw std::runtime_error("it failed");
    }
    void on_turn(const QueueDepths&) override { throw 7; }
  } failing;
  loop.add_observer(failing);
  Recorder last;
  loop.add_observer(last);
  bool ran = false;
  must(loop.post([&] { ran = true; }));
  must(loop.poll_once());
  EXPECT_TRUE(ran);
  EXPECT_EQ(failing.calls, 1);
  EXPECT_EQ(last.lines, recorder.lines) << "those behind it are told all the same";
  EXPECT_EQ(loop.stats().failed_callbacks, 0u);
  must(loop.close());
}

TEST_F(Observed, WhatAnObserverDoesIsNotReported) {
  recorder.at_start = [&] {
    recorder.at_start = nullptr;
    must(loop.post([] {}));
    must(loop.cancel(must(loop.set_timeout(1h, [] {}))));
  };
  must(loop.post([] {}));
  must(loop.poll_once());
  must(loop.poll_once());
  EXPECT_EQ(recorder.lines, (Lines{"schedule task", "start task", "end task", "start task", "end task"}));
}

TEST_F(Observed, AnObserverThatLeavesDoesNotHideACallFromTheNext) {
  Recorder next;
  Recorder last;
  loop.add_observer(next);
  loop.add_observer(last);
  recorder.at_start = [&] { loop.remove_observer(recorder); };
  next.at_start = [&] {
    loop.remove_observer(recorder);  // no longer there
    loop.remove_observer(last);
  };
  must(loop.post([] {}));
  must(loop.post([] {}));
  recorder.lines = next.lines = last.lines = {};
  must(loop.poll_once());
  EXPECT_EQ(recorder.lines, (Lines{"start task"}));
  EXPECT_EQ(next.lines, (Lines{"start task", "end task", "start task", "end task"}));
  EXPECT_TRUE(last.lines.empty()) << "it left before it was its turn";
  must(loop.close());
}

TEST_F(Observed, AnObserverThatIsAddedIsToldFromTheNextCallOn) {
  Recorder added;
  recorder.at_start = [&] {
    recorder.at_start = nullptr;
    loop.add_observer(added);
  };
  must(loop.post([] {}));
  must(loop.post([] {}));
  must(loop.poll_once());
  EXPECT_EQ(added.lines, (Lines{"end task", "start task", "end task"}));
  must(loop.close());
}

TEST_F(Observed, AnObserverMayLeaveAndComeBackInOneCall) {
  recorder.at_start = [&] {
    recorder.at_start = nullptr;
    loop.remove_observer(recorder);
    loop.add_observer(recorder);
  };
  must(loop.post([] {}));
  recorder.lines.clear();
  must(loop.poll_once());
  EXPECT_EQ(recorder.lines, (Lines{"start task", "end task"}));
}

TEST_F(Observed, NobodyIsAddedTwice) {
  EXPECT_THROW(loop.add_observer(recorder), std::logic_error);
  loop.remove_observer(recorder);
  loop.remove_observer(recorder);
  must(loop.post([] {}));
  must(loop.poll_once());
  EXPECT_TRUE(recorder.lines.empty());
  loop.add_observer(recorder);
}

TEST_F(Observed, TheEndForgetsItsObservers) {
  must(loop.close());
  const auto lines = recorder.lines;
  EXPECT_TRUE(fails_with(loop.post([] {}), Errc::terminated));
  EXPECT_EQ(recorder.lines, lines);
  loop.add_observer(recorder);  // it is not there any more
}

TEST_F(Observed, AFloodOfMicrotasksIsToldOncePerCheckpoint) {  // L68
  constexpr int kFlood = 100'000;
  for (const int count : {kFlood, kFlood + 1}) {
    recorder.diagnostics.clear();
    int ran = 0;
    for (int i = 0; i < count; ++i) must(loop.queue_microtask([&] { ++ran; }));
    must(loop.poll_once());
    EXPECT_EQ(ran, count);
    ASSERT_EQ(recorder.diagnostics.size(), count > kFlood ? 1u : 0u);
  }
  EXPECT_EQ(recorder.diagnostics[0].severity, Severity::error);
  EXPECT_EQ(recorder.diagnostics[0].event, "microtask_flood");
}

TEST_F(Observed, AFloodOfEveryKindIsOne) {  // L68
  constexpr int kFlood = 100'000;
  int ran = 0;
  for (int i = 0; i < kFlood / 2; ++i) must(loop.next_tick([&] { ++ran; }));
  for (int i = 0; i < 100; ++i) must(loop.queue_microtask([&] { ++ran; }));
  std::function<void()> chain = [&] {
    if (++ran < kFlood + 1'000) must(loop.at_checkpoint_end(chain));
  };
  must(loop.at_checkpoint_end(chain));
  must(loop.poll_once());
  EXPECT_EQ(ran, kFlood + 1'000);
  EXPECT_EQ(recorder.diagnostics.size(), 1u);
}

TEST(ObservedLimits, ABatchThatIsCutIsWarnedOfOnce) {
  ManualClock clock;
  Recorder recorder;
  Loop loop({.clock = &clock, .batch_limits = {.max_callbacks = 1}});
  loop.add_observer(recorder);
  for (int i = 0; i < 5; ++i) must(loop.post([] {}));
  while (must(loop.poll_once())) {
  }
  ASSERT_EQ(recorder.diagnostics.size(), 1u);
  EXPECT_EQ(recorder.diagnostics[0].severity, Severity::warning);
  EXPECT_EQ(recorder.diagnostics[0].event, "batch_limit");
}

TEST(ObservedNames, AreThere) {
  EXPECT_EQ(to_string(Severity::debug), "debug");
  EXPECT_EQ(to_string(Severity::critical), "critical");
  EXPECT_EQ(to_string(static_cast<Severity>(99)), "unknown");
}

TEST(LoopId, IsItsOwn) {
  Loop a;
  Loop b;
  EXPECT_LT(a.id(), b.id());
}

}  // namespace
}  // namespace gyre
