#include <string>
#include <thread>

#include <gyre/js/internal/test_support.h>
#include <gyre/promise/promise.h>

// The loop's microtasks and a script's run first in, first out, as if they were in one queue.

namespace gyre {
namespace {

using namespace std::chrono_literals;
using js::Runtime;
using js::RuntimeEnd;
using js::Value;
using testing::fails_with;
using testing::Host;
using testing::must;

class MicrotaskOrder : public ::testing::Test {
 protected:
  explicit MicrotaskOrder(js::RuntimeOptions options = {}) : host_(std::move(options), {.auto_exit = true}) {
    teach(host_.runtime());
    must(host_->eval("function script(text) { queueMicrotask(() => log(text)); }"));
  }

  /// For scripts: log(text), and native(text), which queues a microtask of the loop's that logs.
  void teach(Runtime& runtime) {
    runtime.set("log", [this](const std::string& text) { log(text); });
    runtime.set("native", [this](const std::string& text) { native(text); });
  }
  void log(const std::string& text) { (log_ += log_.empty() ? "" : " ") += text; }
  void native(const std::string& text) {
    must(loop().queue_microtask([this, text] { log(text); }));
  }
  void script(const std::string& text) { must(host_->call("script", text)); }
  /// Runs in a microtask, and the loop to its end.
  void run_in_microtask(Task task) {
    must(loop().queue_microtask(std::move(task)));
    must(loop().run());
  }
  Loop& loop() { return host_.loop; }

