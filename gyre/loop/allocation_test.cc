#include <cstdlib>
#include <functional>
#include <thread>

#include <gtest/gtest.h>

#include <gyre/base/internal/test_allocations.h>
#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

// Shows that a loop at work allocates nothing.

namespace gyre {
namespace {

using namespace testing;

class Allocation : public ::testing::Test {
 protected:
  /// What `work` allocates when it is done for the third time and more often.
  template <typename Work>
  std::size_t in_steady_state(Work work) {
    for (int i = 0; i < 3; ++i) work();
    const std::size_t before = allocations;
    for (int i = 0; i < 10; ++i) work();
    return allocations - before;
  }
  /// A tenth of a second in which nothing happens, after which a burst's memory is given back.
  void fall_quiet() {
    for (int i = 0; i < 2; ++i) {
      clock.advance(50ms);
      must(loop.poll_once());
    }
  }
  ManualClock clock;
  Loop loop{LoopOptions{.clock = &clock}};
  char capture[40] = {};  // as much as a task holds beside a pointer
};

TEST_F(Allocation, IsCounted) {
  const std::size_t before = allocations;
  delete new int;  // NOLINT
  std::function<void()> large = [copy = std::array<char, 100>{}] { static_cast<void>(copy); };
  EXPECT_GE(allocations - before, 1u);
}

TEST_F(Allocation, PostsByTheOwner) {
  EXPECT_EQ(in_steady_state([&] {
              for (int i = 0; i < 1000; ++i) must(loop.post([this] { ++capture[0]; }));
              for (int i = 0; i < 100; ++i) must(loop.post_priority([this] { ++capture[0]; }));
              for (int i = 0; i < 100; ++i) must(loop.post_close([this] { ++capture[0]; }));
              must(loop.poll_once());
            }),
            0u);
}

TEST_F(Allocation, PostsByARemote) {
  Remote remote = loop.remote();
  EXPECT_EQ(in_steady_state([&] {
              for (int i = 0; i < 300; ++i) must(remote.post([this] { ++capture[0]; }));
              for (int i = 0; i < 100; ++i) must(remote.post_priority([this] { ++capture[0]; }));
              must(loop.poll_once());
            }),
            0u);
}

TEST_F(Allocation, PostsByTheOwnerAndARemoteInTurn) {
  Remote remote = loop.remote();
  EXPECT_EQ(in_steady_state([&] {
              for (int i = 0; i < 300; ++i) must(remote.post([this] { ++capture[0]; }));
              must(loop.poll_once());
              for (int i = 0; i < 600; ++i) must(loop.post([this] { ++capture[0]; }));
              must(loop.poll_once());
            }),
            0u);
}

TEST_F(Allocation, PostsAcrossThreads) {
  Loop other;
  Runner runner(other);
  Remote remote = other.remote();
  std::atomic<int> executed = 0;
  int posted = 0;
  // How many blocks are under way at once is up to the scheduler; it has a bound, which the number of posts has not.
  EXPECT_LE(in_steady_state([&] {
              for (int i = 0; i < 20; ++i) {
                for (int k = 0; k < 100; ++k) must(remote.post([&] { ++executed; }));
                posted += 100;
                ASSERT_TRUE(eventually([&] { return executed == posted; }));
              }
            }),
            8u);
  must(remote.shutdown());
}

TEST_F(Allocation, MicrotasksTicksAndCheckpointEnds) {
  EXPECT_EQ(in_steady_state([&] {
              for (int i = 0; i < 500; ++i) {
                must(loop.queue_microtask([this] { ++capture[0]; }));
                must(loop.next_tick([this] { ++capture[0]; }));
                must(loop.at_checkpoint_end([this] { ++capture[0]; }));
              }
              must(loop.poll_once());
            }),
            0u);
}

TEST_F(Allocation, Timers) {
  EXPECT_EQ(in_steady_state([&] {
              TimerId last;
              for (int i = 0; i < 1000; ++i) {
                last = must(loop.set_timeout(std::chrono::microseconds(i % 7), [this] { ++capture[0]; }));
                if (i % 3 == 0) must(loop.cancel(last));
                if (i % 3 == 1) must(loop.reschedule(last, 1us));
              }
              clock.advance(10us);
              must(loop.poll_once());
              must(loop.poll_once());
            }),
            0u);
}

TEST_F(Allocation, Intervals) {
  must(loop.set_interval(1us, [this] { ++capture[0]; }));
  EXPECT_EQ(in_steady_state([&] {
              clock.advance(1us);
              must(loop.poll_once());
            }),
            0u);
}

TEST_F(Allocation, TimersThatAreSetAside) {
  EXPECT_EQ(in_steady_state([&] {
              for (int i = 0; i < 100; ++i) {
                must(loop.set_timeout(1us, [&] { must(loop.set_timeout(0s, [this] { ++capture[0]; })); }));
              }
              clock.advance(1us);
              must(loop.poll_once());
              must(loop.poll_once());
            }),
            0u);
}

TEST_F(Allocation, Immediates) {
  EXPECT_EQ(in_steady_state([&] {
              for (int i = 0; i < 500; ++i) {
                const ImmediateId id = must(loop.set_immediate([this] { ++capture[0]; }));
                if (i % 5 == 0) must(loop.cancel(id));
              }
              must(loop.poll_once());
            }),
            0u);
}

TEST_F(Allocation, WatcherCallbacksAndChanges) {
  Pipe pipe;
  Watcher watcher = must(loop.watch(pipe.write_end(), Readiness::write, [this](Readiness) { ++capture[0]; }));
  EXPECT_EQ(in_steady_state([&] {
              must(watcher.modify(Readiness::none));
              must(watcher.modify(Readiness::write));
              must(loop.poll_once());
            }),
            0u);
}

TEST_F(Allocation, Steps) {
  EXPECT_EQ(in_steady_state([&] {
              must(loop.poll_once());
              must(loop.run_for(Duration::zero()));
            }),
            0u);
}

TEST_F(Allocation, AFloodOfMicrotasksGivesItsMemoryBack) {  // L142
  for (int i = 0; i < 100; ++i) must(loop.queue_microtask([] {}));
  must(loop.poll_once());
  const std::size_t before = bytes_in_use;
  for (int i = 0; i < 1'000'000; ++i) must(loop.queue_microtask([] {}));
  EXPECT_GT(bytes_in_use, before + 64'000'000);
  int last = 0;
  must(loop.queue_microtask([&] { last = 1; }));
  must(loop.poll_once());
  EXPECT_EQ(last, 1);
  fall_quiet();
  EXPECT_LE(bytes_in_use, before + 128 * 1024);
}

TEST_F(Allocation, FloodsThatFollowEachOtherAllocateOnce) {
  Remote remote = loop.remote();
  EXPECT_LE(in_steady_state([&] {
              for (int i = 0; i < 20'000; ++i) {
                must(loop.queue_microtask([this] { ++capture[0]; }));
                must(remote.post([this] { ++capture[0]; }));
              }
              must(loop.poll_once());
              for (int i = 0; i < 20'000; ++i) must(loop.post([this] { ++capture[0]; }));
              must(loop.poll_once());
              clock.advance(40ms);
            }),
            4u);  // of 400 blocks a time: the first and the last of a flood are filled in part
}

TEST_F(Allocation, ALoopThatSleepsGivesItsMemoryBackByItself) {
  Loop other;
  Remote remote = other.remote();
  const std::size_t before = bytes_in_use;
  std::atomic<int> executed = 0;
  Runner runner(other);
  for (int i = 0; i < 100'000; ++i) must(remote.post([&] { ++executed; }));
  ASSERT_TRUE(eventually([&] { return executed == 100'000; }));
  EXPECT_TRUE(eventually([&] { return bytes_in_use <= before + 512 * 1024; }));
  must(remote.shutdown());
}

TEST_F(Allocation, AFloodOfTimersAndImmediatesGivesItsMemoryBack) {
  for (int i = 0; i < 2000; ++i) must(loop.set_timeout(1us, [] {}));
  clock.advance(1us);
  must(loop.poll_once());
  fall_quiet();
  const std::size_t before = bytes_in_use;
  for (int i = 0; i < 100'000; ++i) {
    must(loop.set_timeout(1us, [] {}));
    must(loop.set_immediate([] {}));
  }
  EXPECT_GT(bytes_in_use, before + 16'000'000);
  clock.advance(1us);
  must(loop.poll_once());
  EXPECT_EQ(loop.timer_count(), 0u);
  fall_quiet();
  EXPECT_LE(bytes_in_use, before + 512 * 1024);
}

TEST_F(Allocation, AFloodOfPostsGivesItsMemoryBack) {
  Remote remote = loop.remote();
  const std::size_t before = bytes_in_use;
  for (int i = 0; i < 100'000; ++i) must(remote.post([] {}));
  must(loop.poll_once());
  fall_quiet();
  EXPECT_LE(bytes_in_use, before + 256 * 1024);
}

TEST_F(Allocation, AnEndedLoopThatIsStillReferencedHoldsLittle) {  // L144
  for (int i = 0; i < 100'000; ++i) must(loop.post([] {}));
  must(loop.remote().post([] {}));  // a thread that posts keeps a block to post from, whatever loop it posts to
  must(loop.poll_once());
  must(loop.close());
  const std::size_t before = bytes_in_use;
  {
    Loop other;
    for (int i = 0; i < 10'000; ++i) must(other.remote().post([] {}));
    must(other.poll_once());
    must(other.close());
    EXPECT_LE(bytes_in_use, before + 16 * 1024);
  }
  EXPECT_LE(bytes_in_use, before);
}

}  // namespace
}  // namespace gyre
