#include <string>

#include <gyre/js/internal/test_support.h>

namespace gyre::js {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using testing::fails_with;
using ::testing::HasSubstr;
using testing::Host;
using testing::must;
using ::testing::StartsWith;

class Modules : public ::testing::Test {
 protected:
  std::string write(std::string_view name, std::string_view content) const { return folder_.write(name, content); }
  /// Writes main.mjs and runs it to the end; what it printed.
  std::string run(std::string_view main, RuntimeOptions options = {}) {
    host_.emplace(std::move(options));
    must((*host_)->run_file(write("main.mjs", main)));
    return host_->finish();
  }
  const std::string& errors() const { return host_->errors; }
  int exit_code() { return (*host_)->exit_code(); }

  testing::Folder folder_;
  std::optional<Host> host_;
};

TEST_F(Modules, ImportByRelativePathPackageAndJson) {
  write("lib/a.js", "export const a = 'a'; export { default as b } from '../b.mjs';");
  write("b.mjs", "export default 'b';");
  write("node_modules/pack/package.json",
        R"({ "type": "module", "exports": { ".": "./in.js", "./sub": "./sub.js" } })");
  write("node_modules/pack/in.js", "export const pack = 'pack';");
  write("node_modules/pack/sub.js", "export const sub = 'sub';");
  write("data.json", R"({ "answer": 42 })");
  EXPECT_EQ(run("import { a, b } from './lib/a.js'; import { pack } from 'pack'; import { sub } from 'pack/sub';"
                "import data from './data.json'; console.log(a, b, pack, sub, data.answer);"),
            "a b pack sub 42\n");
}

TEST_F(Modules, EachIsEvaluatedOnceHoweverItIsReached) {
  write("once.mjs", "console.log('evaluated'); export default {};");
  write("other.mjs", "export { default } from './once.mjs';");
  EXPECT_EQ(run("import a from './once.mjs'; import b from './other.mjs'; const c = await import('././once.mjs');"
                "console.log(a === b, a === c.default);"),
            "evaluated\ntrue true\n");
}

TEST_F(Modules, AQueryMakesAnotherModule) {
  write("m.mjs", "export const url = import.meta.url;");
  EXPECT_THAT(run("import * as a from './m.mjs'; import * as b from './m.mjs?v=2#x'; console.log(a === b, b.url);"),
              AllOf(StartsWith("false file:///"), EndsWith("/m.mjs?v=2#x\n")));
}

TEST_F(Modules, MayImportEachOtherInACircle) {
  write("a.mjs", "import { b, readA } from './b.mjs'; export let a = 'a' + b; console.log(readA());");
  write("b.mjs", "import { a } from './a.mjs'; export const b = 'b'; export const readA = () => a;");
  EXPECT_EQ(run("import './a.mjs'"), "ab\n");
}

TEST_F(Modules, BindingsAreLive) {
  write("count.mjs", "export let n = 0; export const more = () => { n++; };");
  EXPECT_EQ(run("import { n, more } from './count.mjs'; more(); more(); console.log(n);"), "2\n");
}

TEST_F(Modules, ATopLevelAwaitHoldsUpTheImporter) {
  write("slow.mjs",
        "console.log('begin'); await new Promise(r => setTimeout(r, 5)); console.log('end'); export default 1;");
  write("quick.mjs", "console.log('quick');");
  EXPECT_EQ(run("import x from './slow.mjs'; import './quick.mjs'; console.log('main', x);"),
            "begin\nquick\nend\nmain 1\n");
}

TEST_F(Modules, ATopLevelAwaitThatNothingCanSettleEndsWith13) {
  EXPECT_EQ(
      run("process.on('exit', code => console.log('exit', code)); await new Promise(() => {}); console.log('never');"),
      "exit 13\n");
  EXPECT_EQ(exit_code(), 13);
  EXPECT_THAT(errors(), HasSubstr("top-level await never settled"));
}

TEST_F(Modules, AnUnsettledTopLevelAwaitKeepsTheScriptsOwnExitCode) {
  run("process.exitCode = 5; await new Promise(() => {});");
  EXPECT_EQ(exit_code(), 5);
}

TEST_F(Modules, DynamicImportGivesTheNamespace) {
  write("m.mjs", "export default 1; export const named = 2;");
  EXPECT_EQ(run("const m = await import('./m.mjs'); console.log(m.default, m.named, Object.keys(m).join());"),
            "1 2 default,named\n");
}

TEST_F(Modules, AModuleMayImportItself) {
  EXPECT_EQ(
      run("export const name = 'self'; import(import.meta.url).then(m => console.log(m.name)); console.log('body');"),
      "body\nself\n");
}

TEST_F(Modules, AModuleMayImportOneThatIsBeingEvaluated) {
  write("child.mjs", "export const parent = import('./main.mjs').then(m => m.value);");
  EXPECT_EQ(run("import { parent } from './child.mjs'; export const value = 'mine'; parent.then(console.log);"),
            "mine\n");
}

TEST_F(Modules, DynamicImportWorksInScriptsAndEvaluatedCode) {
  write("m.mjs", "export default 'm';");
  Host host;
  must(host->run_file(write("script.js",
                            "import('./m.mjs').then(m => console.log(m.default)); eval(`import('./m.mjs').then(m => "
                            "console.log('eval', m.default))`)")));
  EXPECT_THAT(host.finish(), HasSubstr("m\n"));
}

TEST_F(Modules, ImportMetaTellsWhereItIs) {
  write("a b/m.mjs",
        "export const { url, filename, dirname } = import.meta; export const resolve = import.meta.resolve;");
  EXPECT_EQ(
      run("import * as m from './a b/m.mjs';"
          "console.log(m.url.endsWith('/a%20b/m.mjs'), m.filename.endsWith('/a b/m.mjs'), m.dirname.endsWith('/a b'),"
          "  m.resolve('./m.mjs') === m.url); try { m.resolve('./none.mjs') } catch (e) { console.log(e.code) }"),
      "true true true true\nERR_MODULE_NOT_FOUND\n");
}

TEST_F(Modules, AMissingFileIsReportedWithItsImporter) {
  write("a.mjs", "import './missing.mjs';");
  run("import './a.mjs'; console.log('never');");
  EXPECT_EQ(exit_code(), 1);
  EXPECT_EQ(host_->output, "");
  EXPECT_THAT(errors(), AllOf(HasSubstr("missing.mjs"), HasSubstr("a.mjs"), HasSubstr("ERR_MODULE_NOT_FOUND")));
}

TEST_F(Modules, ADynamicImportRejectsWithTheReason) {
  write("broken.mjs", "let = 1 2;");
  write("throws.mjs", "throw new RangeError('while loading');");
  write("broken.json", "{ nonsense");
  write("lacks.mjs", "import { nothing } from './throws.mjs';");
  EXPECT_EQ(run("for (const name of ['./missing.mjs', './broken.mjs', './throws.mjs', './broken.json', './lacks.mjs', "
                "'gyre:none', 'fs', 'https://x/y.js', ''])"
                "  await import(name).catch(e => console.log(name, '|', e.name, e.code));"),
            "./missing.mjs | Error ERR_MODULE_NOT_FOUND\n"
            "./broken.mjs | SyntaxError undefined\n"
            "./throws.mjs | RangeError undefined\n"
            "./broken.json | SyntaxError undefined\n"
            "./lacks.mjs | SyntaxError undefined\n"
            "gyre:none | Error ERR_UNKNOWN_BUILTIN_MODULE\n"
            "fs | Error ERR_UNKNOWN_BUILTIN_MODULE\n"
            "https://x/y.js | Error ERR_UNSUPPORTED_ESM_URL_SCHEME\n"
            " | Error ERR_INVALID_MODULE_SPECIFIER\n");
}

TEST_F(Modules, AFailedEvaluationIsRememberedAndNotRepeated) {
  write("throws.mjs", "console.log('evaluated'); throw new Error('once');");
  EXPECT_EQ(
      run("const errors = []; for (let i = 0; i < 2; i++) await import('./throws.mjs').catch(e => errors.push(e));"
          "console.log(errors[0] === errors[1], errors[0].message);"),
      "evaluated\ntrue once\n");
}

TEST_F(Modules, WhatFailedHalfwayCanBeTriedAgain) {
  write("root.mjs", "export * from './middle.mjs';");
  write("middle.mjs", "export { value } from './leaf.mjs';");
  Host host({.file_access = FileAccess::read_write});
  must(host->run_file(write("main.mjs",
                            "import { writeFile } from 'gyre:fs';"
                            "await import('./root.mjs').catch(e => console.log(e.code));"
                            "await import('./middle.mjs').catch(e => console.log(e.code));"
                            "await writeFile(import.meta.dirname + '/leaf.mjs', 'export const value = 42;');"
                            "console.log((await import('./root.mjs')).value);")));
  EXPECT_EQ(host.finish(), "ERR_MODULE_NOT_FOUND\nERR_MODULE_NOT_FOUND\n42\n");
}

TEST_F(Modules, ASyntaxErrorIsReportedWithItsLine) {
  write("bad.mjs", "const fine = 1;\nconst = 2;\n");
  run("import './bad.mjs';");
  EXPECT_EQ(exit_code(), 1);
  EXPECT_THAT(errors(), AllOf(HasSubstr("bad.mjs:2"), HasSubstr("const = 2;\n      ^"), HasSubstr("SyntaxError")));
}

TEST_F(Modules, DeepChainsOfImportsNeedNoStack) {
  constexpr int kDepth = 2000;
  for (int i = 0; i < kDepth; ++i) {
    write("m" + std::to_string(i) + ".mjs", "export { end } from './m" + std::to_string(i + 1) + ".mjs';");
  }
  write("m" + std::to_string(kDepth) + ".mjs", "export const end = 'end';");
  EXPECT_EQ(run("import { end } from './m0.mjs'; console.log(end);"), "end\n");
}

TEST_F(Modules, GyreFsIsAModuleWithNamedExportsAndADefault) {
  EXPECT_EQ(run("import fs, { readTextFile } from 'gyre:fs'; console.log(fs.readTextFile === readTextFile, typeof "
                "fs.writeFile);"),
            "true function\n");
}

// --- What a program is ---------------------------------------------------------------------------------------------

TEST_F(Modules, AProgramWithoutImportsAndExportsIsAScript) {
  Host host;
  must(host->run_file(
      write("script.js", "console.log(this === globalThis); with ({ x: 1 }) console.log(x); var leaked = 1;")));
  EXPECT_EQ(host.eval<int>("leaked"), 1);
  EXPECT_EQ(host.finish(), "true\n1\n");
}

TEST_F(Modules, AProgramWithModuleSyntaxIsAModule) {
  for (const char* code : {"export const a = 1; console.log(this);", "console.log(await undefined)",
                           "import.meta.url; console.log(undefined)", "import 'gyre:fs'; console.log(this)"}) {
    Host host;
    must(host->run_code(code, "program.js", folder_.path()));
    EXPECT_EQ(host.finish(), "undefined\n") << code;
  }
}

TEST_F(Modules, AScriptThatThrowsLikeAModuleRunsOnlyOnce) {
  Host host({.on_uncaught = [](const ErrorReport&) {}});
  must(host->run_code("console.log('ran'); throw new SyntaxError('Cannot use import statement outside a module');",
                      "program.js", folder_.path()));
  EXPECT_EQ(host.finish(), "ran\n");
  EXPECT_EQ(host->exit_code(), 1);
}

TEST_F(Modules, CodeFromElsewhereImportsAsIfItStoodInItsDirectory) {
  write("a b/m.mjs", "export default import.meta.url;");
  Host host;
  must(host->run_code(
      "import url from './m.mjs'; console.log(url.endsWith('/a%20b/m.mjs'), import.meta.dirname.endsWith('/a b'));",
      "[stdin]", folder_.path("a b")));
  EXPECT_EQ(host.finish(), "true true\n");
}

TEST_F(Modules, RunFileTellsWhatIsWrongWithTheFile) {
  Host host;
  EXPECT_TRUE(fails_with(host->run_file(folder_.path("none.js")), Errc::module_not_found));
  EXPECT_TRUE(fails_with(host->run_file(folder_.path()), Errc::unsupported));
  EXPECT_FALSE(host->has_ended());
}

TEST_F(Modules, MicrotasksOfAModulesBodyRunBeforeItsTicks) {
  EXPECT_EQ(run("process.nextTick(() => console.log('tick')); Promise.resolve().then(() => console.log('micro')); "
                "console.log('body');"),
            "body\nmicro\ntick\n");
}

}  // namespace
}  // namespace gyre::js
