#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/promise/combinators.h>
#include <gyre/promise/internal/test_support.h>
#include <gyre/promise/promise_observer.h>

namespace gyre {
namespace {

using testing::must;
using testing::some_error;
using namespace std::chrono_literals;

/// Writes down what it is told.
class Recorder final : public PromiseObserver {
 public:
  void on_transition(const PromiseEvent& event) override {
    lines.push_back(std::to_string(event.promise) + " " + std::string(to_string(event.transition)) +
                    (event.other != 0 ? " by " + std::to_string(event.other) : "") +
                    (event.reason != nullptr ? ": " + event.reason->message() : ""));
    events.push_back(event);
    if (event.reason != nullptr) ids.push_back(event.reason->error().correlation_id());
    if (at_event) at_event();
  }
  std::vector<std::string> lines;
  std::vector<PromiseEvent> events;
  std::vector<Uuid> ids;
  std::function<void()> at_event;
};

class PromiseObserving : public testing::PromiseTest {
 protected:
  Recorder recorder_;
};

TEST_F(PromiseObserving, R39_EachTransitionFromTheMakingToTheRelease) {
  Promises promises(loop_, {.observer = &recorder_});
  {
    auto [promise, resolver] = Promise<int>::with_resolver(promises);
    promise.then([](int) {});
    resolver.resolve(1);
  }
  loop_.run_checkpoint();
  EXPECT_EQ(recorder_.lines,
            (Lines{"1 created", "2 created", "1 handled", "1 fulfilled", "2 fulfilled", "2 released", "1 released"}));
}

TEST_F(PromiseObserving, R39_AdoptionNamesBothPromises) {
  Promises promises(loop_, {.observer = &recorder_});
  auto inner = Promise<int>::with_resolver(promises);
  auto outer = Promise<int>::with_resolver(promises);
  outer.resolver.resolve(inner.promise);
  inner.resolver.resolve(1);
  loop_.run_checkpoint();
  EXPECT_EQ(recorder_.lines,
            (Lines{"1 created", "2 created", "2 adopted by 1", "1 handled", "1 fulfilled", "2 fulfilled"}));
}

TEST_F(PromiseObserving, R39_ARejectionCarriesItsReasonToTheReport) {
  ManualClock clock;
  Loop loop({.auto_exit = true, .clock = &clock});
  int reports = 0;
  Promises promises(loop, {.on_unhandled_rejection = [&](const Reason&) { ++reports; }, .observer = &recorder_});
  const Error error = some_error("lost");
  clock.advance(5s);
  loop.refresh_now();
  must(loop.post([&] { Promise<int>::rejected(promises, error); }));
  must(loop.run());
  EXPECT_EQ(reports, 1);
  EXPECT_EQ(recorder_.lines, (Lines{"1 created", "1 rejected: lost", "1 reported: lost", "1 released"}));
  EXPECT_EQ(recorder_.ids, std::vector(2, error.correlation_id()));  // R38: the id that logs show
  EXPECT_EQ(recorder_.events.front().time, clock.now());
}

TEST_F(PromiseObserving, R39_ASampleHasAllTransitionsOfEachPromiseInIt) {
  Promises promises(loop_, {.observer = &recorder_, .observe_every = 3});
  for (int i = 0; i < 7; ++i) Promise<int>::resolved(promises, i);
  EXPECT_EQ(recorder_.lines, (Lines{"1 created", "1 fulfilled", "1 released", "4 created", "4 fulfilled", "4 released",
                                    "7 created", "7 fulfilled", "7 released"}));
}

TEST_F(PromiseObserving, R39_SwitchedOnAndOffWhilePromisesLive) {
  Promises promises(loop_);
  auto before = Promise<int>::with_resolver(promises);
  promises.options().observer = &recorder_;
  auto seen = Promise<int>::with_resolver(promises);
  before.resolver.resolve(1);
  seen.resolver.resolve(seen.promise);  // its own: a rejection
  promises.options().observer = nullptr;
  seen.promise.ignore_rejection();
  auto after = Promise<int>::resolved(promises, 1);
  EXPECT_EQ(recorder_.lines.size(), 2u);
  EXPECT_EQ(recorder_.lines.front(), "1 created");
}

TEST_F(PromiseObserving, R39_WhatAnObserverDoesIsNotReportedAndWhatItThrowsIsDropped) {
  Promises promises(loop_, {.observer = &recorder_});
  recorder_.at_event = [&] {
    Promise<int>::resolved(promises, 1).then([](int) {});
    throw std::runtime_error("observer");
  };
  EXPECT_EQ(*Promise<int>::resolved(promises, 7).value(), 7);
  EXPECT_EQ(recorder_.lines, (Lines{"1 created", "1 fulfilled", "1 released"}));
  loop_.run_checkpoint();
  recorder_.at_event = nullptr;
  EXPECT_EQ(promises.live(), 0u);
}

TEST_F(PromiseObserving, R39_TheEndOfTheLoopIsSeen) {
  Promises promises(loop_, {.observer = &recorder_});
  auto pending = Promise<int>::with_resolver(promises);
  must(loop_.close());
  auto late = Promise<int>::rejected(promises, some_error("late"));
  EXPECT_EQ(recorder_.lines, (Lines{"1 created", "1 rejected: the loop has ended before the promise was settled",
                                    "2 created", "2 rejected: late", "2 reported: late"}));
}

TEST_F(PromiseObserving, OptionsOutOfRangeAreRefused) {
  EXPECT_THROW(Promises(loop_, {.observe_every = 0}), std::invalid_argument);
}

}  // namespace
}  // namespace gyre
