#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre {
namespace {

using namespace testing;

rate::Rates rates(std::initializer_list<rate::Window> windows) {
  return must(rate::Rates::create(windows));
}

::testing::AssertionResult refused_for(const Result<void>& result, AdmissionRefusal reason) {
  if (result) return ::testing::AssertionFailure() << "it was accepted";
  if (!result.error().is(Errc::backpressure) || !result.error().is_temporary()) {
    return ::testing::AssertionFailure() << result.error().to_string();
  }
  const auto details = Backpressure::of(result.error());
  if (!details || details->reason != reason) return ::testing::AssertionFailure() << result.error().to_string();
  return ::testing::AssertionSuccess();
}

/// A loop on a clock that is set by hand.
class AdmissionOf : public ::testing::Test {
 protected:
  static LoopOptions limited(AdmissionLimits limits, Clock* clock = nullptr) {
    LoopOptions options;
    options.clock = clock;
    options.admission.emplace().limits = std::move(limits);
    return options;
  }
  int post(Remote remote, int count) {
    int accepted = 0;
    for (int i = 0; i < count; ++i) accepted += remote.post([this] { ++ran; }).has_value() ? 1 : 0;
    return accepted;
  }
  AdmissionMetrics metrics(const Loop& loop) const { return loop.remote().admission().value(); }

