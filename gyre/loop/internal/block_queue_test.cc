#include <deque>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/loop/internal/block_queue.h>

namespace gyre::internal {
namespace {

using Queue = BlockQueue<std::unique_ptr<int>>;

void push(Queue& queue, int value) {
  queue.push_back(std::make_unique<int>(value));
}

TEST(BlockQueue, IsFirstInFirstOutAcrossBlocks) {
  Queue queue;
  for (int i = 0; i < 1000; ++i) push(queue, i);
  EXPECT_EQ(queue.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(*queue.take_front(), i);
  EXPECT_TRUE(queue.empty());
}

TEST(BlockQueue,
     AgreesWithADequeOverRandomOperations) {  // L73 L74: the order survives every mixture of growth and drain
  std::mt19937 random(1);
  Queue queues[2];
  std::deque<int> expected[2];
  int next = 0;
  for (int i = 0; i < 200'000; ++i) {
    const auto which = random() % 2;
    switch (random() % 16) {
      case 0:
        queues[which].splice_back(queues[1 - which]);
        expected[which].insert(expected[which].end(), expected[1 - which].begin(), expected[1 - which].end());
        expected[1 - which].clear();
        break;
      case 1:
        queues[which].top_up_spares(queues[1 - which], random() % 4);
        if (random() % 8 == 0) queues[which].trim();
        break;
      case 3:
        *(queues[which].emplace_back() = std::make_unique<int>()) = next;
        expected[which].push_back(next++);
        break;
      case 2:
        if (random() % 64 == 0) {
          queues[which].clear();
          expected[which].clear();
        }
        break;
      default:
        if (random() % 1000 < (i / 20'000 % 2 == 0 ? 520u : 480u)) {
          push(queues[which], next);
          expected[which].push_back(next++);
        } else if (!expected[which].empty()) {
          ASSERT_EQ(*queues[which].take_front(), expected[which].front());
          expected[which].pop_front();
        }
    }
    ASSERT_EQ(queues[which].size(), expected[which].size());
  }
}

TEST(BlockQueue, ElementsStayWhereTheyAreWhileQueued) {
  BlockQueue<int> queue;
  queue.push_back(1);
  int& front = queue.front();
  for (int i = 0; i < 1000; ++i) queue.push_back(int{i});
  BlockQueue<int> more;
  more.push_back(2);
  queue.splice_back(more);
  EXPECT_EQ(&front, &queue.front());
  EXPECT_EQ(front, 1);
}

TEST(BlockQueue, PoppingDestroysAtOnce) {
  BlockQueue<std::shared_ptr<int>> queue;
  auto element = std::make_shared<int>(1);
  queue.push_back(std::shared_ptr<int>(element));
  queue.push_back(std::shared_ptr<int>(element));
  queue.pop_front();
  EXPECT_EQ(element.use_count(), 2);
}

struct PushesWhenDestroyed {
  explicit PushesWhenDestroyed(int left, BlockQueue<PushesWhenDestroyed>* target) : count(left), queue(target) {}
  PushesWhenDestroyed(PushesWhenDestroyed&& other) noexcept
      : count(other.count), queue(std::exchange(other.queue, nullptr)) {}
  PushesWhenDestroyed& operator=(PushesWhenDestroyed&&) = delete;
  ~PushesWhenDestroyed() {
    if (queue != nullptr && count > 0) queue->push_back(PushesWhenDestroyed(count - 1, queue));
  }
  int count;
  BlockQueue<PushesWhenDestroyed>* queue;
};

TEST(BlockQueue, AnElementMayPushAnotherWhileItIsDestroyed) {
  BlockQueue<PushesWhenDestroyed> queue;
  queue.push_back(PushesWhenDestroyed(200, &queue));
  int popped = 0;
  for (; !queue.empty(); ++popped) queue.pop_front();
  EXPECT_EQ(popped, 201);
  queue.push_back(PushesWhenDestroyed(200, &queue));
  queue.clear();
  EXPECT_TRUE(queue.empty());
}

TEST(BlockQueue, KeepsAThousandSlotsOfABurstThatIsNotRepeated) {  // L142
  Queue queue;
  for (int i = 0; i < 100'000; ++i) push(queue, i);
  while (!queue.empty()) queue.pop_front();
  EXPECT_TRUE(queue.trim());  // the burst needed them since the last time
  EXPECT_GE(queue.spare_blocks() * Queue::kSlots, 99'000u);
  EXPECT_FALSE(queue.trim());
  EXPECT_EQ(queue.spare_blocks(), Queue::kSparesKept);
  EXPECT_LE((queue.spare_blocks() + 1) * Queue::kSlots, 1024u);
}

TEST(BlockQueue, KeepsWhatBurstsNeedThatAreRepeated) {
  Queue queue;
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < (round == 0 ? 100'000 : 10'000); ++i) push(queue, i);
    while (!queue.empty()) queue.pop_front();
    queue.trim();
  }
  EXPECT_NEAR(static_cast<double>(queue.spare_blocks()), 10'000.0 / Queue::kSlots, 2);
}

TEST(BlockQueue, ClearGivesAllMemoryBack) {
  Queue queue;
  for (int i = 0; i < 1000; ++i) push(queue, i);
  queue.clear();
  EXPECT_EQ(queue.spare_blocks(), 0u);
  push(queue, 1);
  EXPECT_EQ(*queue.front(), 1);
}

TEST(BlockQueue, SparesAreGivenOnlyUpToWhatTheOtherNeeds) {
  Queue giver;
  Queue taker;
  for (int i = 0; i < 600; ++i) push(giver, i);
  while (!giver.empty()) giver.pop_front();
  const std::size_t spares = giver.spare_blocks();
  giver.top_up_spares(taker, 4);
  giver.top_up_spares(taker, 4);
  EXPECT_EQ(taker.spare_blocks(), 4u);
  EXPECT_EQ(giver.spare_blocks(), spares - 4);
}

TEST(BlockQueue, SplicingIntoAQueueThatWasUsedUp) {
  for (const int popped : {0, 1, 63, 64, 65, 128}) {
    Queue queue;
    Queue other;
    for (int i = 0; i < popped; ++i) push(queue, -1);
    while (!queue.empty()) queue.pop_front();
    for (int i = 0; i < 130; ++i) push(other, i - 65);
    for (int i = 0; i < 65; ++i) other.pop_front();  // its first block is used up as well
    queue.splice_back(other);
    EXPECT_TRUE(other.empty());
    push(other, 7);
    EXPECT_EQ(*other.front(), 7);
    for (int i = 0; i < 65; ++i) EXPECT_EQ(*queue.take_front(), i);
  }
}

// --- Room ---

TEST(BlockQueue, HasNoRoomUntilItIsUsed) {  // R26
  BlockQueue<int> queue;
  EXPECT_EQ(queue.capacity(), 0u);
  queue.push_back(1);
  EXPECT_EQ(queue.capacity(), BlockQueue<int>::kSlots);
}

TEST(BlockQueue, KeepsTheRoomItIsGiven) {  // R26
  BlockQueue<int> queue;
  queue.resize(10'000);
  EXPECT_GE(queue.capacity(), 10'000u);
  EXPECT_LT(queue.capacity(), 10'000u + BlockQueue<int>::kSlots);
  for (int i = 0; i < 20'000; ++i) queue.push_back(std::move(i));
  while (!queue.empty()) queue.pop_front();
  while (queue.trim()) {
  }
  EXPECT_GE(queue.capacity(), 10'000u);
  EXPECT_LT(queue.capacity(), 10'000u + BlockQueue<int>::kSlots);
  queue.resize(0);
  EXPECT_LE(queue.capacity(), BlockQueue<int>::kSlots);
}

TEST(BlockQueue, ChangesOfRoomLoseNothingAndKeepTheOrder) {  // R26
  std::mt19937 random(26);
  BlockQueue<int> queue;
  BlockQueue<int> other;
  int pushed = 0;
  int popped = 0;
  for (int step = 0; step < 200'000; ++step) {
    switch (random() % 8) {
      case 0:
        queue.resize(random() % 2000);
        break;
      case 1:
        static_cast<void>(queue.trim());
        break;
      case 2:
        for (int i = 0; i < 70; ++i) other.push_back(int(pushed++));
        queue.splice_back(other);
        break;
      case 3:
      case 4:
      case 5:
        queue.push_back(int(pushed++));
        break;
      default:
        for (unsigned i = random() % 40; i > 0 && !queue.empty(); --i) ASSERT_EQ(queue.take_front(), popped++);
    }
    ASSERT_EQ(queue.size(), static_cast<std::size_t>(pushed - popped));
    ASSERT_GE(queue.capacity(), queue.size());
  }
  while (!queue.empty()) ASSERT_EQ(queue.take_front(), popped++);
  EXPECT_EQ(popped, pushed);
}

}  // namespace
}  // namespace gyre::internal
