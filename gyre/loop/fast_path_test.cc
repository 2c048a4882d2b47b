#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre {
namespace {

using namespace testing;

std::size_t open_descriptors() {
  using Iterator = std::filesystem::directory_iterator;
  return static_cast<std::size_t>(std::distance(Iterator("/proc/self/fd"), Iterator()));
}

std::uint64_t count_of(const std::array<std::uint64_t, kFastPathReasons>& counts, FastPathReason reason) {
  return counts[static_cast<std::size_t>(reason)];
}

TEST(FastPathMode, ForcedRefusesDescriptorsAndTakesNothingFromTheKernel) {  // L104
  Pipe pipe;
  const std::size_t before = open_descriptors();
  Loop loop({.fast_path = FastPath::forced});
  EXPECT_TRUE(fails_with(loop.watch(pipe.read_end(), Readiness::read, [](Readiness) { ADD_FAILURE(); }),
                         Errc::fast_path_incompatible));
  must(loop.post([] {}));
  must(loop.poll_once());
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(loop.stats().polls, 0u);
  must(loop.set_fast_path(FastPath::automatic));
  must(loop.watch(pipe.read_end(), Readiness::read, [](Readiness) {}));
}

TEST(FastPathMode, CannotBeForcedWhileADescriptorIsWatched) {  // L104
  Loop loop;
  Pipe pipe;
  Watcher watcher = must(loop.watch(pipe.read_end(), Readiness::read, [](Readiness) { ADD_FAILURE(); }));
  EXPECT_TRUE(fails_with(loop.set_fast_path(FastPath::forced), Errc::fast_path_incompatible));
  Remote remote = loop.remote();
  {
    Runner runner(loop);
    EXPECT_TRUE(fails_with(remote.set_fast_path(FastPath::forced), Errc::fast_path_incompatible));
    must(remote.post([&] { must(watcher.stop()); }));
    // The task is ahead of the call in time; its phase may not be. So ask until it has run.
    EXPECT_TRUE(eventually([&] { return static_cast<bool>(remote.set_fast_path(FastPath::forced)); }));
    must(remote.shutdown());
  }
}

TEST(FastPathMode, DisabledAlwaysAsksTheKernel) {
  Loop loop({.fast_path = FastPath::disabled});
  must(loop.poll_once());
  must(loop.poll_once());
  EXPECT_GT(loop.stats().polls, 0u);
  EXPECT_FALSE(loop.fast_path_stats().fast);
  EXPECT_EQ(count_of(loop.fast_path_stats().exits, FastPathReason::mode_set), 1u);
}

TEST(FastPathMode, ChangesUnderASleepingLoop) {
  Loop loop;
  Remote remote = loop.remote();
  Runner runner(loop);
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(falls_asleep(remote));
    must(remote.set_fast_path(i % 2 == 0 ? FastPath::disabled : FastPath::automatic));
    std::atomic<bool> ran = false;
    must(remote.post([&] { ran = true; }));
    ASSERT_TRUE(eventually([&] { return ran.load(); }));
  }
  ASSERT_TRUE(falls_asleep(remote));
  must(remote.shutdown());
  must(runner.join());
  EXPECT_EQ(count_of(loop.fast_path_stats().exits, FastPathReason::mode_set), 25u);
  EXPECT_EQ(count_of(loop.fast_path_stats().entries, FastPathReason::mode_set), 25u);
}

