#include <cstdlib>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/base/internal/test_allocations.h>
#include <gyre/promise/combinators.h>
#include <gyre/promise/event_target.h>
#include <gyre/promise/internal/test_support.h>

// Shows that promises at work allocate nothing: their blocks are recycled.

namespace gyre {
namespace {

using testing::allocations;
using testing::must;

class PromiseAllocation : public testing::PromiseTest {
 protected:
  /// What `work` allocates when it is done for the third time.
  template <typename Work>
  std::size_t allocations_of(Work work) {
    std::size_t counted = 0;
    run([&] {
      for (int i = 0; i < 3; ++i) {
        const std::size_t before = allocations;
        work();
        loop_.run_checkpoint();
        counted = allocations - before;
      }
    });
    return counted;
  }
};

Promise<int> add_one(Loop&, Promise<int> promise) {
  co_return co_await promise + 1;
}

TEST_F(PromiseAllocation, V5_R34_NothingInSteadyState) {
  if (!internal::kRecyclesBlocks) GTEST_SKIP() << "with the address sanitizer, blocks are not recycled";
  int sum = 0;
  EXPECT_EQ(allocations_of([&] {
              auto [promise, resolver] = Promise<int>::with_resolver(loop_);
              promise.then([&](int n) { sum += n; });
              resolver.resolve(1);
            }),
            0u);
  EXPECT_GT(sum, 0);
}

TEST_F(PromiseAllocation, NothingForChainsCleanupsAdoptionsAndCoroutines) {
  if (!internal::kRecyclesBlocks) GTEST_SKIP() << "with the address sanitizer, blocks are not recycled";
  EXPECT_EQ(allocations_of([&] {
              auto [promise, resolver] = Promise<int>::with_resolver(loop_);
              for (int i = 0; i < 100; ++i) promise = promise.then([](int n) { return n + 1; });
              promise = promise.then([this](int n) { return Promise<int>::resolved(loop_, n); }).finally([] {});
              promise = add_one(loop_, promise);
              resolver.resolve(1);
              loop_.run_checkpoint();
              EXPECT_EQ(*promise.value(), 102);
            }),
            0u);
}

TEST_F(PromiseAllocation, ACombinatorAllocatesOnceAnArrayEach) {
  if (!internal::kRecyclesBlocks) GTEST_SKIP() << "with the address sanitizer, blocks are not recycled";
  const std::vector<Promise<int>> inputs(100, Promise<int>::resolved(loop_, 1));
  // The inputs' nodes, the values as they come, the values as they go.
  EXPECT_LE(allocations_of([&] { all(loop_, inputs); }), 3u);
}

// Rejections are a list through the promises: what is counted is the reason itself.
TEST_F(PromiseAllocation, V6_ARejectionAllocatesNothingButItsReason) {
  if (!internal::kRecyclesBlocks) GTEST_SKIP() << "with the address sanitizer, blocks are not recycled";
  const Reason reason(Error(Errc::not_found, "no"));
  Promises promises(loop_, {.on_unhandled_rejection = [](const Reason&) {}});
  EXPECT_EQ(allocations_of([&] {
              Promise<int>::rejected(promises, reason).catch_([] { return 0; });
              Promise<int>::rejected(promises, reason);
            }),
            0u);
}

TEST_F(PromiseAllocation, V15_AnEventForAFewListenersAllocatesNothing) {
  EventTarget target;
  int heard = 0;
  for (int i = 0; i < 4; ++i) target.add("x", [&](Event&) { ++heard; });
  Event event("x");
  EXPECT_EQ(allocations_of([&] { target.dispatch(event); }), 0u);
  EXPECT_EQ(heard, 12);
}

}  // namespace
}  // namespace gyre
