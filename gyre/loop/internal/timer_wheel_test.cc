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

/// What a wheel must do, done the simple way.
class ReferenceModel {
 public:
  using Key = std::tuple<std::int64_t, std::uint64_t, TimerWheel::Slot>;  // deadline, sequence, slot

  void insert(TimerWheel::Slot slot, std::int64_t deadline, std::uint64_t sequence) {
    by_slot_[slot] = *order_.emplace(deadline, sequence, slot).first;
  }
  void erase(TimerWheel::Slot slot) {
    order_.erase(by_slot_.at(slot));
    by_slot_.erase(slot);
  }
  bool contains(TimerWheel::Slot slot) const { return by_slot_.contains(slot); }
  bool empty() const { return order_.empty(); }
  TimePoint next_deadline() const { return order_.empty() ? TimePoint::max() : at(std::get<0>(*order_.begin())); }
  TimerWheel::Slot first_due(std::int64_t now) const {
    return !order_.empty() && std::get<0>(*order_.begin()) <= now ? std::get<2>(*order_.begin()) : TimerWheel::kNone;
  }

 private:
  std::set<Key> order_;
  std::map<TimerWheel::Slot, Key> by_slot_;
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
    TimerWheel wheel;
    ReferenceModel model;
    wheel.reserve(load.slots);
    std::int64_t now = static_cast<std::int64_t>(random() >> 20);
    std::uint64_t sequence = 0;
    const auto magnitude = [&](int bits) {
      return static_cast<std::int64_t>(random() >> (64 - 1 - random() % static_cast<unsigned>(bits)));
    };
    for (int i = 0; i < 20'000; ++i) {
      const auto slot = static_cast<TimerWheel::Slot>(random() % load.slots);
      ASSERT_EQ(wheel.contains(slot), model.contains(slot));
      if (model.contains(slot)) {
        wheel.erase(slot);
        model.erase(slot);
      }
      if (random() % 3 != 0) {
        const std::int64_t deadline = random() % 16 == 0 ? now - magnitude(30) : now + magnitude(load.bits_of_delay);
        wheel.insert(slot, at(deadline), sequence);
        model.insert(slot, deadline, sequence++);
      }
      if (random() % 1000 < load.asks_per_mille) {
        ASSERT_EQ(wheel.next_deadline(), model.next_deadline());
      }
      if (random() % 8 == 0) now += magnitude(load.bits_of_step);
      if (random() % 64 == 0 && !model.empty()) now = std::max(now, model.next_deadline().time_since_epoch().count());
      for (int fired = 0; random() % 4 != 0 && fired < 10; ++fired) {
        const TimerWheel::Slot due = wheel.first_due(at(now));
        ASSERT_EQ(due, model.first_due(now)) << load.name << " seed " << seed << " step " << i;
        if (due == TimerWheel::kNone) break;
        wheel.erase(due);
        model.erase(due);
      }
      ASSERT_EQ(wheel.empty(), model.empty());
    }
    while (!model.empty()) {
      const TimePoint next = wheel.next_deadline();
      ASSERT_EQ(next, model.next_deadline());
      const TimerWheel::Slot due = wheel.first_due(next);
      ASSERT_EQ(due, model.first_due(next.time_since_epoch().count()));
      wheel.erase(due);
      model.erase(due);
    }
    EXPECT_EQ(wheel.any(), TimerWheel::kNone);
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
  TimerWheel wheel;
  constexpr unsigned kCount = 64;
  wheel.reserve(kCount);
  const std::int64_t deadline = 1'000'000'000'000;
  std::int64_t now = 0;
  for (unsigned i = 0; i < kCount; ++i) {  // ever closer, so that they come in through different rings
    wheel.insert(kCount - 1 - i, at(deadline), i);
    now += (deadline - now) / 2;
    ASSERT_EQ(wheel.first_due(at(now)), TimerWheel::kNone);
  }
  for (unsigned i = 0; i < kCount; ++i) {
    const TimerWheel::Slot due = wheel.first_due(at(deadline));
    EXPECT_EQ(due, kCount - 1 - i);
    wheel.erase(due);
  }
}

TEST(TimerWheel, TakesTheFirstAndTheLastMoment) {
  TimerWheel wheel;
  wheel.reserve(3);
  wheel.insert(0, TimePoint::max(), 0);
  wheel.insert(1, TimePoint::min(), 1);
  EXPECT_EQ(wheel.next_deadline(), TimePoint::min());
  EXPECT_EQ(wheel.first_due(at(0)), 1u);
  wheel.erase(1);
  EXPECT_EQ(wheel.next_deadline(), TimePoint::max());
  wheel.insert(2, at(std::numeric_limits<std::int64_t>::max() - 1), 2);
  EXPECT_EQ(wheel.first_due(TimePoint::max()), 2u);
  wheel.erase(2);
  EXPECT_EQ(wheel.first_due(TimePoint::max()), 0u);
}

}  // namespace
}  // namespace gyre::internal
