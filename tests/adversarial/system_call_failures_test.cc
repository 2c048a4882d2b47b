#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>
#ifdef GYRE_HAVE_LIBURING
#include <liburing.h>
#endif

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

// Runs scenarios again and again, and each time another of their calls of the system fails: every call site of the loop
// is met. Whatever fails, the outcome is a clear error or none at all, nothing is leaked, and the loop goes on.

namespace {

enum class Call {
  close_,
  dup3_,
  epoll_create,
  epoll_control,
  epoll_wait_,
  event_descriptor,
  file_status,
  pipe_,
  poll_,
  read_,
  futex,
  timer_create_,
  timer_set,
  write_,
  thread_start,
  ring_create,
  ring_submit,
  ring_wait,
};

// What is to fail. Not per thread: other threads' calls count too.
struct Plan {
  std::atomic<bool> active = false;
  std::atomic<int> countdown = 0;  // the call that brings it to zero fails
  int error = 0;
  std::optional<Call> only;
  std::atomic<int> failed = 0;
  std::atomic<int> seen = 0;
};
Plan plan;  // NOLINT: the caught functions have no other way to it

// True if this call is to fail; errno is set then.
bool fails(Call call) {
  if (!plan.active.load() || (plan.only && *plan.only != call)) return false;
  ++plan.seen;
  if (--plan.countdown != 0) return false;
  ++plan.failed;
  errno = plan.error;
  return true;
}

}  // namespace

// NOLINTBEGIN(readability-identifier-naming, bugprone-reserved-identifier): the linker prescribes the names
extern "C" {
int __real_close(int);
int __wrap_close(int fd) {
  if (!fails(Call::close_)) return __real_close(fd);
  const int error = errno;
  __real_close(fd);  // as on Linux: the descriptor is gone whatever close returns
  errno = error;
  return -1;
}
int __real_dup3(int, int, int);
int __wrap_dup3(int from, int to, int flags) {
  return fails(Call::dup3_) ? -1 : __real_dup3(from, to, flags);
}
int __real_epoll_create1(int);
int __wrap_epoll_create1(int flags) {
  return fails(Call::epoll_create) ? -1 : __real_epoll_create1(flags);
}
int __real_epoll_ctl(int, int, int, epoll_event*);
int __wrap_epoll_ctl(int epoll, int operation, int fd, epoll_event* event) {
  return fails(Call::epoll_control) ? -1 : __real_epoll_ctl(epoll, operation, fd, event);
}
int __real_epoll_wait(int, epoll_event*, int, int);
int __wrap_epoll_wait(int epoll, epoll_event* events, int count, int timeout) {
  return fails(Call::epoll_wait_) ? -1 : __real_epoll_wait(epoll, events, count, timeout);
}
int __real_epoll_pwait2(int, epoll_event*, int, const timespec*, const sigset_t*);
int __wrap_epoll_pwait2(int epoll, epoll_event* events, int count, const timespec* timeout, const sigset_t* mask) {
  return fails(Call::epoll_wait_) ? -1 : __real_epoll_pwait2(epoll, events, count, timeout, mask);
}
int __real_eventfd(unsigned, int);
int __wrap_eventfd(unsigned value, int flags) {
  return fails(Call::event_descriptor) ? -1 : __real_eventfd(value, flags);
}
int __real_fstat(int, struct stat*);
int __wrap_fstat(int fd, struct stat* status) {
  return fails(Call::file_status) ? -1 : __real_fstat(fd, status);
}
int __real_pipe2(int*, int);
int __wrap_pipe2(int* ends, int flags) {
  return fails(Call::pipe_) ? -1 : __real_pipe2(ends, flags);
}
int __real_ppoll(pollfd*, nfds_t, const timespec*, const sigset_t*);
int __wrap_ppoll(pollfd* asked, nfds_t count, const timespec* timeout, const sigset_t* mask) {
  return fails(Call::poll_) ? -1 : __real_ppoll(asked, count, timeout, mask);
}
ssize_t __real_read(int, void*, std::size_t);
ssize_t __wrap_read(int fd, void* buffer, std::size_t size) {
  return fails(Call::read_) ? -1 : __real_read(fd, buffer, size);
}
ssize_t __real_write(int, const void*, std::size_t);
ssize_t __wrap_write(int fd, const void* buffer, std::size_t size) {
  // EAGAIN says that the counter is full, which nobody could believe of one that is not.
  if (plan.error == EAGAIN) return __real_write(fd, buffer, size);
  return fails(Call::write_) ? -1 : __real_write(fd, buffer, size);
}
int __real_timerfd_create(int, int);
int __wrap_timerfd_create(int clock, int flags) {
  return fails(Call::timer_create_) ? -1 : __real_timerfd_create(clock, flags);
}
int __real_timerfd_settime(int, int, const itimerspec*, itimerspec*);
int __wrap_timerfd_settime(int fd, int flags, const itimerspec* value, itimerspec* old) {
  return fails(Call::timer_set) ? -1 : __real_timerfd_settime(fd, flags, value, old);
}
long __real_syscall(long, ...);
long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  std::array<long, 6> given{};
  for (long& value : given) value = va_arg(list, long);
  va_end(list);
  if (number == SYS_futex && fails(Call::futex)) return -1;
  return __real_syscall(number, given[0], given[1], given[2], given[3], given[4], given[5]);
}
void __real__ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE(void* self,
                                                                                                  void* state,
                                                                                                  void (*depend)());
