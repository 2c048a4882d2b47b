#include <atomic>
#include <latch>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre {
namespace {

using namespace testing;

// Timers that other threads arm, cancel, and hold on to.

/// Returns when the loop has answered, and so has applied whatever this thread gave it before.
void await_answer(Remote& remote) {
  EXPECT_TRUE(fails_with(remote.cancel(TimerId()), Errc::timer_not_found));
}

TEST(RemoteTimer, CountsItsDelayFromTheCallHoweverLongTheLoopHasSlept) {  // L95
  ManualClock clock;
  Loop loop({.clock = &clock});
  Remote remote = loop.remote();
  Runner runner(loop);
  ASSERT_TRUE(falls_asleep(remote));
  clock.advance(100ms);  // the loop's own idea of the time is now old
  std::atomic<bool> fired = false;
  must(remote.set_timeout(50ms, [&] { fired = true; }));
  await_answer(remote);
  clock.advance(50ms - 1ns);
  await_answer(remote);
  await_answer(remote);  // a turn later
  EXPECT_FALSE(fired);
  clock.advance(1ns);
  ASSERT_TRUE(eventually([&] {
    must(remote.wake());
    return fired.load();
  }));
  must(remote.shutdown());
}

TEST(RemoteTimer, WakesALoopThatSleepsOnTheRealClock) {  // L95
  Loop loop;
  Remote remote = loop.remote();
  must(loop.set_timeout(1h, [] { ADD_FAILURE(); }));
  Runner runner(loop);
  ASSERT_TRUE(falls_asleep(remote));
  const TimePoint start = std::chrono::steady_clock::now();
  TimePoint fired;
  must(remote.set_timeout(20ms, [&] {
    fired = std::chrono::steady_clock::now();
    must(loop.shutdown());
  }));
  must(runner.join());
  EXPECT_GE(fired - start, 20ms);
}

TEST(RemoteTimer, OfTheSameDeadlineKeepTheOrderInWhichTheyWereArmed) {  // L78
  ManualClock clock(ManualClock::Mode::automatic);
  Loop loop({.auto_exit = true, .clock = &clock});
  Remote remote = loop.remote();
  const TimePoint deadline = clock.now() + 1s;
  std::string order;
  const auto note = [&](char which) { return [&order, which] { order += which; }; };
  must(loop.set_timeout_at(deadline, note('a')));
  must(remote.set_timeout_at(deadline, note('b')));
  must(remote.set_timeout(1s, note('c')));
  must(loop.set_timeout_at(deadline, note('d')));
  must(remote.set_timeout_at(deadline - 1ns, note('0')));
  must(loop.run());
  EXPECT_EQ(order, "0abcd");
}

TEST(RemoteTimer, OfNoDelayOrANegativeOneFiresInTheNextTurn) {  // L76
  ManualClock clock;
  Loop loop({.auto_exit = true, .clock = &clock});
  Remote remote = loop.remote();
  int fired = 0;
  must(remote.set_timeout(-1h, [&] { ++fired; }));
  must(remote.set_timeout(0s, [&] { ++fired; }));
  must(remote.set_timeout_at(TimePoint(), [&] { ++fired; }));
  must(loop.run());
  EXPECT_EQ(fired, 3);
}

TEST(RemoteTimer, TakesEveryCallThatATimerOfTheLoopTakes) {
  ManualClock clock;
  Loop loop({.clock = &clock});
  Remote remote = loop.remote();
  int fired = 0;
  const TimerId id = must(remote.set_timeout(1s, [&] { ++fired; }));
  const TimerId interval = must(remote.set_interval(10ms, [&] { ++fired; }));
  const TimerId gone = must(remote.set_interval(-1s, [] { ADD_FAILURE(); }, false));
  EXPECT_EQ(must(loop.missed_runs(interval)), 0u);
  EXPECT_EQ(loop.timer_count(), 3u);
  must(loop.cancel(gone));
  EXPECT_TRUE(fails_with(loop.cancel(gone), Errc::timer_not_found));
  EXPECT_TRUE(fails_with(loop.missed_runs(gone), Errc::timer_not_found));
  EXPECT_TRUE(fails_with(loop.reschedule(gone, 1s), Errc::timer_not_found));
  must(loop.reschedule(id, 5ms));
  loop.unref(id);
  loop.unref(interval);
  EXPECT_FALSE(loop.is_alive());
  loop.ref(id);
  EXPECT_TRUE(loop.is_alive());
  clock.advance(35ms);
  must(loop.poll_once());
  must(loop.poll_once());
  EXPECT_EQ(fired, 2);
  EXPECT_EQ(must(loop.missed_runs(interval)), 2u);
  EXPECT_EQ(must(loop.remote().cancel(std::vector{id, interval})).size(), 2u);
  EXPECT_EQ(loop.timer_count(), 0u);
}

TEST(RemoteTimer, IdsAreNeverThoseOfTheLoopsOwn) {
  Loop loop;
  Remote remote = loop.remote();
  std::vector<TimerId> ids;
  for (int i = 0; i < 100; ++i) {
    ids.push_back(must(i % 2 == 0 ? loop.set_timeout(1h, [] {}) : remote.set_timeout(1h, [] {})));
  }
  std::ranges::sort(ids);
  EXPECT_EQ(std::ranges::adjacent_find(ids), ids.end());
  for (const TimerId id : ids) must(loop.cancel(id));
  EXPECT_EQ(loop.timer_count(), 0u);
}

TEST(RemoteTimer, RefsFollowEachOtherInTheOrderOfTheCalls) {  // L36
  Loop loop;
  Remote remote = loop.remote();
  const TimerId id = must(remote.set_timeout(1h, [] { ADD_FAILURE(); }));
  Runner runner(loop);
  const auto is_alive = [&] {
    bool alive = false;
    std::latch looked(1);
    must(remote.set_immediate([&] {
      alive = loop.is_alive();
      looked.count_down();
    }));
    looked.wait();
    return alive;
  };
  EXPECT_TRUE(is_alive());
  must(remote.unref(id));
  EXPECT_FALSE(is_alive());
  must(remote.ref(id));
  EXPECT_TRUE(is_alive());
  must(remote.unref(id));
  must(remote.ref(id));
  must(remote.ref(id));
  must(remote.unref(id));
  EXPECT_FALSE(is_alive());
  must(remote.ref(TimerId()));
  must(remote.unref(TimerId(77, 5)));
  must(remote.shutdown());
}

TEST(RemoteTimer, UnrefdFromTheStartNeverHoldsTheLoop) {  // L37
  Loop loop({.auto_exit = true});
  must(loop.remote().set_timeout(1h, [] { ADD_FAILURE(); }, false));
  must(loop.remote().set_interval(1h, [] { ADD_FAILURE(); }, false));
  EXPECT_FALSE(loop.is_alive());
  must(loop.run());
}

void expect_batch_results(const std::vector<Result<void>>& results) {
  ASSERT_EQ(results.size(), 4u);
  EXPECT_TRUE(results[0]);
  EXPECT_TRUE(fails_with(results[1], Errc::timer_not_found));
  EXPECT_TRUE(fails_with(results[2], Errc::timer_not_found));
  EXPECT_TRUE(results[3]);
}

TEST(RemoteTimer, ABatchIsCancelledInOrder) {  // L86
  Loop loop;
  Remote remote = loop.remote();
  const auto batch = [](auto& target) {
    const TimerId a = must(target.set_timeout(1h, [] { ADD_FAILURE(); }));
    const TimerId b = must(target.set_interval(1h, [] { ADD_FAILURE(); }));
    return std::vector{a, a, TimerId(12'345, 0), b};
  };
  expect_batch_results(loop.cancel(batch(loop)));
  expect_batch_results(must(remote.cancel(batch(loop))));
  EXPECT_TRUE(loop.cancel(std::span<const TimerId>()).empty());
  Runner runner(loop);
  expect_batch_results(must(remote.cancel(batch(remote))));
  EXPECT_TRUE(must(remote.cancel(std::span<const TimerId>())).empty());
  must(remote.shutdown());
}

TEST(RemoteTimer, ACancelThatIsHeardBeforeTheStartPreventsIt) {  // L88
  ManualClock clock;
  Loop loop({.auto_exit = true, .clock = &clock});
  Remote remote = loop.remote();
  TimerId second;
  bool ran = false;
  must(loop.set_timeout(0s, [&] {  // both are due, and the phase has begun
    std::thread([&] { must(remote.request_cancel(second)); }).join();
  }));
  second = must(loop.set_timeout(0s, [&] { ran = true; }));
  must(loop.run());
  EXPECT_FALSE(ran);
}

TEST(RemoteTimer, ACancelThatComesDuringTheCallbackLetsItFinish) {  // L88
  Loop loop;
  Remote remote = loop.remote();
  Runner runner(loop);
  std::latch started(1);
  std::latch released(1);
  std::atomic<int> finished = 0;
  const TimerId id = must(remote.set_timeout(0s, [&] {
    started.count_down();
    released.wait();
    ++finished;
  }));
  started.wait();
  must(remote.request_cancel(id));
  Result<void> answer;
  std::thread asker([&] { answer = remote.cancel(id); });
  released.count_down();
  asker.join();
  EXPECT_EQ(finished, 1);
  EXPECT_TRUE(fails_with(answer, Errc::timer_not_found)) << "it has run";
  must(remote.shutdown());
  EXPECT_EQ(finished, 1);
}

TEST(RemoteTimer, ACancelThatIsHeardInsideTheCallbackComesTooLateAndIsTheLastWord) {  // L88
  Loop loop({.auto_exit = true});
  Remote remote = loop.remote();
  std::atomic<bool> answered = false;
  Result<void> answer;
  std::thread asker;
  int runs = 0;
  TimerId id;
  id = must(loop.set_timeout(0s, [&] {
    ++runs;
    asker = std::thread([&] {
      answer = remote.cancel(id);
      answered = true;
    });
    EXPECT_TRUE(eventually([&] {
      static_cast<void>(loop.is_alive());  // takes over what other threads have for the loop
      return answered.load();
    }));
    EXPECT_TRUE(fails_with(loop.reschedule(id, 0s), Errc::timer_not_found));
  }));
  must(loop.run());
  asker.join();
  EXPECT_TRUE(fails_with(answer, Errc::timer_not_found)) << "it has begun";
  EXPECT_EQ(runs, 1);
}

TEST(RemoteTimer, AnIntervalCancelledDuringItsCallbackFinishesAndEnds) {  // L150
  ManualClock clock;
  Loop loop({.auto_exit = true, .clock = &clock});
  Remote remote = loop.remote();
  int finished = 0;
  TimerId id;
  id = must(loop.set_interval(0s, [&] {
    if (finished == 2) std::thread([&] { must(remote.request_cancel(id)); }).join();
    ++finished;
  }));
  must(loop.run());  // it ends: nothing is left
  EXPECT_EQ(finished, 3);
}

TEST(RemoteTimer, AnIntervalDoesNotStartAgainOnceItsCancelHasReturned) {  // L150
  Loop loop;
  Remote remote = loop.remote();
  Runner runner(loop);
  for (int i = 0; i < 200; ++i) {
    std::atomic<int> runs = 0;
    const TimerId id = must(remote.set_interval(0s, [&] { ++runs; }));
    if (i % 2 == 0) {
      ASSERT_TRUE(eventually([&] { return runs > 0; }));
    }
    must(remote.cancel(id));
    const int then = runs;
    await_answer(remote);
    EXPECT_EQ(runs, then);
  }
  must(remote.shutdown());
}

TEST(RemoteTimer, OfManyThreadsThatCancelOneTimerOneSucceeds) {  // L99
  Loop loop;
  Remote remote = loop.remote();
  Runner runner(loop);
  for (int round = 0; round < 50; ++round) {
    const TimerId id = must(remote.set_timeout(1h, [] { ADD_FAILURE(); }));
    std::atomic<int> cancelled = 0;
    std::atomic<int> not_found = 0;
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&, mine = remote]() mutable {
        const auto result = mine.cancel(id);
        if (result) ++cancelled;
        if (!result && result.error().is(Errc::timer_not_found)) ++not_found;
      });
    }
    threads.clear();
    EXPECT_EQ(cancelled, 1);
    EXPECT_EQ(not_found, 7);
  }
  must(remote.shutdown());
}

