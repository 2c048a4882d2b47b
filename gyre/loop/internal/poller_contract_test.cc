#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gyre/loop/internal/poller.h>
#include <gyre/loop/internal/test_support.h>

// What the loop relies on, of every poller.

namespace gyre::internal {
namespace {

using namespace testing;
using Interest = Poller::Interest;

constexpr std::array kKinds = {PollerKind::epoll, PollerKind::io_uring, PollerKind::poll};

Result<std::unique_ptr<Poller>> make(PollerKind kind) {
  switch (kind) {
    case PollerKind::io_uring:
      return make_io_uring_poller();
    case PollerKind::poll:
      return make_poll_poller();
    default:
      return make_epoll_poller();
  }
}

template <typename Parameter>
class OnAPoller : public ::testing::TestWithParam<Parameter> {
 protected:
  static PollerKind kind() {
    if constexpr (std::is_same_v<Parameter, PollerKind>) {
      return OnAPoller::GetParam();
    } else {
      return std::get<PollerKind>(OnAPoller::GetParam());
    }
  }
  void SetUp() override {
    auto made = make(kind());
    if (!made && made.error().is(Errc::unsupported)) GTEST_SKIP() << made.error().to_string();
    poller = must(std::move(made));
  }
  std::size_t wait(Duration timeout = Duration::zero()) { return must(poller->wait(timeout, events)); }
  /// What is reported of the one descriptor in the set.
  Readiness readiness() { return wait() == 0 ? Readiness::none : events[0].readiness; }
  void add(int fd, Interest interest, std::uint64_t token = 1) { must(poller->add(fd, interest, token)); }
  bool is_readable_from_outside() {
    must(poller->flush());
    pollfd asked{.fd = poller->native_handle(), .events = POLLIN, .revents = 0};
    return ::poll(&asked, 1, 0) == 1;
  }
  bool knows_edges() const { return kind() != PollerKind::poll; }

  std::unique_ptr<Poller> poller;
  std::array<Poller::Event, 8> events{};
};

using PollerContract = OnAPoller<PollerKind>;
/// For what poll(2) does not have; that it says so is a test of PollerContract.
class PollerWithEdges : public PollerContract {};

constexpr auto kBoth = Readiness::read | Readiness::write;
constexpr Interest kRead{.readiness = Readiness::read};
constexpr Interest kReadEdges{.readiness = Readiness::read, .trigger = Trigger::edge};
constexpr Interest kReadOnce{.readiness = Readiness::read, .one_shot = true};

void send(int fd, const char* text = "x") {
  ASSERT_EQ(::send(fd, text, std::strlen(text), 0), static_cast<ssize_t>(std::strlen(text)));
}
void receive(int fd) {
  char buffer[256];
  ASSERT_GT(::recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT), 0);
}

TEST_P(PollerContract, SaysWhatItIs) {
  EXPECT_EQ(poller->kind(), kind());
}

// --- The set ---

TEST_P(PollerContract, GivesTheTokenBackAsItIs) {
  Pipe pipe;
  pipe.send();
  add(pipe.read_end(), kRead, 0xfedcba9876543210);
  ASSERT_EQ(wait(), 1u);
  EXPECT_EQ(events[0].token, 0xfedcba9876543210);
  EXPECT_EQ(events[0].readiness, Readiness::read);
}

TEST_P(PollerContract, L117_ADescriptorIsInTheSetOnce) {
  Pipe pipe;
  add(pipe.read_end(), kRead, 1);
  EXPECT_TRUE(fails_with(poller->add(pipe.read_end(), kRead, 2), std::errc::file_exists));
  pipe.send();
  ASSERT_EQ(wait(), 1u);
  EXPECT_EQ(events[0].token, 1u);
}

TEST_P(PollerContract, L118_AClosedDescriptorIsRefusedAndNothingRetained) {
  Pipe pipe;
  const int copy = ::dup(pipe.read_end());
  ::close(copy);
  EXPECT_TRUE(fails_with(poller->add(copy, kRead, 1), std::errc::bad_file_descriptor));
  EXPECT_TRUE(fails_with(poller->modify(copy, kRead, 1), std::errc::bad_file_descriptor) ||
              fails_with(poller->modify(copy, kRead, 1), std::errc::no_such_file_or_directory));
  ASSERT_EQ(::dup(pipe.read_end()), copy);
  pipe.send();
  EXPECT_EQ(wait(), 0u);
  add(copy, kRead, 2);
  EXPECT_EQ(wait(), 1u);
  ::close(copy);
}

TEST_P(PollerContract, L123_ItsOwnDescriptorsAreRefused) {
  std::set<int> before;
  for (int fd = 0; fd < 256; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) before.insert(fd);
  }
  const auto other = must(make(kind()));
  int own = 0;
  for (int fd = 0; fd < 256; ++fd) {
    if (before.contains(fd) || ::fcntl(fd, F_GETFD) < 0) continue;
    ++own;
    EXPECT_TRUE(::fcntl(fd, F_GETFD) & FD_CLOEXEC) << fd;
    EXPECT_TRUE(fails_with(other->add(fd, kRead, 1), std::errc::bad_file_descriptor)) << fd;
  }
  EXPECT_EQ(own, 2);
}

