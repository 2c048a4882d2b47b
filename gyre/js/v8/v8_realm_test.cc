#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <gyre/js/engine.h>
#include <gyre/loop/internal/test_support.h>

// The operations of the engine seam, as any engine must provide them.

namespace gyre::js {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::must;

/// An owner that takes note of what the realm asks and tells.
struct Owner final : RealmDelegate {
  void on_promise_rejection(Local, Local reason, bool handled) override {
    rejections.push_back((handled ? "handled" : realm->to_utf8(reason)));
  }
  void on_microtask_exception(Local thrown) override { microtask_exceptions.push_back(realm->to_utf8(thrown)); }
  Local on_dynamic_import(std::string_view specifier, std::string_view referrer) override {
    imports.push_back(std::string(specifier) + " from " + std::string(referrer));
    const auto [promise, resolver] = realm->deferred();
    realm->resolve(resolver, realm->string("imported"));
    return promise;
  }
  void on_import_meta(ModuleId module, Local meta) override {
    realm->set(meta, "url", realm->string(realm->module_url(module)));
  }
  void on_engine_task(Task task, double) override {
    const std::lock_guard lock(mutex);
    tasks.push_back(std::move(task));
  }
  void on_near_heap_limit() override { heap_full = true; }

  Realm* realm = nullptr;
  std::vector<std::string> rejections;
  std::vector<std::string> microtask_exceptions;
  std::vector<std::string> imports;
  bool heap_full = false;
  std::mutex mutex;
  std::vector<Task> tasks;
};

class RealmTest : public ::testing::Test {
 protected:
  explicit RealmTest(const RealmLimits& limits = {}) {
    realm_ = must(engine_->make_realm(owner_, limits));
    owner_.realm = realm_.get();
    scope_.emplace(*realm_);
  }
  ~RealmTest() override { scope_.reset(); }

  Realm& realm() { return *realm_; }
  Local run(std::string_view code) {
    const Completion completion = realm().run_script(code, "test.js");
    EXPECT_TRUE(completion.is_value()) << code;
    return completion.is_value() ? completion.value : realm().undefined();
  }
  std::string text(std::string_view code) { return realm().to_utf8(run(code)); }
  void set_global(std::string_view name, Local value) {
    EXPECT_TRUE(realm().set(realm().global(), name, value).is_value());
  }

