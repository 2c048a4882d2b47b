#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/poll/batcher.h>
#include <gyre/poll/internal/test_support.h>
#include <gyre/promise/timers.h>

// Jobs in groups: sizes, times, back-pressure, ends.

namespace gyre::poll {
namespace {

using gyre::testing::must;
using namespace std::chrono_literals;

class Batches : public testing::PollTest {
 protected:
  using Sizes = std::vector<std::size_t>;
  using Jobs = std::vector<int>;
  using Results = std::vector<Result<int>>;

  /// Doubles, and remembers what came together.
  auto doubling() {
    return [this](Jobs jobs) {
      says(std::to_string(jobs.size()));
      sizes_.push_back(jobs.size());
      seen_.insert(seen_.end(), jobs.begin(), jobs.end());
      Results results;
      for (const int job : jobs) results.push_back(job * 2);
      return results;
    };
  }
  /// Lasts until its gate is opened, in the order of the calls.
  auto gated() {
    return [this](Loop& loop, Jobs jobs, BatchCall call) -> Promise<Results> {
      seen_.insert(seen_.end(), jobs.begin(), jobs.end());
      calls_.push_back(call.stop);
      gates_.push_back(std::make_unique<testing::Gate>(loop));
      const auto promise = gates_.back()->pair.promise;
      return promise.then([jobs] {
        Results results;
        for (const int job : jobs) results.push_back(job * 2);
        return results;
      });
    };
  }
  void turn() {
    for (int i = 0; i < 5; ++i) must(loop_.poll_once());
  }

