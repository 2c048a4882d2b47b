#include <algorithm>
#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/promise/abort.h>
#include <gyre/promise/internal/test_support.h>
#include <gyre/promise/timers.h>
#include <gyre/promise/work.h>

namespace gyre {
namespace {

using testing::must;
using testing::some_error;
using namespace std::chrono_literals;

class Abort : public testing::PromiseTest {
 protected:
  void listen(const AbortSignal& signal, std::string name) {
    signal.on_abort([this, name](const Reason&) { says(name); }).release();
  }
};

TEST_F(Abort, P84_TheFirstCallCounts) {
  const AbortController controller;
  const AbortSignal signal = controller.signal();
  EXPECT_TRUE(signal == controller.signal());
  EXPECT_FALSE(signal.aborted());
  EXPECT_FALSE(signal.reason());
  listen(signal, "handler");
  controller.abort(some_error("first"));
  controller.abort(some_error("second"));
  EXPECT_TRUE(signal.aborted());
  EXPECT_EQ(signal.reason()->message(), "first");
  EXPECT_EQ(log_, Lines{"handler"});
}

TEST_F(Abort, P85_HandlersRunInOrderEachOnceAndTheFirstFailureComesOut) {
  const AbortController controller;
  const AbortSignal signal = controller.signal();
  auto first = signal.on_abort([&](const Reason&) {
    says("1");
    listen(signal, "3");
    throw std::runtime_error("of 1");
  });
  auto second = signal.on_abort([&](const Reason&) {
    says("2");
    throw std::runtime_error("of 2");
  });
  listen(signal, "4");
  try {
    controller.abort();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const std::runtime_error& e) {
    EXPECT_STREQ(e.what(), "of 1");
  }
  EXPECT_EQ(log_, (Lines{"1", "2", "4", "3"}));
  EXPECT_EQ(signal.handler_count(), 0u);
}

TEST_F(Abort, P86_ThreadsThatRegisterAndReadWhileItIsAborted) {
  const AbortController controller;
  std::atomic<int> calls = 0;
  std::atomic<int> without_reason = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 100; ++i) {
      threads.emplace_back([&] { controller.signal().on_abort([&](const Reason&) { ++calls; }).release(); });
      threads.emplace_back([&] {
        while (!controller.signal().aborted()) std::this_thread::yield();
        if (!controller.signal().reason()) ++without_reason;
      });
    }
    controller.abort();
  }
  EXPECT_EQ(calls, 100);
  EXPECT_EQ(without_reason, 0);
}

TEST_F(Abort, P87_ThrowIfAborted) {
  const AbortController controller;
  EXPECT_NO_THROW(controller.signal().throw_if_aborted());
  controller.abort(std::out_of_range("own"));
  EXPECT_THROW(controller.signal().throw_if_aborted(), std::out_of_range);
  const AbortController plain;
  plain.abort();
  EXPECT_TRUE(plain.signal().reason()->is(std::errc::operation_canceled));
  EXPECT_TRUE(*plain.signal().reason() == *plain.signal().reason());
}

TEST_F(Abort, OnASignalThatIsAbortedAHandlerRunsAtOnce) {
  const AbortController controller;
  controller.abort();
  listen(controller.signal(), "at once");
  EXPECT_EQ(log_, Lines{"at once"});
  EXPECT_THROW(static_cast<void>(controller.signal().on_abort([](const Reason&) { throw 1; })), int);
  static_cast<void>(controller.signal().on_abort(nullptr));
}

TEST_F(Abort, V16_ARegistrationTakesItsHandlerBack) {
  const AbortController controller;
  int live = 0;
  {
    const auto registration =
        controller.signal().on_abort([this, c = testing::Counted(live)](const Reason&) { says("never"); });
    EXPECT_EQ(live, 1);
  }
  EXPECT_EQ(live, 0);
  AbortRegistration self;
  self = controller.signal().on_abort([&](const Reason&) {
    self.remove();
    says("once");
  });
  controller.abort();
  EXPECT_EQ(log_, Lines{"once"});
}

