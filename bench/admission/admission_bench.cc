// What admission control adds to a task, from its post to its end, and what a refusal costs.
//
//   build/bench/bin/bench_admission --benchmark_repetitions=5 --benchmark_report_aggregates_only=true
//
// One thread posts a thousand tasks and then runs them, so that no two threads wait for each other. No limit is reached
// where tasks are accepted.

#include <chrono>
#include <cstdint>
#include <utility>

#include <benchmark/benchmark.h>

#include <gyre/loop/loop.h>

namespace {

using namespace std::chrono_literals;

constexpr int kTasks = 1000;

enum Limits : std::int64_t { without, counted, depth, rate, category };

gyre::rate::Rates many() {
  return gyre::rate::Rates::create({{.duration = 1ms, .limit = 1'000'000}}).value();
}

gyre::LoopOptions options_of(std::int64_t limits) {
  gyre::LoopOptions options;
  if (limits == without) return options;
  gyre::AdmissionLimits& given = options.admission.emplace().limits;
  if (limits >= depth) given.max_depth = 1'000'000'000;
  if (limits == rate) given.rates = many();
  if (limits == category) given.category_rates = many();
  return options;
}

/// RATE_43: `without` is what a loop costs that has no admission control.
void posted_by_remote(benchmark::State& state) {
  gyre::Loop loop(options_of(state.range(0)));
  gyre::Remote remote = loop.remote();
  std::int64_t ran = 0;
  for (auto _ : state) {
    if (state.range(0) == category) {
      for (int i = 0; i < kTasks; ++i) (void)remote.post_in("tenant", [&ran] { ++ran; });
    } else {
      for (int i = 0; i < kTasks; ++i) (void)remote.post([&ran] { ++ran; });
    }
    (void)loop.poll_once();
  }
  if (ran != state.iterations() * kTasks) state.SkipWithError("a task was refused");
  state.SetItemsProcessed(ran);
}
BENCHMARK(posted_by_remote)->ArgName("limits")->DenseRange(without, category);

void posted_by_loop(benchmark::State& state) {
  gyre::Loop loop(options_of(state.range(0)));
  std::int64_t ran = 0;
  for (auto _ : state) {
    for (int i = 0; i < kTasks; ++i) (void)loop.post([&ran] { ++ran; });
    (void)loop.poll_once();
  }
  if (ran != state.iterations() * kTasks) state.SkipWithError("a task was refused");
  state.SetItemsProcessed(ran);
}
BENCHMARK(posted_by_loop)->ArgName("limits")->DenseRange(without, rate);

void refused(benchmark::State& state) {
  gyre::LoopOptions options;
  gyre::AdmissionLimits& limits = options.admission.emplace().limits;
  if (state.range(0) == depth) {
    limits.max_depth = 1;
  } else {
    limits.rates = gyre::rate::Rates::create({{.duration = 24h, .limit = 1}}).value();
  }
  gyre::Loop loop(std::move(options));
  gyre::Remote remote = loop.remote();
  (void)remote.post([] {});
  for (auto _ : state) benchmark::DoNotOptimize(remote.post([] {}));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(refused)->ArgName("limits")->Arg(depth)->Arg(rate);

}  // namespace
