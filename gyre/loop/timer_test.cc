#include <algorithm>
#include <atomic>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre {
namespace {

using namespace testing;

class Timer : public ::testing::Test {
 protected:
  Task note(std::string word) {
    return [this, word = std::move(word)] { log += word + " "; };
  }
  void pass(Duration time) {
    clock.advance(time);
    must(loop.poll_once());
  }
  ManualClock clock;
  Loop loop{LoopOptions{.clock = &clock}};
  std::string log;
};

TEST_F(Timer, IdsStartAtOneAndAreUnique) {  // L76
  std::set<std::uint64_t> ids;
  for (int i = 0; i < 500; ++i) {
    const TimerId id = must(loop.set_timeout(0s, [] {}));
    EXPECT_TRUE(id);
    ids.insert(id.value());
    if (i % 3 == 0) must(loop.cancel(id));
  }
  EXPECT_EQ(ids.size(), 500u);
  EXPECT_EQ(*ids.begin(), 1u);
}

TEST_F(Timer, ZeroAndNegativeDelaysFireInTheNextTimerPhase) {  // L76
  must(loop.poll_once());
  must(loop.set_timeout(-5ms, note("negative")));
  must(loop.set_timeout(0s, note("zero")));
  must(loop.set_timeout(Duration::min(), note("least")));
  must(loop.poll_once());
  EXPECT_EQ(log, "negative zero least ");
}

TEST_F(Timer, FireInTheOrderOfTheirDeadlines) {  // L77
  for (const int delay : {100, 0, 150, 50})
    must(loop.set_timeout(std::chrono::milliseconds(delay), note(std::to_string(delay))));
  for (int i = 0; i < 16; ++i) pass(10ms);
  EXPECT_EQ(log, "0 50 100 150 ");
}

TEST_F(Timer, EqualDeadlinesFireInTheOrderTheyWereArmed) {  // L78
  must(loop.poll_once());
  for (int i = 0; i < 10; ++i) must(loop.set_timeout(5ms, note(std::to_string(i))));
  pass(5ms);
  EXPECT_EQ(log, "0 1 2 3 4 5 6 7 8 9 ");
}

TEST_F(Timer, NanosecondsDecideTheOrder) {  // L78
  must(loop.poll_once());
  must(loop.set_timeout(1ms + 2ns, note("second")));
  must(loop.set_timeout(1ms + 1ns, note("first")));
  must(loop.set_timeout(1ms + 3ns, note("third")));
  pass(2ms);
  EXPECT_EQ(log, "first second third ");
}

TEST_F(Timer, NeverFiresBeforeItsDeadline) {
  must(loop.poll_once());
  must(loop.set_timeout(10ms, note("fired")));
  pass(10ms - 1ns);
  EXPECT_EQ(log, "");
  pass(1ns);
  EXPECT_EQ(log, "fired ");
}

TEST_F(Timer, AtAMoment) {
  const TimePoint start = clock.now();
  must(loop.set_timeout_at(start + 2ms, note("2")));
  must(loop.set_timeout_at(start + 1ms, note("1")));
  must(loop.set_timeout_at(start - 1h, note("past")));
  must(loop.poll_once());
  pass(2ms);
  EXPECT_EQ(log, "past 1 2 ");
}

TEST_F(Timer, ArmedInATimerFiresInALaterTurn) {  // L79
  must(loop.poll_once());
  must(loop.set_timeout(0s, [&] {
    log += "first ";
    must(loop.set_timeout(0s, note("second")));
  }));
  must(loop.poll_once());
  EXPECT_EQ(log, "first ");
  must(loop.poll_once());
  EXPECT_EQ(log, "first second ");
}

TEST_F(Timer, ArmedEarlierInTheTurnDoesNotFireInIt) {  // L79
  must(loop.poll_once());
  must(loop.set_immediate([&] { must(loop.set_timeout(0s, note("timer"))); }));
  must(loop.poll_once());
  EXPECT_EQ(log, "");
  must(loop.poll_once());
  EXPECT_EQ(log, "timer ");
}

TEST_F(Timer, AnOlderOneFiresThoughANewerOneIsDueEarlier) {
  must(loop.poll_once());
  must(loop.set_timeout(2ms, note("old")));
  clock.advance(2ms);
  must(loop.set_immediate([&] { must(loop.set_timeout_at(clock.now() - 1ms, note("new"))); }));
  must(loop.poll_once());
  EXPECT_EQ(log, "old ");
  must(loop.poll_once());
  EXPECT_EQ(log, "old new ");
}

TEST_F(Timer, ArmedInAStartUpMicrotaskFiresInTheStartUpPass) {  // L80
  must(loop.queue_microtask([&] { must(loop.set_timeout(0s, note("startup"))); }));
  must(loop.set_immediate(note("immediate")));
  must(loop.poll_once());
  EXPECT_EQ(log, "startup immediate ");
}

TEST_F(Timer, ArmedInAStartUpTimerFiresLater) {  // L80
  must(loop.set_timeout(0s, [&] {
    log += "startup ";
    must(loop.set_timeout(0s, note("later")));
  }));
  must(loop.set_immediate(note("immediate")));
  must(loop.poll_once());
  EXPECT_EQ(log, "startup immediate later ");
}

// --- Cancelling ---

TEST_F(Timer, CancelledNeverFires) {  // L81 L82
  const TimerId timer = must(loop.set_timeout(1ms, [] { ADD_FAILURE(); }));
  must(loop.cancel(timer));
  EXPECT_TRUE(fails_with(loop.cancel(timer), Errc::timer_not_found));
  pass(1h);
}

TEST_F(Timer, CancellingAFiredOrUnknownOneFindsNothing) {  // L81 L82
  EXPECT_TRUE(fails_with(loop.cancel(TimerId()), Errc::timer_not_found));
  EXPECT_TRUE(fails_with(loop.cancel(TimerId(99, 0)), Errc::timer_not_found));
  EXPECT_TRUE(fails_with(loop.cancel(TimerId(99, 4'000'000'000)), Errc::timer_not_found));
  const TimerId timer = must(loop.set_timeout(0s, [] {}));
  must(loop.poll_once());
  EXPECT_TRUE(fails_with(loop.cancel(timer), Errc::timer_not_found));
  EXPECT_TRUE(fails_with(loop.reschedule(timer, 1s), Errc::timer_not_found));
}

TEST_F(Timer, CancelledByAnotherOfTheSamePhaseDoesNotFire) {  // L83
  must(loop.poll_once());
  TimerId second;
  must(loop.set_timeout(1ms, [&] { must(loop.cancel(second)); }));
  second = must(loop.set_timeout(1ms, [] { ADD_FAILURE(); }));
  must(loop.set_timeout(1ms, note("third")));
  pass(1ms);
  EXPECT_EQ(log, "third ");
}

TEST_F(Timer, CancelledByAMicrotaskOfTheSamePhaseDoesNotFire) {  // L84
  must(loop.poll_once());
  TimerId second;
  must(loop.set_timeout(1ms, [&] { must(loop.queue_microtask([&] { must(loop.cancel(second)); })); }));
  second = must(loop.set_timeout(1ms, [] { ADD_FAILURE(); }));
  pass(1ms);
}

TEST_F(Timer, CancelledInItsOwnCallbackOnceAndDoesNotFireAgain) {  // L85
  for (const bool repeats : {false, true}) {
    TimerId timer;
    int runs = 0;
    const auto callback = [&] {
      ++runs;
      must(loop.cancel(timer));
      EXPECT_TRUE(fails_with(loop.cancel(timer), Errc::timer_not_found));
    };
    timer = repeats ? must(loop.set_interval(1ms, callback)) : must(loop.set_timeout(1ms, callback));
    for (int i = 0; i < 5; ++i) pass(1ms);
    EXPECT_EQ(runs, 1);
  }
  EXPECT_EQ(loop.timer_count(), 0u);
}

TEST_F(Timer, CancelledInItsOwnCallbackIsDestroyedAfterIt) {
  TimerId timer;
  timer = must(loop.set_timeout(0s, [&, at_end = AtEnd([&] { log += "destroyed "; })] {
    must(loop.cancel(timer));
    must(loop.set_timeout(1ms, note("in its place")));  // takes the same slot
    log += "still here ";
  }));
  must(loop.poll_once());
  EXPECT_EQ(log, "still here destroyed ");
  pass(1ms);
  EXPECT_EQ(log, "still here destroyed in its place ");
}

TEST_F(Timer, CancellingDestroysTheCaptureAtOnce) {  // L143
  const TimerId timeout = must(loop.set_timeout(1h, [at_end = AtEnd([&] { log += "timeout "; })] {}));
  const TimerId interval = must(loop.set_interval(1h, [at_end = AtEnd([&] { log += "interval "; })] {}));
  must(loop.cancel(timeout));
  must(loop.cancel(interval));
  EXPECT_EQ(log, "timeout interval ");
}

TEST_F(Timer, CancellingOneWhoseCaptureCancelsAndArmsOthers) {
  const TimerId inner = must(loop.set_timeout(1h, [] { ADD_FAILURE(); }));
  const TimerId outer = must(loop.set_timeout(1h, [at_end = AtEnd([&] {
                                                     must(loop.cancel(inner));
                                                     for (int i = 0; i < 200; ++i) must(loop.set_timeout(1h, [] {}));
                                                   })] { ADD_FAILURE(); }));
  must(loop.cancel(outer));
  EXPECT_EQ(loop.timer_count(), 200u);
}

TEST_F(Timer, AThousandCancelledLeaveNothingBehind) {  // L96
  auto capture = std::make_shared<int>();
  std::vector<TimerId> timers;
  for (int i = 0; i < 1000; ++i)
    timers.push_back(must(loop.set_timeout(std::chrono::milliseconds(i * 7919 % 1000), [capture] {})));
  EXPECT_EQ(loop.timer_count(), 1000u);
  for (const TimerId timer : timers) must(loop.cancel(timer));
  EXPECT_EQ(loop.timer_count(), 0u);
  EXPECT_EQ(capture.use_count(), 1);
  EXPECT_FALSE(loop.is_alive());
}

TEST_F(Timer, AnOldIdNeverNamesANewOne) {
  const TimerId old = must(loop.set_timeout(1h, [] { ADD_FAILURE(); }));
  must(loop.cancel(old));
  const TimerId recent = must(loop.set_timeout(1ms, note("new")));
  EXPECT_EQ(recent.slot(), old.slot());
  EXPECT_TRUE(fails_with(loop.cancel(old), Errc::timer_not_found));
  pass(1ms);
  EXPECT_EQ(log, "new ");
}

// --- Intervals ---

TEST_F(Timer, AnIntervalCountsFromTheStartOfItsCallback) {  // L89
  std::vector<Duration> starts;
  const TimePoint begin = clock.now();
  must(loop.set_interval(10ms, [&] {
    starts.push_back(clock.now() - begin);
    clock.advance(7ms);  // that long it takes
  }));
  while (clock.now() - begin < 75ms) pass(1ms);
  EXPECT_EQ(starts, (std::vector<Duration>{10ms, 20ms, 30ms, 40ms, 50ms, 60ms, 70ms}));
}

TEST_F(Timer, AnIntervalCountsFromItsOwnStartNotFromItsPhases) {
  std::vector<Duration> starts;
  must(loop.poll_once());
  const TimePoint begin = clock.now();
  must(loop.set_timeout(10ms, [&] { clock.advance(3ms); }));  // delays what comes after it in the phase
  must(loop.set_interval(10ms, [&] { starts.push_back(clock.now() - begin); }));
  for (int i = 0; i < 30; ++i) pass(1ms);
  EXPECT_EQ(starts, (std::vector<Duration>{13ms, 23ms, 33ms}));
}

TEST_F(Timer, AFiredOnesCaptureIsDestroyedBeforeItsCheckpoint) {
  must(loop.set_timeout(0s, [this, at_end = AtEnd([&] { log += "destroyed "; })] {
    log += "fired ";
    must(loop.queue_microtask(note("microtask")));
  }));
  must(loop.poll_once());
  EXPECT_EQ(log, "fired destroyed microtask ");
}

TEST_F(Timer, AnIntervalDoesNotMakeUpForMissedRuns) {
  int runs = 0;
  must(loop.set_interval(10ms, [&] { ++runs; }));
  must(loop.poll_once());
  pass(95ms);
  must(loop.poll_once());
  EXPECT_EQ(runs, 1);
  pass(9ms);
  EXPECT_EQ(runs, 1);
  pass(1ms);
  EXPECT_EQ(runs, 2);
}

TEST_F(Timer, AnIntervalOfZeroRunsOncePerTurn) {  // L89
  int runs = 0;
  must(loop.poll_once());
  must(loop.set_interval(0s, [&] { ++runs; }));
  for (int i = 1; i <= 10; ++i) {
    must(loop.poll_once());
    EXPECT_EQ(runs, i);
  }
}

TEST_F(Timer, AFailingIntervalGoesOn) {  // L89
  int runs = 0;
  must(loop.set_interval(1ms, [&] {
    ++runs;
    throw std::runtime_error("every time");
  }));
  must(loop.poll_once());
  for (int i = 0; i < 3; ++i) pass(1ms);
  EXPECT_EQ(runs, 3);
}

TEST_F(Timer, AnIntervalKeepsItsIdAndStopsWhenCancelled) {  // L90
  int runs = 0;
  TimerId timer;
  timer = must(loop.set_interval(1ms, [&] {
    if (++runs == 3) must(loop.cancel(timer));
  }));
  for (int i = 0; i < 10; ++i) pass(1ms);
  EXPECT_EQ(runs, 3);
}

// --- Rescheduling ---

TEST_F(Timer, RescheduledMovesBehindOthersOfTheSameDeadline) {
  must(loop.poll_once());
  const TimerId first = must(loop.set_timeout(5ms, note("moved")));
  must(loop.set_timeout(5ms, note("other")));
  must(loop.reschedule(first, 5ms));
  pass(5ms);
  EXPECT_EQ(log, "other moved ");
}

TEST_F(Timer, RescheduledInItsOwnCallbackFiresAgain) {
  TimerId timer;
  int runs = 0;
  timer = must(loop.set_timeout(1ms, [&] {
    if (++runs < 3) must(loop.reschedule(timer, 2ms));
  }));
  must(loop.poll_once());
  for (int i = 0; i < 10; ++i) pass(1ms);
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(loop.timer_count(), 0u);
}

TEST_F(Timer, RescheduledIntervalRunsAfterTheNewDelayThenAtItsInterval) {
  std::vector<Duration> runs;
  const TimePoint begin = clock.now();
  const TimerId timer = must(loop.set_interval(10ms, [&] { runs.push_back(clock.now() - begin); }));
  must(loop.reschedule(timer, 3ms));
  for (int i = 0; i < 25; ++i) pass(1ms);
  EXPECT_EQ(runs, (std::vector<Duration>{3ms, 13ms, 23ms}));
}

TEST_F(Timer, ADueOneRescheduledByAnotherOfThePhaseWaits) {
  must(loop.poll_once());
  TimerId second;
  must(loop.set_timeout(1ms, [&] { must(loop.reschedule(second, 5ms)); }));
  second = must(loop.set_timeout(1ms, note("second")));
  pass(1ms);
  EXPECT_EQ(log, "");
  pass(5ms);
  EXPECT_EQ(log, "second ");
}

TEST_F(Timer, ASetAsideOneRescheduledAgainTakesItsNewPlace) {
  must(loop.poll_once());
  TimerId a;
  must(loop.set_timeout(1ms, [&] {
    a = must(loop.set_timeout_at(clock.now() - 3ms, note("a")));
    must(loop.set_timeout_at(clock.now() - 2ms, note("b")));
  }));
  must(loop.set_timeout(1ms, [&] {
    must(loop.reschedule(a, 0s));  // due still, but now behind b
  }));
  must(loop.set_timeout(1ms, [&] {}));
  pass(1ms);
  EXPECT_EQ(loop.timer_count(), 2u);
  must(loop.poll_once());
  EXPECT_EQ(log, "b a ");
}

TEST_F(Timer, SetAsideOnesCountAndCanBeCancelled) {
  must(loop.poll_once());
  must(loop.set_timeout(1ms, [&] {
    const TimerId aside = must(loop.set_timeout(0s, [] { ADD_FAILURE(); }));
    must(loop.set_timeout(0s, note("kept")));
    must(loop.queue_microtask([&, aside] {
      must(loop.set_timeout(0s, note("last")));
      EXPECT_EQ(loop.timer_count(), 4u);
      must(loop.cancel(aside));
    }));
  }));
  must(loop.set_timeout(1ms, [&] {}));
  pass(1ms);
  must(loop.poll_once());
  EXPECT_EQ(log, "kept last ");
}

// --- Limits ---

TEST_F(Timer, DelaysBeyondTheEndOfTimeWaitForEver) {  // L92, otherwise: the deadline is held at the end of time
  must(loop.set_timeout(Duration::max(), [] { ADD_FAILURE(); }));
  must(loop.set_interval(Duration::max(), [] { ADD_FAILURE(); }));
  must(loop.set_timeout_at(TimePoint::max(), [] { ADD_FAILURE(); }));
  pass(std::chrono::hours(24 * 365 * 100));
  EXPECT_EQ(loop.timer_count(), 3u);
}

// --- On the real clock ---

TEST(TimerOnTheRealClock, IsNeverEarlyAndNeedsNoBusyWait) {
  Loop loop;
  Pipe pipe;
  for (const bool watching : {false, true}) {
    Watcher watcher;
    if (watching) watcher = must(loop.watch(pipe.read_end(), Readiness::read, [](Readiness) {}));
    const auto turns = loop.stats().turns;
    for (const Duration delay : {1ns, 300'000ns, 999'999ns, 3'000'001ns}) {
      const auto start = std::chrono::steady_clock::now();
      bool fired = false;
      must(loop.set_timeout(delay, [&] {
        EXPECT_GE(std::chrono::steady_clock::now() - start, delay);
        fired = true;
      }));
      while (!fired) must(loop.run_once());
    }
    EXPECT_LE(loop.stats().turns - turns, 16u);
  }
}

TEST(TimerOnTheRealClock, OverASecondOnAnIdleLoopFiresByItself) {  // L94
  Loop loop({.auto_exit = true});
  bool fired = false;
  must(loop.set_timeout(1001ms, [&] { fired = true; }));
  must(loop.run());
  EXPECT_TRUE(fired);
  EXPECT_LE(loop.stats().turns, 4u);
}

TEST(TimerOnTheRealClock, ArmedByATaskAfterALongSleepCountsFromNow) {  // L95
  Loop loop;
  Duration waited{};
  Runner runner(loop);
  ASSERT_TRUE(falls_asleep(loop.remote()));
  std::this_thread::sleep_for(30ms);
  must(loop.remote().post([&] {
    const auto start = std::chrono::steady_clock::now();
    must(loop.set_timeout(20ms, [&, start] {
      waited = std::chrono::steady_clock::now() - start;
      must(loop.shutdown());
    }));
  }));
  must(runner.join());
  EXPECT_GE(waited, 20ms);
}

TEST(TimerOnAManualClock, AnAutomaticOneRunsHoursAtOnce) {
  ManualClock clock(ManualClock::Mode::automatic);
  Loop loop({.auto_exit = true, .clock = &clock});
  const TimePoint start = clock.now();
  int hours = 0;
  TimerId timer;
  timer = must(loop.set_interval(1h, [&] {
    if (++hours == 1000) must(loop.cancel(timer));
  }));
  must(loop.run());
  EXPECT_EQ(clock.now() - start, 1000h);
  EXPECT_EQ(loop.stats().sleeps, 0u);
}

TEST(TimerOnAManualClock, AdvancingAndWakingASleepingLoopFires) {
  ManualClock clock;
  Loop loop({.clock = &clock});
  std::atomic<int> fired = 0;
  must(loop.set_interval(1s, [&] { ++fired; }));
  Runner runner(loop);
  for (int i = 1; i <= 1000; ++i) {
    clock.advance(1s);
    must(loop.remote().wake());
    ASSERT_TRUE(eventually([&] { return fired == i; }));
  }
  must(loop.remote().close());
}

// --- Against a reference ---

// A list of what should fire, searched from end to end: too simple to be wrong.
class ReferenceTimers {
 public:
  struct Entry {
    TimePoint deadline;
    std::uint64_t order;
    std::uint64_t turn;  // it fires in a later one
    Duration interval;
  };
  void arm(int name, TimePoint deadline, Duration interval) { entries_[name] = {deadline, ++order_, turn, interval}; }
  bool rearm(int name, TimePoint deadline) {
    const auto found = entries_.find(name);
    if (found == entries_.end()) return false;
    found->second.deadline = deadline;
    found->second.order = ++order_;
    found->second.turn = turn;
    return true;
  }
  bool cancel(int name) { return entries_.erase(name) > 0; }
  std::size_t size() const { return entries_.size(); }

  /// What fires next in this turn at `now`; -1 if nothing does.
  int next(TimePoint now) const {
    int best = -1;
    for (const auto& [name, entry] : entries_) {
      if (entry.deadline > now || entry.turn >= turn) continue;
      if (best < 0 || before(entry, entries_.at(best))) best = name;
    }
    return best;
  }
  /// Before the callback.
  const Entry& at(int name) const { return entries_.at(name); }
  bool contains(int name) const { return entries_.contains(name); }

  std::uint64_t turn = 0;

 private:
  static bool before(const Entry& a, const Entry& b) {
    return a.deadline != b.deadline ? a.deadline < b.deadline : a.order < b.order;
  }
  std::map<int, Entry> entries_;
  std::uint64_t order_ = 0;
};

class TimerModel : public ::testing::TestWithParam<unsigned> {};

TEST_P(TimerModel, AgreesWithTheReferenceOverAHundredThousandOperations) {
  std::mt19937 random(GetParam());
  const auto below = [&](int bound) { return static_cast<int>(random() % static_cast<unsigned>(bound)); };
  ManualClock clock;
  Loop loop({.clock = &clock});
  ReferenceTimers reference;
  std::map<int, TimerId> ids;
  std::vector<int> names;
  int next_name = 0;
  int operations = 0;
  int fired_in_turn = 0;
  int running = -1;
  TimePoint phase_now{};

  std::function<void(int)> on_fire;
  const auto some_name = [&] {
    return names.empty() ? -1 : names[static_cast<std::size_t>(below(static_cast<int>(names.size())))];
  };
  const auto operate = [&] {
    ++operations;
    const auto delay = std::chrono::microseconds(below(8) == 0 ? 0 : below(50));
    switch (below(6)) {
      case 0:
      case 1: {
        if (reference.size() > 60) break;
        const int name = next_name++;
        names.push_back(name);
        const bool repeats = below(4) == 0;
        const Duration interval = repeats ? Duration(delay) : Duration(-1);
        const auto callback = [&on_fire, name] { on_fire(name); };
        reference.arm(name, clock.now() + delay, interval);
        ids[name] = repeats ? must(loop.set_interval(delay, callback)) : must(loop.set_timeout(delay, callback));
        break;
      }
      case 2:
      case 3: {
        const int name = some_name();
        if (name < 0) break;
        EXPECT_EQ(loop.cancel(ids[name]).has_value(), reference.cancel(name));
        std::erase(names, name);
        if (below(3) == 0) names.push_back(name);  // so that dead ones are tried again
        break;
      }
      case 4: {
        const int name = some_name();
        if (name < 0) break;
        EXPECT_EQ(loop.reschedule(ids[name], delay).has_value(), reference.rearm(name, clock.now() + delay));
        break;
      }
      default:
        break;
    }
  };
  on_fire = [&](int name) {
    // The first of a turn's callbacks is called at the phase's time; the reference is asked as the loop decides.
    ASSERT_EQ(reference.next(phase_now), name) << "turn " << reference.turn << ", operation " << operations;
    ++fired_in_turn;
    running = name;
    const auto before = reference.at(name);
    const bool repeats = before.interval >= Duration::zero();
    // While its callback runs a timer may be cancelled or armed anew, but is not due.
    reference.rearm(name, TimePoint::max());
    const auto armed = reference.at(name).order;
    for (int i = below(4); i > 0; --i) operate();
    if (reference.contains(name) && reference.at(name).order == armed) {
      if (repeats) {
        reference.rearm(name, clock.now() + before.interval);
      } else {
        reference.cancel(name);
      }
    }
    running = -1;
  };
  must(loop.poll_once());
  while (operations < 100'000 && !HasFailure()) {
    for (int i = below(6); i > 0; --i) operate();
    clock.advance(std::chrono::microseconds(below(20)));
    ++reference.turn;
    phase_now = clock.now();
    must(loop.poll_once());
    EXPECT_EQ(reference.next(phase_now), -1) << "not fired in turn " << reference.turn;
    ASSERT_EQ(loop.timer_count(), reference.size());
  }
  EXPECT_GT(fired_in_turn, 10'000);
}

INSTANTIATE_TEST_SUITE_P(Seeds, TimerModel, ::testing::Values(1u, 2u, 3u));

TEST(TimerSlack, TimersThatAreDueWithinItFireTogetherAndNoneEarlyOrTooLate) {
  ManualClock clock(ManualClock::Mode::automatic);
  Loop loop({.auto_exit = true, .clock = &clock, .timer_slack = 1ms});
  const TimePoint start = clock.now();
  std::vector<std::pair<int, Duration>> fired;
  for (const int delay : {1500, 1000, 2000, 2001, 9000}) {  // microseconds
    must(loop.set_timeout(std::chrono::microseconds(delay),
                          [&, delay] { fired.emplace_back(delay, clock.now() - start); }));
  }
  must(loop.run());
  const std::vector<std::pair<int, Duration>> expected = {
      {1000, 2ms}, {1500, 2ms}, {2000, 2ms}, {2001, 3001us}, {9000, 10ms}};
  EXPECT_EQ(fired, expected);
}

TEST(TimerSlack, ATimerBeyondTheEndOfTimeStaysThere) {
  ManualClock clock;
  Loop loop({.clock = &clock, .timer_slack = Duration::max()});
  bool fired = false;
  must(loop.set_timeout(1ms, [&] { fired = true; }));
  clock.advance(1ms);
  must(loop.poll_once());  // there is no sleep to be had: what is due fires
  EXPECT_TRUE(fired);
}

}  // namespace
}  // namespace gyre
