#include <atomic>
#include <cmath>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gyre/js/internal/test_support.h>

namespace gyre::js {
namespace {

using ::testing::ElementsAre;
using testing::fails_with;
using ::testing::HasSubstr;
using testing::Host;
using testing::must;

// --- eval ----------------------------------------------------------------------------------------------------------

TEST(Runtime, EvalGivesTheValueOfTheLastStatement) {
  Host host;
  EXPECT_EQ(host.eval<double>("1; 40 + 2"), 42);
  EXPECT_EQ(must(host->eval("let x = 1")).type(), ValueType::undefined);
}

TEST(Runtime, EvalKeepsDeclarationsForTheNextOne) {
  Host host;
  must(host->eval("const greeting = 'hello'; function shout(text) { return text.toUpperCase() + '!'; }"));
  EXPECT_EQ(host.eval<std::string>("shout(greeting)"), "HELLO!");
}

TEST(Runtime, EvalRunsTheCheckpointBeforeItReturns) {
  Host host;
  must(
      host->eval("globalThis.log = []; Promise.resolve().then(() => log.push('micro')); process.nextTick(() => "
                 "log.push('tick'));"));
  EXPECT_EQ(host.eval<std::string>("log.join()"), "tick,micro");
}

TEST(Runtime, EvalReportsAnExceptionWithItsPlaceAndStack) {
  Host host;
  const auto failed = host->eval("let a = 1;\nfunction f() { throw new TypeError('no'); }\n  f();", "/app/script.js");
  ASSERT_TRUE(fails_with(failed, Errc::script_failed));
  EXPECT_EQ(failed.error().message(), "TypeError: no");
  EXPECT_EQ(failed.error().context("at"), "/app/script.js:2:16");
  EXPECT_THAT(std::string(failed.error().context("stack").value()), HasSubstr("at f (/app/script.js:2:22)"));
  EXPECT_FALSE(host->has_ended());
  EXPECT_EQ(host.eval<int>("a"), 1);
}

TEST(Runtime, EvalReportsAnythingThatIsThrown) {
  Host host;
  for (const auto& [code, message] : std::map<std::string, std::string>{{"throw 'text'", "text"},
                                                                        {"throw null", "null"},
                                                                        {"throw 7n", "7"},
                                                                        {"throw Symbol('s')", "Symbol(s)"},
                                                                        {"throw { a: 1 }", "#<Object>"}}) {
    const auto failed = host->eval(code);
    ASSERT_TRUE(fails_with(failed, Errc::script_failed)) << code;
    EXPECT_EQ(failed.error().message(), message);
  }
}

TEST(Runtime, TheMessageOfAnExceptionRunsNoCodeOfTheScript) {
  Host host;
  const auto failed = host->eval(
      "globalThis.ran = false; throw { toString() { ran = true; return 'x'; }, get message() { ran = true; } }");
  ASSERT_TRUE(fails_with(failed, Errc::script_failed));
  EXPECT_FALSE(host.eval<bool>("ran"));
}

TEST(Runtime, EvalTellsSyntaxErrorsFromOthers) {
  Host host;
  const auto failed = host->eval("let = = 1", "broken.js");
  ASSERT_TRUE(fails_with(failed, Errc::syntax_error));
  EXPECT_EQ(failed.error().context("at"), "broken.js:1:7");
}

TEST(Runtime, EvalCanBeForbiddenToScripts) {
  Host host({.allow_eval = false});
  EXPECT_TRUE(fails_with(host->eval("eval('1')"), Errc::script_failed));
  EXPECT_TRUE(fails_with(host->eval("new Function('return 1')"), Errc::script_failed));
  EXPECT_EQ(host.eval<int>("1"), 1);
}

// --- Globals and functions -----------------------------------------------------------------------------------------

TEST(Runtime, SetDefinesValues) {
  Host host;
  host->set("number", 1.5);
  host->set("text", "caf\u00E9");
  host->set("flag", true);
  host->set("list", std::vector<int>{1, 2, 3});
  host->set("table", std::map<std::string, std::string>{{"a", "b"}});
  EXPECT_EQ(host.eval<std::string>("JSON.stringify([number, text, flag, list, table])"),
            "[1.5,\"caf\u00E9\",true,[1,2,3],{\"a\":\"b\"}]");
}

TEST(Runtime, SetDefinesFunctionsWithNameAndLength) {
  Host host;
  host->set("add", [](double a, double b) { return a + b; });
  EXPECT_EQ(host.eval<double>("add(40, 2)"), 42);
  EXPECT_EQ(host.eval<std::string>("add.name + add.length"), "add2");
  EXPECT_TRUE(fails_with(host->eval("new add(1, 2)"), Errc::script_failed));
}

double half(double value) {
  return value / 2;
}

TEST(Runtime, FunctionsMayBePointersMutableLambdasAndMoveOnly) {
  Host host;
  host->set("half", &half);
  host->set("count", [n = 0]() mutable { return ++n; });
  host->set("owned", [text = std::make_unique<std::string>("mine")] { return *text; });
  EXPECT_EQ(host.eval<double>("half(count() + count() + count())"), 3);
  EXPECT_EQ(host.eval<std::string>("owned()"), "mine");
}

TEST(Runtime, AWrongArgumentIsATypeErrorThatNamesIt) {
  Host host;
  host->set("add", [](double a, double b) { return a + b; });
  host->set("port", [](std::uint16_t port) { return port; });
  host->set("names", [](const std::vector<std::string>& names) { return static_cast<int>(names.size()); });
  const std::pair<const char*, const char*> cases[] = {
      {"add(1, '2')", "TypeError: add: argument 2: expected a number, got a string"},
      {"add(1)", "TypeError: add: argument 2: expected a number, got undefined"},
      {"add(null, 1)", "TypeError: add: argument 1: expected a number, got null"},
      {"port(65536)", "TypeError: port: argument 1: expected an integer in range, got a number (65536)"},
      {"port(1.5)", "TypeError: port: argument 1: expected an integer in range, got a number (1.5)"},
      {"port(-1)", "TypeError: port: argument 1: expected an integer in range, got a number (-1)"},
      {"names('x')", "TypeError: names: argument 1: expected an array, got a string"},
      {"names(['a', {}])", "TypeError: names: argument 1: expected a string, got an object"},
  };
  for (const auto& [code, message] : cases) {
    const auto failed = host->eval(code);
    ASSERT_FALSE(failed) << code;
    EXPECT_EQ(failed.error().message(), message) << code;
  }
}

TEST(Runtime, ExceptionsAndFailedResultsBecomeErrorsOfTheScript) {
  Host host;
  host->set("throws", [] { throw std::runtime_error("the disk is full"); });
  host->set("throwsAnything", [] { throw 7; });
  host->set("fails", []() -> Result<int> { return fail(Errc::not_found, "no such row"); });
  host->set("succeeds", []() -> Result<int> { return 5; });
  host->set("failsEmpty", []() -> Result<void> { return fail(Errc::cancelled, "stopped"); });
  EXPECT_EQ(host.eval<std::string>("try { throws() } catch (e) { e instanceof Error && e.message }"),
            "the disk is full");
  EXPECT_EQ(host.eval<std::string>("try { throwsAnything() } catch (e) { e.message }"),
            "an exception that is not a std::exception");
  EXPECT_EQ(host.eval<std::string>("try { fails() } catch (e) { e.message }"), "no such row");
  EXPECT_EQ(host.eval<std::string>("try { failsEmpty() } catch (e) { e.message }"), "stopped");
  EXPECT_EQ(host.eval<int>("succeeds()"), 5);
}

TEST(Runtime, CallCallsAGlobalFunctionAndRunsTheCheckpoint) {
  Host host;
  must(
      host->eval("var log = []; function greet(name, times) { Promise.resolve().then(() => log.push('after')); return "
                 "name.repeat(times); }"));
  EXPECT_EQ(must(must(host->call("greet", "ab", 2)).as<std::string>()), "abab");
  EXPECT_EQ(host.eval<std::string>("log.join()"), "after");
  EXPECT_TRUE(fails_with(host->call("log"), Errc::wrong_type));
  EXPECT_TRUE(fails_with(host->call("nothing"), Errc::wrong_type));
}

TEST(Runtime, GetRunsAGetterAndReportsItsException) {
  Host host;
  must(host->eval("Object.defineProperty(globalThis, 'bad', { get() { throw new Error('broken getter') } })"));
  const auto failed = host->get("bad");
  ASSERT_TRUE(fails_with(failed, Errc::script_failed));
  EXPECT_EQ(failed.error().message(), "Error: broken getter");
}

TEST(Runtime, AHostFunctionMayTakeAFunctionAndCallItLater) {
  Host host;
  std::vector<Value> listeners;
  host->set("onEvent", [&](Value listener) { listeners.push_back(std::move(listener)); });
  must(host->eval("var seen = []; onEvent(x => seen.push(x)); onEvent(x => seen.push(x * 2));"));
  for (const Value& listener : listeners) must(listener.call(21));
  EXPECT_EQ(host.eval<std::string>("seen.join()"), "21,42");
}

TEST(Runtime, AFunctionsCapturesGoWhenTheScriptHasLostIt) {
  Host host({.heap_limit = std::size_t{32} << 20});
  auto token = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = token;
  host->set("held", [token = std::move(token)] { return *token; });
  EXPECT_EQ(host.eval<int>("held()"), 1);
  must(host->eval("delete globalThis.held"));
  // Only a collection of the whole heap finds it: these survive the young generation, and so bring one about.
  for (int i = 0; i < 20 && !watch.expired(); ++i) {
    must(host->eval("{ let keep = []; for (let i = 0; i < 50_000; i++) keep.push([i, { i }]); }"));
  }
  EXPECT_TRUE(watch.expired());
}

// --- Conversions ---------------------------------------------------------------------------------------------------

template <typename T>
T round_trip(Host& host, const T& value) {
  host->set("value", value);
  return must(must(host->get("value")).as<T>());
}

TEST(Convert, ValuesComeBackAsTheyWent) {
  Host host;
  EXPECT_EQ(round_trip(host, true), true);
  EXPECT_EQ(round_trip(host, -0.25), -0.25);
  EXPECT_TRUE(std::signbit(round_trip(host, -0.0)));
  EXPECT_TRUE(std::isnan(round_trip(host, std::nan(""))));
  EXPECT_EQ(round_trip(host, 1.5F), 1.5F);
  EXPECT_EQ(round_trip(host, std::string("zero \0 byte", 11)), std::string("zero \0 byte", 11));
  EXPECT_EQ(round_trip(host, std::string("\U0001F600 \u65E5")), "\U0001F600 \u65E5");
  EXPECT_EQ(round_trip(host, std::vector<std::vector<int>>{{1}, {}, {2, 3}}),
            (std::vector<std::vector<int>>{{1}, {}, {2, 3}}));
  EXPECT_EQ(round_trip(host, std::vector<bool>{true, false}), (std::vector<bool>{true, false}));
  EXPECT_EQ(round_trip(host, std::map<std::string, int>{{"a", 1}, {"7", 2}}),
            (std::map<std::string, int>{{"a", 1}, {"7", 2}}));
  EXPECT_EQ(round_trip(host, std::optional<int>(3)), std::optional<int>(3));
  EXPECT_EQ(round_trip(host, std::optional<int>()), std::nullopt);
  EXPECT_EQ(round_trip(host, std::vector<std::byte>{std::byte{0}, std::byte{255}}),
            (std::vector<std::byte>{std::byte{0}, std::byte{255}}));
  EXPECT_EQ(round_trip(host, std::vector<std::byte>()), std::vector<std::byte>());
}

TEST(Convert, IntegersOfAllSizesKeepTheirValue) {
  Host host;
  const auto edges = [&]<typename T>(T) {
    EXPECT_EQ(round_trip(host, std::numeric_limits<T>::max()), std::numeric_limits<T>::max());
    EXPECT_EQ(round_trip(host, std::numeric_limits<T>::min()), std::numeric_limits<T>::min());
  };
  edges(std::int8_t());
  edges(std::uint8_t());
  edges(std::int16_t());
  edges(std::uint16_t());
  edges(std::int32_t());
  edges(std::uint32_t());
  edges(std::int64_t());
  edges(std::uint64_t());
}

TEST(Convert, SixtyFourBitIntegersAreNumbersAsLongAsThatIsExact) {
  Host host;
  const auto type_of = [&](auto value) {
    host->set("value", value);
    return host.eval<std::string>("typeof value + ' ' + value");
  };
  EXPECT_EQ(type_of(std::int64_t{9007199254740991}), "number 9007199254740991");
  EXPECT_EQ(type_of(std::int64_t{9007199254740992}), "bigint 9007199254740992");
  EXPECT_EQ(type_of(std::int64_t{-9007199254740992}), "bigint -9007199254740992");
  EXPECT_EQ(type_of(std::uint64_t{18446744073709551615U}), "bigint 18446744073709551615");
}

TEST(Convert, AnIntegerMayComeAsNumberOrBigIntButMustBeExact) {
  Host host;
  EXPECT_EQ(host.eval<std::int64_t>("9223372036854775807n"), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(host.eval<std::uint64_t>("2 ** 63"), std::uint64_t{1} << 63);
  EXPECT_EQ(host.eval<int>("-0"), 0);
  for (const char* code : {"9223372036854775808n", "2 ** 63", "0.5", "NaN", "Infinity", "'1'", "true", "null"}) {
    EXPECT_TRUE(fails_with(must(host->eval(code)).as<std::int64_t>(), Errc::wrong_type)) << code;
  }
  for (const char* code : {"-1", "-1n", "18446744073709551616n", "2 ** 64"}) {
    EXPECT_TRUE(fails_with(must(host->eval(code)).as<std::uint64_t>(), Errc::wrong_type)) << code;
  }
}

TEST(Convert, NothingIsConvertedThatIsOfAnotherType) {
  Host host;
  EXPECT_TRUE(fails_with(must(host->eval("'1'")).as<double>(), Errc::wrong_type));
  EXPECT_TRUE(fails_with(must(host->eval("1")).as<std::string>(), Errc::wrong_type));
  EXPECT_TRUE(fails_with(must(host->eval("0")).as<bool>(), Errc::wrong_type));
  EXPECT_TRUE(fails_with(must(host->eval("({ length: 1, 0: 1 })")).as<std::vector<int>>(), Errc::wrong_type));
  EXPECT_TRUE(fails_with(must(host->eval("'ab'")).as<std::vector<std::byte>>(), Errc::wrong_type));
  EXPECT_EQ(must(host->eval("1")).as<std::string>().error().message(), "expected a string, got a number (1)");
}

TEST(Convert, BytesComeFromAnyViewAndStartWhereItStarts) {
  Host host;
  const auto bytes = [&](std::string_view code) { return host.eval<std::vector<std::byte>>(code); };
  EXPECT_THAT(bytes("new Uint8Array([1, 2, 3]).subarray(1)"), ElementsAre(std::byte{2}, std::byte{3}));
  EXPECT_THAT(bytes("new DataView(new Uint8Array([9, 8]).buffer, 1)"), ElementsAre(std::byte{8}));
  EXPECT_TRUE(bytes("new ArrayBuffer(0)").empty());
}

TEST(Convert, AGetterThatThrowsWhileAContainerIsReadIsAFailure) {
  Host host;
  const Value list =
      must(host->eval("[1, , 3].map(x => x); const a = [1]; Object.defineProperty(a, 0, { get() { throw 1 } }); a"));
  EXPECT_TRUE(fails_with(list.as<std::vector<int>>(), Errc::script_failed));
  const Value object = must(host->eval("({ get x() { throw 1 } })"));
  EXPECT_TRUE((fails_with(object.as<std::map<std::string, int>>(), Errc::script_failed)));
  const Value proxy = must(host->eval("new Proxy({}, { ownKeys() { throw 1 } })"));
  EXPECT_TRUE((fails_with(proxy.as<std::map<std::string, int>>(), Errc::script_failed)));
}

TEST(Convert, MalformedUtf8BecomesReplacementCharacters) {
  Host host;
  host->set("text", std::string("a\xFFz"));
  EXPECT_EQ(host.eval<std::string>("text"), "a\uFFFDz");
  EXPECT_EQ(host.eval<std::string>("'\\uD800'"), "\uFFFD");
}

// --- Values --------------------------------------------------------------------------------------------------------

TEST(Value, TellsItsTypeAndShowsItselfAsConsoleWould) {
  Host host;
  const std::pair<const char*, ValueType> cases[] = {{"undefined", ValueType::undefined},
                                                     {"null", ValueType::null},
                                                     {"true", ValueType::boolean},
                                                     {"1", ValueType::number},
                                                     {"1n", ValueType::bigint},
                                                     {"''", ValueType::string},
                                                     {"Symbol()", ValueType::symbol},
                                                     {"(() => 1)", ValueType::function},
                                                     {"[]", ValueType::object}};
  for (const auto& [code, type] : cases) EXPECT_EQ(must(host->eval(code)).type(), type) << code;
  EXPECT_EQ(must(host->eval("({ a: [1, 'x'], m: new Map([[1, 2]]) })")).to_string(),
            "{ a: [ 1, 'x' ], m: Map(1) { 1 => 2 } }");
}

TEST(Value, GetReadsPropertiesOfObjectsOnly) {
  Host host;
  const Value object = must(host->eval("({ inner: { answer: 42 } })"));
  EXPECT_EQ(must(must(must(object.get("inner")).get("answer")).as<int>()), 42);
  EXPECT_TRUE(fails_with(must(host->eval("1")).get("x"), Errc::wrong_type));
  EXPECT_TRUE(fails_with(Value().get("x"), Errc::wrong_type));
}

TEST(Value, AnEmptyOneIsHarmless) {
  const Value empty;
  EXPECT_TRUE(empty.is_empty());
  EXPECT_EQ(empty.type(), ValueType::undefined);
  EXPECT_TRUE(fails_with(empty.as<int>(), Errc::wrong_type));
  EXPECT_TRUE(fails_with(empty.call(), Errc::wrong_type));
  EXPECT_EQ(empty.to_string(), "undefined");
}

TEST(Value, MayOutliveItsRuntime) {
  Host host;
  const Value number = must(host->eval("42"));
  const Value function = must(host->eval("(() => 1)"));
  Value copy = function;
  host.destroy();
  EXPECT_TRUE(fails_with(number.as<int>(), Errc::terminated));
  EXPECT_TRUE(fails_with(function.call(), Errc::terminated));
  EXPECT_TRUE(fails_with(copy.get("x"), Errc::terminated));
  EXPECT_EQ(number.type(), ValueType::undefined);
  EXPECT_EQ(number.to_string(), "undefined");
  copy = Value();
}

TEST(Value, CanBeReadAfterTheScriptHasEnded) {
  Host host;
  const Value text = must(host->eval("'kept'"));
  EXPECT_TRUE(fails_with(host->eval("process.exit(0)"), Errc::terminated));
  ASSERT_TRUE(host->has_ended());
  EXPECT_EQ(must(text.as<std::string>()), "kept");
}

TEST(Value, OfAnotherRuntimeIsRefused) {
  Host one;
  Host other;
  const Value object = must(one->eval("({})"));
  must(other->eval("function f(x) { return typeof x; }"));
  EXPECT_THROW(static_cast<void>(other->call("f", object)), std::logic_error);
  EXPECT_THROW(other->set("stolen", object), std::logic_error);
  other->set("give", [object] { return object; });
  EXPECT_THAT(other.eval<std::string>("try { give() } catch (e) { e.message }"), HasSubstr("another runtime"));
}

// --- Many runtimes -------------------------------------------------------------------------------------------------

TEST(Runtime, SeveralOnALoopSeeNothingOfEachOther) {
  Host host;
  std::string second_output;
  Runtime second(host.loop, *host.engine, {.output = [&](std::string_view text) { second_output += text; }});
  must(host->eval(
      "globalThis.secret = 1; Array.prototype.push = null; setTimeout(() => console.log('first', typeof other), 1)"));
  must(
      second.eval("globalThis.other = 2; setTimeout(() => { const a = []; a.push(1); console.log('second', typeof "
                  "secret, a.length) }, 1)"));
  host.finish();
  EXPECT_EQ(host.output, "first undefined\n");
  EXPECT_EQ(second_output, "second undefined 1\n");
}

TEST(Runtime, TheEndOfOneLeavesItsNeighboursRunning) {
  Host host;
  std::string output;
  Runtime neighbour(host.loop, *host.engine, {.output = [&](std::string_view text) { output += text; }});
  must(neighbour.eval("setTimeout(() => console.log('still here'), 5)"));
  EXPECT_TRUE(fails_with(host->eval("setTimeout(() => console.log('never'), 1); process.exit(3)"), Errc::terminated));
  host.finish();
  EXPECT_EQ(host->exit_code(), 3);
  EXPECT_EQ(host.output, "");
  EXPECT_EQ(output, "still here\n");
  EXPECT_EQ(neighbour.end(), RuntimeEnd::finished);
}

TEST(Runtime, EachThreadMayHaveItsOwn) {
  const auto engine = make_v8_engine();
  std::atomic<int> right{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&, i] {
      Loop loop({.auto_exit = true});
      Runtime runtime(loop, *engine, {.output = [](std::string_view) {}});
      runtime.set("id", i);
      int sum = 0;
      runtime.set("report", [&](int value) { sum = value; });
      must(runtime.eval(
          "let sum = 0, n = 0; (function tick() { sum += id; ++n < 50 ? setImmediate(tick) : report(sum); })()"));
      must(loop.run());
      if (sum == 50 * i) ++right;
    });
  }
  threads.clear();
  EXPECT_EQ(right, 6);
}

TEST(Runtime, IsForTheThreadOfItsLoop) {
  Host host({}, {});
  testing::Runner runner(host.loop);
  ASSERT_TRUE(testing::falls_asleep(host.loop.remote()));
  EXPECT_THROW(static_cast<void>(host->eval("1")), std::logic_error);
  EXPECT_THROW(host->set("x", 1), std::logic_error);
  int answer = 0;
  must(host.loop.remote().post([&] { answer = host.eval<int>("42"); }));
  must(host.loop.remote().shutdown());
  EXPECT_EQ(answer, 42);
}

// --- Re-entrancy ---------------------------------------------------------------------------------------------------

TEST(Runtime, HostAndScriptMayCallEachOtherInTurn) {
  Host host;
  host->set("down", [&](int depth) -> Result<int> {
    if (depth == 0) return 0;
    const auto result = host->call("up", depth - 1);
    if (!result) return std::unexpected(result.error());
    return result->as<int>();
  });
  must(host->eval("function up(depth) { return down(depth) + 1; }"));
  EXPECT_EQ(must(must(host->call("up", 20)).as<int>()), 21);
}

TEST(Runtime, ACallFromWithinScriptRunsNoMicrotasksYet) {
  Host host;
  host->set("callBack",
            [&] { must(host->eval("log.push('inner'); Promise.resolve().then(() => log.push('inner micro'))")); });
  must(host->eval(
      "var log = []; Promise.resolve().then(() => log.push('outer micro')); process.nextTick(() => log.push('tick'));"
      "callBack(); log.push('outer end');"));
  EXPECT_EQ(host.eval<std::string>("log.join()"), "inner,outer end,tick,outer micro,inner micro");
}

TEST(Runtime, ANeighboursCallFromWithinScriptRunsOnlyTheNeighboursMicrotasks) {
  Host host;
  Runtime neighbour(host.loop, *host.engine, {.output = [&](std::string_view text) { host.output += text; }});
  host->set("visit", [&] { must(neighbour.eval("Promise.resolve().then(() => console.log('neighbour micro'))")); });
  must(host->eval("Promise.resolve().then(() => console.log('own micro')); visit(); console.log('own end');"));
  EXPECT_EQ(host.output, "neighbour micro\nown end\nown micro\n");
}

TEST(Runtime, WhatANeighboursMicrotaskCallsGetsItsOwnMicrotasksRun) {
  Host host;
  Runtime second(host.loop, *host.engine, {.output = [&](std::string_view text) { host.output += text; }});
  second.set("poke", [&] { must(host->eval("Promise.resolve().then(() => console.log('poked'))")); });
  must(second.eval("setTimeout(() => Promise.resolve().then(poke), 1)"));
  host.finish();
  EXPECT_EQ(host.output, "poked\n");
}

TEST(Runtime, ExitInANestedCallEndsEverythingOnTheStack) {
  Host host;
  bool told = false;
  host->set("nested", [&] { told = fails_with(host->eval("process.exit(4)"), Errc::terminated); });
  EXPECT_TRUE(
      fails_with(host->eval("try { nested(); } catch {} finally { console.log('finally') } console.log('after')"),
                 Errc::terminated));
  EXPECT_TRUE(told);
  EXPECT_EQ(host.output, "");
  EXPECT_EQ(host->end(), RuntimeEnd::exit);
  EXPECT_EQ(host->exit_code(), 4);
}

// --- The end -------------------------------------------------------------------------------------------------------

TEST(Runtime, RefusesALoopThatHasEnded) {
  Loop loop;
  must(loop.close());
  const auto engine = make_v8_engine();
  EXPECT_THROW(Runtime(loop, *engine), std::logic_error);
}

TEST(Runtime, AfterItsEndEveryOperationFails) {
  Host host;
  host.run("var f = () => 1");
  EXPECT_EQ(host->end(), RuntimeEnd::finished);
  EXPECT_TRUE(fails_with(host->eval("1"), Errc::terminated));
  EXPECT_TRUE(fails_with(host->call("f"), Errc::terminated));
  EXPECT_TRUE(fails_with(host->get("f"), Errc::terminated));
  EXPECT_TRUE(fails_with(host->run_file("/x.js"), Errc::terminated));
  EXPECT_TRUE(host->make(1).is_empty());
  host->set("x", 1);
}

TEST(Runtime, TellsItsEndOnce) {
  std::vector<std::pair<RuntimeEnd, int>> ends;
  Host host({.on_end = [&](RuntimeEnd end, int code) { ends.emplace_back(end, code); }});
  host.run("process.exitCode = 9; process.on('exit', code => console.log('exit', code))");
  host.destroy();
  EXPECT_THAT(ends, ElementsAre(std::pair(RuntimeEnd::finished, 9)));
  EXPECT_EQ(host.output, "exit 9\n");
}

TEST(Runtime, AShutdownTakesTheExitCodeButFiresNoEvents) {
  Host host({}, {});
  must(
      host->eval("process.exitCode = 6; process.on('exit', () => console.log('exit')); process.on('beforeExit', () => "
                 "console.log('before'))"));
  must(host.loop.shutdown());
  must(host.loop.run());
  EXPECT_EQ(host->end(), RuntimeEnd::finished);
  EXPECT_EQ(host->exit_code(), 6);
  EXPECT_EQ(host.output, "");
}

TEST(Runtime, MayBeDestroyedWithEverythingPending) {
  testing::Folder folder;
  folder.write("slow.mjs", "await new Promise(() => {}); export default 1;");
  folder.write("file.txt", "text");
  Host host({.file_access = FileAccess::read}, {});
  host->set("held", [value = must(host->eval("({})"))] { return value; });
  must(
      host->run_code("import { readTextFile } from 'gyre:fs';"
                     "setTimeout(() => {}, 1e6); setInterval(() => {}, 1e6); setImmediate(() => {}); delay(1e6);"
                     "process.nextTick(() => {}); queueMicrotask(() => {}); new Promise(() => {}); "
                     "AbortSignal.timeout(1e6).onabort = () => {}; import('./slow.mjs');"
                     "readTextFile(import.meta.dirname + '/file.txt'); Promise.reject(1).catch(() => {});"
                     "await new Promise(() => {});",
                     "main.mjs", folder.path()));
  must(host.loop.poll_once());
  EXPECT_EQ(host.errors, "");
  host.destroy();
  must(host.loop.shutdown());
  must(host.loop.run());
  EXPECT_EQ(host.output, "");
}

TEST(Runtime, MayBeDestroyedInItsOwnHostFunction) {
  std::vector<RuntimeEnd> ends;
  Host host({.on_end = [&](RuntimeEnd end, int) { ends.push_back(end); }});
  host->set("destroy", [&] { host.destroy(); });
  must(
      host->eval("setTimeout(() => { setTimeout(() => {}, 1000); try { destroy(); } finally { console.log('finally'); "
                 "} console.log('after'); }, 1)"));
  must(host.loop.run());
  EXPECT_EQ(host.output, "");
  EXPECT_THAT(ends, ElementsAre(RuntimeEnd::finished));
}

TEST(Runtime, MayBeDestroyedInAGetterThatTheHostReads) {
  for (const auto read : {+[](Host& host) { return host->get("bad").has_value(); },
                          +[](Host& host) { return host->call("bad").has_value(); },
                          +[](Host& host) { return must(host->eval("globalThis")).get("bad").has_value(); },
                          +[](Host& host) {
                            host->set("bad", 1);
                            return false;
                          }}) {
    Host host;
    host->set("destroy", [&] { host.destroy(); });
    must(host->eval("Object.defineProperty(globalThis, 'bad', { get() { destroy() }, set() { destroy() } })"));
    EXPECT_FALSE(read(host));
  }
}

TEST(Runtime, MayBeDestroyedInAnyOfItsCallbacks) {
  for (const char* code :
       {"console.log('x')", "console.error('x')", "Promise.reject(new Error('x'))",
        "setTimeout(() => { throw new Error('x') }, 1)", "process.exit(1)", "0",
        "queueMicrotask(() => console.log('x')); queueMicrotask(() => {})", "process.nextTick(() => console.log('x'))",
        "setImmediate(() => console.log('x'))", "process.on('beforeExit', () => console.log('x'))",
        "process.on('exit', () => console.log('x'))"}) {
    Loop loop({.auto_exit = true});
    const auto engine = make_v8_engine();
    std::optional<Runtime> runtime;
    const auto destroy = [&runtime] { runtime.reset(); };
    runtime.emplace(loop, *engine,
                    RuntimeOptions{.output = [&](std::string_view) { destroy(); },
                                   .error_output = [&](std::string_view) { destroy(); },
                                   .on_uncaught = [&](const ErrorReport&) { destroy(); },
                                   .on_end = [&](RuntimeEnd, int) { destroy(); }});
    static_cast<void>(runtime->eval(code));
    must(loop.run());
    EXPECT_FALSE(runtime) << code;
  }
}

TEST(Runtime, CallbacksOfTheHostMayThrow) {
  Host host({.output = [](std::string_view) { throw std::runtime_error("output"); },
             .on_uncaught = [](const ErrorReport&) { throw std::runtime_error("uncaught"); },
             .on_end = [](RuntimeEnd, int) { throw std::runtime_error("end"); }});
  must(host->eval("console.log('x'); var went = 'on'; setTimeout(() => { throw new Error('boom') }, 1)"));
  EXPECT_EQ(host.eval<std::string>("went"), "on");
  must(host.loop.run());
  EXPECT_EQ(host->end(), RuntimeEnd::uncaught);
  EXPECT_EQ(host->exit_code(), 1);
}

TEST(Runtime, RequestStopEndsARunningScriptFromAnotherThread) {
  Host host;
  std::atomic<bool> entered{false};
  host->set("enter", [&] { entered = true; });
  std::jthread stopper([&] {
    EXPECT_TRUE(testing::eventually([&] { return entered.load(); }));
    host->request_stop(7);
  });
  EXPECT_TRUE(
      fails_with(host->eval("enter(); try { while (true); } finally { console.log('finally') }"), Errc::terminated));
  stopper.join();
  EXPECT_EQ(host->end(), RuntimeEnd::stopped);
  EXPECT_EQ(host->exit_code(), 7);
  EXPECT_EQ(host.output, "");
}

TEST(Runtime, RequestStopEndsOneThatWaits) {
  Host host;
  must(host->eval("setInterval(() => {}, 1000)"));
  std::jthread stopper([&] {
    EXPECT_TRUE(testing::falls_asleep(host.loop.remote()));
    host->request_stop(8);
  });
  must(host.loop.run());
  stopper.join();
  EXPECT_EQ(host->exit_code(), 8);
}

}  // namespace
}  // namespace gyre::js
