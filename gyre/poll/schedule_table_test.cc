#include <algorithm>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/poll/internal/test_support.h>
#include <gyre/promise/timers.h>

// What each scheduling function does in each state (docs/poll.md has the table).

namespace gyre::poll {
namespace {

using testing::fails_with;
using testing::must;
using namespace std::chrono_literals;

class ScheduleTable : public testing::PollTest {
 protected:
  ScheduleTable() {
    must(poller_.add("a", [this] { says("a"); }));
  }
  /// Runs `plan` as the run hook, and then the loop until `end`.
  void run(std::function<void(Ctl&)> plan, Duration end = 24h) {
    must(poller_.add_run_hook(std::move(plan)));
    why_ = poller_.run_here({.stop = stop_.get_token(), .deadline = time(end)});
  }
  /// Milliseconds from the start of the test.
  static std::optional<long long> next(const Ctl& control, TimePoint start) {
    const auto next = must(control.next("a"));
    if (!next) return std::nullopt;
    return (*next - start) / 1ms;
  }

  Poller poller_{loop_};
  Reason why_{Errc::broken, "no run"};
};

TEST_F(ScheduleTable, S9_TheLastOfSeveralSchedulesCountsUnlessASoonerOneIsAsked) {  // REQ_POLL_3
  run(
      [&](Ctl& c) {
        EXPECT_EQ(must(c.schedule("a", 6h)), ScheduleState::none);
        EXPECT_EQ(must(c.schedule("a", 5h)), ScheduleState::timer);
        EXPECT_EQ(must(c.schedule_at_sooner("a", time(1h))), ScheduleState::timer);
        EXPECT_EQ(next(c, start_), 3'600'000);
      },
      10h);
  EXPECT_EQ(log_, Lines{"a 3600000"});
  EXPECT_TRUE(why_.is(Errc::timed_out));
}

TEST_F(ScheduleTable, S10_SoonerThanSomethingAsSoonChangesNothing) {
  run([&](Ctl& c) {
    must(c.schedule("a", 10ms));
    must(c.schedule_at_sooner("a", time(11ms)));
    EXPECT_EQ(must(c.next("a")), time(10ms));
    must(c.schedule_at_sooner("a", time(10ms)));
    EXPECT_EQ(must(c.next("a")), time(10ms));
    must(c.schedule_at_sooner("a", time(10ms) - 1ns));
    EXPECT_EQ(must(c.next("a")), time(10ms) - 1ns);
    EXPECT_EQ(poller_.pending_timers(), 1u);
  });
  EXPECT_EQ(log_, Lines{"a 9"});
}

TEST_F(ScheduleTable, S10_AnEqualTimeKeepsItsPlaceAmongOthers) {  // REQ_POLL_4
  for (const char* key : {"b", "c", "d"}) must(poller_.add(key, [this, key] { says(key); }));
  run([&](Ctl& c) {
    for (const char* key : {"a", "b", "c", "d"}) must(c.schedule_at(key, time(10ms)));
    must(c.schedule_at_sooner("b", time(10ms)));
  });
  EXPECT_EQ(log_, (Lines{"a 10", "b 10", "c 10", "d 10"}));
}

TEST_F(ScheduleTable, REQ_POLL_4_AnyChangesKeepTheOrderOfTimes) {
  constexpr std::size_t kTasks = 500;
  Scheduler<std::size_t> poller(loop_);
  std::vector<std::size_t> started;
  for (std::size_t key = 0; key < kTasks; ++key) must(poller.add(key, [&started, key] { started.push_back(key); }));
  // What each is scheduled for, and the how many-eth change that was: equal times keep their order.
  std::vector<std::optional<std::pair<TimePoint, int>>> model(kTasks);
  must(poller.add_run_hook([&](Control<std::size_t>& c) {
    std::mt19937 random(7);
    for (int change = 0; change < 5'000; ++change) {
      const std::size_t key = random() % kTasks;
      if (random() % 3 == 0) {
        must(c.schedule(key, -1ns));
        model[key].reset();
      } else {
        const TimePoint when = time((1 + random() % 1'000) * 1ms);
        must(c.schedule_at(key, when));
        model[key] = {when, change};
      }
    }
  }));
  poller.run_here({.deadline = time(1h)});
  std::vector<std::size_t> expected;
  for (std::size_t key = 0; key < kTasks; ++key) {
    if (model[key]) expected.push_back(key);
  }
  std::ranges::sort(expected, {}, [&](std::size_t key) { return *model[key]; });
  EXPECT_EQ(started, expected);
}

TEST_F(ScheduleTable, S11_SoonerNeedsATimeToCome) {
  run([&](Ctl& c) {
    EXPECT_TRUE(fails_with(c.schedule_sooner("a", 0ms), Errc::invalid_delay));
    EXPECT_TRUE(fails_with(c.schedule_sooner("a", -1ms), Errc::invalid_delay));
    EXPECT_TRUE(fails_with(c.schedule_at_sooner("a", std::nullopt), Errc::invalid_delay));
    EXPECT_TRUE(fails_with(c.postpone("a", 0ms), Errc::invalid_delay));
    EXPECT_EQ(must(c.next("a")), std::nullopt);
  });
  EXPECT_EQ(log_, Lines{});
}

TEST_F(ScheduleTable, S12_ATimeInThePastMeansReadyAndIsKept) {
  run([&](Ctl& c) {
    EXPECT_EQ(must(c.schedule_at("a", time(-5ms))), ScheduleState::none);
    EXPECT_EQ(must(c.next("a")), time(-5ms));
    EXPECT_EQ(must(c.schedule_at("a", time(-7ms))), ScheduleState::ready);
    EXPECT_EQ(must(c.next("a")), time(-7ms));
  });
  EXPECT_EQ(log_, Lines{"a 0"});
  EXPECT_EQ(must(poller_.stats("a")).last_lateness, 7ms);
}

TEST_F(ScheduleTable, S12_OfAReadyTaskItMovesTheTimeAndIsCounted) {
  run([&](Ctl& c) {
    must(c.schedule_asap("a"));
    EXPECT_EQ(must(c.schedule_at("a", time(-5ms))), ScheduleState::ready);
    EXPECT_EQ(must(c.next("a")), time(-5ms));
    EXPECT_EQ(must(poller_.stats("a")).coalesced, 1u);
  });
  EXPECT_EQ(log_, Lines{"a 0"});
}

TEST_F(ScheduleTable, S13_TwiceAsSoonAsPossibleIsOnce) {
  run([&](Ctl& c) {
    must(c.schedule("a", 0ms));
    clock_.advance(3ms);
    EXPECT_EQ(must(c.schedule_asap("a")), ScheduleState::ready);
    EXPECT_EQ(next(c, start_), 0);
  });
  EXPECT_EQ(log_, Lines{"a 3"});
  EXPECT_EQ(must(poller_.stats("a")).coalesced, 1u);
}

TEST_F(ScheduleTable, S14_ADelayTakesReadinessAway) {
  run([&](Ctl& c) {
    must(c.schedule("a", 0ms));
    EXPECT_EQ(must(c.schedule("a", 100ms)), ScheduleState::ready);
  });
  EXPECT_EQ(log_, Lines{"a 100"});
}

TEST_F(ScheduleTable, S14_ADelayLeavesReadinessWithKeepReady) {
  Poller keeps(loop_, {.keep_ready = true});
  must(keeps.add("a", [this] { says("a"); }));
  must(keeps.add_run_hook([&](Ctl& c) {
    must(c.schedule("a", 0ms));
    EXPECT_EQ(must(c.schedule("a", 100ms)), ScheduleState::ready);
    EXPECT_EQ(must(c.schedule_at("a", time(100ms))), ScheduleState::ready);
    EXPECT_EQ(next(c, start_), 0);
  }));
  keeps.run_here({.deadline = time(1h)});
  EXPECT_EQ(log_, Lines{"a 0"});
}

TEST_F(ScheduleTable, PostponeTakesReadinessAwayEvenThen) {
  Poller keeps(loop_, {.keep_ready = true});
  must(keeps.add("a", [this] { says("a"); }));
  must(keeps.add_run_hook([&](Ctl& c) {
    must(c.schedule_asap("a"));
    EXPECT_EQ(must(c.postpone("a", 100ms)), ScheduleState::ready);
  }));
  keeps.run_here({.deadline = time(1h)});
  EXPECT_EQ(log_, Lines{"a 100"});
}

TEST_F(ScheduleTable, S15_ANegativeDelayClearsEverything) {
  run([&](Ctl& c) {
    must(c.schedule("a", 0ms));
    EXPECT_EQ(must(c.schedule("a", -1ms)), ScheduleState::ready);
    EXPECT_EQ(must(c.next("a")), std::nullopt);
    must(c.schedule("a", 10ms));
    EXPECT_EQ(must(c.schedule("a", -1ms)), ScheduleState::timer);
    EXPECT_EQ(must(c.next("a")), std::nullopt);
    must(c.schedule("a", 10ms));
    must(c.schedule_at("a", std::nullopt));
    EXPECT_EQ(must(c.next("a")), std::nullopt);
    EXPECT_EQ(poller_.pending_timers(), 0u);
  });
  EXPECT_EQ(log_, Lines{});
}

TEST_F(ScheduleTable, S16_StopTimerTellsWhetherItWasTooLate) {
  run([&](Ctl& c) {
    EXPECT_FALSE(must(c.stop_timer("a")));
    must(c.schedule("a", 10ms));
    EXPECT_FALSE(must(c.stop_timer("a")));
    EXPECT_EQ(must(c.next("a")), std::nullopt);
    must(c.schedule("a", 10ms));
    clock_.advance(10ms);  // it has fired, and has not been looked at
    EXPECT_TRUE(must(c.stop_timer("a")));
    EXPECT_EQ(next(c, start_), 10);
    EXPECT_TRUE(must(c.stop_timer("a")));
  });
  EXPECT_EQ(log_, Lines{"a 10"});
}

TEST_F(ScheduleTable, S17_SoonerThanReadyMovesTheTimeOnly) {
  run([&](Ctl& c) {
    must(c.schedule("a", 0ms));
    EXPECT_EQ(must(c.schedule_at_sooner("a", time(-4ms))), ScheduleState::ready);
    EXPECT_EQ(must(c.next("a")), time(-4ms));
    EXPECT_EQ(must(c.schedule_at_sooner("a", time(5ms))), ScheduleState::ready);
    EXPECT_EQ(must(c.next("a")), time(-4ms));
  });
  EXPECT_EQ(log_, Lines{"a 0"});
}

TEST_F(ScheduleTable, SoonerThanNothingSchedules) {
  run([&](Ctl& c) {
    must(c.schedule_sooner("a", 5ms));
    EXPECT_EQ(next(c, start_), 5);
  });
  EXPECT_EQ(log_, Lines{"a 5"});
}

TEST_F(ScheduleTable, ATimerThatHasFiredUnseenCountsAsReady) {
  run([&](Ctl& c) {
    must(c.schedule("a", 10ms));
    clock_.advance(20ms);
    EXPECT_EQ(must(c.schedule("a", 0ms)), ScheduleState::ready);
    EXPECT_EQ(next(c, start_), 10);
    EXPECT_EQ(must(c.schedule_at_sooner("a", time(15ms))), ScheduleState::ready);
    EXPECT_EQ(next(c, start_), 10);
  });
  EXPECT_EQ(log_, Lines{"a 20"});
}

TEST_F(ScheduleTable, UnknownKeysAreErrorsThatNameThem) {
  run([&](Ctl& c) {
    const auto refused = c.schedule("b", 1ms);
    ASSERT_TRUE(fails_with(refused, Errc::unknown_key));
    EXPECT_EQ(refused.error().context("key"), "b");
    EXPECT_TRUE(fails_with(c.schedule_at("b", time(1ms)), Errc::unknown_key));
    EXPECT_TRUE(fails_with(c.schedule_sooner("b", 1ms), Errc::unknown_key));
    EXPECT_TRUE(fails_with(c.schedule_at_sooner("b", time(1ms)), Errc::unknown_key));
    EXPECT_TRUE(fails_with(c.postpone("b", 1ms), Errc::unknown_key));
    EXPECT_TRUE(fails_with(c.stop_timer("b"), Errc::unknown_key));
    EXPECT_TRUE(fails_with(c.next("b"), Errc::unknown_key));
    EXPECT_TRUE(fails_with(c.running("b"), Errc::unknown_key));
  });
}

TEST_F(ScheduleTable, REQ_POLL_8_AControlExpiresWithItsCall) {
  std::optional<Ctl> kept;
  run([&](Ctl& c) {
    EXPECT_FALSE(c.stop_token().stop_requested());
    kept = c;
  });
  EXPECT_TRUE(fails_with(kept->schedule("a", 1ms), Errc::expired));
  EXPECT_TRUE(kept->stop_token().stop_requested());
}

TEST_F(ScheduleTable, S30_TheWorkedExample) {
  Poller poller(loop_);
  Channel<int> steps(8);
  std::vector<std::optional<long long>> nexts;
  must(poller.add("A", [&](Loop& loop) -> Promise<void> {
    says("starts");
    co_await sleep_for(loop, 50ms);
  }));
  const auto note = [&](const Ctl& c) {
    const auto next = must(c.next("A"));
    nexts.push_back(next ? std::optional((*next - start_) / 1ms) : std::nullopt);
  };
  must(poller.add_run_hook([&](Ctl& c) {
    must(c.schedule("A", 100ms));
    note(c);
  }));
  must(poller.add_hook(steps, [&](Ctl& c, std::optional<int> step) {
    switch (*step) {
      case 10:
        must(c.schedule_sooner("A", 50ms));
        break;
      case 20:
        must(c.schedule_sooner("A", 80ms));
        break;
      case 30:
        must(c.schedule("A", 100ms));
        break;
      case 40:
        must(c.schedule_at("A", time(20ms)));
        break;
      case 41:
        EXPECT_TRUE(must(c.running("A")));
        break;
      case 50:
        must(c.schedule("A", 5ms));
        break;
    }
    note(c);
  }));
  for (const int step : {10, 20, 30, 40, 41, 50}) {
    after(std::chrono::milliseconds(step), [&steps, step] { must(steps.try_send(step)); });
  }
  poller.run_here({.deadline = time(1s)});
  EXPECT_EQ(nexts, (std::vector<std::optional<long long>>{100, 60, 60, 130, 20, std::nullopt, 55}));
  EXPECT_EQ(log_, (Lines{"starts 40", "starts 90"}));
}

TEST_F(ScheduleTable, TheEndsOfTimeAreHeld) {
  run([&](Ctl& c) {
    must(c.schedule("a", Duration::max()));
    EXPECT_EQ(must(c.next("a")), TimePoint::max());
    must(c.schedule_at("a", TimePoint::max()));
    EXPECT_EQ(must(c.next("a")), TimePoint::max());
    must(c.schedule("a", Duration::min()));
    EXPECT_EQ(must(c.next("a")), std::nullopt);
    must(c.schedule_at("a", TimePoint::min()));
    EXPECT_EQ(must(c.next("a")), TimePoint::min());
  });
  EXPECT_EQ(log_, Lines{"a 0"});
  EXPECT_GE(must(poller_.stats("a")).last_lateness, 1h);
}

}  // namespace
}  // namespace gyre::poll