TEST_F(Abort, V16_RemovalWaitsForAHandlerThatRunsElsewhere) {
  const AbortController controller;
  std::atomic<bool> running = false;
  std::atomic<bool> go_on = false;
  std::atomic<bool> finished = false;
  auto registration = controller.signal().on_abort([&](const Reason&) {
    running = true;
    while (!go_on) std::this_thread::yield();
    finished = true;
  });
  std::jthread aborter([&] { controller.abort(); });
  while (!running) std::this_thread::yield();
  std::jthread releaser([&] { go_on = true; });
  registration.remove();
  EXPECT_TRUE(finished);
}

TEST_F(Abort, P88_AnyFollowsTheFirstToAbort) {
  const AbortController a;
  const AbortController b;
  EXPECT_FALSE(AbortSignal::any({}).aborted());
  const AbortSignal signal = AbortSignal::any({a.signal(), b.signal(), a.signal()});
  const AbortSignal nested = AbortSignal::any({signal});
  EXPECT_EQ(a.signal().dependent_count(), 1u);
  listen(a.signal(), "source");
  listen(nested, "nested");
  listen(signal, "any");
  auto check = a.signal().on_abort([&](const Reason&) { EXPECT_TRUE(nested.aborted()); });
  a.abort(some_error("a"));
  b.abort(some_error("b"));
  EXPECT_EQ(log_, (Lines{"nested", "any", "source"}));
  EXPECT_EQ(signal.reason()->message(), "a");
  EXPECT_EQ(nested.reason()->message(), "a");
  EXPECT_EQ(b.signal().dependent_count(), 0u);
}

TEST_F(Abort, P88_AnAbortedSourceLeavesTheLaterOnesUntouched) {
  const AbortController a;
  const AbortController b;
  a.abort(some_error("a"));
  const AbortSignal signal = AbortSignal::any({a.signal(), b.signal()});
  EXPECT_TRUE(signal.aborted());
  EXPECT_EQ(b.signal().dependent_count(), 0u);
}

TEST_F(Abort, P88_TenSourcesAbortAtOnceAndOneWins) {
  for (int round = 0; round < 50; ++round) {
    std::vector<AbortController> controllers(10);
    std::vector<AbortSignal> signals;
    for (const auto& controller : controllers) signals.push_back(controller.signal());
    const AbortSignal any = AbortSignal::any(signals);
    std::atomic<int> calls = 0;
    any.on_abort([&](const Reason&) { ++calls; }).release();
    {
      std::vector<std::jthread> threads;
      for (const auto& controller : controllers) threads.emplace_back([controller] { controller.abort(); });
    }
    EXPECT_EQ(calls, 1);
  }
}

TEST_F(Abort, P104_ADroppedCompositeLeavesItsSourcesAlsoWhileTheySettle) {
  for (int round = 0; round < 256; ++round) {
    const AbortController source;
    std::jthread aborter([source] { source.abort(); });
    {
      const AbortSignal any = AbortSignal::any({source.signal()});
    }
  }
  const AbortController source;
  {
    const AbortSignal any = AbortSignal::any({source.signal()});
  }
  EXPECT_EQ(source.signal().dependent_count(), 0u);
}

TEST_F(Abort, P89_ATimeoutFires) {
  ManualClock clock(ManualClock::Mode::automatic);
  Loop loop({.auto_exit = true, .clock = &clock});
  const auto controller = must(AbortController::timeout(loop, 50ms));
  const auto owner = std::this_thread::get_id();
  auto handler = controller.signal().on_abort([&](const Reason& reason) {
    EXPECT_TRUE(reason.is(std::errc::timed_out));
    EXPECT_EQ(std::this_thread::get_id(), owner);
    says("timed out");
  });
  must(loop.run());
  EXPECT_EQ(log_, Lines{"timed out"});
}