  std::unique_ptr<Engine> engine_ = make_v8_engine();
  Owner owner_;
  std::unique_ptr<Realm> realm_;
  std::optional<Scope> scope_;
};

TEST_F(RealmTest, KnowsItsEngineAndItsOwner) {
  EXPECT_EQ(engine_->name(), "V8");
  EXPECT_FALSE(engine_->version().empty());
  EXPECT_EQ(&realm().delegate(), &owner_);
}

// --- Values --------------------------------------------------------------------------------------------------------

TEST_F(RealmTest, MakesValuesOfEveryType) {
  EXPECT_EQ(realm().type_of(realm().undefined()), ValueType::undefined);
  EXPECT_EQ(realm().type_of(realm().null()), ValueType::null);
  EXPECT_EQ(realm().type_of(realm().boolean(true)), ValueType::boolean);
  EXPECT_EQ(realm().type_of(realm().number(1)), ValueType::number);
  EXPECT_EQ(realm().type_of(realm().bigint(1)), ValueType::bigint);
  EXPECT_EQ(realm().type_of(realm().string("x")), ValueType::string);
  EXPECT_EQ(realm().type_of(realm().symbol_for("x")), ValueType::symbol);
  EXPECT_EQ(realm().type_of(realm().object()), ValueType::object);
  EXPECT_EQ(realm().type_of(realm().array({})), ValueType::object);
  EXPECT_EQ(realm().type_of(realm().function("f", 0, [](Call&) {})), ValueType::function);
  EXPECT_EQ(realm().type_of(realm().error(ErrorClass::error, "x")), ValueType::object);
}

TEST_F(RealmTest, ReadsPrimitives) {
  EXPECT_TRUE(realm().to_boolean(realm().string("x")));
  EXPECT_FALSE(realm().to_boolean(realm().number(0)));
  EXPECT_EQ(realm().to_number(realm().number(1.5)), 1.5);
  EXPECT_TRUE(std::isnan(realm().to_number(realm().string("1.5"))));
  EXPECT_EQ(realm().to_int64(realm().bigint(INT64_MIN)), INT64_MIN);
  EXPECT_EQ(realm().to_int64(realm().bigint_unsigned(UINT64_MAX)), std::nullopt);
  EXPECT_EQ(realm().to_uint64(realm().bigint_unsigned(UINT64_MAX)), UINT64_MAX);
  EXPECT_EQ(realm().to_uint64(realm().number(-1)), std::nullopt);
  EXPECT_EQ(realm().to_int64(realm().string("1")), std::nullopt);
}

TEST_F(RealmTest, ShowsAnythingAsTextWithoutRunningScript) {
  EXPECT_EQ(text("'\u20AC\U0001F600'"), "\u20AC\U0001F600");
  EXPECT_EQ(text("1.5"), "1.5");
  EXPECT_EQ(text("10n"), "10");
  EXPECT_EQ(text("null"), "null");
  EXPECT_EQ(text("Symbol('s')"), "Symbol(s)");
  EXPECT_EQ(text("'a\\uDC00b'"), "a\uFFFDb");
  EXPECT_EQ(text("({ toString() { throw 1 } })"), "[object Object]");
  EXPECT_EQ(text("new (class Cat {})"), "[object Cat]");
  EXPECT_EQ(text("new Proxy({}, { get() { throw 1 } })"), "[object Proxy]");
}

TEST_F(RealmTest, TextOfAnySizeSurvives) {
  const std::string large(5'000'000, 'x');
  EXPECT_EQ(realm().to_utf8(realm().string(large)), large);
  EXPECT_EQ(realm().to_utf8(realm().string("")), "");
  EXPECT_EQ(realm().to_utf8(realm().string(std::string_view("\0a\0", 3))), std::string_view("\0a\0", 3));
}

TEST_F(RealmTest, RefusesTextThatNoEngineCanHold) {
  const std::string huge(std::size_t{600} << 20, 'x');
  EXPECT_TRUE(realm().string(huge).is_empty());
}

TEST_F(RealmTest, ComparesAsObjectIs) {
  EXPECT_TRUE(realm().same_value(run("NaN"), run("0 / 0")));
  EXPECT_FALSE(realm().same_value(run("0"), run("-0")));
  const Local object = run("var o = {}; o");
  EXPECT_TRUE(realm().same_value(object, run("o")));
}

TEST_F(RealmTest, HandsBytesOverWithoutCopying) {
  std::vector<std::byte> bytes{std::byte{1}, std::byte{2}};
  const auto* data = bytes.data();
  const Local buffer = realm().array_buffer(std::move(bytes));
  EXPECT_EQ(realm().bytes_of(buffer)->data(), data);
  set_global("buffer", buffer);
  run("new Uint8Array(buffer)[1] = 9");
  EXPECT_EQ(data[1], std::byte{9});
  EXPECT_EQ(realm().bytes_of(realm().uint8_array({std::byte{7}}))->size(), 1U);
  EXPECT_EQ(realm().bytes_of(realm().object()), std::nullopt);
}

TEST_F(RealmTest, SharesMemoryWithScript) {
  const Local shared = realm().uint8_array({std::byte{1}, std::byte{2}, std::byte{3}});
  const std::byte* memory = realm().bytes_of(shared)->data();
  set_global("shared", shared);
  run("shared[2] = 42");
  EXPECT_EQ(memory[2], std::byte{42});
}

TEST_F(RealmTest, TellsTheClassByInternalSlots) {
  const std::pair<const char*, std::string_view> cases[] = {{"new Map", "Map"},
                                                            {"new Set", "Set"},
                                                            {"Promise.resolve()", "Promise"},
                                                            {"new Proxy({}, {})", "Proxy"},
                                                            {"new Date", "Date"},
                                                            {"/x/", "RegExp"},
                                                            {"new Error", "Error"},
                                                            {"new Uint8Array", "TypedArray"},
                                                            {"new DataView(new ArrayBuffer(1))", "DataView"},
                                                            {"new ArrayBuffer(1)", "ArrayBuffer"},
                                                            {"[].values()", ""},
                                                            {"new Map().entries()", "MapIterator"},
                                                            {"(function*(){})()", "Generator"},
                                                            {"async () => {}", "AsyncFunction"},
                                                            {"async function*() {}", "AsyncGeneratorFunction"},
                                                            {"Object(1)", "NumberObject"},
                                                            {"(function() { return arguments })()", "Arguments"},
                                                            {"Object.create(Map.prototype)", ""},
                                                            {"({ [Symbol.toStringTag]: 'Map' })", ""},
                                                            {"1", ""}};
  for (const auto& [code, kind] : cases) EXPECT_EQ(realm().kind_of(run(std::string("(") + code + ")")), kind) << code;
}

TEST_F(RealmTest, LooksIntoProxiesAndCollections) {
  const auto details = realm().proxy_details(run("new Proxy([1], { a: 1 })"));
  ASSERT_TRUE(details);
  EXPECT_TRUE(realm().is_array(details->first));
  EXPECT_EQ(realm().proxy_details(realm().object()), std::nullopt);
  const auto entries = realm().preview_entries(run("new Map([['a', 1], ['b', 2]])"));
  ASSERT_TRUE(entries);
  EXPECT_EQ(realm().array_length(entries->first), 4U);
  EXPECT_TRUE(entries->second);
  EXPECT_EQ(realm().constructor_name(run("new (class Dog {})")), "Dog");
}

// --- Properties ----------------------------------------------------------------------------------------------------

TEST_F(RealmTest, ReadsAndWritesProperties) {
  const Local object = realm().object();
  EXPECT_TRUE(realm().set(object, "key", realm().number(1)).is_value());
  EXPECT_EQ(realm().to_number(realm().get(object, "key").value), 1);
  EXPECT_EQ(realm().to_number(realm().get(object, realm().string("key")).value), 1);
  EXPECT_EQ(realm().type_of(realm().get(object, "none").value), ValueType::undefined);
  EXPECT_EQ(realm().to_number(realm().get_index(run("[5, 6]"), 1).value), 6);
}

TEST_F(RealmTest, AccessorsThatThrowAreCompletions) {
  const Local object = run("({ get bad() { throw 'get' }, set bad(v) { throw 'set' } })");
  EXPECT_EQ(realm().to_utf8(realm().get(object, "bad").value), "get");
  const Completion written = realm().set(object, "bad", realm().null());
  EXPECT_TRUE(written.is_thrown());
  EXPECT_EQ(realm().to_utf8(written.value), "set");
}

TEST_F(RealmTest, ListsKeys) {
  const auto names = [&](const Completion& keys) {
    std::vector<std::string> result;
    for (std::uint32_t i = 0; i < realm().array_length(keys.value); ++i)
      result.push_back(realm().to_utf8(realm().get_index(keys.value, i).value));
    return result;
  };
  const Local object = run("Object.defineProperty({ b: 1, 1: 1, a: 1, [Symbol('s')]: 1 }, 'hidden', { value: 1 })");
  EXPECT_THAT(names(realm().own_keys(object)), ElementsAre("1", "b", "a"));
  EXPECT_THAT(names(realm().own_named_keys(object, false)), ElementsAre("b", "a", "Symbol(s)"));
  EXPECT_THAT(names(realm().own_named_keys(object, true)), ElementsAre("b", "a", "hidden", "Symbol(s)"));
}

// --- Running -------------------------------------------------------------------------------------------------------

TEST_F(RealmTest, CallsAndConstructs) {
  const Local arguments[] = {realm().number(2), realm().number(3)};
  EXPECT_EQ(realm().to_number(realm().call(run("(a, b) => a * b"), realm().undefined(), arguments).value), 6);
  EXPECT_EQ(realm().to_utf8(realm().call(run("(function() { return this.name })"), run("({ name: 'me' })"), {}).value),
            "me");
  EXPECT_EQ(realm().constructor_name(realm().construct(run("(class Bird {})"), arguments).value), "Bird");
  EXPECT_TRUE(realm().construct(run("(() => 1)"), {}).is_thrown());
}

TEST_F(RealmTest, ChecksAScriptWithoutRunningIt) {
  EXPECT_TRUE(realm().check_script("globalThis.ran = true", "a.js").is_value());
  EXPECT_EQ(text("typeof ran"), "undefined");
  const Completion bad = realm().check_script("let let = 1", "bad.js");
  ASSERT_TRUE(bad.is_thrown());
  EXPECT_THAT(realm().describe(bad.value).message, HasSubstr("SyntaxError"));
}

TEST_F(RealmTest, CompilesFunctionBodies) {
  static constexpr std::string_view kParameters[] = {"a", "b"};
  const Completion compiled = realm().compile_function("return a + b", "sum.js", kParameters);
  const Local arguments[] = {realm().number(1), realm().number(2)};
  EXPECT_EQ(realm().to_number(realm().call(compiled.value, realm().undefined(), arguments).value), 3);
}

TEST_F(RealmTest, DescribesWhatWasThrown) {
  const Completion thrown = realm().run_script("\n  throw new RangeError('out')", "/x/y.js");
  const Exception exception = realm().describe(thrown.value);
  EXPECT_EQ(exception.message, "RangeError: out");
  EXPECT_EQ(exception.location.resource, "/x/y.js");
  EXPECT_EQ(exception.location.line, 2);
  EXPECT_EQ(exception.location.column, 3);
  EXPECT_EQ(exception.location.source_line, "  throw new RangeError('out')");
  EXPECT_THAT(exception.stack, HasSubstr("at /x/y.js:2:9"));
  EXPECT_EQ(realm().describe(realm().number(7)).message, "7");
}

TEST_F(RealmTest, NativeFunctionsGetArgumentsAndGiveResultsOrThrow) {
  set_global("join", realm().function("join", 2, [](Call& call) {
    std::string joined;
    for (const Local argument : call.arguments) joined += call.realm.to_utf8(argument);
    call.result = call.realm.string(joined + call.realm.to_utf8(call[99]));
  }));
  set_global("fail", realm().function(
                         "fail", 0, [](Call& call) { call.thrown = call.realm.error(ErrorClass::type_error, "no"); }));
  set_global("crash", realm().function("crash", 0, [](Call&) { throw std::runtime_error("C++"); }));
  EXPECT_EQ(text("join(1, 'b', 3, 4, 5, 6, 7, 8, 9, 10)"), "1b345678910undefined");
  EXPECT_EQ(text("join.name + join.length"), "join2");
  EXPECT_EQ(text("try { fail() } catch (e) { String(e) }"), "TypeError: no");
  EXPECT_EQ(text("try { crash() } catch (e) { String(e) }"), "Error: C++");
}

TEST_F(RealmTest, NativeFunctionsGoWithTheirLastReference) {
  auto token = std::make_shared<int>();
  const std::weak_ptr<int> watch = token;
  auto kept = std::make_shared<int>();
  const std::weak_ptr<int> watch_kept = kept;
  {
    const Scope scope(realm());
    realm().function("lost", 0, [token = std::move(token)](Call&) {});
    set_global("kept", realm().function("kept", 0, [kept = std::move(kept)](Call&) {}));
  }
  realm().collect_garbage();
  scope_.reset();
  EXPECT_TRUE(watch.expired());
  EXPECT_FALSE(watch_kept.expired());
  realm_.reset();
  EXPECT_TRUE(watch_kept.expired());
}

TEST_F(RealmTest, PersistentsKeepValuesAcrossScopesAndCollections) {
  Persistent kept;
  {
    const Scope scope(realm());
    kept = Persistent(realm(), run("({ answer: 42 })"));
  }
  realm().collect_garbage();
  Persistent moved = std::move(kept);
  EXPECT_TRUE(kept.is_empty());  // NOLINT(bugprone-use-after-move): it says so
  EXPECT_EQ(realm().to_number(realm().get(moved.get(), "answer").value), 42);
  moved.reset();
  EXPECT_TRUE(moved.is_empty());
}

// --- Promises and microtasks ---------------------------------------------------------------------------------------

TEST_F(RealmTest, SettlesPromises) {
  const auto [promise, resolver] = realm().deferred();
  EXPECT_EQ(realm().promise_state(promise), PromiseState::pending);
  EXPECT_EQ(realm().type_of(realm().promise_result(promise)), ValueType::undefined);
  realm().resolve(resolver, realm().number(1));
  EXPECT_EQ(realm().promise_state(promise), PromiseState::fulfilled);
  EXPECT_EQ(realm().to_number(realm().promise_result(promise)), 1);
  EXPECT_TRUE(realm().is_promise(promise));
  EXPECT_FALSE(realm().is_promise(run("({ then() {} })")));
}

TEST_F(RealmTest, RunsMicrotasksOnlyWhenTold) {
  std::vector<std::string> log;
  const auto logging = [&](std::string name) {
    return realm().function("", 0, [&log, name](Call&) { log.push_back(name); });
  };
  set_global("second", logging("second"));
  realm().enqueue_microtask(logging("first"));
  run("Promise.resolve().then(second)");
  EXPECT_TRUE(log.empty());
  EXPECT_TRUE(realm().drain_microtasks());
  EXPECT_THAT(log, ElementsAre("first", "second"));
}

TEST_F(RealmTest, AMicrotaskThatThrowsDoesNotStopTheQueue) {
  run("var ran = false");
  realm().enqueue_microtask(run("() => { throw 'oops' }"));
  realm().enqueue_microtask(run("() => { ran = true }"));
  EXPECT_TRUE(realm().drain_microtasks());
  EXPECT_THAT(owner_.microtask_exceptions, ElementsAre("oops"));
  EXPECT_TRUE(realm().to_boolean(run("ran")));
}

TEST_F(RealmTest, TellsOfRejectionsAndOfLateHandlers) {
  run("var p = Promise.reject('why'); Promise.reject('handled at once').catch(() => {})");
  EXPECT_THAT(owner_.rejections, ElementsAre("why", "handled at once", "handled"));
  run("p.catch(() => {})");
  EXPECT_EQ(owner_.rejections.size(), 4U);
  const auto [promise, resolver] = realm().deferred();
  realm().mark_handled(promise);
  realm().reject(resolver, realm().null());
  EXPECT_EQ(owner_.rejections.size(), 4U);
}

TEST_F(RealmTest, ReactionsCauseNoUnhandledRejection) {
  const auto [promise, resolver] = realm().deferred();
  std::string seen;
  realm().promise_then(promise, realm().function("", 1, [](Call&) {}), realm().function("", 1, [&](Call& call) {
    seen = call.realm.to_utf8(call[0]);
    call.thrown = call[0];
  }));
  realm().reject(resolver, realm().string("r"));
  realm().drain_microtasks();
  EXPECT_EQ(seen, "r");
  EXPECT_TRUE(owner_.rejections.empty());
}

// --- Modules -------------------------------------------------------------------------------------------------------

TEST_F(RealmTest, CompilesLinksAndEvaluatesModules) {
  ModuleId main = 0;
  ModuleId leaf = 0;
  ASSERT_TRUE(
      realm()
          .compile_module(
              "import def, { x } from './leaf';\nexport const sum = x + def;\nexport const url = import.meta.url;",
              "file:///main", main)
          .is_value());
  const std::string names[] = {"default", "x"};
  const Local values[] = {realm().number(1), realm().number(41)};
  leaf = realm().synthetic_module("leaf:", names, values);
  const auto requests = realm().module_requests(main);
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].specifier, "./leaf");
  EXPECT_EQ(requests[0].location.line, 1);
  ASSERT_TRUE(realm()
                  .link_module(main,
                               [&](std::string_view specifier, ModuleId referrer) {
                                 EXPECT_EQ(specifier, "./leaf");
                                 EXPECT_EQ(referrer, main);
                                 return leaf;
                               })
                  .is_value());
  const Completion evaluated = realm().evaluate_module(main);
  realm().drain_microtasks();
  EXPECT_EQ(realm().promise_state(evaluated.value), PromiseState::fulfilled);
  EXPECT_EQ(realm().to_number(realm().get(realm().module_namespace(main), "sum").value), 42);
  EXPECT_EQ(realm().to_utf8(realm().get(realm().module_namespace(main), "url").value), "file:///main");
}

