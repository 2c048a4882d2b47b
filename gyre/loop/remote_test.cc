#include <atomic>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre {
namespace {

using namespace testing;

#if defined(__SANITIZE_THREAD__)
constexpr int kPosts = 20'000;
#else
constexpr int kPosts = 100'000;
#endif

// Each post goes out at some moment around the owner's decision to sleep, and the next only when it has run: a single
// lost wake-up hangs the test.
void expect_no_lost_wake(bool in_poller, bool with_timer) {
  Loop loop;
  Pipe pipe;
  Watcher watcher;
  if (in_poller) watcher = must(loop.watch(pipe.read_end(), Readiness::read, [](Readiness) { ADD_FAILURE(); }));
  if (with_timer) must(loop.set_timeout(1h, [] { ADD_FAILURE(); }));
  Runner runner(loop);
  Remote remote = loop.remote();
  std::atomic<int> executed = 0;
  for (int i = 1; i <= kPosts; ++i) {
    must(remote.post([&] { executed.fetch_add(1, std::memory_order_relaxed); }));
    if (i % 8 == 0) {  // from time to time let it fall asleep; else race with it
      ASSERT_TRUE(falls_asleep(remote));
    }
    ASSERT_TRUE(eventually([&] { return executed.load(std::memory_order_relaxed) == i; })) << "post " << i;
  }
  must(remote.shutdown());
  must(runner.join());
  // `falls_asleep` may have seen the sleep before the post was noticed; that there were many is what matters.
  EXPECT_EQ(executed, kPosts);
}

TEST(Remote, APostIsNeverMissedByALoopFallingAsleepOnAFutex) {  // L113 L148
  expect_no_lost_wake(false, false);
}
TEST(Remote, APostIsNeverMissedByALoopFallingAsleepOnAFutexWithATimeout) {  // L113
  expect_no_lost_wake(false, true);
}
TEST(Remote, APostIsNeverMissedByALoopFallingAsleepInEpoll) {  // L113 L148
  expect_no_lost_wake(true, false);
}

TEST(Remote, APostIsNeverMissedWhileTheLoopChangesItsWayOfSleeping) {  // L103 L113
  Loop loop;
  Pipe pipe;
  Watcher watcher;
  Runner runner(loop);
  Remote remote = loop.remote();
  std::atomic<int> executed = 0;
  for (int i = 1; i <= kPosts / 10; ++i) {
    must(remote.post([&] {
      if (watcher.is_active()) {
        must(watcher.stop());
      } else {
        watcher = must(loop.watch(pipe.read_end(), Readiness::read, [](Readiness) {}));
      }
      ++executed;
    }));
    ASSERT_TRUE(eventually([&] { return executed == i; })) << "post " << i;
  }
  must(remote.shutdown());
}

TEST(Remote, ManyProducersAreAllServedInTheirOwnOrder) {  // L70
  Loop loop;
  Runner runner(loop);
  constexpr int kProducers = 4;
  constexpr int kEach = 5000;
  std::vector<int> last(kProducers, -1);
  std::latch all(kProducers * kEach);
  std::vector<std::thread> producers;
  for (int p = 0; p < kProducers; ++p) {
    producers.emplace_back([&, p, remote = loop.remote()]() mutable {
      for (int i = 0; i < kEach; ++i) {
        must(remote.post([&, p, i] {
          EXPECT_EQ(last[static_cast<std::size_t>(p)], i - 1);
          last[static_cast<std::size_t>(p)] = i;
          all.count_down();
        }));
      }
    });
  }
  all.wait();
  for (auto& producer : producers) producer.join();
  must(loop.remote().shutdown());
}

TEST(Remote, PostsBeforeTheRunAreKept) {
  Loop loop({.auto_exit = true});
  std::string log;
  must(loop.remote().post([&] { log += "task "; }));
  must(loop.remote().post_priority([&] { log += "priority "; }));
  must(loop.run());
  EXPECT_EQ(log, "priority task ");
}

TEST(Remote, ARefusedTaskIsDestroyedUnrunByTheCaller) {
  Loop loop;
  Remote remote = loop.remote();
  must(remote.close());
  bool destroyed = false;
  EXPECT_TRUE(
      fails_with(remote.post([at_end = AtEnd([&] { destroyed = true; })] { ADD_FAILURE(); }), Errc::terminated));
  EXPECT_TRUE(destroyed);
}

TEST(Remote, ARefusedTaskMayPostAgainOnItsWayOut) {
  Loop loop;
  Remote remote = loop.remote();
  must(remote.close());
  static_cast<void>(remote.post([at_end = AtEnd([&] { static_cast<void>(remote.post([] {})); })] {}));
}

TEST(Remote, OutlivesItsLoop) {
  std::unique_ptr<Remote> remote;
  {
    Loop loop;
    remote = std::make_unique<Remote>(loop.remote());
  }
  EXPECT_TRUE(remote->is_done());
  EXPECT_TRUE(remote->wait_done(Duration::zero()));
  EXPECT_EQ(remote->state(), LoopState::terminated);
  EXPECT_TRUE(fails_with(remote->post([] {}), Errc::terminated));
  EXPECT_TRUE(fails_with(remote->shutdown(), Errc::terminated));
  EXPECT_TRUE(fails_with(remote->close(), Errc::terminated));
  must(remote->wake());
}

TEST(Remote, WakeEndsASleepAndIsHarmlessOtherwise) {  // L112
  Loop loop;
  Remote remote = loop.remote();
  must(remote.wake());
  for (const bool in_poller : {false, true}) {
    Pipe pipe;
    Watcher watcher;
    if (in_poller) watcher = must(loop.watch(pipe.read_end(), Readiness::read, [](Readiness) {}));
    std::thread waker([&] {
      EXPECT_TRUE(falls_asleep(remote));
      must(remote.wake());
    });
    must(loop.run_once());
    waker.join();
  }
  must(loop.post([&] {
    must(remote.wake());
    must(loop.shutdown());
    must(remote.wake());
  }));
  must(loop.run());
  must(remote.wake());
}

TEST(Remote, AHundredWakesAtOnceEndOneSleep) {  // L110
  Loop loop;
  Pipe pipe;
  const Watcher watcher = must(loop.watch(pipe.read_end(), Readiness::read, [](Readiness) {}));
  Runner runner(loop);
  std::vector<std::thread> wakers;
  for (int t = 0; t < 4; ++t) {
    wakers.emplace_back([remote = loop.remote()]() mutable {
      for (int i = 0; i < 25; ++i) must(remote.wake());
    });
  }
  for (auto& waker : wakers) waker.join();
  std::latch still_there(1);
  must(loop.remote().post([&] { still_there.count_down(); }));
  still_there.wait();
  must(loop.remote().post([&] {
    EXPECT_LE(loop.stats().polls, 110u);
    must(loop.shutdown());
  }));
  must(runner.join());
}

TEST(Remote, StopCallbacksRacingWithTheEndAreHarmless) {
  for (int round = 0; round < 200; ++round) {
    std::stop_source source;
    auto loop = std::make_unique<Loop>(LoopOptions{.auto_exit = round % 2 == 0});
    Remote remote = loop->remote();
    std::latch start(2);
    std::thread stopper([&] {
      start.arrive_and_wait();
      source.request_stop();
    });
    start.arrive_and_wait();
    static_cast<void>(loop->run(source.get_token()));
    loop.reset();
    stopper.join();
    EXPECT_TRUE(remote.is_done());
  }
}

TEST(Remote, RacingPostsAndWakesWithDestruction) {
  for (int round = 0; round < 50; ++round) {
    auto loop = std::make_unique<Loop>();
    std::atomic<bool> done = false;
    std::vector<std::thread> others;
    for (int t = 0; t < 2; ++t) {
      others.emplace_back([&, remote = loop->remote()]() mutable {
        for (int i = 0; !done; ++i) {
          if (i < 2000) static_cast<void>(remote.post([] {}));
          static_cast<void>(remote.wake());
          static_cast<void>(remote.state());
        }
      });
    }
    for (int i = 0; i < 20; ++i) must(loop->run_once());
    loop.reset();
    done = true;
    for (auto& other : others) other.join();
  }
}

class SpinBeforeSleep : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "there is nothing to wait for on one core";
  }
  /// Posts, and waits until it has run.
  void post_and_wait() {
    must(remote.post([&] { ++executed; }));
    ++posted;
    ASSERT_TRUE(eventually([&] { return executed == posted; }));
  }
  Loop loop{LoopOptions{.spin_before_sleep = 1h}};
  Remote remote = loop.remote();
  std::atomic<int> executed = 0;
  int posted = 0;
};