void __wrap__ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE(void* self,
                                                                                                  void* state,
                                                                                                  void (*depend)()) {
  if (fails(Call::thread_start)) throw std::system_error(errno, std::generic_category());
  __real__ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE(self, state, depend);
}
#ifdef GYRE_HAVE_LIBURING
int __real_io_uring_queue_init_params(unsigned, io_uring*, io_uring_params*);
int __wrap_io_uring_queue_init_params(unsigned entries, io_uring* ring, io_uring_params* params) {
  return fails(Call::ring_create) ? -errno : __real_io_uring_queue_init_params(entries, ring, params);
}
int __real_io_uring_submit(io_uring*);
int __wrap_io_uring_submit(io_uring* ring) {
  return fails(Call::ring_submit) ? -errno : __real_io_uring_submit(ring);
}
int __real_io_uring_submit_and_get_events(io_uring*);
int __wrap_io_uring_submit_and_get_events(io_uring* ring) {
  return fails(Call::ring_wait) ? -errno : __real_io_uring_submit_and_get_events(ring);
}
int __real_io_uring_submit_and_wait_timeout(io_uring*, io_uring_cqe**, unsigned, __kernel_timespec*, sigset_t*);
int __wrap_io_uring_submit_and_wait_timeout(io_uring* ring, io_uring_cqe** first, unsigned count,
                                            __kernel_timespec* timeout, sigset_t* mask) {
  return fails(Call::ring_wait) ? -errno : __real_io_uring_submit_and_wait_timeout(ring, first, count, timeout, mask);
}
#endif
}
// NOLINTEND(readability-identifier-naming, bugprone-reserved-identifier)

namespace gyre {
namespace {

using namespace testing;

/// While it lives, the nth call of the system fails.
class Failure {
 public:
  Failure(int nth, int error, std::optional<Call> only = {}) {
    plan.countdown = nth;
    plan.error = error;
    plan.only = only;
    plan.failed = 0;
    plan.seen = 0;
    plan.active = true;
  }
  Failure(const Failure&) = delete;
  Failure& operator=(const Failure&) = delete;
  ~Failure() { plan.active = false; }
  static bool happened() { return plan.failed > 0; }
  static int calls() { return plan.seen; }
};

class SystemCallFailures : public OnEveryPoller {
 protected:
  LoopOptions options() const { return {.spin_before_sleep = {}, .poller = GetParam()}; }

  /// Runs a scenario with its first call failing, then with its second, and so on until it has no more calls to fail.
  template <typename Scenario>
  void with_every_call_failing(Scenario scenario,
                               const std::vector<int>& errors = {EINTR, EAGAIN, EMFILE, ENOMEM, EPERM, ENOSYS}) {
    scenario([](auto&& part) { part(); });  // what lasts for the life of the process is made here
    const std::size_t before = open_descriptors();
    for (const int error : errors) {
      for (int nth = 1;; ++nth) {
        SCOPED_TRACE(fmt::format("{} fails call {}", std::system_category().message(error), nth));
        ASSERT_LT(nth, 500) << "the scenario never ends";
        bool happened = false;
        scenario([&](auto&& part) {
          const Failure failure(nth, error);
          part();
          happened = Failure::happened();
        });
        ASSERT_EQ(open_descriptors(), before);
        if (HasFailure()) return;
        if (!happened) break;
      }
    }
  }

