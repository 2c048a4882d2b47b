#include <fstream>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include <gyre/js/internal/runtime_core.h>
#include <gyre/js/internal/test_support.h>

// Work that crosses between the loop and script, in both directions.

namespace gyre {
namespace {

using namespace std::chrono_literals;
using js::Runtime;
using js::RuntimeEnd;
using js::Value;
using testing::fails_with;
using testing::Host;
using testing::must;

// --- Chains --------------------------------------------------------------------------------------------------------

TEST(Chain, PassesFromScriptToThePoolAndBackManyTimes) {
  Host host;
  host->set("square", [&](int number, Value done) {
    must(host.loop.offload([number](const std::stop_token&) { return number * number; },
                           [done](const Result<int>& squared) { must(done.call(*squared)); }));
  });
  host.run(
      "const later = n => new Promise(resolve => square(n, resolve));"
      "const sums = (async () => { let sum = 0; for (let i = 1; i <= 100; i++) sum += await later(i); return sum; })();"
      "Promise.all([sums, later(3), later(4)]).then(all => console.log(all.join()))");
  EXPECT_EQ(host.output, "338350,9,16\n");
}

TEST(Chain, KeepsTheOrderOfScriptAndNativeSteps) {
  Host host;
  std::string log;
  host->set("log", [&](const std::string& text) { log += text + ' '; });
  host->set("nativeThen", [&](const std::string& name, Value next) {
    must(host.loop.queue_microtask([&log, name, next] {
      log += "native-" + name + ' ';
      must(next.call());
    }));
  });
  host.run(
      "const step = name => new Promise(resolve => nativeThen(name, resolve));"
      "step('a').then(() => { log('b'); return step('c'); }).then(() => log('d')); log('sync');");
  EXPECT_EQ(log, "sync native-a b native-c d ");
}

TEST(Chain, AFailureCrossesTheBoundaryAndCanBeRecovered) {
  Host host;
  host->set("fetchRow", [&](int id, Value resolve, Value reject) {
    must(host.loop.set_timeout(1ms, [id, resolve, reject] {
      if (id < 0) {
        must(reject.call("no such row"));
      } else {
        must(resolve.call("row " + std::to_string(id)));
      }
    }));
  });
  host.run(
      "const row = id => new Promise((resolve, reject) => fetchRow(id, resolve, reject));"
      "(async () => { try { await row(-1) } catch (e) { console.log('caught', e) } finally { console.log(await row(7)) "
      "} })()");
  EXPECT_EQ(host.output, "caught no such row\nrow 7\n");
}

TEST(Chain, TenThousandLinksNeedNoStack) {
  Host host;
  host->set("hop",
            [&](int left, Value next) { must(host.loop.set_immediate([left, next] { must(next.call(left - 1)); })); });
  host.run(
      "let hops = 0; const next = left => { hops++; if (left > 0) hop(left, next); else console.log(hops); }; "
      "next(10_000);");
  EXPECT_EQ(host.output, "10001\n");
}

TEST(Chain, OtherThreadsHandTheirResultsOver) {
  Host host({}, {});
  int sum = 0;
  host->set("finish", [&](int total) {
    sum = total;
    must(host.loop.shutdown());
  });
  must(host->eval("let total = 0, count = 0; function arrive(n) { total += n; if (++count === 400) finish(total); }"));
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&host, remote = host.loop.remote()]() mutable {
      for (int i = 0; i < 100; ++i) must(remote.post([&host, i] { must(host->call("arrive", i)); }));
    });
  }
  must(host.loop.run());
  EXPECT_EQ(sum, 4 * 4950);
}

// --- Timers --------------------------------------------------------------------------------------------------------

TEST(Timers, AreCancelledAcrossTheBoundary) {
  Host host;
  std::string log;
  TimerId native;
  host->set("cancelNative", [&] { must(host.loop.cancel(native)); });
  must(host->eval(
      "const doomed = setTimeout(() => console.log('script'), 20); function cancelScript() { clearTimeout(doomed) }"
      "setTimeout(cancelNative, 1)"));
  native = must(host.loop.set_timeout(20ms, [&] { log += "native"; }));
  must(host.loop.set_timeout(2ms, [&] { must(host->call("cancelScript")); }));
  must(host.loop.run());
  EXPECT_EQ(host.output, "");
  EXPECT_EQ(log, "");
  EXPECT_EQ(host.loop.timer_count(), 0U);
}

TEST(Timers, OfAScriptKeepTheLoopAliveOnlyWhileRefd) {
  ManualClock clock(ManualClock::Mode::automatic);
  Host host({}, {.auto_exit = true, .clock = &clock});
  host.run(
      "setTimeout(() => console.log('never'), 1000).unref(); setTimeout(() => console.log('fires'), 10); "
      "setInterval(() => {}, 1).unref()");
  EXPECT_EQ(host.output, "fires\n");
}

TEST(Timers, OfManyRuntimesFireInTheOrderOfTheirDeadlines) {
  ManualClock clock(ManualClock::Mode::automatic);
  Loop loop({.auto_exit = true, .clock = &clock});
  const auto engine = js::make_v8_engine();
  std::vector<int> fired;
  std::vector<std::unique_ptr<Runtime>> runtimes;
  for (int i = 0; i < 30; ++i) {
    runtimes.push_back(std::make_unique<Runtime>(loop, *engine));
    runtimes.back()->set("fired", [&fired, i] { fired.push_back(i); });
    must(runtimes.back()->eval("setTimeout(fired, " + std::to_string(1000 - 10 * i) + ")"));
  }
  must(loop.run());
  std::vector<int> expected(30);
  std::iota(expected.rbegin(), expected.rend(), 0);
  EXPECT_EQ(fired, expected);
}

