#include <algorithm>
#include <future>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/promise/blocking_wait.h>
#include <gyre/promise/internal/test_support.h>
#include <gyre/promise/remote_resolver.h>

// What the end of a loop has to reject is a list through the promises themselves (V10). A promise leaves it when it is
// settled or gone, so that nothing is left to be scavenged (P78, P79).

namespace gyre {
namespace {

using testing::must;
using testing::some_error;

class Registry : public testing::PromiseTest {
 protected:
  Promises promises_{loop_};
};

TEST_F(Registry, P78_V10_R44_WhatIsSettledLeavesAtOnce) {
  std::vector<PromiseWithResolver<int>> pairs;
  for (int i = 0; i < 6; ++i) pairs.push_back(Promise<int>::with_resolver(promises_));
  EXPECT_EQ(promises_.registered(), 6u);
  pairs[1].resolver.resolve(1);
  EXPECT_EQ(promises_.registered(), 5u);
  pairs[2].resolver.reject(some_error());
  pairs[2].promise.ignore_rejection();
  EXPECT_EQ(promises_.registered(), 4u);
  pairs[4].resolver.resolve(4);
  EXPECT_EQ(promises_.registered(), 3u);
  EXPECT_EQ(promises_.live(), 6u);  // the holders keep them, not the list
  must(loop_.close());
  for (const int i : {0, 3, 5}) EXPECT_TRUE(pairs[static_cast<std::size_t>(i)].promise.reason()->is(Errc::terminated));
}

TEST_F(Registry, P79_R20_NoPatternLeavesAnythingBehind) {
  std::mt19937 random(79);
  EXPECT_EQ(promises_.registered(), 0u);
  for (const std::size_t settled : {std::size_t{50}, std::size_t{270}, std::size_t{300}}) {
    std::vector<PromiseWithResolver<int>> pairs;
    for (int i = 0; i < 300; ++i) pairs.push_back(Promise<int>::with_resolver(promises_));
    std::shuffle(pairs.begin(), pairs.end(), random);
    for (std::size_t i = 0; i < settled; ++i) pairs[i].resolver.resolve(1);
    EXPECT_EQ(promises_.registered(), 300 - settled);
    for (auto& pair : pairs) pair.promise = {};  // before the resolvers, so that nobody hears of their end
    pairs.clear();
    EXPECT_EQ(promises_.registered(), 0u);
    EXPECT_EQ(promises_.live(), 0u);
  }
}

// Half of them settle from the threads while others are being made; the last to settle is the last to be made.
TEST_F(Registry, P80_R18_SixteenThreadsRegisterSixtyFourEach) {
  std::vector<Promise<int>> made;
  std::vector<RemoteResolver<int>> pending;
  int settled = 0;
  std::size_t left_at_the_end = 0;
  Loop::Hold hold = loop_.hold();
  std::vector<std::jthread> threads;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&, remote = loop_.remote()]() mutable {
      for (int i = 0; i < 64; ++i) {
        std::promise<RemoteResolver<int>> handed_over;
        must(remote.post([&] {
          auto [promise, resolver] = with_remote_resolver<int>(promises_, {.keeps_loop_alive = false});
          made.push_back(promise);
          if (i % 2 == 0) pending.push_back(resolver);
          promise
              .then([&](int) {
                if (++settled < 512) return;
                left_at_the_end = promises_.registered();
                hold.release();
              })
              .ignore_rejection();
          handed_over.set_value(std::move(resolver));
        }));
        const auto resolver = handed_over.get_future().get();
        if (i % 2 == 1) {
          EXPECT_TRUE(resolver.resolve(i));
        }
      }
    });
  }
  must(loop_.run());
  EXPECT_EQ(made.size(), 1024u);
  EXPECT_EQ(left_at_the_end, 512u);
  EXPECT_EQ(std::ranges::count_if(made, [](const auto& promise) { return promise.is_fulfilled(); }), 512);
}

TEST_F(Registry, P81_TheEndRejectsWhatIsPendingOnceAndTouchesNothingElse) {
  auto fulfilled = Promise<int>::with_resolver(promises_);
  auto rejected = Promise<int>::with_resolver(promises_);
  auto pending = Promise<int>::with_resolver(promises_);
  const Reason reason(some_error());
  fulfilled.resolver.resolve(1);
  rejected.resolver.reject(reason);
  rejected.promise.ignore_rejection();
  int told = 0;
  const BlockingWait<void> wait(pending.promise.then(nullptr).then([](int) {}, [&](const Reason&) { ++told; }));
  must(loop_.close());
  EXPECT_EQ(*fulfilled.promise.value(), 1);
  EXPECT_EQ(*rejected.promise.reason(), reason);
  EXPECT_TRUE(pending.promise.reason()->is(Errc::terminated));
  EXPECT_TRUE(testing::fails_with(wait.wait(), Errc::terminated));
  EXPECT_EQ(told, 0);  // handlers need a loop
  EXPECT_EQ(promises_.registered(), 0u);
  EXPECT_TRUE(testing::fails_with(loop_.close(), Errc::terminated));  // again, without effect
  EXPECT_TRUE(pending.promise.reason()->is(Errc::terminated));
}

}  // namespace
}  // namespace gyre