  /// A loop that has met a failure works all the same, or has ended with an error, and then another one works.
  void expect_usable(Loop& loop) {
    if (loop.state() == LoopState::terminated) return;
    SocketPair sockets;
    bool read = false;
    bool posted = false;
    bool fired = false;
    must(loop.remote().post([&] { posted = true; }));
    must(loop.set_timeout(0s, [&] { fired = true; }));
    Watcher watcher = must(loop.watch(sockets.ours(), Readiness::read, [&](Readiness) { read = true; }));
    ASSERT_EQ(::send(sockets.theirs(), "x", 1, 0), 1);
    for (int i = 0; i < 5 && !(read && posted && fired); ++i) must(loop.poll_once());
    EXPECT_TRUE(read);
    EXPECT_TRUE(posted);
    EXPECT_TRUE(fired);
    must(watcher.stop());
  }
};

/// An error of the system, or none.
template <typename T>
bool is_clear(const Result<T>& result) {
  if (result) return true;
  EXPECT_FALSE(result.error().message().empty());
  return true;
}

/// For what needs a native handle, which poll(2) does not have.
class SystemCallFailuresOfTheHandle : public SystemCallFailures {};

TEST_P(SystemCallFailures, L126_WatchingFailsClearlyOrNotAtAll) {
  with_every_call_failing([&](auto&& failing) {
    Loop loop(options());
    SocketPair sockets;
    int calls = 0;
    Result<Watcher> watcher;
    failing([&] { watcher = loop.watch(sockets.ours(), Readiness::read, [&](Readiness) { ++calls; }); });
    if (!watcher) {
      EXPECT_TRUE(is_clear(watcher));
      EXPECT_FALSE(loop.is_alive());  // nothing retained
      watcher = must(loop.watch(sockets.ours(), Readiness::read, [&](Readiness) { ++calls; }));
    }
    ASSERT_EQ(::send(sockets.theirs(), "x", 1, 0), 1);
    must(loop.poll_once());
    EXPECT_EQ(calls, 1);
    expect_usable(loop);
  });
}

TEST_P(SystemCallFailures, ChangingAndStoppingFailClearlyOrNotAtAll) {
  with_every_call_failing([&](auto&& failing) {
    Loop loop(options());
    SocketPair sockets;
    Watcher watcher = must(loop.watch(sockets.ours(), {.interest = Readiness::read, .timeout = 1h}, [](Readiness) {}));
    must(loop.poll_once());
    Result<void> modified;
    Result<void> stopped;
    failing([&] {
      modified = watcher.modify(Readiness::read | Readiness::write);
      stopped = watcher.stop();
    });
    EXPECT_TRUE(is_clear(modified));
    EXPECT_TRUE(is_clear(stopped));
    EXPECT_FALSE(watcher.is_active());
    EXPECT_FALSE(loop.is_alive());
    expect_usable(loop);
  });
}

TEST_P(SystemCallFailures, ARunGoesOnOrEndsWithTheErrorAfterDraining) {  // L32
  with_every_call_failing([&](auto&& failing) {
    Loop loop(options());
    SocketPair sockets;
    int tasks = 0;
    int ticks = 0;
    Watcher watcher;
    watcher = must(loop.watch(sockets.ours(), Readiness::read, [&](Readiness) {
      char byte;
      if (::recv(sockets.ours(), &byte, 1, MSG_DONTWAIT) != 1) return;
      if (++ticks == 3) must(loop.shutdown());
    }));
    std::function<void()> tick = [&] {
      ASSERT_EQ(::send(sockets.theirs(), "x", 1, 0), 1);
      static_cast<void>(loop.set_timeout(1ms, tick));
    };
    must(loop.set_timeout(0s, tick));
    Result<void> ended;
    failing([&] {
      must(loop.post([&] { ++tasks; }));
      ended = loop.run();
    });
    if (ended) {
      EXPECT_EQ(ticks, 3);
    } else {
      const auto& category = ended.error().code().category();
      EXPECT_TRUE(category == std::generic_category() || category == std::system_category())
          << ended.error().to_string();
    }
    EXPECT_EQ(tasks, 1);  // drained, whatever happened
    EXPECT_EQ(loop.state(), LoopState::terminated);
    EXPECT_FALSE(watcher.is_active());
  });
}

TEST_P(SystemCallFailures, L111_APostIsNotLostWhenItsWakeUpFails) {
  with_every_call_failing([&](auto&& failing) {
    Loop loop(options());
    Pipe pipe;
    const Watcher watcher = must(loop.watch(pipe.read_end(), Readiness::read, [](Readiness) { ADD_FAILURE(); }));
    Runner runner(loop);
    auto remote = loop.remote();
    ASSERT_TRUE(falls_asleep(remote));
    std::atomic<int> ran = 0;
    failing([&] { must(remote.post([&] { ++ran; })); });
    // If it was the owner's wait that failed, the loop ends and may refuse this one.
    const int accepted = remote.post([&] { ++ran; }) ? 2 : 1;
    // Where the first wake-up failed, the next one is a new attempt.
    const bool both = eventually([&] {
      static_cast<void>(remote.wake());
      return ran == accepted || remote.is_done();
    });
    EXPECT_TRUE(both);
    static_cast<void>(remote.shutdown());
    static_cast<void>(runner.join());
    EXPECT_EQ(ran, accepted);
  });
}

TEST_P(SystemCallFailures, L111_AFailedWakeUpIsReportedAndTheNextOneTriesAgain) {
  Loop loop(options());
  Pipe pipe;
  const Watcher watcher = must(loop.watch(pipe.read_end(), Readiness::read, [](Readiness) {}));
  Runner runner(loop);
  auto remote = loop.remote();
  ASSERT_TRUE(falls_asleep(remote));
  {
    const Failure failure(1, EIO, Call::write_);
    EXPECT_TRUE(fails_with(remote.wake(), std::errc::io_error));
  }
  EXPECT_EQ(remote.state(), LoopState::sleeping);
  bool ran = false;
  must(remote.post([&] { ran = true; }));  // its wake-up is written
  must(remote.shutdown());
  must(runner.join());
  EXPECT_TRUE(ran);
}

TEST_P(SystemCallFailuresOfTheHandle, L110_AHundredWakesInOneSleepAreOneWrite) {
  Loop loop(options());
  Pipe pipe;
  Watcher watcher = must(loop.watch(pipe.read_end(), Readiness::read, [&](Readiness) {
    static_cast<void>(pipe.receive());
    must(loop.shutdown());
  }));
  // Between two steps the loop counts as asleep, but nobody takes its wake-ups: one sleep that lasts as long as we
  // like.
  must(loop.native_handle());
  must(loop.poll_once());
  {
    const Failure counting(-1, 0, Call::write_);
    std::vector<std::jthread> threads;
    for (int i = 0; i < 100; ++i) threads.emplace_back([remote = loop.remote()]() mutable { must(remote.wake()); });
    threads.clear();
    EXPECT_EQ(Failure::calls(), 1);
    must(loop.poll_once());
    must(loop.remote().wake());
    EXPECT_EQ(Failure::calls(), 2);  // after the first was taken, one more is possible
  }
}

TEST_P(SystemCallFailuresOfTheHandle, TheNativeHandleFailsClearlyOrNotAtAll) {
  with_every_call_failing([&](auto&& failing) {
    Loop loop(options());
    SocketPair sockets;
    int calls = 0;
    Result<int> handle = 0;
    Result<Watcher> watcher;
    Result<bool> polled = true;
    failing([&] {
      handle = loop.native_handle();
      must(loop.set_timeout(1ms, [&] { ++calls; }));
      watcher = loop.watch(sockets.ours(), Readiness::read, [&](Readiness) { ++calls; });
      polled = loop.poll_once();
    });
    EXPECT_TRUE(is_clear(handle));
    EXPECT_TRUE(is_clear(watcher));
    EXPECT_TRUE(is_clear(polled));
    if (loop.state() == LoopState::terminated) return;
    if (loop.poller_kind() == PollerKind::poll) {  // in place of what the system refused
      EXPECT_FALSE(handle);
      return expect_usable(loop);
    }
    const int fd = must(loop.native_handle());
    if (!watcher) watcher = must(loop.watch(sockets.ours(), Readiness::read, [&](Readiness) { ++calls; }));
    ASSERT_EQ(::send(sockets.theirs(), "x", 1, 0), 1);
    ASSERT_TRUE(eventually([&] {
      pollfd asked{.fd = fd, .events = POLLIN, .revents = 0};
      if (::poll(&asked, 1, 1000) != 1) return false;
      must(loop.poll_once());
      return calls >= 2;
    }));
    expect_usable(loop);
  });
}

TEST_P(SystemCallFailures, ASetThatMustBeRebuiltIsRebuiltInTheEnd) {  // 11.11
  with_every_call_failing(
      [&](auto&& failing) {
        Loop loop(options());
        Pipe zombie;
        SocketPair sockets;
        int calls = 0;
        const int copy = ::dup(zombie.read_end());
        Watcher closed = must(loop.watch(zombie.read_end(), Readiness::read, [](Readiness) { ADD_FAILURE(); }));
        const Watcher kept = must(loop.watch(sockets.ours(), Readiness::read, [&](Readiness) { ++calls; }));
        zombie.close_read_end();
        must(closed.stop());
        zombie.send();
        Result<bool> polled = true;
        failing([&] { polled = loop.poll_once(); });
        EXPECT_TRUE(is_clear(polled));
        if (polled) {
          ASSERT_EQ(::send(sockets.theirs(), "x", 1, 0), 1);
          for (int i = 0; i < 3 && calls == 0; ++i) must(loop.poll_once());
          EXPECT_EQ(calls, 1);
        }
        ::close(copy);
        // Not EPERM: so epoll says that a number stands for another file by now, and it is believed.
      },
      {EINTR, EAGAIN, EMFILE, ENOMEM, ENOSYS});
}

TEST_P(SystemCallFailures, ThreadsThatCannotBeStartedAreAnErrorOrDoneWithout) {
  for (const int error : {EAGAIN, ENOMEM, EPERM}) {
    Loop loop(options());
    {
      const Failure failure(1, error, Call::thread_start);
      const auto refused = loop.offload([](std::stop_token) {}, [](Result<void>) { ADD_FAILURE(); });
      EXPECT_TRUE(fails_with(refused, static_cast<std::errc>(error)));
    }
    EXPECT_FALSE(loop.is_alive());
    bool done = false;
    must(loop.offload([](std::stop_token) {}, [&](Result<void> result) { done = result.has_value(); }));
    while (!done) must(loop.run_once());

    // The end of a loop that was never run needs a thread, or is made on the caller's.
    Loop never_run(options());
    bool ran = false;
    must(never_run.post([&] { ran = true; }));
    const Failure failure(1, error, Call::thread_start);
    must(never_run.remote().shutdown());
    EXPECT_TRUE(Failure::happened());
    EXPECT_TRUE(ran);
  }
}

TEST_P(SystemCallFailures, ASleepOnAFutexIsNotMisledByFailures) {
  for (const int error : {EINTR, EAGAIN}) {
    for (int nth = 1; nth <= 4; ++nth) {
      Loop loop(options());
      bool fired = false;
      const auto start = std::chrono::steady_clock::now();
      must(loop.set_timeout(5ms, [&] { fired = true; }));
      const Failure failure(nth, error, Call::futex);
      must(loop.run_once());
      EXPECT_TRUE(fired);
      EXPECT_GE(std::chrono::steady_clock::now() - start, 5ms);
    }
  }
}

TEST_P(SystemCallFailures, WhatTheSystemForbidsIsReplaced) {
  const auto kind_with = [&](Call forbidden, int error) {
    Loop loop(options());
    Pipe pipe;
    const Failure failure(1, error, forbidden);
    const auto watcher = loop.watch(pipe.read_end(), Readiness::read, [](Readiness) {});
    return watcher ? loop.poller_kind() : std::nullopt;
  };
  for (const int error : {ENOSYS, EPERM, EACCES}) {
    const PollerKind instead = GetParam() == PollerKind::io_uring ? PollerKind::epoll : GetParam();
    EXPECT_EQ(kind_with(Call::ring_create, error), instead);
  }
  EXPECT_EQ(kind_with(Call::epoll_create, ENOSYS), GetParam() == PollerKind::epoll ? PollerKind::poll : GetParam());
  if (GetParam() == PollerKind::io_uring) {
    EXPECT_EQ(kind_with(Call::ring_create, ENOMEM), std::nullopt);  // a shortage is reported
  }
}

TEST_P(SystemCallFailures, WithoutNanosecondWaitsNothingIsEarly) {
  for (const int error : {ENOSYS, EPERM}) {  // epoll_pwait2 in old kernels, and in sandboxes that do not know it
    Loop loop(options());
    Pipe pipe;
    const Watcher watcher = must(loop.watch(pipe.read_end(), Readiness::read, [](Readiness) { ADD_FAILURE(); }));
    bool fired = false;
    const auto start = std::chrono::steady_clock::now();
    must(loop.set_timeout(1'500us, [&] { fired = true; }));
    {
      const Failure failure(1, error, Call::epoll_wait_);
      must(loop.run_once());
    }
    EXPECT_TRUE(fired);
    EXPECT_GE(std::chrono::steady_clock::now() - start, 1'500us);
  }
}

INSTANTIATE_TEST_SUITE_P(Of, SystemCallFailures, kEveryPoller, poller_name);
INSTANTIATE_TEST_SUITE_P(Of, SystemCallFailuresOfTheHandle, ::testing::Values(PollerKind::epoll, PollerKind::io_uring),
                         poller_name);

}  // namespace
}  // namespace gyre