// --- The end -------------------------------------------------------------------------------------------------------

TEST(Shutdown, DropsTheScriptsTimersAndRunsWhatWasAccepted) {
  Host host({}, {});
  must(
      host->eval("setTimeout(() => console.log('timer'), 1e6); setInterval(() => {}, 1e6); delay(1e6).then(() => "
                 "console.log('delay'));"
                 "function accepted() { Promise.resolve().then(() => console.log('accepted')) }"));
  must(host.loop.post([&] { must(host->call("accepted")); }));
  must(host.loop.shutdown());
  must(host.loop.run());
  EXPECT_EQ(host.output, "accepted\n");
  EXPECT_EQ(host->end(), RuntimeEnd::finished);
  EXPECT_TRUE(fails_with(host->eval("1"), Errc::terminated));
}

TEST(Shutdown, AtOnceDropsEverything) {
  Host host({}, {});
  must(host->eval("setImmediate(() => console.log('immediate'))"));
  must(host.loop.post([&] { host.output += "task"; }));
  must(host.loop.close());
  EXPECT_EQ(host.output, "");
  EXPECT_EQ(host->end(), RuntimeEnd::finished);
}

TEST(Shutdown, FromWithinScriptLetsTheCallbackFinish) {
  Host host({}, {});
  host->set("shutdown", [&] { must(host.loop.shutdown()); });
  must(
      host->eval("setTimeout(() => { shutdown(); console.log('rest'); Promise.resolve().then(() => "
                 "console.log('micro')); setTimeout(() => console.log('never'), 0); }, 1)"));
  must(host.loop.run());
  EXPECT_EQ(host.output, "rest\nmicro\n");
}

TEST(Shutdown, OfTheLoopWhileOffloadedWorkIsOnItsWay) {
  Host host({}, {});
  host->set("slow", [&](Value done) {
    must(host.loop.offload(
        [](const std::stop_token&) {
          std::this_thread::sleep_for(20ms);
          return 1;
        },
        [done](const Result<int>&) { must(done.call()); }));
  });
  must(host->eval("slow(() => console.log('done'))"));
  must(host.loop.shutdown());
  must(host.loop.run());
  EXPECT_EQ(host.output, "done\n");
}

// --- Memory --------------------------------------------------------------------------------------------------------

std::size_t resident_kilobytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) / 1024;
}

#if defined(__has_feature)
#define GYRE_HAS_FEATURE(feature) __has_feature(feature)
#else
#define GYRE_HAS_FEATURE(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || GYRE_HAS_FEATURE(address_sanitizer)
constexpr bool kFreedMemoryIsKept = true;  // in AddressSanitizer's quarantine
#else
constexpr bool kFreedMemoryIsKept = false;
#endif

/// How much memory grows over repetitions of `work`, once it has warmed up.
template <typename Work, typename Settle>
std::size_t growth_kilobytes(int times, Work work, Settle settle) {
  for (int i = 0; i < times; ++i) work();
  settle();
  const std::size_t before = resident_kilobytes();
  for (int i = 0; i < times; ++i) work();
  settle();
  const std::size_t after = resident_kilobytes();
  return after > before ? after - before : 0;
}

TEST(Memory, StaysFlatOverThousandsOfFunctionsValuesAndTimers) {
  if (kFreedMemoryIsKept) GTEST_SKIP() << "freed memory is kept";
  Host host({.heap_limit = std::size_t{32} << 20});
  must(
      host->eval("function churn() { const t = setTimeout(() => {}, 1e6); clearTimeout(t); "
                 "clearImmediate(setImmediate(() => {})); return { f: temporary } }"));
  const auto work = [&] {
    host->set("temporary", [text = std::string(1000, 'x')] { return static_cast<int>(text.size()); });
    must(must(host->call("churn")).get("f"));
  };
  // Measured after a collection: between two of them the heap swings by some 10 MB.
  const Value any = host->make(1);
  const auto settle = [&] {
    js::Realm& realm = *any.core()->realm;
    const js::Scope scope(realm);
    realm.collect_garbage();
  };
  EXPECT_LT(growth_kilobytes(20'000, work, settle), 8'000U);  // a leak of these is more than 40 MB
}

TEST(Memory, StaysFlatOverRuntimesThatComeAndGo) {
  if (kFreedMemoryIsKept) GTEST_SKIP() << "freed memory is kept";
  Loop loop;
  const auto engine = js::make_v8_engine();
  const auto work = [&] {
    Runtime runtime(loop, *engine, {.output = [](std::string_view) {}});
    runtime.set("host", [value = runtime.make(1)] { return value; });
    must(runtime.eval(
        "setInterval(() => {}, 10); Promise.resolve().then(() => console.log('x')); new Promise(() => {})"));
  };
  EXPECT_LT(growth_kilobytes(60, work, [] {}), 12'000U);
}

}  // namespace
}  // namespace gyre
