#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre {
namespace {

using namespace testing;

class WatcherTest : public OnEveryPoller {
 protected:
  Watcher watch(int fd, Readiness interest) {
    return must(loop.watch(fd, interest, [this](Readiness readiness) {
      ++calls;
      seen = readiness;
    }));
  }
  void poll() {
    calls = 0;
    seen = Readiness::none;
    must(loop.poll_once());
  }
  ManualClock clock;
  Loop loop{LoopOptions{.clock = &clock, .poller = GetParam()}};
  int calls = 0;
  Readiness seen = Readiness::none;
};

// --- When it is looked at ---

TEST_P(WatcherTest, W3_WakeUpsThatKeepTheLoopFromSleepingDoNotKeepItFromLooking) {
  Loop often({.clock = &clock, .turns_between_polls = 4, .poller = GetParam()});
  Remote remote = often.remote();
  Pipe pipe;
  const Watcher watcher = must(often.watch(pipe.read_end(), Readiness::read, [&](Readiness) { ++calls; }));
  must(often.poll_once());
  pipe.send();
  for (int turn = 0; turn < 12; ++turn) {
    must(remote.wake());
    must(often.run_once());
  }
  EXPECT_GE(calls, 2);
}

// --- What is reported ---

TEST_P(WatcherTest, L114_AReadablePipeIsReportedUntilItIsEmpty) {
  Pipe pipe;
  const Watcher watcher = watch(pipe.read_end(), Readiness::read);
  poll();
  EXPECT_EQ(calls, 0);
  pipe.send();
  poll();
  EXPECT_EQ(seen, Readiness::read);
  poll();  // level-triggered
  EXPECT_EQ(seen, Readiness::read);
  static_cast<void>(pipe.receive());
  poll();
  EXPECT_EQ(calls, 0);
}

TEST_P(WatcherTest, L114_ReadableAndWritableComeInOneCall) {
  SocketPair sockets;
  const Watcher watcher = watch(sockets.ours(), Readiness::read | Readiness::write);
  poll();
  EXPECT_EQ(seen, Readiness::write);
  ASSERT_EQ(::write(sockets.theirs(), "x", 1), 1);
  poll();
  EXPECT_EQ(seen, Readiness::read | Readiness::write);
  EXPECT_EQ(calls, 1);
}

TEST_P(WatcherTest, L115_TheEndOfTheOtherSideIsAHangup) {
  SocketPair sockets;
  const Watcher watcher = watch(sockets.ours(), Readiness::read);
  ASSERT_EQ(::shutdown(sockets.theirs(), SHUT_WR), 0);
  poll();
  EXPECT_EQ(seen, Readiness::read | Readiness::hangup);
}

TEST_P(WatcherTest, L115_APipeWithoutReaderIsAnErrorThoughNotAskedFor) {
  Pipe pipe;
  const Watcher watcher = watch(pipe.write_end(), Readiness::write);
  pipe.close_read_end();
  poll();
  EXPECT_TRUE(has(seen, Readiness::error));
}

// --- Arguments ---

TEST_P(WatcherTest, L116_MisuseThrows) {
  Pipe pipe;
  const auto nothing = [](Readiness) {};
  EXPECT_THROW(static_cast<void>(loop.watch(-1, Readiness::read, nothing)), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(loop.watch(pipe.read_end(), Readiness::none, nothing)), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(loop.watch(pipe.read_end(), Readiness::read | Readiness::error, nothing)),
               std::invalid_argument);
  EXPECT_THROW(static_cast<void>(loop.watch(pipe.read_end(), static_cast<Readiness>(64), nothing)),
               std::invalid_argument);
  Watcher watcher = watch(pipe.read_end(), Readiness::read);
  EXPECT_THROW(static_cast<void>(watcher.modify(Readiness::hangup)), std::invalid_argument);
  EXPECT_TRUE(watcher.is_active());
}

TEST_P(WatcherTest, L117_ADescriptorIsWatchedOnce) {
  Pipe pipe;
  const Watcher first = watch(pipe.read_end(), Readiness::read);
  EXPECT_TRUE(fails_with(loop.watch(pipe.read_end(), Readiness::read, [](Readiness) { ADD_FAILURE(); }),
                         Errc::fd_already_registered));
  pipe.send();
  poll();
  EXPECT_EQ(calls, 1);
}

TEST_P(WatcherTest, L118_AClosedDescriptorIsRefusedAndNothingRetained) {
  Pipe pipe;
  const int fd = pipe.read_end();
  const int copy = ::dup(fd);
  ::close(copy);
  EXPECT_TRUE(fails_with(loop.watch(copy, Readiness::read, [](Readiness) {}), std::errc::bad_file_descriptor));
  EXPECT_FALSE(loop.is_alive());
  const Watcher watcher = watch(fd, Readiness::read);
  pipe.send();
  poll();
  EXPECT_EQ(calls, 1);
}

TEST_P(WatcherTest, ARegularFileIsRefused) {
  const int file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(file, 0);
  EXPECT_TRUE(fails_with(loop.watch(file, Readiness::read, [](Readiness) {}), std::errc::operation_not_permitted));
  ::close(file);
}

TEST_P(WatcherTest, L128_NumbersFarApartAreFine) {
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  Pipe pipe;
  const int far =
      ::fcntl(pipe.read_end(), F_DUPFD_CLOEXEC, static_cast<int>(std::min<rlim_t>(limit.rlim_cur - 1, 200'000)));
  ASSERT_GE(far, 0);
  {
    const Watcher near_one = watch(pipe.read_end(), Readiness::read);
    const Watcher far_one = watch(far, Readiness::read);
    pipe.send();
    poll();
    EXPECT_EQ(calls, 2);
  }
  ::close(far);
}

TEST_P(WatcherTest, L130_DescriptorZeroCanBeWatched) {
  Pipe pipe;
  const int saved = ::dup(0);
  ASSERT_EQ(::dup2(pipe.read_end(), 0), 0);
  {
    const Watcher watcher = watch(0, Readiness::read);
    pipe.send();
    poll();
    EXPECT_EQ(calls, 1);
  }
  if (saved >= 0) {
    ::dup2(saved, 0);
    ::close(saved);
  } else {
    ::close(0);
  }
}

// --- Changing and stopping ---

TEST_P(WatcherTest, L116_WithoutInterestOnlyErrorsAndHangupsCome) {
  SocketPair sockets;
  Watcher watcher = watch(sockets.ours(), Readiness::read | Readiness::write);
  must(watcher.modify(Readiness::none));
  EXPECT_TRUE(watcher.is_active());
  ASSERT_EQ(::write(sockets.theirs(), "x", 1), 1);
  poll();
  EXPECT_EQ(calls, 0);
  ASSERT_EQ(::shutdown(sockets.theirs(), SHUT_RDWR), 0);
  poll();
  EXPECT_EQ(seen, Readiness::hangup);
  must(watcher.modify(Readiness::read));
  poll();
  EXPECT_EQ(seen, Readiness::read | Readiness::hangup);
}

TEST_P(WatcherTest, StopsWhenDestroyedAssignedOrTold) {
  Pipe pipe;
  pipe.send();
  Watcher watcher = watch(pipe.read_end(), Readiness::read);
  watcher = Watcher();
  poll();
  EXPECT_EQ(calls, 0);
  {
    const Watcher scoped = watch(pipe.read_end(), Readiness::read);
  }
  poll();
  EXPECT_EQ(calls, 0);
  watcher = watch(pipe.read_end(), Readiness::read);
  must(watcher.stop());
  EXPECT_FALSE(watcher.is_active());
  EXPECT_TRUE(fails_with(watcher.stop(), Errc::fd_not_registered));  // L123
  EXPECT_TRUE(fails_with(watcher.modify(Readiness::read), Errc::fd_not_registered));
  EXPECT_TRUE(fails_with(Watcher().stop(), Errc::fd_not_registered));
  poll();
  EXPECT_EQ(calls, 0);
}

TEST_P(WatcherTest, MovesKeepTheWatch) {
  Pipe pipe;
  pipe.send();
  Watcher first = watch(pipe.read_end(), Readiness::read);
  Watcher second = std::move(first);
  EXPECT_FALSE(first.is_active());  // NOLINT(bugprone-use-after-move)
  first = std::move(second);
  Watcher& same = first;
  first = std::move(same);
  EXPECT_TRUE(first.is_active());
  poll();
  EXPECT_EQ(calls, 1);
}

TEST_P(WatcherTest, StoppingDestroysTheCaptureAtOnce) {
  Pipe pipe;
  auto capture = std::make_shared<int>();
  Watcher watcher = must(loop.watch(pipe.read_end(), Readiness::read, [capture](Readiness) {}));
  EXPECT_EQ(capture.use_count(), 2);
  must(watcher.stop());
  EXPECT_EQ(capture.use_count(), 1);
}

TEST_P(WatcherTest, L120_MayBeDestroyedInItsOwnCallback) {
  Pipe pipe;
  pipe.send();
  std::string log;
  auto watcher = std::make_unique<Watcher>();
  *watcher =
      must(loop.watch(pipe.read_end(), Readiness::read, [&, at_end = AtEnd([&] { log += "destroyed "; })](Readiness) {
        watcher.reset();
        log += "still here ";
      }));
  poll();
  poll();
  EXPECT_EQ(log, "still here destroyed ");
}

TEST_P(WatcherTest, MayOwnItselfThroughItsCallback) {
  struct Session {
    Watcher watcher;
    ~Session() { *gone = true; }
    bool* gone;
  };
  bool gone = false;
  Pipe pipe;
  Session* raw = nullptr;
  {
    auto session = std::make_shared<Session>();
    session->gone = &gone;
    raw = session.get();
    session->watcher = must(loop.watch(pipe.read_end(), Readiness::read, [session](Readiness) {}));
  }
  EXPECT_FALSE(gone);
  raw->watcher = Watcher();  // destroys the callback, with it the session, with it this watcher
  EXPECT_TRUE(gone);
}

TEST_P(WatcherTest, OwnedByItsCallbackGoesWithTheLoop) {
  Pipe pipe;
  bool gone = false;
  {
    Loop other({.poller = GetParam()});
    auto watcher = std::make_shared<Watcher>();
    *watcher = must(
        other.watch(pipe.read_end(), Readiness::read, [watcher, at_end = AtEnd([&] { gone = true; })](Readiness) {}));
  }
  EXPECT_TRUE(gone);
}

TEST_P(WatcherTest, L120_StoppedByASiblingOfTheSameBatchIsNotCalledAndTheRestIs) {
  std::array<Pipe, 3> pipes;
  std::array<Watcher, 3> watchers;
  for (std::size_t i = 0; i < 3; ++i) {
    pipes[i].send();
    watchers[i] = must(loop.watch(pipes[i].read_end(), Readiness::read, [&, i](Readiness) {
      if (++calls > 1) return;
      must(watchers[i].stop());
      must(watchers[(i + 1) % 3].stop());
    }));
  }
  poll();
  EXPECT_EQ(calls, 2);  // the first of the batch, and the one that it left alone
}

TEST_P(WatcherTest, L121_WatchedAnewInsideABatchSeesNewEventsOnly) {
  Pipe a;
  Pipe b;
  a.send();
  b.send();
  std::array<Watcher, 2> watchers;
  std::array<Watcher, 2> renewed;
  int renewed_calls = 0;
  const std::array<int, 2> fds = {a.read_end(), b.read_end()};
  for (const std::size_t i : {0u, 1u}) {
    watchers[i] = must(loop.watch(fds[i], Readiness::read, [&, i](Readiness) {
      ++calls;
      const std::size_t other = 1 - i;
      must(watchers[other].stop());
      renewed[other] = must(loop.watch(fds[other], Readiness::read, [&](Readiness) { ++renewed_calls; }));
    }));
  }
  poll();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(renewed_calls, 0);
  poll();  // still readable
  EXPECT_EQ(renewed_calls, 1);
}

TEST_P(WatcherTest, L124_ModifiedInsideABatchIsFiltered) {
  SocketPair one;
  SocketPair two;
  std::array<Watcher, 2> watchers;
  const std::array<int, 2> fds = {one.ours(), two.ours()};
  for (const std::size_t i : {0u, 1u}) {
    watchers[i] = must(loop.watch(fds[i], Readiness::write, [&, i](Readiness) {
      ++calls;
      must(watchers[1 - i].modify(Readiness::read));
    }));
  }
  poll();
  EXPECT_EQ(calls, 1);
}

TEST_P(WatcherTest, MayBeMadeInACallbackAndIsCalledInALaterTurn) {
  Pipe first;
  std::vector<std::unique_ptr<Pipe>> pipes;
  std::vector<Watcher> made;
  first.send();
  const Watcher maker = must(loop.watch(first.read_end(), Readiness::read, [&](Readiness) {
    static_cast<void>(first.receive());
    for (int i = 0; i < 100; ++i) {  // makes the table grow under the running callback
      pipes.push_back(std::make_unique<Pipe>());
      pipes.back()->send();
      made.push_back(must(loop.watch(pipes.back()->read_end(), Readiness::read, [&](Readiness) { ++calls; })));
    }
  }));
  poll();
  EXPECT_EQ(calls, 0);
  poll();
  EXPECT_EQ(calls, 100);
}

TEST_P(WatcherTest, L125_AFailingCallbackKeepsItsWatch) {
  Pipe pipe;
  pipe.send();
  const Watcher watcher = must(loop.watch(pipe.read_end(), Readiness::read, [&](Readiness) {
    ++calls;
    throw std::runtime_error("failed");
  }));
  poll();
  EXPECT_EQ(calls, 1);
  poll();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(loop.stats().failed_callbacks, 2u);
}

TEST_P(WatcherTest, L127_AThousandCyclesLeaveNoDescriptorBehind) {
  Pipe pipe;
  pipe.send();
  {
    const Watcher first = watch(pipe.read_end(), Readiness::read);
  }
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 1000; ++i) {
    const Watcher watcher = watch(pipe.read_end(), Readiness::read);
    if (i % 2 == 0) {
      poll();
      EXPECT_EQ(calls, 1);
    }
  }
  EXPECT_EQ(open_descriptors(), before);
  poll();
  EXPECT_EQ(calls, 0);
}

TEST_P(WatcherTest, MoreThanAPollsBatchAreAllServed) {
  std::vector<std::unique_ptr<Pipe>> pipes;
  std::vector<Watcher> watchers;
  std::set<int> served;
  for (int i = 0; i < 300; ++i) {
    pipes.push_back(std::make_unique<Pipe>());
    pipes.back()->send();
    watchers.push_back(must(loop.watch(pipes.back()->read_end(), Readiness::read, [&, i](Readiness) {
      static_cast<void>(pipes[static_cast<std::size_t>(i)]->receive());
      served.insert(i);
    })));
  }
  poll();
  EXPECT_EQ(served.size(), 256u);
  poll();
  EXPECT_EQ(served.size(), 300u);
}

// --- Descriptors closed too early ---

TEST_P(WatcherTest, L119_StoppingAfterTheCloseIsFine) {
  Pipe pipe;
  Watcher watcher = watch(pipe.read_end(), Readiness::read);
  pipe.close_read_end();
  must(watcher.stop());
  EXPECT_FALSE(loop.is_alive());
}

TEST_P(WatcherTest, L119_ANumberUsedAgainNeverReachesTheOldCallback) {
  Pipe old;
  Pipe other;
  const int number = old.read_end();
  Watcher stale = must(loop.watch(number, Readiness::read, [](Readiness) { ADD_FAILURE(); }));
  old.close_read_end();
  ASSERT_EQ(::fcntl(other.read_end(), F_DUPFD_CLOEXEC, number), number);
  other.send();
  poll();
  Watcher recent = watch(number, Readiness::read);  // replaces the stale watch
  EXPECT_FALSE(stale.is_active());
  EXPECT_TRUE(fails_with(stale.stop(), Errc::fd_not_registered));
  poll();
  EXPECT_EQ(calls, 1);
  must(recent.stop());
  EXPECT_FALSE(loop.is_alive());
  ::close(number);
}

TEST_P(WatcherTest, ACopyLeftOpenDoesNotMakeTheLoopSpin) {
  Pipe pipe;
  Pipe other;
  const int copy = ::dup(pipe.read_end());
  Watcher closed = must(loop.watch(pipe.read_end(), Readiness::read, [](Readiness) { ADD_FAILURE(); }));
  const Watcher kept = watch(other.read_end(), Readiness::read);
  pipe.close_read_end();
  must(closed.stop());  // the kernel goes on reporting the copy
  pipe.send();
  poll();
  EXPECT_EQ(calls, 0);
  std::thread sender([&, remote = loop.remote()] {
    EXPECT_TRUE(falls_asleep(remote));
    other.send();
  });
  must(loop.run_once());  // sleeps, as it could not if the copy were reported still
  sender.join();
  EXPECT_EQ(calls, 1);
  ::close(copy);
}

TEST_P(WatcherTest, RebuildingTheSetLeavesOutANumberThatNowBelongsToAnotherFile) {
  Pipe pipe;
  Pipe stranger;
  const int number = pipe.read_end();
  const int copy = ::dup(number);
  const Watcher stale = must(loop.watch(number, Readiness::read, [](Readiness) { ADD_FAILURE(); }));
  Pipe zombie;
  const int zombie_copy = ::dup(zombie.read_end());
  Watcher closed = must(loop.watch(zombie.read_end(), Readiness::read, [](Readiness) { ADD_FAILURE(); }));
  pipe.close_read_end();
  ASSERT_EQ(::fcntl(stranger.read_end(), F_DUPFD_CLOEXEC, number), number);
  stranger.send();
  zombie.close_read_end();
  must(closed.stop());
  zombie.send();
  for (int i = 0; i < 3; ++i) poll();
  for (const int fd : {copy, zombie_copy, number}) ::close(fd);
}

TEST_P(WatcherTest, TheSameFileBackUnderTheSameNumberCanBeWatchedAgain) {
  Pipe pipe;
  const int number = ::dup(pipe.read_end());
  Watcher first = must(loop.watch(number, Readiness::read, [](Readiness) { ADD_FAILURE(); }));
  ::close(number);
  must(first.stop());
  ASSERT_EQ(::fcntl(pipe.read_end(), F_DUPFD_CLOEXEC, number), number);
  {
    const Watcher second = watch(number, Readiness::read);
    pipe.send();
    poll();
    EXPECT_EQ(calls, 1);
  }
  ::close(number);
}

// --- Limits of the system ---

TEST_P(WatcherTest, L126_NoDescriptorsLeftIsAnErrorThatPasses) {
  Pipe pipe;
  const std::size_t before = open_descriptors();
  for (const int left : {0, 1}) {  // the loop needs two
    Result<Watcher> refused;
    {
      const DescriptorLimit tight(left);
      refused = loop.watch(pipe.read_end(), Readiness::read, [](Readiness) { ADD_FAILURE(); });
    }
    EXPECT_TRUE(fails_with(refused, std::errc::too_many_files_open));
    EXPECT_TRUE(refused.error().is_temporary());
    EXPECT_EQ(open_descriptors(), before);
  }
  EXPECT_FALSE(loop.is_alive());
  const Watcher watcher = watch(pipe.read_end(), Readiness::read);
  pipe.send();
  poll();
  EXPECT_EQ(calls, 1);
}

TEST_P(WatcherTest, NothingIsTakenFromTheKernelBeforeTheFirstWatch) {
  const std::size_t before = open_descriptors();
  must(loop.post([] {}));
  must(loop.set_timeout(0s, [] {}));
  must(loop.poll_once());
  EXPECT_EQ(open_descriptors(), before);
}

TEST_P(WatcherTest, TheEndGivesAllDescriptorsBack) {
  Pipe pipe;
  const std::size_t before = open_descriptors();
  {
    Loop other({.poller = GetParam()});
    const Watcher watcher = must(other.watch(pipe.read_end(), Readiness::read, [](Readiness) {}));
    EXPECT_EQ(open_descriptors(), before + 2);
    must(other.close());
    EXPECT_EQ(open_descriptors(), before);
  }
}

// --- Fairness and endings ---

TEST_P(WatcherTest, W3_WorkThatIsAlwaysReadyDoesNotStarveDescriptors) {
  Pipe pipe;
  const Watcher watcher = must(loop.watch(pipe.read_end(), Readiness::read, [&](Readiness) { must(loop.shutdown()); }));
  int turns = 0;
  std::function<void()> again = [&] {
    ++turns;
    static_cast<void>(loop.post(again));  // refused when the loop is ending
  };
  must(loop.post(again));
  pipe.send();
  must(loop.run());
  EXPECT_LE(turns, 66);
}

TEST_P(WatcherTest, L129_EventsCollectedWhenTheEndIsDecidedAreDropped) {
  Pipe a;
  Pipe b;
  a.send();
  b.send();
  const auto end = [&](Readiness) {
    ++calls;
    must(loop.shutdown());
  };
  const Watcher first = must(loop.watch(a.read_end(), Readiness::read, end));
  const Watcher second = must(loop.watch(b.read_end(), Readiness::read, end));
  must(loop.run());
  EXPECT_EQ(calls, 1);
}

TEST_P(WatcherTest, IsRefusedChangesWhileTheLoopEndsButMayStop) {
  Pipe pipe;
  Watcher watcher = watch(pipe.read_end(), Readiness::read);
  must(loop.post([&] {
    must(loop.shutdown());
    EXPECT_TRUE(fails_with(watcher.modify(Readiness::write), Errc::terminated));
    must(watcher.stop());
  }));
  must(loop.run());
}

// --- Signals ---

// `automatic` stands for a loop that watches nothing and sleeps on a futex.
class SignalStorm : public ::testing::TestWithParam<PollerKind> {};

TEST_P(SignalStorm, L109_NeitherShortensNorProlongsASleep) {
  struct sigaction ignore{};
  ignore.sa_handler = [](int) {};  // without SA_RESTART: every wait is interrupted
  struct sigaction before{};
  ASSERT_EQ(sigaction(SIGUSR1, &ignore, &before), 0);
  Loop loop({.poller = GetParam()});
  Pipe pipe;
  Watcher watcher;
  if (GetParam() != PollerKind::automatic)
    watcher = must(loop.watch(pipe.read_end(), Readiness::read, [](Readiness) { ADD_FAILURE(); }));
  std::jthread storm([target = pthread_self()](std::stop_token stop) {
    while (!stop.stop_requested()) {
      pthread_kill(target, SIGUSR1);
      std::this_thread::sleep_for(200us);
    }
  });
  const auto start = std::chrono::steady_clock::now();
  bool fired = false;
  must(loop.set_timeout(100ms, [&] { fired = true; }));
  must(loop.run_once());
  const auto slept = std::chrono::steady_clock::now() - start;
  EXPECT_TRUE(fired);
  EXPECT_GE(slept, 100ms);
  EXPECT_LE(slept, 2s);
  EXPECT_EQ(loop.stats().sleeps, 1u);
  storm.request_stop();
  storm.join();
  sigaction(SIGUSR1, &before, nullptr);
}

TEST_P(SignalStorm, L109_DoesNotEndAnEndlessSleep) {
  struct sigaction ignore{};
  ignore.sa_handler = [](int) {};
  struct sigaction before{};
  ASSERT_EQ(sigaction(SIGUSR1, &ignore, &before), 0);
  Loop loop({.poller = GetParam()});
  Pipe pipe;
  Watcher watcher;
  if (GetParam() != PollerKind::automatic)
    watcher = must(loop.watch(pipe.read_end(), Readiness::read, [](Readiness) { ADD_FAILURE(); }));
  std::thread storm([target = pthread_self(), remote = loop.remote()]() mutable {
    EXPECT_TRUE(falls_asleep(remote));
    for (int i = 0; i < 100; ++i) {
      pthread_kill(target, SIGUSR1);
      std::this_thread::sleep_for(100us);
    }
    EXPECT_EQ(remote.state(), LoopState::sleeping);
    must(remote.wake());
  });
  must(loop.run_once());
  EXPECT_EQ(loop.stats().sleeps, 1u);
  storm.join();
  sigaction(SIGUSR1, &before, nullptr);
}

INSTANTIATE_TEST_SUITE_P(Sleeping, SignalStorm,
                         ::testing::Values(PollerKind::automatic, PollerKind::epoll, PollerKind::io_uring,
                                           PollerKind::poll),
                         [](const auto& test) {
                           return test.param == PollerKind::automatic ? "on_a_futex" : poller_name(test);
                         });
INSTANTIATE_TEST_SUITE_P(Of, WatcherTest, kEveryPoller, poller_name);

}  // namespace
}  // namespace gyre
