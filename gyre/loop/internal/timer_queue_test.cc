#include <limits>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/loop/internal/timer_queue.h>

namespace gyre::internal {
namespace {

constexpr auto kAll = std::numeric_limits<std::uint64_t>::max();

TimePoint at(int nanoseconds) {
  return TimePoint(Duration(nanoseconds));
}
TimerId add(TimerQueue& queue, int deadline) {
  return queue.add(at(deadline), TimerQueue::kOnce, [] {}, true);
}

/// Takes the next one out for good.
TimerId take(TimerQueue& queue, TimePoint now, std::uint64_t before_sequence) {
  TimerQueue::Timer* const due = queue.take_due(now, before_sequence);
  if (due == nullptr) return {};
  const TimerId id = due->id();
  queue.drop(*due);
  return id;
}

TEST(TimerQueue, AfterTheLastIdNothingMoreIsScheduled) {  // L91
  TimerQueue queue;
  queue.set_last_id_for_test(TimerQueue::kForeignIds - 2);
  const TimerId before_last = add(queue, 1);
  const TimerId last = add(queue, 2);
  EXPECT_EQ(last.value(), TimerQueue::kForeignIds);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(add(queue, 3));
  EXPECT_EQ(queue.size(), 2u);
  EXPECT_EQ(queue.ref_count(), 2u);
  static_cast<void>(queue.remove(*queue.find(last)));
  EXPECT_FALSE(add(queue, 3));  // room is not what is missing
  EXPECT_EQ(take(queue, at(10), kAll), before_last);
  EXPECT_EQ(queue.size(), 0u);
}

TEST(TimerQueue, TakesInOrderOfDeadlineThenOfArming) {
  TimerQueue queue;
  std::mt19937 random(7);
  std::set<std::pair<int, std::uint64_t>> expected;
  for (int i = 0; i < 5000; ++i) {
    const int deadline = static_cast<int>(random() % 500);
    expected.emplace(deadline, add(queue, deadline).value());
  }
  for (const auto& [deadline, id] : expected) {
    EXPECT_EQ(queue.next_deadline(), at(deadline));
    EXPECT_EQ(take(queue, at(1000), kAll).value(), id);
  }
  EXPECT_EQ(queue.next_deadline(), TimePoint::max());
}

TEST(TimerQueue, RemovingFromAnywhereKeepsTheOrder) {
  TimerQueue queue;
  std::mt19937 random(3);
  std::vector<std::pair<int, TimerId>> timers;
  for (int i = 0; i < 2000; ++i) {
    const int deadline = static_cast<int>(random() % 300);
    timers.emplace_back(deadline, add(queue, deadline));
  }
  std::set<std::pair<int, std::uint64_t>> expected;
  for (const auto& [deadline, id] : timers) {
    if (random() % 3 == 0) {
      static_cast<void>(queue.remove(*queue.find(id)));
      EXPECT_EQ(queue.find(id), nullptr);
    } else {
      expected.emplace(deadline, id.value());
    }
  }
  for (const auto& [deadline, id] : expected) {
    EXPECT_EQ(take(queue, at(1000), kAll).value(), id);
  }
  EXPECT_FALSE(queue.take_due(at(1000), kAll));
}

TEST(TimerQueue, SetsAsideWhatWasArmedTooLate) {
  TimerQueue queue;
  const TimerId old = add(queue, 5);
  const auto limit = queue.next_sequence();
  const TimerId late = add(queue, 1);
  EXPECT_EQ(take(queue, at(10), limit), old);
  EXPECT_FALSE(queue.take_due(at(10), limit));
  EXPECT_EQ(queue.size(), 1u);
  EXPECT_NE(queue.find(late), nullptr);
  queue.restore_deferred();
  EXPECT_EQ(take(queue, at(10), kAll), late);
}

TEST(TimerQueue, ASetAsideTimerThatIsArmedAnewAndSetAsideAgainKeepsItsLastDeadline) {
  TimerQueue queue;
  const TimerId timer = add(queue, 1);
  EXPECT_FALSE(queue.take_due(at(10), 0));
  queue.rearm(*queue.find(timer), at(7));
  EXPECT_FALSE(queue.take_due(at(10), 0));
  queue.restore_deferred();
  EXPECT_EQ(queue.next_deadline(), at(7));
}

TEST(TimerQueue, RemoveAnyEmptiesIt) {
  TimerQueue queue;
  for (int i = 0; i < 100; ++i) static_cast<void>(add(queue, i * 37 % 100));
  int removed = 0;
  while (queue.remove_any()) ++removed;
  EXPECT_EQ(removed, 100);
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_EQ(queue.ref_count(), 0u);
}

}  // namespace
}  // namespace gyre::internal
