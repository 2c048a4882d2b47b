// What a decision costs, beside a token bucket in a map behind a mutex, which is what one would write by hand.
//
//   build/bench/bin/bench_rate --benchmark_repetitions=5 --benchmark_report_aggregates_only=true
//
// "Now" in a name: the time is handed in, read once, so that the limiter is measured and not the clock.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include <benchmark/benchmark.h>

#include <gyre/rate/limiter.h>

namespace {

using namespace std::chrono_literals;
using gyre::Duration;
using gyre::TimePoint;
namespace rate = gyre::rate;

TimePoint now() {
  return std::chrono::steady_clock::now();
}

/// The usual hand-made limiter: one mutex, one map, tokens as a double.
class MutexMapBuckets {
 public:
  MutexMapBuckets(double per_second, double burst) : per_second_(per_second), burst_(burst) {}

  bool allow(std::uint64_t key) { return allow_at(now(), key); }
  bool allow_at(TimePoint time, std::uint64_t key) {
    const std::lock_guard lock(mutex_);
    const auto [found, added] = buckets_.try_emplace(key, Bucket{burst_, time});
    Bucket& bucket = found->second;
    const double seconds = std::chrono::duration<double>(time - bucket.last).count();
    bucket.tokens = std::min(burst_, bucket.tokens + std::max(seconds, 0.0) * per_second_);
    bucket.last = time;
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

 private:
  struct Bucket {
    double tokens;
    TimePoint last;
  };
  const double per_second_;
  const double burst_;
  std::mutex mutex_;
  std::unordered_map<std::uint64_t, Bucket> buckets_;
};

using Limiter = rate::Limiter<std::uint64_t>;

constexpr std::int64_t kFew = 1;
constexpr std::int64_t kMany = 1'000'000'000;

rate::Rates one_window(std::int64_t limit) {
  return rate::Rates::create({{.duration = 1h, .limit = limit}}).value();
}
/// Keys in an order that caches do not foresee.
class Keys {
 public:
  Keys(std::uint64_t count, int thread) : count_(count), state_(static_cast<std::uint64_t>(thread) * 977 + 1) {}
  std::uint64_t next() {
    if (count_ == 1) return 0;
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return (state_ >> 33) % count_;
  }

 private:
  std::uint64_t count_;
  std::uint64_t state_;
};

template <typename Made>
class Shared : public benchmark::Fixture {
 public:
  void SetUp(const benchmark::State& state) override {
    const std::lock_guard lock(mutex_);
    if (users_++ == 0) fill(static_cast<std::uint64_t>(state.range(0)));
  }
  void TearDown(const benchmark::State&) override {
    const std::lock_guard lock(mutex_);
    if (--users_ == 0) made_.reset();
  }

 protected:
  virtual std::unique_ptr<Made> make() = 0;
  void fill(std::uint64_t keys) {
    made_ = make();
    for (std::uint64_t key = 0; key < keys; ++key) static_cast<void>(made_->allow(key));
  }
  template <bool kClock>
  void run(benchmark::State& state) {
    Keys keys(static_cast<std::uint64_t>(state.range(0)), state.thread_index());
    const TimePoint time = now();
    for (auto _ : state) {
      if constexpr (kClock) {
        benchmark::DoNotOptimize(made_->allow(keys.next()));
      } else {
        benchmark::DoNotOptimize(made_->allow_at(time, keys.next()));
      }
    }
    state.SetItemsProcessed(state.iterations());
  }

  std::unique_ptr<Made> made_;

 private:
  std::mutex mutex_;
  int users_ = 0;
};

#define GYRE_CASE(NAME, TYPE, MAKE)                                                                \
  struct NAME : Shared<TYPE> {                                                                     \
    std::unique_ptr<TYPE> make() override {                                                        \
      return MAKE;                                                                                 \
    }                                                                                              \
  };                                                                                               \
  BENCHMARK_DEFINE_F(NAME, Now)(benchmark::State & state) {                                        \
    run<false>(state);                                                                             \
  }                                                                                                \
  BENCHMARK_DEFINE_F(NAME, Clock)(benchmark::State & state) {                                      \
    run<true>(state);                                                                              \
  }                                                                                                \
  BENCHMARK_REGISTER_F(NAME, Now)->Arg(1)->Arg(1'000'000)->Threads(1)->Threads(10)->UseRealTime(); \
  BENCHMARK_REGISTER_F(NAME, Clock)->Arg(1)->Arg(1'000'000)->Threads(1)->Threads(10)->UseRealTime()

GYRE_CASE(Refuse, Limiter,
          std::make_unique<Limiter>(one_window(kFew), rate::LimiterOptions{.max_categories = 2'000'000}));
GYRE_CASE(RefuseByHand, MutexMapBuckets, std::make_unique<MutexMapBuckets>(1e-9, 1.0));
GYRE_CASE(AcceptTokenBucket, Limiter,
          std::make_unique<Limiter>(
              rate::Limiter<std::uint64_t>::token_buckets({.tokens = kMany, .per = 1s, .burst = kMany}).value()));
GYRE_CASE(AcceptByHand, MutexMapBuckets, std::make_unique<MutexMapBuckets>(1e9, 1e9));

/// The exact log with three windows, in steady state: full, and every acceptance drops the oldest event.
void AcceptExact64ThreeWindows(benchmark::State& state) {
  const auto keys = static_cast<std::uint64_t>(state.range(0));
  Limiter limiter(rate::Rates::create({{1us, 2}, {10us, 10}, {100us, 60}}).value(), {.max_categories = 2'000'000});
  TimePoint time = now();
  for (int i = 0; i < 64; ++i) {
    for (std::uint64_t key = 0; key < keys; ++key) static_cast<void>(limiter.allow_at(time, key));
    time += 10us;
  }
  Keys order(keys, 0);
  std::int64_t accepted = 0;
  for (auto _ : state) {
    time += 2us;
    accepted += limiter.allow_at(time, order.next()).accepted ? 1 : 0;
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["accepted"] = static_cast<double>(accepted) / static_cast<double>(state.iterations());
}
BENCHMARK(AcceptExact64ThreeWindows)->Arg(1)->Arg(100'000);

/// A category that was looked up before.
void RefuseByName(benchmark::State& state) {
  Limiter limiter(one_window(2));
  auto name = limiter.category(7).value();
  const TimePoint time = now();
  while (name.allow_at(time).accepted) {
  }
  for (auto _ : state) benchmark::DoNotOptimize(name.allow_at(time));
}
BENCHMARK(RefuseByName);

void ReadTheClock(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(now());
}
BENCHMARK(ReadTheClock);

void NewKeysAtTheCap(benchmark::State& state) {
  Limiter limiter(one_window(5), {.max_categories = 100'000});
  std::uint64_t key = 0;
  const TimePoint time = now();
  for (auto _ : state) benchmark::DoNotOptimize(limiter.allow_at(time, ++key));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(NewKeysAtTheCap);

}  // namespace