TEST(FastPathMode, ForcedAndWatchedNeverMeet) {  // L105
  Loop loop;
  Remote remote = loop.remote();
  Pipe pipe;
  Watcher watcher;
  Runner runner(loop);
  std::atomic<int> watched = 0;
  std::atomic<int> refused = 0;
  std::atomic<int> rounds = 0;
  const auto enough = [&] { return rounds >= 1'000 && watched > 0 && refused > 0; };
  std::thread registrar([&, mine = remote]() mutable {
    for (int i = 0; !enough(); ++i) {
      must(mine.post([&] {
        auto result = loop.watch(pipe.read_end(), Readiness::read, [](Readiness) { ADD_FAILURE(); });
        if (result) {
          ++watched;
          EXPECT_TRUE(fails_with(loop.set_fast_path(FastPath::forced), Errc::fast_path_incompatible));
          watcher = *std::move(result);
        } else {
          EXPECT_TRUE(fails_with(result, Errc::fast_path_incompatible));
          ++refused;
        }
      }));
      must(mine.post([&] {
        watcher = {};
        ++rounds;
      }));
      ASSERT_TRUE(eventually([&] { return rounds > i; }));
    }
  });
  while (!enough()) {
    static_cast<void>(remote.set_fast_path(FastPath::forced));
    must(remote.set_fast_path(FastPath::automatic));
  }
  registrar.join();
  must(remote.shutdown());
}

TEST(FastPathMode, ModesThatDoNotExistThrowAtTheCall) {
  const auto none = static_cast<FastPath>(7);
  EXPECT_THROW(Loop({.fast_path = none}), std::invalid_argument);
  Loop loop;
  EXPECT_THROW(static_cast<void>(loop.set_fast_path(none)), std::invalid_argument);
  Remote remote = loop.remote();
  Runner runner(loop);
  EXPECT_THROW(static_cast<void>(remote.set_fast_path(none)), std::invalid_argument);
  must(remote.shutdown());
  EXPECT_THROW(static_cast<void>(remote.set_fast_path(none)), std::invalid_argument);
}

TEST(FastPathMode, IsRefusedOnceTheLoopIsEnding) {
  Loop loop({.auto_exit = true});
  must(loop.post([&] {
    must(loop.shutdown());
    EXPECT_TRUE(fails_with(loop.set_fast_path(FastPath::disabled), Errc::terminated));
    EXPECT_TRUE(fails_with(loop.remote().set_fast_path(FastPath::disabled), Errc::terminated));
  }));
  must(loop.run());
  EXPECT_TRUE(fails_with(loop.set_fast_path(FastPath::disabled), Errc::terminated));
}

struct PathLog final : LoopObserver {
  std::vector<FastPathChange> changes;
  void on_fast_path(const FastPathChange& change) override { changes.push_back(change); }
};

TEST(FastPathChanges, AreToldAndCountedByTheirReason) {  // L103
  ManualClock clock;
  Loop loop({.clock = &clock});
  PathLog seen;
  loop.add_observer(seen);
  Pipe pipe;
  EXPECT_EQ(loop.fast_path_stats().fast_time, Duration::zero());
  must(loop.post([] {}));
  must(loop.poll_once());
  clock.advance(10ms);
  EXPECT_EQ(must(loop.watch(pipe.read_end(), Readiness::read, [](Readiness) {})).is_active(), true);
  must(loop.poll_once());
  EXPECT_TRUE(loop.fast_path_stats().fast) << "the watcher has not lived to see a turn";
  Watcher watcher = must(loop.watch(pipe.read_end(), Readiness::read, [](Readiness) {}));
  must(loop.poll_once());
  EXPECT_FALSE(loop.fast_path_stats().fast);
  must(loop.post([] {}));
  must(loop.post([] {}));
  must(loop.poll_once());
  clock.advance(5ms);
  must(watcher.stop());
  must(loop.poll_once());
  EXPECT_TRUE(loop.fast_path_stats().fast);
  must(loop.set_fast_path(FastPath::disabled));
  must(loop.poll_once());
  must(loop.set_fast_path(FastPath::automatic));
  must(loop.poll_once());
  clock.advance(1ms);
  must(loop.close());

  ASSERT_EQ(seen.changes.size(), 5u);
  EXPECT_EQ(seen.changes[0].reason, FastPathReason::descriptor_watched);
  EXPECT_FALSE(seen.changes[0].fast);
  EXPECT_EQ(seen.changes[0].callbacks, 1u);
  EXPECT_EQ(seen.changes[0].time, 10ms);
  EXPECT_EQ(seen.changes[1].reason, FastPathReason::descriptors_gone);
  EXPECT_TRUE(seen.changes[1].fast);
  EXPECT_EQ(seen.changes[1].callbacks, 2u);
  EXPECT_EQ(seen.changes[1].time, 5ms);
  EXPECT_EQ(seen.changes[2].reason, FastPathReason::mode_set);
  EXPECT_FALSE(seen.changes[2].fast);
  EXPECT_EQ(seen.changes[3].reason, FastPathReason::mode_set);
  EXPECT_TRUE(seen.changes[3].fast);
  EXPECT_EQ(seen.changes[4].reason, FastPathReason::ended);
  EXPECT_FALSE(seen.changes[4].fast);
  EXPECT_EQ(seen.changes[4].time, 1ms);

  const FastPathStats stats = loop.fast_path_stats();
  EXPECT_TRUE(stats.fast);  // the last way
  EXPECT_EQ(count_of(stats.exits, FastPathReason::descriptor_watched), 1u);
  EXPECT_EQ(count_of(stats.entries, FastPathReason::descriptors_gone), 1u);
  EXPECT_EQ(count_of(stats.exits, FastPathReason::mode_set), 1u);
  EXPECT_EQ(count_of(stats.entries, FastPathReason::mode_set), 1u);
  EXPECT_EQ(count_of(stats.exits, FastPathReason::ended), 1u);
  EXPECT_EQ(stats.fast_time, 11ms);
  EXPECT_EQ(stats.polling_time, 5ms);
  EXPECT_EQ(stats.fast_callbacks, 1u);
  EXPECT_EQ(stats.polling_callbacks, 2u);
}

TEST(FastPathChanges, HaveNames) {
  EXPECT_EQ(to_string(FastPathReason::descriptor_watched), "descriptor watched");
  EXPECT_EQ(to_string(FastPathReason::ended), "ended");
  EXPECT_EQ(to_string(static_cast<FastPathReason>(9)), "unknown");
}

}  // namespace
}  // namespace gyre
