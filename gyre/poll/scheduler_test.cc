#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/poll/internal/test_support.h>
#include <gyre/promise/timers.h>

// Configuration, runs, stages, failures.

namespace gyre::poll {
namespace {

using testing::fails_with;
using testing::must;
using namespace std::chrono_literals;

class Scheduling : public testing::PollTest {
 protected:
  Poller poller_{loop_};
  void nothing_to_do() {}
  RunOptions until(Duration end) { return {.stop = stop_.get_token(), .deadline = time(end)}; }
};

TEST_F(Scheduling, S1_WrongConfigurationsAreFiveDistinctErrors) {
  std::vector<Error> errors;
  errors.push_back(poller_.run_here().error());
  errors.push_back(poller_.add("a", nullptr).error());
  errors.push_back(poller_.add_hook(Channel<int>(1), nullptr).error());
  errors.push_back(poller_.add_hook(Channel<int>(), [](Ctl&, std::optional<int>) {}).error());
  errors.push_back(poller_.add_run_hook(nullptr).error());
  EXPECT_TRUE(errors[0].is(Errc::no_tasks));
  for (std::size_t i = 1; i < errors.size(); ++i) {
    EXPECT_TRUE(errors[i].is(Errc::invalid_argument));
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(errors[i].message(), errors[j].message());
  }
  EXPECT_TRUE(fails_with(poller_.add("a", std::function<void()>()), Errc::invalid_argument));
  EXPECT_TRUE(fails_with(poller_.add_offloaded("a", nullptr), Errc::invalid_argument));
  EXPECT_TRUE(fails_with(poller_.add("a", [] {}, {.retry = BackoffOptions{.multiplier = 0}}), Errc::invalid_argument));
  EXPECT_EQ(poller_.size(), 0u);
}

TEST_F(Scheduling, S2_ADuplicateKeyIsRefusedAndTheFirstTaskStays) {
  must(poller_.add("a", [&] { says("first"); }));
  EXPECT_TRUE(fails_with(poller_.add("a", [&] { says("second"); }), Errc::duplicate_key));
  must(poller_.add_run_hook([](Ctl& c) { must(c.schedule_asap("a")); }));
  poller_.run_here(until(1s));
  EXPECT_EQ(log_, Lines{"first 0"});
}

TEST_F(Scheduling, S3_TasksRescheduleThemselvesUntilTheirQuotas) {
  std::vector<int> runs(3);
  const std::vector<int> quotas{5, 3, 7};
  for (std::size_t i = 0; i < 3; ++i) {
    must(poller_.add(std::to_string(i), [&, i](Loop& loop) -> Promise<Stage> {
      co_await sleep_for(loop, 1ms);
      ++runs[i];
      co_return [&, i](Ctl& c) -> Result<void> {
        if (runs[i] < quotas[i]) must(c.schedule(std::to_string(i), 1ms));
        return {};
      };
    }));
  }
  must(poller_.add_run_hook([](Ctl& c) {
    for (const char* key : {"0", "1", "2"}) must(c.schedule_asap(key));
  }));
  after(1s, [&] { stop_.request_stop(); });
  EXPECT_TRUE(poller_.run_here(until(1h)).is(Errc::cancelled));
  EXPECT_EQ(runs, quotas);
  EXPECT_EQ(at(), 1000);
}

TEST_F(Scheduling, S4_IdleUntilAHookSchedulesEverythingAtOnce) {
  Channel<int> events(1);
  int running = 0;
  for (const char* key : {"0", "1", "2"}) {
    must(poller_.add(key, [&](Loop& loop) -> Promise<void> {
      ++running;
      co_await sleep_for(loop, 10ms);
      EXPECT_EQ(running, 3) << "all at the same time";
    }));
  }
  must(poller_.add_hook(events, [&](Ctl& c, std::optional<int>) {
    for (const char* key : {"0", "1", "2"}) must(c.schedule_asap(key));
  }));
  std::uint64_t turns_while_idle = 0;
  after(1ms, [&] { turns_while_idle = poller_.stats().turns; });
  after(30ms, [&] {
    EXPECT_EQ(running, 0);
    EXPECT_EQ(poller_.stats().turns, turns_while_idle);
    must(events.try_send(1));
  });
  poller_.run_here(until(1s));
  EXPECT_EQ(running, 3);
}

TEST_F(Scheduling, S5_AFirstStagesErrorEndsTheRunAsItIs) {
  const Error error(Errc::not_found, "no such host");
  must(poller_.add("a", [&]() -> Result<void> { return std::unexpected(error); }));
  must(poller_.add("b", [&] { says("b"); }));
  must(poller_.add_run_hook([&](Ctl& c) {
    must(c.schedule("a", 1ms));
    must(c.schedule("b", 2ms));
  }));
  const Reason why = poller_.run_here(until(1s));
  EXPECT_EQ(why.error().correlation_id(), error.correlation_id());
  EXPECT_EQ(why.message(), "no such host");
  EXPECT_EQ(poller_.pending_timers(), 0u);
  must(loop_.run_for(10ms));
  EXPECT_EQ(log_, Lines{});
}

TEST_F(Scheduling, S6_StagesHaveTokensThatEndWithThem) {
  const Error error(Errc::not_found, "bad data");
  std::stop_token first;
  std::stop_token second;
  must(poller_.add("a", [&](Loop& loop, std::stop_token stop) -> Promise<Stage> {
    first = stop;
    co_await sleep_for(loop, 1ms);
    EXPECT_FALSE(first.stop_requested());
    co_return [&](Ctl& c) -> Result<void> {
      EXPECT_TRUE(first.stop_requested());
      second = c.stop_token();
      EXPECT_FALSE(second.stop_requested());
      return std::unexpected(error);
    };
  }));
  must(poller_.add_run_hook([](Ctl& c) { must(c.schedule_asap("a")); }));
  EXPECT_EQ(poller_.run_here(until(1s)).error().correlation_id(), error.correlation_id());
  EXPECT_TRUE(second.stop_requested());
  EXPECT_TRUE(first.stop_requested());
}

TEST_F(Scheduling, S7_ARunHooksErrorEndsTheRun) {
  const Error error(Errc::not_found, "no configuration");
  must(poller_.add("a", [&] { says("a"); }));
  must(poller_.add_run_hook([&](Ctl& c) -> Result<void> {
    must(c.schedule("a", 1ms));
    return std::unexpected(error);
  }));
  EXPECT_EQ(poller_.run_here(until(1s)).error().correlation_id(), error.correlation_id());
  EXPECT_EQ(poller_.pending_timers(), 0u);
  EXPECT_EQ(loop_.timer_count(), 0u);
}

TEST_F(Scheduling, S8_RunHooksRunInOrderAndStopAtTheFirstFailure) {
  bool fails = false;
  must(poller_.add("a", [] {}));
  must(poller_.add_run_hook([&](Ctl&) -> Result<void> {
    says("one");
    if (fails) return fail(Errc::not_found, "no");
    return {};
  }));
  must(poller_.add_run_hook([&](Ctl&) { says("two"); }));
  stop_.request_stop();
  poller_.run_here({.deadline = time(5ms)});
  fails = true;
  poller_.run_here();
  EXPECT_EQ(log_, (Lines{"one 0", "two 0", "one 5"}));
}

TEST_F(Scheduling, S18_FiringsDuringARunAreOneFurtherRun) {
  Channel<int> steps(8);
  must(poller_.add("a", [&](Loop& loop) -> Promise<void> {
    says("a");
    co_await sleep_for(loop, 50ms);
  }));
  must(poller_.add_hook(steps, [&](Ctl& c, std::optional<int>) { must(c.schedule_at_sooner("a", c.now())); }));
  must(poller_.add_run_hook([](Ctl& c) { must(c.schedule_asap("a")); }));
  for (const int step : {10, 20, 30}) after(std::chrono::milliseconds(step), [&] { must(steps.try_send(1)); });
  poller_.run_here(until(1s));
  EXPECT_EQ(log_, (Lines{"a 0", "a 50"}));
}

TEST_F(Scheduling, S19_FiftyRunsWithoutASecondStage) {
  Channel<int> done(100);
  int runs = 0;
  must(poller_.add("a", [&] {
    ++runs;
    must(done.try_send(runs));
  }));
  must(poller_.add_hook(done, [&](Ctl& c, std::optional<int> n) {
    if (*n < 50) must(c.schedule_asap("a"));
  }));
  must(poller_.add_run_hook([](Ctl& c) { must(c.schedule_asap("a")); }));
  poller_.run_here(until(1s));
  EXPECT_EQ(runs, 50);
  EXPECT_EQ(must(poller_.stats("a")).runs, 50u);
}

TEST_F(Scheduling, S20_RunningFromTheFirstStageToTheEndOfTheSecond) {
  Channel<int> look(8);
  must(poller_.add("a", [&](Loop& loop) -> Promise<Stage> {
    co_await sleep_for(loop, 10ms);
    must(look.try_send(2));
    co_return [&](Ctl& c) { EXPECT_TRUE(must(c.running("a"))); };
  }));
  must(poller_.add_hook(look, [&](Ctl& c, std::optional<int> n) {
    if (*n != 2) {
      EXPECT_EQ(must(c.running("a")), *n == 1);
    }
    says(std::to_string(*n));
  }));
  must(poller_.add_run_hook([](Ctl& c) {
    EXPECT_FALSE(must(c.running("a")));
    must(c.schedule_asap("a"));
  }));
  after(5ms, [&] { must(look.try_send(1)); });
  after(15ms, [&] { must(look.try_send(3)); });
  poller_.run_here(until(1s));
  EXPECT_EQ(log_, (Lines{"1 5", "2 10", "3 15"}));
}

TEST_F(Scheduling, S21_AnExceptionEndsTheRunWithinAnErrorThatNamesTheKey) {
  int runs = 0;
  must(poller_.add("a", [&](Loop& loop) -> Promise<void> {
    co_await sleep_for(loop, 1ms);
    if (++runs == 1) throw std::out_of_range("thrown");
  }));
  must(poller_.add_run_hook([](Ctl& c) { must(c.schedule_asap("a")); }));
  const Reason why = poller_.run_here(until(1s));
  EXPECT_TRUE(why.is(Errc::task_failed));
  EXPECT_EQ(why.error().context("key"), "a");
  ASSERT_NE(why.as<std::out_of_range>(), nullptr);
  EXPECT_STREQ(why.as<std::out_of_range>()->what(), "thrown");
  ASSERT_NE(why.error().cause(), nullptr);
  EXPECT_EQ(why.error().cause()->cause(), nullptr) << why.error().to_string();
  EXPECT_TRUE(poller_.run_here(until(2s)).is(Errc::timed_out)) << "it works again";
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(must(poller_.stats("a")).errors, 1u);
}

TEST_F(Scheduling, S21_SoDoExceptionsOfSecondStagesAndSynchronousTasks) {
  must(poller_.add("sync", []() { throw std::out_of_range("sync"); }));
  must(poller_.add("second", []() -> Stage { return [](Ctl&) { throw std::out_of_range("second"); }; }));
  std::string key;
  must(poller_.add_run_hook([&](Ctl& c) { must(c.schedule_asap(key)); }));
  for (const char* each : {"sync", "second"}) {
    key = each;
    const Reason why = poller_.run_here(until(1s));
    EXPECT_EQ(why.error().context("key"), each);
    EXPECT_STREQ(why.as<std::out_of_range>()->what(), each);
  }
}

TEST_F(Scheduling, AnAbandonedFirstStageEndsTheRun) {
  must(poller_.add("a", [&](Loop& loop) { return Promise<void>::with_resolver(loop).promise; }));
  must(poller_.add_run_hook([](Ctl& c) { must(c.schedule_asap("a")); }));
  EXPECT_TRUE(poller_.run_here(until(1s)).is(Errc::broken));
}

TEST_F(Scheduling, S26_EverythingButOffloadedFirstStagesIsOnTheLoopsThread) {  // REQ_POLL_1
  const auto loop_thread = std::this_thread::get_id();
  std::thread::id first;
  std::vector<std::thread::id> others;
  Channel<int> channel(1);
  must(poller_.add_offloaded("a", [&]() -> Stage {
    first = std::this_thread::get_id();
    return [&](Ctl&) {
      others.push_back(std::this_thread::get_id());
      must(channel.try_send(1));
    };
  }));
  must(poller_.add_run_hook([&](Ctl& c) {
    others.push_back(std::this_thread::get_id());
    must(c.schedule_asap("a"));
  }));
  must(poller_.add_hook(channel, [&](Ctl&, std::optional<int>) {
    others.push_back(std::this_thread::get_id());
    stop_.request_stop();
  }));
  poller_.run_here({.stop = stop_.get_token()});
  EXPECT_EQ(others, std::vector(3, loop_thread));
  EXPECT_NE(first, loop_thread);
  EXPECT_NE(first, std::thread::id());
}

TEST_F(Scheduling, REQ_POLL_2_OffloadedStagesAreStoppedWithTheRunAndKeepTheirExceptions) {
  must(poller_.add_offloaded("throws", [] { throw std::out_of_range("on a thread"); }));
  std::atomic<bool> started = false;
  std::atomic<bool> stopped = false;
  must(poller_.add_offloaded("waits", [&](std::stop_token stop) {
    started = true;
    while (!stop.stop_requested()) std::this_thread::yield();
    stopped = true;
  }));
  std::string key = "throws";
  must(poller_.add_run_hook([&](Ctl& c) { must(c.schedule_asap(key)); }));
  EXPECT_NE(poller_.run_here().as<std::out_of_range>(), nullptr);
  key = "waits";
  std::jthread stopper([&] {
    EXPECT_TRUE(gyre::testing::eventually([&] { return started.load(); }));
    stop_.request_stop();
  });
  EXPECT_TRUE(poller_.run_here({.stop = stop_.get_token(), .exit = ExitMode::cancel_and_wait}).is(Errc::cancelled));
  EXPECT_TRUE(stopped);
}

TEST_F(Scheduling, S28_TasksComeAndGoWhileItRuns) {
  Channel<int> channel(4);
  must(poller_.add("first", [] {}));
  Result<ScheduleState> later = ScheduleState::none;
  must(poller_.add_hook(channel, [&](Ctl& c, std::optional<int> n) {
    if (*n == 1) {
      must(poller_.add("new", [&]() -> Stage {
        says("new");
        return [&](Ctl&) { must(poller_.remove("new")); };
      }));
      must(c.schedule_asap("new"));
    } else {
      later = c.schedule_asap("new");
    }
  }));
  after(1ms, [&] { must(channel.try_send(1)); });
  after(5ms, [&] { must(channel.try_send(2)); });
  poller_.run_here(until(1s));
  EXPECT_EQ(log_, Lines{"new 1"});
  EXPECT_TRUE(fails_with(later, Errc::unknown_key));
  EXPECT_TRUE(fails_with(poller_.remove("new"), Errc::unknown_key));
  EXPECT_EQ(poller_.size(), 1u);
}

TEST_F(Scheduling, REQ_POLL_5_ARemovedRunningTaskIsDroppedOrFinishes) {
  const auto task = [&](std::string key) {
    return [this, key](Loop& loop, std::stop_token stop) -> Promise<Stage> {
      try {
        co_await sleep_for(loop, 10ms, stop);
      } catch (const ErrorException&) {
        says(key + " was stopped");
        throw;
      }
      co_return [this, key](Ctl&) { says(key + " finished"); };
    };
  };
  must(poller_.add("drop", task("drop")));
  must(poller_.add("finish", task("finish")));
  must(poller_.add("stays", [] {}));
  must(poller_.add_run_hook([](Ctl& c) {
    must(c.schedule_asap("drop"));
    must(c.schedule_asap("finish"));
  }));
  after(5ms, [&] {
    must(poller_.remove("drop"));
    must(poller_.remove("finish", Removal::finish));
    must(poller_.add("drop", [] {}));  // the key is free at once
  });
  EXPECT_TRUE(poller_.run_here(until(1s)).is(Errc::timed_out)) << "what was dropped fails nobody";
  EXPECT_EQ(log_, (Lines{"drop was stopped 5", "finish finished 10"}));
}

TEST_F(Scheduling, REQ_POLL_5_ADroppedTasksSecondStageDoesNotRun) {
  // Both have ended their first stage when the first of the second stages runs, whichever that is.
  const auto rival = [this](const char* self, const char* other) {
    must(poller_.add(self, [this, self, other] {
      return Stage([this, self, other](Ctl&) {
        says(self);
        must(poller_.remove(other));
      });
    }));
  };
  rival("a", "b");
  rival("b", "a");
  must(poller_.add_run_hook([](Ctl& c) {
    for (const char* key : {"a", "b"}) must(c.schedule_asap(key));
  }));
  poller_.run_here(until(10ms));
  EXPECT_EQ(log_.size(), 1u);
  EXPECT_EQ(poller_.size(), 1u);
}

TEST_F(Scheduling, REQ_POLL_5_ARemovedTaskTakesItsScheduleAlong) {
  for (const char* key : {"waits", "ready", "stays"}) must(poller_.add(key, [this, key] { says(key); }));
  must(poller_.add_run_hook([&](Ctl& c) {
    must(c.schedule("waits", 50ms));
    must(c.schedule_asap("ready"));
    must(c.schedule("stays", 60ms));
    must(poller_.remove("waits"));
    must(poller_.remove("ready"));
    EXPECT_EQ(poller_.pending_timers(), 1u);
  }));
  poller_.run_here(until(100ms));
  EXPECT_EQ(log_, Lines{"stays 60"});
}

TEST_F(Scheduling, REQ_POLL_9_PrioritiesAndAConcurrencyLimit) {
  Poller poller(loop_, {.max_concurrent = 1});
  for (const auto& [key, priority] : {std::pair("low", -1), {"high 1", 5}, {"middle", 0}, {"high 2", 5}}) {
    must(poller.add(key,
                    [this, key](Loop& loop) -> Promise<void> {
                      says(key);
                      co_await sleep_for(loop, 10ms);
                    },
                    {.priority = priority}));
  }
  must(poller.add_run_hook([](Ctl& c) {
    for (const char* key : {"low", "high 1", "middle", "high 2"}) must(c.schedule_asap(key));
  }));
  poller.run_here(until(1s));
  EXPECT_EQ(log_, (Lines{"high 1 0", "high 2 10", "middle 20", "low 30"}));
}

TEST_F(Scheduling, REQ_POLL_9_ATimeOutEndsTheRun) {
  std::stop_token token;
  must(poller_.add("a",
                   [&](Loop& loop, std::stop_token stop) -> Promise<void> {
                     token = stop;
                     co_await sleep_for(loop, 1h);
                   },
                   {.timeout = 20ms}));
  must(poller_.add_run_hook([](Ctl& c) { must(c.schedule_asap("a")); }));
  const Reason why = poller_.run_here();
  EXPECT_TRUE(why.is(Errc::timed_out));
  EXPECT_EQ(why.error().context("key"), "a");
  EXPECT_EQ(at(), 20);
  EXPECT_TRUE(token.stop_requested());
}

TEST_F(Scheduling, REQ_POLL_9_FailuresAreRetriedWithGrowingDelays) {
  int failures = 3;
  must(poller_.add("a",
                   [&]() -> Result<Stage> {
                     says("a");
                     if (failures-- > 0) return fail(Errc::not_found, "not yet");
                     return Stage([&](Ctl& c) { must(c.schedule("a", 500ms)); });
                   },
                   {.retry = BackoffOptions{.initial = 10ms, .jitter = 0}}));
  must(poller_.add_run_hook([](Ctl& c) { must(c.schedule_asap("a")); }));
  after(300ms, [&] { failures = 1; });
  EXPECT_TRUE(poller_.run_here(until(600ms)).is(Errc::timed_out));
  EXPECT_EQ(log_, (Lines{"a 0", "a 10", "a 30", "a 70", "a 570", "a 580"})) << "success starts from the beginning";
  EXPECT_EQ(must(poller_.stats("a")).errors, 4u);
}

TEST_F(Scheduling, REQ_POLL_9_ASuccessWithoutASecondStageStartsFromTheBeginningToo) {
  int call = 0;
  must(poller_.add("a",
                   [&]() -> Result<void> {
                     says("a");
                     if (++call == 3) return {};
                     return fail(Errc::not_found, "not yet");
                   },
                   {.retry = BackoffOptions{.initial = 10ms, .jitter = 0}}));
  must(poller_.add("again", [] { return Stage([](Ctl& c) { must(c.schedule_asap("a")); }); }));
  must(poller_.add_run_hook([](Ctl& c) {
    must(c.schedule_asap("a"));
    must(c.schedule("again", 100ms));
  }));
  poller_.run_here(until(125ms));
  EXPECT_EQ(log_, (Lines{"a 0", "a 10", "a 30", "a 100", "a 110"}));
}

TEST_F(Scheduling, REQ_POLL_9_ARetryLeavesAScheduleAlone) {
  must(poller_.add("a",
                   [&](Loop& loop) -> Promise<void> {
                     says("a");
                     co_await sleep_for(loop, 20ms);
                     throw std::runtime_error("not yet");
                   },
                   {.retry = BackoffOptions{.initial = 10ms, .jitter = 0}}));
  must(poller_.add("b", [this] { return Stage([this](Ctl& c) { must(c.schedule_at("a", time(100ms))); }); }));
  must(poller_.add_run_hook([](Ctl& c) {
    must(c.schedule_asap("a"));
    must(c.schedule("b", 5ms));
  }));
  poller_.run_here(until(110ms));
  EXPECT_EQ(log_, (Lines{"a 0", "a 100"}));
}

TEST_F(Scheduling, REQ_POLL_9_ATimeOutIsRetriedWhenTheTaskHasReallyEnded) {
  must(poller_.add("a",
                   [&](Loop& loop) -> Promise<void> {  // deaf to its token
                     says("a");
                     co_await sleep_for(loop, 100ms);
                   },
                   {.timeout = 20ms, .retry = BackoffOptions{.initial = 10ms, .jitter = 0}}));
  must(poller_.add_run_hook([](Ctl& c) { must(c.schedule_asap("a")); }));
  poller_.run_here(until(150ms));
  EXPECT_EQ(log_, (Lines{"a 0", "a 110"})) << "never twice at once";
}

TEST_F(Scheduling, REQ_POLL_9_ATimeOutStopsTheTasksToken) {
  must(poller_.add("a",
                   [&](Loop& loop, std::stop_token stop) -> Promise<void> {
                     says("a");
                     co_await sleep_for(loop, 100ms, stop);
                   },
                   {.timeout = 20ms, .retry = BackoffOptions{.initial = 10ms, .jitter = 0}}));
  must(poller_.add_run_hook([](Ctl& c) { must(c.schedule_asap("a")); }));
  poller_.run_here(until(60ms));
  EXPECT_EQ(log_, (Lines{"a 0", "a 30"})) << "it has ended when it was told to";
}

TEST_F(Scheduling, KeysMayBeOfAnyTypeThatHasAHash) {
  Scheduler<bool> booleans(loop_);
  Scheduler<const int*> pointers(loop_);
  const int object = 0;
  int runs = 0;
  must(booleans.add(false, [&] { ++runs; }));
  must(booleans.add_run_hook([](Control<bool>& c) { must(c.schedule_asap(false)); }));
  must(pointers.add(nullptr, [&] { ++runs; }));
  must(pointers.add(&object, [&] { ++runs; }));
  must(pointers.add_run_hook([&](Control<const int*>& c) {
    must(c.schedule_asap(nullptr));
    must(c.schedule_asap(&object));
    EXPECT_TRUE(fails_with(c.schedule_asap(&object + 1), Errc::unknown_key));
  }));
  booleans.run_here(until(1ms));
  pointers.run_here(until(2ms));
  EXPECT_EQ(runs, 3);
}

TEST_F(Scheduling, RunsAsAPromiseBesideOtherWork) {
  must(poller_.add("a", [&] { says("a"); }));
  must(poller_.add_run_hook([](Ctl& c) { must(c.schedule("a", 5ms)); }));
  poller_.run(until(10ms)).then([&](const Reason& why) {
    EXPECT_TRUE(why.is(Errc::timed_out));
    says("ended");
  });
  finish();  // the run keeps the loop alive, and nothing does after it
  EXPECT_EQ(log_, (Lines{"a 5", "ended 10"}));
}

}  // namespace
}  // namespace gyre::poll
