#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/promise/internal/test_support.h>
#include <gyre/promise/promise.h>

// How promises are settled, once, by values and by other promises.

namespace gyre {
namespace {

using testing::must;
using testing::some_error;

class Settlement : public testing::PromiseTest {};

TEST_F(Settlement, P1_TheFirstResolutionCounts) {
  auto [promise, resolver] = Promise<int>::with_resolver(loop_);
  resolver.resolve(1);
  resolver.resolve(2);
  resolver.reject(some_error());
  EXPECT_EQ(promise.status(), PromiseStatus::fulfilled);
  EXPECT_EQ(*promise.value(), 1);
}

TEST_F(Settlement, P2_TheFirstRejectionCounts) {
  auto [promise, resolver] = Promise<int>::with_resolver(loop_);
  resolver.reject(some_error("first"));
  resolver.resolve(1);
  EXPECT_EQ(promise.status(), PromiseStatus::rejected);
  EXPECT_EQ(promise.reason()->message(), "first");
  promise.ignore_rejection();
}

TEST_F(Settlement, P4_ValueAndReasonAreThereOnlyInTheirState) {
  auto [promise, resolver] = Promise<int>::with_resolver(loop_);
  EXPECT_EQ(promise.value(), nullptr);
  EXPECT_FALSE(promise.reason());
  auto rejected = Promise<int>::rejected(loop_, some_error());
  EXPECT_EQ(rejected.value(), nullptr);
  EXPECT_TRUE(rejected.reason());
  rejected.ignore_rejection();
  resolver.resolve(1);
  EXPECT_FALSE(promise.reason());
  EXPECT_EQ(promise.reason_as<std::runtime_error>(), nullptr);
}

TEST_F(Settlement, P5_APromiseOfNothingIsToldFromAPendingOneByItsStatus) {
  auto [promise, resolver] = Promise<void>::with_resolver(loop_);
  EXPECT_TRUE(promise.is_pending());
  resolver.resolve();
  EXPECT_TRUE(promise.is_fulfilled());
  auto null = Promise<int*>::resolved(loop_, static_cast<int*>(nullptr));
  EXPECT_TRUE(null.is_fulfilled());
  EXPECT_EQ(*null.value(), nullptr);
}

TEST_F(Settlement, P6_ResolvedWithItselfItIsRejected) {
  auto [promise, resolver] = Promise<int>::with_resolver(loop_);
  resolver.resolve(promise);
  ASSERT_TRUE(promise.is_rejected());
  EXPECT_TRUE(promise.reason()->is(Errc::promise_cycle));
  promise.ignore_rejection();
}

TEST_F(Settlement, P6_AHandlerThatReturnsItsOwnPromiseRejectsIt) {
  Promise<int> child;
  run([&] {
    child = Promise<int>::resolved(loop_, 1).then([&](int) { return child; });
    child.catch_([&](const Error& error) {
      EXPECT_TRUE(error.is(Errc::promise_cycle));
      says("rejected");
      return 0;
    });
  });
  EXPECT_EQ(log_, Lines{"rejected"});
  child = {};
}

TEST_F(Settlement, P7_AdoptionClaimsThePromiseForGood) {
  auto [inner, inner_resolver] = Promise<int>::with_resolver(loop_);
  auto [outer, outer_resolver] = Promise<int>::with_resolver(loop_);
  run([&, inner, outer, inner_resolver, outer_resolver] {
    outer_resolver.resolve(inner);
    EXPECT_TRUE(outer_resolver.is_settled());
    EXPECT_TRUE(outer.is_pending());
    outer_resolver.resolve(5);
    outer_resolver.reject(some_error());
    loop_.run_checkpoint();
    EXPECT_TRUE(outer.is_pending());
    inner_resolver.resolve(7);
    EXPECT_TRUE(outer.is_pending());
    must(loop_.queue_microtask([&, outer] { says(outer.is_fulfilled() ? "one tick later" : "not yet"); }));
  });
  EXPECT_EQ(log_, Lines{"one tick later"});
  EXPECT_EQ(*outer.value(), 7);
}

TEST_F(Settlement, P8_P66_AnAdoptedRejectionIsTheSameReasonAndReportedOnce) {
  std::vector<Reason> reports;
  Promises promises(loop_, {.on_unhandled_rejection = [&](const Reason& reason) { reports.push_back(reason); }});
  auto [inner, inner_resolver] = Promise<int>::with_resolver(promises);
  auto [outer, outer_resolver] = Promise<int>::with_resolver(promises);
  run([&, inner, inner_resolver, outer_resolver] {
    outer_resolver.resolve(inner);
    inner_resolver.reject(some_error());
  });
  EXPECT_EQ(outer.reason(), inner.reason());
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0], *inner.reason());
}

TEST_F(Settlement, P9_ARingOfAdoptionsStaysPendingAndIsFreed) {
  Promises promises(loop_);
  run([&] {
    {
      auto [a, resolve_a] = Promise<int>::with_resolver(promises);
      auto [b, resolve_b] = Promise<int>::with_resolver(promises);
      auto [c, resolve_c] = Promise<int>::with_resolver(promises);
      resolve_a.resolve(b);
      resolve_b.resolve(c);
      resolve_c.resolve(a);
      loop_.run_checkpoint();
      EXPECT_TRUE(a.is_pending());
      EXPECT_TRUE(b.is_pending());
      EXPECT_TRUE(c.is_pending());
    }
    // The handles have gone one by one; the ones that were left for last have heard that nobody will settle them.
    loop_.run_checkpoint();
    EXPECT_EQ(promises.live(), 0u);  // now, and not only when the loop ends
  });
}

