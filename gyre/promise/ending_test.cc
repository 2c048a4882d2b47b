#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/promise/blocking_wait.h>
#include <gyre/promise/internal/test_support.h>
#include <gyre/promise/remote_resolver.h>
#include <gyre/promise/timers.h>

// What becomes of promises when their loop ends, and after it.

namespace gyre {
namespace {

using testing::must;
using testing::some_error;
using namespace std::chrono_literals;

class Ending : public testing::PromiseTest {};

TEST_F(Ending, V13_PendingPromisesAreRejectedInTheOrderOfCreation) {
  auto [first, resolve_first] = Promise<int>::with_resolver(loop_);
  auto [second, resolve_second] = Promise<int>::with_resolver(loop_);
  // Pass-through: what has no handler needs no loop to pass the settlement on.
  const auto passed = second.then(nullptr);
  must(loop_.run());
  EXPECT_TRUE(first.reason()->is(Errc::terminated));
  EXPECT_TRUE(passed.reason()->is(Errc::terminated));
  EXPECT_FALSE(first.reason() == second.reason());
  resolve_first.resolve(1);  // too late, and harmless
  EXPECT_TRUE(first.is_rejected());
  EXPECT_TRUE(callback_errors_.empty());
}

TEST_F(Ending, P46_SleepAndTimeoutEndWithTheLoopOnceWhoeverLooks) {
  const BlockingWait<void> sleep(sleep_for(loop_, 1h));
  const BlockingWait<void> late(timeout(loop_, 1h));
  must(loop_.close());
  EXPECT_TRUE(testing::fails_with(sleep.wait(), Errc::terminated));
  EXPECT_TRUE(testing::fails_with(late.wait(), Errc::terminated));
}

TEST_F(Ending, P96_ReactionsThatWereAcceptedAreDisposedOfInOrder) {
  const auto source = Promise<int>::resolved(loop_, 1);
  auto a = source.then([&](int) { says("a ran"); });
  auto b = source.then(nullptr);
  auto c = source.then([&](int) { says("c ran"); });
  std::vector<std::string> order;
  const BlockingWait<void> wait(a);
  must(loop_.close());
  EXPECT_TRUE(log_.empty());
  EXPECT_TRUE(a.reason()->is(Errc::terminated));
  EXPECT_EQ(*b.value(), 1);
  EXPECT_TRUE(c.reason()->is(Errc::terminated));
}

TEST_F(Ending, P97_AReactionAndAClosingLoopAgreeOnOneOutcome) {
  for (int round = 0; round < 200; ++round) {
    std::atomic<int> ran = 0;
    std::optional<BlockingWait<void>> wait;
    {
      Loop loop;
      std::atomic<bool> ready = false;
      must(loop.post([&] {
        wait.emplace(Promise<int>::resolved(loop, 1).then([&](int) { ++ran; }));
        ready = true;
      }));
      testing::Runner runner(loop);
      while (!ready) std::this_thread::yield();
      static_cast<void>(loop.remote().close());
      static_cast<void>(runner.join());
    }
    const auto outcome = wait->wait();
    EXPECT_EQ(outcome.has_value(), ran == 1);
    if (!outcome) {
      EXPECT_TRUE(outcome.error().is(Errc::terminated));
    }
  }
}

TEST_F(Ending, P98_FinallyIsRefusedAndNullPassesOn) {
  const auto source = Promise<int>::resolved(loop_, 1);
  auto refused = source.finally([&] { says("called"); });
  auto passed = source.finally(nullptr);
  must(loop_.close());
  EXPECT_TRUE(log_.empty());
  EXPECT_TRUE(refused.reason()->is(Errc::terminated));
  EXPECT_EQ(*passed.value(), 1);
}

TEST_F(Ending, V19_FinallyRunsAtTheEndOnRequest) {
  Promises promises(loop_, {.run_finally_at_end = true});
  auto [pending, resolver] = Promise<int>::with_resolver(promises);
  auto cleaned = pending.finally([&] { says("cleaned"); });
  must(loop_.close());
  EXPECT_EQ(log_, Lines{"cleaned"});
  EXPECT_TRUE(cleaned.reason()->is(Errc::terminated));
}

TEST_F(Ending, P99_ThenAfterTheEnd) {
  const auto source = Promise<int>::resolved(loop_, 1);
  auto bad = Promise<int>::rejected(loop_, some_error()).ignore_rejection();
  must(loop_.run());
  const auto handler = source.then([](int) {});
  EXPECT_TRUE(handler.reason()->is(Errc::terminated));
  EXPECT_EQ(*source.then(nullptr).value(), 1);
  EXPECT_EQ(bad.then([](int n) { return n; }).reason(), bad.reason());
}

TEST_F(Ending, P45_NewPromisesAfterTheEnd) {
  Promises promises(loop_);
  must(loop_.run());
  EXPECT_TRUE(sleep_for(promises, 1ms).reason()->is(Errc::terminated));
  EXPECT_TRUE(timeout(promises, 1ms).reason()->is(Errc::terminated));
  EXPECT_THROW(Promise<int>::resolved(loop_, 1), std::logic_error);
}

TEST_F(Ending, PromisesOutliveTheirLoop) {
  Promise<std::string> promise;
  Resolver<std::string> resolver;
  {
    Loop loop;
    auto pair = Promise<std::string>::with_resolver(loop);
    promise = pair.promise;
    resolver = pair.resolver;
  }
  EXPECT_TRUE(promise.reason()->is(Errc::terminated));
  resolver.resolve("late");
  promise.then([](const std::string&) {}).then([] {});
}

TEST_F(Ending, AGracefulEndRunsWhatWasAccepted) {
  const auto source = Promise<int>::resolved(loop_, 1);
  auto at = source;
  for (int i = 0; i < 50; ++i) at = at.then([](int n) { return n + 1; });
  must(loop_.remote().shutdown());
  EXPECT_EQ(*at.value(), 51);
}

TEST_F(Ending, P101_AHandlerOfTheEndMayAskForItAgain) {
  std::atomic<bool> asked = false;
  {
    Loop loop;
    Remote remote = loop.remote();
    Promises promises(loop, {.on_unhandled_rejection =
                                 [&asked, remote](const Reason&) mutable {
                                   static_cast<void>(remote.close());
                                   static_cast<void>(remote.shutdown());
                                   asked = true;
                                 },
                             .late_rejections = LateRejections::isolated});
    Promise<int>::rejected(promises, some_error());
    must(loop.close());
  }
  EXPECT_TRUE(asked);
}

TEST_F(Ending, P14_P16_AForwardedSettlementSurvivesTheSourcesLoop) {
  Loop target({.auto_exit = true});
  auto [promise, remote_resolver] = with_remote_resolver<int>(target);
  {
    Loop source;
    auto [p, resolver] = Promise<int>::with_resolver(source);
    forward(p.then(nullptr), remote_resolver);
    resolver.resolve(9);
    must(source.close());  // the reaction that passes it on was accepted, and not run
  }
  const auto here = std::this_thread::get_id();
  promise.then([&, here](int n) {
    EXPECT_EQ(std::this_thread::get_id(), here);
    says(std::to_string(n));
  });
  remote_resolver = {};
  must(target.run());
  EXPECT_EQ(log_, Lines{"9"});
}

TEST_F(Ending, P15_AHandOverThatIsAbandonedLeavesNothingOnEitherSide) {
  Loop other({.auto_exit = true});
  Promises here(loop_);
  Promises there(other);
  {
    auto source = Promise<int>::with_resolver(there);
    auto [promise, resolver] = with_remote_resolver<int>(here, {.keeps_loop_alive = false});
    forward(source.promise, std::move(resolver));
    EXPECT_EQ(there.live(), 1u);
    source.promise = {};
  }
  EXPECT_EQ(there.live(), 0u);
  must(loop_.run());
  EXPECT_EQ(here.live(), 0u);
}

TEST_F(Ending, P14_FromALoopThatHasEnded) {
  Promise<int> settled;
  {
    Loop source({.auto_exit = true});
    settled = Promise<int>::resolved(source, 4);
    must(source.run());
    auto [promise, resolver] = with_remote_resolver<int>(loop_);
    forward(settled, resolver);
    promise.then([&](int n) { says(std::to_string(n)); });
  }
  must(loop_.run());
  EXPECT_EQ(log_, Lines{"4"});
}

TEST_F(Ending, P14_ToALoopThatHasEnded) {
  auto pair = with_remote_resolver<int>(loop_);
  must(loop_.close());
  Loop source;
  forward(Promise<int>::resolved(source, 4), pair.resolver);
  EXPECT_TRUE(pair.promise.reason()->is(Errc::terminated));
}

TEST_F(Ending, FollowingAPromiseOfAnotherLoopIsRefused) {
  Loop other;
  auto [promise, resolver] = Promise<int>::with_resolver(loop_);
  EXPECT_THROW(resolver.resolve(Promise<int>::resolved(other, 1)), std::logic_error);
}

TEST_F(Ending, P100_ABurstOfAHundredThousandReactionsLeavesNothing) {
  Promises promises(loop_);
  int ran = 0;
  {
    auto [promise, resolver] = Promise<int>::with_resolver(promises);
    for (int i = 0; i < 100'000; ++i) promise.then([&](int) { ++ran; });
    resolver.resolve(1);
  }
  EXPECT_EQ(promises.live(), 100'001u);
  must(loop_.run());
  EXPECT_EQ(ran, 100'000);
  EXPECT_EQ(promises.live(), 0u);
}

TEST_F(Ending, ALongPendingChainIsRefusedWithoutRecursion) {
  auto [promise, resolver] = Promise<int>::with_resolver(loop_);
  auto at = promise;
  for (int i = 0; i < 100'000; ++i) at = at.then([](int n) { return n; });
  must(loop_.close());
  EXPECT_TRUE(at.reason()->is(Errc::terminated));
}

}  // namespace
}  // namespace gyre
