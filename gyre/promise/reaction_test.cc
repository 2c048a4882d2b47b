#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <pthread.h>

#include <gyre/promise/blocking_wait.h>
#include <gyre/promise/internal/test_support.h>
#include <gyre/promise/promise.h>

// What handlers are called with, when, and what becomes of what they return or throw.

namespace gyre {
namespace {

using testing::must;
using testing::some_error;

class Reactions : public testing::PromiseTest {};

TEST_F(Reactions, P17_HandlersRunAfterTheCallThatSettles) {
  run([&] {
    auto [promise, resolver] = Promise<int>::with_resolver(loop_);
    promise.then([&](int) { says("handler"); });
    says("before resolve");
    resolver.resolve(1);
    says("after resolve");
  });
  EXPECT_EQ(log_, (Lines{"before resolve", "after resolve", "handler"}));
}

TEST_F(Reactions, P18_HandlersRunInTheOrderOfRegistration) {
  run([&] {
    auto [promise, resolver] = Promise<int>::with_resolver(loop_);
    promise.then([&](int) { says("1"); });
    promise.then([&](int) { says("2"); });
    resolver.resolve(1);
    promise.then([&](int) { says("3"); });
  });
  EXPECT_EQ(log_, (Lines{"1", "2", "3"}));
}

TEST_F(Reactions, P19_ThenReturnsAnotherPromiseAndNullPassesOn) {
  const auto source = Promise<int>::resolved(loop_, 4);
  const auto child = source.then(nullptr, nullptr);
  EXPECT_FALSE(child == source);
  const auto bad = Promise<int>::rejected(loop_, some_error());
  const auto bad_child = bad.then(nullptr, nullptr);
  loop_.run_checkpoint();
  EXPECT_EQ(*child.value(), 4);
  EXPECT_EQ(bad_child.reason(), bad.reason());
  bad_child.ignore_rejection();
}

TEST_F(Reactions, P20_WhatAHandlerReturnsResolvesTheChild) {
  const auto source = Promise<int>::resolved(loop_, 1);
  auto value = source.then([](int n) { return n + 0.5; });
  auto nothing = source.then([](int) {});
  auto promise = source.then([this](int) { return Promise<std::string>::resolved(loop_, "adopted"); });
  auto error = source.then([](int) { return some_error("a value like any other"); });
  auto result = source.then([](int) -> Result<int> { return fail(Errc::timed_out, "late"); });
  static_assert(std::same_as<decltype(value), Promise<double>>);
  static_assert(std::same_as<decltype(nothing), Promise<void>>);
  static_assert(std::same_as<decltype(promise), Promise<std::string>>);
  static_assert(std::same_as<decltype(error), Promise<Error>>);
  static_assert(std::same_as<decltype(result), Promise<int>>);
  loop_.run_checkpoint();
  EXPECT_EQ(*value.value(), 1.5);
  EXPECT_TRUE(nothing.is_fulfilled());
  EXPECT_EQ(*promise.value(), "adopted");
  EXPECT_EQ(error.value()->message(), "a value like any other");
  EXPECT_TRUE(result.reason()->is(Errc::timed_out));
  result.ignore_rejection();
}

TEST_F(Reactions, P21_WhatAHandlerThrowsIsTheReason) {
  const auto source = Promise<int>::resolved(loop_, 1);
  auto error = source.then([](int) { throw ErrorException(some_error("exactly this")); });
  auto text = source.then([](int) { throw std::runtime_error("payload"); });
  auto number = source.then([](int) { throw 42; });
  loop_.run_checkpoint();
  EXPECT_EQ(error.reason()->message(), "exactly this");
  EXPECT_STREQ(text.reason_as<std::runtime_error>()->what(), "payload");
  EXPECT_EQ(*number.reason_as<int>(), 42);
  for (const auto& promise : {error, text, number}) promise.ignore_rejection();
}

TEST_F(Reactions, P22_ANullExceptionPointerIsADefinedReason) {
  auto promise = Promise<int>::rejected(loop_, std::exception_ptr());
  EXPECT_TRUE(promise.reason()->is(Errc::callback_failed));
  EXPECT_THROW(promise.rethrow(), ErrorException);
  promise.ignore_rejection();
}

// Unlike in a language whose threads the loop does not own: the thread that ends is the one that runs the loop.
TEST_F(Reactions, P23_AThreadThatEndsInAHandlerRejectsAndEndsTheLoop) {
  std::optional<BlockingWait<void>> wait;
  must(loop_.post([&] { wait.emplace(Promise<void>::resolved(loop_).then([] { pthread_exit(nullptr); })); }));
  must(loop_.post([] { ADD_FAILURE(); }));
  std::thread([&] { static_cast<void>(loop_.run()); }).join();
  EXPECT_TRUE(testing::fails_with(wait->wait(), Errc::broken));
  EXPECT_TRUE(loop_.remote().is_done());
}

TEST_F(Reactions, P24_P25_RejectionSkipsToTheFirstHandlerForIt) {
  run([&] {
    Promise<int>::rejected(loop_, some_error())
        .then([&](int n) {
          says("skipped");
          return n;
        })
        .then([&](int n) {
          says("skipped");
          return n;
        })
        .then([](int n) { return n; },
              [&](const Error& error) {
                says(error.message());
                return 8;
              })
        .then([&](int n) { says(std::to_string(n)); });
  });
  EXPECT_EQ(log_, (Lines{"no", "8"}));
}

TEST_F(Reactions, P26_LateHandlersWaitForTheCheckpoint) {
  run([&] {
    const auto promise = Promise<int>::resolved(loop_, 1);
    for (int i = 0; i < 5; ++i) promise.then([this, i](int) { says(std::to_string(i)); });
    EXPECT_TRUE(log_.empty());
  });
  EXPECT_EQ(log_, (Lines{"0", "1", "2", "3", "4"}));
}

TEST_F(Reactions, P27_P28_AHandlerMayRegisterOnTheSamePromise) {
  run([&] {
    const auto promise = Promise<int>::resolved(loop_, 1);
    promise.then([this, promise](int) {
      EXPECT_TRUE(promise.is_fulfilled());
      says("outer");
      promise.then([this](int) { says("inner"); });
    });
    promise.then([this](int) { says("second"); });
    must(loop_.post(note("next task")));
  });
  EXPECT_EQ(log_, (Lines{"outer", "second", "inner", "next task"}));
}

TEST_F(Reactions, P29_NullAndOtherHandlersKeepTheirOrder) {
  run([&] {
    auto [promise, resolver] = Promise<int>::with_resolver(loop_);
    promise.then([&](int) { says("1"); });
    promise.then(nullptr).then([&](int) { says("passed on"); });
    promise.then([&](int) { says("2"); });
    resolver.resolve(1);
  });
  EXPECT_EQ(log_, (Lines{"1", "2", "passed on"}));
}

TEST_F(Reactions, P30_AChainOfTenThousandLinksSettlesAndIsFreed) {
  Promises promises(loop_);
  int got = 0;
  run([&] {
    auto [promise, resolver] = Promise<int>::with_resolver(promises);
    auto at = promise;
    for (int i = 0; i < 10'000; ++i) at = at.then([](int n) { return n + 1; });
    at.then([&](int n) { got = n; });
    resolver.resolve(0);
  });
  EXPECT_EQ(got, 10'000);
  EXPECT_EQ(promises.live(), 0u);
}

TEST_F(Reactions, P30_AnAbandonedChainOfAHundredThousandLinksIsFreedWithoutRecursion) {
  Promises promises(loop_);
  {
    auto at = Promise<int>::with_resolver(promises).promise.ignore_rejection();
    for (int i = 0; i < 100'000; ++i) at = at.then([](int n) { return n; });
    at.ignore_rejection();
  }
  loop_.run_checkpoint();
  EXPECT_EQ(promises.live(), 0u);
}

// In place of promises that stand alone and call their handlers at once: a loop that never runs.
TEST_F(Reactions, P37_P38_P39_ALoopThatNeverRunsDoes) {
  auto [promise, resolver] = Promise<int>::with_resolver(loop_);
  promise.then([&, p = promise](int) {
    says("first");
    p.then([&](int) { says("from within"); });
  });
  auto failed = promise.then([&](int) {
    says("second");
    throw std::runtime_error("x");
  });
  promise.then([&](int) { says("third"); });
  resolver.resolve(1);
  EXPECT_TRUE(log_.empty());  // whoever came first, handlers do not run inside the call
  loop_.run_checkpoint();
  EXPECT_EQ(log_, (Lines{"first", "second", "third", "from within"}));
  EXPECT_TRUE(failed.ignore_rejection().is_rejected());
}

TEST_F(Reactions, P35_ReactionsThatSettleOthersQueueThem) {
  run([&] {
    auto [p, resolve_p] = Promise<int>::with_resolver(loop_);
    auto [q, resolve_q] = Promise<int>::with_resolver(loop_);
    q.then([&](int) { says("q"); });
    p.then([&, resolve_q](int) {
      resolve_q.resolve(1);
      says("p1");
    });
    p.then([&](int) { says("p2"); });
    resolve_p.resolve(1);
  });
  EXPECT_EQ(log_, (Lines{"p1", "p2", "q"}));
}

TEST_F(Reactions, V3_AValueThatCanOnlyBeMovedGoesToOneHandler) {
  std::string second;
  run([&] {
    const auto promise = Promise<std::unique_ptr<int>>::resolved(loop_, std::make_unique<int>(6));
    promise.then([&](std::unique_ptr<int> value) { says(std::to_string(*value)); });
    promise.then([&](std::unique_ptr<int>) { says("twice?"); }).catch_([&](const Error& error) {
      second = error.message();
    });
    promise.then([&](const std::unique_ptr<int>& left) { EXPECT_EQ(left, nullptr); });
  });
  EXPECT_EQ(log_, Lines{"6"});
  EXPECT_NE(second.find("moved out"), std::string::npos);
}

TEST_F(Reactions, ALookAtAMoveOnlyValueLeavesItThere) {
  run([&] {
    const auto promise = Promise<std::unique_ptr<int>>::resolved(loop_, std::make_unique<int>(6));
    promise.then([&](const std::unique_ptr<int>& value) { says(std::to_string(*value)); });
    promise.then([&](std::unique_ptr<int> value) { says(std::to_string(*value)); });
  });
  EXPECT_EQ(log_, (Lines{"6", "6"}));
}

TEST_F(Reactions, TheLastHandlerOfAnUnheldPromiseGetsTheValueMoved) {
  struct Copies {
    int* count;
    explicit Copies(int& n) : count(&n) {}
    Copies(const Copies& other) : count(other.count) { ++*count; }
    Copies(Copies&&) = default;
  };
  int copies = 0;
  run([&] {
    Promise<Copies>::resolved_in_place(loop_, copies).then([](Copies c) { return c; }).then(nullptr).then([](Copies) {
    });
  });
  EXPECT_EQ(copies, 0);
  Loop other({.auto_exit = true});
  const auto kept = Promise<Copies>::resolved_in_place(other, copies);
  kept.then([](Copies) {});
  must(other.run());
  EXPECT_EQ(copies, 1);
}

TEST_F(Reactions, R30_CatchByTypePassesOtherReasonsOn) {
  run([&] {
    const auto bad = Promise<int>::rejected(loop_, std::out_of_range("far"));
    bad.catch_<std::invalid_argument>([&](const std::invalid_argument&) {
         says("wrong");
         return 0;
       })
        .catch_<std::logic_error>([&](const std::logic_error& e) {
          says(e.what());
          return 1;
        })
        .then([&](int n) { says(std::to_string(n)); });
    const auto late = Promise<int>::rejected(loop_, Error(Errc::timed_out, "late"));
    late.catch_(Errc::cancelled, [] { return 0; }).catch_(Errc::timed_out, [&](const Error& e) {
      says(e.message());
      return 2;
    });
    bad.catch_([&](std::exception_ptr e) {
      EXPECT_THROW(std::rethrow_exception(e), std::out_of_range);
      says("pointer");
      return 3;
    });
  });
  EXPECT_EQ(log_, (Lines{"pointer", "far", "late", "1"}));
  EXPECT_TRUE(callback_errors_.empty());
}

TEST_F(Reactions, R34_P82_HandlersAndTheirCapturesGoAtOnce) {
  int live = 0;
  run([&] {
    auto [promise, resolver] = Promise<int>::with_resolver(loop_);
    auto child =
        promise.then([counted = testing::Counted(live)](int) {}, [counted = testing::Counted(live)](const Reason&) {});
    EXPECT_EQ(live, 2);
    resolver.resolve(1);
    loop_.run_checkpoint();
    EXPECT_TRUE(child.is_fulfilled());
    EXPECT_EQ(live, 0);
  });
}

// --- finally ---

TEST_F(Reactions, P31_FinallyPassesTheSettlementOn) {
  run([&] {
    Promise<int>::resolved(loop_, 5)
        .finally([&] {
          says("first");
          return 9;
        })
        .then([&](int n) { says(std::to_string(n)); });
    Promise<int>::rejected(loop_, some_error()).finally(note("second")).catch_([&](const Error& e) {
      says(e.message());
      return 0;
    });
  });
  EXPECT_EQ(log_, (Lines{"first", "second", "5", "no"}));
}

TEST_F(Reactions, P32_V2_AFailureInFinallyRejects) {
  run([&] {
    Promise<int>::resolved(loop_, 5).finally([] { throw std::runtime_error("cleanup"); }).catch_([&](const Error& e) {
      says(e.message());
      return 0;
    });
    Promise<int>::rejected(loop_, some_error())
        .finally([this] { return Promise<int>::rejected(loop_, some_error("cleanup's own")); })
        .catch_([&](const Error& e) {
          says(e.message());
          return 0;
        });
    Promise<int>::resolved(loop_, 1)
        .finally([]() -> Result<void> { return fail(Errc::timed_out, "result"); })
        .catch_([&](const Error& e) {
          says(e.message());
          return 0;
        });
  });
  EXPECT_EQ(log_, (Lines{"cleanup", "cleanup's own", "result"}));
  EXPECT_TRUE(callback_errors_.empty());
}

TEST_F(Reactions, V2_FinallyWaitsForThePromiseOfItsCallback) {
  run([&] {
    auto [gate, open] = Promise<void>::with_resolver(loop_);
    Promise<int>::resolved(loop_, 5).finally([gate] { return gate; }).then([&](int n) { says(std::to_string(n)); });
    must(loop_.post([this, open] {
      says("open");
      open.resolve();
    }));
  });
  EXPECT_EQ(log_, (Lines{"open", "5"}));
}

TEST_F(Reactions, P33_FinallyOfNullPassesOnAndSeveralAreAllCalled) {
  run([&] {
    const auto promise = Promise<int>::resolved(loop_, 5);
    promise.finally(nullptr).then([&](int n) { says(std::to_string(n)); });
    for (int i = 0; i < 3; ++i) promise.finally(note("finally"));
    EXPECT_TRUE(log_.empty());
  });
  EXPECT_EQ(log_, (Lines{"finally", "finally", "finally", "5"}));
}

TEST_F(Reactions, FinallyMovesAMoveOnlyValueThrough) {
  run([&] {
    Promise<std::unique_ptr<int>>::resolved(loop_, std::make_unique<int>(3))
        .finally([] {})
        .then([&](std::unique_ptr<int> value) { says(std::to_string(*value)); });
  });
  EXPECT_EQ(log_, Lines{"3"});
}

}  // namespace
}  // namespace gyre
