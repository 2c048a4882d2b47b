#include <atomic>
#include <latch>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

// Descriptors that threads watch on a loop which is not theirs.

namespace gyre {
namespace {

using namespace testing;

class RemoteWatch : public ::testing::Test {
 protected:
  UniqueFunction<void(Readiness)> counting() {
    return [this](Readiness) {
      static_cast<void>(pipe.receive());
      ++calls;
    };
  }
  // Holds the loop in a callback until `release`.
  void block() {
    must(remote.post([this] {
      blocked.count_down();
      released.wait();
    }));
    blocked.wait();
  }
  void release() { released.count_down(); }
  // The loop has done all that it was asked for before.
  void settle() { must(remote.unref(TimerId())); }

  Pipe pipe;
  Loop loop;
  Remote remote = loop.remote();
  std::atomic<int> calls = 0;
  std::latch blocked{1};
  std::latch released{1};
};

TEST_F(RemoteWatch, CallsBackOnTheLoopsThread) {
  Runner runner(loop);
  std::atomic<std::thread::id> where;
  {
    const RemoteWatcher watcher = must(remote.watch(pipe.read_end(), {}, [&](Readiness readiness) {
      EXPECT_EQ(readiness, Readiness::read);
      static_cast<void>(pipe.receive());
      where = std::this_thread::get_id();
      ++calls;
    }));
    pipe.send();
    EXPECT_TRUE(eventually([&] { return calls == 1; }));
    EXPECT_EQ(where.load(), runner.id());
  }
  settle();
  pipe.send();
  settle();
  EXPECT_EQ(calls, 1);
  must(remote.shutdown());
}

TEST_F(RemoteWatch, BeforeTheFirstRunItActsAtOnce) {
  RemoteWatcher watcher = must(remote.watch(pipe.read_end(), {}, counting()));
  pipe.send();
  must(loop.poll_once());
  EXPECT_EQ(calls, 1);
  must(watcher.stop());
  EXPECT_TRUE(fails_with(watcher.stop(), Errc::fd_not_registered));
  pipe.send();
  must(loop.poll_once());
  EXPECT_EQ(calls, 1);
}

TEST_F(RemoteWatch, AskingForNonsenseThrowsAtTheCall) {  // L116
  EXPECT_THROW(static_cast<void>(remote.watch(-1, {}, counting())), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(remote.watch(pipe.read_end(), {}, {})), std::logic_error);
  EXPECT_THROW(static_cast<void>(remote.watch(pipe.read_end(), {.interest = Readiness::none}, counting())),
               std::invalid_argument);
}

TEST_F(RemoteWatch, ErrorsOfTheLoopComeBack) {
  Runner runner(loop);
  const RemoteWatcher watcher = must(remote.watch(pipe.read_end(), {}, counting()));
  EXPECT_TRUE(fails_with(remote.watch(pipe.read_end(), {}, counting()), Errc::fd_already_registered));
  EXPECT_TRUE(fails_with(remote.watch(1'000'000, {}, counting()), std::errc::bad_file_descriptor));
  must(remote.shutdown());
  EXPECT_TRUE(fails_with(remote.watch(pipe.write_end(), {}, counting()), Errc::terminated));
}

TEST_F(RemoteWatch, AWatchThatIsNotConfirmedInTimeNeverHappens) {
  Runner runner(loop);
  block();
  EXPECT_TRUE(fails_with(remote.watch(pipe.read_end(), {}, counting(), 50ms), Errc::timed_out));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(fails_with(remote.watch(pipe.read_end(), {}, counting(), stop.get_token()), Errc::cancelled));
  pipe.send();
  release();
  settle();
  const RemoteWatcher watcher = must(remote.watch(pipe.read_end(), {}, counting()));  // it is free
  EXPECT_TRUE(eventually([&] { return calls == 1; }));
  must(remote.shutdown());
}

TEST_F(RemoteWatch, AChangeThatIsNotConfirmedInTimeLeavesAllAsItWas) {
  Runner runner(loop);
  RemoteWatcher watcher = must(remote.watch(pipe.read_end(), {}, counting()));
  block();
  EXPECT_TRUE(fails_with(watcher.modify({.interest = Readiness::none}, 50ms), Errc::timed_out));
  release();
  settle();
  pipe.send();
  EXPECT_TRUE(eventually([&] { return calls == 1; }));
  must(watcher.modify({.interest = Readiness::none}));
  pipe.send();
  settle();
  EXPECT_EQ(calls, 1);
  must(remote.shutdown());
}

TEST_F(RemoteWatch, AfterAStopThatIsNotConfirmedInTimeNothingStartsAnyMore) {
  Runner runner(loop);
  RemoteWatcher watcher = must(remote.watch(pipe.read_end(), {}, counting()));
  settle();
  block();
  pipe.send();
  EXPECT_TRUE(fails_with(watcher.stop(50ms), Errc::timed_out));
  release();
  settle();
  settle();
  EXPECT_EQ(calls, 0);
  const RemoteWatcher next = must(remote.watch(pipe.read_end(), {}, counting()));  // given up by now
  EXPECT_TRUE(eventually([&] { return calls == 1; }));
  must(remote.shutdown());
}

TEST_F(RemoteWatch, AStopDoesNotWaitForTheCallbackThatIsRunningIfItHasALimit) {  // L122
  Runner runner(loop);
  RemoteWatcher watcher = must(remote.watch(pipe.read_end(), {}, [&](Readiness) {
    static_cast<void>(pipe.receive());
    ++calls;
    blocked.count_down();
    released.wait();
  }));
  pipe.send();
  blocked.wait();
  pipe.send();
  EXPECT_TRUE(fails_with(watcher.stop(1ms), Errc::timed_out));
  release();
  settle();
  EXPECT_EQ(calls, 1);
  must(remote.shutdown());
}

TEST_F(RemoteWatch, AOneShotIsArmedAgain) {
  Runner runner(loop);
  RemoteWatcher watcher = must(remote.watch(pipe.read_end(), {.one_shot = true}, counting()));
  pipe.send();
  EXPECT_TRUE(eventually([&] { return calls == 1; }));
  pipe.send();
  settle();
  EXPECT_EQ(calls, 1);
  must(watcher.rearm());
  EXPECT_TRUE(eventually([&] { return calls == 2; }));
  must(remote.shutdown());
}

TEST_F(RemoteWatch, OutlivesTheLoop) {
  std::optional<Loop> other(std::in_place);
  RemoteWatcher watcher = must(other->remote().watch(pipe.read_end(), {}, counting()));
  RemoteWatcher forgotten = must(other->remote().watch(pipe.write_end(), {.interest = Readiness::write}, counting()));
  other.reset();
  EXPECT_FALSE(watcher.modify({}));
  EXPECT_FALSE(watcher.stop());
}

TEST_F(RemoteWatch, ManyThreadsWatchAndStop) {
  Runner runner(loop);
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([this] {
      for (int round = 0; round < 50; ++round) {
        const Pipe own;
        std::atomic<int> seen = 0;
        std::atomic<bool> stopped = false;
        RemoteWatcher watcher = must(remote.watch(own.read_end(), {}, [&](Readiness) {
          EXPECT_FALSE(stopped);
          ++seen;
        }));
        own.send();
        if (round % 2 == 0) {
          EXPECT_TRUE(eventually([&] { return seen > 0; }));
        }
        must(watcher.stop());
        stopped = true;
      }
    });
  }
  threads.clear();
  must(remote.shutdown());
  must(runner.join());
}

}  // namespace
}  // namespace gyre
