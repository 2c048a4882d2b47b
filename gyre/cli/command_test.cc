#include <csignal>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tests/support/process.h>
#include <unistd.h>

// The command as a person uses it: started as a process, judged by what it prints and returns.

namespace gyre::cli {
namespace {

using gyre::testing::ProcessOptions;
using gyre::testing::ProcessResult;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

ProcessResult gyre_command(std::vector<std::string> arguments, const ProcessOptions& options = {}) {
  arguments.insert(arguments.begin(), GYRE_COMMAND);
  return gyre::testing::run_process(arguments, options);
}

// A folder of its own for each test, with files in it.
class Command : public ::testing::Test {
 protected:
  Command() {
    std::string pattern = std::filesystem::temp_directory_path() / "gyre-command-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~Command() override { std::filesystem::remove_all(folder_); }
  std::string file(const std::string& name, std::string_view content) {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << content;
    return folder_ / name;
  }
  std::filesystem::path folder_;
};

TEST_F(Command, RunsAScriptWithItsArguments) {
  const auto script = file("a.js", "console.log(process.argv.slice(1).join(' '))");
  const auto result = gyre_command({"run", script, "--", "x", "--flag"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.output, script + " x --flag\n");
  EXPECT_EQ(result.errors, "");
}

TEST_F(Command, RunsAnEsModuleWithItsImports) {
  file("node_modules/pkg/package.json", R"({"name":"pkg","type":"module","exports":"./main.js"})");
  file("node_modules/pkg/main.js", "export const name = 'pkg';");
  file("data.json", R"({"n": 1})");
  const auto script = file("a.mjs",
                           "import { name } from 'pkg'; import data from './data.json' with { type: 'json' };"
                           "console.log(name, data.n, await Promise.resolve(2), import.meta.filename);");
  const auto result = gyre_command({"run", script});
  EXPECT_EQ(result.output, "pkg 1 2 " + script + "\n");
  EXPECT_EQ(result.errors, "");
}

TEST_F(Command, AJsFileWithImportsIsAModule) {
  const auto script =
      file("a.js", "import { readTextFile } from 'gyre:fs';\nconsole.log(await readTextFile('/proc/self/comm'));");
  const auto result = gyre_command({"run", script});
  EXPECT_EQ(result.output, "gyre\n\n");
  EXPECT_EQ(result.status, 0);
}

TEST_F(Command, AMissingFileIsAnErrorThatNamesIt) {
  const auto result = gyre_command({"run", folder_ / "nowhere.js"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.errors, AllOf(StartsWith("gyre: "), HasSubstr("nowhere.js")));
}

TEST_F(Command, AnUncaughtErrorShowsTheLineAndExitsWith1) {
  const auto script = file("a.js", "function f() {\n  throw new RangeError('too far');\n}\nsetTimeout(f, 1);\n");
  const auto result = gyre_command({"run", script});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.output, "");
  EXPECT_THAT(result.errors, StartsWith(script + ":2\n  throw new RangeError('too far');\n"));
  EXPECT_THAT(result.errors, AllOf(HasSubstr("\nRangeError: too far\n"), HasSubstr("a.js:2:9")));
}

TEST_F(Command, AnUnhandledRejectionExitsWith1) {
  const auto result = gyre_command({"eval", "Promise.reject(new Error('nobody cares'))"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.errors, HasSubstr("Error: nobody cares"));
}

TEST_F(Command, ASyntaxErrorShowsWhere) {
  const auto script = file("a.js", "let a = 1;\nlet b = ;\n");
  const auto result = gyre_command({"run", script});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.errors, AllOf(StartsWith(script + ":2\nlet b = ;\n        ^\n"), HasSubstr("SyntaxError: ")));
}

TEST_F(Command, AMissingImportNamesTheImporter) {
  const auto script = file("a.mjs", "import './b.mjs';");
  file("b.mjs", "import './c';");
  file("c.js", "");
  const auto result = gyre_command({"run", script});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.errors, AllOf(HasSubstr("./c"), HasSubstr("b.mjs"), HasSubstr("c.js")));
}

TEST_F(Command, ExitCodesAreTheScripts) {
  EXPECT_EQ(gyre_command({"eval", "process.exitCode = 7"}).status, 7);
  EXPECT_EQ(gyre_command({"eval", "process.exit(9)"}).status, 9);
  EXPECT_EQ(
      gyre_command({"eval", "setTimeout(() => { try { process.exit(4) } finally { console.log('no') } }, 1)"}).status,
      4);
  EXPECT_EQ(gyre_command({"eval", "process.on('exit', () => { process.exitCode = 5 })"}).status, 5);
  EXPECT_EQ(gyre_command({"eval", "process.exit(256 + 3)"}).status, 3);
}

TEST_F(Command, ATopLevelAwaitThatNeverSettlesExitsWith13) {
  const auto result = gyre_command({"run", file("a.mjs", "await new Promise(() => {});")});
  EXPECT_EQ(result.status, 13);
  EXPECT_THAT(result.errors, HasSubstr("top-level await"));
}

TEST_F(Command, ATaskOverItsTimeIsStoppedWithTheLineAndStatus3) {
  const auto script = file("spin.js", "console.log('before');\nfunction spin() {\n  while (true) ;\n}\nspin();\n");
  const auto result = gyre_command({"run", "--task-timeout", "100ms", script});
  EXPECT_EQ(result.status, 3);
  EXPECT_EQ(result.output, "before\n");
  EXPECT_THAT(result.errors, AllOf(HasSubstr("more than 100 ms"), HasSubstr("--task-timeout"), HasSubstr("at spin ("),
                                   HasSubstr("spin.js:3")));
}

TEST_F(Command, TheTimeLimitHoldsInTimersMicrotasksAndRegularExpressions) {
  for (const char* code :
       {"setTimeout(() => { for (;;) ; }, 1)",
        "Promise.resolve().then(function again() { return Promise.resolve().then(again) })",
        "process.nextTick(function again() { process.nextTick(again) })",
        "(function f() { try { for (;;) ; } finally { f() } })()",
        "setImmediate(() => { try { for (;;) ; } catch { for (;;) ; } })", "(async () => { for (;;) await 0; })()"}) {
    const auto result = gyre_command({"eval", "--task-timeout=100ms", code});
    EXPECT_EQ(result.status, 3) << code << '\n' << result.errors;
  }
}

TEST_F(Command, AFullHeapIsALimitToo) {
  const auto result =
      gyre_command({"eval", "--heap-limit=32M", "const all = []; for (;;) all.push({ n: all.length });"});
  EXPECT_EQ(result.status, 3) << result.errors;
  EXPECT_THAT(result.errors, HasSubstr("--heap-limit"));
}

TEST_F(Command, ALimitThatIsNotHitChangesNothing) {
  const auto result =
      gyre_command({"eval", "--task-timeout=5s",
                    "let n = 0; setInterval(function () { if (++n === 3) clearInterval(this); console.log(n) }, 1)"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.output, "1\n2\n3\n");
}

TEST_F(Command, CtrlCEndsAnIdleScript) {
  const auto result = gyre_command({"eval", "console.log('ready'); setInterval(() => {}, 1e6)"},
                                   {.on_first_output = [](int process) { kill(process, SIGINT); }});
  EXPECT_EQ(result.status, 130);
  EXPECT_EQ(result.output, "ready\n");
  EXPECT_EQ(result.errors, "");
}

TEST_F(Command, CtrlCEndsABusyScript) {
  const auto result = gyre_command({"eval", "console.log('ready'); for (;;) ;"},
                                   {.on_first_output = [](int process) { kill(process, SIGINT); }});
  EXPECT_EQ(result.status, 130);
}

TEST_F(Command, SigtermEndsItAsWell) {
  const auto result = gyre_command({"eval", "console.log('ready'); setInterval(() => {}, 1e6)"},
                                   {.on_first_output = [](int process) { kill(process, SIGTERM); }});
  EXPECT_EQ(result.status, 128 + SIGTERM);
}

TEST_F(Command, EvalPrintsTheResultOnRequest) {
  EXPECT_EQ(gyre_command({"eval", "-p", "({ a: [1, 2] })"}).output, "{ a: [ 1, 2 ] }\n");
  EXPECT_EQ(gyre_command({"eval", "40 + 2"}).output, "");
}

TEST_F(Command, ResultAndFailureOfAPrintedEval) {
  const auto result = gyre_command({"eval", "-p", "null.x"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.errors, HasSubstr("TypeError: Cannot read properties of null"));
}

TEST_F(Command, HelpIsCompleteAndOnStandardOutput) {
  const auto general = gyre_command({"--help"});
  EXPECT_EQ(general.status, 0);
  EXPECT_THAT(general.output,
              AllOf(HasSubstr("run"), HasSubstr("eval"), HasSubstr("--version"), HasSubstr("Exit status")));
  const auto run = gyre_command({"run", "--help"});
  EXPECT_EQ(run.status, 0);
  EXPECT_THAT(run.output, AllOf(HasSubstr("--task-timeout"), HasSubstr("--heap-limit"), HasSubstr("FILE")));
}

TEST_F(Command, VersionNamesTheEngine) {
  const auto result = gyre_command({"--version"});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output, AllOf(StartsWith("gyre "), HasSubstr("V8 ")));
}

TEST_F(Command, WrongUsageExitsWith2AndSaysWhatToDo) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{}, "Usage"},
      {{"jump"}, "there is no command 'jump'"},
      {{"app.js"}, "gyre run app.js"},
      {{"run"}, "FILE is required"},
      {{"run", "--nonsense", "a.js"}, "--nonsense"},
      {{"run", "--task-timeout", "5x", "a.js"}, "50ms"},
      {{"run", "--task-timeout", "-1s", "a.js"}, "--task-timeout"},
      {{"run", "--heap-limit", "many", "a.js"}, "--heap-limit"},
      {{"run", "--heap-limit", "1M", "a.js"}, "at least 8M"},
      {{"eval"}, "CODE is required"},
  };
  for (const auto& [arguments, expected] : cases) {
    const auto result = gyre_command(arguments);
    EXPECT_EQ(result.status, 2) << expected;
    EXPECT_THAT(result.errors, HasSubstr(expected));
    EXPECT_EQ(result.output, "");
  }
}

TEST_F(Command, AReaderThatGoesAwayEndsIt) {
  const auto result = gyre::testing::run_process(
      {"/bin/sh", "-c",
       std::string(GYRE_COMMAND) + " eval 'for (let i = 0; i < 1e5; i++) console.log(i)' | head -n 1"});
  EXPECT_EQ(result.output, "0\n");
  EXPECT_FALSE(result.timed_out);
}

TEST_F(Command, EmptyHugeAndOddFiles) {
  EXPECT_EQ(gyre_command({"run", file("empty.js", "")}).status, 0);
  EXPECT_EQ(gyre_command({"run", file("hash.js", "#!/usr/bin/env gyre\nconsole.log(1)")}).output, "1\n");
  EXPECT_EQ(gyre_command({"run", file("bom.js",
                                      "\xEF\xBB\xBF"
                                      "console.log(2)")})
                .output,
            "2\n");
  EXPECT_EQ(gyre_command({"run", file("utf8.js", "console.log('gr\xC3\xBC\xC3\x9F')")}).output, "gr\xC3\xBC\xC3\x9F\n");
  std::string huge = "let x = 0;\n";
  while (huge.size() < 8'000'000) huge += "x += 1; // a line of some length, to make the file a large one\n";
  EXPECT_EQ(
      gyre_command({"run", file("huge.js", huge + "console.log(x > 1000)")}, {.time_limit = std::chrono::seconds(60)})
          .output,
      "true\n");
  EXPECT_EQ(gyre_command({"run", folder_}).status, 1);
}

}  // namespace
}  // namespace gyre::cli
