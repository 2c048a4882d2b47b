#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gyre/js/internal/test_support.h>

// The host waits for a script's promise: Runtime::eval_async, call_async, Value::when_settled.

namespace gyre::js {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using testing::fails_with;
using ::testing::HasSubstr;
using testing::Host;
using testing::must;

class Wait : public ::testing::Test {
 protected:
  /// Waits for an expression's value; what comes of it is noted.
  void wait(std::string_view code, Duration timeout = Duration::max()) {
    must(host_->eval_async(code, noting(), timeout));
  }
  UniqueFunction<void(Result<Value>)> noting() {
    return [this](const Result<Value>& settled) {
      told_.push_back(settled ? settled->to_string() : std::string(to_string(settled.error())));
      last_ = settled;
    };
  }
  static std::string to_string(const Error& error) {
    return error.is(Errc::timed_out)        ? "timed out"
           : error.is(Errc::script_failed)  ? error.message()
           : error.is(Errc::limit_exceeded) ? "limit"
           : error.is(Errc::terminated)     ? "terminated"
                                            : "another error: " + error.message();
  }
  Loop& loop() { return host_.loop; }

  ManualClock clock_{ManualClock::Mode::automatic};
  Host host_{{}, {.auto_exit = true, .clock = &clock_}};
  std::vector<std::string> told_;
  std::optional<Result<Value>> last_;
};

TEST_F(Wait, EndsWithWhatThePromiseIsSettledWith) {  // R06
  wait("delay(20).then(() => 'late')");
  wait("Promise.resolve(1)");
  wait("Promise.reject(new RangeError('too far'))");
  wait("({ then(resolve) { resolve(2); } })");
  wait("'no promise'");
  EXPECT_THAT(told_, ElementsAre("1", "RangeError: too far", "2", "'no promise'"));
  must(loop().run());
  EXPECT_THAT(told_, ElementsAre("1", "RangeError: too far", "2", "'no promise'", "'late'"));
  EXPECT_EQ(host_->end(), RuntimeEnd::finished) << host_.errors;
}

TEST_F(Wait, EndsWithWhatIsThrownAtOnce) {  // R06
  wait("throw new Error('at once')");
  wait("not JavaScript", 1h);
  EXPECT_THAT(told_, ElementsAre("Error: at once", "another error: SyntaxError: Unexpected identifier"));
  EXPECT_EQ(loop().timer_count(), 0U);
}

TEST_F(Wait, IsForFunctionsToo) {  // R06
  must(host_->eval("async function twice(n) { await delay(1); if (n < 0) throw 'negative'; return 2 * n; }"));
  must(host_->call_async("twice", noting(), 1s, 21));
  must(must(host_->get("twice")).call_async(noting(), 1s, -1));
  must(must(host_->call("twice", 4)).when_settled(noting()));
  must(loop().run());
  EXPECT_THAT(told_, ElementsAre("42", "negative", "8"));
  EXPECT_TRUE(fails_with(host_->call_async("twice", noting(), 1s, 1), Errc::terminated));
}

TEST_F(Wait, IsNeverOverInsideTheCall) {  // R06
  must(loop().queue_microtask([&] {
    wait("1");
    EXPECT_TRUE(told_.empty());
  }));
  must(loop().run());
  EXPECT_THAT(told_, ElementsAre("1"));
}

TEST_F(Wait, FailsAtTheTimeOutWhileTheScriptGoesOn) {  // R06
  wait("globalThis.stuck = new Promise(resolve => { globalThis.free = resolve }); stuck", 50ms);
  const TimePoint start = clock_.now();
  must(host_->eval("setTimeout(() => { console.log('lives'); stuck.then(console.log); free('freed'); }, 80)"));
  must(loop().run());
  EXPECT_THAT(told_, ElementsAre("timed out"));
  EXPECT_THAT(last_->error().message(), HasSubstr("pending after 50 ms"));
  EXPECT_GE(clock_.now() - start, 80ms);
  EXPECT_EQ(host_.output, "lives\nfreed\n");
  EXPECT_EQ(host_->end(), RuntimeEnd::finished);
}

TEST_F(Wait, KeepsTheLoopAliveUntilTheTimeOutAndNoLonger) {  // R06
  const TimePoint start = clock_.now();
  wait("new Promise(() => {})", 50ms);
  wait("Promise.resolve(1)", 1h);
  must(loop().run());
  EXPECT_THAT(told_, ElementsAre("1", "timed out"));
  EXPECT_LT(clock_.now() - start, 1h);
}

TEST_F(Wait, WithoutTimeOutEndsWithTheRuntime) {  // R06
  wait("new Promise(() => {})");
  wait("delay(10)");
  must(loop().run());
  EXPECT_THAT(told_, ElementsAre("undefined", "terminated"));
}

TEST_F(Wait, ARejectionAfterTheTimeOutIsNoUncaughtError) {  // R06
  wait("new Promise((_, reject) => setTimeout(reject, 100, 'late'))", 10ms);
  must(loop().run());
  EXPECT_THAT(told_, ElementsAre("timed out"));
  EXPECT_EQ(host_->end(), RuntimeEnd::finished) << host_.errors;
}

TEST_F(Wait, EndsWhenTheScriptExits) {  // R06
  wait("new Promise(() => {})", 1h);
  wait("Promise.resolve(1).then(() => 2)", 1h);
  must(host_->eval("setTimeout(() => process.exit(0), 5)"));
  must(loop().run());
  EXPECT_THAT(told_, ElementsAre("2", "terminated"));
  EXPECT_EQ(loop().timer_count(), 0U);
}

TEST_F(Wait, EndsWhenTheRuntimeIsDestroyed) {  // R06
  wait("new Promise(() => {})", 1h);
  host_.destroy();
  EXPECT_THAT(told_, ElementsAre("terminated"));
  must(loop().run());
  EXPECT_EQ(told_.size(), 1U);
}

TEST_F(Wait, EndsWithTheLimitThatEndedTheRuntime) {  // R06
  Host host({.task_timeout = 30ms});
  must(must(host->eval("new Promise(() => {})")).when_settled(noting(), 1h));
  EXPECT_TRUE(fails_with(host->eval("for (;;);"), Errc::limit_exceeded));
  EXPECT_THAT(told_, ElementsAre("limit"));
}

TEST_F(Wait, ItsCallbackMayDoAnything) {  // R06
  Host host({}, {.auto_exit = true});
  must(must(host->eval("Promise.resolve(1)")).when_settled([&](const Result<Value>&) {
    told_.push_back("first");
    host.destroy();
    throw std::runtime_error("contained");
  }));
  EXPECT_THAT(told_, ElementsAre("first"));
  EXPECT_EQ(host.loop.stats().failed_callbacks, 1U);
}

TEST_F(Wait, IsToldInOrderWithTheScriptsMicrotasks) {  // R02, R06
  host_->set("log", [&](const std::string& text) { told_.push_back(text); });
  must(loop().queue_microtask([&] {
    wait("queueMicrotask(() => log('a')); const p = Promise.resolve(1); p");
    must(host_->eval(
        "Promise.resolve().then(() => log('b')).then(() => log('c')).then(() => log('d')).then(() => log('e'))"));
  }));
  must(loop().run());
  // The wait follows the promise, as resolve does: three microtasks, and one to tell.
  EXPECT_THAT(told_, ElementsAre("a", "b", "c", "d", "1", "e"));
}

TEST_F(Wait, RefusesMisuse) {  // R06
  EXPECT_THROW(static_cast<void>(host_->make(1).when_settled({})), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(host_->eval_async("1", {})), std::invalid_argument);
  EXPECT_TRUE(fails_with(Value().when_settled(noting()), Errc::wrong_type));
  EXPECT_TRUE(fails_with(host_->make(1).call_async(noting(), 1s), Errc::wrong_type));
  const Value value = host_->make(1);
  EXPECT_TRUE(fails_with(host_->eval("process.exit(0)"), Errc::terminated));
  EXPECT_TRUE(fails_with(value.when_settled(noting()), Errc::terminated));
  EXPECT_TRUE(fails_with(host_->eval_async("1", noting()), Errc::terminated));
  EXPECT_TRUE(told_.empty());
}

}  // namespace
}  // namespace gyre::js
