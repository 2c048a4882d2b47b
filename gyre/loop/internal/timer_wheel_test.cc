#include <cstdint>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/loop/internal/timer_wheel.h>

namespace gyre::internal {
namespace {

TimePoint at(std::int64_t nanoseconds) {
  return TimePoint(Duration(nanoseconds));
}

using Slot = std::size_t;
constexpr Slot kNone = std::numeric_limits<Slot>::max();

/// A wheel of timers that are known by their numbers.
class Wheel {
 public:
  explicit Wheel(std::size_t slots) : nodes_(slots) { wheel.reserve(slots); }

  void insert(Slot slot, TimePoint deadline, std::uint64_t sequence) { wheel.insert(nodes_[slot], deadline, sequence); }
  void move(Slot slot, TimePoint deadline, std::uint64_t sequence) { wheel.move(nodes_[slot], deadline, sequence); }
  void erase(Slot slot) { wheel.erase(nodes_[slot]); }
  void set_aside(Slot slot) { wheel.set_aside(nodes_[slot]); }
  bool contains(Slot slot) const { return TimerWheel::contains(nodes_[slot]); }
  Slot first_due(TimePoint now) { return slot_of(wheel.first_due(now)); }
  Slot any() const { return slot_of(wheel.any()); }

  TimerWheel wheel;

 private:
  Slot slot_of(const TimerNode* node) const {
    return node == nullptr ? kNone : static_cast<Slot>(node - nodes_.data());
  }

  std::vector<TimerNode> nodes_;
};

/// What a wheel must do, done the simple way.
class ReferenceModel {
 public:
  using Key = std::tuple<std::int64_t, std::uint64_t, Slot>;  // deadline, sequence, slot

  void insert(Slot slot, std::int64_t deadline, std::uint64_t sequence) {
    by_slot_[slot] = *order_.emplace(deadline, sequence, slot).first;
  }
  void erase(Slot slot) {
    order_.erase(by_slot_.at(slot));
    by_slot_.erase(slot);
  }
  bool contains(Slot slot) const { return by_slot_.contains(slot); }
  bool empty() const { return order_.empty(); }
  TimePoint next_deadline() const { return order_.empty() ? TimePoint::max() : at(std::get<0>(*order_.begin())); }
  Slot first_due(std::int64_t now) const {
    return !order_.empty() && std::get<0>(*order_.begin()) <= now ? std::get<2>(*order_.begin()) : kNone;
  }

