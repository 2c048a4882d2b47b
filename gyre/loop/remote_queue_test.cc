#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre {
namespace {

using namespace testing;

// What other threads put into the loop's queues. A `Remote` may also be used on the loop's own thread, and there it
// does what it does on others: that puts a foreign call at an exact place.

class RemoteQueue : public ::testing::Test {
 protected:
  Task note(std::string word) {
    return [this, word = std::move(word)] { log += word + " "; };
  }
  ManualClock clock;
  Loop loop{LoopOptions{.clock = &clock}};
  Remote remote = loop.remote();
  std::string log;
};

struct Entry {
  const char* name;
  std::function<Result<void>(Remote&, Task)> give;
};

std::vector<Entry> every_entry() {
  return {{"post", [](Remote& remote, Task task) { return remote.post(std::move(task)); }},
          {"post_priority", [](Remote& remote, Task task) { return remote.post_priority(std::move(task)); }},
          {"next_tick", [](Remote& remote, Task task) { return remote.next_tick(std::move(task)); }},
          {"queue_microtask", [](Remote& remote, Task task) { return remote.queue_microtask(std::move(task)); }},
          {"at_checkpoint_end", [](Remote& remote, Task task) { return remote.at_checkpoint_end(std::move(task)); }},
          {"set_immediate", [](Remote& remote, Task task) { return remote.set_immediate(std::move(task)); }},
          {"post_close", [](Remote& remote, Task task) { return remote.post_close(std::move(task)); }},
          {"set_timeout", [](Remote& remote, Task task) -> Result<void> {
             auto id = remote.set_timeout(Duration::zero(), std::move(task));
             return id ? Result<void>() : std::unexpected(id.error());
           }}};
}

TEST_F(RemoteQueue, EveryKindWakesASleepingLoop) {  // L148
  for (const Entry& entry : every_entry()) {
    Loop sleeper;
    Remote waker = sleeper.remote();
    Runner runner(sleeper);
    for (int i = 0; i < 10; ++i) {
      ASSERT_TRUE(falls_asleep(waker));
      std::atomic<bool> ran = false;
      must(entry.give(waker, [&] { ran = true; }));
      ASSERT_TRUE(eventually([&] { return ran.load(); })) << entry.name;
    }
    must(waker.shutdown());
  }
}

TEST_F(RemoteQueue, EveryKindWakesALoopThatWatchesADescriptor) {  // L148
  for (const Entry& entry : every_entry()) {
    Loop sleeper;
    Pipe pipe;
    const Watcher watcher = must(sleeper.watch(pipe.read_end(), Readiness::read, [](Readiness) { ADD_FAILURE(); }));
    Remote waker = sleeper.remote();
    must(entry.give(waker, [&] { must(sleeper.shutdown()); }));
    Runner runner(sleeper);
    must(runner.join());
  }
}

TEST_F(RemoteQueue, EveryKindIsRefusedAfterTheEndAndDestroyed) {  // L23
  must(loop.close());
  for (const Entry& entry : every_entry()) {
    const auto capture = std::make_shared<int>();
    EXPECT_TRUE(fails_with(entry.give(remote, [capture] { ADD_FAILURE(); }), Errc::terminated)) << entry.name;
    EXPECT_EQ(capture.use_count(), 1) << entry.name;
  }
}

TEST_F(RemoteQueue, EveryKindIsRefusedDuringTheDrain) {  // L23
  int refused = 0;
  must(loop.post([&] {
    std::thread([&] {
      for (const Entry& entry : every_entry()) {
        refused += fails_with(entry.give(remote, [] { ADD_FAILURE(); }), Errc::terminated) ? 1 : 0;
      }
    }).join();
  }));
  must(loop.shutdown());
  must(loop.run());
  EXPECT_EQ(refused, 8);
}

TEST_F(RemoteQueue, EveryKindThrowsForAnEmptyCallback) {  // L146
  for (const Entry& entry : every_entry()) {
    EXPECT_THROW(static_cast<void>(entry.give(remote, nullptr)), std::logic_error) << entry.name;
  }
  EXPECT_THROW(static_cast<void>(remote.set_timeout_at(TimePoint(), nullptr)), std::logic_error);
  EXPECT_THROW(static_cast<void>(remote.set_interval(1s, nullptr)), std::logic_error);
  EXPECT_THROW(static_cast<void>(remote.post(nullptr, std::stop_token())), std::logic_error);
  EXPECT_THROW(static_cast<void>(remote.post_cancellable(nullptr)), std::logic_error);
  EXPECT_FALSE(loop.is_alive());
}

TEST_F(RemoteQueue, WhatIsGivenBeforeTheRunRunsInTheOrderOfThePhases) {  // L48
  std::thread([&] {
    must(remote.post(note("task")));
    must(remote.post_close(note("close")));
    must(remote.set_immediate(note("immediate")));
    must(remote.set_timeout(0s, note("timer")));
    must(remote.at_checkpoint_end(note("end")));
    must(remote.queue_microtask(note("microtask")));
    must(remote.next_tick(note("tick")));
    must(remote.post_priority(note("priority")));
  }).join();
  must(loop.poll_once());
  EXPECT_EQ(log, "priority tick microtask end timer immediate close task ");
}

TEST_F(RemoteQueue, WhatIsAcceptedBeforeAShutdownIsRunByItsDrain) {  // L24
  must(loop.poll_once());
  std::thread([&] {
    must(remote.post(note("task")));
    must(remote.post_priority(note("priority")));
    must(remote.post_close(note("close")));
    must(remote.set_immediate(note("immediate")));
    must(remote.queue_microtask(note("microtask")));
    must(remote.next_tick(note("tick")));
    must(remote.at_checkpoint_end(note("end")));
  }).join();
  must(loop.shutdown());
  must(loop.run());
  EXPECT_EQ(log, "tick microtask end immediate close priority task ");
}

TEST_F(RemoteQueue, EachKindAloneIsRunByTheDrain) {  // L21
  for (const Entry& entry : every_entry()) {
    if (std::string(entry.name) == "set_timeout") continue;  // timers never fire in it
    for (const bool run_before : {false, true}) {
      Loop ending;
      Remote giver = ending.remote();
      if (run_before) must(ending.poll_once());
      bool ran = false;
      std::thread([&] { must(entry.give(giver, [&] { ran = true; })); }).join();
      if (run_before) {
        must(ending.shutdown());
        must(ending.run());
      } else {
        must(giver.shutdown());
      }
      EXPECT_TRUE(ran) << entry.name;
    }
  }
}

TEST_F(RemoteQueue, AForeignCallThatHasReturnedComesBeforeTheOwnersNext) {  // L53 L58
  must(loop.poll_once());
  must(remote.set_immediate(note("immediate1")));
  must(loop.set_immediate(note("immediate2")));
  must(remote.post_close(note("close1")));
  must(loop.post_close(note("close2")));
  must(remote.next_tick(note("tick1")));
  must(loop.next_tick(note("tick2")));
  must(remote.queue_microtask(note("microtask1")));
  must(loop.queue_microtask(note("microtask2")));
  must(remote.at_checkpoint_end(note("end1")));
  must(loop.at_checkpoint_end(note("end2")));
  must(loop.poll_once());
  EXPECT_EQ(log, "tick1 tick2 microtask1 microtask2 end1 end2 immediate1 immediate2 close1 close2 ");
}

TEST_F(RemoteQueue, ATickThatComesDuringTicksIsOneOfThem) {  // L63
  must(loop.next_tick([&] {
    log += "tick1 ";
    must(remote.next_tick(note("foreign")));
  }));
  must(loop.next_tick(note("tick2")));
  must(loop.queue_microtask(note("microtask")));
  must(loop.poll_once());
  EXPECT_EQ(log, "tick1 tick2 foreign microtask ");
}

TEST_F(RemoteQueue, ATickThatComesDuringMicrotasksWaitsForThem) {  // L63
  must(loop.queue_microtask([&] {
    log += "microtask1 ";
    must(remote.next_tick(note("foreign")));
  }));
  must(loop.queue_microtask(note("microtask2")));
  must(loop.poll_once());
  EXPECT_EQ(log, "microtask1 microtask2 foreign ");
}

TEST_F(RemoteQueue, AMicrotaskThatComesDuringMicrotasksWaitsForTheNextTicks) {  // L64
  must(loop.queue_microtask([&] {
    log += "microtask1 ";
    must(remote.queue_microtask(note("foreign")));
    must(loop.next_tick(note("tick")));
  }));
  must(loop.queue_microtask(note("microtask2")));
  must(loop.poll_once());
  EXPECT_EQ(log, "microtask1 microtask2 tick foreign ");
}

// Gives something at the last moment of the first turn's checkpoint: the question whether the loop is alive then takes
// it over. Off the fast path that question always comes next; on it, only where another thread is as quick.
struct LateGiver final : LoopBinding {
  std::function<void()> give;
  int checkpoints = 0;
  bool run_ticks() override { return false; }
  bool run_microtasks() override { return false; }
  bool finish_checkpoint() override {
    if (++checkpoints == 2) give();  // the first is of the start
    return false;
  }
  void on_quiescent() override {}
  void on_terminated(LoopEnd) override {}
};

TEST(RemoteQueueBeforeSleep, NothingIsLeftLyingWhileTheLoopSleeps) {  // L47 L148
  for (const Entry& entry : every_entry()) {
    ManualClock clock(ManualClock::Mode::automatic);
    Loop loop({.auto_exit = true, .clock = &clock, .fast_path = FastPath::disabled});
    Remote remote = loop.remote();
    const TimePoint start = clock.now();
    bool ran = false;
    const TimerId far = must(loop.set_timeout(1h, [] { ADD_FAILURE() << "the loop slept first"; }));
    LateGiver giver;
    giver.give = [&] {
      must(entry.give(remote, [&] {
        ran = true;
        must(loop.cancel(far));
      }));
    };
    loop.attach(giver);
    must(loop.run());
    EXPECT_TRUE(ran) << entry.name;
    EXPECT_EQ(clock.now(), start) << entry.name;
  }
}

TEST(RemoteQueueBeforeSleep, AMicrotaskOfADyingCaptureRuns) {
  ManualClock clock(ManualClock::Mode::automatic);
  Loop loop({.auto_exit = true, .clock = &clock, .fast_path = FastPath::disabled});
  Remote remote = loop.remote();
  const TimerId far = must(loop.set_timeout(1h, [] { ADD_FAILURE() << "the loop slept first"; }));
  const TimerId cancelled = must(
      loop.set_timeout(1h, [at_end = AtEnd([&] { must(loop.queue_microtask([&] { must(loop.cancel(far)); })); })] {}));
  LateGiver giver;
  giver.give = [&] { must(remote.request_cancel(cancelled)); };
  loop.attach(giver);
  const TimePoint start = clock.now();
  must(loop.run());
  EXPECT_EQ(clock.now(), start);
}

}  // namespace
}  // namespace gyre
