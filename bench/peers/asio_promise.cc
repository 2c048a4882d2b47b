#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include <boost/asio.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "harness/promise_workloads.h"
#include "harness/workloads.h"

namespace {

using namespace bench;
namespace asio = boost::asio;
using asio::awaitable;
using asio::use_awaitable;

void require(bool holds) {
  if (holds) return;
  std::fputs("bench: a coroutine has the wrong value\n", stderr);
  std::exit(1);
}

// `rounds` is a coroutine that measures; its frame and what it refers to live to the end of the program.
template <typename Rounds>
void run_in_loop(Rounds& rounds) {
  pin_to(kLoopCpu);
  auto& context = make_forever<asio::io_context>(1);
  asio::co_spawn(context, rounds(), asio::detached);
  context.run();
}

// As measure_rounds, for work that is a coroutine.
template <typename Work>
awaitable<void> await_rounds(const Args& args, Report& report, Work& work) {
  const std::int64_t n = args.number("n", 1'000'000);
  for (int round = 0; round <= kRounds; ++round) {
    const std::int64_t ops = round == 0 ? std::max<std::int64_t>(n / 10, kJoined) : n;
    Stretch stretch;
    stretch.begin();
    co_await work(ops);
    stretch.end();
    if (round > 0) report.add_round(static_cast<double>(stretch.duration()), ops, stretch.counts());
  }
}

awaitable<std::int64_t> nested(std::int64_t depth) {
  if (depth == 0) {
    co_await asio::post(use_awaitable);
    co_return 0;
  }
  co_return co_await nested(depth - 1) + 1;
}

void promise_chain(const Args& args, Report& report) {
  const std::int64_t length = args.number("len", 10);
  auto work = [length](std::int64_t ops) -> awaitable<void> {
    for (std::int64_t i = 0; i < ops / length; ++i) require(co_await nested(length) == length);
  };
  auto rounds = [&]() { return await_rounds(args, report, work); };
  run_in_loop(rounds);
}

awaitable<std::int64_t> returns_at_once() {
  co_return 1;
}

// `post`: one pass through the loop. Variant `call`: a coroutine that returns at once, with no pass through the loop.
void promise_one(const Args& args, Report& report) {
  const bool call = args.variant() == "call";
  auto work = [call](std::int64_t ops) -> awaitable<void> {
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < ops; ++i) {
      if (call) {
        sum += co_await returns_at_once();
      } else {
        co_await asio::post(use_awaitable);
        ++sum;
      }
    }
    require(sum == ops);
  };
  auto rounds = [&]() { return await_rounds(args, report, work); };
  run_in_loop(rounds);
}

// Coroutines that each await a post and are counted down; the last cancels a timer that the parent awaits.
void promise_all(const Args& args, Report& report) {
  struct Join {
    explicit Join(const asio::any_io_executor& executor) : done(executor) {}
    asio::steady_timer done;
    int left = kJoined;
  };
  static const auto child = [](Join& join) -> awaitable<void> {
    co_await asio::post(use_awaitable);
    if (--join.left == 0) join.done.cancel();
  };
  auto work = [](std::int64_t ops) -> awaitable<void> {
    const auto executor = co_await asio::this_coro::executor;
    for (std::int64_t i = 0; i < ops / kJoined; ++i) {
      Join join(executor);
      join.done.expires_at(std::chrono::steady_clock::time_point::max());
      for (int k = 0; k < kJoined; ++k) asio::co_spawn(executor, child(join), asio::detached);
      boost::system::error_code cancelled;
      co_await join.done.async_wait(asio::redirect_error(use_awaitable, cancelled));
      require(join.left == 0);
    }
  };
  auto rounds = [&]() { return await_rounds(args, report, work); };
  run_in_loop(rounds);
}

}  // namespace

std::span<const bench::PromiseWorkload> bench::promise_workloads() {
  static constexpr PromiseWorkload kWorkloads[] = {
      {"promise_chain", promise_chain}, {"promise_one", promise_one}, {"promise_all", promise_all}};
  return kWorkloads;
}