TEST_F(RealmTest, LinkingFailsAsAnException) {
  ModuleId module = 0;
  ASSERT_TRUE(realm().compile_module("import './x'", "m", module).is_value());
  EXPECT_THAT(realm()
                  .describe(realm().link_module(module, [](std::string_view, ModuleId) { return ModuleId{0}; }).value)
                  .message,
              HasSubstr("./x"));
  EXPECT_TRUE(
      realm()
          .link_module(module, [](std::string_view, ModuleId) -> ModuleId { throw std::runtime_error("resolver"); })
          .is_thrown());
  EXPECT_TRUE(realm().compile_module("import from from", "m", module).is_thrown());
}

TEST_F(RealmTest, AsksForDynamicImports) {
  run("var got; import('./later').then(v => got = v)");
  realm().drain_microtasks();
  EXPECT_THAT(owner_.imports, ElementsAre("./later from test.js"));
  EXPECT_EQ(text("got"), "imported");
}

// --- Stopping ------------------------------------------------------------------------------------------------------

TEST_F(RealmTest, TerminatesFromAnotherThread) {
  std::atomic<bool> running{false};
  set_global("enter", realm().function("enter", 0, [&](Call&) { running = true; }));
  std::jthread killer([&] {
    EXPECT_TRUE(testing::eventually([&] { return running.load(); }));
    realm_->terminate();
  });
  EXPECT_TRUE(realm().run_script("enter(); for (;;) try { for (;;); } finally { continue }", "a.js").is_terminated());
  killer.join();
  realm().cancel_termination();
  EXPECT_EQ(text("'alive'"), "alive");
}

