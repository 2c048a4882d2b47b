#include <algorithm>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/promise/combinators.h>
#include <gyre/promise/internal/test_support.h>
#include <gyre/promise/timers.h>

namespace gyre {
namespace {

using testing::must;
using testing::some_error;

using Pair = PromiseWithResolver<int>;

class Combinators : public testing::PromiseTest {
 protected:
  std::vector<Pair> make(std::size_t count) {
    std::vector<Pair> pairs;
    for (std::size_t i = 0; i < count; ++i) pairs.push_back(Promise<int>::with_resolver(loop_));
    return pairs;
  }
  static std::vector<Promise<int>> promises(const std::vector<Pair>& pairs) {
    std::vector<Promise<int>> all;
    for (const Pair& pair : pairs) all.push_back(pair.promise);
    return all;
  }
  Promise<int> good(int value) { return Promise<int>::resolved(loop_, value); }
  Promise<int> bad(std::string text) { return Promise<int>::rejected(loop_, some_error(std::move(text))); }
  const std::vector<Promise<int>> none_;
};

TEST_F(Combinators, P48_OfNothing) {
  EXPECT_TRUE(all(loop_, none_).value()->empty());
  EXPECT_TRUE(all_settled(loop_, none_).value()->empty());
  const auto aggregate = any(loop_, none_).ignore_rejection();
  ASSERT_NE(aggregate.reason_as<AggregateError>(), nullptr);
  EXPECT_TRUE(aggregate.reason_as<AggregateError>()->reasons().empty());
  EXPECT_TRUE(aggregate.reason()->is(Errc::all_rejected));
  const auto never = race(loop_, none_);
  must(loop_.run());
  EXPECT_TRUE(never.is_pending());
}

TEST_F(Combinators, P49_AllKeepsTheOrderOfTheInputs) {
  auto pairs = make(3);
  const auto result = all(loop_, promises(pairs));
  for (const int i : {2, 0, 1}) pairs[static_cast<std::size_t>(i)].resolver.resolve(i);
  loop_.run_checkpoint();
  EXPECT_EQ(*result.value(), (std::vector{0, 1, 2}));
}

TEST_F(Combinators, P49_TheFirstRejectionWinsAndTheSecondIsSilent) {
  auto pairs = make(3);
  auto result = all(loop_, promises(pairs));
  run([&] {
    result.catch_([&](const Error& error) {
      says(error.message());
      return std::vector<int>();
    });
    pairs[1].resolver.reject(some_error("first"));
    pairs[2].resolver.reject(some_error("second"));
  });
  EXPECT_EQ(log_, Lines{"first"});
  EXPECT_EQ(result.reason(), pairs[1].promise.reason());
  EXPECT_TRUE(callback_errors_.empty());
}

TEST_F(Combinators, P51_RaceTakesTheFirstInOrder) {
  auto first = race(loop_, std::vector{bad("a"), good(2)});
  auto pending = make(1);
  auto second = race(loop_, std::vector{pending[0].promise, good(2)});
  loop_.run_checkpoint();
  EXPECT_EQ(first.ignore_rejection().reason()->message(), "a");
  EXPECT_EQ(*second.value(), 2);
}

TEST_F(Combinators, P52_AllSettledRecordsEverything) {
  auto pairs = make(3);
  const auto result = all_settled(loop_, promises(pairs));
  pairs[2].resolver.resolve(7);
  pairs[0].resolver.resolve(5);
  loop_.run_checkpoint();
  EXPECT_TRUE(result.is_pending());
  pairs[1].resolver.reject(some_error("middle"));
  loop_.run_checkpoint();
  const auto& records = *result.value();
  EXPECT_EQ(*records[0], 5);
  EXPECT_EQ(records[1].error().message(), "middle");
  EXPECT_EQ(*records[2], 7);
}

TEST_F(Combinators, P53_AnyTakesTheFirstValueOrAllReasons) {
  auto value = any(loop_, std::vector{bad("a"), bad("b"), good(3)});
  auto none = any(loop_, std::vector{bad("a"), Promise<int>::rejected(loop_, std::runtime_error("b")),
                                     Promise<int>::rejected(loop_, std::make_exception_ptr(std::string("c")))});
  loop_.run_checkpoint();
  EXPECT_EQ(*value.value(), 3);
  const auto* aggregate = none.ignore_rejection().reason_as<AggregateError>();
  ASSERT_NE(aggregate, nullptr);
  EXPECT_STREQ(aggregate->what(), "all promises were rejected");
  ASSERT_EQ(aggregate->reasons().size(), 3u);
  EXPECT_EQ(aggregate->reasons()[0].message(), "a");
  EXPECT_STREQ(aggregate->reasons()[1].as<std::runtime_error>()->what(), "b");
  EXPECT_EQ(*aggregate->reasons()[2].as<std::string>(), "c");
}

TEST_F(Combinators, P54_AnEmptyPromiseRejectsAndTouchesNothing) {
  run([&] {
    const std::vector inputs{bad("reported"), good(1), Promise<int>()};
    auto result = all(loop_, inputs);
    EXPECT_EQ(result.reason()->error().context("index"), "2");
    result.ignore_rejection();
  });
  ASSERT_EQ(callback_errors_.size(), 1u);
  EXPECT_NE(callback_errors_[0].to_string().find("reported"), std::string::npos);
}

TEST_F(Combinators, P55_ThePromiseTwice) {
  const auto p = good(4);
  const auto result = all(loop_, std::vector{p, p});
  loop_.run_checkpoint();
  EXPECT_EQ(*result.value(), (std::vector{4, 4}));
}

TEST_F(Combinators, P56_PromisesOfTwoLoopsAreRefused) {
  Loop other;
  EXPECT_THROW(all(loop_, std::vector{good(1), Promise<int>::resolved(other, 2)}), std::logic_error);
}

TEST_F(Combinators, P57_AfterTheEndTheResultIsRejected) {
  const auto before = good(1);
  must(loop_.run());
  auto result = all(before, std::vector{before});
  EXPECT_TRUE(result.reason()->is(Errc::terminated));
}

TEST_F(Combinators, P57_AGracefulShutdownRunsAcceptedReactions) {
  const auto result = all(loop_, std::vector{good(1), good(2)});
  must(loop_.remote().shutdown());
  EXPECT_EQ(*result.value(), (std::vector{1, 2}));
}

TEST_F(Combinators, P59_V11_AfterSettlementNothingIsRetained) {
  Promises promises(loop_);
  int live = 0;
  auto [late, resolver] = Promise<testing::Counted>::with_resolver(promises);
  {
    auto result = race(promises, std::vector{Promise<testing::Counted>::resolved_in_place(promises, live), late});
    loop_.run_checkpoint();
    EXPECT_TRUE(result.is_fulfilled());
    EXPECT_EQ(live, 1);  // moved out of the input, which has gone
  }
  resolver.resolve(testing::Counted(live));
  loop_.run_checkpoint();
  late = {};
  resolver = {};
  EXPECT_EQ(live, 0);
  EXPECT_EQ(promises.live(), 0u);
}

TEST_F(Combinators, PacksKeepTheirTypes) {
  auto both = all(good(1), Promise<std::string>::resolved(loop_, "x"), Promise<void>::resolved(loop_));
  static_assert(std::same_as<decltype(both), Promise<std::tuple<int, std::string, std::monostate>>>);
  auto settled = all_settled(bad("b"), Promise<std::string>::resolved(loop_, "x"));
  auto first = any(bad("b"), Promise<std::string>::resolved(loop_, "y"));
  auto fastest = race(make(1)[0].promise.ignore_rejection(),
                      Promise<std::unique_ptr<int>>::resolved(loop_, std::make_unique<int>(3)));
  run([&] {
    both.then([&](int n, const std::string& text, std::monostate) { says(text + std::to_string(n)); });
    settled.then([&](const auto& records) { says(std::get<0>(records).error().message() + *std::get<1>(records)); });
    first.then([&](const std::variant<int, std::string>& value) { says(std::get<1>(value)); });
    fastest.catch_([&](const Error& error) {
      EXPECT_TRUE(error.is(Errc::broken));
      return std::variant<int, std::unique_ptr<int>>(1);
    });
  });
  EXPECT_EQ(log_, (Lines{"x1", "bx", "y"}));
}

TEST_F(Combinators, APackOfRejectionsIsAnAggregate) {
  auto none = any(bad("a"), Promise<std::string>::rejected(loop_, some_error("b")));
  loop_.run_checkpoint();
  ASSERT_NE(none.ignore_rejection().reason_as<AggregateError>(), nullptr);
  EXPECT_EQ(none.reason_as<AggregateError>()->reasons()[1].message(), "b");
}

TEST_F(Combinators, ARangeOfVoidGivesVoid) {
  const std::vector<Promise<void>> two{Promise<void>::resolved(loop_), Promise<void>::resolved(loop_)};
  auto done = all(loop_, two);
  static_assert(std::same_as<decltype(done), Promise<void>>);
  auto records = all_settled(loop_, two);
  auto one = any(loop_, two);
  auto fastest = race(loop_, two);
  loop_.run_checkpoint();
  EXPECT_TRUE(done.is_fulfilled());
  EXPECT_TRUE(records.value()->at(1).has_value());
  EXPECT_TRUE(one.is_fulfilled());
  EXPECT_TRUE(fastest.is_fulfilled());
}

TEST_F(Combinators, ValuesThatCanOnlyBeMoved) {
  const std::vector inputs{Promise<std::unique_ptr<int>>::resolved(loop_, std::make_unique<int>(1)),
                           Promise<std::unique_ptr<int>>::resolved(loop_, std::make_unique<int>(2))};
  const auto result = all(loop_, inputs);
  loop_.run_checkpoint();
  EXPECT_EQ(*result.value()->at(1), 2);
  result.then([&](const std::vector<std::unique_ptr<int>>& values) { says(std::to_string(values.size())); });
  result.then([&](std::vector<std::unique_ptr<int>> values) { says(std::to_string(*values[0])); });
  loop_.run_checkpoint();
  EXPECT_EQ(log_, (Lines{"2", "1"}));
}

struct Custom : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// R05: every way of nesting, ten and a hundred deep; what was thrown at the bottom is caught as what it was.
TEST_F(Combinators, P58_R05_NestedToAnyDepthWithTypesKept) {
  const auto never = make(1);
  for (const int depth : {10, 100}) {
    for (const bool rejects : {false, true}) {
      auto at = rejects ? Promise<int>::rejected(loop_, Custom("bottom")) : good(6);
      for (int level = 0; level < depth; ++level) {
        switch (level % 3) {
          case 0:
            at = all(loop_, std::vector{at}).then([](const std::vector<int>& values) { return values[0]; });
            break;
          case 1:
            at = race(loop_, std::vector{at, never[0].promise});
            break;
          default:
            at = any(loop_, std::vector{at, at});
        }
      }
      loop_.run_checkpoint();
      if (rejects) {
        ASSERT_TRUE(at.is_rejected());
        ASSERT_NE(at.ignore_rejection().reason_as<Custom>(), nullptr);
        EXPECT_STREQ(at.reason_as<Custom>()->what(), "bottom");
      } else {
        ASSERT_TRUE(at.is_fulfilled());
        EXPECT_EQ(*at.value(), 6);
      }
    }
  }
}

TEST_F(Combinators, P50_P58_R05_ManyInputsInRandomOrder) {
  std::mt19937 random(12345);
  for (const std::size_t count : {100u, 1000u, 10'000u}) {
    auto pairs = make(count);
    const auto inputs = promises(pairs);
    const auto settled = all_settled(loop_, inputs);
    auto everything = all(loop_, inputs);
    const auto first_good = any(loop_, inputs);
    const auto first = race(loop_, inputs);
    std::vector<std::size_t> order(count);
    for (std::size_t i = 0; i < count; ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    for (std::size_t step = 0; step < count; ++step) {
      const std::size_t i = order[step];
      if (step % 2 == 0) {
        pairs[i].resolver.resolve(static_cast<int>(i));
      } else {
        pairs[i].resolver.reject(some_error(std::to_string(i)));
      }
    }
    loop_.run_checkpoint();
    EXPECT_EQ(*first.value(), static_cast<int>(order[0]));
    EXPECT_EQ(*first_good.value(), static_cast<int>(order[0]));
    EXPECT_EQ(everything.ignore_rejection().reason()->message(), std::to_string(order[1]));
    ASSERT_EQ(settled.value()->size(), count);
    for (std::size_t step = 0; step < count; ++step) {
      const auto& record = settled.value()->at(order[step]);
      ASSERT_EQ(record.has_value(), step % 2 == 0);
      if (record) {
        EXPECT_EQ(*record, static_cast<int>(order[step]));
      }
    }
  }
}

// R05: all patterns of up to four inputs, each fulfilled, rejected, or pending, against what the standard says.
TEST_F(Combinators, R05_EveryPatternOfUpToFourInputs) {
  enum Fate { fulfils, rejects, waits };
  for (int count = 1; count <= 4; ++count) {
    int patterns = 1;
    for (int i = 0; i < count; ++i) patterns *= 3;
    for (int pattern = 0; pattern < patterns; ++pattern) {
      std::vector<Fate> fates;
      for (int rest = pattern, i = 0; i < count; ++i, rest /= 3) fates.push_back(static_cast<Fate>(rest % 3));
      auto pairs = make(static_cast<std::size_t>(count));
      const auto inputs = promises(pairs);
      for (int i = 0; i < count; ++i) {
        const auto& resolver = pairs[static_cast<std::size_t>(i)].resolver;
        if (fates[static_cast<std::size_t>(i)] == fulfils) resolver.resolve(i);
        if (fates[static_cast<std::size_t>(i)] == rejects) resolver.reject(some_error(std::to_string(i)));
      }
      const auto everything = all(loop_, inputs).ignore_rejection();
      const auto records = all_settled(loop_, inputs);
      const auto first_good = any(loop_, inputs).ignore_rejection();
      const auto first = race(loop_, inputs).ignore_rejection();
      loop_.run_checkpoint();
      const auto find = [&](auto wanted) { return std::ranges::find_if(fates, wanted) - fates.begin(); };
      const auto good_at = find([](Fate f) { return f == fulfils; });
      const auto bad_at = find([](Fate f) { return f == rejects; });
      const auto settled_at = find([](Fate f) { return f != waits; });
      const auto waiting = std::ranges::count(fates, waits);
      const auto rejected = std::ranges::count(fates, rejects);

      EXPECT_EQ(everything.is_rejected(), rejected > 0);
      EXPECT_EQ(everything.is_fulfilled(), rejected == 0 && waiting == 0);
      if (rejected > 0) {
        EXPECT_EQ(everything.reason()->message(), std::to_string(bad_at));
      }
      EXPECT_EQ(records.is_fulfilled(), waiting == 0);
      EXPECT_EQ(first_good.is_fulfilled(), good_at < count);
      if (good_at < count) {
        EXPECT_EQ(*first_good.value(), good_at);
      }
      ASSERT_EQ(first_good.is_rejected(), rejected == count);
      if (rejected == count) {
        const auto reasons = first_good.reason_as<AggregateError>()->reasons();
        ASSERT_EQ(reasons.size(), static_cast<std::size_t>(count));
        for (int i = 0; i < count; ++i) EXPECT_EQ(reasons[static_cast<std::size_t>(i)].message(), std::to_string(i));
      }
      EXPECT_EQ(first.is_pending(), settled_at == count);
      if (settled_at < count) {
        EXPECT_EQ(first.is_fulfilled(), fates[static_cast<std::size_t>(settled_at)] == fulfils);
      }
      for (const Pair& pair : pairs) pair.promise.ignore_rejection();
      for (const Pair& pair : pairs) pair.resolver.resolve(0);
      loop_.run_checkpoint();
    }
  }
}

}  // namespace
}  // namespace gyre
