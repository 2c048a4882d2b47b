#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/promise/internal/test_support.h>
#include <gyre/promise/timers.h>

// How many promises may wait for one another in a row (R36).

namespace gyre {
namespace {

using testing::must;

constexpr std::size_t kLimit = 10;

class DepthLimit : public testing::PromiseTest {
 protected:
  static bool is_refused(const auto& promise) {
    return promise.is_rejected() && promise.ignore_rejection().reason()->is(Errc::limit_exceeded);
  }

  Promises promises_{loop_, {.depth_limit = kLimit}};
};

TEST_F(DepthLimit, R36_V18_ThenAtOneLessAtAndAboveTheLimit) {
  auto [promise, resolver] = Promise<int>::with_resolver(promises_);  // the first in the row
  auto last = promise;
  int ran = 0;
  for (std::size_t row = 2; row <= kLimit; ++row) {
    last = last.then([&](int n) { return ++ran, n + 1; });
    EXPECT_TRUE(last.is_pending()) << row;
  }
  const auto refused = last.then([&](int n) { return ++ran, n; });
  EXPECT_TRUE(is_refused(refused));
  EXPECT_NE(refused.reason()->message().find("depth_limit"), std::string::npos);
  EXPECT_TRUE(is_refused(last.finally([&] { ++ran; })));
  EXPECT_TRUE(is_refused(last.catch_([&] { return ++ran; })));
  resolver.resolve(0);
  loop_.run_checkpoint();
  EXPECT_EQ(ran, 9);  // those within the limit, as if nothing had happened
  EXPECT_EQ(*last.value(), 9);
}

// The row is what waits now, not what has ever been: a queue made of promises may go on for ever.
TEST_F(DepthLimit, R36_AQueueThatIsServedNeverReachesIt) {
  Promise<void> tail = Promise<void>::resolved(promises_);
  int served = 0;
  const std::function<void(int)> add = [&](int left) {
    tail = tail.then([&] { ++served; });
    if (left > 0) must(loop_.queue_microtask([&, left] { add(left - 1); }));
  };
  run([&] { add(1000); });
  EXPECT_EQ(served, 1001);
  EXPECT_TRUE(tail.is_fulfilled());
}

TEST_F(DepthLimit, R36_ResolvedWithPromisesTheInnermostFirst) {
  auto [innermost, resolver] = Promise<int>::with_resolver(promises_);
  auto outermost = innermost;
  for (std::size_t row = 2; row <= kLimit; ++row) {
    auto next = Promise<int>::with_resolver(promises_);
    next.resolver.resolve(outermost);
    outermost = next.promise;
    EXPECT_TRUE(outermost.is_pending()) << row;
  }
  auto above = Promise<int>::with_resolver(promises_);
  above.resolver.resolve(outermost);
  EXPECT_TRUE(is_refused(above.promise));
  resolver.resolve(5);
  loop_.run_checkpoint();
  EXPECT_EQ(*outermost.value(), 5);
}

// As recursion makes them: each promise is resolved with one that does not wait for anything yet.
TEST_F(DepthLimit, R36_ResolvedWithPromisesTheOutermostFirst) {
  auto [outermost, resolver] = Promise<int>::with_resolver(promises_);
  auto at = resolver;
  for (std::size_t row = 2; row <= kLimit; ++row) {
    auto next = Promise<int>::with_resolver(promises_);
    at.resolve(next.promise);
    at = next.resolver;
  }
  const auto above = Promise<int>::with_resolver(promises_);
  at.resolve(above.promise);
  loop_.run_checkpoint();
  EXPECT_TRUE(outermost.is_rejected());
  EXPECT_TRUE(is_refused(outermost));
}

TEST_F(DepthLimit, R36_RowsThatAreJoinedInTheMiddle) {
  const auto row_of = [&](std::size_t length, Promise<int>& first, Resolver<int>& last) {
    auto at = Promise<int>::with_resolver(promises_);
    first = at.promise;
    for (std::size_t i = 1; i < length; ++i) {
      auto next = Promise<int>::with_resolver(promises_);
      at.resolver.resolve(next.promise);
      at = next;
    }
    last = at.resolver;
  };
  for (const std::size_t second : {kLimit / 2 - 1, kLimit / 2, kLimit / 2 + 1}) {
    Promise<int> upper, lower;
    Resolver<int> upper_end, lower_end;
    row_of(kLimit / 2, upper, upper_end);
    row_of(second, lower, lower_end);
    upper_end.resolve(lower);
    lower_end.resolve(1);
    loop_.run_checkpoint();
    EXPECT_EQ(is_refused(upper), kLimit / 2 + second > kLimit) << second;
  }
}

// Whoever waits for the recursion is told when it is too deep. It goes on unseen, but its promises do not pile up.
TEST_F(DepthLimit, R36_RecursionByHandlersKeepsABoundedNumberOfPromises) {
  int calls = 0;
  int calls_when_refused = 0;
  std::size_t most = 0;
  const std::function<Promise<void>()> recurse = [&]() -> Promise<void> {
    most = std::max(most, promises_.live());
    if (++calls == 1000) return Promise<void>::resolved(promises_);
    return sleep_for(promises_, std::chrono::nanoseconds(1)).then([&] { return recurse(); });
  };
  promises_.options().on_unhandled_rejection = [](const Reason&) {};
  run([&] { recurse().catch_(Errc::limit_exceeded, [&](const Error&) { calls_when_refused = calls; }); });
  EXPECT_EQ(calls, 1000);
  EXPECT_GT(calls_when_refused, 0);
  EXPECT_LE(calls_when_refused, static_cast<int>(kLimit));
  EXPECT_LE(most, 3 * kLimit);
}

Promise<int> nested(const Promises& home, int depth, Promise<int> bottom) {
  if (depth == 0) co_return co_await bottom;
  co_return co_await nested(home, depth - 1, bottom) + 1;
}

TEST_F(DepthLimit, R36_CoroutinesAtOneLessAtAndAboveTheLimit) {
  auto [bottom, resolver] = Promise<int>::with_resolver(promises_);
  // The bottom, and nested + 1 coroutines.
  const auto less = nested(promises_, kLimit - 3, bottom);
  const auto equal = nested(promises_, kLimit - 2, bottom);
  const auto above = nested(promises_, kLimit - 1, bottom);
  EXPECT_TRUE(above.is_rejected());
  EXPECT_TRUE(is_refused(above));
  resolver.resolve(0);
  loop_.run_checkpoint();
  EXPECT_EQ(*less.value(), static_cast<int>(kLimit) - 3);
  EXPECT_EQ(*equal.value(), static_cast<int>(kLimit) - 2);
}

Promise<void> goes_deeper(const Promises& home, int& calls, std::size_t& most) {
  most = std::max(most, home.live());
  if (++calls == 1000) co_return;
  co_await sleep_for(home, std::chrono::nanoseconds(1));
  co_await goes_deeper(home, calls, most);
}

TEST_F(DepthLimit, R36_RecursionByCoroutinesKeepsABoundedNumberOfPromises) {
  int calls = 0;
  int calls_when_refused = 0;
  std::size_t most = 0;
  promises_.options().on_unhandled_rejection = [](const Reason&) {};
  run([&] {
    goes_deeper(promises_, calls, most).catch_(Errc::limit_exceeded, [&](const Error&) { calls_when_refused = calls; });
  });
  EXPECT_EQ(calls, 1000);
  EXPECT_GT(calls_when_refused, 0);
  EXPECT_LE(calls_when_refused, static_cast<int>(kLimit));
  EXPECT_LE(most, 3 * kLimit);
}

TEST_F(DepthLimit, R36_OffNothingIsRefused) {
  Promises promises(loop_);
  auto [promise, resolver] = Promise<int>::with_resolver(promises);
  auto last = promise;
  for (int i = 0; i < 100'000; ++i) last = last.then([](int n) { return n + 1; });
  resolver.resolve(0);
  loop_.run_checkpoint();
  EXPECT_EQ(*last.value(), 100'000);
}

TEST_F(DepthLimit, OptionsOutOfRangeAreRefused) {
  EXPECT_NO_THROW(Promises(loop_, {.depth_limit = 65'535}));
  EXPECT_THROW(Promises(loop_, {.depth_limit = 65'536}), std::invalid_argument);
}

// A row that ends where it begins is found through handlers as well, so that it does not wait for the end of the loop.
TEST_F(DepthLimit, V18_ARingThroughHandlersIsFreedWhenItIsDropped) {
  Promises promises(loop_);
  {
    const auto self = std::make_shared<Promise<void>>();
    *self = Promise<void>::resolved(promises).then([self] { return self->then([] {}); });
    loop_.run_checkpoint();
    EXPECT_TRUE(self->is_pending());
  }
  EXPECT_EQ(promises.live(), 0u);
}

}  // namespace
}  // namespace gyre