TEST_F(RealmTest, ATerminationEndsEveryScriptOnTheStack) {
  run("var after = 0");
  set_global("nested", realm().function("nested", 0, [](Call& call) {
    call.realm.terminate();
    EXPECT_TRUE(call.realm.run_script("for (;;);", "inner.js").is_terminated());
  }));
  EXPECT_TRUE(realm()
                  .run_script("try { nested() } catch { after = 1 } finally { after = 2 } after = 3", "outer.js")
                  .is_terminated());
  realm().cancel_termination();
  EXPECT_EQ(text("after"), "0");
}

TEST_F(RealmTest, ATerminationInANativeFunctionLetsNoStatementRun) {
  run("var after = 0");
  set_global("stop", realm().function("stop", 0, [](Call& call) { call.realm.terminate(); }));
  EXPECT_TRUE(realm().run_script("stop(), after = 1", "a.js").is_terminated());
  realm().cancel_termination();
  EXPECT_TRUE(realm().run_script("stop()", "a.js").is_terminated());
  realm().cancel_termination();
  EXPECT_EQ(text("after"), "0");
}

TEST_F(RealmTest, ATerminatedDrainSaysSoAndLeavesNothing) {
  set_global("stop", realm().function("stop", 0, [](Call& call) { call.realm.terminate(); }));
  run("var ran = 0; queueMicrotask = null; Promise.resolve().then(stop); Promise.resolve().then(() => ran++)");
  EXPECT_FALSE(realm().drain_microtasks());
  realm().cancel_termination();
  EXPECT_TRUE(realm().drain_microtasks());
  EXPECT_EQ(text("ran"), "0");
}

