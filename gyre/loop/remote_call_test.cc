#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre {
namespace {

using namespace testing;

// Calls that wait for the loop's answer, whatever they ask for.

/// A loop that is executing a callback until it is released.
class BusyLoop {
 public:
  BusyLoop() : runner_(loop) {
    must(remote.post([this] {
      entered_.count_down();
      released_.wait();
    }));
    entered_.wait();
  }
  void release() { released_.count_down(); }
  ~BusyLoop() {
    must(remote.shutdown());
    must(runner_.join());
  }

  Loop loop;
  Remote remote = loop.remote();

 private:
  std::latch entered_{1};
  std::latch released_{1};
  Runner runner_;
};

TEST(RemoteCall, ThatTimesOutNeverHappens) {
  BusyLoop busy;
  Remote& remote = busy.remote;
  const TimerId id = must(remote.set_timeout(1h, [] { ADD_FAILURE(); }));
  const std::vector<TimerId> ids{id};
  const WaitLimit short_time = 1ms;
  EXPECT_TRUE(fails_with(remote.cancel(id, short_time), Errc::timed_out));
  EXPECT_TRUE(fails_with(remote.cancel(ids, short_time), Errc::timed_out));
  EXPECT_TRUE(fails_with(remote.unref(id, short_time), Errc::timed_out));
  EXPECT_TRUE(fails_with(remote.set_fast_path(FastPath::forced, short_time), Errc::timed_out));
  busy.release();
  std::latch looked(1);
  must(remote.set_immediate([&] {
    EXPECT_TRUE(busy.loop.is_alive()) << "the timer was unref'd";
    Pipe pipe;
    EXPECT_TRUE(busy.loop.watch(pipe.read_end(), Readiness::read, [](Readiness) {})) << "the fast path was forced";
    looked.count_down();
  }));
  looked.wait();
  must(remote.cancel(id));  // it is still there
}

TEST(RemoteCall, IsStoppedByItsToken) {
  BusyLoop busy;
  const TimerId id = must(busy.remote.set_timeout(1h, [] { ADD_FAILURE(); }));
  std::stop_source source;
  std::thread stopper([&] { source.request_stop(); });
  EXPECT_TRUE(fails_with(busy.remote.cancel(id, source.get_token()), Errc::cancelled));
  stopper.join();
  EXPECT_TRUE(fails_with(busy.remote.unref(id, source.get_token()), Errc::cancelled));
  busy.release();
  must(busy.remote.cancel(id, std::stop_source().get_token()));
}

TEST(RemoteCall, TakesADeadlineAnywhereInTime) {
  BusyLoop busy;
  const TimerId id = must(busy.remote.set_timeout(1h, [] {}));
  EXPECT_TRUE(fails_with(busy.remote.cancel(id, WaitLimit::until(TimePoint::min())), Errc::timed_out));
  EXPECT_TRUE(fails_with(busy.remote.cancel(id, WaitLimit::until(TimePoint())), Errc::timed_out));
  EXPECT_TRUE(
      fails_with(busy.remote.cancel(id, WaitLimit::until(std::chrono::steady_clock::now() + 1ms)), Errc::timed_out));
  busy.release();
  must(busy.remote.cancel(id, WaitLimit::until(TimePoint::max())));
}

// A callback waits for a thread that waits for the loop: only the end of the loop can undo that knot.
void expect_terminated_in_a_knot(bool close) {
  Loop loop;
  Remote remote = loop.remote();
  const TimerId id = must(loop.set_timeout(1h, [] { ADD_FAILURE(); }));
  std::latch asking(1);
  std::optional<Result<void>> answer;
  must(loop.post([&] {
    std::thread asker([&] {
      asking.count_down();
      answer = remote.cancel(id);
    });
    asker.join();
  }));
  Runner runner(loop);
  asking.wait();
  must(close ? remote.close() : remote.shutdown());
  must(runner.join());
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(fails_with(*answer, Errc::terminated));
}

TEST(RemoteCall, OfAThreadThatACallbackWaitsForIsAnsweredByShutdown) {  // L29
  for (int i = 0; i < 20; ++i) expect_terminated_in_a_knot(false);
}
TEST(RemoteCall, OfAThreadThatACallbackWaitsForIsAnsweredByClose) {  // L29
  for (int i = 0; i < 20; ++i) expect_terminated_in_a_knot(true);
}

TEST(RemoteCall, OfAThreadThatACallbackWaitsForMayHaveALimit) {
  Loop loop({.auto_exit = true});
  Remote remote = loop.remote();
  const TimerId id = must(loop.set_timeout(1h, [] { ADD_FAILURE(); }));
  std::optional<Result<void>> answer;
  must(loop.post([&] {
    std::thread asker([&] { answer = remote.cancel(id, 5ms); });
    asker.join();
    must(loop.cancel(id));
  }));
  must(loop.run());
  EXPECT_TRUE(fails_with(*answer, Errc::timed_out));
}

TEST(RemoteCall, InTheDrainOfALoopNeverRunIsRefusedAndDoesNotWait) {  // L29
  Loop loop;
  Remote remote = loop.remote();
  const TimerId id = must(loop.set_timeout(1h, [] { ADD_FAILURE(); }));
  std::vector<Result<void>> answers;
  must(loop.post([&] {
    std::thread asker([&] {
      answers.push_back(remote.cancel(id));
      answers.push_back(remote.set_fast_path(FastPath::forced));
      answers.push_back(remote.unref(id));
    });
    asker.join();
  }));
  must(remote.shutdown());
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_TRUE(fails_with(answers[0], Errc::terminated));
  EXPECT_TRUE(fails_with(answers[1], Errc::terminated));
  EXPECT_TRUE(answers[2]) << "to a loop that ends it makes no difference";
}

TEST(RemoteCall, IsAnsweredWhenALoopBetweenTwoStepsIsDestroyed) {
  for (int i = 0; i < 50; ++i) {
    std::optional<Loop> loop(std::in_place);
    Remote remote = loop->remote();
    const TimerId id = must(loop->set_timeout(1h, [] { ADD_FAILURE(); }));
    must(loop->poll_once());
    std::optional<Result<void>> answer;
    std::latch asking(1);
    std::thread asker([&] {
      asking.count_down();
      answer = remote.cancel(id);
    });
    asking.wait();
    loop.reset();
    asker.join();
    EXPECT_TRUE(fails_with(*answer, Errc::terminated));
  }
}

TEST(RemoteCall, OnTheThreadOfTheLastStepMayMeetTheDestructionOnAnother) {
  for (int i = 0; i < 200; ++i) {
    auto loop = std::make_unique<Loop>();
    Remote remote = loop->remote();
    std::latch stepped(1);
    std::thread stepper([&] {
      const TimerId id = must(loop->set_timeout(1h, [] { ADD_FAILURE(); }));
      must(loop->poll_once());
      stepped.count_down();
      Result<void> answer;
      do {
        must(remote.unref(id));
        answer = remote.set_fast_path(FastPath::automatic);
      } while (answer);
      EXPECT_TRUE(fails_with(answer, Errc::terminated));
    });
    stepped.wait();
    loop.reset();
    stepper.join();
  }
}

TEST(RemoteCall, BetweenTwoStepsTheOwnersThreadIsAnsweredAtOnce) {
  Loop loop;
  const TimerId id = must(loop.set_timeout(1h, [] { ADD_FAILURE(); }));
  must(loop.poll_once());
  must(loop.remote().cancel(id));
  // It is still this thread that owns the loop.
  std::thread([&] { EXPECT_THROW(static_cast<void>(loop.post([] {})), std::logic_error); }).join();
  EXPECT_FALSE(must(loop.poll_once()));
  EXPECT_EQ(loop.timer_count(), 0u);
}

TEST(RemoteCall, IsAnsweredAtOnceWhileNobodyRunsTheLoop) {  // L82
  Loop loop;
  Remote remote = loop.remote();
  const TimerId id = must(loop.set_timeout(1h, [] { ADD_FAILURE(); }));
  std::thread([&] {
    must(remote.unref(id));
    must(remote.set_fast_path(FastPath::disabled));
    must(remote.cancel(id));
    EXPECT_TRUE(fails_with(remote.cancel(id), Errc::timer_not_found));
  }).join();
  EXPECT_EQ(loop.timer_count(), 0u);
}

TEST(RemoteCall, InACallbackOfTheLoopIsAnsweredAtOnce) {
  Loop loop({.auto_exit = true});
  const TimerId id = must(loop.set_timeout(1h, [] { ADD_FAILURE(); }));
  must(loop.post([&] {
    must(loop.remote().cancel(id));
    EXPECT_TRUE(fails_with(loop.remote().cancel(id), Errc::timer_not_found));
  }));
  must(loop.run());
}

TEST(RemoteCall, AfterTheEndIsRefusedAndMayStillRef) {  // L86 L87
  std::optional<Loop> loop(std::in_place);
  Remote remote = loop->remote();
  const TimerId id = must(loop->set_timeout(1h, [] {}));
  must(loop->close());
  const auto expect_ended = [&] {
    EXPECT_TRUE(fails_with(remote.cancel(id), Errc::terminated));
    EXPECT_TRUE(fails_with(remote.set_fast_path(FastPath::forced), Errc::terminated));
    EXPECT_TRUE(fails_with(remote.request_cancel(id), Errc::terminated));
    EXPECT_TRUE(remote.ref(id));
    EXPECT_TRUE(remote.unref(id));
    EXPECT_TRUE(must(remote.cancel(std::span<const TimerId>())).empty());
  };
  expect_ended();
  loop.reset();
  expect_ended();
}

TEST(RemoteCall, MayDestroyCapturesThatUseTheLoop) {
  Loop loop({.auto_exit = true});
  Remote remote = loop.remote();
  bool ran = false;
  const TimerId id =
      must(loop.set_timeout(1h, [at_end = AtEnd([&] {
                                   EXPECT_TRUE(fails_with(remote.cancel(TimerId()), Errc::timer_not_found));
                                   must(loop.post([&] { ran = true; }));
                                 })] {}));
  std::thread asker([&] { must(remote.cancel(id)); });  // before the run or during it
  must(loop.run());
  asker.join();
  EXPECT_TRUE(ran);
}

}  // namespace
}  // namespace gyre