TEST(RemoteTimer, InAStormNoneRunsAfterItsCancelAndNoneIsLost) {  // L97
  Loop loop;
  Remote remote = loop.remote();
  Runner runner(loop);
  constexpr int kThreads = 50;
  constexpr int kOperations = 20;
  std::atomic<int> armed = 0, cancelled = 0, fired = 0;
  struct Fate {
    std::atomic<bool> cancelled = false;
    std::atomic<bool> fired = false;
  };
  std::vector<Fate> fates(kThreads * kOperations);
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread, mine = remote]() mutable {
      std::minstd_rand random(static_cast<unsigned>(thread + 1));
      for (int i = 0; i < kOperations; ++i) {
        Fate& fate = fates[static_cast<std::size_t>(thread * kOperations + i)];
        const TimerId id = must(mine.set_timeout(Duration(random() % 300'000), [&] {
          EXPECT_FALSE(fate.cancelled);
          EXPECT_FALSE(fate.fired.exchange(true));
          ++fired;
        }));
        ++armed;
        if (random() % 2 == 0) continue;
        if (mine.cancel(id)) {
          fate.cancelled = true;
          EXPECT_FALSE(fate.fired);
          ++cancelled;
        }
      }
    });
  }
  threads.clear();
  EXPECT_TRUE(eventually([&] { return fired + cancelled == armed; }));
  await_answer(remote);  // the loop lives
  must(remote.shutdown());
  EXPECT_EQ(armed, kThreads * kOperations);
  EXPECT_EQ(fired + cancelled, armed);
}

