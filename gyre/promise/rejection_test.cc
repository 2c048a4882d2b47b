#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/promise/blocking_wait.h>
#include <gyre/promise/combinators.h>
#include <gyre/promise/internal/test_support.h>
#include <gyre/promise/promise.h>

// Rejections that nobody handles: who is told, when, how often, in which order.

namespace gyre {
namespace {

using testing::must;
using testing::some_error;

class Rejections : public testing::PromiseTest {
 protected:
  Promise<int> reject(std::string text) { return Promise<int>::rejected(promises_, some_error(std::move(text))); }

  Promises promises_{loop_,
                     {.on_unhandled_rejection = [this](const Reason& reason) { says(reason.message()); },
                      .on_rejection_handled = [this](const Reason& reason) { says("handled: " + reason.message()); }}};
};

TEST_F(Rejections, P60_ReportedOnceAfterTheCheckpointOnTheOwner) {
  run([&] {
    const auto owner = std::this_thread::get_id();
    promises_.options().on_unhandled_rejection = [this, owner](const Reason& reason) {
      EXPECT_EQ(std::this_thread::get_id(), owner);
      says(reason.message());
    };
    reject("a");
    must(loop_.queue_microtask(note("microtask")));
    must(loop_.next_tick(note("tick")));
    must(loop_.post(note("task")));
  });
  EXPECT_EQ(log_, (Lines{"tick", "microtask", "a", "task"}));
}

TEST_F(Rejections, P61_AHandlerInTheSameCheckpointSuppressesTheReport) {
  run([&] {
    reject("sync").catch_([] { return 0; });
    must(loop_.queue_microtask([p = reject("microtask")] { p.catch_([] { return 0; }); }));
    must(loop_.next_tick([p = reject("tick")] { p.catch_([] { return 0; }); }));
    must(loop_.queue_microtask(
        [this, p = reject("tick of a microtask")] { must(loop_.next_tick([p] { p.catch_([] { return 0; }); })); }));
  });
  EXPECT_TRUE(log_.empty());
}

TEST_F(Rejections, P62_V7_AHandlerInTheNextTaskComesTooLateAndIsNews) {
  run([&] {
    const auto late = reject("late");
    must(loop_.post([this, late] {
      says("next task");
      late.catch_([] { return 0; });
      late.catch_([] { return 0; });
    }));
  });
  EXPECT_EQ(log_, (Lines{"late", "next task", "handled: late"}));
}

TEST_F(Rejections, P63_AChainIsReportedAtItsEnd) {
  run([&] {
    reject("once").then([](int) {});
    reject("never").then([](int n) { return n; }).catch_([] { return 0; });
  });
  EXPECT_EQ(log_, Lines{"once"});
}

TEST_F(Rejections, P64_EachUnhandledBranchIsReported) {
  run([&] {
    const auto p = reject("branch");
    p.then([](int) {});
    p.then([](int) {});
    p.catch_([] { return 0; });
  });
  EXPECT_EQ(log_, (Lines{"branch", "branch"}));
}

TEST_F(Rejections, P65_ABranchOfAReportedPromiseIsNotReportedAgain) {
  run([&] {
    const auto p = reject("reported");
    must(loop_.post([this, p] {
      const auto branch = p.then([](int) {});
      must(loop_.post([branch] { branch.catch_([] {}); }));
    }));
  });
  EXPECT_EQ(log_, (Lines{"reported", "handled: reported"}));
}

TEST_F(Rejections, P66_FinallyPassesTheReportOn) {
  run([&] {
    const auto p = reject("source");
    p.finally(note("finally"));
  });
  EXPECT_EQ(log_, (Lines{"finally", "source"}));
}

TEST_F(Rejections, P67_V6_ReportsComeInTheOrderOfTheRejections) {
  Lines expected;
  run([&] {
    std::vector<PromiseWithResolver<int>> pairs;
    for (int i = 0; i < 10; ++i) pairs.push_back(Promise<int>::with_resolver(promises_));
    for (int i = 9; i >= 0; --i) {
      pairs[static_cast<std::size_t>(i)].resolver.reject(some_error(std::to_string(i)));
      expected.push_back(std::to_string(i));
    }
    EXPECT_EQ(promises_.unhandled(), 10u);
  });
  EXPECT_EQ(log_, expected);
}

TEST_F(Rejections, P68_AFailingHandlerDoesNotLoseTheOtherReports) {
  promises_.options().on_unhandled_rejection = [this](const Reason& reason) {
    says(reason.message());
    if (reason.message() == "0") throw std::runtime_error("the handler fails");
    must(loop_.queue_microtask(note("microtask")));
  };
  run([&] {
    for (int i = 0; i < 3; ++i) reject(std::to_string(i));
  });
  EXPECT_EQ(log_, (Lines{"0", "1", "microtask", "2", "microtask"}));
  ASSERT_EQ(callback_errors_.size(), 1u);
  EXPECT_EQ(callback_errors_[0].message(), "the handler fails");
}

TEST_F(Rejections, P69_ARejectionInTheHandlerIsReportedToo) {
  promises_.options().on_unhandled_rejection = [this](const Reason& reason) {
    says(reason.message());
    if (reason.message() == "first") reject("second");
  };
  run([&] { reject("first"); });
  EXPECT_EQ(log_, (Lines{"first", "second"}));
}

TEST_F(Rejections, P70_TicksOfMicrotasksComeBeforeTheReport) {
  run([&] {
    reject("report");
    must(loop_.queue_microtask([this] { must(loop_.next_tick(note("tick"))); }));
  });
  EXPECT_EQ(log_, (Lines{"tick", "report"}));
}

TEST_F(Rejections, P71_R34_TheTraceIsThereOnRequest) {
  std::size_t depth = 99;
  promises_.options().on_unhandled_rejection = [&](const Reason& reason) { depth = reason.trace().size(); };
  run([&] { reject("off"); });
  EXPECT_EQ(depth, 0u);
  Loop loop({.auto_exit = true});
  std::string text;
  Promises traced(loop, {.on_unhandled_rejection =
                             [&](const Reason& reason) {
                               depth = reason.trace().size();
                               text = reason.to_string();
                             },
                         .trace_depth = 3});
  must(loop.post([&] {
    auto p = Promise<int>::resolved(traced, 1);
    for (int i = 0; i < 5; ++i) p = p.then([](int n) { return n; });
    p.then([](int) { throw std::runtime_error("deep"); });
  }));
  must(loop.run());
  EXPECT_EQ(depth, 3u);
  EXPECT_NE(text.find("rejection_test.cc"), std::string::npos);
  EXPECT_EQ(text.substr(0, 4), "deep");
}

TEST_F(Rejections, P72_AfterTheEndNobodyIsTold) {
  auto [promise, resolver] = Promise<int>::with_resolver(promises_);
  run([] {});
  Promise<int>::rejected(promises_, some_error("late"));
  EXPECT_TRUE(log_.empty());
}

TEST_F(Rejections, P72_IsolatedReportsRunOnOtherThreadsOnceEach) {
  std::atomic<int> reports = 0;
  std::atomic<int> on_this_thread = 0;
  const auto here = std::this_thread::get_id();
  {
    Loop loop({.auto_exit = true});
    Promises promises(loop, {.on_unhandled_rejection =
                                 [&](const Reason&) {
                                   ++reports;
                                   if (std::this_thread::get_id() == here) ++on_this_thread;
                                 },
                             .late_rejections = LateRejections::isolated});
    must(loop.run());
    for (int i = 0; i < 100; ++i) Promise<int>::rejected(promises, some_error());
  }
  EXPECT_EQ(reports, 100);
  EXPECT_EQ(on_this_thread, 0);
}

TEST_F(Rejections, P73_CloseLeavesAScheduledCheckToTheFallback) {
  std::atomic<int> reports = 0;
  {
    Loop loop;
    Promises promises(loop, {.on_unhandled_rejection = [&](const Reason&) { ++reports; },
                             .late_rejections = LateRejections::isolated});
    Promise<int>::rejected(promises, some_error());
    must(loop.close());
  }
  EXPECT_EQ(reports, 1);
}

TEST_F(Rejections, P73_ShutdownOfALoopThatNeverRanReports) {
  reject("never run");
  must(loop_.remote().shutdown());
  EXPECT_EQ(log_, Lines{"never run"});
}

TEST_F(Rejections, P74_WhatACombinatorOrAnAwaitObservesIsHandledWhatAThreadWaitsForIsNot) {
  run([&] {
    all(promises_, std::vector{reject("input"), reject("input")}).catch_([] { return std::vector<int>(); });
    const BlockingWait<int> wait(reject("waited for"));
    EXPECT_EQ(wait.wait().error().message(), "waited for");
  });
  EXPECT_EQ(log_, Lines{"waited for"});
}

TEST_F(Rejections, P75_P100_WhatIsWrittenDownOfPromisesGoesWithThem) {
  struct Ignorant final : PromiseObserver {
    void on_transition(const PromiseEvent&) override {}
  } observer;
  internal::PromiseDomain& domain = internal::PromiseDomain::of(loop_);
  domain.options().trace_depth = 3;
  domain.options().overdue_after = std::chrono::hours(1);
  domain.options().observer = &observer;
  run([&] {
    for (int i = 0; i < 1000; ++i) {
      auto [promise, resolver] = Promise<int>::with_resolver(loop_);
      promise.then([](int n) { return n; }).finally([] {}).catch_([] { return 0; });
      resolver.reject(some_error());
    }
    EXPECT_GE(domain.records().size(), 4000u);
    loop_.run_checkpoint();
    EXPECT_EQ(domain.records().size(), 0u);
  });
}

TEST_F(Rejections, P75_AHundredThousandHandledRejectionsLeaveNothing) {
  run([&] {
    for (int i = 0; i < 100'000; ++i) reject("").catch_([] { return 0; });
    EXPECT_EQ(promises_.unhandled(), 0u);
  });
  EXPECT_EQ(promises_.live(), 0u);
  EXPECT_TRUE(log_.empty());
}

TEST_F(Rejections, WithoutAHandlerTheyGoToTheLoopsErrorHandler) {
  const Error error = some_error("lost?");
  run([&] { Promise<int>::rejected(loop_, error); });
  ASSERT_EQ(callback_errors_.size(), 1u);
  EXPECT_TRUE(callback_errors_[0].is(Errc::not_found));
  EXPECT_EQ(callback_errors_[0].correlation_id(), error.correlation_id());
  EXPECT_NE(callback_errors_[0].to_string().find("lost?"), std::string::npos);
}

TEST_F(Rejections, IgnoredOnesAreNotReported) {
  run([&] { reject("ignored").ignore_rejection(); });
  EXPECT_TRUE(log_.empty());
}

TEST_F(Rejections, P110_TwoAdaptersOnOneLoopHaveHandlersOfTheirOwnAndOneOrder) {
  auto second = std::make_unique<Promises>(
      loop_, PromiseOptions{.on_unhandled_rejection = [this](const Reason& r) { says("second: " + r.message()); }});
  run([&] {
    reject("1");
    Promise<int>::rejected(*second, some_error("2"));
    Promise<int>::resolved(promises_, 0).then([this](int) { says("a"); });
    Promise<int>::resolved(*second, 0).then([this](int) { says("b"); });
    Promise<int>::resolved(promises_, 0).then([this](int) { says("c"); });
    second.reset();
    must(loop_.post([this] { reject("3"); }));
  });
  EXPECT_EQ(log_, (Lines{"a", "b", "c", "1", "second: 2", "3"}));
}

}  // namespace
}  // namespace gyre
