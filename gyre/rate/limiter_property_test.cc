#include <random>

#include <gtest/gtest.h>

#include <gyre/rate/internal/record.h>
#include <gyre/rate/internal/test_support.h>
#include <gyre/rate/limiter.h>

// Random windows, random events, against a model that keeps everything and counts.

namespace gyre::rate {
namespace {

using namespace std::chrono_literals;
using testing::at;
using testing::count_within;
using testing::Model;
using testing::random_rates;
using testing::SetClock;

constexpr std::int64_t kHour = 3'600'000'000'000;

class Property : public ::testing::Test {
 protected:
  LimiterOptions options(Memory memory) { return {.clock = &clock, .memory = memory}; }
  std::int64_t below(std::int64_t bound) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(bound));
  }
  SetClock clock;
  std::mt19937_64 random{15};
};

TEST_F(Property, RATE_15_ExactDecisionsAreThoseOfTheDefinition) {
  for (int round = 0; round < 400; ++round) {
    const Rates rates = random_rates(random, 10, round % 2 == 0 ? kHour : 1000);
    Limiter<int> limiter(rates, options(Exact64{}));
    Model model(rates);
    std::int64_t now = 0;
    for (int i = 0; i < 200; ++i) {
      // Often at once, often just before or at the end of a wait.
      const Duration wait = limiter.time_until(1);
      switch (below(4)) {
        case 0:
          break;
        case 1:
          now += wait.count();
          break;
        case 2:
          now += std::max<std::int64_t>(wait.count() - 1, 0);
          break;
        default:
          now += below(std::max<std::int64_t>(2 * rates.retention().count() / 10, 1));
      }
      clock.set(Duration(now));
      const std::int64_t cost = below(5) == 0 ? 1 + below(rates.windows()[0].limit) : 1;
      const bool expected = model.may(now, cost);
      const std::int64_t possible = model.earliest(now, cost);
      const Decision told = limiter.peek(1, cost);
      const Decision decision = limiter.allow(1, cost);
      ASSERT_EQ(decision.accepted, expected) << rates.to_string() << " at " << now;
      ASSERT_EQ(testing::said(told), testing::said(decision));
      if (expected) {
        model.record(now, cost);
        const std::int64_t next = model.earliest(now);
        ASSERT_EQ(decision.next.has_value(), next > now);
        if (decision.next) {
          ASSERT_EQ(decision.next, at(Duration(next)));
        }
      } else {
        ASSERT_EQ(decision.next, at(Duration(possible)));
      }
      // One nanosecond before the end of a wait one nanosecond is left; at its end nothing.
      if (const Duration left = limiter.time_until(1); left > 0ns) {
        ASSERT_EQ(limiter.peek_at(clock.now() + left - 1ns, 1).wait, 1ns);
        ASSERT_TRUE(limiter.peek_at(clock.now() + left, 1).accepted);
      }
    }
  }
}

TEST_F(Property, RATE_15_LateEventsInsertedKeepTheWindows) {
  LimiterOptions with = options(Exact64{});
  with.late_events = LateEvents::insert;
  for (int round = 0; round < 300; ++round) {
    const Rates rates = random_rates(random, 5, 1000);
    Limiter<int> limiter(rates, with);
    std::vector<std::int64_t> accepted;
    std::int64_t now = 0;
    for (int i = 0; i < 200; ++i) {
      now += below(100);
      const std::int64_t time = below(3) == 0 ? now - below(500) : now;
      if (limiter.allow_at(at(Duration(time)), 1).accepted) accepted.push_back(time);
      for (const std::int64_t end : accepted) {
        for (const Window& window : rates.windows()) {
          ASSERT_LE(count_within(accepted, end, window.duration.count()), window.limit);
        }
      }
    }
  }
}

struct FilterCase {
  std::vector<Window> windows;
  std::vector<std::int64_t> events;
  Duration wait;
};

