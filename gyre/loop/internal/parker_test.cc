#include <atomic>
#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include <gyre/loop/internal/parker.h>

namespace gyre::internal {
namespace {

using namespace std::chrono_literals;

TEST(Parker, AWakeUpBeforeTheSleepEndsItAtOnce) {
  Parker parker;
  parker.unpark();
  parker.park(Duration::max());
  parker.park(Duration::max());  // until it is reset
}

TEST(Parker, SleepsAtLeastAsLongAsAsked) {
  Parker parker;
  for (const Duration timeout : {0ns, 1ns, 100'000ns, 2'000'000ns}) {
    const auto start = std::chrono::steady_clock::now();
    parker.park(timeout);
    EXPECT_GE(std::chrono::steady_clock::now() - start, timeout);
  }
}

TEST(Parker, AWakeUpThatWasForgottenDoesNotCount) {
  Parker parker;
  parker.unpark();
  parker.reset();
  const auto start = std::chrono::steady_clock::now();
  parker.park(1ms);
  EXPECT_GE(std::chrono::steady_clock::now() - start, 1ms);
}

TEST(Parker, PassesABallBetweenTwoThreads) {
  Parker ping;
  Parker pong;
  int ball = 0;  // not atomic: handed over by the wake-ups
  constexpr int kRounds = 5000;
  std::thread other([&] {
    for (int i = 0; i < kRounds; ++i) {
      ping.park(Duration::max());
      ping.reset();
      ++ball;
      pong.unpark();
    }
  });
  for (int i = 0; i < kRounds; ++i) {
    ++ball;
    ping.unpark();
    pong.park(Duration::max());
    pong.reset();
  }
  other.join();
  EXPECT_EQ(ball, 2 * kRounds);
}

}  // namespace
}  // namespace gyre::internal