  Sizes sizes_;
  Jobs seen_;
  std::vector<std::stop_token> calls_;
  std::vector<std::unique_ptr<testing::Gate>> gates_;
};

TEST_F(Batches, S31_SeventeenJobsInThreesWithoutAnInterval) {
  Batcher<int, int> batcher(loop_, {.max_size = 3, .interval = -1ns}, doubling());
  std::vector<int> results;
  bool has_ended = false;
  const auto submit_all = [&](Loop&) -> Promise<void> {
    for (int i = 0; i < 17; ++i) {
      const auto job = batcher.submit(i);
      job.result().then([&](int result) { results.push_back(result); });
      co_await job.accepted();
    }
    co_await batcher.shutdown();
    has_ended = true;
  };
  submit_all(loop_);
  finish();
  EXPECT_TRUE(has_ended);
  EXPECT_EQ(sizes_, (Sizes{3, 3, 3, 3, 3, 2}));
  Jobs expected(17);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(seen_, expected);
  ASSERT_EQ(results.size(), 17u);
  EXPECT_EQ(results[16], 32);
  EXPECT_EQ(batcher.stats().by(BatchTrigger::size), 5u);
  EXPECT_EQ(batcher.stats().by(BatchTrigger::shutdown), 1u);
}

TEST_F(Batches, TwoWithinTheDefaultIntervalAreOneBatch) {
  Batcher<int, int> batcher(loop_, {}, doubling());
  batcher.submit(1);
  after(49ms, [&] { batcher.submit(2); });
  after(100ms, [&] { batcher.submit(3); });
  finish();
  EXPECT_EQ(log_, (Lines{"2 50", "1 150"}));
  EXPECT_EQ(batcher.stats().by(BatchTrigger::time), 2u);
}

TEST_F(Batches, ALateTimerOfAFullBatchIsIgnored) {
  Batcher<int, int> batcher(loop_, {.max_size = 2}, doubling());
  batcher.submit(1);
  after(30ms, [&] {
    batcher.submit(2);
    batcher.submit(3);
  });
  finish();
  EXPECT_EQ(log_, (Lines{"2 30", "1 80"}));
}

TEST_F(Batches, S32_AnErrorReachesAllWaiters) {
  const Error error(Errc::not_found, "no table");
  Batcher<int, int> batcher(loop_, {.max_size = -1, .interval = 200ms}, [&](Jobs jobs) -> Result<Results> {
    says(std::to_string(jobs.size()));
    return std::unexpected(error);
  });
  int failures = 0;
  for (int i = 0; i < 5; ++i) {
    batcher.submit(i).result().catch_([&](const Reason& reason) {
      failures += reason.error().correlation_id() == error.correlation_id() ? 1 : 0;
      return 0;
    });
  }
  finish();
  EXPECT_EQ(log_, Lines{"5 200"});
  EXPECT_EQ(failures, 5);
}

TEST_F(Batches, S33_AFullPipelineHoldsSubmissionsBack) {
  Batcher<int, int> batcher(loop_, {.max_size = 1}, gated());
  const auto one = batcher.submit(1);
  const auto two = batcher.submit(2);
  std::stop_source stop;
  const auto three = batcher.submit(3, stop.get_token());
  turn();
  EXPECT_EQ(seen_, Jobs{1});
  EXPECT_TRUE(two.accepted().is_fulfilled());
  EXPECT_TRUE(three.accepted().is_pending());
  stop.request_stop();
  turn();
  ASSERT_TRUE(three.accepted().is_rejected());
  EXPECT_TRUE(three.accepted().reason()->is(Errc::cancelled));
  EXPECT_TRUE(three.result().reason()->is(Errc::cancelled));
  gates_[0]->open();
  turn();
  EXPECT_EQ(seen_, (Jobs{1, 2}));
  gates_[1]->open();
  finish();
  EXPECT_EQ(*one.result().value(), 2);
  EXPECT_EQ(*two.result().value(), 4);
}

TEST_F(Batches, ABlockedSubmissionIsAcceptedWhenThereIsRoom) {
  Batcher<int, int> batcher(loop_, {.max_size = 1}, gated());
  batcher.submit(1);
  batcher.submit(2);
  const auto three = batcher.submit(3);
  const auto four = batcher.submit(4);
  gates_[0]->open();
  turn();
  EXPECT_TRUE(three.accepted().is_fulfilled());
  EXPECT_TRUE(four.accepted().is_pending());
  for (std::size_t i = 1; i < 4; ++i) {
    gates_[i]->open();
    turn();
  }
  EXPECT_EQ(seen_, (Jobs{1, 2, 3, 4}));
}

TEST_F(Batches, S34_ShutdownRefusesTheBlockedAndWaitsForTheRest) {
  Batcher<int, int> batcher(loop_, {.max_size = 1}, gated());
  batcher.submit(1);
  batcher.submit(2);
  const auto three = batcher.submit(3);
  const auto end = batcher.shutdown();
  turn();
  EXPECT_TRUE(three.accepted().reason()->is(Errc::closed));
  EXPECT_TRUE(end.is_pending());
  gates_[0]->open();
  turn();
  EXPECT_EQ(seen_, (Jobs{1, 2}));
  EXPECT_FALSE(calls_[1].stop_requested());
  EXPECT_TRUE(calls_[0].stop_requested()) << "a call's token ends with it";
  EXPECT_TRUE(end.is_pending());
  gates_[1]->open();
  turn();
  EXPECT_TRUE(end.is_fulfilled());
  EXPECT_TRUE(batcher.submit(4).accepted().reason()->is(Errc::closed));
  EXPECT_TRUE(batcher.shutdown().is_fulfilled()) << "twice is fine";
}

TEST_F(Batches, S35_AnEndedShutdownDoesNotWait) {
  Batcher<int, int> batcher(loop_, {.max_size = 1}, gated());
  batcher.submit(1);
  batcher.submit(2);
  stop_.request_stop();
  const auto end = batcher.shutdown(stop_.get_token());
  end.ignore_rejection();
  EXPECT_TRUE(end.reason()->is(Errc::cancelled));
  EXPECT_TRUE(calls_[0].stop_requested());
  gates_[0]->open();
  turn();
  ASSERT_EQ(calls_.size(), 2u);
  EXPECT_TRUE(calls_[1].stop_requested());
  gates_[1]->open();
  turn();
}

TEST_F(Batches, S35_AShutdownThatIsStoppedLaterEndsToo) {
  Batcher<int, int> batcher(loop_, {.max_size = 1}, gated());
  batcher.submit(1);
  const auto end = batcher.shutdown(stop_.get_token());
  end.ignore_rejection();
  turn();
  EXPECT_TRUE(end.is_pending());
  stop_.request_stop();
  turn();
  EXPECT_TRUE(end.reason()->is(Errc::cancelled));
  EXPECT_TRUE(calls_[0].stop_requested());
}

TEST_F(Batches, S36_CloseStopsTheProcessorAndWaits) {
  Batcher<int, int> batcher(loop_, {.max_size = 1}, gated());
  batcher.submit(1);
  batcher.submit(2);
  const auto end = batcher.close();
  EXPECT_TRUE(calls_[0].stop_requested());
  gates_[0]->open();
  turn();
  EXPECT_TRUE(calls_.at(1).stop_requested());
  EXPECT_TRUE(end.is_pending());
  gates_[1]->open();
  turn();
  EXPECT_TRUE(end.is_fulfilled());
}

TEST_F(Batches, S36_CloseWithALimitOutlivesAHungProcessor) {
  Batcher<int, int> batcher(loop_, {.max_size = 1}, gated());
  const auto one = batcher.submit(1);
  const auto two = batcher.submit(2);
  long long when = -1;
  batcher.close(50ms).catch_([&](const Reason& reason) {
    EXPECT_TRUE(reason.is(Errc::timed_out));
    when = at();
  });
  finish();
  EXPECT_EQ(when, 50);
  EXPECT_TRUE(one.result().reason()->is(Errc::timed_out));
  EXPECT_TRUE(two.result().reason()->is(Errc::timed_out));
}

TEST_F(Batches, S37_SomethingMustLimitABatch) {
  using Numbers = Batcher<int, int>;
  EXPECT_THROW(Numbers(loop_, {.max_size = -1, .interval = -1ns}, doubling()), std::invalid_argument);
  EXPECT_THROW(Numbers(loop_, {}, nullptr), std::invalid_argument);
  EXPECT_THROW(Numbers(loop_, {}, std::function<Results(Jobs)>()), std::invalid_argument);
  EXPECT_NO_THROW(Numbers(loop_, {.max_size = -1}, doubling()));
  EXPECT_NO_THROW(Numbers(loop_, {.interval = -1ns}, doubling()));
}

TEST_F(Batches, S38_AWaitThatIsStoppedLeavesTheJobAlone) {
  Batcher<int, int> batcher(loop_, {}, doubling());
  const auto job = batcher.submit(21);
  stop_.request_stop();
  const auto wait = job.wait(stop_.get_token());
  wait.ignore_rejection();
  EXPECT_TRUE(wait.reason()->is(Errc::cancelled));
  finish();
  EXPECT_EQ(*job.result().value(), 42);
}

TEST_F(Batches, S48_ACancelledJobLeavesItsPlaceToAnother) {
  Batcher<int, int> batcher(loop_, {.max_size = 4, .interval = -1ns}, doubling());
  batcher.submit(1);
  const auto two = batcher.submit(2);
  batcher.submit(3);
  EXPECT_TRUE(two.cancel());
  EXPECT_FALSE(two.cancel());
  batcher.submit(4);
  EXPECT_EQ(sizes_, Sizes{});
  batcher.submit(5);
  EXPECT_EQ(seen_, (Jobs{1, 3, 4, 5}));
  EXPECT_TRUE(two.result().reason()->is(Errc::cancelled));
  EXPECT_EQ(batcher.stats().cancelled, 1u);
}

TEST_F(Batches, ACancelledOnlyJobTakesItsTimerAlong) {
  Batcher<int, int> batcher(loop_, {}, doubling());
  EXPECT_TRUE(batcher.submit(1).cancel());
  EXPECT_EQ(loop_.timer_count(), 0u);
}

TEST_F(Batches, REQ_MB_1_EachJobHasItsOwnResult) {
  Batcher<int, int> batcher(loop_, {.max_size = 2},
                            [](Jobs jobs) { return Results{jobs[0], fail(Errc::not_found, "no {}", jobs[1])}; });
  const auto one = batcher.submit(1);
  const auto two = batcher.submit(2);
  turn();
  EXPECT_EQ(*one.result().value(), 1);
  EXPECT_TRUE(two.result().reason()->is(Errc::not_found));
}

TEST_F(Batches, REQ_MB_1_AWrongNumberOfResultsFailsAll) {
  Batcher<int, int> batcher(loop_, {.max_size = 2}, [](Jobs) { return Results{1}; });
  const auto one = batcher.submit(1);
  batcher.submit(2);
  turn();
  EXPECT_TRUE(one.result().reason()->is(Errc::broken));
  EXPECT_NE(one.result().reason()->message().find("1 results for 2 jobs"), std::string::npos);
}

TEST_F(Batches, REQ_MB_2_Coroutines) {
  Batcher<int, int> batcher(loop_, {}, doubling());
  int sum = 0;
  const auto add = [&](Loop&, int n) -> Promise<void> { sum += co_await batcher.submit(n).result(); };
  add(loop_, 1);
  add(loop_, 2);
  finish();
  EXPECT_EQ(sum, 6);
  EXPECT_EQ(sizes_, Sizes{2});
}

TEST_F(Batches, REQ_MB_3_OneTimerForAllBatches) {
  Batcher<int, int, int> batcher(loop_, {.max_waiting = 100, .key = [](int job) { return job % 10; }}, doubling());
  for (int i = 0; i < 100; ++i) batcher.submit(i);
  EXPECT_EQ(loop_.timer_count(), 1u);
  finish();
  EXPECT_EQ(sizes_, Sizes(10, 10));
}

TEST_F(Batches, REQ_MB_4_RefusesWhenFull) {
  Batcher<int, int> batcher(loop_, {.max_size = 1, .max_waiting = 2, .when_full = WhenFull::refuse}, gated());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(batcher.submit(i).accepted().is_fulfilled());
  EXPECT_TRUE(batcher.submit(3).accepted().reason()->is(Errc::backpressure));
  EXPECT_EQ(batcher.stats().refused, 1u);
}

TEST_F(Batches, REQ_MB_4_DropsTheOldestWhenFull) {
  Batcher<int, int> batcher(loop_, {.max_size = 1, .when_full = WhenFull::drop_oldest}, gated());
  batcher.submit(1);
  const auto two = batcher.submit(2);
  const auto three = batcher.submit(3);
  EXPECT_TRUE(two.result().reason()->is(Errc::backpressure));
  EXPECT_TRUE(three.accepted().is_fulfilled());
  gates_[0]->open();
  turn();
  EXPECT_EQ(seen_, (Jobs{1, 3}));
}

TEST_F(Batches, REQ_MB_5_CostsCount) {
  Batcher<int, int> batcher(
      loop_, {.max_waiting = 10, .cost = [](int job) { return static_cast<std::size_t>(job); }, .max_cost = 10},
      doubling());
  for (const int job : {4, 5, 3, 20, 7, 3}) batcher.submit(job);
  turn();
  EXPECT_EQ(sizes_, (Sizes{2, 1, 1, 2}));
}

TEST_F(Batches, REQ_MB_5_IdleProcessorsGetWhatIsThere) {
  Batcher<int, int> batcher(loop_, {.max_size = 100, .interval = -1ns, .flush_when_idle = true}, doubling());
  batcher.submit(1);
  batcher.submit(2);
  EXPECT_EQ(sizes_, Sizes{}) << "the turn has not ended";
  turn();
  EXPECT_EQ(sizes_, Sizes{2});
  EXPECT_EQ(batcher.stats().by(BatchTrigger::idle), 1u);
}

TEST_F(Batches, REQ_MB_6_AnExceptionReachesItsOwnBatchOnly) {
  Batcher<int, int> batcher(loop_, {.max_size = 1}, [](Jobs jobs) -> Results {
    if (jobs[0] == 1) throw std::out_of_range("thrown");
    return Results{jobs[0]};
  });
  const auto one = batcher.submit(1);
  const auto two = batcher.submit(2);
  turn();
  EXPECT_NE(one.result().reason_as<std::out_of_range>(), nullptr);
  EXPECT_EQ(*two.result().value(), 2);
}

TEST_F(Batches, REQ_MB_7_KeysHaveBatchesOfTheirOwnUpToABound) {
  Batcher<int, int, int> batcher(loop_, {.max_waiting = 10, .key = [](int job) { return job % 10; }, .max_keys = 2},
                                 doubling());
  batcher.submit(1);
  batcher.submit(2);
  batcher.submit(11);
  batcher.submit(3);  // a third key: the batch of 2 goes, used least recently
  EXPECT_EQ(seen_, Jobs{2});
  EXPECT_EQ(batcher.stats().by(BatchTrigger::key_limit), 1u);
  finish();
  EXPECT_EQ(seen_, (Jobs{2, 1, 11, 3}));
}

TEST_F(Batches, REQ_MB_8_Statistics) {
  Batcher<int, int> batcher(loop_, {.max_size = 2}, gated());
  batcher.submit(1);
  batcher.submit(2);
  clock_.advance(1ms);
  batcher.submit(3);
  EXPECT_EQ(batcher.stats().in_flight, 1u);
  EXPECT_EQ(batcher.stats().waiting, 1u);
  EXPECT_EQ(batcher.stats().accepted, 3u);
  EXPECT_EQ(batcher.stats().sizes.max(), 2u);
}

TEST_F(Batches, TheProcessorSeesItsJobsContexts) {
  static const ContextKey<int> id("id");
  std::vector<int> ids;
  Batcher<int, void> batcher(loop_, {.max_size = 2}, [&](Jobs, const BatchCall& call) {
    for (const Context& context : call.contexts) ids.push_back(*context.get(id));
  });
  for (const int n : {7, 8}) {
    const ContextScope scope(Context().with(id, n));
    batcher.submit(n);
  }
  EXPECT_EQ(ids, (std::vector<int>{7, 8}));
}

TEST_F(Batches, ResultsMayBeMoveOnlyAndVoid) {
  using Box = std::unique_ptr<int>;
  Batcher<Box, Box> boxes(loop_, {.max_size = 1}, [](std::vector<Box> jobs) {
    std::vector<Result<Box>> results;
    for (auto& job : jobs) results.push_back(std::move(job));
    return results;
  });
  int got = 0;
  boxes.submit(std::make_unique<int>(5)).result().then([&](Box box) { got = *box; });
  Batcher<int> nothing(loop_, {.max_size = 1}, [](Jobs) -> Result<void> { return fail(Errc::not_found, "none"); });
  const auto job = nothing.submit(1);
  turn();
  EXPECT_EQ(got, 5);
  EXPECT_TRUE(job.result().reason()->is(Errc::not_found));
}

TEST_F(Batches, DestroyedByItsProcessor) {
  std::unique_ptr<Batcher<int, int>> batcher;
  batcher = std::make_unique<Batcher<int, int>>(loop_, Batcher<int, int>::Options{.max_size = 1}, [&](Jobs jobs) {
    batcher.reset();
    return Results{jobs[0]};
  });
  const auto job = batcher->submit(1);
  turn();
  EXPECT_EQ(*job.result().value(), 1);
}

TEST_F(Batches, DestroyedWhileItsProcessorIsAtWork) {
  auto batcher = std::make_unique<Batcher<int, int>>(loop_, Batcher<int, int>::Options{.max_size = 1}, gated());
  const auto one = batcher->submit(1);
  const auto two = batcher->submit(2);
  batcher.reset();
  EXPECT_TRUE(calls_[0].stop_requested());
  EXPECT_TRUE(two.result().reason()->is(Errc::closed));
  gates_[0]->open();
  turn();
  EXPECT_EQ(*one.result().value(), 2);
}

}  // namespace
}  // namespace gyre::poll
