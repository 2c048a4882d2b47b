#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre {
namespace {

using namespace testing;

class NativeHandle : public OnEveryPoller {
 protected:
  /// Waits for the handle as a foreign loop does.
  bool is_readable(std::chrono::milliseconds patience = 0ms) {
    pollfd asked{.fd = handle(), .events = POLLIN, .revents = 0};
    for (;;) {
      const int ready = ::poll(&asked, 1, static_cast<int>(patience.count()));
      if (ready >= 0 || errno != EINTR) return ready == 1;  // io_uring's work interrupts other waits
    }
  }
  bool becomes_readable() { return is_readable(std::chrono::duration_cast<std::chrono::milliseconds>(kPatience)); }
  int handle() {
    if (handle_ < 0) handle_ = must(loop.native_handle());
    return handle_;
  }

  Loop loop{LoopOptions{.poller = GetParam()}};

 private:
  int handle_ = -1;
};

TEST_P(NativeHandle, IsOneDescriptorForEver) {
  EXPECT_EQ(must(loop.native_handle()), must(loop.native_handle()));
  EXPECT_TRUE(::fcntl(handle(), F_GETFD) & FD_CLOEXEC);
  EXPECT_EQ(loop.poller_kind(), GetParam());
  EXPECT_FALSE(loop.is_alive());
  EXPECT_FALSE(is_readable());
}

TEST_P(NativeHandle, IsReadableForADescriptor) {
  Pipe pipe;
  int calls = 0;
  static_cast<void>(handle());
  const Watcher watcher = must(loop.watch(pipe.read_end(), Readiness::read, [&](Readiness) {
    ++calls;
    static_cast<void>(pipe.receive());
  }));
  EXPECT_FALSE(is_readable());
  for (int round = 1; round <= 3; ++round) {
    pipe.send();
    EXPECT_TRUE(is_readable());
    must(loop.poll_once());
    EXPECT_EQ(calls, round);
    must(loop.poll_once());
    EXPECT_FALSE(is_readable());
  }
}

TEST_P(NativeHandle, IsReadableForATaskOfAnotherThread) {
  for (const bool run_before : {false, true}) {
    if (run_before) must(loop.poll_once());
    EXPECT_FALSE(is_readable());
    bool ran = false;
    std::thread([&, remote = loop.remote()]() mutable { must(remote.post([&] { ran = true; })); }).join();
    EXPECT_TRUE(is_readable());
    must(loop.poll_once());
    EXPECT_TRUE(ran);
    EXPECT_FALSE(is_readable());
  }
}

TEST_P(NativeHandle, IsReadableForATaskPostedBeforeItWasAskedFor) {
  must(loop.remote().post([] {}));
  EXPECT_TRUE(is_readable());
  must(loop.poll_once());
  EXPECT_FALSE(is_readable());
}

TEST_P(NativeHandle, IsReadableForEveryKindOfQueuedWork) {
  static_cast<void>(handle());
  const auto queued = [&](auto&& queue) {
    EXPECT_FALSE(is_readable());
    bool ran = false;
    must(queue([&] { ran = true; }));
    EXPECT_TRUE(is_readable());
    must(loop.poll_once());
    EXPECT_TRUE(ran);
  };
  queued([&](Task task) { return loop.post(std::move(task)); });
  queued([&](Task task) { return loop.post_priority(std::move(task)); });
  queued([&](Task task) { return loop.post_close(std::move(task)); });
  queued([&](Task task) { return loop.next_tick(std::move(task)); });
  queued([&](Task task) { return loop.queue_microtask(std::move(task)); });
  queued([&](Task task) { return loop.at_checkpoint_end(std::move(task)); });
  queued([&](Task task) { return loop.set_immediate(std::move(task)); });
  queued([&](Task task) { return loop.set_timeout(0s, std::move(task)); });
  EXPECT_FALSE(is_readable());
}

TEST_P(NativeHandle, StaysReadableWhileWorkIsLeftOver) {
  int runs = 0;
  std::function<void()> again = [&] {
    if (++runs < 5) must(loop.post(again));
  };
  must(loop.post(again));
  for (int round = 1; round <= 5; ++round) {
    ASSERT_TRUE(is_readable());
    must(loop.poll_once());
    EXPECT_EQ(runs, round);
  }
  EXPECT_FALSE(is_readable());
}

TEST_P(NativeHandle, BecomesReadableWhenATimerIsDue) {
  static_cast<void>(handle());
  bool fired = false;
  const auto start = std::chrono::steady_clock::now();
  must(loop.set_timeout(20ms, [&] { fired = true; }));
  must(loop.set_timeout(10h, [] { ADD_FAILURE(); }));
  ASSERT_TRUE(becomes_readable());
  EXPECT_GE(std::chrono::steady_clock::now() - start, 20ms);
  must(loop.poll_once());
  EXPECT_TRUE(fired);
  EXPECT_FALSE(is_readable());
}

TEST_P(NativeHandle, FollowsTimersThatAreMovedAndCancelled) {
  const TimerId id = must(loop.set_timeout(10h, [] { ADD_FAILURE(); }));
  EXPECT_FALSE(is_readable());
  must(loop.reschedule(id, 0s));
  EXPECT_TRUE(becomes_readable());
  must(loop.cancel(id));
  must(loop.poll_once());
  EXPECT_FALSE(is_readable());
  must(loop.set_timeout(1ns, [] {}));
  EXPECT_TRUE(becomes_readable());
  must(loop.run_for(1ms));  // not only poll_once
  EXPECT_FALSE(is_readable());
}

TEST_P(NativeHandle, BecomesReadableForAReadinessTimeOut) {
  Pipe pipe;
  bool timed_out = false;
  const Watcher watcher = must(loop.watch(pipe.read_end(), {.interest = Readiness::read, .timeout = 5ms},
                                          [&](Readiness readiness) { timed_out = readiness == Readiness::timeout; }));
  EXPECT_TRUE(becomes_readable());
  must(loop.poll_once());
  EXPECT_TRUE(timed_out);
}

TEST_P(NativeHandle, BecomesReadableWhenOffloadedWorkIsDone) {
  static_cast<void>(handle());
  std::optional<int> answer;
  must(loop.offload([](std::stop_token) { return 42; }, [&](Result<int> result) { answer = must(std::move(result)); }));
  EXPECT_TRUE(becomes_readable());
  must(loop.poll_once());
  EXPECT_EQ(answer, 42);
}

TEST_P(NativeHandle, BecomesReadableWhenTheEndIsAskedFor) {
  must(loop.poll_once());
  EXPECT_FALSE(is_readable());
  std::thread closer([remote = loop.remote()]() mutable { must(remote.shutdown()); });
  EXPECT_TRUE(becomes_readable());
  EXPECT_FALSE(must(loop.poll_once()));
  closer.join();
  EXPECT_EQ(loop.state(), LoopState::terminated);
  EXPECT_TRUE(fails_with(loop.native_handle(), Errc::terminated));
}

TEST_P(NativeHandle, DoesNotDisturbARun) {
  static_cast<void>(handle());
  int fired = 0;
  must(loop.set_timeout(5ms, [&] { ++fired; }));
  must(loop.set_timeout(10ms, [&] {
    ++fired;
    must(loop.shutdown());
  }));
  EXPECT_FALSE(is_readable());  // the alarm is set
  must(loop.run());
  EXPECT_EQ(fired, 2);
  EXPECT_LE(loop.stats().sleeps, 4u);
}

TEST_P(NativeHandle, NoTaskIsLostWhateverTheInstant) {  // L113
  constexpr int kTasks = 20'000;
  int ran = 0;
  static_cast<void>(handle());
  std::thread producer([&, remote = loop.remote()]() mutable {
    for (int i = 0; i < kTasks; ++i) must(remote.post([&ran] { ++ran; }));
  });
  while (ran < kTasks) {
    ASSERT_TRUE(becomes_readable()) << ran;
    must(loop.poll_once());
  }
  producer.join();
  EXPECT_EQ(ran, kTasks);
}

TEST_P(NativeHandle, OutlivesARebuiltSet) {
  Pipe pipe;
  const int copy = ::dup(pipe.read_end());
  static_cast<void>(handle());
  Watcher closed = must(loop.watch(pipe.read_end(), Readiness::read, [](Readiness) { ADD_FAILURE(); }));
  pipe.close_read_end();
  must(closed.stop());  // epoll goes on reporting the copy
  pipe.send();
  must(loop.poll_once());
  must(loop.poll_once());
  EXPECT_FALSE(is_readable());
  must(loop.set_timeout(1ms, [] {}));
  EXPECT_TRUE(becomes_readable());
  ::close(copy);
}

TEST_P(NativeHandle, L104_ExcludesTheForcedFastPath) {
  must(loop.set_fast_path(FastPath::forced));
  const std::size_t before = open_descriptors();
  EXPECT_TRUE(fails_with(loop.native_handle(), Errc::fast_path_incompatible));
  EXPECT_EQ(open_descriptors(), before);
  must(loop.set_fast_path(FastPath::automatic));
  static_cast<void>(handle());
  EXPECT_TRUE(fails_with(loop.set_fast_path(FastPath::forced), Errc::fast_path_incompatible));
  must(loop.post([] {}));
  EXPECT_TRUE(is_readable());
}

TEST_P(NativeHandle, IsReadableForATimerOfAnotherThread) {
  static_cast<void>(handle());
  bool fired = false;
  std::thread([&, remote = loop.remote()]() mutable { must(remote.set_timeout(5ms, [&] { fired = true; })); }).join();
  ASSERT_TRUE(eventually([&] {
    if (is_readable(100ms)) must(loop.poll_once());
    return fired;
  }));
  EXPECT_FALSE(is_readable());
}

TEST_P(NativeHandle, L126_WithoutDescriptorsThereIsAnErrorThatPasses) {
  const std::size_t before = open_descriptors();
  for (const int left : {0, 1, 2}) {
    Result<int> refused = 0;
    {
      const DescriptorLimit tight(left);
      refused = loop.native_handle();
    }
    EXPECT_TRUE(fails_with(refused, std::errc::too_many_files_open));
    EXPECT_LE(open_descriptors(), before + 2);
  }
  EXPECT_FALSE(is_readable());
  must(loop.set_timeout(1ms, [] {}));
  EXPECT_TRUE(becomes_readable());
}

INSTANTIATE_TEST_SUITE_P(Of, NativeHandle, ::testing::Values(PollerKind::epoll, PollerKind::io_uring), poller_name);

TEST(NativeHandleOfPoll, IsNone) {
  Loop loop({.poller = PollerKind::poll});
  const auto refused = loop.native_handle();
  EXPECT_TRUE(fails_with(refused, Errc::unsupported));
  EXPECT_NE(refused.error().message().find("PollerKind::epoll"), std::string::npos);
  must(loop.poll_once());
}

}  // namespace
}  // namespace gyre
