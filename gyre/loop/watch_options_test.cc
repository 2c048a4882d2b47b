#include <array>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre {
namespace {

using namespace testing;

class WatchOptionsTest : public OnEveryPoller {
 protected:
  Watcher watch(int fd, const WatchOptions& options) {
    return must(loop.watch(fd, options, [this](Readiness readiness) { seen.push_back(readiness); }));
  }
  /// What one turn reports.
  std::vector<Readiness> poll() {
    seen.clear();
    must(loop.poll_once());
    return seen;
  }
  bool knows_edges() const { return GetParam() != PollerKind::poll; }
  static void send(const SocketPair& sockets) { ASSERT_EQ(::send(sockets.theirs(), "x", 1, 0), 1); }

  using Seen = std::vector<Readiness>;
  const Seen kNothing{};
  const Seen kRead{Readiness::read};
  const Seen kTimeout{Readiness::timeout};
  ManualClock clock;
  Loop loop{LoopOptions{.clock = &clock, .poller = GetParam()}};
  Seen seen;
};

TEST_P(WatchOptionsTest, SayWhatIsReportedByDefaultAsTheShortForm) {
  Pipe pipe;
  pipe.send();
  const Watcher watcher = watch(pipe.read_end(), {});
  EXPECT_EQ(poll(), kRead);
  EXPECT_EQ(poll(), kRead);
}

TEST_P(WatchOptionsTest, W10_EdgesAreReportedOnce) {
  SocketPair sockets;
  const WatchOptions edges{.interest = Readiness::read, .trigger = Trigger::edge};
  if (!knows_edges()) {
    const std::size_t before = open_descriptors();
    const auto refused = loop.watch(sockets.ours(), edges, [](Readiness) { ADD_FAILURE(); });
    EXPECT_TRUE(fails_with(refused, Errc::unsupported));
    EXPECT_NE(refused.error().message().find("PollerKind::epoll"), std::string::npos);
    EXPECT_EQ(open_descriptors(), before + 2);
    Watcher watcher = watch(sockets.ours(), {});
    EXPECT_TRUE(fails_with(watcher.modify(edges), Errc::unsupported));
    send(sockets);
    EXPECT_EQ(poll(), kRead);
    EXPECT_EQ(poll(), kRead);
    return;
  }
  Watcher watcher = watch(sockets.ours(), edges);
  send(sockets);
  EXPECT_EQ(poll(), kRead);
  EXPECT_EQ(poll(), kNothing);
  send(sockets);
  EXPECT_EQ(poll(), kRead);
  EXPECT_EQ(poll(), kNothing);
  must(watcher.rearm());
  EXPECT_EQ(poll(), kRead);
  must(watcher.modify({.interest = Readiness::read}));
  EXPECT_EQ(poll(), kRead);
  EXPECT_EQ(poll(), kRead);
}

TEST_P(WatchOptionsTest, ModifyOfTheInterestKeepsTheOtherOptions) {
  SocketPair sockets;
  Watcher watcher = watch(sockets.ours(), {.interest = Readiness::read, .one_shot = true, .timeout = 1s});
  must(watcher.modify(Readiness::write));
  EXPECT_EQ(poll(), Seen{Readiness::write});
  EXPECT_EQ(poll(), kNothing);
  must(watcher.modify(Readiness::read));
  clock.advance(1s);
  EXPECT_EQ(poll(), kTimeout);
}

TEST_P(WatchOptionsTest, W10_AOneShotCallsOnceUntilItIsArmedAnew) {
  SocketPair sockets;
  send(sockets);
  Watcher watcher = watch(sockets.ours(), {.interest = Readiness::read, .one_shot = true});
  EXPECT_EQ(poll(), kRead);
  EXPECT_EQ(poll(), kNothing);
  EXPECT_TRUE(watcher.is_active());
  EXPECT_TRUE(loop.is_alive());
  must(watcher.rearm());
  EXPECT_EQ(poll(), kRead);
  ASSERT_EQ(::shutdown(sockets.theirs(), SHUT_RDWR), 0);
  EXPECT_EQ(poll(), kNothing);
  must(watcher.modify(Readiness::read));
  EXPECT_EQ(poll(), Seen{Readiness::read | Readiness::hangup});
  EXPECT_EQ(poll(), kNothing);
}

TEST_P(WatchOptionsTest, AOneShotMayBeArmedAnewInItsCallback) {
  SocketPair sockets;
  send(sockets);
  Watcher watcher;
  int calls = 0;
  watcher = must(loop.watch(sockets.ours(), {.interest = Readiness::read, .one_shot = true}, [&](Readiness) {
    if (++calls < 3) must(watcher.rearm());
  }));
  for (int i = 0; i < 5; ++i) must(loop.poll_once());
  EXPECT_EQ(calls, 3);
}

TEST_P(WatchOptionsTest, L124_AOneShotArmedAnewBeforeItsCallbackStillCallsOnce) {
  std::array<Pipe, 2> pipes;
  std::array<Watcher, 2> watchers;
  std::array<int, 2> calls{};
  for (const std::size_t i : {0u, 1u}) {
    pipes[i].send();
    watchers[i] = must(loop.watch(pipes[i].read_end(), {.interest = Readiness::read, .one_shot = true}, [&, i](auto) {
      ++calls[i];
      if (calls[1 - i] == 0) must(watchers[1 - i].rearm());  // its event is in this batch already
    }));
  }
  for (int i = 0; i < 3; ++i) must(loop.poll_once());
  EXPECT_EQ(calls, (std::array{1, 1}));
}

TEST_P(WatchOptionsTest, W10_UrgentDataIsAPriority) {
  SocketPair sockets(SocketPair::Family::tcp);
  const Watcher watcher = watch(sockets.ours(), {.interest = Readiness::priority});
  send(sockets);
  EXPECT_EQ(poll(), kNothing);
  ASSERT_EQ(::send(sockets.theirs(), "!", 1, MSG_OOB), 1);
  EXPECT_TRUE(eventually([&] { return poll() == Seen{Readiness::priority}; }));
}

// --- Time-outs ---

TEST_P(WatchOptionsTest, W10_ATimeOutIsReportedAgainAndAgain) {
  Pipe pipe;
  const Watcher watcher = watch(pipe.read_end(), {.interest = Readiness::read, .timeout = 1s});
  EXPECT_EQ(poll(), kNothing);
  clock.advance(1s - 1ns);
  EXPECT_EQ(poll(), kNothing);
  clock.advance(1ns);
  EXPECT_EQ(poll(), kTimeout);
  EXPECT_EQ(poll(), kNothing);
  clock.advance(1s);
  EXPECT_EQ(poll(), kTimeout);
}

TEST_P(WatchOptionsTest, AnEventStartsTheTimeOutAgain) {
  Pipe pipe;
  const Watcher watcher = watch(pipe.read_end(), {.interest = Readiness::read, .timeout = 1s});
  clock.advance(900ms);
  pipe.send();
  EXPECT_EQ(poll(), kRead);
  static_cast<void>(pipe.receive());
  clock.advance(999ms);
  EXPECT_EQ(poll(), kNothing);
  clock.advance(1ms);
  EXPECT_EQ(poll(), kTimeout);
}

TEST_P(WatchOptionsTest, AnEventInTheSameTurnComesInPlaceOfTheTimeOut) {
  Pipe pipe;
  const Watcher watcher = watch(pipe.read_end(), {.interest = Readiness::read, .timeout = 1s});
  clock.advance(5s);
  pipe.send();
  EXPECT_EQ(poll(), kRead);
}

TEST_P(WatchOptionsTest, ATimeOutUsesUpAOneShot) {
  Pipe pipe;
  Watcher watcher = watch(pipe.read_end(), {.interest = Readiness::read, .one_shot = true, .timeout = 1s});
  clock.advance(1s);
  EXPECT_EQ(poll(), kTimeout);
  pipe.send();
  clock.advance(5s);
  EXPECT_EQ(poll(), kNothing);
  EXPECT_EQ(poll(), kNothing);
  must(watcher.rearm());
  EXPECT_EQ(poll(), kRead);
  static_cast<void>(pipe.receive());
  must(watcher.rearm());
  clock.advance(1s);
  EXPECT_EQ(poll(), kTimeout);
}

TEST_P(WatchOptionsTest, ATimeOutMayBeShortenedProlongedAndTakenAway) {
  Pipe pipe;
  Watcher watcher = watch(pipe.read_end(), {.interest = Readiness::read, .timeout = 10s});
  must(watcher.modify({.interest = Readiness::read, .timeout = 1s}));
  clock.advance(1s);
  EXPECT_EQ(poll(), kTimeout);
  must(watcher.modify({.interest = Readiness::read, .timeout = 5s}));
  clock.advance(4s);
  EXPECT_EQ(poll(), kNothing);
  clock.advance(1s);
  EXPECT_EQ(poll(), kTimeout);
  must(watcher.modify({.interest = Readiness::read}));
  clock.advance(100s);
  EXPECT_EQ(poll(), kNothing);
}

TEST_P(WatchOptionsTest, TimeOutsOfManyWatchersComeWhenTheyAreDue) {
  std::vector<std::unique_ptr<Pipe>> pipes;
  std::vector<Watcher> watchers;
  std::vector<int> order;
  for (int i = 0; i < 50; ++i) {
    const int seconds = 1 + (i * 37) % 50;  // each of 1 to 50 once, out of order
    pipes.push_back(std::make_unique<Pipe>());
    watchers.push_back(must(loop.watch(pipes.back()->read_end(),
                                       {.interest = Readiness::read, .timeout = std::chrono::seconds(seconds)},
                                       [&order, seconds](Readiness) { order.push_back(seconds); })));
  }
  watchers.erase(watchers.begin() + 10, watchers.begin() + 20);
  clock.advance(50s);
  must(loop.poll_once());
  EXPECT_EQ(order.size(), 40u);
  EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST_P(WatchOptionsTest, AWatcherMayStopItselfOrAnotherAtATimeOut) {
  std::array<Pipe, 3> pipes;
  std::array<Watcher, 3> watchers;
  int calls = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    watchers[i] = must(loop.watch(pipes[i].read_end(), {.interest = Readiness::read, .timeout = 1s}, [&, i](Readiness) {
      ++calls;
      must(watchers[i].stop());
      static_cast<void>(watchers[(i + 1) % 3].stop());
    }));
  }
  clock.advance(1s);
  must(loop.poll_once());
  EXPECT_EQ(calls, 2);
}

TEST_P(WatchOptionsTest, ASleepLastsUntilTheTimeOut) {
  Loop real({.poller = GetParam()});
  Pipe pipe;
  bool timed_out = false;
  const auto start = std::chrono::steady_clock::now();
  const Watcher watcher =
      must(real.watch(pipe.read_end(), {.interest = Readiness::read, .timeout = 20ms}, [&](Readiness readiness) {
        EXPECT_EQ(readiness, Readiness::timeout);
        timed_out = true;
      }));
  must(real.run_once());
  EXPECT_TRUE(timed_out);
  EXPECT_GE(std::chrono::steady_clock::now() - start, 20ms);
  EXPECT_EQ(real.stats().sleeps, 1u);
}

// --- Ownership ---

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

TEST_P(WatchOptionsTest, W9_AnOwnedDescriptorIsClosedWhenTheWatcherStops) {
  Pipe pipe;
  const int copy = ::dup(pipe.read_end());
  Watcher watcher = watch(copy, {.interest = Readiness::read, .own = true});
  EXPECT_TRUE(is_open(copy));
  must(watcher.stop());
  EXPECT_FALSE(is_open(copy));
}

TEST_P(WatchOptionsTest, AnOwnedDescriptorIsClosedAtTheLoopsEnd) {
  Pipe pipe;
  const int copy = ::dup(pipe.read_end());
  {
    Loop other({.poller = GetParam()});
    const Watcher watcher =
        must(other.watch(copy, {.interest = Readiness::read, .own = true}, [](Readiness) { ADD_FAILURE(); }));
    must(other.close());
    EXPECT_FALSE(is_open(copy));
  }
}

TEST_P(WatchOptionsTest, AnOwnedDescriptorStaysOpenWhenWatchFails) {
  Pipe pipe;
  const Watcher first = watch(pipe.read_end(), {});
  EXPECT_TRUE(fails_with(
      loop.watch(pipe.read_end(), {.interest = Readiness::read, .own = true}, [](Readiness) { ADD_FAILURE(); }),
      Errc::fd_already_registered));
  EXPECT_TRUE(is_open(pipe.read_end()));
}

TEST_P(WatchOptionsTest, OwnershipMayBeGivenBack) {
  Pipe pipe;
  Watcher watcher = watch(pipe.read_end(), {.interest = Readiness::read, .own = true});
  must(watcher.modify({.interest = Readiness::read, .own = false}));
  must(watcher.stop());
  EXPECT_TRUE(is_open(pipe.read_end()));
}

TEST_P(WatchOptionsTest, AnOwnedNumberThatBelongsToAnotherFileByNowIsNotClosed) {
  Pipe pipe;
  Pipe other;
  const int number = ::dup(pipe.read_end());
  const Watcher stale = watch(number, {.interest = Readiness::read, .own = true});
  ::close(number);
  ASSERT_EQ(::fcntl(other.read_end(), F_DUPFD_CLOEXEC, number), number);
  const Watcher recent = watch(number, {});
  EXPECT_FALSE(stale.is_active());
  EXPECT_TRUE(is_open(number));
  ::close(number);
}

TEST_P(WatchOptionsTest, ACloseThatFailsIsReportedAndTheWatcherHasStopped) {
  Pipe pipe;
  const int copy = ::dup(pipe.read_end());
  Watcher watcher = watch(copy, {.interest = Readiness::read, .own = true});
  ::close(copy);
  EXPECT_TRUE(fails_with(watcher.stop(), std::errc::bad_file_descriptor));
  EXPECT_FALSE(watcher.is_active());
  EXPECT_FALSE(loop.is_alive());
}

// --- Misuse ---

TEST_P(WatchOptionsTest, L116_MisuseThrows) {
  Pipe pipe;
  const auto nothing = [](Readiness) {};
  const auto refused = [&](const WatchOptions& options) {
    EXPECT_THROW(static_cast<void>(loop.watch(pipe.read_end(), options, nothing)), std::invalid_argument);
  };
  refused({.interest = Readiness::none});
  refused({.interest = Readiness::read | Readiness::timeout});
  refused({.interest = Readiness::hangup});
  refused({.interest = Readiness::read, .timeout = -1ns});
  Watcher watcher = watch(pipe.read_end(), {});
  EXPECT_THROW(static_cast<void>(watcher.modify({.interest = Readiness::read, .timeout = -1ns})),
               std::invalid_argument);
  EXPECT_THROW(static_cast<void>(Watcher().modify(Readiness::timeout)), std::invalid_argument);
  must(watcher.stop());
  EXPECT_TRUE(fails_with(watcher.rearm(), Errc::fd_not_registered));
  EXPECT_TRUE(fails_with(Watcher().rearm(), Errc::fd_not_registered));
}

TEST_P(WatchOptionsTest, TheLoopSaysWhichPollerItUses) {
  EXPECT_EQ(loop.poller_kind(), std::nullopt);
  Pipe pipe;
  const Watcher watcher = watch(pipe.read_end(), {});
  EXPECT_EQ(loop.poller_kind(), GetParam());
}

TEST(PollerOption, AutomaticIsEpollHere) {
  Loop loop;
  Pipe pipe;
  const Watcher watcher = must(loop.watch(pipe.read_end(), Readiness::read, [](Readiness) {}));
  EXPECT_EQ(loop.poller_kind(), PollerKind::epoll);
}

INSTANTIATE_TEST_SUITE_P(Of, WatchOptionsTest, kEveryPoller, poller_name);

}  // namespace
}  // namespace gyre
