#include <cstdio>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include <gyre/promise/combinators.h>
#include <gyre/promise/internal/test_support.h>
#include <gyre/promise/timers.h>

// Nothing is kept that nobody needs.

namespace gyre {
namespace {

using testing::Counted;
using testing::must;
using testing::some_error;

class Memory : public testing::PromiseTest {
 protected:
  static void run_program(std::mt19937& random, Loop& loop, Promises& promises) {
    std::vector<Promise<int>> made;
    std::vector<Resolver<int>> resolvers;
    const auto pick = [&](std::size_t below) { return random() % below; };
    const auto any_promise = [&]() -> Promise<int>& { return made[pick(made.size())]; };
    made.push_back(Promise<int>::resolved(promises, 1));
    for (int step = 0; step < 60; ++step) {
      switch (pick(12)) {
        case 0: {
          auto [promise, resolver] = Promise<int>::with_resolver(promises);
          made.push_back(promise);
          resolvers.push_back(resolver);
          break;
        }
        case 1:
          made.push_back(any_promise().then([](int n) { return n + 1; }));
          break;
        case 2:
          made.push_back(any_promise().then([p = any_promise()](int) { return p; }));
          break;
        case 3:
          made.push_back(any_promise().catch_([p = any_promise()] { return p; }));
          break;
        case 4:
          made.push_back(any_promise().finally([p = any_promise()] { return p; }));
          break;
        case 5:
          if (!resolvers.empty()) resolvers[pick(resolvers.size())].resolve(any_promise());
          break;
        case 6:
          if (!resolvers.empty()) resolvers[pick(resolvers.size())].resolve(step);
          break;
        case 7:
          if (!resolvers.empty()) resolvers[pick(resolvers.size())].reject(some_error());
          break;
        case 8:
          made.push_back(race(promises, std::vector{any_promise(), any_promise()}));
          break;
        case 9:
          made.push_back(
              all(promises, std::vector{any_promise(), any_promise()}).then([](const auto& v) { return v[0]; }));
          break;
        case 10:
          made.push_back(any(promises, std::vector{any_promise(), any_promise()}));
          break;
        default:
          loop.run_checkpoint();
          any_promise() = Promise<int>::resolved(promises, 0);
      }
    }
    made.clear();
    resolvers.clear();
    loop.run_checkpoint();
  }

  Promises promises_{loop_};
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kInstrumented = true;
#elif defined(__has_feature)
constexpr bool kInstrumented = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool kInstrumented = false;
#endif

long resident_pages() {
  long all = 0;
  long resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident;
}

// R13: a million times made, chained, settled, dropped; some never settled at all.
TEST_F(Memory, R13_R44_AMillionCyclesLeaveNothing) {
  long before = 0;
  int ran = 0;
  run([&] {
    for (int i = 0; i < 1'000'000; ++i) {
      auto [promise, resolver] = Promise<int>::with_resolver(promises_);
      auto tail = promise.then([&](int n) { return n + 1; }).finally([&] { ++ran; });
      switch (i % 4) {
        case 0:
          resolver.reject(some_error());
          tail.ignore_rejection();
          break;
        case 1:
          tail.ignore_rejection();  // its resolver goes
          break;
        default:
          resolver.resolve(i);
      }
      if (i % 100 == 0) loop_.run_checkpoint();
      if (i == 100'000) before = resident_pages();
    }
  });
  EXPECT_EQ(promises_.live(), 0u);
  EXPECT_EQ(promises_.unhandled(), 0u);
  if (kInstrumented) return;  // sanitizers keep freed memory back
  const long grown = (resident_pages() - before) * ::sysconf(_SC_PAGESIZE);
  EXPECT_LT(grown, 1 << 20);
}

TEST_F(Memory, P83_APromiseKeptOnlyByItsResolverOrItsChildGoesWithThat) {
  int live = 0;
  Resolver<Counted> resolver;
  {
    auto pair = Promise<Counted>::with_resolver(promises_);
    resolver = std::move(pair.resolver);
  }
  EXPECT_EQ(promises_.live(), 1u);
  resolver.resolve(Counted(live));
  resolver = {};
  EXPECT_EQ(promises_.live(), 0u);
  EXPECT_EQ(live, 0);
  {
    const auto child = Promise<Counted>::resolved_in_place(promises_, live).then([](const Counted&) {});
    EXPECT_EQ(live, 1);
    loop_.run_checkpoint();
    EXPECT_EQ(live, 0);
  }
  EXPECT_EQ(promises_.live(), 0u);
}

TEST_F(Memory, P82_ASettledPromiseKeepsItsValueAndNothingElse) {
  int handlers = 0;
  int values = 0;
  auto promise = Promise<Counted>::resolved_in_place(promises_, values);
  {
    auto first = promise.then([c = Counted(handlers)](const Counted&) {});
    auto second = promise.finally([c = Counted(handlers)] {});
    loop_.run_checkpoint();
    EXPECT_EQ(handlers, 0);
  }
  EXPECT_EQ(promises_.live(), 1u);
  EXPECT_EQ(values, 1);
  promise = {};
  EXPECT_EQ(values, 0);
}

TEST_F(Memory, P82_TheSizeOfAPromise) {
  static_assert(sizeof(Promise<int>) == sizeof(void*));
  static_assert(sizeof(Resolver<int>) == sizeof(void*));
  EXPECT_LE(sizeof(internal::PromiseState<int>), 64u);
  EXPECT_LE(sizeof(internal::PromiseState<std::unique_ptr<int>>), 72u);
}

TEST_F(Memory, ReferencesToItselfEndWithTheHandler) {
  run([&] {
    auto [promise, resolver] = Promise<int>::with_resolver(promises_);
    promise.then([promise, resolver](int) {});
    resolver.resolve(1);
  });
  EXPECT_EQ(promises_.live(), 0u);
}

// Chains that mix everything, in random programs, leave nothing behind, whatever was dropped when. Those that wait for
// themselves, by way of their own handlers, go with the loop.
TEST_F(Memory, RandomProgramsLeaveNothing) {
  for (unsigned seed = 0; seed < 500; ++seed) {
    std::mt19937 random(seed);
    Loop loop;
    Promises promises(loop, {.on_unhandled_rejection = [](const Reason&) {}});
    run_program(random, loop, promises);
    must(loop.close());
    EXPECT_EQ(promises.live(), 0u) << "seed " << seed;
  }
}

}  // namespace
}  // namespace gyre