 private:
  std::set<Key> order_;
  std::map<Slot, Key> by_slot_;
};

struct Load {
  const char* name;
  unsigned slots;
  int bits_of_delay;        // delays are spread over all magnitudes up to 2^bits nanoseconds
  int bits_of_step;         // and so are the steps of the clock
  unsigned asks_per_mille;  // how often the next deadline is asked for, which may run ahead of time
};

class TimerWheelAgainstModel : public ::testing::TestWithParam<Load> {};

TEST_P(TimerWheelAgainstModel, AgreesOverRandomOperations) {  // L77 L78
  const Load& load = GetParam();
  for (unsigned seed = 0; seed < 8; ++seed) {
    std::mt19937_64 random(seed);
    Wheel wheel(load.slots);
    ReferenceModel model;
    std::int64_t now = static_cast<std::int64_t>(random() >> 20);
    std::uint64_t sequence = 0;
    const auto magnitude = [&](int bits) {
      return static_cast<std::int64_t>(random() >> (64 - 1 - random() % static_cast<unsigned>(bits)));
    };
    for (int i = 0; i < 20'000; ++i) {
      const auto slot = static_cast<Slot>(random() % load.slots);
      ASSERT_EQ(wheel.contains(slot), model.contains(slot));
      const std::int64_t deadline = random() % 16 == 0 ? now - magnitude(30) : now + magnitude(load.bits_of_delay);
      if (random() % 4 == 0) {  // from wherever it is to wherever it belongs
        if (model.contains(slot)) model.erase(slot);
        wheel.move(slot, at(deadline), sequence);
        model.insert(slot, deadline, sequence++);
      } else {
        if (model.contains(slot)) {
          wheel.erase(slot);
          model.erase(slot);
        }
        if (random() % 3 != 0) {
          wheel.insert(slot, at(deadline), sequence);
          model.insert(slot, deadline, sequence++);
        }
      }
      if (random() % 1000 < load.asks_per_mille) {
        ASSERT_EQ(wheel.wheel.next_deadline(), model.next_deadline());
      }
      if (random() % 8 == 0) now += magnitude(load.bits_of_step);
      if (random() % 64 == 0 && !model.empty()) now = std::max(now, model.next_deadline().time_since_epoch().count());
      for (int fired = 0; random() % 4 != 0 && fired < 10; ++fired) {
        const Slot due = wheel.first_due(at(now));
        ASSERT_EQ(due, model.first_due(now)) << load.name << " seed " << seed << " step " << i;
        if (due == kNone) break;
        wheel.erase(due);
        model.erase(due);
      }
      ASSERT_EQ(wheel.wheel.empty(), model.empty());
    }
    while (!model.empty()) {
      const TimePoint next = wheel.wheel.next_deadline();
      ASSERT_EQ(next, model.next_deadline());
      const Slot due = wheel.first_due(next);
      ASSERT_EQ(due, model.first_due(next.time_since_epoch().count()));
      wheel.erase(due);
      model.erase(due);
    }
    EXPECT_EQ(wheel.any(), kNone);
  }
}

INSTANTIATE_TEST_SUITE_P(Loads, TimerWheelAgainstModel,
                         ::testing::Values(Load{"few_near", 8, 20, 20, 500}, Load{"many_near", 2000, 24, 20, 100},
                                           Load{"all_magnitudes", 2000, 55, 40, 20},
                                           Load{"all_magnitudes_never_asked", 2000, 55, 40, 0},
                                           Load{"all_magnitudes_always_asked", 200, 45, 30, 1000},
                                           Load{"standing_still", 1000, 40, 1, 50}),
                         [](const auto& test) { return test.param.name; });

TEST(TimerWheel, KeepsEqualDeadlinesInOrderThoughTheyWereArmedAtDifferentTimes) {  // L78
  constexpr unsigned kCount = 64;
  Wheel wheel(kCount);
  const std::int64_t deadline = 1'000'000'000'000;
  std::int64_t now = 0;
  for (unsigned i = 0; i < kCount; ++i) {  // ever closer, so that they come in through different rings
    wheel.insert(kCount - 1 - i, at(deadline), i);
    now += (deadline - now) / 2;
    ASSERT_EQ(wheel.first_due(at(now)), kNone);
  }
  for (unsigned i = 0; i < kCount; ++i) {
    const Slot due = wheel.first_due(at(deadline));
    EXPECT_EQ(due, kCount - 1 - i);
    wheel.erase(due);
  }
}

TEST(TimerWheel, TakesTheFirstAndTheLastMoment) {
  Wheel wheel(3);
  wheel.insert(0, TimePoint::max(), 0);
  wheel.insert(1, TimePoint::min(), 1);
  EXPECT_EQ(wheel.wheel.next_deadline(), TimePoint::min());
  EXPECT_EQ(wheel.first_due(at(0)), 1u);
  wheel.erase(1);
  EXPECT_EQ(wheel.wheel.next_deadline(), TimePoint::max());
  wheel.insert(2, at(std::numeric_limits<std::int64_t>::max() - 1), 2);
  EXPECT_EQ(wheel.first_due(TimePoint::max()), 2u);
  wheel.erase(2);
  EXPECT_EQ(wheel.first_due(TimePoint::max()), 0u);
}

TEST(TimerWheel, ATimerThatIsMovedToLaterMomentsAgainAndAgainFiresAtTheLast) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  Wheel wheel(2);
  std::int64_t now = 0;
  wheel.insert(0, at(30 * kSecond), 0);
  wheel.insert(1, at(31 * kSecond), 1);
  std::uint64_t sequence = 2;
  for (; now < 300 * kSecond; now += kSecond / 10) {
    wheel.move(0, at(now + 30 * kSecond), sequence++);
    const std::int64_t earliest = wheel.contains(1) ? std::min(now + 30 * kSecond, 31 * kSecond) : now + 30 * kSecond;
    ASSERT_EQ(wheel.wheel.next_deadline(), at(earliest)) << now;
    ASSERT_EQ(wheel.first_due(at(now)), now == 31 * kSecond ? 1u : kNone) << now;
    if (now == 31 * kSecond) wheel.erase(1);
  }
  const std::int64_t last = now - kSecond / 10 + 30 * kSecond;
  EXPECT_EQ(wheel.first_due(at(last - 1)), kNone);
  EXPECT_EQ(wheel.first_due(at(last)), 0u);
}

TEST(TimerWheel, WhatIsSetAsideComesBackWithItsOwnDeadlineOrTheOneItWasMovedTo) {
  Wheel wheel(3);
  for (Slot slot = 0; slot < 3; ++slot) {
    wheel.insert(slot, at(static_cast<std::int64_t>(slot)), slot);
    ASSERT_EQ(wheel.first_due(at(10)), slot);
    wheel.erase(slot);
    wheel.set_aside(slot);
    EXPECT_TRUE(wheel.contains(slot));
  }
  EXPECT_TRUE(wheel.wheel.empty());
  EXPECT_EQ(wheel.first_due(at(10)), kNone);
  EXPECT_NE(wheel.any(), kNone);
  wheel.move(1, at(7), 3);
  wheel.erase(2);
  wheel.wheel.restore();
  EXPECT_EQ(wheel.first_due(at(10)), 0u);
  wheel.erase(0);
  EXPECT_EQ(wheel.first_due(at(6)), kNone);
  EXPECT_EQ(wheel.first_due(at(7)), 1u);
  wheel.erase(1);
  EXPECT_EQ(wheel.any(), kNone);
}

TEST(TimerWheel, GivesBackRoomAndKeepsWhatIsInIt) {
  constexpr Slot kMost = 100'000;
  Wheel wheel(kMost);
  std::mt19937_64 random(5);
  const auto deadline = [&] { return at(static_cast<std::int64_t>(random() >> (10 + random() % 40))); };
  for (Slot slot = 0; slot < kMost; ++slot) wheel.insert(slot, deadline(), slot);
  constexpr Slot kKept = 1000;
  for (Slot slot = kKept; slot < kMost; ++slot) wheel.erase(slot);
  wheel.wheel.shrink(kKept);
  for (Slot slot = 0; slot < kKept; slot += 2) wheel.erase(slot);
  for (Slot slot = 0; slot < kKept; slot += 2) wheel.insert(slot, deadline(), kMost + slot);
  TimePoint last = TimePoint::min();
  for (Slot left = kKept; left > 0; --left) {
    const TimePoint next = wheel.wheel.next_deadline();
    EXPECT_GE(next, last);
    const Slot due = wheel.first_due(next);
    ASSERT_NE(due, kNone);
    wheel.erase(due);
    last = next;
  }
  EXPECT_EQ(wheel.any(), kNone);
}

}  // namespace
}  // namespace gyre::internal
