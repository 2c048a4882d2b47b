#include <cstdlib>
#include <memory>
#include <new>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/promise/combinators.h>
#include <gyre/promise/internal/test_support.h>
#include <gyre/promise/timers.h>

// Ways to make promises, contexts, batches, traces.

namespace gyre {
namespace {

using testing::must;
using testing::some_error;
using namespace std::chrono_literals;

class Helpers : public testing::PromiseTest {};

TEST_F(Helpers, P43_TryCallsAtOnce) {
  auto value = try_(loop_, [] { return 5; });
  EXPECT_EQ(*value.value(), 5);
  auto failed = try_(loop_, []() -> int { throw std::runtime_error("x"); }).ignore_rejection();
  EXPECT_STREQ(failed.reason_as<std::runtime_error>()->what(), "x");
  EXPECT_EQ(try_(loop_, [] { return some_error("a value"); }).value()->message(), "a value");
  auto adopted = try_(loop_, [&] { return Promise<int>::resolved(loop_, 6); });
  EXPECT_TRUE(adopted.is_pending());
  auto nothing = try_(loop_, [] {});
  EXPECT_TRUE(nothing.is_fulfilled());
  loop_.run_checkpoint();
  EXPECT_EQ(*adopted.value(), 6);
}

TEST_F(Helpers, MakeCallsItsExecutorAtOnce) {
  auto promise = Promise<int>::make(loop_, [&](Resolver<int> resolver) {
    says("executor");
    resolver.resolve(3);
    throw std::runtime_error("ignored: it is resolved");
  });
  EXPECT_EQ(log_, Lines{"executor"});
  EXPECT_EQ(*promise.value(), 3);
  auto failed = Promise<int>::make(loop_, [](const Resolver<int>&) { throw std::runtime_error("x"); });
  EXPECT_TRUE(failed.ignore_rejection().is_rejected());
}

TEST_F(Helpers, P44_SleepAndTimeoutTakeTheirTimeOnTheLoopsClock) {
  ManualClock clock(ManualClock::Mode::automatic);
  Loop loop({.auto_exit = true, .clock = &clock});
  const auto start = clock.now();
  must(loop.post([&] {
    sleep_for(loop, 20ms).then([&] { EXPECT_EQ(clock.now() - start, 20ms); });
    timeout(loop, 30ms).catch_(Errc::timed_out, [&](const Error& e) {
      EXPECT_EQ(clock.now() - start, 30ms);
      says(e.message());
    });
    delay(loop, 25ms, std::string("value")).then([&](const std::string& s) { says(s); });
  }));
  must(loop.run());
  EXPECT_EQ(log_, (Lines{"value", "timeout after 30ms"}));
}

TEST_F(Helpers, P47_ARaceAgainstATimeout) {
  const auto never = Promise<void>::with_resolver(loop_);
  run([&] {
    race(loop_, std::vector{never.promise, timeout(loop_, 1ms)}).catch_([&](const Error& e) {
      says(e.is(Errc::timed_out) ? "timed out" : "?");
    });
  });
  EXPECT_EQ(log_, Lines{"timed out"});
}

TEST_F(Helpers, R06_V8_WithTimeoutCancelsItsTimerAndStopsTheSource) {
  ManualClock clock(ManualClock::Mode::automatic);
  Loop loop({.auto_exit = true, .clock = &clock});
  const auto start = clock.now();
  auto stop = std::make_unique<std::stop_source>();
  auto slow = Promise<int>::with_resolver(loop);
  must(loop.post([&] {
    with_timeout(delay(loop, 1ms, 4), 1h).then([&](int n) { says(std::to_string(n)); });
    with_timeout(slow.promise, 5ms, *stop).catch_(Errc::timed_out, [&](const Error&) {
      says("late");
      return 0;
    });
  }));
  must(loop.run());
  EXPECT_EQ(log_, (Lines{"4", "late"}));
  EXPECT_TRUE(stop->stop_requested());
  EXPECT_EQ(clock.now() - start, 5ms);  // nobody has waited for the hour
}

TEST_F(Helpers, V8_LosersAreStoppedOnRequest) {
  auto stop = std::make_unique<std::stop_source>();
  run([&] {
    const auto fast = sleep_for(loop_, 1ms);
    const auto slow = sleep_for(loop_, 1h, stop->get_token());
    stop_after(race(loop_, std::vector{fast, slow}), *stop);
  });
  EXPECT_TRUE(stop->stop_requested());
}

// --- Context (R29) ---

const ContextKey<std::string>& name_key() {
  static const ContextKey<std::string> key("name");
  return key;
}
std::string current_name() {
  const auto* name = Context::current().get(name_key());
  return name == nullptr ? "none" : *name;
}
Promise<void> awaits(Loop& loop, std::vector<std::string>& log) {
  log.push_back(current_name());
  co_await Promise<void>::resolved(loop);
  log.push_back(current_name());
}

TEST_F(Helpers, R29_HandlersAndCoroutinesHaveTheContextOfTheirRegistration) {
  run([&] {
    auto [promise, resolver] = Promise<int>::with_resolver(loop_);
    const auto look = [&](const auto&...) { says(current_name()); };
    {
      const ContextScope scope(Context::current().with(name_key(), std::string("then")));
      promise.then(look);
      promise.finally([&] { says(current_name()); });
      awaits(loop_, log_);
    }
    promise.then(look);
    const ContextScope scope(Context::current().with(name_key(), std::string("resolve")));
    resolver.resolve(1);
  });
  EXPECT_EQ(log_, (Lines{"then", "then", "then", "then", "none"}));
}

// --- Batches (R28) ---

std::vector<std::string> run_random_program(unsigned seed, std::size_t batch) {
  std::mt19937 random(seed);
  std::vector<std::string> log;
  Loop loop({.auto_exit = true});
  Promises promises(loop,
                    {.on_unhandled_rejection = [&](const Reason& r) { log.push_back("unhandled " + r.message()); },
                     .reaction_batch = batch});
  std::vector<PromiseWithResolver<int>> pairs;
  int next = 0;
  std::function<void(int)> step = [&](int depth) {
    const auto kind = random() % 9;
    const std::string name = std::to_string(next++);
    auto& pair = pairs[random() % pairs.size()];
    const auto handler = [&, name, depth](const auto&...) {
      log.push_back("handler " + name);
      if (depth < 4) step(depth + 1);
      if (random() % 7 == 0) throw std::runtime_error(name);
    };
    switch (kind) {
      case 0:
      case 1:
      case 2:
        pair.promise.then(handler);
        break;
      case 3:
        pair.promise.then(handler, handler);
        break;
      case 4:
        pair.promise.finally(handler);
        break;
      case 5:
        must(loop.queue_microtask([&log, name] { log.push_back("microtask " + name); }));
        break;
      case 6:
        must(loop.next_tick([&log, name] { log.push_back("tick " + name); }));
        break;
      case 7:
        pair.resolver.resolve(1);
        break;
      default:
        pair.resolver.reject(some_error(name));
    }
  };
  for (int i = 0; i < 4; ++i) pairs.push_back(Promise<int>::with_resolver(promises));
  for (int task = 0; task < 4; ++task) {
    must(loop.post([&] {
      for (int i = 0; i < 20; ++i) step(0);
    }));
  }
  must(loop.run());
  return log;
}

TEST_F(Helpers, R28_BatchesChangeNoOrder) {
  std::size_t lines = 0;
  for (unsigned seed = 0; seed < 200; ++seed) {
    const auto plain = run_random_program(seed, 1);
    for (const std::size_t batch : {2u, 3u, 1000u}) ASSERT_EQ(run_random_program(seed, batch), plain) << seed;
    lines += plain.size();
  }
  EXPECT_GT(lines, 5000u);
}

TEST_F(Helpers, R28_ABatchIsOneMicrotask) {
  Promises promises(loop_, {.reaction_batch = 10});
  int ran = 0;
  run([&] {
    auto [promise, resolver] = Promise<int>::with_resolver(promises);
    for (int i = 0; i < 25; ++i) promise.then([&](int) { ++ran; });
    const auto before = loop_.stats().callbacks;
    resolver.resolve(1);
    loop_.run_checkpoint();
    EXPECT_EQ(loop_.stats().callbacks - before, 3u);
  });
  EXPECT_EQ(ran, 25);
}

TEST_F(Helpers, OptionsOutOfRangeAreRefused) {
  EXPECT_THROW(Promises(loop_, {.reaction_batch = 0}), std::invalid_argument);
}

// --- Traces (R34) ---

TEST_F(Helpers, R34_V9_TheTraceNamesTheChainNearestFirst) {
  Promises promises(loop_, {.trace_depth = 2});
  const auto root = Promise<int>::resolved(promises, 1);
  const auto line = std::source_location::current().line();
  auto child = root.then([](int) { throw std::runtime_error("x"); });
  auto grandchild = child.then([] {});
  loop_.run_checkpoint();
  grandchild.ignore_rejection();
  const auto trace = grandchild.reason()->trace();
  ASSERT_EQ(trace.size(), 2u);
  EXPECT_EQ(trace[0].line(), line + 1);  // where the handler that threw was registered
  EXPECT_EQ(trace[1].line(), line - 1);
}

}  // namespace
}  // namespace gyre
