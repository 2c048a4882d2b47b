#include <string>
#include <vector>

#include <gyre/js/internal/test_support.h>

namespace gyre::js {
namespace {

using ::testing::AllOf;
using testing::fails_with;
using ::testing::HasSubstr;
using testing::Host;
using testing::must;
using ::testing::Not;
using ::testing::StartsWith;

/// Runs a program to its end.
void run(Host& host, std::string_view code) {
  must(host->run_code(code, "program.js", "/app"));
  must(host.loop.run());
}

TEST(Uncaught, IsReportedWithPlaceExcerptAndStack) {
  Host host;
  run(host, "const a = 1;\n  throw new TypeError('not like this');");
  EXPECT_THAT(host.errors, StartsWith("/app/program.js:2\n  throw new TypeError('not like this');\n  ^\n\nTypeError: "
                                      "not like this\n    at /app/program.js:2:9"));
  EXPECT_EQ(host->end(), RuntimeEnd::uncaught);
  EXPECT_EQ(host->exit_code(), 1);
}

TEST(Uncaught, IsReportedWithThePlaceEvenIfItIsNoError) {
  Host host;
  run(host, "function f() {\n  throw { code: 7 };\n}\nf();");
  EXPECT_THAT(host.errors,
              AllOf(HasSubstr("/app/program.js:2\n  throw { code: 7 };\n  ^\n"), HasSubstr("{ code: 7 }")));
}

TEST(Uncaught, ErrorReportShowsALineFarDown) {
  const ErrorReport report{.exception = {.message = "Error: x",
                                         .stack = "Error: x\n    at f",
                                         .location = {.resource = "/a.js",
                                                      .function = {},
                                                      .line = 2'000'000'000,
                                                      .column = 3,
                                                      .source_line = "  x();"}},
                           .origin = "uncaughtException",
                           .inspected = ""};
  EXPECT_EQ(report.to_string(), "/a.js:2000000000\n  x();\n  ^\n\nError: x\n    at f\n");
}

TEST(Uncaught, ErrorReportWithoutAPlaceHasNoExcerpt) {
  EXPECT_EQ(ErrorReport({.exception = {.message = "7", .stack = "", .location = {}}, .origin = "", .inspected = ""})
                .to_string(),
            "7\n");
}

TEST(Uncaught, InEveryKindOfCallbackEndsTheScript) {
  for (const char* code :
       {"setTimeout(() => { throw new Error('boom') }, 1)", "setInterval(() => { throw new Error('boom') }, 1)",
        "setImmediate(() => { throw new Error('boom') })", "process.nextTick(() => { throw new Error('boom') })",
        "queueMicrotask(() => { throw new Error('boom') })", "Promise.reject(new Error('boom'))",
        "(async () => { throw new Error('boom') })()", "process.on('beforeExit', () => { throw new Error('boom') })",
        "process.on('exit', () => { throw new Error('boom') })",
        "const t = new EventTarget(); t.addEventListener('x', () => { throw new Error('boom') }); t.dispatchEvent(new "
        "Event('x'))",
        "throw new Error('boom')", "await null; throw new Error('boom')"}) {
    Host host;
    run(host, std::string(code) + "; setTimeout(() => console.log('never'), 50);");
    EXPECT_EQ(host->exit_code(), 1) << code;
    EXPECT_EQ(host->end(), RuntimeEnd::uncaught) << code;
    EXPECT_THAT(host.errors, HasSubstr("Error: boom")) << code;
    EXPECT_EQ(host.output, std::string_view(code).find("beforeExit") != std::string_view::npos ||
                                   std::string_view(code).find("'exit'") != std::string_view::npos
                               ? "never\n"
                               : "")
        << code;
  }
}

TEST(Uncaught, AHandlerKeepsTheScriptGoing) {
  Host host;
  run(host,
      "process.on('uncaughtException', (e, origin) => console.log('handled', e, origin));"
      "setTimeout(() => { throw 1 }, 1); setTimeout(() => console.log('next'), 2); Promise.reject(2).catch(() => {}); "
      "throw 0;");
  EXPECT_EQ(host.output, "handled 0 uncaughtException\nhandled 1 uncaughtException\nnext\n");
  EXPECT_EQ(host->end(), RuntimeEnd::finished);
  EXPECT_EQ(host->exit_code(), 0);
}

TEST(Uncaught, AnExceptionInTheHandlerEndsWith7) {
  Host host;
  run(host, "process.on('uncaughtException', () => { throw new Error('second') }); throw new Error('first');");
  EXPECT_EQ(host->exit_code(), 7);
  EXPECT_THAT(host.errors, AllOf(HasSubstr("Error: second"), Not(HasSubstr("Error: first"))));
}

TEST(Uncaught, TheExitEventStillComes) {
  Host host;
  run(host, "process.on('exit', code => console.log('exit', code, process.exitCode)); throw 1;");
  EXPECT_EQ(host.output, "exit 1 1\n");
}

TEST(Uncaught, TheHostMayTakeTheReport) {
  std::vector<ErrorReport> reports;
  Host host({.on_uncaught = [&](const ErrorReport& report) { reports.push_back(report); }});
  run(host, "Promise.reject(Object.assign(new RangeError('r'), { extra: 1 }))");
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].origin, "unhandledRejection");
  EXPECT_EQ(reports[0].exception.message, "RangeError: r");
  EXPECT_THAT(reports[0].inspected, AllOf(HasSubstr("RangeError: r"), HasSubstr("extra: 1")));
  EXPECT_EQ(host.errors, "");
}

