#include <array>
#include <chrono>
#include <memory>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gyre/loop/internal/poller.h>
#include <gyre/loop/internal/test_support.h>

namespace gyre::internal {
namespace {

using namespace testing;

class EpollPoller : public ::testing::Test {
 protected:
  std::size_t wait(Duration timeout) { return must(poller->wait(timeout, events)); }
  bool is_readable_from_outside() {
    pollfd asked{.fd = poller->native_handle(), .events = POLLIN, .revents = 0};
    return ::poll(&asked, 1, 0) == 1;
  }
  std::unique_ptr<Poller> poller = must(make_epoll_poller());
  std::array<Poller::Event, 8> events{};
};

TEST_F(EpollPoller, GivesTheTokenBackAsItIs) {
  Pipe pipe;
  pipe.send();
  must(poller->add(pipe.read_end(), Readiness::read, 0xfedcba9876543210));
  ASSERT_EQ(wait(Duration::zero()), 1u);
  EXPECT_EQ(events[0].token, 0xfedcba9876543210);
  EXPECT_EQ(events[0].readiness, Readiness::read);
}

struct Mapping {
  const char* name;
  Readiness asked;
  void (*happens)(int theirs);
  Readiness reported;
};

class EpollMapping : public ::testing::TestWithParam<Mapping> {};

TEST_P(EpollMapping, IsAsDocumented) {  // 11.8
  auto poller = must(make_epoll_poller());
  std::array<Poller::Event, 8> events{};
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
  must(poller->add(ends[0], GetParam().asked, 1));
  GetParam().happens(ends[1]);
  Readiness reported = Readiness::none;
  if (must(poller->wait(Duration::zero(), events)) == 1) reported = events[0].readiness;
  EXPECT_EQ(reported, GetParam().reported);
  ::close(ends[0]);
  ::close(ends[1]);
}

constexpr auto kBoth = Readiness::read | Readiness::write;
INSTANTIATE_TEST_SUITE_P(
    Mapping, EpollMapping,
    ::testing::Values(Mapping{"nothing", Readiness::read, [](int) {}, Readiness::none},
                      Mapping{"data", Readiness::read, [](int fd) { EXPECT_EQ(::write(fd, "x", 1), 1); },
                              Readiness::read},
                      Mapping{"space", Readiness::write, [](int) {}, Readiness::write},
                      Mapping{"both", kBoth, [](int fd) { EXPECT_EQ(::write(fd, "x", 1), 1); }, kBoth},
                      Mapping{"half_closed", Readiness::read, [](int fd) { ::shutdown(fd, SHUT_WR); },
                              Readiness::read | Readiness::hangup},
                      Mapping{"half_closed_seen_by_a_writer", Readiness::write, [](int fd) { ::shutdown(fd, SHUT_WR); },
                              Readiness::write | Readiness::hangup},
                      Mapping{"closed_without_interest", Readiness::none, [](int fd) { ::shutdown(fd, SHUT_RDWR); },
                              Readiness::hangup}),
    [](const auto& test) { return test.param.name; });

TEST_F(EpollPoller, AWakeUpEndsTheWaitWithoutAnEvent) {
  std::thread waker([&] { must(poller->wake()); });
  EXPECT_EQ(wait(Duration::max()), 0u);
  waker.join();
  EXPECT_FALSE(is_readable_from_outside());  // it has been taken
}

TEST_F(EpollPoller, WakeUpsBeforeTheWaitCountOnce) {  // L110
  for (int i = 0; i < 100; ++i) must(poller->wake());
  EXPECT_TRUE(is_readable_from_outside());
  EXPECT_EQ(wait(Duration::max()), 0u);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(wait(1ms), 0u);
  EXPECT_GE(std::chrono::steady_clock::now() - start, 1ms);
}

TEST_F(EpollPoller, NeverReturnsBeforeTheTimeOut) {  // L108, otherwise: nanoseconds, no rounding, no cap
  for (const Duration timeout : {1ns, 500'000ns, 1'000'001ns}) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(wait(timeout), 0u);
    const auto waited = std::chrono::steady_clock::now() - start;
    EXPECT_GE(waited, timeout);
    EXPECT_LT(waited, timeout + 500ms);
  }
}

TEST_F(EpollPoller, ItsHandleIsReadableWhenADescriptorIs) {
  Pipe pipe;
  must(poller->add(pipe.read_end(), Readiness::read, 1));
  EXPECT_FALSE(is_readable_from_outside());
  pipe.send();
  EXPECT_TRUE(is_readable_from_outside());
}

TEST_F(EpollPoller, RemovingAClosedOrUnknownDescriptorIsNoError) {
  Pipe pipe;
  must(poller->remove(pipe.read_end()));
  must(poller->add(pipe.read_end(), Readiness::read, 1));
  const int number = pipe.read_end();
  pipe.close_read_end();
  must(poller->remove(number));
}

TEST_F(EpollPoller, AfterAResetItWatchesNothingButTheWakeUpUnderTheSameHandle) {
  Pipe pipe;
  pipe.send();
  must(poller->add(pipe.read_end(), Readiness::read, 1));
  const int handle = poller->native_handle();
  must(poller->reset());
  EXPECT_EQ(poller->native_handle(), handle);
  EXPECT_EQ(wait(Duration::zero()), 0u);
  must(poller->wake());
  EXPECT_EQ(wait(Duration::max()), 0u);
  must(poller->add(pipe.read_end(), Readiness::read, 2));
  ASSERT_EQ(wait(Duration::zero()), 1u);
  EXPECT_EQ(events[0].token, 2u);
}

TEST_F(EpollPoller, ItsDescriptorsAreNotInherited) {
  EXPECT_TRUE(::fcntl(poller->native_handle(), F_GETFD) & FD_CLOEXEC);
  must(poller->reset());
  EXPECT_TRUE(::fcntl(poller->native_handle(), F_GETFD) & FD_CLOEXEC);
}

}  // namespace
}  // namespace gyre::internal
