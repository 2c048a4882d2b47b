#include <atomic>
#include <limits>
#include <memory>
#include <stop_token>
#include <thread>

#include <gtest/gtest.h>

#include <gyre/loop/internal/loop_core.h>
#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/remote.h>

namespace gyre::internal {
namespace {

using namespace testing;

// What can be provoked only from inside.

TEST(LoopCoreTest, AThreadThatStallsInTheMiddleOfAWakeUpDoesNotLoseTheDrainsNextOne) {
  // The thread that asks for the end finds the owner in the poller, sets `wake_requested`, and then stalls before it
  // wakes it. The owner meanwhile drains and waits for off-loaded work on its futex: the next wake-up is another's.
  auto core = std::make_unique<LoopCore>(LoopOptions());
  std::atomic<bool> stalled = false;
  std::shared_ptr<SharedState> shared = core->shared;
  bool done = false;
  // The work ends when the owner is about to sleep on the futex.
  const auto work = [&](std::stop_token) {
    EXPECT_TRUE(eventually([&] { return stalled && !shared->sleeps_in_poller; }));
  };
  ASSERT_TRUE(core->offload(work, [&](const Error*) { done = true; }));
  core->immediates.add(
      [&] {
        shared->sleeps_in_poller = true;
        shared->wake_requested = true;
        shared->parker.reset();
        stalled = true;
      },
      true);
  shared->commit_termination(false);
  Remote remote(shared);
  std::jthread watchdog([&](std::stop_token) {
    if (!remote.wait_done(kPatience)) {
      ADD_FAILURE() << "the wake-up was lost";
      shared->parker.unpark();
    }
  });
  must(core->run({}));
  EXPECT_TRUE(done);
}

TEST(LoopCoreTest, ForeignTimerIdsAreUsedUpOnce) {  // L91
  LoopCore core{LoopOptions()};
  Remote remote(core.shared);
  core.shared->last_timer_id = std::numeric_limits<std::uint64_t>::max() - 1;
  const TimerId last = must(remote.set_timeout(std::chrono::hours(1), [] {}));
  EXPECT_TRUE(fails_with(remote.set_timeout(std::chrono::hours(1), [] {}), Errc::timer_ids_exhausted));
  EXPECT_TRUE(fails_with(remote.set_interval(std::chrono::hours(1), [] {}), Errc::timer_ids_exhausted));
  must(remote.cancel(last));
  EXPECT_TRUE(fails_with(remote.set_timeout(std::chrono::hours(1), [] {}), Errc::timer_ids_exhausted));
}

}  // namespace
}  // namespace gyre::internal
