#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <pthread.h>

#include <gyre/js/internal/test_support.h>

namespace gyre::js {
namespace {

using namespace std::chrono_literals;
using testing::fails_with;
using ::testing::HasSubstr;
using testing::Host;
using testing::must;

constexpr Duration kLimit = 30ms;

/// Everything that may go on after a limit was hit, and must not.
constexpr std::string_view kTrap = "const say = text => console.log(text);";

void expect_time_limit(Host& host, std::string_view place) {
  ASSERT_NE(host->limit_error(), nullptr);
  const Error& error = *host->limit_error();
  EXPECT_EQ(error.code(), Errc::limit_exceeded);
  EXPECT_EQ(error.context("limit"), "task-timeout");
  EXPECT_THAT(error.message(), HasSubstr("more than 30 ms"));
  EXPECT_THAT(error.message(), HasSubstr("--task-timeout"));
  EXPECT_THAT(std::string(error.context("at").value_or("nowhere")), HasSubstr(place));
  EXPECT_EQ(host->end(), RuntimeEnd::limit);
  EXPECT_EQ(host->exit_code(), 3);
  EXPECT_EQ(host.output, "");
}

// --- Time, wherever the script is ----------------------------------------------------------------------------------

TEST(TaskTimeout, StopsALoopAndNamesItsLine) {
  Host host({.task_timeout = kLimit});
  const auto failed = host->eval("function spin() {\n  while (true) {}\n}\nspin();", "/app/spin.js");
  ASSERT_TRUE(fails_with(failed, Errc::limit_exceeded));
  expect_time_limit(host, "/app/spin.js:2:");
  EXPECT_THAT(std::string(host->limit_error()->context("stack").value()), HasSubstr("at spin (/app/spin.js:2:"));
}

TEST(TaskTimeout, LetsFastScriptsBe) {
  Host host({.task_timeout = 10s});
  EXPECT_EQ(
      host.run(
          "let n = 0; const i = setInterval(() => { if (++n === 20) { clearInterval(i); console.log('done'); } }, 1)"),
      "done\n");
  EXPECT_EQ(host->limit_error(), nullptr);
}

struct Bomb {
  const char* name;
  const char* code;
  bool has_place = true;  // not if it is stopped between two callbacks
};

class TimeBomb : public ::testing::TestWithParam<Bomb> {};

TEST_P(TimeBomb, IsStopped) {
  Host host({.task_timeout = kLimit});
  const auto started = std::chrono::steady_clock::now();
  static_cast<void>(host->eval(std::string(kTrap) + GetParam().code, "/app/bomb.js"));
  must(host.loop.run());
  EXPECT_LT(std::chrono::steady_clock::now() - started, 3s);
  expect_time_limit(host, GetParam().has_place ? "/app/bomb.js:1:" : "");
}

INSTANTIATE_TEST_SUITE_P(
    Script, TimeBomb,
    ::testing::Values(
        Bomb{"TryFinally", "while (true) { try { while (true); } finally { continue; } } say('after')"},
        Bomb{"CatchAll", "for (;;) { try { for (;;); } catch { say('caught') } finally { say('finally') } }"},
        Bomb{"Recursion", "const f = () => { try { f() } catch {} f() }; f(); say('after')"},
        Bomb{"PromiseChain", "const again = () => Promise.resolve().then(again); again()", false},
        Bomb{"AsyncLoop", "(async () => { for (;;) await null; })().finally(() => say('finally'))", false},
        Bomb{"Thenable", "(async () => { await { then() { for (;;); } } })()"},
        Bomb{"Tick", "process.nextTick(() => { for (;;); })"},
        Bomb{"TicksForEver", "const again = () => process.nextTick(again); again()", false},
        Bomb{"TicksAndMicrotasksInTurn", "const again = () => process.nextTick(() => queueMicrotask(again)); again()",
             false},
        Bomb{"TicksAndMicrotasksInTurnFromATimer",
             "const again = () => process.nextTick(() => queueMicrotask(again)); setTimeout(again, 1)", false},
        Bomb{"TicksAndMicrotasksInTurnFromAnImmediate",
             "const again = () => process.nextTick(() => Promise.resolve().then(again)); setImmediate(again)", false},
        Bomb{"RejectionsForEver", "process.on('unhandledRejection', () => { Promise.reject(1) }); Promise.reject(1)",
             false},
        Bomb{"Microtask", "queueMicrotask(() => { for (;;); })"},
        Bomb{"Timer", "setTimeout(() => { for (;;); }, 1); setTimeout(() => say('next'), 2)"},
        Bomb{"SecondTimerOfAWake", "setTimeout(() => {}, 1); setTimeout(() => { for (;;); }, 1)"},
        Bomb{"Interval", "setInterval(() => { for (;;); }, 1)"},
        Bomb{"Immediate", "setImmediate(() => { for (;;); }); setImmediate(() => say('next'))"},
        Bomb{"EventListener",
             "const t = new EventTarget(); t.addEventListener('x', () => { for (;;); }); t.dispatchEvent(new "
             "Event('x'))"},
        Bomb{"AbortListener", "const c = new AbortController(); c.signal.onabort = () => { for (;;); }; c.abort()"},
        Bomb{"BeforeExit", "process.on('beforeExit', () => { for (;;); })"},
        Bomb{"Exit", "process.on('exit', () => { for (;;); })"},
        Bomb{"ExitByCall", "process.on('exit', () => { for (;;); }); process.exit(0)"},
        Bomb{"UncaughtHandler",
             "process.on('uncaughtException', () => { for (;;); }); setTimeout(() => { throw 1 }, 1)"},
        Bomb{"Sort", "const a = Array.from({ length: 1e5 }, (_, i) => i); for (;;) a.sort((x, y) => y - x)"},
        Bomb{"Generator", "function* g() { for (;;) yield 1; } for (const x of g());"},
        Bomb{"Proxy", "const p = new Proxy({}, { get: () => { for (;;); } }); p.x"},
        Bomb{"Getter", "console.log({ get [Symbol.toStringTag]() { for (;;); } })"},
        Bomb{"Json", "const a = []; a.length = 1e6; for (;;) JSON.stringify(a)"},
        Bomb{"Regexp", "for (;;) /(a+)+b/.test('a'.repeat(25))"},
        Bomb{"AtomicsWait", "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); say('after'); for (;;);"},
        Bomb{"Eval", "eval('for (;;);')", false}),
    [](const auto& bomb) { return std::string(bomb.param.name); });

TEST(TaskTimeout, StopsAModuleWhileItIsEvaluated) {
  testing::Folder folder;
  folder.write("spin.mjs", "\n\nfor (;;);");
  const std::string main = folder.write("main.mjs", "import './spin.mjs';\nconsole.log('never');");
  Host host({.task_timeout = kLimit});
  must(host->run_file(main));
  must(host.loop.run());
  expect_time_limit(host, "spin.mjs:3:");
}

TEST(TaskTimeout, StopsAModuleThatIsImportedLater) {
  testing::Folder folder;
  folder.write("spin.mjs", "export default 1;\nfor (;;);");
  const std::string main = folder.write("main.mjs", "await import('./spin.mjs').finally(() => console.log('never'));");
  Host host({.task_timeout = kLimit});
  must(host->run_file(main));
  must(host.loop.run());
  expect_time_limit(host, "spin.mjs:2:");
}

TEST(TaskTimeout, StopsWhatALookFromTheHostSetsOff) {
  Host host({.task_timeout = kLimit});
  const Value object = must(host->eval("({ get x() { for (;;); } })"));
  EXPECT_FALSE(object.get("x"));
  expect_time_limit(host, "");
  Host other({.task_timeout = kLimit});
  const Value list = must(other->eval("const a = [1]; Object.defineProperty(a, 0, { get() { for (;;); } }); a"));
  EXPECT_FALSE(list.as<std::vector<int>>());
  expect_time_limit(other, "");
}

TEST(TaskTimeout, StopsASetterThatTheEndOfTheRuntimeSetsOff) {
  Host host({.task_timeout = kLimit});
  const auto started = std::chrono::steady_clock::now();
  EXPECT_FALSE(
      host->eval("const t = setTimeout(() => {}, 1e6); Object.defineProperty(t, '_onTimeout', { set() { for (;;); }, "
                 "get() { return 1 } });"
                 "process.exit(5)"));
  EXPECT_LT(std::chrono::steady_clock::now() - started, 3s);
  EXPECT_EQ(host->exit_code(), 5);
}

TEST(TaskTimeout, StopsEverythingOnTheStackWhenANestedCallIsStopped) {
  Host host({.task_timeout = kLimit});
  host->set("nested", [&] { EXPECT_TRUE(fails_with(host->eval("for (;;);"), Errc::limit_exceeded)); });
  EXPECT_TRUE(fails_with(host->eval("for (let i = 0; i < 1e9; i++) try { nested() } catch { console.log('caught') } "
                                    "finally { console.log('finally') }"),
                         Errc::limit_exceeded));
  expect_time_limit(host, "");
}

TEST(TaskTimeout, CountsEachOperationAnew) {
  Host host({.task_timeout = 250ms});
  host->set("work", [] { std::this_thread::sleep_for(70ms); });
  host.run(
      "let n = 0; const next = () => { work(); if (++n < 5) setImmediate(next); else console.log('done'); }; next();"
      "for (let i = 0; i < 4; i++) setTimeout(work, 1);");
  EXPECT_EQ(host.output, "done\n");
  EXPECT_EQ(host->limit_error(), nullptr);
}

// The stop that comes at the very last moment must not hit the operation after it.
TEST(TaskTimeout, ALateStopDoesNotHitTheNextOperation) {
  for (int i = 0; i < 12; ++i) {
    Host host({.task_timeout = 5ms});
    host->set("wait", [&](int microseconds) {
      const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(microseconds);
      while (std::chrono::steady_clock::now() < until) {
      }
    });
    const auto evaluated = host->eval("wait(" + std::to_string(4900 + i * 15) + ")");
    if (host->has_ended()) {
      EXPECT_EQ(host->end(), RuntimeEnd::limit);  // it was over the limit, and so said
      continue;
    }
    ASSERT_TRUE(evaluated);
    const auto started = std::chrono::steady_clock::now();
    const bool stopped = !host->eval("let sum = 0; for (let i = 0; i < 1e4; i++) sum += i; sum");
    EXPECT_TRUE(!stopped || std::chrono::steady_clock::now() - started >= 5ms) << i;
  }
}

TEST(TaskTimeout, LeavesNeighboursAndTheHostGoingOn) {
  Host host({.task_timeout = kLimit});
  std::string output;
  Runtime neighbour(host.loop, *host.engine,
                    {.output = [&](std::string_view text) { output += text; }, .task_timeout = kLimit});
  must(neighbour.eval(
      "let n = 0; const i = setInterval(() => { if (++n === 5) { clearInterval(i); console.log('five'); } }, 10)"));
  must(host->eval("setTimeout(() => { for (;;); }, 1)"));
  bool native = false;
  must(host.loop.set_timeout(100ms, [&] { native = true; }));
  must(host.loop.run());
  expect_time_limit(host, "[eval]:1:");
  EXPECT_EQ(output, "five\n");
  EXPECT_EQ(neighbour.end(), RuntimeEnd::finished);
  EXPECT_TRUE(native);
  EXPECT_TRUE(fails_with(host->eval("1"), Errc::limit_exceeded));
}

TEST(TaskTimeout, ANeighboursTimeInTheSameCheckpointIsNotOurs) {
  Host host({.task_timeout = 50ms});
  Runtime slow(host.loop, *host.engine, {.output = [](std::string_view) {}});
  slow.set("work", [] { std::this_thread::sleep_for(120ms); });
  host->set("queueSlow", [&] { must(host.loop.queue_microtask([&] { must(slow.eval("work()")); })); });
  host.run("queueSlow(); queueMicrotask(() => setTimeout(() => console.log('alive'), 1))");
  EXPECT_EQ(host.output, "alive\n");
}

TEST(TaskTimeout, ANewRuntimeOnTheSameLoopIsAsGoodAsNew) {
  Host host({.task_timeout = kLimit});
  EXPECT_FALSE(host->eval("for (;;);"));
  host.destroy();
  host.start({.task_timeout = kLimit});
  EXPECT_EQ(host.run("setTimeout(() => console.log('new'), 1)"), "new\n");
}

// --- Memory --------------------------------------------------------------------------------------------------------

constexpr std::size_t kMegabyte = std::size_t{1} << 20;

void expect_heap_limit(Host& host) {
  ASSERT_NE(host->limit_error(), nullptr);
  EXPECT_EQ(host->limit_error()->context("limit"), "heap-limit");
  EXPECT_THAT(host->limit_error()->message(), HasSubstr("--heap-limit"));
  EXPECT_EQ(host->end(), RuntimeEnd::limit);
  EXPECT_EQ(host->exit_code(), 3);
  EXPECT_EQ(host.output, "");
}

TEST(HeapLimit, StopsAScriptThatFillsItAndNamesTheLine) {
  Host host({.heap_limit = 32 * kMegabyte});
  EXPECT_TRUE(fails_with(
      host->eval("const keep = [];\nfor (;;)\n  try { keep.push({ a: [1, 2, 3] }); } catch { console.log('caught') }",
                 "/app/fill.js"),
      Errc::limit_exceeded));
  expect_heap_limit(host);
  EXPECT_THAT(std::string(host->limit_error()->context("at").value_or("nowhere")), HasSubstr("/app/fill.js:"));
}

TEST(HeapLimit, StopsAFloodOfMicrotasks) {
  Host host({.heap_limit = 32 * kMegabyte});
  static_cast<void>(host->eval("const flood = () => { queueMicrotask(flood); queueMicrotask(flood); }; flood()"));
  expect_heap_limit(host);
}

TEST(HeapLimit, IsRestoredAfterAStop) {
  Host host({.heap_limit = 32 * kMegabyte});
  const std::size_t before = host->memory_usage().heap_limit;
  EXPECT_FALSE(host->eval("const keep = []; for (;;) keep.push('x'.repeat(10) + keep.length)"));
  EXPECT_LT(host->memory_usage().heap_limit, before * 3);
}

TEST(HeapLimit, LeavesNeighboursAlone) {
  Host host({.heap_limit = 32 * kMegabyte});
  std::string output;
  Runtime neighbour(host.loop, *host.engine,
                    {.output = [&](std::string_view text) { output += text; }, .heap_limit = 32 * kMegabyte});
  must(neighbour.eval("setTimeout(() => console.log('fine', [1, 2].length), 5)"));
  EXPECT_FALSE(host->eval("const keep = []; for (;;) keep.push([])"));
  must(host.loop.run());
  expect_heap_limit(host);
  EXPECT_EQ(output, "fine 2\n");
}

TEST(HeapLimit, TooSmallToStartWithIsRefused) {
  Loop loop;
  const auto engine = make_v8_engine();
  EXPECT_THROW(Runtime(loop, *engine, {.heap_limit = 8 * kMegabyte - 1}), std::invalid_argument);
  Runtime smallest(loop, *engine, {.heap_limit = 8 * kMegabyte});
  EXPECT_EQ(must(must(smallest.eval("1")).as<int>()), 1);
}

TEST(ArrayBufferLimit, IsARangeErrorForTheScript) {
  Host host({.array_buffer_limit = kMegabyte});
  EXPECT_EQ(host.eval<std::string>("try { new ArrayBuffer(2 ** 21) } catch (e) { e.name }"), "RangeError");
  EXPECT_EQ(host.eval<std::string>("try { new SharedArrayBuffer(2 ** 21) } catch (e) { e.name }"), "RangeError");
  EXPECT_EQ(host.eval<int>("new Uint8Array(2 ** 19).length"), 1 << 19);
  EXPECT_LE(host->memory_usage().array_buffers, kMegabyte);
}

TEST(ArrayBufferLimit, CountsWhatTheHostHandsOver) {
  Host host({.array_buffer_limit = kMegabyte});
  host->set("small", std::vector<std::byte>(kMegabyte / 2));
  EXPECT_GE(host->memory_usage().array_buffers, kMegabyte / 2);
  EXPECT_THROW(host->set("large", std::vector<std::byte>(kMegabyte)), ErrorException);
  host->set("give", [] { return std::vector<std::byte>(kMegabyte); });
  EXPECT_THAT(host.eval<std::string>("try { give() } catch (e) { e.message }"),
              HasSubstr("larger than the runtime allows"));
}

// --- The stack -----------------------------------------------------------------------------------------------------

/// Runs on a thread with a stack of that size.
void on_thread_with_stack(std::size_t bytes, std::function<void()> work) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, bytes), 0);
  pthread_t thread;
  ASSERT_EQ(pthread_create(
                &thread, &attributes,
                [](void* data) -> void* {
                  (*static_cast<std::function<void()>*>(data))();
                  return nullptr;
                },
                &work),
            0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

constexpr const char* kOverflow =
    "let depth = 0; const dive = () => { depth++; dive(); }; try { dive() } catch (e) { e.name + (depth > 100) }";

TEST(StackLimit, AnOverflowIsARangeErrorOnThreadsOfAnySize) {
  const auto engine = make_v8_engine();
  for (const std::size_t size : {512 * 1024, 1024 * 1024, 16 * 1024 * 1024}) {
    on_thread_with_stack(size, [&] {
      Loop loop;
      Runtime runtime(loop, *engine, {});
      EXPECT_EQ(must(must(runtime.eval(kOverflow)).as<std::string>()), "RangeErrortrue") << size;
      EXPECT_EQ(must(must(runtime.eval("const j = []; let k = j; for (let i = 0; i < 1e5; i++) k.push(k = []); try { "
                                       "JSON.stringify(j) } catch (e) { e.name }"))
                         .as<std::string>()),
                "RangeError");
    });
  }
}

TEST(StackLimit, FollowsARuntimeToAnotherThread) {
  Host host;
  EXPECT_EQ(host.eval<std::string>(kOverflow), "RangeErrortrue");
  on_thread_with_stack(512 * 1024, [&] {
    EXPECT_EQ(host.eval<std::string>("depth = 0; try { dive() } catch (e) { e.name + (depth > 100) }"),
              "RangeErrortrue");
  });
  EXPECT_EQ(host.eval<std::string>("depth = 0; try { dive() } catch (e) { e.name + (depth > 100) }"), "RangeErrortrue");
}

TEST(StackLimit, AnOverflowThroughHostFunctionsIsARangeError) {
  Host host;
  host->set("bounce", [&] { return host->eval("bounce()"); });
  const auto failed = host->eval("bounce()");
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message(), HasSubstr("Maximum call stack size exceeded"));
}

}  // namespace
}  // namespace gyre::js
