#include <atomic>
#include <barrier>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/promise/blocking_wait.h>
#include <gyre/promise/combinators.h>
#include <gyre/promise/internal/test_support.h>
#include <gyre/promise/remote_resolver.h>

// Promises and other threads: settling from them, waiting on them.

#if defined(__SANITIZE_THREAD__)
// The count of references to an exception object is in libstdc++, which is not instrumented: where the last reference
// goes on another thread than the one that looked at the exception, the sanitizer misses the order between the two.
extern "C" const char* __tsan_default_suppressions() {
  return "race:std::runtime_error::~runtime_error\nrace:std::logic_error::~logic_error\n";
}
#endif

namespace gyre {
namespace {

using testing::must;
using testing::some_error;
using namespace std::chrono_literals;

class Threads : public testing::PromiseTest {};

TEST_F(Threads, P3_AHundredThreadsCompeteAndOneWins) {
  auto [promise, resolver] = with_remote_resolver<int>(loop_);
  const BlockingWait<int> wait(promise);
  std::atomic<int> winner = -1;
  std::atomic<int> wins = 0;
  std::vector<int> seen;
  for (int i = 0; i < 3; ++i) promise.then([&](int n) { seen.push_back(n); });
  std::vector<std::jthread> threads;
  for (int i = 0; i < 100; ++i) {
    threads.emplace_back([&, i, r = resolver] {
      if (r.resolve(i)) {
        winner = i;
        ++wins;
      }
    });
  }
  resolver = {};
  must(loop_.run());
  threads.clear();
  EXPECT_EQ(wins, 1);
  EXPECT_EQ(seen, std::vector<int>(3, winner));
  EXPECT_EQ(*wait.wait(), winner);
}

TEST_F(Threads, P41_ResolvedOnAnotherThreadHandledOnTheLoops) {
  const auto here = std::this_thread::get_id();
  auto [promise, resolver] = with_remote_resolver<std::unique_ptr<int>>(loop_);
  promise.then([&](std::unique_ptr<int> value) {
    EXPECT_EQ(std::this_thread::get_id(), here);
    says(std::to_string(*value));
  });
  std::jthread([r = std::move(resolver)] {
    EXPECT_FALSE(r.is_settled());
    EXPECT_TRUE(r.resolve(std::make_unique<int>(4)));
    EXPECT_FALSE(r.resolve(std::make_unique<int>(5)));
    EXPECT_FALSE(r.reject(some_error()));
    EXPECT_TRUE(r.is_settled());
  }).detach();
  must(loop_.run());
  EXPECT_EQ(log_, Lines{"4"});
}

// A handler is registered on the loop's thread, by whoever asks for it.
TEST_F(Threads, P36_FiftyThreadsHaveHandlersRegisteredOnAPendingPromise) {
  const auto pair = Promise<int>::with_resolver(loop_);
  int calls = 0;
  std::atomic<int> running = 50;
  Loop::Hold hold = loop_.hold();
  std::vector<std::jthread> threads;
  for (int i = 0; i < 50; ++i) {
    threads.emplace_back([&, remote = loop_.remote()]() mutable {
      must(remote.post([&] { pair.promise.then([&](int n) { calls += n; }); }));
      if (--running > 0) return;
      must(remote.post([&] {
        EXPECT_EQ(calls, 0);
        pair.resolver.resolve(1);
        hold.release();
      }));
    });
  }
  must(loop_.run());
  EXPECT_EQ(calls, 50);
}

TEST_F(Threads, P50_ResolveAndRejectRaceOnce) {
  int outcomes = 0;
  std::vector<Promise<int>> promises;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 100; ++i) {
    auto [promise, resolver] = with_remote_resolver<int>(loop_);
    promise.then([&](int) { ++outcomes; }, [&](const Reason&) { ++outcomes; });
    promises.push_back(promise);
    threads.emplace_back([r = resolver] { r.resolve(1); });
    if (i % 2 == 0) threads.emplace_back([r = resolver] { r.reject(some_error()); });
  }
  must(loop_.run());
  EXPECT_EQ(outcomes, 100);
}

TEST_F(Threads, P93_ASettlementThatReturnedComesBeforeALaterMicrotask) {
  run([&] {
    auto [promise, resolver] = with_remote_resolver<int>(loop_);
    promise.then([&](int) { says("reaction 1"); });
    promise.then([&](int) { says("reaction 2"); });
    std::thread([&, r = resolver] { EXPECT_TRUE(r.resolve(1)); }).join();
    must(loop_.queue_microtask(note("M")));
  });
  EXPECT_EQ(log_, (Lines{"reaction 1", "reaction 2", "M"}));
}

TEST_F(Threads, P94_AForeignTickInATickComesBeforeReactions) {
  run([&] {
    Promise<void>::resolved(loop_).then(note("R"));
    must(loop_.next_tick([&] {
      std::thread([&] { must(loop_.remote().next_tick(note("foreign N"))); }).join();
      says("N");
    }));
  });
  EXPECT_EQ(log_, (Lines{"N", "foreign N", "R"}));
}

TEST_F(Threads, TheLastRemoteResolverToGoBreaksThePromise) {
  auto [promise, resolver] = with_remote_resolver<int>(loop_);
  promise.catch_([&](const Error& e) {
    says(e.is(Errc::broken) ? "broken" : "?");
    return 0;
  });
  std::jthread([r = std::move(resolver)] { const auto copy = r; }).detach();
  must(loop_.run());
  EXPECT_EQ(log_, Lines{"broken"});
}

TEST_F(Threads, ItKeepsTheLoopAliveUnlessToldOtherwise) {
  auto kept = with_remote_resolver<int>(loop_);
  EXPECT_TRUE(loop_.is_alive());
  kept.resolver.resolve(1);
  loop_.run_checkpoint();
  EXPECT_TRUE(kept.promise.is_fulfilled() || loop_.is_alive());
  auto loose = with_remote_resolver<int>(loop_, {.keeps_loop_alive = false});
  must(loop_.run());
  EXPECT_TRUE(loose.promise.reason()->is(Errc::terminated));
  EXPECT_FALSE(loose.resolver.resolve(2));
}

TEST_F(Threads, AResultOrAReasonTravels) {
  auto good = with_remote_resolver<int>(loop_);
  auto bad = with_remote_resolver<int>(loop_);
  auto thrown = with_remote_resolver<int>(loop_);
  std::jthread([a = std::move(good.resolver), b = std::move(bad.resolver), c = std::move(thrown.resolver)] {
    a.resolve(Result<int>(3));
    b.resolve(Result<int>(std::unexpect, Errc::timed_out, "late"));
    c.reject(std::out_of_range("far"));
  }).detach();
  bad.promise.ignore_rejection();
  thrown.promise.ignore_rejection();
  must(loop_.run());
  EXPECT_EQ(*good.promise.value(), 3);
  EXPECT_TRUE(bad.promise.reason()->is(Errc::timed_out));
  EXPECT_NE(thrown.promise.reason_as<std::out_of_range>(), nullptr);
}

// R18: half resolved, half rejected, every handler once, on the owner.
TEST_F(Threads, R18_AHundredThreadsSettleAThousandPromisesEach) {
  constexpr int kThreads = 100;
  constexpr int kEach = 1000;
  const auto here = std::this_thread::get_id();
  int handled = 0;
  int elsewhere = 0;
  const auto count = [&](const auto&) {
    ++handled;
    if (std::this_thread::get_id() != here) ++elsewhere;
  };
  std::vector<std::vector<RemoteResolver<int>>> shares(kThreads);
  for (auto& share : shares) {
    for (int i = 0; i < kEach; ++i) {
      auto [promise, resolver] = with_remote_resolver<int>(loop_);
      promise.then(count, count);
      share.push_back(std::move(resolver));
    }
  }
  std::barrier begin(kThreads);
  std::vector<std::jthread> threads;
  for (auto& share : shares) {
    threads.emplace_back([&begin, share = std::move(share)] {
      begin.arrive_and_wait();
      for (std::size_t i = 0; i < share.size(); ++i) {
        if (i % 2 == 0) {
          share[i].resolve(1);
        } else {
          share[i].reject(some_error());
        }
      }
    });
  }
  must(loop_.run());
  EXPECT_EQ(handled, kThreads * kEach);
  EXPECT_EQ(elsewhere, 0);
  EXPECT_TRUE(callback_errors_.empty());
}

// --- Waiting ---

TEST_F(Threads, P40_P76_ManyWaitersEachGetTheResult) {
  auto [promise, resolver] = Promise<std::string>::with_resolver(loop_);
  const BlockingWait<std::string> waits[] = {BlockingWait(promise), BlockingWait(promise), BlockingWait(promise)};
  EXPECT_FALSE(waits[0].is_settled());
  resolver.resolve("there");  // the loop does not run: the waiters hear of it all the same
  for (const auto& wait : waits) EXPECT_EQ(*wait.wait(), "there");
  EXPECT_EQ(BlockingWait(promise).get(), "there");
}

TEST_F(Threads, P77_AWaitNeverMissesTheSettlement) {
  for (int round = 0; round < 10'000; ++round) {
    auto [promise, resolver] = Promise<int>::with_resolver(loop_);
    const BlockingWait<int> wait(promise);
    std::atomic<bool> started = false;
    if (round % 100 == 0) {
      std::jthread waiter([&] {
        started = true;
        EXPECT_EQ(*wait.wait(), round);
      });
      while (!started) std::this_thread::yield();
      resolver.resolve(round);
    } else {
      resolver.resolve(round);
      EXPECT_EQ(*wait.wait(), round);
    }
  }
}

TEST_F(Threads, V4_AWaitTellsAValueFromAReason) {
  auto bad = Promise<Error>::rejected(loop_, std::out_of_range("far")).ignore_rejection();
  const BlockingWait<Error> wait(bad);
  EXPECT_FALSE(wait.wait().has_value());
  EXPECT_THROW(static_cast<void>(wait.get()), std::out_of_range);
  EXPECT_NE(wait.reason()->as<std::out_of_range>(), nullptr);
  EXPECT_TRUE(BlockingWait<Error>(Promise<Error>::resolved(loop_, some_error())).wait().has_value());
}

TEST_F(Threads, V12_TheOwnerIsToldThatItWouldWaitForItself) {
  run([&] {
    auto [promise, resolver] = Promise<int>::with_resolver(loop_);
    const BlockingWait<int> wait(promise);
    EXPECT_TRUE(testing::fails_with(wait.wait(), std::errc::resource_deadlock_would_occur));
    EXPECT_TRUE(testing::fails_with(wait.wait_for(1h), std::errc::resource_deadlock_would_occur));
    resolver.resolve(1);
    EXPECT_EQ(*wait.wait(), 1);
  });
}

TEST_F(Threads, AWaitHasADeadlineAndCanBeStopped) {
  auto [promise, resolver] = Promise<int>::with_resolver(loop_);
  const BlockingWait<int> wait(promise);
  std::jthread([wait] { EXPECT_TRUE(testing::fails_with(wait.wait_for(1ms), Errc::timed_out)); }).join();
  std::jthread waiter(
      [wait](std::stop_token stop) { EXPECT_TRUE(testing::fails_with(wait.wait(stop), Errc::cancelled)); });
  waiter.request_stop();
}

TEST_F(Threads, AWaitForAPromiseThatIsGoneEnds) {
  std::optional<BlockingWait<int>> wait;
  {
    const auto never = race(loop_, std::vector<Promise<int>>());
    wait.emplace(never);
  }
  EXPECT_TRUE(testing::fails_with(wait->wait(), Errc::broken));
}

TEST_F(Threads, P56_PromisesOfTwoLoopsAreCombinedByForwarding) {
  Loop other;
  testing::Runner runner(other);
  auto [promise, resolver] = with_remote_resolver<int>(loop_);
  must(other.remote().post([&other, r = std::move(resolver)] { forward(Promise<int>::resolved(other, 2), r); }));
  const auto both = all(loop_, std::vector{promise, Promise<int>::resolved(loop_, 1)});
  must(loop_.run());
  EXPECT_EQ(*both.value(), (std::vector{2, 1}));
  must(other.remote().shutdown());
}

}  // namespace
}  // namespace gyre