TEST_F(Property, RATE_15_WaitsOfTheWindowFilter) {
  // Windows that could not bind are among them, so they are judged below the check of rates.
  const std::vector<FilterCase> cases = {
      {{{2s, 2}}, {1'000'000'000, 2'000'000'000}, 0ns},
      {{{2s, 2}}, {1'000'000'001, 2'000'000'000}, 1ns},
      {{{2s, 1}}, {0, 1'000'000'000, 2'000'000'000}, 1s},
      {{{2s, 2}, {3s + 1ns, 3}}, {0, 1'000'000'000, 2'000'000'000}, 1ns},
      {{{1500ms, 1}, {3s + 1ns, 2}}, {0, 1'000'000'000, 2'000'000'000}, 1s + 1ns},
      {{{1s + 1ns, 1}, {3s, 1}}, {0, 1'000'000'000, 2'000'000'000}, 2s},
      {{{1s, 1}}, {0, 1'000'000'000}, 0ns},
      {{}, {0, 1'000'000'000, 2'000'000'000}, 0ns},
  };
  for (const FilterCase& each : cases) {
    internal::Plan plan(Rates(), {});
    plan.kept = internal::Kept::exact64;
    plan.depth = 8;
    for (const Window& window : each.windows) plan.windows.push_back({window.duration.count(), window.limit});
    internal::Record record;
    start_history(plan, record);
    for (const std::int64_t event : each.events) commit(plan, record, event, 1);
    const std::int64_t now = std::chrono::nanoseconds(3s).count();
    EXPECT_EQ(std::max(earliest(plan, record, 1), now) - now, each.wait.count());
    end_history(plan, record);
  }
}

struct TickCase {
  Rates rates;
  std::int64_t tick;
  int calls;
};

TEST_F(Property, RATE_24_Exact32IsNeverMorePermissiveAndLateByATick) {
  const TickCase cases[] = {
      {testing::rates({{1min, 3}, {1h, 20}, {24h * 30, 1000}}), 24 * 30 * kHour / (std::int64_t{1} << 30) + 1,
       1'000'000},
      {testing::rates({{5s, 4}}), 5, 300'000},  // few nanoseconds a tick: many events at the edges of ticks
  };
  for (const auto& [rates, tick, calls] : cases) {
    clock.set(0s);
    Limiter<int> limiter(rates, options(Exact32{}));
    Limiter<int> exact(rates, options(Exact64{}));
    std::int64_t now = 0;
    std::int64_t late = 0;
    std::int64_t refused = 0;
    for (int i = 0; i < calls; ++i) {
      // Close to the edges half of the time.
      if (below(2) == 0) {
        now += below(rates.windows()[0].duration.count() / 30);
      } else {
        now += std::max<std::int64_t>(exact.time_until(1).count() - 2 * tick + below(4 * tick), 0);
      }
      clock.set(Duration(now));
      const Decision told = exact.peek(1);
      const Decision decision = limiter.allow(1);
      ASSERT_FALSE(decision.accepted && !told.accepted) << now;
      refused += decision.accepted ? 0 : 1;
      if (decision.accepted) {
        ASSERT_TRUE(exact.allow(1).accepted);  // so that both have seen the same events
      } else if (told.accepted) {
        ++late;
        ASSERT_LE(decision.wait, Duration(tick));
      } else {
        ASSERT_GE(*decision.next, *told.next);
        ASSERT_LE(*decision.next - *told.next, Duration(tick));
      }
    }
    EXPECT_GT(late, 0);
    EXPECT_GT(refused, late);
  }
}

TEST_F(Property, RATE_24_Exact32KeepsUpOverManyRetentions) {
  // Ticks wrap round after four retentions.
  const Rates rates = testing::rates({{1s, 3}, {10s, 5}});
  Limiter<int> limiter(rates, options(Exact32{}));
  Limiter<int> exact(rates, options(Exact64{}));
  std::int64_t now = 0;
  for (int i = 0; i < 100'000; ++i) {
    now += below(3) == 0 ? below(50'000'000'000) : below(1'000'000'000);
    now = now / 1000 * 1000;  // far from the edges, where a tick makes the difference
    clock.set(Duration(now));
    const bool accepted = limiter.allow(1).accepted;
    ASSERT_EQ(accepted, exact.allow(1).accepted) << i;
  }
}

TEST_F(Property, RATE_25_BucketsNeverLetMorePassAndAreLateByOneBucket) {
  const Rates rates = testing::rates({{60s, 300}});
  Limiter<int> limiter(rates, options(Buckets{60}));
  Model model(rates);
  std::int64_t now = 0;
  for (int i = 0; i < 20'000; ++i) {
    now += below(250'000'000);
    clock.set(Duration(now));
    const Decision decision = limiter.allow(1);
    if (decision.accepted) {
      model.record(now);
      ASSERT_LE(count_within(model.events(), now, 60'000'000'000), 300);
    } else {
      ASSERT_LE(decision.next->time_since_epoch().count(), model.earliest(now) + 1'000'000'000);
      ASSERT_GT(decision.next->time_since_epoch().count(), now);
    }
  }
}

TEST_F(Property, RATE_25_BucketsOfRandomWindows) {
  for (int round = 0; round < 200; ++round) {
    const Rates rates = random_rates(random, 4, 100'000);
    Limiter<int> limiter(rates, options(Buckets{1 + below(20)}));
    Model model(rates);
    std::int64_t now = -50'000;
    for (int i = 0; i < 300; ++i) {
      now += below(4) == 0 ? limiter.time_until(1).count() : below(10'000);
      clock.set(Duration(now));
      const std::int64_t cost = 1 + below(rates.windows()[0].limit);
      const Decision decision = limiter.allow(1, cost);
      ASSERT_FALSE(decision.accepted && !model.may(now, cost));
      if (decision.accepted) model.record(now, cost);
      // What it promises it keeps.
      if (!decision.accepted) {
        ASSERT_TRUE(limiter.peek_at(*decision.next, 1, cost).accepted);
      }
      if (!decision.accepted) {
        ASSERT_FALSE(limiter.peek_at(*decision.next - 1ns, 1, cost).accepted);
      }
    }
  }
}

TEST_F(Property, RATE_26_GcraKeepsItsBound) {
  for (int round = 0; round < 200; ++round) {
    const Rates rates = random_rates(random, 4, 100'000);
    const std::int64_t burst = 1 + below(4);
    Limiter<int> limiter(rates, options(Gcra{.burst = burst}));
    std::vector<std::int64_t> accepted;
    std::int64_t now = 0;
    for (int i = 0; i < 300; ++i) {
      now += below(4) == 0 ? limiter.time_until(1).count() : below(1'000);
      clock.set(Duration(now));
      const Decision decision = limiter.allow(1);
      if (decision.accepted) accepted.push_back(now);
      if (!decision.accepted) {
        ASSERT_TRUE(limiter.peek_at(*decision.next, 1).accepted);
      }
      if (!decision.accepted) {
        ASSERT_FALSE(limiter.peek_at(*decision.next - 1ns, 1).accepted);
      }
    }
    for (const std::int64_t end : accepted) {
      for (const Window& window : rates.windows()) {
        const std::int64_t extra = std::min(burst, window.limit) - 1;
        ASSERT_LE(count_within(accepted, end, window.duration.count()), window.limit + extra);
      }
    }
  }
}

}  // namespace
}  // namespace gyre::rate
