#include <string>
#include <variant>

#include <gtest/gtest.h>

#include <gyre/base/cache_line.h>
#include <gyre/rate/internal/record.h>
#include <gyre/rate/internal/test_support.h>
#include <gyre/rate/limiter.h>

/// All of one hash.
struct Clashing {
  int value = 0;
  bool operator==(const Clashing&) const = default;
};
template <>
struct std::hash<Clashing> {
  std::size_t operator()(const Clashing&) const noexcept { return 7; }
};

/// Can be made so that it cannot be copied.
struct Fragile {
  Fragile(int number, bool is_broken) : value(number), broken(is_broken) {}
  Fragile(const Fragile& other) : value(other.value) {
    if (other.broken) throw std::runtime_error("broken");
  }
  int value;
  bool broken = false;
  bool operator==(const Fragile& other) const { return value == other.value; }
};
template <>
struct std::hash<Fragile> {
  std::size_t operator()(const Fragile& key) const noexcept { return static_cast<std::size_t>(key.value); }
};

namespace gyre::rate {
namespace {

using namespace std::chrono_literals;
using testing::at;
using testing::rates;
using testing::said;
using testing::SetClock;

class LimiterTest : public ::testing::Test {
 protected:
  LimiterOptions options(Memory memory = Exact64{}) { return {.clock = &clock, .memory = memory}; }
  /// What the limiter says at that time, as "yes/NEXT" in nanoseconds.
  std::string ask(Limiter<std::string>& limiter, Duration time, std::int64_t cost = 1) {
    clock.set(time);
    return said(limiter.allow("key", cost));
  }
  static std::string yes(Duration next) { return "yes/" + std::to_string(next.count()); }
  static std::string no(Duration next) { return "no/" + std::to_string(next.count()); }

