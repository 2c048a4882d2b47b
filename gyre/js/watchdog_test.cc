#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include <gyre/js/watchdog.h>
#include <gyre/loop/internal/test_support.h>

namespace gyre::js {
namespace {

using namespace std::chrono_literals;
using testing::eventually;

struct Counted {
  explicit Counted(Duration limit, Duration grace = 1ms)
      : watchdog(limit, grace, [this](int attempt) {
          last_attempt = attempt;
          ++calls;
        }) {}
  std::atomic<int> calls{0};
  std::atomic<int> last_attempt{-1};
  Watchdog watchdog;
};

TEST(Watchdog, CallsWhenTheOperationIsOverItsLimit) {
  Counted counted(2ms, 1h);
  counted.watchdog.arm();
  EXPECT_TRUE(eventually([&] { return counted.calls == 1; }));
  const auto outcome = counted.watchdog.disarm();
  EXPECT_TRUE(outcome.expired);
  EXPECT_GE(outcome.elapsed, 2ms);
  EXPECT_EQ(counted.last_attempt, 0);
}

TEST(Watchdog, CallsAgainUntilItIsDisarmed) {
  Counted counted(1ms);
  counted.watchdog.arm();
  EXPECT_TRUE(eventually([&] { return counted.last_attempt >= 3; }));
  EXPECT_TRUE(counted.watchdog.disarm().expired);
  const int calls = counted.calls;
  std::this_thread::sleep_for(5ms);
  EXPECT_EQ(counted.calls, calls);
}

TEST(Watchdog, AttemptsCountAnewForEachOperation) {
  Counted counted(1ms);
  for (int i = 0; i < 3; ++i) {
    counted.watchdog.arm();
    EXPECT_TRUE(eventually([&] { return counted.last_attempt >= 1; }));
    EXPECT_TRUE(counted.watchdog.disarm().expired);
    counted.last_attempt = -1;
    counted.watchdog.arm();
    EXPECT_TRUE(eventually([&] { return counted.last_attempt >= 0; }));
    EXPECT_TRUE(counted.watchdog.disarm().expired);
    counted.last_attempt = -1;
  }
}

TEST(Watchdog, IsSilentForOperationsWithinTheLimit) {
  Counted counted(1h);
  for (int i = 0; i < 100'000; ++i) {
    counted.watchdog.arm();
    ASSERT_FALSE(counted.watchdog.disarm().expired);
  }
  EXPECT_EQ(counted.calls, 0);
}

TEST(Watchdog, TimeSpentBeforeCounts) {
  Counted counted(1h, 1h);
  counted.watchdog.arm(1h);
  EXPECT_TRUE(eventually([&] { return counted.calls == 1; }));
  EXPECT_TRUE(counted.watchdog.disarm().expired);
}

TEST(Watchdog, WakesAfterALongPause) {
  Counted counted(1ms, 1h);
  std::this_thread::sleep_for(20ms);  // long enough for the thread to fall asleep for good
  counted.watchdog.arm();
  EXPECT_TRUE(eventually([&] { return counted.calls == 1; }));
  counted.watchdog.disarm();
}

// What the watchdog says and what disarm says must agree, however close the race.
TEST(Watchdog, NeverCallsAfterDisarmHasReturned) {
  std::atomic<int> current{0};
  std::atomic<int> called_for{0};
  Watchdog watchdog(200us, 1h, [&](int) { called_for = current.load(); });
  for (int i = 1; i <= 300; ++i) {
    current = i;
    watchdog.arm();
    const auto until = std::chrono::steady_clock::now() + 150us + i % 100 * 1us;
    while (std::chrono::steady_clock::now() < until) {
    }
    const bool expired = watchdog.disarm().expired;
    current = -1;
    ASSERT_EQ(expired, called_for == i);
  }
}

TEST(Watchdog, AVeryLongLimitDoesNotWrapAround) {
  Counted counted(Duration::max());
  counted.watchdog.arm();
  EXPECT_FALSE(counted.watchdog.disarm().expired);
  EXPECT_EQ(counted.calls, 0);
}

TEST(Watchdog, MayEndWhileArmed) {
  Counted counted(1h);
  counted.watchdog.arm();
}

}  // namespace
}  // namespace gyre::js
