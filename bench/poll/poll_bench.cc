#include <functional>
#include <vector>

#include <benchmark/benchmark.h>

#include <gyre/poll/batcher.h>
#include <gyre/poll/scheduler.h>

// What the scheduler and the batcher cost beside a timer loop and a vector by hand. The clock is set by hand too, so
// that no time is spent waiting.

namespace {

using namespace std::chrono_literals;
using gyre::poll::Control;
using gyre::poll::SecondStage;

constexpr int kPolls = 200'000;

/// Each task polls, and asks to be polled again in its second stage.
void scheduled_polls(benchmark::State& state) {
  const auto tasks = static_cast<int>(state.range(0));
  for (auto _ : state) {
    gyre::ManualClock clock(gyre::ManualClock::Mode::automatic);
    gyre::Loop loop({.clock = &clock});
    gyre::poll::Scheduler<int> poller(loop);
    std::stop_source stop;
    int left = kPolls;
    for (int i = 0; i < tasks; ++i) {
      (void)poller.add(i, [&, i]() -> SecondStage<int> {
        return [&, i](Control<int>& control) {
          if (--left == 0) stop.request_stop();
          (void)control.schedule(i, 1ms);
        };
      });
    }
    (void)poller.add_run_hook([&](Control<int>& control) {
      for (int i = 0; i < tasks; ++i) (void)control.schedule_asap(i);
    });
    benchmark::DoNotOptimize(poller.run_here({.stop = stop.get_token()}));
  }
  state.SetItemsProcessed(state.iterations() * kPolls);
}
BENCHMARK(scheduled_polls)->Arg(10)->Arg(10'000);

/// A timer a task, which arms itself again: no single flight, no errors, no order among the decisions.
void polls_by_hand(benchmark::State& state) {
  const auto tasks = static_cast<int>(state.range(0));
  for (auto _ : state) {
    gyre::ManualClock clock(gyre::ManualClock::Mode::automatic);
    gyre::Loop loop({.clock = &clock});
    std::stop_source stop;
    int left = kPolls;
    std::function<void()> poll = [&] {
      if (--left == 0) stop.request_stop();
      (void)loop.set_timeout(1ms, [&] { poll(); });
    };
    for (int i = 0; i < tasks; ++i) (void)loop.set_timeout(0ms, [&] { poll(); });
    (void)loop.run(stop.get_token());
  }
  state.SetItemsProcessed(state.iterations() * kPolls);
}
BENCHMARK(polls_by_hand)->Arg(10)->Arg(10'000);

constexpr int kJobs = 160'000;

void batched_jobs(benchmark::State& state) {
  for (auto _ : state) {
    gyre::Loop loop({.auto_exit = true});
    long sum = 0;
    gyre::poll::Batcher<int> batcher(loop, {.max_size = 16, .max_waiting = kJobs}, [&](const std::vector<int>& jobs) {
      for (const int job : jobs) sum += job;
    });
    (void)loop.post([&] {
      for (int i = 0; i < kJobs; ++i) batcher.submit(i);
    });
    (void)loop.run();
    benchmark::DoNotOptimize(sum);
  }
  state.SetItemsProcessed(state.iterations() * kJobs);
}
BENCHMARK(batched_jobs);

/// A vector that is handed over when it is full, with a callback for each job.
void jobs_by_hand(benchmark::State& state) {
  for (auto _ : state) {
    gyre::Loop loop({.auto_exit = true});
    long sum = 0;
    std::vector<std::pair<int, std::function<void()>>> open;
    (void)loop.post([&] {
      for (int i = 0; i < kJobs; ++i) {
        open.emplace_back(i, [&sum] { ++sum; });
        if (open.size() < 16) continue;
        (void)loop.post([&, batch = std::exchange(open, {})] {
          for (const auto& [job, done] : batch) {
            sum += job;
            done();
          }
        });
      }
    });
    (void)loop.run();
    benchmark::DoNotOptimize(sum);
  }
  state.SetItemsProcessed(state.iterations() * kJobs);
}
BENCHMARK(jobs_by_hand);

}  // namespace
