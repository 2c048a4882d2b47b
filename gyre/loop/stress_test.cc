#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre {
namespace {

using namespace testing;

// Everything at once, from many threads, until the loop ends under them. Whatever the interleaving: what was accepted
// runs once if the end is graceful, nothing runs after its cancellation, every call returns, every capture dies.
//
// GYRE_STRESS_SECONDS makes it run for longer.

constexpr int kThreads = 16;

struct Counts {
  std::atomic<int> accepted = 0;
  std::atomic<int> executed = 0;
  std::atomic<int> captures = 0;  // alive
};

/// Captured by every callback.
class Token {
 public:
  explicit Token(Counts& counts) : counts_(&counts) { ++counts.captures; }
  Token(Token&& other) noexcept : counts_(std::exchange(other.counts_, nullptr)) {}
  Token& operator=(Token&&) = delete;
  ~Token() {
    if (counts_ != nullptr) --counts_->captures;
  }

 private:
  Counts* counts_;
};

/// A timer and what may happen to it.
struct Fate {
  std::atomic<bool> cancelled = false;
  std::atomic<int> runs = 0;
};

enum class End { shutdown, close, destruction };

class Storm {
 public:
  explicit Storm(unsigned seed, End end) : seed_(seed), end_(end) {}

  void run() {
    auto loop = std::make_unique<Loop>(LoopOptions{.offload_threads = 2});
    loop_ = loop.get();
    Remote remote = loop->remote();
    std::optional<Runner> runner(std::in_place, *loop);
    ASSERT_TRUE(eventually([&] { return remote.state() != LoopState::awake; }));
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([this, i, remote] { work(remote, seed_ * kThreads + static_cast<unsigned>(i)); });
    }
    ASSERT_TRUE(eventually([&] { return operations_ >= 1'000; }));
    switch (end_) {
      case End::shutdown:
        must(remote.shutdown());
        break;
      case End::close:
        must(remote.close());
        break;
      case End::destruction:
        loop.reset();
        break;
    }
    threads.clear();  // they end by themselves: every call that they are in returns
    must(runner->join());
    if (end_ == End::shutdown) {
      EXPECT_EQ(counts_.executed, counts_.accepted);
    } else {
      EXPECT_LE(counts_.executed, counts_.accepted);
    }
    loop.reset();
    EXPECT_EQ(counts_.captures, 0);
  }

 private:
  Task task() {
    return [this, token = Token(counts_)] { ++counts_.executed; };
  }
  void count(const Result<void>& result) {
    if (result) ++counts_.accepted;
  }
  static WaitLimit limit(std::minstd_rand& random) {
    return random() % 2 == 0 ? WaitLimit{} : WaitLimit(std::chrono::microseconds(random() % 200));
  }

  void work(Remote remote, unsigned seed) {
    std::minstd_rand random(seed + 1);
    std::vector<std::pair<TimerId, std::shared_ptr<Fate>>> timers;
    for (bool goes_on = true; goes_on; ++operations_) {
      switch (random() % 14) {
        case 0:
          count(remote.post(task()));
          break;
        case 1:
          count(remote.post_priority(task()));
          break;
        case 2:
          count(remote.queue_microtask(task()));
          break;
        case 3:
          count(remote.next_tick(task()));
          break;
        case 4:
          count(remote.at_checkpoint_end(task()));
          break;
        case 5:
          count(remote.set_immediate(task()));
          break;
        case 6:
          count(remote.post_close(task()));
          break;
        case 7:
        case 8: {
          auto fate = std::make_shared<Fate>();
          const auto id = remote.set_timeout(std::chrono::microseconds(random() % 500), [fate, token = Token(counts_)] {
            EXPECT_FALSE(fate->cancelled);
            EXPECT_EQ(fate->runs.fetch_add(1), 0);
          });
          if (id) timers.emplace_back(*id, std::move(fate));
          break;
        }
        case 9:
        case 10: {
          if (timers.empty()) break;
          const auto [id, fate] = std::move(timers.back());
          timers.pop_back();
          if (random() % 4 == 0) {
            static_cast<void>(remote.request_cancel(id));
          } else if (remote.cancel(id, limit(random))) {
            fate->cancelled = true;
            EXPECT_EQ(fate->runs, 0);
          }
          break;
        }
        case 11: {
          std::vector<TimerId> ids;
          for (const auto& [id, fate] : timers) ids.push_back(id);
          static_cast<void>(remote.unref(TimerId(), limit(random)));
          if (const auto results = remote.cancel(ids, limit(random))) {
            ASSERT_EQ(results->size(), ids.size());
            for (std::size_t i = 0; i < ids.size(); ++i) {
              if (!(*results)[i]) continue;
              timers[i].second->cancelled = true;
              EXPECT_EQ(timers[i].second->runs, 0);
            }
            timers.clear();
          }
          break;
        }
        case 12:
          // The loop watches a descriptor for a while, and so changes its way of waiting.
          count(remote.post([this, token = Token(counts_)] {
            ++counts_.executed;
            if (watcher_.is_active()) {
              static_cast<void>(watcher_.stop());
            } else if (auto watched =
                           loop_->watch(pipe_.read_end(), Readiness::read, [](Readiness) { ADD_FAILURE(); })) {
              watcher_ = *std::move(watched);
            }
          }));
          break;
        default:
          static_cast<void>(
              remote.set_fast_path(random() % 2 == 0 ? FastPath::disabled : FastPath::automatic, limit(random)));
          static_cast<void>(remote.wake());
          count(remote.post([this, token = Token(counts_)] {
            ++counts_.executed;
            static_cast<void>(loop_->offload([token = Token(counts_)](std::stop_token) {}, [](Result<void>) {}));
          }));
      }
      goes_on = remote.state() != LoopState::terminated && remote.state() != LoopState::terminating;
    }
  }

  const unsigned seed_;
  const End end_;
  Counts counts_;
  std::atomic<int> operations_ = 0;
  Loop* loop_ = nullptr;
  Pipe pipe_;
  Watcher watcher_;
};

void storm(End end) {
  int seconds = 0;
  if (const char* given = std::getenv("GYRE_STRESS_SECONDS")) seconds = std::atoi(given);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  unsigned seed = 0;
  do {
    Storm(seed++, end).run();
  } while (seed < 10 || std::chrono::steady_clock::now() < until);
}

TEST(Stress, EndedByAShutdown) {  // L21 L75 L97
  storm(End::shutdown);
}
TEST(Stress, EndedByAClose) {  // L97
  storm(End::close);
}
TEST(Stress, EndedByTheDestructionOfTheLoop) {  // L97
  storm(End::destruction);
}

TEST(Stress, FiftyProducersOfMicrotasks) {  // L75
  Loop loop;
  Remote remote = loop.remote();
  Runner runner(loop);
  std::atomic<int> executed = 0;
  std::vector<std::jthread> producers;
  for (int i = 0; i < 50; ++i) {
    producers.emplace_back([&, mine = remote]() mutable {
      for (int j = 0; j < 1'000; ++j) must(mine.queue_microtask([&] { ++executed; }));
    });
  }
  producers.clear();
  must(remote.shutdown());
  EXPECT_EQ(executed, 50'000);
}

// A loop that is prepared, stepped, or run, and goes away while others are calling it.
TEST(Stress, LoopsThatComeAndGo) {
  for (int round = 0; round < 100; ++round) {
    auto loop = std::make_unique<Loop>();
    Remote remote = loop->remote();
    std::atomic<int> ready = 0;
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, mine = remote]() mutable {
        ++ready;
        for (;;) {
          const auto id = mine.set_timeout(0s, [] {});
          if (!id) break;
          static_cast<void>(mine.unref(*id, 100us));
          static_cast<void>(mine.cancel(*id, 100us));
          static_cast<void>(mine.set_fast_path(FastPath::automatic, 100us));
        }
      });
    }
    ASSERT_TRUE(eventually([&] { return ready == 4; }));
    if (round % 4 == 1) must(loop->poll_once());
    if (round % 4 == 2) must(loop->run_for(100us));
    if (round % 4 == 3) std::jthread([&] { must(loop->poll_once()); }).join();
    loop.reset();
  }
}

}  // namespace
}  // namespace gyre
