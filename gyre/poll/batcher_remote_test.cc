#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/poll/batcher.h>
#include <gyre/poll/internal/test_support.h>
#include <gyre/promise/work.h>

// Batches of jobs from other threads.

namespace gyre::poll {
namespace {

using gyre::testing::Runner;
using testing::fails_with;
using testing::must;
using namespace std::chrono_literals;

TEST(BatchesFromOtherThreads, S39_FiveThousandJobsFromFiveProducers) {
  constexpr int kProducers = 5;
  constexpr int kJobs = 1000;
  Loop loop;
  std::atomic<int> at_work = 0;
  std::atomic<int> most = 0;
  Batcher<int, int> batcher(loop, {.max_size = 7, .interval = 1ms, .max_concurrent = 10},
                            [&](Loop& home, std::vector<int> jobs) -> Promise<std::vector<Result<int>>> {
                              return offload(home, [&, jobs = std::move(jobs)] {
                                const int now = ++at_work;
                                for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
                                }
                                std::vector<Result<int>> results;
                                for (const int job : jobs) results.push_back(job * 2);
                                --at_work;
                                return results;
                              });
                            });
  std::mutex mutex;
  std::set<int> results;
  std::atomic<int> done = 0;
  const auto remote = batcher.remote();
  {
    Runner runner(loop);
    {
      std::vector<std::jthread> producers;
      for (int p = 0; p < kProducers; ++p) {
        producers.emplace_back([&, p] {
          for (int i = 0; i < kJobs; ++i) {
            must(remote.submit(p * kJobs + i, [&](Result<int> result) {
              const std::lock_guard lock(mutex);
              results.insert(must(std::move(result)));
              ++done;
            }));
          }
          EXPECT_EQ(must(remote.call(-1 - p)), 2 * (-1 - p));
        });
      }
    }
    EXPECT_TRUE(gyre::testing::eventually([&] { return done == kProducers * kJobs; }));
    runner.stop();
  }
  EXPECT_EQ(results.size(), std::size_t{kProducers * kJobs});
  EXPECT_LE(most, 10);
}

TEST(BatchesFromOtherThreads, ResultsArriveOnTheChosenLoop) {
  Loop loop;
  Loop other;
  Batcher<int, int> batcher(loop, {.max_size = 1},
                            [](std::vector<int> jobs) { return std::vector<Result<int>>{jobs[0]}; });
  std::atomic<bool> done = false;
  std::thread::id where;
  Runner runner(loop);
  Runner other_runner(other);
  must(batcher.remote().submit(
      1,
      [&](Result<int>) {
        where = std::this_thread::get_id();
        done = true;
      },
      other.remote()));
  EXPECT_TRUE(gyre::testing::eventually([&] { return done.load(); }));
  EXPECT_EQ(where, other_runner.id());
  other_runner.stop();
  runner.stop();
}

TEST(BatchesFromOtherThreads, NobodyHangsWhenTheLoopOrTheBatcherGoes) {
  auto loop = std::make_unique<Loop>();
  auto batcher = std::make_unique<Batcher<int, int>>(*loop, Batcher<int, int>::Options{.max_size = -1, .interval = 1h},
                                                     [](std::vector<int>) { return std::vector<Result<int>>(); });
  const auto remote = batcher->remote();
  must(loop->poll_once());
  EXPECT_TRUE(fails_with(remote.call(1), Errc::unsupported)) << "this is the loop's thread";
  Errc seen{};
  std::jthread caller([&] {
    const auto result = remote.call(1);
    seen = result.error().is(Errc::closed) ? Errc::closed : Errc::terminated;
  });
  EXPECT_TRUE(gyre::testing::eventually([&] {
    must(loop->poll_once());
    return batcher->stats().waiting == 1;
  }));
  batcher.reset();
  must(loop->poll_once());
  caller.join();
  EXPECT_EQ(seen, Errc::closed);
  loop.reset();
  EXPECT_TRUE(fails_with(remote.call(2), Errc::terminated));
}

TEST(BatchesFromOtherThreads, ABlockingCallCanBeStopped) {
  Loop loop;
  Batcher<int, int> batcher(loop, {.max_size = -1, .interval = 1h},
                            [](std::vector<int>) { return std::vector<Result<int>>(); });
  const auto remote = batcher.remote();
  Runner runner(loop);
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_TRUE(fails_with(remote.call(1, stop.get_token()), Errc::cancelled));
  runner.stop();
}

}  // namespace
}  // namespace gyre::poll