TEST_F(SpinBeforeSleep, TasksThatKeepComingPutNobodyToSleep) {
  Runner runner(loop);
  ASSERT_TRUE(falls_asleep(remote));  // at first: nothing has come yet
  for (int i = 0; i < 100; ++i) post_and_wait();
  EXPECT_NE(remote.state(), LoopState::sleeping);
  must(remote.shutdown());
  must(runner.join());
  EXPECT_EQ(loop.stats().sleeps, 1u);
}

TEST_F(SpinBeforeSleep, IsEndedByAStop) {
  Runner runner(loop);
  ASSERT_TRUE(falls_asleep(remote));
  post_and_wait();
  runner.stop();
  EXPECT_TRUE(fails_with(runner.join(), Errc::cancelled));
}

TEST_F(SpinBeforeSleep, IsEndedByATimer) {
  Runner runner(loop);
  ASSERT_TRUE(falls_asleep(remote));
  std::atomic<bool> fired = false;
  must(remote.post([&] { must(loop.set_timeout(5ms, [&] { fired = true; })); }));
  EXPECT_TRUE(eventually([&] { return fired.load(); }));
  must(remote.shutdown());
}

TEST_F(SpinBeforeSleep, GivesWayToASleepWhenNothingComes) {
  Loop brief({.spin_before_sleep = 1us});
  Runner runner(brief);
  ASSERT_TRUE(falls_asleep(brief.remote()));
  for (int i = 0; i < 10; ++i) {
    must(brief.remote().post([] {}));
    ASSERT_TRUE(falls_asleep(brief.remote()));
  }
  must(brief.remote().shutdown());
}

}  // namespace
}  // namespace gyre