TEST_F(RealmTest, InterruptsRunOnTheRealmsThreadWhileScriptRuns) {
  std::atomic<bool> running{false};
  set_global("enter", realm().function("enter", 0, [&](Call&) { running = true; }));
  std::thread::id interrupted_on;
  std::vector<SourceLocation> stack;
  std::jthread other([&] {
    EXPECT_TRUE(testing::eventually([&] { return running.load(); }));
    realm_->request_interrupt([&] {
      interrupted_on = std::this_thread::get_id();
      stack = realm_->current_stack(5);
      realm_->terminate();
    });
  });
  EXPECT_TRUE(realm().run_script("function spin() {\n  for (;;);\n}\nenter(); spin();", "spin.js").is_terminated());
  other.join();
  realm().cancel_termination();
  EXPECT_EQ(interrupted_on, std::this_thread::get_id());
  ASSERT_EQ(stack.size(), 2U);
  EXPECT_EQ(stack[0].function, "spin");
  EXPECT_GT(stack[0].line, 0);
  EXPECT_LE(stack[0].line, 2);  // it may come when the function has only been entered
  EXPECT_EQ(stack[1].line, 4);
}

TEST_F(RealmTest, AnInterruptThatNoScriptTookGoesWithTheRealm) {
  auto token = std::make_shared<int>();
  const std::weak_ptr<int> watch = token;
  realm().request_interrupt([token = std::move(token)] {});
  scope_.reset();
  realm_.reset();
  EXPECT_TRUE(watch.expired());
}