TEST_F(Settlement, P10_ResolvedWithAnEmptyPromiseItIsRejected) {
  auto [promise, resolver] = Promise<int>::with_resolver(loop_);
  resolver.resolve(Promise<int>());
  EXPECT_TRUE(promise.reason()->is(Errc::invalid_argument));
  promise.ignore_rejection();
}

TEST_F(Settlement, P11_AnObjectWithAThenFunctionIsAValue) {
  struct Object {
    int* calls;
    void then(std::function<void(int)>) const { ++*calls; }
  };
  int calls = 0;
  run([&] {
    Promise<int>::resolved(loop_, 1).then([&](int) { return Object{&calls}; }).then([&](const Object&) {
      says("value");
    });
  });
  EXPECT_EQ(log_, Lines{"value"});
  EXPECT_EQ(calls, 0);
}

TEST_F(Settlement, P12_RejectDoesNotFollowAPromise) {
  const auto inner = Promise<int>::resolved(loop_, 1);
  auto promise = Promise<int>::rejected(loop_, std::make_exception_ptr(inner));
  ASSERT_NE(promise.reason_as<Promise<int>>(), nullptr);
  EXPECT_EQ(*promise.reason_as<Promise<int>>(), inner);
  promise.ignore_rejection();
}

// Both ways to build the chain: the outermost first, and the innermost first.
TEST_F(Settlement, P13_AChainOfAThousandAdoptionsSettles) {
  for (const bool outer_first : {true, false}) {
    std::vector<PromiseWithResolver<int>> chain;
    for (int i = 0; i <= 1000; ++i) chain.push_back(Promise<int>::with_resolver(loop_));
    for (int i = 0; i < 1000; ++i) {
      const int at = outer_first ? i : 999 - i;
      chain[at].resolver.resolve(chain[at + 1].promise);
    }
    loop_.run_checkpoint();
    EXPECT_TRUE(chain[0].promise.is_pending());
    chain[1000].resolver.resolve(5);
    loop_.run_checkpoint();
    EXPECT_EQ(*chain[0].promise.value(), 5);
  }
}

TEST_F(Settlement, P13_AdoptionsByHandlersNestWithoutRecursion) {
  int got = 0;
  std::function<Promise<int>(int)> nest = [&](int depth) -> Promise<int> {
    if (depth == 0) return Promise<int>::resolved(loop_, 1);
    return Promise<void>::resolved(loop_).then([&nest, depth] { return nest(depth - 1); });
  };
  run([&] { nest(1000).then([&](int value) { got = value; }); });
  EXPECT_EQ(got, 1);
}

TEST_F(Settlement, P41_TwoPairsAreIndependentAndSecondSettlementsIgnored) {
  auto [first, resolve_first] = Promise<std::string>::with_resolver(loop_);
  auto [second, resolve_second] = Promise<std::string>::with_resolver(loop_);
  resolve_first.resolve("one");
  resolve_first.resolve("two");
  resolve_first.reject(some_error());
  EXPECT_EQ(*first.value(), "one");
  EXPECT_TRUE(second.is_pending());
}

TEST_F(Settlement, AResultResolvesOrRejects) {
  auto good = resolve(loop_, Result<int>(5));
  static_assert(std::same_as<decltype(good), Promise<int>>);
  EXPECT_EQ(*good.value(), 5);
  auto bad = resolve(loop_, Result<int>(std::unexpect, Errc::timed_out, "late"));
  EXPECT_TRUE(bad.reason()->is(Errc::timed_out));
  bad.ignore_rejection();
}

TEST_F(Settlement, TheLastResolverToGoBreaksThePromise) {
  Promise<int> promise;
  {
    auto pair = Promise<int>::with_resolver(loop_);
    const auto copy = pair.resolver;
    promise = pair.promise;
    pair.resolver = {};
    EXPECT_TRUE(promise.is_pending());
  }
  ASSERT_TRUE(promise.is_rejected());
  EXPECT_TRUE(promise.reason()->is(Errc::broken));
  promise.ignore_rejection();
}

TEST_F(Settlement, AThrowingCopyRejects) {
  struct Thrower {
    Thrower() = default;
    Thrower(const Thrower&) { throw std::runtime_error("copy"); }
  };
  auto [promise, resolver] = Promise<Thrower>::with_resolver(loop_);
  EXPECT_THROW(resolver.resolve(Thrower()), std::runtime_error);
  EXPECT_TRUE(promise.is_pending());
  resolver.reject(some_error());
  promise.ignore_rejection();
}

TEST_F(Settlement, MisuseThrows) {
  EXPECT_THROW(Promise<int>().then([](int) {}), std::logic_error);
  EXPECT_THROW(Resolver<int>().resolve(1), std::logic_error);
  EXPECT_THROW(Promise<int>::resolved(loop_, 1).then(std::function<void(int)>()), std::logic_error);
  EXPECT_THROW(Promise<int>::resolved(loop_, 1).finally(static_cast<void (*)()>(nullptr)), std::logic_error);
}

TEST_F(Settlement, AnotherThreadIsRefused) {
  Loop loop;
  testing::Runner runner(loop);
  ASSERT_TRUE(testing::falls_asleep(loop.remote()));
  EXPECT_THROW(Promise<int>::resolved(loop, 1), std::logic_error);
  std::optional<PromiseWithResolver<int>> pair;
  std::atomic<bool> made = false;
  must(loop.remote().post([&] {
    pair = Promise<int>::with_resolver(loop);
    made = true;
  }));
  ASSERT_TRUE(testing::eventually([&] { return made.load(); }));
  EXPECT_THROW(pair->promise.then([](int) {}), std::logic_error);
  EXPECT_THROW(pair->resolver.resolve(1), std::logic_error);
  must(loop.remote().post([&] { pair.reset(); }));
  must(loop.remote().shutdown());
}

}  // namespace
}  // namespace gyre
