#include <algorithm>
#include <cstdlib>
#include <latch>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include <gyre/rate/internal/limiter_core.h>
#include <gyre/rate/internal/test_support.h>
#include <gyre/rate/limiter.h>

// GYRE_LONG_TESTS=1 runs those with many threads for as long as a release should be tested.

namespace gyre::rate {
namespace {

using namespace std::chrono_literals;
using testing::rates;
using testing::SetClock;

bool long_tests() {
  return std::getenv("GYRE_LONG_TESTS") != nullptr;  // NOLINT(concurrency-mt-unsafe)
}

class Threads : public ::testing::Test {
 protected:
  LimiterOptions options() { return {.clock = &clock}; }
  /// Runs `work(i)` in `count` threads that begin together.
  template <typename Work>
  static void together(int count, Work work) {
    std::latch start(count);
    std::vector<std::jthread> threads;
    for (int i = 0; i < count; ++i) {
      threads.emplace_back([&, i] {
        start.arrive_and_wait();
        work(i);
      });
    }
  }
  SetClock clock;
};

TEST_F(Threads, RATE_17_NoWindowOfOneHotKeyHoldsMore) {
  Limiter<std::string> limiter(rates({{100ms, 1000}}), options());
  std::atomic<bool> done = false;
  std::mutex mutex;
  std::vector<std::int64_t> accepted;
  std::jthread driver([&] {
    for (int step = 0; step < 500; ++step) {
      // Time stands still until all that may pass has passed.
      while (limiter.peek("hot").accepted) std::this_thread::yield();
      clock.advance(10ms);
    }
    done = true;
  });
  together(64, [&](int) {
    std::vector<std::int64_t> mine;
    while (!done) {
      const TimePoint now = clock.now();
      if (limiter.allow_at(now, "hot").accepted) {
        mine.push_back(now.time_since_epoch().count());
      } else {
        std::this_thread::yield();
      }
    }
    const std::lock_guard lock(mutex);
    accepted.insert(accepted.end(), mine.begin(), mine.end());
  });
  std::ranges::sort(accepted);
  for (std::size_t i = 1000; i < accepted.size(); ++i) {
    ASSERT_GE(accepted[i] - accepted[i - 1000], 100'000'000);  // the window is open at its old end
  }
  EXPECT_GE(accepted.size(), 49'000u);
  EXPECT_EQ(limiter.statistics().accepted, accepted.size());
}

TEST_F(Threads, RATE_18_FirstTouchOfANewKeyByMany) {
  for (int round = 0; round < (long_tests() ? 500 : 50); ++round) {
    for (const std::int64_t limit : {1, 20}) {
      Limiter<std::string> limiter(rates({{1s, limit}}), options());
      std::atomic<int> accepted = 0;
      together(64, [&](int) { accepted += limiter.allow("new").accepted ? 1 : 0; });
      ASSERT_EQ(accepted, limit);
      ASSERT_EQ(limiter.size(), 1u);
    }
  }
}

TEST_F(Threads, REQ_RATE_12_RecordedDecisionsKeepEveryWindow) {
  const Rates both = rates({{1ms, 3}, {20ms, 11}});
  for (const Memory memory : {Memory(Exact64{}), Memory(Exact32{}), Memory(Buckets{7})}) {
    LimiterOptions with = options();
    with.memory = memory;
    Limiter<std::int64_t> limiter(both, with);
    constexpr int kKeys = 6;
    std::mutex mutex;
    std::vector<std::int64_t> accepted[kKeys];
    together(4, [&](int thread) {
      std::mt19937_64 random(static_cast<std::uint64_t>(thread));
      std::vector<std::pair<int, std::int64_t>> mine;
      for (int i = 0; i < 30'000; ++i) {
        if (thread == 0) clock.advance(Duration(random() % 20'000));
        const int key = static_cast<int>(random() % kKeys);
        const TimePoint now = clock.now();
        // A thread may be interrupted here; then its event counts at a later time, which the ticket tells.
        const Decision decision = limiter.allow_at(now, key);
        if (decision.accepted) mine.emplace_back(key, internal::LimiterCore::time_of(decision.ticket));
        // Others come and go meanwhile, and tables grow.
        if (random() % 8 == 0) static_cast<void>(limiter.allow_at(now, static_cast<std::int64_t>(random() | 64)));
        if (random() % 256 == 0) limiter.sweep(32);
      }
      const std::lock_guard lock(mutex);
      for (const auto& [key, time] : mine) accepted[key].push_back(time);
    });
    for (auto& times : accepted) {
      std::ranges::sort(times);
      EXPECT_GT(times.size(), 20u);
      for (const Window& window : both.windows()) {
        const auto limit = static_cast<std::size_t>(window.limit);
        for (std::size_t i = limit; i < times.size(); ++i) {
          ASSERT_GE(times[i] - times[i - limit], window.duration.count());
        }
      }
    }
  }
}

TEST_F(Threads, RATE_22_FloodFromManyThreadsStaysBelowTheCap) {
  const std::int64_t keys = long_tests() ? 10'000'000 : 400'000;
  const std::size_t cap = long_tests() ? 100'000 : 10'000;
  LimiterOptions with = options();
  with.max_categories = cap;
  Limiter<std::int64_t> limiter(rates({{1s, 5}}), with);
  std::atomic<std::int64_t> accepted = 0;
  together(4, [&](int thread) {
    for (std::int64_t key = thread; key < keys; key += 4) {
      accepted += limiter.allow(key).accepted ? 1 : 0;
      if (key % 4096 < 4) {
        EXPECT_LE(limiter.size(), cap);
      }
    }
  });
  EXPECT_EQ(accepted, keys);
  EXPECT_LE(limiter.size(), cap);
  const Statistics statistics = limiter.statistics();
  // Every attempt adds a category; one that was evicted between being added and being judged is added once more.
  EXPECT_GE(statistics.evicted, static_cast<std::uint64_t>(keys) - cap);
  EXPECT_LE(statistics.evicted, static_cast<std::uint64_t>(keys) - cap + 1'000);
  EXPECT_LE(statistics.bytes, cap * 400 + 8'000'000);
}

TEST_F(Threads, RATE_32_ARefusalTakesNoLock) {  // REQ_RATE_8
  struct Probe : Limiter<std::int64_t> {
    using Limiter::core;
    using Limiter::Limiter;
    using Limiter::seed;
  };
  for (const std::int64_t limit : {1, 2}) {
    Probe limiter(rates({{1s, limit}}), options());
    for (std::int64_t i = 0; i < limit; ++i) EXPECT_TRUE(limiter.allow(7).accepted);
    auto name = limiter.category(7).value();
    const std::int64_t key = 7;
    const internal::LimiterCore::KeyView view{KeyTraits<std::int64_t>::hash(key, limiter.seed()), &key};
    internal::Record* record = limiter.core()->find_for_test(view);
    ASSERT_NE(record, nullptr);
    // With every lock taken that there is, refusals in another thread still come.
    std::unique_lock shard(limiter.core()->shard_mutex_of(view));
    std::unique_lock category(record->lock);
    std::jthread other([&] {
      for (int i = 0; i < 100; ++i) {
        EXPECT_FALSE(limiter.allow(7).accepted);
        EXPECT_FALSE(name.allow().accepted);
      }
    });
    other.join();
  }
}

TEST_F(Threads, RATE_33_EverythingAtOnce) {
  LimiterOptions with = options();
  with.max_categories = 300;
  const Rates choices[] = {rates({{1us, 1}}), rates({{1us, 4}, {10us, 9}}), rates({{3us, 20}}), Rates()};
  for (const Memory memory : {Memory(Exact64{}), Memory(Exact32{}), Memory(Gcra{.burst = 3}), Memory(Buckets{5})}) {
    with.memory = memory;
    Limiter<std::string> limiter(choices[1], with);
    const auto end = std::chrono::steady_clock::now() + (long_tests() ? 15s : 300ms);
    std::atomic<int> rounds = 0;
    together(32, [&](int thread) {
      std::mt19937_64 random(static_cast<std::uint64_t>(thread));
      Ticket ticket;
      Limiter<std::string>::Category name;
      do {
        for (int i = 0; i < 200; ++i) {
          const std::string key = std::to_string(random() % 500);
          clock.advance(Duration(random() % 50));
          switch (random() % 64) {
            case 0:
              limiter.clear(key);
              break;
            case 1:
              limiter.sweep(100);
              break;
            case 2:
              if (random() % 8 == 0) {
                EXPECT_TRUE(limiter.set_rates(choices[random() % 4]).has_value());
              }
              break;
            case 3:
              limiter.undo(ticket);
              break;
            case 4:
              if (random() % 32 == 0) limiter.clear_all();
              break;
            case 5:
              if (auto found = limiter.category(key)) name = std::move(*found);
              break;
            case 6:
              static_cast<void>(limiter.statistics().bytes + limiter.size());
              static_cast<void>(limiter.rates());
              break;
            case 7:
            case 8:
              static_cast<void>(limiter.peek(key, 1 + static_cast<std::int64_t>(random() % 3)));
              break;
            case 9:
            case 10:
              static_cast<void>(name.allow());
              break;
            case 11:
              static_cast<void>(limiter.allow(key, 1 + static_cast<std::int64_t>(random() % 3)));
              break;
            default:
              ticket = limiter.allow(key).ticket;
          }
        }
        ++rounds;
      } while (std::chrono::steady_clock::now() < end);
    });
    EXPECT_GE(rounds, 32);
    EXPECT_LE(limiter.size(), 300u);
    limiter.clear_all();
    EXPECT_EQ(limiter.size(), 0u);
  }
}

TEST_F(Threads, RATE_46_ALineOfTheSourceUnderParallelLoad) {
  Limiter<CallSite> limiter(rates({{5min, 150}}), options());
  std::atomic<int> lines = 0;
  std::atomic<int> marked = 0;
  together(8, [&](int) {
    for (int i = 0; i < 2'000; ++i) {
      const Decision decision = limiter.allow(CallSite());
      lines += decision.accepted ? 1 : 0;
      marked += decision.accepted && decision.next ? 1 : 0;  // "more of this line is suppressed until ..."
    }
  });
  EXPECT_EQ(lines, 150);
  EXPECT_EQ(marked, 1);
}

}  // namespace
}  // namespace gyre::rate
