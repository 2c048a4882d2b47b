#include <source_location>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/promise/internal/test_support.h>
#include <gyre/promise/promise_observer.h>
#include <gyre/promise/timers.h>

// Promises that are pending for too long (R06).

namespace gyre {
namespace {

using testing::must;
using namespace std::chrono_literals;

class Overdue : public ::testing::Test {
 protected:
  PromiseOptions options(Duration after) {
    return {.overdue_after = after, .on_overdue = [this](const OverduePromise& promise) {
              reports_.push_back(promise);
              times_.push_back(clock_.now() - start_);
            }};
  }
  /// The loop goes on for so long, if only for the clock.
  void run_for(Duration time) {
    must(loop_.set_timeout(time, [] {}));
    must(loop_.run());
  }

  ManualClock clock_{ManualClock::Mode::automatic};
  const TimePoint start_ = clock_.now();
  std::vector<Error> errors_;
  Loop loop_{{.auto_exit = true, .clock = &clock_, .on_callback_error = [this](const Error& error, CallbackKind) {
                errors_.push_back(error);
              }}};
  std::vector<OverduePromise> reports_;
  std::vector<Duration> times_;
};

TEST_F(Overdue, R06_APromiseThatIsNeverSettledIsReportedOnceAtItsTime) {
  Promises promises(loop_, options(10s));
  const auto line = std::source_location::current().line();
  promises.options().trace_depth = 1;
  const auto never = Promise<int>::with_resolver(promises);
  run_for(1h);
  ASSERT_EQ(reports_.size(), 1u);
  EXPECT_EQ(times_[0], 10s);
  EXPECT_EQ(reports_[0].pending_for, 10s);
  ASSERT_EQ(reports_[0].trace.size(), 1u);
  EXPECT_EQ(reports_[0].trace[0].line(), line + 2);
}

TEST_F(Overdue, R06_SettledInTimeItIsNotReported) {
  Promises promises(loop_, options(10s));
  const auto in_time = sleep_for(promises, 9s);
  const auto late = sleep_for(promises, 11s);
  run_for(1h);
  EXPECT_EQ(times_, std::vector<Duration>{10s});
}

TEST_F(Overdue, R06_EachAtItsOwnTimeInTheOrderOfTheirMaking) {
  Promises promises(loop_, options(10s));
  std::vector<PromiseWithResolver<void>> never;
  for (const Duration at : {0s, 2s, 2s, 7s}) {
    must(loop_.set_timeout(at, [&] { never.push_back(Promise<void>::with_resolver(promises)); }));
  }
  run_for(1h);
  EXPECT_EQ(times_, (std::vector<Duration>{10s, 12s, 12s, 17s}));
}

// What waits for another promise would only repeat what is said of that one.
TEST_F(Overdue, R06_OnlyThePromiseAtTheRootIsReported) {
  Promises promises(loop_, options(10s));
  const auto root = Promise<int>::with_resolver(promises);
  const auto follower = Promise<int>::with_resolver(promises);
  follower.resolver.resolve(root.promise);
  const auto child = root.promise.then([](int n) { return n; });
  run_for(1h);
  EXPECT_EQ(times_.size(), 1u);
}

Promise<void> waits_for(const Promises& home, Promise<int> promise) {
  static_cast<void>(home);
  co_await promise;
}

TEST_F(Overdue, R06_CoroutinesThatWaitAreReportedToo) {
  Promises promises(loop_, options(10s));
  Promises unwatched(loop_);
  const auto never = Promise<int>::with_resolver(unwatched);
  waits_for(promises, never.promise);
  run_for(1h);
  EXPECT_EQ(times_, std::vector<Duration>{10s});
}

TEST_F(Overdue, R06_APromiseThatHasGoneIsNotReported) {
  Promises promises(loop_, options(10s));
  for (int i = 0; i < 1000; ++i) Promise<int>::with_resolver(promises).promise = {};
  EXPECT_EQ(promises.live(), 0u);
  run_for(1h);
  EXPECT_TRUE(reports_.empty());
}

TEST_F(Overdue, R06_AFailingHandlerDoesNotLoseTheOtherReports) {
  Promises promises(loop_, {.overdue_after = 10s, .on_overdue = [this](const OverduePromise&) {
                              times_.push_back(clock_.now() - start_);
                              throw std::runtime_error("handler");
                            }});
  std::vector<PromiseWithResolver<void>> never;
  for (int i = 0; i < 3; ++i) never.push_back(Promise<void>::with_resolver(promises));
  run_for(1h);
  EXPECT_EQ(times_, std::vector<Duration>(3, 10s));
  EXPECT_EQ(errors_.size(), 3u);
}

TEST_F(Overdue, R06_WithoutAHandlerTheyGoToTheLoopsErrorHandler) {
  Promises promises(loop_, {.overdue_after = 1500ms});
  const auto never = Promise<int>::with_resolver(promises);
  run_for(1h);
  ASSERT_EQ(errors_.size(), 1u);
  EXPECT_TRUE(errors_[0].is(Errc::timed_out));
  EXPECT_NE(errors_[0].message().find("1500ms"), std::string::npos) << errors_[0].message();
}

TEST_F(Overdue, R06_KeepsNoLoopAliveAndNoPromise) {
  Promises promises(loop_, options(10s));
  {
    const auto never = Promise<int>::with_resolver(promises);
    must(loop_.run());  // ends at once
    EXPECT_TRUE(never.promise.reason()->is(Errc::terminated));
  }
  EXPECT_EQ(clock_.now(), start_);
  EXPECT_TRUE(reports_.empty());
  EXPECT_EQ(promises.live(), 0u);
}

TEST_F(Overdue, R06_OffItArmsNoTimerAndOffAgainItReportsNothing) {
  Promises promises(loop_);
  const auto before = Promise<int>::with_resolver(promises);
  EXPECT_EQ(loop_.timer_count(), 0u);
  promises.options() = options(10s);
  const auto watched = Promise<int>::with_resolver(promises);
  EXPECT_EQ(loop_.timer_count(), 1u);
  promises.options().overdue_after = 0s;
  run_for(1h);
  EXPECT_TRUE(reports_.empty());
}

TEST_F(Overdue, R06_ADomainThatHasGoneTakesItsTimerWithIt) {
  {
    Promises promises(loop_, options(10s));
    Promise<int>::with_resolver(promises).promise = {};
    EXPECT_EQ(loop_.timer_count(), 1u);
  }
  EXPECT_EQ(loop_.timer_count(), 0u);
}

}  // namespace
}  // namespace gyre