TEST_P(PollerContract, RegularFilesAndFoldersAreRefused) {
  for (const char* path : {"/proc/self/exe", "/tmp"}) {
    const int file = ::open(path, O_RDONLY | O_CLOEXEC);
    ASSERT_GE(file, 0);
    EXPECT_TRUE(fails_with(poller->add(file, kRead, 1), std::errc::operation_not_permitted)) << path;
    ::close(file);
  }
}

TEST_P(PollerContract, ModifyChangesInterestAndToken) {
  SocketPair sockets;
  add(sockets.ours(), kRead, 1);
  EXPECT_EQ(wait(), 0u);
  must(poller->modify(sockets.ours(), {.readiness = Readiness::write}, 2));
  ASSERT_EQ(wait(), 1u);
  EXPECT_EQ(events[0].token, 2u);
  EXPECT_EQ(events[0].readiness, Readiness::write);
  must(poller->modify(sockets.ours(), {.readiness = Readiness::none}, 3));
  send(sockets.theirs());
  EXPECT_EQ(wait(), 0u);
  must(poller->modify(sockets.ours(), {.readiness = kBoth}, 4));
  ASSERT_EQ(wait(), 1u);
  EXPECT_EQ(events[0].readiness, kBoth);
}

TEST_P(PollerContract, ModifyingWhatIsNotThereIsAnError) {
  Pipe pipe;
  EXPECT_TRUE(fails_with(poller->modify(pipe.read_end(), kRead, 1), std::errc::no_such_file_or_directory));
}

TEST_P(PollerContract, WhatIsRemovedIsNotReported) {
  Pipe pipe;
  pipe.send();
  add(pipe.read_end(), kRead);
  must(poller->remove(pipe.read_end()));
  EXPECT_EQ(wait(), 0u);
  add(pipe.read_end(), kRead, 2);
  ASSERT_EQ(wait(), 1u);
  must(poller->remove(pipe.read_end()));  // after it was reported
  EXPECT_EQ(wait(), 0u);
}

TEST_P(PollerContract, RemovingLetsGoOfTheFileAtOnce) {
  SocketPair sockets;
  add(sockets.ours(), kRead);
  EXPECT_EQ(wait(), 0u);
  must(poller->remove(sockets.ours()));
  sockets.close_ours();
  char byte;
  EXPECT_EQ(::recv(sockets.theirs(), &byte, 1, MSG_DONTWAIT), 0);  // the other side sees the end
}

TEST_P(PollerContract, L119_RemovingAClosedOrUnknownDescriptorIsNoError) {
  Pipe pipe;
  must(poller->remove(pipe.read_end()));
  add(pipe.read_end(), kRead);
  const int number = pipe.read_end();
  pipe.close_read_end();
  must(poller->remove(number));
  EXPECT_EQ(wait(), 0u);
}

TEST_P(PollerContract, L119_ANumberUsedAgainIsNotReportedUnderTheOldToken) {
  for (const bool waited : {false, true}) {
    Pipe old;
    Pipe other;
    const int number = old.read_end();
    add(number, kRead, 1);
    if (waited) {
      old.send();
      EXPECT_EQ(wait(), 1u);
    }
    old.close_read_end();
    ASSERT_EQ(::fcntl(other.read_end(), F_DUPFD_CLOEXEC, number), number);
    other.send();
    for (int i = 0; i < 3; ++i) EXPECT_EQ(wait(), 0u);
    add(number, kRead, 2);
    ASSERT_EQ(wait(), 1u);
    EXPECT_EQ(events[0].token, 2u);
    must(poller->remove(number));
    ::close(number);
  }
}

