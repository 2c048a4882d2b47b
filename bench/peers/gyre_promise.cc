#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include <gyre/promise/combinators.h>
#include <gyre/promise/promise.h>

#include "harness/promise_workloads.h"
#include "harness/workloads.h"

namespace {

using namespace bench;
using gyre::Loop;
using gyre::Promise;
using gyre::Resolver;

constexpr int kRegistered = 100'000;

// In a task of a loop that runs; a checkpoint is what runs reactions.
template <typename Body>
void run_in_loop(Body body) {
  pin_to(kLoopCpu);
  auto& loop = make_forever<Loop>(gyre::LoopOptions{.auto_exit = true});
  static_cast<void>(loop.set_immediate([&] { body(loop); }));
  static_cast<void>(loop.run());
}

void require(bool holds) {
  if (holds) return;
  std::fputs("bench: a promise has the wrong value\n", stderr);
  std::exit(1);
}

void chain_of_continuations(Loop& loop, std::int64_t links) {
  auto [promise, resolver] = Promise<std::int64_t>::with_resolver(loop);
  for (std::int64_t i = 0; i < links; ++i) promise = promise.then([](std::int64_t value) { return value + 1; });
  resolver.resolve(0);
  loop.run_checkpoint();
  require(*promise.value() == links);
}

Promise<std::int64_t> nested(Loop& loop, std::int64_t depth) {
  if (depth == 0) {
    co_await Promise<void>::resolved(loop);
    co_return 0;
  }
  co_return co_await nested(loop, depth - 1) + 1;
}

void promise_chain(const Args& args, Report& report) {
  const std::int64_t length = args.number("len", 10);
  const bool coroutines = args.variant() == "coroutine";
  run_in_loop([&](Loop& loop) {
    measure_rounds(args, report, [&](std::int64_t ops) {
      for (std::int64_t i = 0; i < ops / length; ++i) {
        if (!coroutines) {
          chain_of_continuations(loop, length);
          continue;
        }
        const auto promise = nested(loop, length);
        loop.run_checkpoint();
        require(*promise.value() == length);
      }
    });
  });
}

Promise<void> await_ready(Loop& loop, std::int64_t ops) {
  const auto promise = Promise<std::int64_t>::resolved(loop, 1);
  std::int64_t sum = 0;
  for (std::int64_t i = 0; i < ops; ++i) sum += co_await promise;
  require(sum == ops);
}

void promise_one(const Args& args, Report& report) {
  const std::string variant = args.variant();
  struct Counter final : gyre::PromiseObserver {
    void on_transition(const gyre::PromiseEvent&) override { ++events; }
    std::int64_t events = 0;
  };
  static Counter counter;
  run_in_loop([&](Loop& loop) {
    if (variant == "traced") gyre::Promises::of(loop).options().trace_depth = 5;
    if (variant == "observed") gyre::Promises::of(loop).options().observer = &counter;
    measure_rounds(args, report, [&](std::int64_t ops) {
      std::int64_t sum = 0;
      if (variant == "await") {
        await_ready(loop, ops);
        loop.run_checkpoint();
        return;
      }
      for (std::int64_t i = 0; i < ops; ++i) {
        if (variant == "ready") {
          Promise<std::int64_t>::resolved(loop, 1).then([&](std::int64_t value) { sum += value; });
        } else {
          auto [promise, resolver] = Promise<std::int64_t>::with_resolver(loop);
          promise.then([&](std::int64_t value) { sum += value; });
          resolver.resolve(1);
        }
        if (variant != "burst" || i % 100 == 99 || i + 1 == ops) loop.run_checkpoint();
      }
      require(sum == ops);
    });
  });
}

void promise_all(const Args& args, Report& report) {
  run_in_loop([&](Loop& loop) {
    measure_rounds(args, report, [&](std::int64_t ops) {
      for (std::int64_t i = 0; i < ops / kJoined; ++i) {
        std::vector<Promise<int>> promises;
        std::vector<Resolver<int>> resolvers;
        promises.reserve(kJoined);
        resolvers.reserve(kJoined);
        for (int k = 0; k < kJoined; ++k) {
          auto [promise, resolver] = Promise<int>::with_resolver(loop);
          promises.push_back(std::move(promise));
          resolvers.push_back(std::move(resolver));
        }
        const auto all = gyre::all(loop, promises);
        for (int k = 0; k < kJoined; ++k) resolvers[static_cast<std::size_t>(k)].resolve(k);
        loop.run_checkpoint();
        require(all.value()->back() == kJoined - 1);
      }
    });
  });
}

struct Registered {
  explicit Registered(Loop& loop) {
    std::mt19937_64 random(20);
    promises.reserve(kRegistered);
    resolvers.reserve(kRegistered);
    for (int i = 0; i < kRegistered; ++i) {
      auto [promise, resolver] = Promise<int>::with_resolver(loop);
      promises.push_back(std::move(promise));
      resolvers.push_back(std::move(resolver));
      order.push_back(static_cast<std::size_t>(i));
    }
    std::shuffle(order.begin(), order.end(), random);
  }
  std::vector<Promise<int>> promises;
  std::vector<Resolver<int>> resolvers;
  std::vector<std::size_t> order;
};

void settle_in_batches(std::size_t batch, Report& report, int round) {
  auto& loop = make_forever<Loop>(gyre::LoopOptions{.auto_exit = true});
  static_cast<void>(loop.set_immediate([&] {
    Registered registered(loop);
    std::vector<double> batches;
    batches.reserve(registered.order.size() / batch + 1);
    Stretch stretch;
    stretch.begin();
    for (std::size_t begin = 0; begin < registered.order.size(); begin += batch) {
      const std::int64_t before = now_ns();
      for (std::size_t i = begin; i < std::min(begin + batch, registered.order.size()); ++i) {
        const std::size_t which = registered.order[i];
        registered.resolvers[which].resolve(1);
        registered.promises[which] = {};
        registered.resolvers[which] = {};
      }
      loop.run_checkpoint();
      batches.push_back(static_cast<double>(now_ns() - before));
    }
    stretch.end();
    if (round > 0) {
      report.add_round(static_cast<double>(stretch.duration()), kRegistered, stretch.counts(),
                       {{"batch_p99_ns", quantile(batches, 0.99)}, {"batch_longest_ns", quantile(batches, 1)}});
    }
  }));
  static_cast<void>(loop.run());
}

void reject_at_the_end(Report& report, int round) {
  auto& loop = make_forever<Loop>();
  const Registered registered(loop);
  Stretch stretch;
  stretch.begin();
  static_cast<void>(loop.close());
  stretch.end();
  require(registered.promises.front().is_rejected() && registered.promises.back().is_rejected());
  if (round > 0) report.add_round(static_cast<double>(stretch.duration()), kRegistered, stretch.counts());
}

void promise_registry(const Args& args, Report& report) {
  pin_to(kLoopCpu);
  const auto batch = static_cast<std::size_t>(args.number("batch", 1));
  for (int round = 0; round <= kRounds; ++round) settle_in_batches(batch == 0 ? kRegistered : batch, report, round);
}

void promise_registry_end(const Args&, Report& report) {
  pin_to(kLoopCpu);
  for (int round = 0; round <= kRounds; ++round) reject_at_the_end(report, round);
}

}  // namespace

std::span<const bench::PromiseWorkload> bench::promise_workloads() {
  static constexpr PromiseWorkload kWorkloads[] = {
      {"promise_chain", promise_chain},
      {"promise_one", promise_one},
      {"promise_all", promise_all},
      {"promise_registry", promise_registry},
      {"promise_registry_end", promise_registry_end},
  };
  return kWorkloads;
}
