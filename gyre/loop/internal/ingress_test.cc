#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/loop/internal/ingress.h>

namespace gyre::internal {
namespace {

using Push = Ingress::Push;
using Gate = Ingress::Gate;

Push push(Ingress& ingress, Task&& task, IngressKind kind = IngressKind::task, Gate gate = Gate::tasks) {
  IngressRecord& record = ingress.prepare();
  ::new (static_cast<void*>(record.storage)) Task(std::move(task));
  const Push result = ingress.publish(record, kind, gate);
  if (result == Push::refused) ingress.discard(record);
  return result;
}

class IngressTest : public ::testing::Test {
 protected:
  std::size_t run_all() {
    ingress.take(tasks, priority_tasks);
    std::size_t count = 0;
    for (IngressChain* chain : {&priority_tasks, &tasks}) {
      for (; !chain->empty(); ++count) {
        IngressRecord& record = chain->pop();
        record.task()();
        ingress.finish(record);
      }
    }
    return count;
  }
  Task note(int number) {
    return [this, number] { log.push_back(number); };
  }

  Ingress ingress;
  IngressChain tasks;
  IngressChain priority_tasks;
  std::vector<int> log;
};

TEST_F(IngressTest, TellsTheFirstFromTheOthers) {
  EXPECT_FALSE(ingress.pending());
  EXPECT_EQ(push(ingress, note(1)), Push::first);
  EXPECT_EQ(push(ingress, note(2)), Push::queued);
  EXPECT_TRUE(ingress.pending());
  EXPECT_EQ(run_all(), 2u);
  EXPECT_FALSE(ingress.pending());
  EXPECT_EQ(push(ingress, note(3)), Push::first);
}

TEST_F(IngressTest, KeepsTheOrderOfEachKind) {
  for (int i = 0; i < 300; ++i) push(ingress, note(i), i % 7 < 3 ? IngressKind::priority_task : IngressKind::task);
  ASSERT_EQ(run_all(), 300u);
  std::vector<int> expected;
  for (int i = 0; i < 300; ++i) {
    if (i % 7 < 3) expected.push_back(i);
  }
  for (int i = 0; i < 300; ++i) {
    if (i % 7 >= 3) expected.push_back(i);
  }
  EXPECT_EQ(log, expected);
}

TEST_F(IngressTest, KeepsTheOrderAmongThreadsThatTakeTurns) {
  for (int i = 0; i < 300; ++i) {
    if (i % 5 == 0) {
      std::thread([&] { push(ingress, note(i)); }).join();
    } else {
      push(ingress, note(i));
    }
    if (i % 70 == 0) ingress.take(tasks, priority_tasks);
  }
  run_all();
  ASSERT_EQ(log.size(), 300u);
  for (int i = 0; i < 300; ++i) EXPECT_EQ(log[i], i);
}

TEST_F(IngressTest, OneThreadsBlockServesSeveralLoops) {
  Ingress other;
  std::vector<int> other_log;
  for (int i = 0; i < 500; ++i) {
    push(ingress, note(i));
    if (i % 3 == 0) push(other, [&other_log, i] { other_log.push_back(i); });
  }
  run_all();
  ASSERT_EQ(log.size(), 500u);
  for (int i = 0; i < 500; ++i) EXPECT_EQ(log[i], i);
  IngressChain chain;
  other.take(chain, chain);
  EXPECT_EQ(chain.size(), 167u);
  while (!chain.empty()) {
    IngressRecord& record = chain.pop();
    record.task()();
    other.finish(record);
  }
  for (int i = 0; i < 167; ++i) EXPECT_EQ(other_log[i], 3 * i);
}

TEST_F(IngressTest, EachGateClosesForItself) {
  EXPECT_TRUE(ingress.close(Gate::tasks));
  EXPECT_FALSE(ingress.close(Gate::tasks));
  auto token = std::make_shared<int>();
  EXPECT_EQ(push(ingress, [token] {}), Push::refused);
  EXPECT_EQ(token.use_count(), 1);  // a refused task is destroyed
  EXPECT_EQ(push(ingress, note(1), IngressKind::priority_task, Gate::completions), Push::first);
  ingress.close(Gate::completions);
  EXPECT_EQ(push(ingress, note(2), IngressKind::priority_task, Gate::completions), Push::refused);
  EXPECT_EQ(run_all(), 1u);
}

TEST_F(IngressTest, ClosesIfIdleOnlyIfIdle) {
  push(ingress, note(1));
  EXPECT_FALSE(ingress.close_if_idle(Gate::tasks));
  run_all();
  EXPECT_TRUE(ingress.close_if_idle(Gate::tasks));
  EXPECT_EQ(push(ingress, note(2)), Push::refused);
  EXPECT_FALSE(ingress.close_if_idle(Gate::tasks));
}

TEST_F(IngressTest, DestroysWhatNobodyTakes) {
  auto token = std::make_shared<int>();
  {
    Ingress other;
    for (int i = 0; i < 200; ++i) push(other, [token] {});
    EXPECT_EQ(token.use_count(), 201);
  }
  EXPECT_EQ(token.use_count(), 1);
}

TEST_F(IngressTest, GivesBackWhatABurstHasNeededOnce) {
  for (int i = 0; i < 10'000; ++i) push(ingress, note(i));
  run_all();
  EXPECT_TRUE(ingress.trim());
  EXPECT_FALSE(ingress.trim());
  EXPECT_FALSE(ingress.has_excess());
}

// What is accepted runs exactly once and in each producer's order, whatever moment the way is closed at.
TEST_F(IngressTest, ClosesBetweenTwoPostsOfSeveralThreads) {
  for (int round = 0; round < 50; ++round) {
    constexpr int kProducers = 3;
    Ingress contended;
    std::array<int, kProducers> accepted{};
    std::array<int, kProducers> executed{};
    bool in_order = true;
    std::atomic<int> running{kProducers};
    std::atomic<bool> closing = false;
    std::vector<std::thread> producers;
    for (int p = 0; p < kProducers; ++p) {
      producers.emplace_back([&, p] {
        // Together they are faster than the owner, so they wait after a while: the queue would only grow.
        constexpr int kAhead = 2000;
        for (int i = 0; push(contended, [&, p, i] { in_order &= executed[p]++ == i; }) != Push::refused; ++i) {
          if (++accepted[p] == kAhead) closing.wait(false);
        }
        --running;
      });
    }
    IngressChain chain;
    const auto run_some = [&] {
      contended.take(chain, chain);
      while (!chain.empty()) {
        IngressRecord& record = chain.pop();
        record.task()();
        contended.finish(record);
      }
    };
    for (int i = 0; i < round * 5; ++i) run_some();
    closing = true;
    closing.notify_all();
    contended.close(Gate::tasks);
    while (running > 0) run_some();
    run_some();
    for (auto& producer : producers) producer.join();
    EXPECT_EQ(accepted, executed);
    EXPECT_TRUE(in_order);
  }
}

// --- What the loop makes of it ---

class TaskQueueTest : public IngressTest {
 protected:
  void take() { ingress.take(queue.chain(), priority_tasks); }
  void run_first() {
    queue.run_front([](Task& task) { task(); });
  }
  TaskQueue queue{ingress};
};

TEST_F(TaskQueueTest, TheOwnersTasksComeBehindWhatOthersHadQueuedBefore) {
  queue.push_back(note(0));
  push(ingress, note(1));
  push(ingress, note(2));
  take();
  EXPECT_EQ(queue.size(), 3u);
  queue.push_back(note(3));
  push(ingress, note(4));
  take();
  while (!queue.empty()) run_first();
  EXPECT_EQ(log, (std::vector{0, 1, 2, 3, 4}));
}

TEST_F(TaskQueueTest, ATaskMayQueueOthersWhileItRunsWhereItLies) {
  auto captured = std::make_shared<int>(7);
  push(ingress, [this, captured] {
    queue.push_back(note(3));
    push(ingress, note(4));
    take();
    log.push_back(*captured);  // still there, though the queue behind it has moved
  });
  push(ingress, note(2));
  take();
  while (!queue.empty()) run_first();
  EXPECT_EQ(log, (std::vector{7, 2, 3, 4}));
  EXPECT_EQ(captured.use_count(), 1);
}

}  // namespace
}  // namespace gyre::internal
