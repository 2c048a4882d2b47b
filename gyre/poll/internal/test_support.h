#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/base/clock.h>
#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>
#include <gyre/poll/scheduler.h>
#include <gyre/promise/promise.h>

// What the tests of this module share. Not installed.

namespace gyre::poll::testing {

using gyre::testing::fails_with;
using gyre::testing::must;
using namespace std::chrono_literals;

/// A loop on a clock that jumps to the next deadline whenever there is nothing else to do.
class PollTest : public ::testing::Test {
 protected:
  using Ctl = Control<std::string>;
  using Stage = SecondStage<std::string>;
  using Poller = Scheduler<std::string>;
  using Lines = std::vector<std::string>;

  /// Since the test began, in whole milliseconds.
  long long at() const { return (clock_.now() - start_) / 1ms; }
  TimePoint time(Duration since_start) const { return start_ + since_start; }
  void says(const std::string& text) { log_.push_back(text + " " + std::to_string(at())); }
  /// Later, on the loop.
  void after(Duration delay, std::function<void()> call) { must(loop_.set_timeout(delay, std::move(call))); }

  ManualClock clock_{ManualClock::Mode::automatic};
  const TimePoint start_ = clock_.now();
  std::vector<Error> callback_errors_;
  Loop loop_{{.auto_exit = true, .clock = &clock_, .on_callback_error = [this](const Error& error, CallbackKind) {
                callback_errors_.push_back(error);
              }}};
  std::stop_source stop_;
  Lines log_;

  /// Runs the loop until nothing is left to do.
  void finish() {
    hold_.release();
    must(loop_.run());
  }
  Loop::Hold hold_{loop_.hold()};

  void TearDown() override { EXPECT_TRUE(callback_errors_.empty()) << callback_errors_[0].to_string(); }
};

/// A promise that a test settles by hand, and a count of those who wait.
struct Gate {
  explicit Gate(PromiseHome home) : pair(Promise<void>::with_resolver(home)) {}
  void open() { pair.resolver.resolve(); }
  PromiseWithResolver<void> pair;
};

}  // namespace gyre::poll::testing