  ManualClock clock;
  int ran = 0;
};

TEST_F(AdmissionOf, ALoopWithoutLimitsOrWithoutAdmissionAcceptsEverything) {  // REQ_ADM_1
  Loop without;
  EXPECT_EQ(post(without.remote(), 1000), 1000);
  EXPECT_FALSE(without.remote().admission());
  EXPECT_TRUE(fails_with(without.remote().set_admission({.max_depth = 1}), Errc::unsupported));
  must(without.poll_once());
  EXPECT_EQ(ran, 1000);

  Loop unlimited(limited({}));
  EXPECT_EQ(post(unlimited.remote(), 1000), 1000);
  EXPECT_EQ(metrics(unlimited).depth, 1000u);
  must(unlimited.poll_once());
  EXPECT_EQ(ran, 2000);
  EXPECT_EQ(metrics(unlimited).depth, 0u);
  EXPECT_EQ(metrics(unlimited).highest_depth, 1000u);
  EXPECT_EQ(metrics(unlimited).accepted, 1000u);
}

TEST_F(AdmissionOf, LimitsThatMakeNoSenseAreRefused) {  // REQ_ADM_1
  EXPECT_THROW(Loop(limited({.max_depth = 10, .soft_depth = 11})), std::invalid_argument);
  LoopOptions options = limited({});
  options.admission->max_categories = 0;
  EXPECT_THROW(Loop{std::move(options)}, std::invalid_argument);

  Loop loop(limited({.max_depth = 10}));
  EXPECT_TRUE(fails_with(loop.remote().set_admission({.max_depth = 5, .soft_depth = 6}), Errc::invalid_argument));
  EXPECT_EQ(post(loop.remote(), 20), 10) << "nothing has changed";
}

TEST_F(AdmissionOf, TheLoopsOwnTasksAreCountedAndRefusedAsOthers) {
  Loop loop(limited({.max_depth = 3}));
  const auto task = [this] { ++ran; };  // plain, so that it would be made in its place
  must(loop.post(task));
  must(loop.post(Task(task)));
  must(loop.post_cancellable(task));
  EXPECT_TRUE(refused_for(loop.post(task), AdmissionRefusal::depth));
  EXPECT_TRUE(refused_for(loop.post(Task(task)), AdmissionRefusal::depth));
  EXPECT_TRUE(fails_with(loop.post_cancellable(task), Errc::backpressure));
  EXPECT_TRUE(refused_for(loop.remote().post(task), AdmissionRefusal::depth));
  must(loop.poll_once());
  EXPECT_EQ(ran, 3);
  must(loop.post(task));
}

TEST_F(AdmissionOf, ATaskFreesItsPlaceWhenItStarts) {  // REQ_ADM_4
  Loop loop(limited({.max_depth = 1}));
  must(loop.post([&] {
    must(loop.post([&] { ++ran; }));
    EXPECT_TRUE(refused_for(loop.post([] {}), AdmissionRefusal::depth));
  }));
  must(loop.poll_once());
  must(loop.poll_once());
  EXPECT_EQ(ran, 1);
  EXPECT_EQ(metrics(loop).highest_depth, 1u);
}

TEST_F(AdmissionOf, ACancelledTaskKeepsItsPlaceUntilItsTurn) {
  Loop loop(limited({.max_depth = 1}));
  PostedTask posted = must(loop.post_cancellable([&] { ++ran; }));
  EXPECT_TRUE(posted.cancel());
  EXPECT_TRUE(refused_for(loop.post([] {}), AdmissionRefusal::depth));
  must(loop.poll_once());
  must(loop.post([] {}));
  EXPECT_EQ(ran, 0);
}

TEST_F(AdmissionOf, RATE_36_RatesRefuseAndSayWhenToTryAgain) {
  Loop loop(limited({.rates = rates({{1s, 50}}), .max_depth = 1000}, &clock));
  Remote remote = loop.remote();
  for (int i = 0; i < 80; ++i) {
    const auto posted = remote.post([this] { ++ran; });
    if (i < 50) {
      EXPECT_TRUE(posted) << i;
    } else {
      ASSERT_TRUE(refused_for(posted, AdmissionRefusal::rate)) << i;
      EXPECT_EQ(Backpressure::of(posted.error())->retry_after, Duration(1s));
      EXPECT_THAT(posted.error().message(), ::testing::HasSubstr("try again in 1000000 us"));
    }
    EXPECT_LE(metrics(loop).depth, 50u);
  }
  EXPECT_EQ(metrics(loop).depth, 50u);
  EXPECT_EQ(metrics(loop).highest_depth, 50u) << "those that were refused were never in the queue";
  must(loop.poll_once());
  EXPECT_EQ(ran, 50);
  clock.advance(1s - 1ns);
  EXPECT_TRUE(refused_for(remote.post([] {}), AdmissionRefusal::rate));
  clock.advance(1ns);
  EXPECT_EQ(post(remote, 80), 50);
}

struct Diagnostics final : LoopObserver {
  void on_diagnostic(const Diagnostic& diagnostic) override { records.push_back(diagnostic); }
  std::vector<std::string> reasons() const {
    std::vector<std::string> result;
    for (const Diagnostic& record : records) {
      if (record.event == "admission_refused") result.push_back(record.fields.front().value);
    }
    return result;
  }
  std::vector<Diagnostic> records;
};

TEST_F(AdmissionOf, RATE_45_MetricsAndOneWarning) {
  Loop loop(limited({.rates = rates({{1s, 50}}), .max_depth = 1000}, &clock));
  Diagnostics diagnostics;
  loop.add_observer(diagnostics);
  post(loop.remote(), 80);
  const AdmissionMetrics seen = metrics(loop);
  EXPECT_EQ(seen.accepted, 50u);
  EXPECT_EQ(seen.refused, 30u);
  EXPECT_THAT(seen.refused_for, ::testing::ElementsAre(30, 0, 0));
  EXPECT_EQ(seen.acceptance, 0.625);
  EXPECT_EQ(seen.acceptance_1s, 0.625);
  EXPECT_EQ(seen.acceptance_60s, 0.625);
  must(loop.poll_once());
  ASSERT_EQ(diagnostics.records.size(), 1u);
  EXPECT_EQ(diagnostics.records[0].severity, Severity::warning);
  EXPECT_EQ(diagnostics.reasons(), std::vector<std::string>{"rate"});
  EXPECT_EQ(diagnostics.records[0].fields[1].value, "30");
  EXPECT_EQ(metrics(loop).accepted, 50u) << "that they have run changes nothing";

  clock.advance(500ms);
  post(loop.remote(), 1);
  must(loop.poll_once());
  EXPECT_EQ(diagnostics.records.size(), 1u) << "once a minute";
  clock.advance(60s);
  post(loop.remote(), 51);
  must(loop.poll_once());
  EXPECT_EQ(diagnostics.records.size(), 2u);
  loop.remove_observer(diagnostics);
}

TEST_F(AdmissionOf, RATE_45_AcceptanceOfTheLastSecondsForgets) {  // REQ_ADM_5
  Loop loop(limited({.rates = rates({{1s, 10}})}, &clock));
  post(loop.remote(), 40);
  EXPECT_EQ(metrics(loop).acceptance_1s, 0.25);
  clock.advance(2s);
  post(loop.remote(), 10);
  EXPECT_EQ(metrics(loop).acceptance_1s, 1);
  EXPECT_EQ(metrics(loop).acceptance_10s, 0.4);
  clock.advance(30s);
  EXPECT_EQ(metrics(loop).acceptance_10s, 1);
  EXPECT_EQ(metrics(loop).acceptance_60s, 0.4);
  clock.advance(60s);
  EXPECT_EQ(metrics(loop).acceptance_60s, 1);
  EXPECT_EQ(metrics(loop).acceptance, 0.4);

  must(loop.poll_once());
  EXPECT_EQ(metrics(loop).highest_depth, 20u);
  loop.remote().reset_admission();
  EXPECT_EQ(metrics(loop).accepted, 0u);
  EXPECT_EQ(metrics(loop).refused, 0u);
  EXPECT_EQ(metrics(loop).acceptance, 1);
  EXPECT_EQ(metrics(loop).depth, 0u);
  EXPECT_EQ(metrics(loop).highest_depth, 0u);
  post(loop.remote(), 20);
  EXPECT_EQ(metrics(loop).acceptance, 0.5);
}

TEST_F(AdmissionOf, RATE_45_EachRefusalCountsInItsOwnTime) {  // REQ_ADM_5
  Loop loop(limited({.max_depth = 10}, &clock));
  post(loop.remote(), 12);
  clock.advance(2s);  // nobody looks, and the loop does not run
  post(loop.remote(), 1);
  EXPECT_EQ(metrics(loop).acceptance_1s, 0);
  EXPECT_EQ(metrics(loop).acceptance_10s, 10.0 / 13);
}

TEST_F(AdmissionOf, RATE_45_ALoopThatSleepsHearsOfItsWarning) {  // REQ_ADM_5
  Loop loop(limited({.rates = rates({{1h, 1}})}, &clock));
  Diagnostics diagnostics;
  loop.add_observer(diagnostics);
  Remote remote = loop.remote();
  must(remote.set_metrics(true));
  Runner runner(loop);
  must(remote.post([] {}));
  ASSERT_TRUE(eventually([&] { return remote.metrics()->turns > 0 && remote.admission()->depth == 0; }));
  ASSERT_TRUE(falls_asleep(remote));
  const std::uint64_t turns = remote.metrics()->turns;
  EXPECT_TRUE(refused_for(remote.post([] {}), AdmissionRefusal::rate));
  EXPECT_TRUE(eventually([&] { return remote.metrics()->turns > turns; }));
  must(remote.shutdown());
  must(runner.join());
  EXPECT_EQ(diagnostics.reasons(), std::vector<std::string>{"rate"});
}

TEST_F(AdmissionOf, MetricsComeWithThoseOfTheLoop) {  // REQ_ADM_5
  Loop loop(limited({.max_depth = 5}));
  must(loop.remote().set_metrics(true));
  post(loop.remote(), 8);
  const LoopMetrics seen = loop.remote().metrics().value();
  ASSERT_TRUE(seen.admission);
  EXPECT_EQ(seen.admission->accepted, 5u);
  EXPECT_EQ(seen.admission->refused, 3u);
  EXPECT_EQ(seen.admission->depth, 5u);
  const Remote remote = loop.remote();
  must(loop.close());
  EXPECT_EQ(remote.metrics()->admission->accepted, 5u) << "also after the end";
  EXPECT_EQ(remote.admission()->depth, 0u);

  Loop without;
  must(without.remote().set_metrics(true));
  EXPECT_FALSE(without.remote().metrics()->admission);
}

TEST_F(AdmissionOf, EachReasonWarnsByItself) {  // REQ_ADM_5
  Loop loop(limited({.rates = rates({{1s, 4}}), .category_rates = rates({{1s, 2}}), .max_depth = 5}, &clock));
  Diagnostics diagnostics;
  loop.add_observer(diagnostics);
  Remote remote = loop.remote();
  for (int i = 0; i < 3; ++i) static_cast<void>(remote.post_in("a", [] {}));  // the third: by category
  for (int i = 0; i < 3; ++i) static_cast<void>(remote.post([] {}));          // the third: by rate
  must(remote.post_completion([] {}));
  EXPECT_TRUE(refused_for(remote.post([] {}), AdmissionRefusal::depth));
  must(loop.poll_once());
  EXPECT_THAT(diagnostics.reasons(), ::testing::UnorderedElementsAre("rate", "depth", "category"));
  loop.remove_observer(diagnostics);
}

TEST_F(AdmissionOf, RATE_37_ARefusalForDepthConsumesNoRate) {
  Loop loop(limited({.rates = rates({{1s, 50}}), .max_depth = 10}, &clock));
  EXPECT_EQ(post(loop.remote(), 1000), 10);
  for (int round = 0; round < 4; ++round) {
    must(loop.poll_once());
    EXPECT_EQ(post(loop.remote(), 10), 10) << round;
    EXPECT_TRUE(refused_for(loop.remote().post([] {}), AdmissionRefusal::depth));
  }
  must(loop.poll_once());
  EXPECT_TRUE(refused_for(loop.remote().post([] {}), AdmissionRefusal::rate)) << "fifty were accepted";
}

TEST_F(AdmissionOf, RATE_37_ARefusalForRateConsumesNoPlaceAndNothingOfTheCategory) {  // REQ_ADM_4
  Loop loop(limited({.rates = rates({{1s, 3}}), .category_rates = rates({{10s, 4}}), .max_depth = 100}, &clock));
  Remote remote = loop.remote();
  int accepted = 0;
  for (int i = 0; i < 50; ++i) accepted += remote.post_in("a", [] {}).has_value() ? 1 : 0;
  EXPECT_EQ(accepted, 3);
  EXPECT_EQ(metrics(loop).depth, 3u);
  clock.advance(1s);
  must(remote.post_in("a", [] {}));
  EXPECT_TRUE(refused_for(remote.post_in("a", [] {}), AdmissionRefusal::category)) << "four in ten seconds";
  must(remote.post_in("b", [] {}));
  must(remote.post_in("b", [] {}));
  EXPECT_TRUE(refused_for(remote.post_in("b", [] {}), AdmissionRefusal::rate));
}

TEST_F(AdmissionOf, RATE_38_WhatMustNeverBeRefusedRunsWithTheQueueFull) {
  Loop loop(limited({.rates = rates({{1h, 1}}), .category_rates = rates({{1h, 1}}), .max_depth = 1}, &clock));
  Remote remote = loop.remote();
  Pipe pipe;
  Watcher watcher = must(loop.watch(pipe.read_end(), Readiness::read, [&](Readiness) {
    static_cast<void>(pipe.receive());
    ++ran;
  }));
  std::vector<std::string> done;
  const auto note = [&done](const char* name) { return [&done, name] { done.emplace_back(name); }; };
  // The one task that is accepted does the rest, and leaves the queue full again for all that follows.
  must(remote.post([&] {
    must(loop.post_completion(note("own completion")));
    must(remote.post_completion(note("completion")));
    EXPECT_TRUE(refused_for(remote.post([] {}), AdmissionRefusal::depth));
    must(loop.post_priority(note("own priority task")));
    must(remote.post_priority(note("priority task")));
    must(loop.next_tick(note("own tick")));
    must(remote.next_tick(note("tick")));
    must(loop.queue_microtask(note("own microtask")));
    must(remote.queue_microtask(note("microtask")));
    must(loop.at_checkpoint_end(note("own checkpoint end")));
    must(remote.at_checkpoint_end(note("checkpoint end")));
    must(loop.set_immediate(note("own immediate")));
    must(remote.set_immediate(note("immediate")));
    must(loop.post_close(note("own close callback")));
    must(remote.post_close(note("close callback")));
    must(loop.set_timeout(0ms, note("own timer")));
    must(remote.set_timeout(0ms, note("timer")));
    must(loop.offload([](std::stop_token) { return 1; }, [&](Result<int>) { done.emplace_back("off-loaded"); }));
    pipe.send();
  }));
  while (done.size() < 17 || ran == 0) must(loop.run_once());
  EXPECT_EQ(ran, 1);
  EXPECT_EQ(done.size(), 17u);
}

TEST_F(AdmissionOf, RATE_38_WhatTheDrainRunsIsNotRefused) {  // REQ_ADM_3
  Loop loop(limited({.rates = rates({{1h, 1}}), .max_depth = 1}, &clock));
  std::vector<std::string> done;
  must(loop.offload([](std::stop_token) { return 7; },
                    [&](Result<int> result) {
                      done.push_back(std::to_string(*result));
                      must(loop.queue_microtask([&] { done.emplace_back("microtask"); }));
                    }));
  must(loop.post([&] { done.emplace_back("task"); }));
  must(loop.shutdown());
  must(loop.run());
  EXPECT_THAT(done, ::testing::UnorderedElementsAre("task", "7", "microtask"));
}

TEST_F(AdmissionOf, RATE_39_AfterTheBeginOfTheEndTheAnswerIsThatItEnds) {
  Loop loop(limited({.rates = rates({{1s, 1}}), .category_rates = rates({{1s, 1}}), .max_depth = 1}, &clock));
  Remote remote = loop.remote();
  must(loop.post([&] {
    must(loop.post([] {}).has_value() ? Result<void>() : loop.post_completion([] {}));  // the queue is full
    must(loop.shutdown());
    for (const auto& result :
         {loop.post([] {}), loop.post_in("a", [] {}), remote.post([] {}), remote.post_in("a", [] {})}) {
      EXPECT_TRUE(fails_with(result, Errc::terminated));
      EXPECT_FALSE(Backpressure::of(result.error()));
    }
  }));
  must(loop.run());
  EXPECT_TRUE(fails_with(remote.post([] {}), Errc::terminated));
  EXPECT_TRUE(fails_with(remote.post_wait([] {}), Errc::terminated));
  EXPECT_EQ(remote.admission()->depth, 0u);
}

TEST_F(AdmissionOf, RATE_41_AFloodOfOneCategoryCostsAnotherNothing) {  // REQ_ADM_9
  Loop loop(limited({.category_rates = rates({{1s, 100}}), .max_depth = 1000}, &clock));
  Remote remote = loop.remote();
  int a = 0;
  int b_refused = 0;
  for (int step = 0; step < 1000; ++step) {  // of 10 ms: A comes a hundred times as often as it may, B half as often
    for (int i = 0; i < 100; ++i) a += remote.post_in("A", [] {}).has_value() ? 1 : 0;
    if (step % 2 == 0) b_refused += remote.post_in("B", [] {}).has_value() ? 0 : 1;
    must(loop.poll_once());
    clock.advance(10ms);
  }
  EXPECT_EQ(b_refused, 0);
  EXPECT_EQ(a, 1000) << "a hundred in each of ten seconds";
  must(remote.post([] {}));  // without a category, limits of categories mean nothing
}

TEST_F(AdmissionOf, RATE_42_ALowerDepthDropsNothing) {  // REQ_ADM_7
  Loop loop(limited({.max_depth = 100}));
  Remote remote = loop.remote();
  EXPECT_EQ(post(remote, 60), 60);
  must(remote.set_admission({.max_depth = 10}));
  EXPECT_TRUE(refused_for(remote.post([] {}), AdmissionRefusal::depth));
  // While they run, the queue becomes shorter: the 51st is the first that leaves room for one more, at its start.
  int accepted_at = 0;
  must(remote.set_admission({.max_depth = 100}));
  must(loop.post_priority([&] { must(remote.set_admission({.max_depth = 10})); }));
  must(loop.set_immediate([&] { EXPECT_EQ(metrics(loop).depth, 60u); }));
  struct Prober final : LoopObserver {
    void on_callback_start(CallbackKind kind, std::uint64_t) override {
      if (kind == CallbackKind::task) ++started, probe();
    }
    std::function<void()> probe;
    int started = 0;
  } prober;
  prober.probe = [&] {
    if (accepted_at == 0 && remote.post([this] { ++ran; })) accepted_at = prober.started;
  };
  loop.add_observer(prober);
  must(loop.poll_once());
  loop.remove_observer(prober);
  EXPECT_EQ(ran, 60);
  EXPECT_EQ(accepted_at, 51) << "nine were left";
  must(loop.poll_once());
  EXPECT_EQ(ran, 61);
}

TEST_F(AdmissionOf, RatesChangeAtRunTimeAndRememberWhatWasAccepted) {  // REQ_ADM_7
  Loop loop(limited({.rates = rates({{1s, 2}})}, &clock));
  Remote remote = loop.remote();
  EXPECT_EQ(post(remote, 5), 2);
  must(remote.set_admission({.rates = rates({{1s, 4}})}));
  EXPECT_EQ(post(remote, 5), 2);
  must(remote.set_admission({}));
  EXPECT_EQ(post(remote, 100), 100);
  must(remote.set_admission({.category_rates = rates({{1s, 1}})}));
  must(remote.post_in("a", [] {}));
  EXPECT_TRUE(refused_for(remote.post_in("a", [] {}), AdmissionRefusal::category));
  EXPECT_EQ(post(remote, 10), 10);
}

TEST_F(AdmissionOf, RATE_44_AStalledLoopAdmitsNoMoreThanItsWindow) {  // REQ_ADM_10
  Loop loop(limited({.rates = rates({{1s, 1000}})}, &clock));
  Remote remote = loop.remote();
  must(loop.poll_once());  // the loop has read its clock
  clock.advance(10s);      // and then nobody ran it
  int accepted = 0;
  for (int i = 0; i < 100'000; ++i) {
    accepted += remote.post([] {}).has_value() ? 1 : 0;
    clock.advance(10ns);  // a millisecond for all of them
  }
  EXPECT_EQ(accepted, 1000);
}

TEST_F(AdmissionOf, TheSoftLimitIsToldOnceAndAgainAfterItWasLeft) {  // REQ_ADM_1, and it refuses nothing: REQ_ADM_2
  std::vector<std::size_t> told;
  LoopOptions options = limited({.soft_depth = 5});
  options.admission->on_soft_depth = [&](std::size_t depth) { told.push_back(depth); };
  Loop loop(std::move(options));
  post(loop.remote(), 4);
  must(loop.poll_once());
  EXPECT_TRUE(told.empty());
  post(loop.remote(), 7);
  must(loop.poll_once());
  EXPECT_THAT(told, ::testing::ElementsAre(7));
  EXPECT_EQ(ran, 11);
  must(loop.poll_once());
  post(loop.remote(), 5);
  must(loop.poll_once());
  EXPECT_THAT(told, ::testing::ElementsAre(7, 5));
}

TEST_F(AdmissionOf, ASoftLimitsHandlerMayFail) {
  int failures = 0;
  LoopOptions options = limited({.soft_depth = 1});
  options.on_callback_error = [&](const Error&, CallbackKind kind) {
    EXPECT_EQ(kind, CallbackKind::pressure);
    ++failures;
  };
  options.admission->on_soft_depth = [](std::size_t) { throw std::runtime_error("it failed"); };
  Loop loop(std::move(options));
  post(loop.remote(), 1);
  must(loop.poll_once());
  EXPECT_EQ(failures, 1);
  EXPECT_EQ(ran, 1);
}

TEST_F(AdmissionOf, ExemptTasksAreCountedAndNeverRefused) {  // REQ_ADM_1
  LoopOptions options =
      limited({.rates = rates({{1h, 2}}), .category_rates = rates({{1h, 1}}), .max_depth = 2}, &clock);
  options.admission->exempt_own_tasks = true;
  options.admission->exempt_categories = {"health"};
  Loop loop(std::move(options));
  Remote remote = loop.remote();
  EXPECT_EQ(post(remote, 5), 2);
  for (int i = 0; i < 3; ++i) {
    must(loop.post([&] { ++ran; }));
    must(remote.post_in("health", [&] { ++ran; }));
    must(loop.post_in("health", [&] { ++ran; }));
    must(remote.post_in("health", [&] { ++ran; }));
  }
  EXPECT_EQ(metrics(loop).depth, 14u);
  EXPECT_TRUE(refused_for(remote.post_in("", [] {}), AdmissionRefusal::depth));
  must(loop.poll_once());
  EXPECT_EQ(ran, 14);
  EXPECT_EQ(metrics(loop).depth, 0u);
}

TEST_F(AdmissionOf, CategoriesBeyondTheCapMakeRoom) {
  LoopOptions options = limited({.category_rates = rates({{1s, 2}})}, &clock);
  options.admission->max_categories = 3;
  Loop loop(std::move(options));
  Remote remote = loop.remote();
  for (int i = 0; i < 100; ++i) must(remote.post_in(std::to_string(i), [] {}));
  for (const char* key : {"x", "y", "z"}) {
    must(remote.post_in(key, [] {}));
    must(remote.post_in(key, [] {}));
  }
  const auto refused = remote.post_in("w", [] {});  // all that are held are limited, and stay
  ASSERT_TRUE(refused_for(refused, AdmissionRefusal::category));
  EXPECT_FALSE(Backpressure::of(refused.error())->retry_after);
}

TEST_F(AdmissionOf, TasksOfALoopThatIsClosedAreNoLongerInItsQueue) {
  Loop loop(limited({.max_depth = 10}));
  const Remote remote = loop.remote();
  post(remote, 10);
  must(loop.close());
  EXPECT_EQ(remote.admission()->depth, 0u);
  EXPECT_EQ(remote.admission()->accepted, 10u);
  EXPECT_EQ(ran, 0);
}

TEST(BackpressureDetails, AreThoseOfTheInnermostRefusal) {  // REQ_ADM_2
  EXPECT_FALSE(Backpressure::of(Error(Errc::backpressure, "a queue of another kind")));
  EXPECT_FALSE(Backpressure::of(Error(Errc::terminated, "over").with("reason", "rate")));
  const Error refusal(Errc::backpressure, "full", {{"reason", "category"}, {"retry_after_ns", "1500"}});
  const auto details = Backpressure::of(Error(Errc::timed_out, "too late").caused_by(refusal));
  ASSERT_TRUE(details);
  EXPECT_EQ(details->reason, AdmissionRefusal::category);
  EXPECT_EQ(details->retry_after, Duration(1500));
  EXPECT_FALSE(Backpressure::of(refusal.with("other", 1))->retry_after == Duration(1));
}

}  // namespace
}  // namespace gyre
