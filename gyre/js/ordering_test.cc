#include <string>

#include <gyre/js/internal/test_support.h>

// How native callbacks and the script's share the loop's queues.

namespace gyre::js {
namespace {

using namespace std::chrono_literals;
using testing::Host;
using testing::must;

class Ordering : public ::testing::Test {
 protected:
  Ordering() {
    host_->set("log", [this](const std::string& text) { log(text); });
  }
  void log(const std::string& text) { (log_ += log_.empty() ? "" : " ") += text; }
  Task logging(std::string text) {
    return [this, text] { log(text); };
  }
  Loop& loop() { return host_.loop; }

  ManualClock clock_{ManualClock::Mode::automatic};
  Host host_{{}, {.auto_exit = true, .clock = &clock_}};
  std::string log_;
};

TEST_F(Ordering, ACheckpointRunsNativeTicksThenTheScriptsThenMicrotasks) {
  host_->set("queueNative", [&] {
    must(loop().queue_microtask(logging("native-micro")));
    must(loop().next_tick(logging("native-tick")));
  });
  host_.run(
      "setTimeout(() => { queueNative(); queueMicrotask(() => log('micro')); process.nextTick(() => log('tick')); "
      "log('timer'); }, 1)");
  EXPECT_EQ(log_, "timer native-tick tick native-micro micro");
}

TEST_F(Ordering, ATickQueuedByAMicrotaskWaitsForTheMicrotasks) {
  host_.run(
      "Promise.resolve().then(() => { log('p1'); process.nextTick(() => log('n2')); queueMicrotask(() => log('q2')); "
      "});"
      "process.nextTick(() => log('n1')); queueMicrotask(() => log('q1'));");
  EXPECT_EQ(log_, "n1 p1 q1 q2 n2");
}

TEST_F(Ordering, NativeMicrotasksAndTheScriptsDrainInOneCheckpoint) {
  host_->set("native", [&](int left) {
    must(loop().queue_microtask([this, left] {
      log("native" + std::to_string(left));
      if (left > 0) must(host_->call("script", left));
    }));
  });
  must(host_->eval("function script(left) { queueMicrotask(() => { log('script' + left); native(left - 1); }); }"));
  must(loop().set_timeout(0ms, [&] {
    must(host_->call("script", 2));
    log("timer-end");
  }));
  must(loop().set_timeout(0ms, logging("next-timer")));
  must(loop().run());
  // A call from the host has its own checkpoint, as a callback of the loop has.
  EXPECT_EQ(log_, "script2 native1 script1 native0 timer-end next-timer");
}

TEST_F(Ordering, NativeTimersAndTheScriptsFireByTheirDeadlines) {
  must(loop().set_timeout(4ms, logging("native4")));
  must(host_->eval("setTimeout(() => log('script2'), 2); setTimeout(() => log('script8'), 8)"));
  must(loop().set_timeout(12ms, logging("native12")));
  must(loop().run());
  EXPECT_EQ(log_, "script2 native4 script8 native12");
}

TEST_F(Ordering, AManualClockDrivesTheScriptsTimers) {
  host_.run(
      "const t0 = performance.now(); setTimeout(() => console.log(performance.now() - t0), 3_600_000);"
      "let n = 0; const i = setInterval(() => { if (++n === 3) clearInterval(i); console.log('interval', "
      "performance.now() - t0); }, 1000);");
  EXPECT_EQ(host_.output, "interval 1000\ninterval 2000\ninterval 3000\n3600000\n");
}

TEST_F(Ordering, EachTimerIsFollowedByItsOwnCheckpoint) {
  host_.run(
      "setTimeout(() => { log('t1'); Promise.resolve().then(() => log('m1')); }, 1);"
      "setTimeout(() => { log('t2'); process.nextTick(() => log('n2')); }, 1); setTimeout(() => log('t3'), 1);");
  EXPECT_EQ(log_, "t1 m1 t2 n2 t3");
}

TEST_F(Ordering, TheLastOfSeveralTimersThatAreDueIsFollowedByItsMicrotasks) {
  host_.run(
      "setTimeout(() => log('t1'), 1); setTimeout(() => { log('t2'); Promise.resolve().then(() => log('m2')); }, 1);"
      "setTimeout(() => log('later'), 100);");
  EXPECT_EQ(log_, "t1 t2 m2 later");
}

TEST_F(Ordering, TheLastOfSeveralImmediatesIsFollowedByItsMicrotasks) {
  host_.run(
      "setImmediate(() => log('i1')); setImmediate(() => { log('i2'); Promise.resolve().then(() => log('m2')); });"
      "setTimeout(() => log('later'), 100);");
  EXPECT_EQ(log_, "i1 i2 m2 later");
}

TEST_F(Ordering, ImmediatesComeBeforeTimersThatAreDueAtTheSameTime) {
  host_.run("setTimeout(() => { setTimeout(() => log('timeout'), 0); setImmediate(() => log('immediate')); }, 1)");
  EXPECT_EQ(log_, "immediate timeout");
}

TEST_F(Ordering, ScriptImmediatesAndNativeOnesKeepTheirOrder) {
  must(host_->eval("setImmediate(() => { log('script1'); queueMicrotask(() => log('micro')); })"));
  must(loop().set_immediate(logging("native")));
  must(loop().run());
  EXPECT_EQ(log_, "script1 micro native");
}

TEST_F(Ordering, RejectionsAreExaminedWhenNothingIsLeftToRun) {
  host_->set("queueNative", [&] { must(loop().queue_microtask(logging("native-micro"))); });
  host_.run(
      "process.on('unhandledRejection', reason => log('unhandled:' + reason));"
      "Promise.reject('a'); const p = Promise.reject('b'); queueNative();"
      "queueMicrotask(() => { log('micro'); process.nextTick(() => { log('tick'); p.catch(() => log('caught')); }); "
      "});");
  EXPECT_EQ(log_, "native-micro micro tick caught unhandled:a");
}

TEST_F(Ordering, AWatcherIsFollowedByTheScriptsCheckpoint) {
  const testing::Pipe pipe;
  pipe.send();
  Watcher watcher;
  watcher = must(loop().watch(pipe.read_end(), Readiness::read, [&](Readiness) {
    must(watcher.stop());
    must(
        host_->eval("setImmediate(() => log('immediate')); setTimeout(() => log('timeout'), 0); queueMicrotask(() => "
                    "log('micro'))"));
    log("watcher");
  }));
  must(loop().run());
  EXPECT_EQ(log_, "micro watcher immediate timeout");
}

TEST_F(Ordering, BeforeExitMayGiveTheLoopMoreToDo) {
  host_.run(
      "let n = 0; process.on('beforeExit', () => { log('before' + ++n); if (n < 3) setTimeout(() => log('timer' + n), "
      "1); });"
      "process.on('exit', () => log('exit'))");
  EXPECT_EQ(log_, "before1 timer1 before2 timer2 before3 exit");
}

TEST_F(Ordering, AHandledExceptionLeavesTheRestToTheNextCallback) {
  host_.run(
      "process.on('uncaughtException', () => log('uncaught'));"
      "setImmediate(() => log('i1'));"
      "process.nextTick(() => { log('tick1'); process.nextTick(() => log('tick2')); queueMicrotask(() => "
      "log('micro')); throw 1; });");
  EXPECT_EQ(log_, "tick1 uncaught i1 tick2 micro");
}

}  // namespace
}  // namespace gyre::js