TEST_P(PollerContract, ACloseIsReportedOnceOrNotAtAll) {
  Pipe pipe;
  add(pipe.read_end(), kRead);
  EXPECT_EQ(wait(), 0u);
  pipe.close_read_end();
  const Readiness first = readiness();
  EXPECT_EQ(first, kind() == PollerKind::poll ? Readiness::error : Readiness::none);
  EXPECT_EQ(readiness(), Readiness::none);
}

TEST_P(PollerContract, L127_AThousandCyclesLeaveNothingBehind) {
  Pipe pipe;
  pipe.send();
  EXPECT_EQ(wait(), 0u);
  const std::size_t before = open_descriptors();
  for (std::uint64_t i = 1; i <= 1000; ++i) {
    add(pipe.read_end(), i % 3 == 0 && knows_edges() ? kReadEdges : kRead, i);
    if (i % 2 == 0) {
      ASSERT_EQ(wait(), 1u);
      ASSERT_EQ(events[0].token, i);
    }
    must(poller->remove(pipe.read_end()));
  }
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(wait(), 0u);
}

TEST_P(PollerContract, L128_NumbersFarApartAreFine) {
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  Pipe pipe;
  const int far =
      ::fcntl(pipe.read_end(), F_DUPFD_CLOEXEC, static_cast<int>(std::min<rlim_t>(limit.rlim_cur - 1, 200'000)));
  ASSERT_GE(far, 0);
  add(pipe.read_end(), kRead, 1);
  add(far, kRead, 2);
  pipe.send();
  EXPECT_EQ(wait(), 2u);
  must(poller->remove(far));
  EXPECT_EQ(wait(), 1u);
  ::close(far);
}

TEST_P(PollerContract, L130_DescriptorZeroIsADescriptor) {
  Pipe pipe;
  const int saved = ::dup(0);
  ASSERT_EQ(::dup2(pipe.read_end(), 0), 0);
  add(0, kReadOnce);
  pipe.send();
  EXPECT_EQ(readiness(), Readiness::read);
  EXPECT_EQ(readiness(), Readiness::none);
  must(poller->modify(0, kReadOnce, 1));
  EXPECT_EQ(readiness(), Readiness::read);
  must(poller->remove(0));
  if (saved >= 0) {
    ::dup2(saved, 0);
    ::close(saved);
  } else {
    ::close(0);
  }
}

TEST_P(PollerContract, AfterAResetItWatchesNothingButTheWakeUpUnderTheSameHandle) {
  Pipe pipe;
  pipe.send();
  add(pipe.read_end(), kRead);
  const int handle = poller->native_handle();
  must(poller->reset());
  EXPECT_EQ(poller->native_handle(), handle);
  EXPECT_EQ(wait(), 0u);
  must(poller->wake());
  EXPECT_EQ(wait(Duration::max()), 0u);
  add(pipe.read_end(), kRead, 2);
  ASSERT_EQ(wait(), 1u);
  EXPECT_EQ(events[0].token, 2u);
}

TEST_P(PollerContract, MoreEventsThanTheBufferHoldsComeInTurn) {
  std::vector<std::unique_ptr<Pipe>> pipes;
  for (std::uint64_t i = 0; i < 100; ++i) {
    pipes.push_back(std::make_unique<Pipe>());
    pipes.back()->send();
    add(pipes.back()->read_end(), kRead, i);
  }
  std::map<std::uint64_t, int> seen;
  for (int round = 0; round < 26; ++round) {
    const std::size_t count = wait();
    ASSERT_EQ(count, events.size());
    for (const auto& event : events) ++seen[event.token];
  }
  ASSERT_EQ(seen.size(), 100u);  // 26 times 8 is more than 2 times 100
  for (const auto& [token, times] : seen) EXPECT_LE(times, 3) << token;
}

// --- Triggers ---

TEST_P(PollerContract, LevelsAreReportedForAsLongAsTheyHold) {
  SocketPair sockets;
  add(sockets.ours(), kRead);
  send(sockets.theirs());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(readiness(), Readiness::read);
  receive(sockets.ours());
  EXPECT_EQ(readiness(), Readiness::none);
  send(sockets.theirs());
  EXPECT_EQ(readiness(), Readiness::read);
}

TEST_P(PollerContract, EdgesAreReportedWhenSomethingChanges) {
  SocketPair sockets;
  if (!knows_edges()) {
    EXPECT_TRUE(fails_with(poller->add(sockets.ours(), kReadEdges, 1), Errc::unsupported));
    add(sockets.ours(), kRead);
    EXPECT_TRUE(fails_with(poller->modify(sockets.ours(), kReadEdges, 1), Errc::unsupported));
    send(sockets.theirs());
    EXPECT_EQ(readiness(), Readiness::read);  // as before
    return;
  }
  send(sockets.theirs());
  add(sockets.ours(), kReadEdges);
  EXPECT_EQ(readiness(), Readiness::read);  // what holds already counts as a change
  EXPECT_EQ(readiness(), Readiness::none);
  send(sockets.theirs());
  EXPECT_EQ(readiness(), Readiness::read);  // more has come
  EXPECT_EQ(readiness(), Readiness::none);
  receive(sockets.ours());
  EXPECT_EQ(readiness(), Readiness::none);
  send(sockets.theirs());
  EXPECT_EQ(readiness(), Readiness::read);
  must(poller->modify(sockets.ours(), kReadEdges, 1));
  EXPECT_EQ(readiness(), Readiness::read);  // as after add
  EXPECT_EQ(readiness(), Readiness::none);
}

TEST_P(PollerWithEdges, SeveralEdgesOfADescriptorAreOneEvent) {
  SocketPair sockets;
  add(sockets.ours(), {.readiness = kBoth, .trigger = Trigger::edge});
  EXPECT_EQ(readiness(), Readiness::write);
  for (int i = 0; i < 5; ++i) send(sockets.theirs());
  ASSERT_EQ(wait(), 1u);
  EXPECT_TRUE(has(events[0].readiness, Readiness::read));
  EXPECT_EQ(wait(), 0u);
}

TEST_P(PollerWithEdges, AnEdgeThatBecomesALevelIsOne) {
  SocketPair sockets;
  add(sockets.ours(), kReadEdges);
  send(sockets.theirs());
  EXPECT_EQ(readiness(), Readiness::read);
  must(poller->modify(sockets.ours(), kRead, 1));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(readiness(), Readiness::read);
}

TEST_P(PollerContract, AOneShotReportsOnceUntilItIsModified) {
  for (const Trigger trigger : {Trigger::level, Trigger::edge}) {
    if (trigger == Trigger::edge && !knows_edges()) continue;
    SocketPair sockets;
    const Interest once{.readiness = Readiness::read, .trigger = trigger, .one_shot = true};
    add(sockets.ours(), once);
    EXPECT_EQ(readiness(), Readiness::none);
    send(sockets.theirs());
    EXPECT_EQ(readiness(), Readiness::read);
    send(sockets.theirs());
    ASSERT_EQ(::shutdown(sockets.theirs(), SHUT_RDWR), 0);
    EXPECT_EQ(readiness(), Readiness::none);  // not even the hang-up
    must(poller->modify(sockets.ours(), once, 1));
    EXPECT_EQ(readiness(), Readiness::read | Readiness::hangup);
    EXPECT_EQ(readiness(), Readiness::none);
    must(poller->remove(sockets.ours()));
  }
}

TEST_P(PollerContract, PriorityIsNoticedWhenItComesAndMixesWithTheRest) {
  SocketPair sockets(SocketPair::Family::tcp);
  add(sockets.ours(), {.readiness = Readiness::priority});
  EXPECT_EQ(readiness(), Readiness::none);
  send(sockets.theirs());
  EXPECT_EQ(readiness(), Readiness::none);
  std::thread sender([&] { ASSERT_EQ(::send(sockets.theirs(), "!", 1, MSG_OOB), 1); });
  ASSERT_EQ(wait(kPatience), 1u);
  sender.join();
  EXPECT_EQ(events[0].readiness, Readiness::priority);
  must(poller->modify(sockets.ours(), {.readiness = Readiness::priority | kBoth}, 1));
  EXPECT_EQ(readiness(), Readiness::priority | kBoth);
  must(poller->modify(sockets.ours(), {.readiness = Readiness::write}, 1));
  EXPECT_EQ(readiness(), Readiness::write);
  must(poller->modify(sockets.ours(), {.readiness = Readiness::priority, .one_shot = true}, 1));
  EXPECT_EQ(readiness(), Readiness::priority);
  EXPECT_EQ(readiness(), Readiness::none);
  must(poller->remove(sockets.ours()));
  EXPECT_EQ(readiness(), Readiness::none);
}

// --- Waking ---

TEST_P(PollerContract, AWakeUpEndsTheWaitWithoutAnEvent) {
  std::thread waker([&] { must(poller->wake()); });
  EXPECT_EQ(wait(Duration::max()), 0u);
  waker.join();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(wait(1ms), 0u);
  EXPECT_GE(std::chrono::steady_clock::now() - start, 1ms);  // it has been taken
}

TEST_P(PollerContract, L110_WakeUpsBeforeTheWaitCountOnce) {
  for (int i = 0; i < 100; ++i) must(poller->wake());
  EXPECT_EQ(wait(Duration::max()), 0u);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(wait(1ms), 0u);
  EXPECT_GE(std::chrono::steady_clock::now() - start, 1ms);
}

TEST_P(PollerContract, WakeUpsBeyondWhatTheKernelHoldsAreNoError) {
  for (int i = 0; i < 70'000; ++i) must(poller->wake());
  EXPECT_EQ(wait(Duration::max()), 0u);
  EXPECT_EQ(wait(1ns), 0u);
}

TEST_P(PollerContract, AWakeUpDoesNotHideAnEvent) {
  Pipe pipe;
  pipe.send();
  add(pipe.read_end(), kRead);
  must(poller->wake());
  EXPECT_EQ(wait(Duration::max()), 1u);
}

// --- Time ---

TEST_P(PollerContract, L108_NeverReturnsBeforeTheTimeOut) {  // otherwise than there: nanoseconds, no rounding, no cap
  Pipe pipe;
  add(pipe.read_end(), kRead);
  for (const Duration timeout : {1ns, 999ns, 500'000ns, 1'000'001ns}) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(wait(timeout), 0u);
    EXPECT_GE(std::chrono::steady_clock::now() - start, timeout);
  }
}

TEST_P(PollerContract, L109_ASignalStormNeitherShortensNorProlongsAWait) {
  struct sigaction ignore{};
  ignore.sa_handler = [](int) {};  // without SA_RESTART: every wait is interrupted
  struct sigaction before{};
  ASSERT_EQ(sigaction(SIGUSR1, &ignore, &before), 0);
  for (const bool endless : {false, true}) {
    std::atomic<int> sent = 0;
    std::jthread storm([&, target = pthread_self()](std::stop_token stop) {
      while (!stop.stop_requested()) {
        pthread_kill(target, SIGUSR1);
        if (++sent == 300 && endless) must(poller->wake());
        std::this_thread::sleep_for(200us);
      }
    });
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(wait(endless ? Duration::max() : Duration(100ms)), 0u);
    if (endless) {
      EXPECT_GE(sent, 300);
    } else {
      const auto waited = std::chrono::steady_clock::now() - start;
      EXPECT_GE(waited, 100ms);
      EXPECT_LE(waited, 5s);
    }
  }
  sigaction(SIGUSR1, &before, nullptr);
}

// --- Threads ---

TEST_P(PollerContract, MayBeSetUpOnOneThreadAndUsedOnAnother) {
  SocketPair levels;
  SocketPair edges;
  std::jthread first([&] {
    add(levels.ours(), kRead, 1);
    add(edges.ours(), knows_edges() ? kReadEdges : kRead, 2);
    EXPECT_EQ(wait(), 0u);
  });
  first.join();
  std::thread sender([&] {
    send(levels.theirs());
    send(edges.theirs());
  });
  std::set<std::uint64_t> seen;
  while (seen.size() < 2) {
    const std::size_t count = wait(kPatience);
    ASSERT_GT(count, 0u);
    for (std::size_t i = 0; i < count; ++i) seen.insert(events[i].token);
  }
  sender.join();
  std::thread waker([&] { must(poller->wake()); });
  receive(levels.ours());
  receive(edges.ours());
  EXPECT_EQ(wait(Duration::max()), 0u);
  waker.join();
}

TEST_P(PollerContract, ReportsAlsoWhileTheThreadThatSetItUpIsBusyElsewhere) {
  SocketPair sockets;
  std::atomic<bool> ready = false;
  std::atomic<bool> over = false;
  std::thread first([&] {
    add(sockets.ours(), kRead, 1);
    EXPECT_EQ(wait(), 0u);
    ready = true;
    while (!over) std::this_thread::yield();
  });
  ASSERT_TRUE(eventually([&] { return ready.load(); }));
  std::thread sender([&] { send(sockets.theirs()); });
  EXPECT_EQ(wait(kPatience), 1u);
  over = true;
  sender.join();
  first.join();
}

// --- The native handle ---

TEST_P(PollerContract, ItsHandleIsReadableWhenThereIsSomethingToReport) {
  if (kind() == PollerKind::poll) {
    EXPECT_EQ(poller->native_handle(), -1);
    return;
  }
  Pipe pipe;
  add(pipe.read_end(), kRead);
  EXPECT_FALSE(is_readable_from_outside());
  pipe.send();
  EXPECT_TRUE(is_readable_from_outside());
  EXPECT_EQ(wait(), 1u);
  EXPECT_TRUE(is_readable_from_outside());  // a level
  static_cast<void>(pipe.receive());
  EXPECT_EQ(wait(), 0u);
  EXPECT_FALSE(is_readable_from_outside());
  must(poller->modify(pipe.read_end(), {.readiness = Readiness::none}, 1));
  must(poller->remove(pipe.read_end()));
  EXPECT_FALSE(is_readable_from_outside());
  must(poller->wake());
  EXPECT_TRUE(is_readable_from_outside());
  EXPECT_EQ(wait(), 0u);
  EXPECT_FALSE(is_readable_from_outside());
}

// --- Shortage ---

TEST_P(PollerContract, L126_WithoutDescriptorsThereIsAnErrorThatPasses) {
  const std::size_t before = open_descriptors();
  for (const int left : {0, 1}) {
    Result<std::unique_ptr<Poller>> refused;
    {
      const DescriptorLimit tight(left);
      refused = make(kind());
    }
    EXPECT_TRUE(fails_with(refused, std::errc::too_many_files_open));
    EXPECT_TRUE(refused.error().is_temporary());
    EXPECT_EQ(open_descriptors(), before);
  }
  must(make(kind()));
}

INSTANTIATE_TEST_SUITE_P(Of, PollerContract, ::testing::ValuesIn(kKinds),
                         [](const auto& test) { return std::string(to_string(test.param)); });
INSTANTIATE_TEST_SUITE_P(Of, PollerWithEdges, ::testing::Values(PollerKind::epoll, PollerKind::io_uring),
                         [](const auto& test) { return std::string(to_string(test.param)); });

// --- What is reported ---

std::string text_of(Readiness readiness) {
  std::string text;
  const auto append = [&](Readiness bit, const char* name) {
    if (has(readiness, bit)) text += (text.empty() ? "" : ", ") + std::string(name);
  };
  append(Readiness::read, "read");
  append(Readiness::write, "write");
  append(Readiness::priority, "priority");
  append(Readiness::error, "error");
  append(Readiness::hangup, "hangup");
  return text.empty() ? "nothing" : text;
}

struct Ends {
  SocketPair local;
  SocketPair tcp{SocketPair::Family::tcp};
  Pipe pipe;
};

struct Situation {
  const char* name;
  const char* text;  ///< in docs/platforms.md
  Readiness asked;
  int (*watched)(Ends& ends);
  void (*happens)(Ends& ends);
  Readiness reported;
};

const Situation kSituations[] = {
    {"nothing", "nothing has come", Readiness::read, [](Ends& e) { return e.local.ours(); }, [](Ends&) {},
     Readiness::none},
    {"data", "data has come", Readiness::read, [](Ends& e) { return e.local.ours(); },
     [](Ends& e) { send(e.local.theirs()); }, Readiness::read},
    {"space", "there is room to write", Readiness::write, [](Ends& e) { return e.local.ours(); }, [](Ends&) {},
     Readiness::write},
    {"both", "data has come, and there is room", kBoth, [](Ends& e) { return e.local.ours(); },
     [](Ends& e) { send(e.local.theirs()); }, kBoth},
    {"urgent", "urgent data of TCP has come", Readiness::priority, [](Ends& e) { return e.tcp.ours(); },
     [](Ends& e) { ASSERT_EQ(::send(e.tcp.theirs(), "!", 1, MSG_OOB), 1); }, Readiness::priority},
    {"half_closed", "the other side of a socket writes no more", Readiness::read,
     [](Ends& e) { return e.local.ours(); }, [](Ends& e) { ::shutdown(e.local.theirs(), SHUT_WR); },
     Readiness::read | Readiness::hangup},
    {"half_closed_for_a_writer", "the other side of a socket writes no more", Readiness::write,
     [](Ends& e) { return e.local.ours(); }, [](Ends& e) { ::shutdown(e.local.theirs(), SHUT_WR); },
     Readiness::write | Readiness::hangup},
    {"closed", "a socket is closed in both directions", Readiness::none, [](Ends& e) { return e.local.ours(); },
     [](Ends& e) { ::shutdown(e.local.theirs(), SHUT_RDWR); }, Readiness::hangup},
    {"reset", "a TCP connection was reset", Readiness::read, [](Ends& e) { return e.tcp.ours(); },
     [](Ends& e) {
       const linger at_once{.l_onoff = 1, .l_linger = 0};
       ASSERT_EQ(::setsockopt(e.tcp.theirs(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
       e.tcp.close_theirs();
     },
     Readiness::read | Readiness::error | Readiness::hangup},
    {"no_writer", "a pipe has no writer any more", Readiness::read, [](Ends& e) { return e.pipe.read_end(); },
     [](Ends& e) { e.pipe.close_write_end(); }, Readiness::hangup},
    {"no_reader", "a pipe has no reader any more", Readiness::write, [](Ends& e) { return e.pipe.write_end(); },
     [](Ends& e) { e.pipe.close_read_end(); }, Readiness::write | Readiness::error},
};

class PollerMapping : public OnAPoller<std::tuple<PollerKind, Situation>> {};

TEST_P(PollerMapping, L114_L115_IsAsDocumented) {
  const Situation& situation = std::get<Situation>(GetParam());
  for (const Trigger trigger : {Trigger::level, Trigger::edge}) {
    if (trigger == Trigger::edge && !knows_edges()) continue;
    Ends ends;
    const int fd = situation.watched(ends);
    situation.happens(ends);
    add(fd, {.readiness = situation.asked, .trigger = trigger});
    Readiness reported = Readiness::none;
    eventually([&] {  // the loopback interface takes its time
      reported = readiness();
      return reported == situation.reported;
    });
    EXPECT_EQ(text_of(reported), text_of(situation.reported));
    must(poller->remove(fd));
  }
}

INSTANTIATE_TEST_SUITE_P(Of, PollerMapping,
                         ::testing::Combine(::testing::ValuesIn(kKinds), ::testing::ValuesIn(kSituations)),
                         [](const auto& test) {
                           return fmt::format("{}_{}", to_string(std::get<PollerKind>(test.param)),
                                              std::get<Situation>(test.param).name);
                         });

TEST(PollerDocument, SaysWhatTheTestsSay) {
  std::ifstream file(GYRE_SOURCE_DIR "/docs/platforms.md");
  const std::string document((std::istreambuf_iterator<char>(file)), {});
  for (const Situation& situation : kSituations) {
    const std::string row =
        fmt::format("| {} | {} | {} |", situation.text, text_of(situation.asked), text_of(situation.reported));
    EXPECT_NE(document.find(row), std::string::npos) << "docs/platforms.md lacks this row:\n" << row;
  }
}

// --- Which one ---

TEST(PollerChoice, AutomaticIsEpollHere) {
  EXPECT_EQ(must(make_poller(PollerKind::automatic))->kind(), PollerKind::epoll);
}

TEST(PollerChoice, WhatIsThereIsGiven) {
  for (const PollerKind kind : kKinds) {
    const auto itself = make(kind);
    const auto given = must(make_poller(kind));
    EXPECT_EQ(given->kind(), itself ? kind : PollerKind::epoll);
  }
}

TEST(PollerChoice, AShortageIsNoReasonForAnotherKind) {
  Result<std::unique_ptr<Poller>> refused;
  {
    const DescriptorLimit tight(1);
    refused = make_poller(PollerKind::io_uring);
  }
  EXPECT_TRUE(fails_with(refused, std::errc::too_many_files_open));
}

TEST(PollerChoice, KindsHaveNames) {
  EXPECT_EQ(to_string(PollerKind::automatic), "automatic");
  EXPECT_EQ(to_string(PollerKind::io_uring), "io_uring");
  EXPECT_EQ(to_string(static_cast<PollerKind>(99)), "unknown");
}

}  // namespace
}  // namespace gyre::internal