TEST_F(Abort, P89_AbortedByHandItsTimerHoldsNothingUp) {
  ManualClock clock(ManualClock::Mode::automatic);
  Loop loop({.auto_exit = true, .clock = &clock});
  const auto start = clock.now();
  const auto controller = must(AbortController::timeout(loop, 1h));
  must(loop.post([&] { controller.abort(some_error("by hand")); }));
  must(loop.run());
  EXPECT_EQ(clock.now(), start);
  EXPECT_EQ(controller.signal().reason()->message(), "by hand");
}

TEST_F(Abort, P89_MisuseAndTheEndOfTheLoop) {
  EXPECT_THROW(static_cast<void>(AbortController::timeout(loop_, -1ms)), std::invalid_argument);
  const auto early = must(AbortController::timeout(loop_, 1h));
  must(loop_.close());
  EXPECT_FALSE(early.signal().aborted());
  early.abort();
  EXPECT_TRUE(early.signal().aborted());
  EXPECT_TRUE(testing::fails_with(AbortController::timeout(loop_, 1ms), Errc::terminated));
}

TEST_F(Abort, P89_LosingCallsSeeTheReasonWithoutWaitingForHandlers) {
  const AbortController controller;
  std::atomic<bool> blocked = false;
  std::atomic<bool> release = false;
  auto handler = controller.signal().on_abort([&](const Reason&) {
    blocked = true;
    while (!release) std::this_thread::yield();
  });
  std::jthread winner([&] { controller.abort(some_error("winner")); });
  while (!blocked) std::this_thread::yield();
  {
    std::vector<std::jthread> losers;
    for (int i = 0; i < 8; ++i) {
      losers.emplace_back([&] {
        controller.abort(some_error("loser"));
        EXPECT_EQ(controller.signal().reason()->message(), "winner");
      });
    }
  }
  release = true;
}

TEST_F(Abort, StopTokensBothWays) {
  const auto source = std::make_unique<std::stop_source>();
  const AbortController from_token(source->get_token());
  const auto token = from_token.signal().stop_token();
  EXPECT_FALSE(token.stop_requested());
  source->request_stop();
  EXPECT_TRUE(from_token.signal().aborted());
  EXPECT_TRUE(token.stop_requested());
  EXPECT_TRUE(AbortController(source->get_token()).signal().aborted());
}

TEST_F(Abort, UnlessAbortedRejectsWithTheReasonOfTheSignal) {
  const AbortController controller;
  run([&] {
    auto [promise, resolver] = Promise<int>::with_resolver(loop_);
    unless_aborted(promise, controller.signal()).catch_([&](const Error& e) {
      says(e.message());
      return 0;
    });
    must(loop_.post([&, resolver] { controller.abort(some_error("enough")); }));
  });
  EXPECT_EQ(log_, Lines{"enough"});
}

TEST_F(Abort, P102_AbortingOffLoadedWorkThroughNestedControllers) {
  const AbortController parent;
  const AbortController child;
  int propagated = 0;
  parent.signal()
      .on_abort([&](const Reason& reason) {
        ++propagated;
        child.abort(reason);
      })
      .release();
  std::atomic<bool> started = false;
  run([&] {
    offload(loop_, [&, token = child.signal().stop_token()] {
      started = true;
      while (!token.stop_requested()) std::this_thread::yield();
      throw std::runtime_error("cancelled work");
    }).catch_([&](const Error& e) { says(e.message()); });
    while (!started) std::this_thread::yield();
    parent.abort(some_error("the reason"));
    parent.abort();
  });
  EXPECT_EQ(log_, Lines{"cancelled work"});
  EXPECT_EQ(propagated, 1);
  EXPECT_EQ(child.signal().reason()->message(), "the reason");
}

TEST_F(Abort, P103_AThousandHandlersInOrder) {
  const AbortController controller;
  std::vector<int> order;
  for (int i = 0; i < 1000; ++i) {
    controller.signal().on_abort([&order, i](const Reason&) { order.push_back(i); }).release();
  }
  controller.abort();
  ASSERT_EQ(order.size(), 1000u);
  EXPECT_TRUE(std::ranges::is_sorted(order));
  EXPECT_EQ(controller.signal().handler_count(), 0u);
}

}  // namespace
}  // namespace gyre