  SetClock clock;
};

TEST_F(LimiterTest, RATE_3_WithoutRatesAdmitsEverything) {
  Limiter<std::string> none;
  Limiter<std::string> without_rates(Rates{});
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_EQ(said(none.allow("key")), "yes");
    EXPECT_EQ(said(without_rates.allow("key")), "yes");
  }
  EXPECT_EQ(none.size() + without_rates.size(), 0u);
  EXPECT_EQ(none.time_until("key"), 0s);
  EXPECT_TRUE(none.peek("key", 1'000'000).accepted);
  EXPECT_TRUE(none.category("key")->allow().accepted);
  EXPECT_FALSE(none.undo({}));
  EXPECT_FALSE(none.clear("key"));
  EXPECT_EQ(none.sweep(), 0u);
  EXPECT_FALSE(none.set_rates(rates({{1s, 1}})).has_value());
}

TEST_F(LimiterTest, RATE_4_ThreePerSecond) {
  for (const Memory memory : {Memory(Exact64{}), Memory(Exact32{})}) {
    Limiter<std::string> limiter(rates({{1s, 3}}), options(memory));
    EXPECT_EQ(ask(limiter, 0ms), "yes");
    EXPECT_EQ(ask(limiter, 100ms), "yes");
    EXPECT_EQ(ask(limiter, 200ms), yes(1000ms));
    EXPECT_EQ(ask(limiter, 300ms), no(1000ms));
    EXPECT_EQ(ask(limiter, 999ms), no(1000ms));
    EXPECT_EQ(ask(limiter, 1000ms), yes(1100ms));
    EXPECT_EQ(ask(limiter, 1050ms), no(1100ms));
    EXPECT_EQ(ask(limiter, 1100ms), yes(1200ms));
    EXPECT_EQ(ask(limiter, 1200ms), yes(2000ms));
    EXPECT_EQ(ask(limiter, 2300ms), "yes");
  }
}

TEST_F(LimiterTest, RATE_5_FivePerSecondAndEightPerTenSeconds) {
  for (const Memory memory : {Memory(Exact64{}), Memory(Exact32{})}) {
    Limiter<std::string> limiter(rates({{1s, 5}, {10s, 8}}), options(memory));
    for (int i = 0; i < 4; ++i) EXPECT_EQ(ask(limiter, 0ms), "yes");
    EXPECT_EQ(ask(limiter, 0ms), yes(1000ms));
    EXPECT_EQ(ask(limiter, 500ms), no(1000ms));
    EXPECT_EQ(ask(limiter, 1000ms), "yes");
    EXPECT_EQ(ask(limiter, 1000ms), "yes");
    EXPECT_EQ(ask(limiter, 1000ms), yes(10'000ms));
    EXPECT_EQ(ask(limiter, 1001ms), no(10'000ms));
    EXPECT_EQ(ask(limiter, 9999ms), no(10'000ms));
    EXPECT_EQ(ask(limiter, 10'000ms), "yes");
    EXPECT_EQ(ask(limiter, 10'000ms), "yes");
  }
}

TEST_F(LimiterTest, RATE_6_TwoPerSecondAndTenPerMinute) {
  Limiter<std::string> limiter(rates({{1s, 2}, {60s, 10}}), options());
  for (int i = 0; i <= 8; ++i) EXPECT_EQ(ask(limiter, i * 6s), "yes");
  EXPECT_EQ(ask(limiter, 54s), yes(60s));
  EXPECT_EQ(ask(limiter, 60s), yes(66s));
  EXPECT_EQ(ask(limiter, 66s - 1ns), no(66s));
  EXPECT_EQ(ask(limiter, 66s), yes(72s));
}

TEST_F(LimiterTest, RATE_7_AtNextYesOneTickBeforeNo) {
  Limiter<std::string> limiter(rates({{1s, 1}}), options());
  EXPECT_EQ(ask(limiter, 0ms), yes(1000ms));
  EXPECT_EQ(ask(limiter, 1000ms - 1ns), no(1000ms));
  EXPECT_EQ(ask(limiter, 1000ms), yes(2000ms));
  EXPECT_EQ(ask(limiter, 1000ms), no(2000ms));
  EXPECT_EQ(ask(limiter, 2000ms), yes(3000ms));
}

TEST_F(LimiterTest, RATE_7_OneCallPerMillisecond) {
  for (const Memory memory : {Memory(Exact64{}), Memory(Exact32{})}) {
    Limiter<std::string> limiter(rates({{300ms, 10}}), options(memory));
    for (int i = 0; i <= 8; ++i) EXPECT_EQ(ask(limiter, i * 1ms), "yes");
    EXPECT_EQ(ask(limiter, 9ms), yes(300ms));
    EXPECT_EQ(ask(limiter, 10ms), no(300ms));
    EXPECT_EQ(ask(limiter, 11ms), no(300ms));
    EXPECT_EQ(ask(limiter, 300ms), yes(301ms));
    EXPECT_EQ(ask(limiter, 301ms), yes(302ms));
  }
}

TEST_F(LimiterTest, RATE_8_RefusalsCostNothing) {
  Limiter<std::string> limiter(rates({{1s, 3}}), options());
  for (int i = 0; i < 3; ++i) static_cast<void>(limiter.allow("key"));
  clock.set(500ms);
  int changed = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const Decision decision = limiter.allow("key");
    changed += decision.accepted || decision.next != at(1s) || decision.wait != 500ms ? 1 : 0;
  }
  EXPECT_EQ(changed, 0);
  EXPECT_EQ(ask(limiter, 1s), "yes");
  EXPECT_EQ(ask(limiter, 1s), "yes");
  EXPECT_EQ(ask(limiter, 1s), yes(2s));
  EXPECT_EQ(limiter.statistics().accepted, 6u);
  EXPECT_EQ(limiter.statistics().rejected, 1'000'000u);
}

TEST_F(LimiterTest, RATE_9_CategoriesAreLimitedByThemselves) {
  Limiter<std::string> limiter(rates({{1s, 10}}), options());
  int accepted[2] = {0, 0};
  for (int i = 0; i < 20 * 10; ++i) {  // ten seconds, each category twenty times a second
    clock.set(i * 50ms);
    accepted[0] += limiter.allow("left").accepted ? 1 : 0;
    accepted[1] += limiter.allow("right").accepted ? 1 : 0;
  }
  EXPECT_EQ(accepted[0], 100);
  EXPECT_EQ(accepted[1], 100);
  EXPECT_EQ(limiter.size(), 2u);
}

TEST_F(LimiterTest, RATE_10_KeysAreEqualByValue) {
  using Mixed = std::variant<std::int64_t, std::string>;
  Limiter<Mixed> limiter(rates({{1s, 1}}), options());
  const Mixed ab = std::string("a") + "b";
  const Mixed same = std::string("ab");
  EXPECT_TRUE(limiter.allow(ab).accepted);
  EXPECT_FALSE(limiter.allow(same).accepted);
  EXPECT_TRUE(limiter.allow(std::int64_t{1}).accepted);
  EXPECT_TRUE(limiter.allow(std::string("1")).accepted);
  EXPECT_EQ(limiter.size(), 3u);
}

TEST_F(LimiterTest, RATE_10_KeysOfOneHashAreToldApart) {
  Limiter<Clashing> limiter(rates({{1s, 1}}), options());
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(limiter.allow(Clashing{i}).accepted);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(limiter.allow(Clashing{i}).accepted);
  for (int i = 0; i < 100; i += 2) EXPECT_TRUE(limiter.clear(Clashing{i}));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(limiter.allow(Clashing{i}).accepted, i % 2 == 0);
}

TEST_F(LimiterTest, RATE_10_ManyKeysAreToldApart) {
  Limiter<std::string> limiter(rates({{1s, 1}}), options());
  for (int i = 0; i < 10'000; ++i) EXPECT_TRUE(limiter.allow(std::to_string(i)).accepted);
  for (int i = 0; i < 10'000; ++i) EXPECT_FALSE(limiter.allow(std::to_string(i)).accepted);
  EXPECT_EQ(limiter.size(), 10'000u);
}

TEST_F(LimiterTest, AKeyThatCannotBeCopiedLeavesNothingBehind) {
  Limiter<Fragile> limiter(rates({{1s, 1}}), options());
  const Fragile broken{1, true};
  for (int i = 0; i < 1'000; ++i) EXPECT_THROW(static_cast<void>(limiter.allow(broken)), std::runtime_error);
  EXPECT_EQ(limiter.size(), 0u);
  const std::size_t bytes = limiter.statistics().bytes;
  EXPECT_TRUE(limiter.allow(Fragile{1, false}).accepted);
  EXPECT_EQ(limiter.statistics().bytes, bytes);
}

TEST_F(LimiterTest, RATE_11_LateEventsAreInserted) {
  LimiterOptions with = options();
  with.late_events = LateEvents::insert;
  Limiter<std::string> limiter(rates({{1s, 2}}), with);
  EXPECT_EQ(ask(limiter, 1000ms), "yes");
  EXPECT_EQ(ask(limiter, 900ms), yes(1900ms));
  EXPECT_EQ(ask(limiter, 950ms), no(1900ms));
  EXPECT_EQ(ask(limiter, 1500ms), no(1900ms));
  EXPECT_EQ(ask(limiter, 1899ms), no(1900ms));
  EXPECT_EQ(ask(limiter, 1900ms), yes(2000ms));
  EXPECT_EQ(ask(limiter, 1901ms), no(2000ms));
}

TEST_F(LimiterTest, RATE_11_LateEventsCountAsTheLastOne) {  // REQ_RATE_3
  Limiter<std::string> limiter(rates({{1s, 2}}), options());
  EXPECT_EQ(ask(limiter, 1000ms), "yes");
  EXPECT_EQ(ask(limiter, 900ms), yes(2000ms));
  for (const Duration time : {950ms, 1500ms, 1899ms, 1900ms, 1901ms}) EXPECT_EQ(ask(limiter, time), no(2000ms));
}

TEST_F(LimiterTest, RATE_12_AClockSetBackBlocksNoLongerThanItWentBack) {
  // The steady clock, the default, is not set back at all. With another one nothing is lost but what it jumped.
  for (const LateEvents late : {LateEvents::clamp, LateEvents::insert}) {
    LimiterOptions with = options();
    with.late_events = late;
    Limiter<std::string> limiter(rates({{1s, 1}, {60s, 2}}), with);
    EXPECT_EQ(ask(limiter, 1h), yes(1h + 1s));
    EXPECT_EQ(ask(limiter, 0s), no(1h + 1s));
    EXPECT_EQ(ask(limiter, 1h + 1s), yes(1h + 60s));
  }
  Limiter<std::string> steady(rates({{1h, 1}}));
  const Decision decision = steady.allow("key");
  EXPECT_TRUE(decision.accepted);
  EXPECT_LE(decision.wait, 1h);
  EXPECT_GT(decision.wait, 59min);
}

TEST_F(LimiterTest, RATE_16_BurstThenOnePerGap) {
  Limiter<std::string> limiter(rates({{300ms, 10}}), options());
  int accepted = 0;
  for (int i = 0; i < 20; ++i) accepted += ask(limiter, i * 1ms).starts_with("yes") ? 1 : 0;
  EXPECT_EQ(accepted, 10);
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(ask(limiter, 300ms + i * 1ms - 1ns).starts_with("no"));
    EXPECT_TRUE(ask(limiter, 300ms + i * 1ms).starts_with("yes"));
  }
}

TEST_F(LimiterTest, RATE_19_AnIdleCategoryGoes) {
  Limiter<std::string> limiter(rates({{1s, 3}}), options());
  for (int i = 0; i < 3; ++i) static_cast<void>(limiter.allow("key"));
  clock.set(1s - 1ns);
  EXPECT_EQ(limiter.sweep(), 0u);
  EXPECT_EQ(limiter.size(), 1u);
  clock.set(1s);
  EXPECT_EQ(limiter.sweep(), 1u);
  EXPECT_EQ(limiter.size(), 0u);
  EXPECT_EQ(limiter.statistics().expired, 1u);
  EXPECT_EQ(said(limiter.allow("key")), "yes");
  EXPECT_EQ(limiter.size(), 1u);
}

TEST_F(LimiterTest, RATE_19_AcceptancesSweepAlong) {
  Limiter<std::int64_t> limiter(rates({{1s, 100'000}}), options());
  for (std::int64_t i = 0; i < 10'000; ++i) static_cast<void>(limiter.allow(i));
  EXPECT_EQ(limiter.size(), 10'000u);
  clock.set(2s);
  // Two places an acceptance; the table has at most 6.4 places a category, and each shard is swept in turn.
  for (int i = 0; i < 100'000; ++i) static_cast<void>(limiter.allow(-1));
  EXPECT_EQ(limiter.size(), 1u);

  LimiterOptions without = options();
  without.sweep_per_accept = 0;
  Limiter<std::int64_t> unswept(rates({{1s, 100'000}}), without);
  for (std::int64_t i = 0; i < 1'000; ++i) static_cast<void>(unswept.allow(i));
  clock.advance(2s);
  for (int i = 0; i < 50'000; ++i) static_cast<void>(unswept.allow(-1));
  EXPECT_EQ(unswept.size(), 1'001u);
}

TEST_F(LimiterTest, RATE_19_ASweepHasABudgetAndGoesOn) {
  Limiter<std::int64_t> limiter(rates({{1s, 1}}), options());
  for (std::int64_t i = 0; i < 1'000; ++i) static_cast<void>(limiter.allow(i));
  clock.set(1s);
  std::size_t removed = 0;
  int rounds = 0;
  for (; removed < 1'000 && rounds < 10'000; ++rounds) {
    const std::size_t now = limiter.sweep(10);
    EXPECT_LE(now, 10u);
    removed += now;
  }
  EXPECT_EQ(removed, 1'000u);
  EXPECT_GT(rounds, 99);
  EXPECT_EQ(limiter.size(), 0u);
}

TEST_F(LimiterTest, RATE_19_WhoComesLateAfterASweepCountsFromTheSweep) {
  for (const std::int64_t limit : {1, 2}) {
    clock.set(0s);
    Limiter<std::string> limiter(rates({{1s, limit}}), options());
    for (std::int64_t i = 0; i < limit; ++i) EXPECT_TRUE(limiter.allow("key").accepted);
    clock.set(5s);
    EXPECT_EQ(limiter.sweep(), 1u);
    // A thread that read the clock before all that, and was interrupted.
    Decision last;
    for (std::int64_t i = 0; i < limit; ++i) last = limiter.allow_at(at(500ms), "key");
    EXPECT_TRUE(last.accepted);
    EXPECT_EQ(last.next, at(6s));
  }
}

TEST_F(LimiterTest, RATE_20_ALimitedCategoryStays) {
  for (const Memory memory : {Memory(Exact64{}), Memory(Exact32{}), Memory(Gcra{.burst = 2}), Memory(Buckets{4})}) {
    Limiter<std::string> limiter(rates({{1s, 2}, {60s, 3}}), options(memory));
    clock.set(0s);
    for (int i = 0; i < 2; ++i) static_cast<void>(limiter.allow("key"));
    const Decision refused = limiter.allow("key");
    ASSERT_FALSE(refused.accepted);
    clock.set(refused.next->time_since_epoch() - 1ns);
    EXPECT_EQ(limiter.sweep(), 0u);
    EXPECT_FALSE(limiter.allow("key").accepted);
  }
}

TEST_F(LimiterTest, RATE_22_FloodWithACap) {
  LimiterOptions with = options();
  with.max_categories = 1'000;
  Limiter<std::int64_t> limiter(rates({{1s, 2}}), with);
  std::size_t most_bytes = 0;
  for (std::int64_t i = 0; i < 100'000; ++i) {
    EXPECT_TRUE(limiter.allow(i).accepted);
    ASSERT_LE(limiter.size(), 1'000u);
    if (i % 1'000 == 0) most_bytes = std::max(most_bytes, limiter.statistics().bytes);
  }
  EXPECT_EQ(limiter.statistics().evicted, 99'000u);
  EXPECT_LE(most_bytes, 1'000u * 400 + 200'000u);
}

TEST_F(LimiterTest, RATE_22_TheLongestIdleMakesRoom) {
  LimiterOptions with = options();
  with.max_categories = 3;
  Limiter<std::string> limiter(rates({{1min, 2}}), with);
  for (const char* key : {"first", "second", "third"}) {
    clock.advance(1s);
    static_cast<void>(limiter.allow(key));
  }
  clock.advance(1s);
  static_cast<void>(limiter.allow("fourth"));
  // "first" has come back: it has a fresh allowance, and took the place of "second".
  EXPECT_EQ(said(limiter.allow("first")), "yes");
  EXPECT_EQ(limiter.size(), 3u);
  EXPECT_FALSE(limiter.clear("second"));
  EXPECT_TRUE(limiter.clear("third"));
}

TEST_F(LimiterTest, REQ_RATE_9_WhoIsLimitedIsNeverEvicted) {
  LimiterOptions with = options();
  with.max_categories = 50;
  for (const std::int64_t limit : {1, 2}) {
    clock.set(0s);
    Limiter<std::int64_t> limiter(rates({{1s, limit}}), with);
    for (std::int64_t key = 0; key < 50; ++key) {
      for (std::int64_t i = 0; i < limit; ++i) EXPECT_TRUE(limiter.allow(key).accepted);
    }
    const Decision decision = limiter.allow(1'000);
    EXPECT_FALSE(decision.accepted);
    EXPECT_EQ(decision.refusal, Refusal::capacity);
    EXPECT_FALSE(decision.next.has_value());
    for (std::int64_t key = 0; key < 50; ++key) EXPECT_EQ(limiter.allow(key).refusal, Refusal::rate);
    EXPECT_EQ(limiter.statistics().refused_new, 1u);
    clock.set(1s);
    EXPECT_TRUE(limiter.allow(1'000).accepted);
  }
}

TEST_F(LimiterTest, RATE_23_RefuseNewCategories) {
  LimiterOptions with = options();
  with.max_categories = 10;
  with.when_full = WhenFull::refuse;
  Limiter<std::int64_t> limiter(rates({{1s, 5}}), with);
  for (std::int64_t key = 0; key < 10; ++key) static_cast<void>(limiter.allow(key));
  for (std::int64_t key = 10; key < 1'000; ++key) EXPECT_EQ(limiter.allow(key).refusal, Refusal::capacity);
  EXPECT_EQ(limiter.peek(2'000).refusal, Refusal::capacity);
  for (std::int64_t key = 0; key < 10; ++key) EXPECT_TRUE(limiter.allow(key).accepted);
  EXPECT_EQ(limiter.size(), 10u);
  EXPECT_EQ(limiter.statistics().refused_new, 990u);
  EXPECT_EQ(limiter.statistics().evicted, 0u);
  EXPECT_EQ(limiter.category(99).error().code(), make_error_code(Errc::limit_exceeded));
  clock.set(2s);  // the old ones have expired: there is room
  EXPECT_TRUE(limiter.allow(1'000).accepted);
}

TEST_F(LimiterTest, RATE_23_FoldNewCategories) {
  LimiterOptions with = options();
  with.max_categories = 2;
  with.when_full = WhenFull::fold;
  Limiter<std::string> limiter(rates({{1s, 2}}), with);
  static_cast<void>(limiter.allow("a"));
  static_cast<void>(limiter.allow("b"));
  const Decision first = limiter.allow("c");
  EXPECT_TRUE(first.accepted);
  EXPECT_TRUE(first.folded);
  EXPECT_TRUE(limiter.peek("d").folded);
  EXPECT_TRUE(limiter.allow("d").accepted);
  EXPECT_FALSE(limiter.allow("e").accepted);
  EXPECT_FALSE(limiter.peek("e").accepted);
  EXPECT_FALSE(limiter.allow("a").folded);
  EXPECT_EQ(limiter.statistics().folded, 3u);
  EXPECT_EQ(limiter.size(), 2u);
}

TEST_F(LimiterTest, RATE_26_Gcra) {
  Limiter<std::string> limiter(rates({{1s, 10}}), options(Gcra{.burst = 5}));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(ask(limiter, 0s), "yes");
  EXPECT_EQ(ask(limiter, 0s), yes(100ms));
  EXPECT_EQ(ask(limiter, 0s), no(100ms));
  EXPECT_EQ(ask(limiter, 100ms), yes(200ms));
  EXPECT_EQ(ask(limiter, 10s), "yes");
}

TEST_F(LimiterTest, RATE_26_TokenBuckets) {
  LimiterOptions with = options();
  auto limiter = Limiter<std::string>::token_buckets({.tokens = 2, .per = 1s, .burst = 4}, with).value();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask(limiter, 0s), "yes");
  EXPECT_EQ(ask(limiter, 0s), yes(500ms));
  EXPECT_EQ(ask(limiter, 499ms), no(500ms));
  EXPECT_EQ(ask(limiter, 1500ms), "yes");           // three tokens, one taken
  EXPECT_EQ(ask(limiter, 1500ms, 2), yes(2000ms));  // two at once
  EXPECT_EQ(ask(limiter, 1500ms, 3), no(3000ms));
  EXPECT_EQ(limiter.allow("key", 5).refusal, Refusal::never);
  EXPECT_FALSE(Limiter<std::string>::token_buckets({.tokens = 0, .per = 1s, .burst = 1}).has_value());
  EXPECT_FALSE(Limiter<std::string>::token_buckets({.tokens = 1, .per = 1s, .burst = 0}).has_value());
  EXPECT_FALSE(Limiter<std::string>::token_buckets({.tokens = 1, .per = 0s, .burst = 1}).has_value());
}

TEST_F(LimiterTest, RATE_27_Cost) {  // REQ_RATE_11
  for (const Memory memory : {Memory(Exact64{}), Memory(Exact32{})}) {
    Limiter<std::string> limiter(rates({{1s, 5}}), options(memory));
    EXPECT_EQ(ask(limiter, 10ms, 3), "yes");
    EXPECT_EQ(ask(limiter, 20ms, 3), no(1010ms));
    EXPECT_EQ(ask(limiter, 20ms, 2), yes(1010ms));
    const Decision never = limiter.allow("key", 6);
    EXPECT_EQ(never.refusal, Refusal::never);
    EXPECT_FALSE(never.accepted || never.next.has_value());
    EXPECT_EQ(limiter.peek("key", 6).refusal, Refusal::never);
    EXPECT_EQ(ask(limiter, 1010ms, 3), yes(1020ms));
  }
  Limiter<std::string> limiter(rates({{1s, 5}}), options());
  EXPECT_THROW(static_cast<void>(limiter.allow("key", 0)), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(limiter.allow("key", -1)), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(limiter.peek("key", 0)), std::invalid_argument);
}

TEST_F(LimiterTest, RATE_28_PeekChangesNothing) {
  for (const Memory memory : {Memory(Exact64{}), Memory(Exact32{}), Memory(Gcra{.burst = 3}), Memory(Buckets{10})}) {
    Limiter<std::string> limiter(rates({{1s, 3}}), options(memory));
    clock.set(0s);
    for (int i = 0; i < 1'000; ++i) EXPECT_TRUE(limiter.peek("key").accepted);
    EXPECT_EQ(limiter.size(), 0u);
    for (int i = 0; i < 3; ++i) {
      for (int k = 0; k < 1'000; ++k) EXPECT_TRUE(limiter.peek("key").accepted);
      const std::string told = said(limiter.peek("key"));
      EXPECT_EQ(said(limiter.allow("key")), told);
    }
    EXPECT_FALSE(limiter.peek("key").accepted);
    EXPECT_EQ(said(limiter.peek("key")), said(limiter.allow("key")));
    EXPECT_GT(limiter.time_until("key"), 0s);
    EXPECT_EQ(limiter.time_until("other"), 0s);
  }
}

TEST_F(LimiterTest, RATE_29_Undo) {
  for (const Memory memory : {Memory(Exact64{}), Memory(Exact32{}), Memory(Gcra{.burst = 2}), Memory(Buckets{10})}) {
    Limiter<std::string> limiter(rates({{1s, 2}}), options(memory));
    clock.set(0s);
    const Decision first = limiter.allow("key");
    const Decision second = limiter.allow("key");
    ASSERT_TRUE(first.accepted && second.accepted);
    const std::string limited = said(limiter.allow("key"));
    EXPECT_FALSE(limiter.undo(first.ticket));
    EXPECT_EQ(said(limiter.allow("key")), limited);
    EXPECT_TRUE(limiter.undo(second.ticket));
    EXPECT_FALSE(limiter.undo(second.ticket));
    EXPECT_FALSE(limiter.undo(first.ticket));
    EXPECT_TRUE(limiter.allow("key").accepted);
    EXPECT_EQ(said(limiter.allow("key")), limited);
    EXPECT_FALSE(limiter.undo(Ticket()));
  }
}

TEST_F(LimiterTest, RATE_29_UndoOfTheOnlyOne) {
  Limiter<std::string> limiter(rates({{1s, 1}}), options());
  const Decision first = limiter.allow("key");
  EXPECT_FALSE(limiter.allow("key").accepted);
  EXPECT_TRUE(limiter.undo(first.ticket));
  EXPECT_FALSE(limiter.undo(first.ticket));
  const Decision again = limiter.allow("key");
  EXPECT_TRUE(again.accepted);
  clock.set(1s);
  const Decision third = limiter.allow("key");
  EXPECT_TRUE(third.accepted);
  EXPECT_FALSE(limiter.undo(again.ticket));
  EXPECT_TRUE(limiter.undo(third.ticket));
  // A ticket does not outlive its category.
  const Decision fourth = limiter.allow("key");
  limiter.clear("key");
  EXPECT_FALSE(limiter.undo(fourth.ticket));
  EXPECT_TRUE(limiter.allow("key").accepted);
  EXPECT_FALSE(limiter.undo(fourth.ticket));
}

TEST_F(LimiterTest, RATE_29_UndoOfSeveralAndOfALateOne) {
  LimiterOptions with = options();
  with.late_events = LateEvents::insert;
  Limiter<std::string> limiter(rates({{1s, 4}}), with);
  EXPECT_EQ(ask(limiter, 1000ms, 2), "yes");
  clock.set(500ms);
  const Decision late = limiter.allow("key", 2);
  EXPECT_EQ(said(late), yes(1500ms));
  EXPECT_TRUE(limiter.undo(late.ticket));
  EXPECT_EQ(ask(limiter, 1000ms, 2), yes(2000ms));
}

TEST_F(LimiterTest, RATE_30_SetRates) {
  Limiter<std::string> limiter(rates({{1s, 2}}), options());
  EXPECT_EQ(ask(limiter, 0ms), "yes");
  EXPECT_EQ(ask(limiter, 100ms), yes(1000ms));
  ASSERT_TRUE(limiter.set_rates(rates({{1s, 4}})).has_value());
  EXPECT_EQ(ask(limiter, 200ms), "yes");
  EXPECT_EQ(ask(limiter, 300ms), yes(1000ms));
  EXPECT_EQ(ask(limiter, 400ms), no(1000ms));
  // One event is remembered by the window of one: the newest.
  ASSERT_TRUE(limiter.set_rates(rates({{1s, 1}})).has_value());
  EXPECT_EQ(limiter.rates(), rates({{1s, 1}}));
  EXPECT_EQ(ask(limiter, 400ms), no(1300ms));
  EXPECT_EQ(ask(limiter, 1299ms), no(1300ms));
  EXPECT_EQ(ask(limiter, 1300ms), yes(2300ms));
  ASSERT_TRUE(limiter.set_rates(rates({{1s, 2}, {60s, 3}})).has_value());
  EXPECT_EQ(ask(limiter, 1300ms), yes(2300ms));
  EXPECT_EQ(ask(limiter, 2300ms), yes(61'300ms));
  ASSERT_TRUE(limiter.set_rates(Rates()).has_value());
  EXPECT_EQ(ask(limiter, 2300ms), "yes");
}

TEST_F(LimiterTest, RATE_30_SetRatesInEveryMemoryMode) {
  for (const Memory memory : {Memory(Exact32{}), Memory(Gcra{.burst = 100}), Memory(Buckets{100})}) {
    clock.set(0s);
    Limiter<std::string> limiter(rates({{1s, 2}}), options(memory));
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(limiter.allow("key").accepted);
    EXPECT_FALSE(limiter.allow("key").accepted);
    ASSERT_TRUE(limiter.set_rates(rates({{1s, 4}, {10s, 20}})).has_value());
    EXPECT_TRUE(limiter.allow("key").accepted);
    EXPECT_TRUE(limiter.allow("key").accepted);
    const Decision refused = limiter.allow("key");
    EXPECT_FALSE(refused.accepted);
    ASSERT_TRUE(limiter.set_rates(rates({{1s, 1}})).has_value());
    EXPECT_FALSE(limiter.allow("key").accepted);
    clock.set(10s);
    EXPECT_TRUE(limiter.allow("key").accepted);
  }
}

TEST_F(LimiterTest, RATE_30_SetRatesRefusesWhatTheMemoryCannotHold) {
  Limiter<std::string> limiter(rates({{1s, 2}}), options());
  const auto refused = limiter.set_rates(rates({{1s, std::int64_t{1} << 40}}));
  ASSERT_FALSE(refused.has_value());
  EXPECT_TRUE(refused.error().is(Errc::invalid_argument));
  EXPECT_EQ(limiter.rates(), rates({{1s, 2}}));
  EXPECT_TRUE(limiter.allow("key").accepted);
}

TEST_F(LimiterTest, RATE_34_TheEndOfTime) {
  const Duration longest = Duration::max();
  for (const Memory memory : {Memory(Exact64{}), Memory(Exact32{}), Memory(Gcra{.burst = 2}), Memory(Buckets{7})}) {
    Limiter<std::string> limiter(rates({{longest, 2}}), options(memory));
    for (const TimePoint start : {TimePoint::min(), at(-1ns), at(0ns), TimePoint::max() - 1ns}) {
      limiter.clear_all();
      EXPECT_TRUE(limiter.allow_at(start, "key").accepted);
      // Gcra cannot count what would end after the end of time, and refuses it.
      const bool beyond = std::holds_alternative<Gcra>(memory) && start > at(0ns);
      EXPECT_EQ(limiter.allow_at(start, "key").accepted, !beyond);
      const Decision refused = limiter.allow_at(start, "key");
      EXPECT_FALSE(refused.accepted) << memory.index() << " " << start.time_since_epoch().count();
      ASSERT_TRUE(refused.next.has_value());
      EXPECT_GT(*refused.next, start);
      EXPECT_GT(refused.wait, 0ns);
    }
  }
  Limiter<std::string> one(rates({{longest, 1}}), options());
  EXPECT_TRUE(one.allow_at(TimePoint::max() - 5ns, "key").accepted);
  EXPECT_FALSE(one.allow_at(TimePoint::max() - 1ns, "key").accepted);
  EXPECT_TRUE(one.allow_at(TimePoint::max(), "key").accepted);
}

TEST_F(LimiterTest, REQ_RATE_4_TellsInstantAndDuration) {
  Limiter<std::string> limiter(rates({{1s, 1}}), options());
  clock.set(5s);
  EXPECT_EQ(limiter.allow("key").next, at(6s));
  clock.set(5s + 300ms);
  const Decision decision = limiter.allow("key");
  EXPECT_EQ(decision.next, at(6s));
  EXPECT_EQ(decision.wait, 700ms);
  EXPECT_EQ(limiter.time_until("key"), 700ms);
}

TEST_F(LimiterTest, REQ_RATE_6_SmallRecordsFillOnePairOfCacheLines) {
  EXPECT_EQ(sizeof(internal::Record) + sizeof(std::uint64_t), kCacheLinePair);
}

TEST_F(LimiterTest, REQ_RATE_7_CategoryNamesSkipTheLookup) {
  LimiterOptions with = options();
  with.max_categories = 1;
  Limiter<std::string> limiter(rates({{1s, 2}}), with);
  auto name = limiter.category("key").value();
  EXPECT_TRUE(name.allow().accepted);
  EXPECT_TRUE(name.peek().accepted);
  EXPECT_EQ(said(limiter.allow("key")), yes(1s));
  EXPECT_EQ(said(name.allow()), no(1s));
  EXPECT_EQ(name.allow(3).refusal, Refusal::never);
  // While it is named it stays.
  clock.set(10s);
  EXPECT_EQ(limiter.sweep(), 0u);
  EXPECT_EQ(limiter.allow("other").refusal, Refusal::capacity);
  EXPECT_TRUE(name.allow().accepted);
  EXPECT_TRUE(name.allow().accepted);
  EXPECT_TRUE(limiter.clear("key"));
  EXPECT_TRUE(name.allow().accepted);
  limiter.clear_all();
  EXPECT_EQ(limiter.size(), 1u);
  name = {};
  clock.set(20s);
  EXPECT_EQ(limiter.sweep(), 1u);
  EXPECT_EQ(limiter.statistics().accepted, 5u);
  EXPECT_EQ(limiter.statistics().rejected, 3u);
}

TEST_F(LimiterTest, REQ_RATE_7_HashesDifferBetweenLimiters) {
  EXPECT_NE(KeyTraits<std::string>::hash("key", 1), KeyTraits<std::string>::hash("key", 2));
  EXPECT_NE(KeyTraits<int>::hash(7, 1), KeyTraits<int>::hash(7, 2));
  EXPECT_NE(KeyTraits<std::string>::hash("", 1), KeyTraits<std::string>::hash(std::string_view("\0", 1), 1));
  EXPECT_NE(KeyTraits<std::string>::hash("12345678", 1),
            KeyTraits<std::string>::hash(std::string_view("12345678\0", 9), 1));
}

TEST_F(LimiterTest, REQ_RATE_10_ClearForgets) {
  Limiter<std::string> limiter(rates({{1s, 1}}), options());
  EXPECT_TRUE(limiter.allow("a").accepted);
  EXPECT_TRUE(limiter.allow("b").accepted);
  EXPECT_TRUE(limiter.clear("a"));
  EXPECT_FALSE(limiter.clear("a"));
  EXPECT_TRUE(limiter.allow("a").accepted);
  EXPECT_FALSE(limiter.allow("b").accepted);
  limiter.clear_all();
  EXPECT_EQ(limiter.size(), 0u);
  EXPECT_TRUE(limiter.allow("b").accepted);
}

TEST_F(LimiterTest, REQ_RATE_10_MovesWithItsCategories) {
  Limiter<std::string> limiter(rates({{1s, 1}}), options());
  EXPECT_TRUE(limiter.allow("a").accepted);
  Limiter<std::string> other = std::move(limiter);
  EXPECT_FALSE(other.allow("a").accepted);
}

TEST_F(LimiterTest, OptionsThatMakeNoSenseAreMisuse) {
  const auto make = [&](const LimiterOptions& wrong) { Limiter<std::string> limiter(rates({{1s, 2}}), wrong); };
  EXPECT_THROW(make({.memory = Gcra{.burst = 0}}), std::invalid_argument);
  EXPECT_THROW(make({.memory = Buckets{0}}), std::invalid_argument);
  EXPECT_THROW(make({.memory = Buckets{100'000}}), std::invalid_argument);
  EXPECT_THROW(make({.memory = Exact32{}, .late_events = LateEvents::insert}), std::invalid_argument);
  EXPECT_THROW(make({.max_categories = 0}), std::invalid_argument);
  EXPECT_THROW(make({.sweep_per_accept = -1}), std::invalid_argument);
  EXPECT_NO_THROW(make({}));
}

TEST_F(LimiterTest, RATE_46_ALineOfTheSourceIsACategory) {
  Limiter<CallSite> limiter(rates({{5min, 2}}), options());
  const auto log = [&](CallSite site = {}) { return limiter.allow(site); };
  int from_loop = 0;
  for (int i = 0; i < 10; ++i) from_loop += log().accepted ? 1 : 0;
  EXPECT_EQ(from_loop, 2);
  EXPECT_TRUE(log().accepted);
  EXPECT_EQ(limiter.size(), 2u);
}

}  // namespace
}  // namespace gyre::rate