TEST(Uncaught, ReportingRunsNoConversionOfTheScript) {
  Host host;
  run(host,
      "throw { toString() { console.log('ran') }, [Symbol.toPrimitive]() { console.log('ran') }, get message() { "
      "console.log('ran') }, get stack() { console.log('ran') } }");
  EXPECT_EQ(host.output, "");
  EXPECT_EQ(host->exit_code(), 1);
}

TEST(Uncaught, AModulesRejectionIsAnUncaughtException) {
  Host host;
  run(host, "process.on('uncaughtException', (e, origin) => console.log(e, origin)); await Promise.reject('gone');");
  EXPECT_EQ(host.output, "gone uncaughtException\n");
}

// --- Rejections ----------------------------------------------------------------------------------------------------

TEST(UnhandledRejection, EndsTheScriptWithAReasonInWords) {
  Host host;
  run(host, "Promise.reject('plain text')");
  EXPECT_EQ(host->exit_code(), 1);
  EXPECT_THAT(host.errors, HasSubstr("The promise rejected with the reason \"plain text\""));
}

TEST(UnhandledRejection, IsNoneIfAHandlerComesInTheSameTurn) {
  Host host;
  run(host,
      "const p = Promise.reject(1); process.nextTick(() => queueMicrotask(() => process.nextTick(() => p.catch(() => "
      "console.log('caught')))))");
  EXPECT_EQ(host.output, "caught\n");
  EXPECT_EQ(host->exit_code(), 0);
}

TEST(UnhandledRejection, HasItsOwnEventAndALateHandlerAnother) {
  Host host;
  run(host,
      "process.on('unhandledRejection', (r, p) => { console.log('unhandled', r); setTimeout(() => p.catch(() => {}), "
      "1) });"
      "process.on('rejectionHandled', () => console.log('handled')); Promise.reject('r')");
  EXPECT_EQ(host.output, "unhandled r\nhandled\n");
}

TEST(UnhandledRejection, OfAPromiseThatTheHostMadeAScriptRejectCounts) {
  Host host;
  must(host->eval("function start() { return Promise.reject(new Error('from a call')) }"));
  must(host->call("start"));
  EXPECT_EQ(host->end(), RuntimeEnd::uncaught);
}

// --- process.exit --------------------------------------------------------------------------------------------------

TEST(ProcessExit, EndsAtOnceInEveryKindOfCallback) {
  for (const char* code : {"EXIT",
                           "setTimeout(() => { EXIT }, 1); setTimeout(() => console.log('after'), 1)",
                           "setImmediate(() => { EXIT }); setImmediate(() => console.log('after'))",
                           "process.nextTick(() => { EXIT }); process.nextTick(() => console.log('after'))",
                           "queueMicrotask(() => { EXIT }); queueMicrotask(() => console.log('after'))",
                           "Promise.resolve().then(() => { EXIT }).finally(() => console.log('after'))",
                           "(async () => { await null; try { EXIT } finally { console.log('after') } })()",
                           "const t = new EventTarget(); t.addEventListener('x', () => { EXIT }); "
                           "t.addEventListener('x', () => console.log('after')); t.dispatchEvent(new Event('x'))",
                           "const c = new AbortController(); c.signal.onabort = () => { EXIT }; c.abort()",
                           "process.on('unhandledRejection', () => { EXIT }); Promise.reject(1)",
                           "process.on('uncaughtException', () => { EXIT }); throw 1",
                           "process.on('beforeExit', () => { EXIT })",
                           "process.on('exit', () => { process.exitCode = 9; EXIT })",
                           "[1].map(() => { EXIT })",
                           "JSON.stringify({ toJSON() { EXIT } })",
                           "'x'.replace(/x/, () => { EXIT })",
                           "new Promise(() => { EXIT })",
                           "class A { static { EXIT } }",
                           "await null; EXIT",
                           "await { then() { EXIT } }"}) {
    std::string text(code);
    for (std::size_t at; (at = text.find("EXIT")) != std::string::npos;) {
      text.replace(at, 4,
                   "try { process.exit(5) } catch { console.log('after') } finally { console.log('after') } "
                   "console.log('after')");
    }
    Host host;
    run(host, text);
    EXPECT_EQ(host->exit_code(), 5) << code;
    EXPECT_EQ(host.output, "") << code;
    EXPECT_EQ(host.errors, "") << code;
    EXPECT_TRUE(host->has_ended()) << code;
  }
}

TEST(ProcessExit, TakesTheCodeThatWasSet) {
  Host host;
  run(host,
      "process.exitCode = 4; process.on('exit', code => { console.log(code); process.exitCode = code + 1 }); "
      "process.exit()");
  EXPECT_EQ(host.output, "4\n");
  EXPECT_EQ(host->exit_code(), 5);
}

TEST(ProcessExit, ANaturalEndTakesTheCodeToo) {
  Host host;
  run(host, "process.exitCode = 4");
  EXPECT_EQ(host->exit_code(), 4);
  EXPECT_EQ(host->end(), RuntimeEnd::finished);
}

TEST(ProcessExit, DuringAHostsCallIsAnError) {
  Host host;
  must(host->eval("function leave() { process.exit(2) }"));
  EXPECT_TRUE(fails_with(host->call("leave"), Errc::terminated));
  EXPECT_EQ(host->exit_code(), 2);
}

}  // namespace
}  // namespace gyre::js