  Host host_;
  std::string log_;
};

// --- One order -----------------------------------------------------------------------------------------------------

TEST_F(MicrotaskOrder, WhatAScriptQueuesRunsInTheOrderInWhichItWasQueued) {  // R02
  host_.run(
      "script('s1'); native('n2'); script('s3'); native('n4'); native('n5'); Promise.resolve().then(() => log('s6'))");
  EXPECT_EQ(log_, "s1 n2 s3 n4 n5 s6");
}

TEST_F(MicrotaskOrder, WhatANativeCallbackQueuesRunsInTheOrderInWhichItWasQueued) {  // R02
  run_in_microtask([&] {
    native("n1");
    script("s2");
    native("n3");
    native("n4");
    script("s5");
    native("n6");
  });
  EXPECT_EQ(log_, "n1 s2 n3 n4 s5 n6");
}

TEST_F(MicrotaskOrder, WhatMicrotasksQueueComesAfterAllThatIsQueued) {  // R02
  host_->set("nativeStep", [&](const std::string& name, int left, Value next) {
    must(loop().queue_microtask([this, name, left, next] {
      log(name + std::to_string(left));
      must(next.call(name, left - 1));
    }));
  });
  host_.run(
      "function step(name, left) { if (left === 0) return; if (name === 'n') nativeStep(name, left, step);"
      "else queueMicrotask(() => { log(name + left); step(name, left - 1); }); }"
      "step('s', 4); step('n', 4); step('t', 4);");
  EXPECT_EQ(log_, "s4 n4 t4 s3 n3 t3 s2 n2 t2 s1 n1 t1");
}

TEST_F(MicrotaskOrder, HoldsForPurelyNativeChainsAmongTheScripts) {  // R02
  std::function<void(int)> step = [&](int left) {
    must(loop().queue_microtask([&, left] {
      log("n" + std::to_string(left));
      if (left > 1) step(left - 1);
    }));
  };
  host_->set("startNative", [&] { step(5); });
  host_.run(
      "(async () => { for (let i = 5; i > 0; i--) { await 0; log('s' + i); } })(); startNative();"
      "(async () => { for (let i = 5; i > 0; i--) { await 0; log('t' + i); } })();");
  EXPECT_EQ(log_, "s5 n5 t5 s4 n4 t4 s3 n3 t3 s2 n2 t2 s1 n1 t1");
}

TEST_F(MicrotaskOrder, HoldsForThousands) {  // R02
  std::string expected;
  host_.output.reserve(200'000);
  host_->set("print", [&](int number) {
    must(loop().queue_microtask([&, number] { host_.output += std::to_string(number) + ' '; }));
  });
  host_.run(
      "for (let i = 0; i < 20000; i++) if (i % 3 === 0) print(i); else queueMicrotask(() => console.log(i + ' '));");
  std::erase(host_.output, '\n');
  for (int i = 0; i < 20000; ++i) expected += std::to_string(i) + ' ';
  EXPECT_TRUE(host_.output == expected);
}

TEST_F(MicrotaskOrder, TicksStillComeBeforeMicrotasksAndAfterAllOfThem) {  // R02
  host_->set("nativeTick", [&](const std::string& text) { must(loop().next_tick([this, text] { log(text); })); });
  host_->set("nativeWithTick", [&](const std::string& text) {
    must(loop().queue_microtask([this, text] {
      log(text);
      must(loop().next_tick([this, text] { log("tick-of-" + text); }));
    }));
  });
  host_.run(
      "setTimeout(() => { script('s1'); nativeWithTick('n2'); process.nextTick(() => log('script-tick'));"
      "nativeTick('native-tick'); queueMicrotask(() => { log('s3'); process.nextTick(() => log('tick-of-s3')); }); "
      "native('n4'); }, 1)");
  EXPECT_EQ(log_, "native-tick script-tick s1 n2 s3 n4 tick-of-n2 tick-of-s3");
}

TEST_F(MicrotaskOrder, WhatOtherThreadsPostWaitsForTheNextRound) {  // R02
  host_->set("postFromAThread",
             [&] { std::jthread([&] { must(loop().remote().queue_microtask([&] { log("posted"); })); }).join(); });
  host_.run("script('s1'); postFromAThread(); native('n2'); script('s3'); native('n4');");
  EXPECT_EQ(log_, "s1 posted n2 s3 n4");
}

TEST_F(MicrotaskOrder, AModulesMicrotasksOfBothKindsRunBeforeItsTicks) {  // R02
  must(
      host_->run_code("process.nextTick(() => log('tick')); script('s1'); native('n2'); script('s3');"
                      "queueMicrotask(() => native('n4')); export {};",
                      "main.mjs", "/"));
  must(loop().run());
  EXPECT_EQ(log_, "s1 n2 s3 n4 tick");
}

TEST_F(MicrotaskOrder, HoldsForAModuleThatAMicrotaskRuns) {  // R02
  run_in_microtask([&] {
    native("n1");
    must(host_->run_code("process.nextTick(() => log('tick')); script('s2'); native('n3'); export {};", "main.mjs",
                         "/"));
    native("n4");
  });
  EXPECT_EQ(log_, "s2 n1 n3 n4 tick");  // the module's body is the microtask that is running, and takes its own along
}

TEST_F(MicrotaskOrder, TwoRuntimesKeepTheOrderOfTheirOwn) {  // R02
  Runtime other(loop(), *host_.engine);
  teach(other);
  run_in_microtask([&] {
    must(host_->eval("queueMicrotask(() => log('a1')); native('n2'); queueMicrotask(() => log('a3'))"));
    must(other.eval("queueMicrotask(() => log('b4')); native('n5'); queueMicrotask(() => log('b6'))"));
    native("n7");
  });
  EXPECT_EQ(log_, "a1 n2 a3 b4 n5 b6 n7");
}

// --- Promises across the boundary ----------------------------------------------------------------------------------

TEST_F(MicrotaskOrder, NativePromisesAndTheScriptsTakeTurns) {  // R02
  host_->set("nativeChain", [&] {
    Promise<> link = Promise<>::resolved(loop());
    for (int i = 1; i <= 4; ++i) link = link.then([this, i] { log("n" + std::to_string(i)); });
  });
  host_.run(
      "const chain = name => { let p = Promise.resolve();"
      "for (let i = 1; i <= 4; i++) p = p.then(() => log(name + i)); };"
      "chain('s'); nativeChain(); chain('t');");
  EXPECT_EQ(log_, "s1 n1 t1 s2 n2 t2 s3 n3 t3 s4 n4 t4");
}

TEST_F(MicrotaskOrder, AChainCrossesBothWaysOneMicrotaskALink) {  // R02
  auto there = Promise<int>::with_resolver(loop());
  host_->set("start", [&](int n) { there.resolver.resolve(n); });
  host_->set("whenNative", [&](Value then) { there.promise.then([then](int n) { must(then.call(n)); }); });
  auto back = Promise<int>::with_resolver(loop());
  host_->set("resolveNative", [&](int n) { back.resolver.resolve(n); });
  back.promise.then([&](int n) { log("native-got-" + std::to_string(n)); }).then([&] { log("native-end"); });
  host_.run(
      "new Promise(resolve => whenNative(resolve)).then(n => { log('script-got-' + n); resolveNative(n + 1); })"
      ".then(() => log('script-end'));"
      "let clock = Promise.resolve(); for (let i = 1; i <= 6; i++) clock = clock.then(() => log(String(i))); "
      "start(40);");
  EXPECT_EQ(log_, "1 2 script-got-40 3 native-got-41 script-end 4 native-end 5 6");
}

TEST_F(MicrotaskOrder, ARejectionCrossesBothWays) {  // R02
  auto native_end = Promise<std::string>::with_resolver(loop());
  host_->set("failNative", [&](const std::string& why) { native_end.resolver.reject(Errc::script_failed, why); });
  host_->set("whenFailed", [&](Value then) {
    native_end.promise.then(nullptr, [then](const Error& error) {
      must(then.call(error.message()));
      return std::string();
    });
  });
  host_.run(
      "whenFailed(why => Promise.reject(why + ', back again').catch(log));"
      "Promise.reject('there').catch(failNative); Promise.resolve().then(() => log('between'))");
  EXPECT_EQ(log_, "between there, back again");
}

// --- When things go wrong ------------------------------------------------------------------------------------------

TEST_F(MicrotaskOrder, AnExceptionIsContainedAndTheRestRuns) {  // R02
  int errors = 0;
  Host host({}, {.auto_exit = true, .on_callback_error = [&](const Error&, CallbackKind kind) {
                   EXPECT_EQ(kind, CallbackKind::microtask);
                   ++errors;
                 }});
  teach(host.runtime());
  host->set("failing", [&] { must(host.loop.queue_microtask([] { throw std::runtime_error("native"); })); });
  host->set("native", [&](const std::string& text) { must(host.loop.queue_microtask([this, text] { log(text); })); });
  host.run(
      "process.on('uncaughtException', e => log(e)); native('n1'); failing(); queueMicrotask(() => { throw 's3' });"
      "queueMicrotask(() => log('s4')); native('n5');");
  EXPECT_EQ(log_, "n1 s3 s4 n5");
  EXPECT_EQ(errors, 1);
}

TEST_F(MicrotaskOrder, AfterAnExitNativeMicrotasksRunOnceAndTheScriptsNotAtAll) {  // R02
  host_.run(
      "script('s1'); native('n2'); queueMicrotask(() => { log('exit'); process.exit(7); }); native('n3'); script('s4');"
      "native('n5');");
  EXPECT_EQ(log_, "s1 n2 exit n3 n5");
  EXPECT_EQ(host_->end(), RuntimeEnd::exit);
  EXPECT_EQ(host_->exit_code(), 7);
}

TEST_F(MicrotaskOrder, ANativeMicrotaskMayMakeTheScriptExit) {  // R02
  must(host_->eval("function leave() { process.exit(5); }"));
  host_->set("leaveNatively", [&] {
    must(loop().queue_microtask([&] {
      EXPECT_TRUE(fails_with(host_->call("leave"), Errc::terminated));
      log("left");
    }));
  });
  host_.run("script('s1'); leaveNatively(); script('s2'); native('n3');");
  EXPECT_EQ(log_, "s1 left n3");
  EXPECT_EQ(host_->exit_code(), 5);
}

TEST_F(MicrotaskOrder, ANativeMicrotaskMayDestroyTheRuntime) {  // R02
  host_->set("destroy", [&] {
    must(loop().queue_microtask([&] {
      log("destroyed");
      host_.destroy();
    }));
  });
  must(host_->eval("setTimeout(() => { script('s1'); destroy(); script('s2'); native('n3'); }, 1)"));
  must(loop().run());
  EXPECT_EQ(log_, "s1 destroyed n3");
}

TEST_F(MicrotaskOrder, ARuntimeMayBeDestroyedWithNativeMicrotasksAmongItsOwn) {  // R02
  host_->set("destroy", [&] { host_.destroy(); });
  must(host_->eval("setTimeout(() => { script('s1'); native('n2'); script('s3'); native('n4'); destroy(); }, 1)"));
  must(loop().run());
  EXPECT_EQ(log_, "n2 n4");
}

TEST_F(MicrotaskOrder, ARuntimeMayBeDestroyedBeforeTheCheckpoint) {  // R02
  run_in_microtask([&] {
    script("s1");
    native("n2");
    host_.destroy();
    native("n3");
  });
  EXPECT_EQ(log_, "n2 n3");
}

TEST_F(MicrotaskOrder, NativeMicrotasksDoNotWaitForAScriptThatIsOnTheStack) {  // R02
  host_->set("checkpoint", [&] { loop().run_checkpoint(); });
  host_.run("script('s1'); native('n2'); checkpoint(); log('rest'); script('s3'); native('n4');");
  EXPECT_EQ(log_, "n2 rest s1 s3 n4");
}

TEST_F(MicrotaskOrder, NativeMicrotasksDoNotWaitForTheScriptsThatAHandledExceptionHasSuspended) {  // R02
  host_.run(
      "process.on('uncaughtException', () => log('uncaught')); setImmediate(() => { log('i'); native('n5'); "
      "script('s6'); });"
      "script('s1'); native('n2'); process.nextTick(() => { throw 1; }); native('n3'); script('s4');");
  EXPECT_EQ(log_, "uncaught n2 n3 i s1 s4 n5 s6");
}

// --- Limits --------------------------------------------------------------------------------------------------------

TEST_F(MicrotaskOrder, ALimitOfTheCheckpointCutsBetweenNativeMicrotasks) {  // R02
  Host host({}, {.auto_exit = true, .checkpoint_limits = {.max_callbacks = 2}});
  host->set("log", [this](const std::string& text) { log(text); });
  host->set("native", [&](const std::string& text) { must(host.loop.queue_microtask([this, text] { log(text); })); });
  must(
      host->eval("setTimeout(() => { native('n1'); queueMicrotask(() => log('s2')); for (const n of [3, 4, 5, 6, 7]) "
                 "native('n' + n); }, 1);"
                 "setImmediate(() => {})"));
  must(host.loop.run());
  EXPECT_EQ(log_, "n1 s2 n3 n4 n5 n6 n7");
  EXPECT_GT(host.loop.stats().cut_batches, 0U);
}

TEST_F(MicrotaskOrder, ANativeMicrotaskMayPutTheNativeRestOff) {  // R02
  host_->set("yieldNatively", [&] {
    must(loop().queue_microtask([&] {
      log("yield");
      must(loop().yield_checkpoint());
      must(loop().post([&] { log("task"); }));
    }));
  });
  must(
      host_->eval("setTimeout(() => { script('s1'); yieldNatively(); native('n2'); script('s3'); native('n4'); }, 1)"));
  must(loop().run());
  // The engine's queue cannot be left half-way, so the script's own microtasks are not put off.
  EXPECT_EQ(log_, "s1 yield s3 task n2 n4");
}

class TimedMicrotaskOrder : public MicrotaskOrder {
 protected:
  TimedMicrotaskOrder() : MicrotaskOrder({.task_timeout = 1s}) {}
};

TEST_F(TimedMicrotaskOrder, NativeMicrotasksBehindOneThatNeverEndsRunOnce) {  // R02
  host_.run(
      "native('n1'); script('s2'); queueMicrotask(() => { for (;;); }); native('n3'); script('s4'); native('n5');");
  EXPECT_EQ(log_, "n1 s2 n3 n5");
  EXPECT_EQ(host_->end(), RuntimeEnd::limit);
}

TEST_F(TimedMicrotaskOrder, TheTimeOfANativeMicrotaskIsNotTheScripts) {  // R02
  host_->set("slow", [&] {
    must(loop().queue_microtask([&] {
      std::this_thread::sleep_for(1200ms);
      log("slow");
      script("s3");
    }));
  });
  host_.run("script('s1'); slow(); script('s2');");
  EXPECT_EQ(log_, "s1 slow s2 s3");
  EXPECT_EQ(host_->end(), RuntimeEnd::finished);
}

TEST_F(TimedMicrotaskOrder, ACallFromANativeMicrotaskIsLimitedByItself) {  // R02
  must(host_->eval("function endless() { for (;;); }"));
  host_->set("callEndless", [&] {
    must(loop().queue_microtask([&] { EXPECT_TRUE(fails_with(host_->call("endless"), Errc::limit_exceeded)); }));
  });
  host_.run("script('s1'); callEndless(); script('s2'); native('n3');");
  EXPECT_EQ(log_, "s1 n3");
  EXPECT_EQ(host_->end(), RuntimeEnd::limit);
}

}  // namespace
}  // namespace gyre