TEST(RemoteTimer, NeverFiresInTheDrainAndItsCaptureGoesWithTheLoop) {  // L25
  ManualClock clock;
  Loop loop({.clock = &clock});
  Remote remote = loop.remote();
  const auto capture = std::make_shared<int>();
  must(remote.set_timeout(0s, [capture] { ADD_FAILURE(); }));
  must(remote.set_interval(0s, [capture] { ADD_FAILURE(); }));
  must(remote.shutdown());
  EXPECT_EQ(capture.use_count(), 1);
  EXPECT_TRUE(fails_with(remote.set_timeout(0s, [capture] { ADD_FAILURE(); }), Errc::terminated));
  EXPECT_EQ(capture.use_count(), 1);
}

TEST(RemoteTimer, GivenInTheLastMomentGoesWithALoopThatIsClosed) {  // L144
  Loop loop;
  Remote remote = loop.remote();
  const auto capture = std::make_shared<int>();
  std::thread closer;
  must(loop.post([&, capture] {
    closer = std::thread([&] { must(remote.close()); });
    // Not taken over yet when the loop is closed.
    while (remote.set_timeout(0s, [capture] { ADD_FAILURE(); }) &&
           remote.set_interval(0s, [capture] { ADD_FAILURE(); }) &&
           remote.set_immediate([capture] { ADD_FAILURE(); }) && remote.queue_microtask([capture] { ADD_FAILURE(); })) {
      std::this_thread::yield();
    }
  }));
  must(loop.run());
  closer.join();
  EXPECT_EQ(capture.use_count(), 1);
}

}  // namespace
}  // namespace gyre