// --- Memory --------------------------------------------------------------------------------------------------------

class SmallRealm : public RealmTest {
 protected:
  SmallRealm() : RealmTest({.heap_bytes = std::size_t{16} << 20, .array_buffer_bytes = 1000, .allow_eval = false}) {}
};

TEST_F(SmallRealm, TellsThatTheHeapIsFullAndCanBeUsedAgain) {
  const std::size_t limit = realm().memory_usage().heap_limit;
  EXPECT_TRUE(
      realm().run_script("const a = []; for (;;) { a.push([]); if (a.length > 4e6) throw 0 }", "a.js").is_thrown());
  EXPECT_TRUE(owner_.heap_full);
  EXPECT_GT(realm().memory_usage().heap_limit, limit);
  realm().collect_garbage();
  realm().cancel_termination();
  EXPECT_LT(realm().memory_usage().heap_limit, std::size_t{1} << 30);
  EXPECT_EQ(text("'alive'"), "alive");
}

TEST_F(SmallRealm, BudgetsArrayBuffers) {
  EXPECT_EQ(text("try { new ArrayBuffer(1001) } catch (e) { e.name }"), "RangeError");
  run("var held = new ArrayBuffer(600)");
  EXPECT_EQ(realm().memory_usage().array_buffers, 600U);
  EXPECT_TRUE(realm().array_buffer(std::vector<std::byte>(500)).is_empty());
  EXPECT_FALSE(realm().uint8_array(std::vector<std::byte>(400)).is_empty());
}

TEST_F(SmallRealm, AllowsNoEval) {
  EXPECT_EQ(text("try { eval('1') } catch (e) { e.name }"), "EvalError");
}

TEST_F(RealmTest, EngineTasksComeToTheOwner) {
  run("Atomics.waitAsync(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1).value.then(r => globalThis.woke = r)");
  EXPECT_TRUE(testing::eventually([&] {
    const std::lock_guard lock(owner_.mutex);
    return !owner_.tasks.empty();
  }));
  // A task may bring another one.
  for (int i = 0; i < 20 && text("String(globalThis.woke)") == "undefined"; ++i) {
    std::vector<Task> tasks;
    {
      const std::lock_guard lock(owner_.mutex);
      tasks.swap(owner_.tasks);
    }
    for (Task& task : tasks) task();
    realm().drain_microtasks();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(text("String(globalThis.woke)"), "timed-out");
}

}  // namespace
}  // namespace gyre::js
