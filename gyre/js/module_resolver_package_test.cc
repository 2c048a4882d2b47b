#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <gyre/js/internal/module_resolver_test_support.h>

// Packages: where they are found, what they export and import, and what is wrong with them.

namespace gyre::js {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// --- Packages --------------------------------------------------------------------------------------------------------

TEST_F(ModuleResolverTest, PackagesAreFoundInTheNearestNodeModules) {
  add("/node_modules/p/index.js");
  add("/node_modules/only-top/index.js");
  add("/app/node_modules/p/index.js");
  add("/app/lib/node_modules/p/index.js");
  add("/app/node_modules/@scope/q/index.js");
  add("/app/node_modules/@scope/q/sub/a.js");
  add("/app/node_modules/a-file");
  EXPECT_EQ(path_of("p", "/app/lib/deep/x.js"), "/app/lib/node_modules/p/index.js");
  EXPECT_EQ(path_of("p", "/app/other/x.js"), "/app/node_modules/p/index.js");
  EXPECT_EQ(path_of("p", "/x.js"), "/node_modules/p/index.js");
  EXPECT_EQ(path_of("p", "/app/node_modules/q/x.js"), "/app/node_modules/p/index.js");
  EXPECT_EQ(path_of("only-top"), "/node_modules/only-top/index.js");
  EXPECT_EQ(path_of("@scope/q"), "/app/node_modules/@scope/q/index.js");
  EXPECT_EQ(path_of("@scope/q/sub/a.js"), "/app/node_modules/@scope/q/sub/a.js");
  EXPECT_EQ(path_of("p/index.js?v=1"), "/app/node_modules/p/index.js");
  EXPECT_THAT(path_of("a-file"), HasSubstr("cannot find package 'a-file'"));
}

TEST_F(ModuleResolverTest, AMissingPackageSaysWhereItLookedAndWhatToDo) {
  add("/app/util.js");
  add("/app/data");
  expect_error(
      "left-pad", Errc::module_not_found, "ERR_MODULE_NOT_FOUND",
      "cannot find package 'left-pad' imported from /app/main.js: there is no node_modules/left-pad in /app or "
      "above it; install it with 'npm install left-pad'");
  expect_error("@scope/pad/sub.js", Errc::module_not_found, "ERR_MODULE_NOT_FOUND",
               HasSubstr("'npm install @scope/pad'"));
  expect_error("util.js", Errc::module_not_found, "ERR_MODULE_NOT_FOUND", HasSubstr("did you mean './util.js'?"));
  expect_error("data", Errc::module_not_found, "ERR_MODULE_NOT_FOUND", HasSubstr("did you mean './data'?"));
}

TEST_F(ModuleResolverTest, WithoutExportsMainAndIndexAreTheEntry) {
  struct Case {
    const char* package_json;
    std::vector<const char*> files;
    const char* found;
  };
  const Case cases[] = {
      {"{}", {"index.js"}, "index.js"},
      {"{}", {"index.json"}, "index.json"},
      {R"({"main":"a.js"})", {"a.js", "index.js"}, "a.js"},
      {R"({"main":"./a.js"})", {"a.js"}, "a.js"},
      {R"({"main":"a"})", {"a.js", "a.json"}, "a.js"},
      {R"({"main":"a"})", {"a.json"}, "a.json"},
      {R"({"main":"a"})", {"a", "a.js"}, "a"},
      {R"({"main":"lib"})", {"lib/index.js"}, "lib/index.js"},
      {R"({"main":"lib/"})", {"lib/index.js", "index.js"}, "lib/index.js"},
      {R"({"main":"lib/"})", {"lib/index.json"}, "lib/index.json"},
      {R"({"main":"gone.js"})", {"index.js"}, "index.js"},
      {R"({"main":"../../out.js"})", {"index.js"}, "index.js"},
      {R"({"main":7})", {"index.js"}, "index.js"},
      {R"({"main":""})", {"index.js"}, "index.js"},
      {R"({"main":"a.js","exports":null})", {"a.js"}, "a.js"},
      {R"({"main":"a%20b.js"})", {"a%20b.js"}, "a%20b.js"},
      {R"({"main":"a\u0000.js"})", {"index.js"}, "index.js"},
      {R"({"main":"gone","module":"m.js"})", {"m.js"}, ""},
      {"{}", {"other.js"}, ""},
  };
  for (const Case& one : cases) {
    MemoryModuleFileSystem files;
    files.add("/app/node_modules/p/package.json", one.package_json);
    for (const char* file : one.files) files.add(std::string("/app/node_modules/p/") + file, "");
    ModuleResolver resolver(files);
    const auto module = resolver.resolve("p", "/app/main.js");
    if (*one.found == '\0') {
      ASSERT_FALSE(module) << one.package_json;
      EXPECT_EQ(module.error().context("code"), "ERR_MODULE_NOT_FOUND");
      EXPECT_THAT(module.error().message(), HasSubstr("package 'p' imported from /app/main.js has no file to import"));
    } else {
      ASSERT_TRUE(module) << one.package_json << ": " << module.error().message();
      EXPECT_EQ(module->path, std::string("/app/node_modules/p/") + one.found) << one.package_json;
    }
  }
}

TEST_F(ModuleResolverTest, WithoutExportsAnyFileOfThePackageCanBeNamed) {
  add_package("p", "{}");
  add("/app/node_modules/p/lib/a.js");
  add("/app/node_modules/p/lib/index.js");
  EXPECT_EQ(path_of("p/lib/a.js"), "/app/node_modules/p/lib/a.js");
  EXPECT_EQ(path_of("p/lib/%61.js"), "/app/node_modules/p/lib/a.js");
  expect_error("p/lib/a", Errc::module_not_found, "ERR_MODULE_NOT_FOUND", HasSubstr("did you mean 'p/lib/a.js'?"));
  expect_error("p/lib", Errc::unsupported, "ERR_UNSUPPORTED_DIR_IMPORT", HasSubstr("did you mean 'p/lib/index.js'?"));
  expect_error("p/a%2fb", Errc::invalid_argument, "ERR_INVALID_MODULE_SPECIFIER", HasSubstr("encoded '/'"));
}

// --- "exports" -------------------------------------------------------------------------------------------------------

struct ExportsCase {
  const char* exports;
  const char* specifier;
  const char* expected;  // a file of the package, or "!code part of the message"
};

void check_exports(const ExportsCase& one) {
  SCOPED_TRACE(fmt::format("{} with {}", one.specifier, one.exports));
  MemoryModuleFileSystem files;
  const std::string root = "/app/node_modules/p/";
  files.add(root + "package.json", fmt::format(R"({{"name":"p","exports":{}}})", one.exports));
  for (const char* file : {"a.js", "b.js", "c.mjs", "lib/a.js", "lib/b/c.js", "lib/x.y.js", "sp ace.js", "data.json"}) {
    files.add(root + file, "");
  }
  files.add("/app/node_modules/out.js", "");
  ModuleResolver resolver(files);
  const auto module = resolver.resolve(one.specifier, "/app/main.js");
  const std::string_view expected = one.expected;
  if (!expected.starts_with('!')) {
    ASSERT_TRUE(module) << module.error().message();
    EXPECT_EQ(module->path, root + one.expected);
    return;
  }
  ASSERT_FALSE(module) << module->path;
  const auto space = std::min(expected.find(' '), expected.size());
  EXPECT_EQ(module.error().context("code"), fmt::format("ERR_{}", expected.substr(1, space - 1)))
      << module.error().message();
  const std::string part(expected.substr(std::min(space + 1, expected.size())));
  EXPECT_THAT(module.error().message(), HasSubstr(part));
}

TEST(ModuleResolverExports, AreMappedAsNodeMapsThem) {
  const ExportsCase cases[] = {

      // The package itself.
      {R"("./a.js")", "p", "a.js"},  //
      {R"({".":"./a.js"})", "p", "a.js"},
      {R"({"import":"./a.js"})", "p", "a.js"},
      {R"(["./a.js","./b.js"])", "p", "a.js"},
      {R"("./lib/../a.js")", "p", "!INVALID_PACKAGE_TARGET '..'"},
      {R"("./a.js")", "p/a.js", "!PACKAGE_PATH_NOT_EXPORTED exports only '.'"},
      {R"({"default":"./a.js"})", "p/a.js", "!PACKAGE_PATH_NOT_EXPORTED exports only '.'"},
      {R"({})", "p", "!PACKAGE_PATH_NOT_EXPORTED exports nothing"},
      {R"([])", "p", "!PACKAGE_PATH_NOT_EXPORTED maps '.' to null"},
      {R"(false)", "p", "!PACKAGE_PATH_NOT_EXPORTED exports nothing"},
      {R"(7)", "p", "!PACKAGE_PATH_NOT_EXPORTED exports nothing"},
      {R"("")", "p", "!INVALID_PACKAGE_TARGET \"\" does not start with './'"},
      {R"({"./a":"./a.js"})", "p", "!PACKAGE_PATH_NOT_EXPORTED package 'p' does not export '.'"},
      // Subpaths.
      {R"({"./a":"./a.js"})", "p/a", "a.js"},
      {R"({"./a":"./a.js"})", "p/b",
       "!PACKAGE_PATH_NOT_EXPORTED package 'p' does not export './b' imported from /app/main.js: "
       "/app/node_modules/p/package.json exports only './a'"},
      {R"({"./a.js":"./a.js"})", "p/a", "!PACKAGE_PATH_NOT_EXPORTED did you mean 'p/a.js'?"},
      {R"({"./lib/index.js":"./a.js"})", "p/lib", "!PACKAGE_PATH_NOT_EXPORTED did you mean 'p/lib/index.js'?"},
      {R"({"./a":"./a.js"})", "p/", "!PACKAGE_PATH_NOT_EXPORTED './'"},
      {R"({"./a":"./a.js"})", "p/a/", "!PACKAGE_PATH_NOT_EXPORTED './a/'"},
      {R"({"./a/":"./lib/"})", "p/a/a.js", "!PACKAGE_PATH_NOT_EXPORTED exports only './a/'"},
      {R"({"./a/":"./lib/"})", "p/a/", "!PACKAGE_PATH_NOT_EXPORTED './a/'"},
      {R"({"./a":"./sp%20ace.js"})", "p/a", "sp ace.js"},
      {R"({"./a":"./sp ace.js"})", "p/a", "sp ace.js"},
      {R"({"./a":"./a.js?x"})", "p/a", "a.js"},
      {R"({"./a":"./data.json"})", "p/a", "data.json"},
      {R"({"./%61":"./a.js"})", "p/a", "!PACKAGE_PATH_NOT_EXPORTED './%61'"},
      {R"({"./a":"./a.js","./a":"./b.js"})", "p/a", "b.js"},
      {R"({"./a":"./gone.js"})", "p/a",
       "!MODULE_NOT_FOUND /app/node_modules/p/package.json maps it there, but there is no file "
       "/app/node_modules/p/gone.js"},
      {R"({"./a":"./a"})", "p/a", "!MODULE_NOT_FOUND did you mean '/app/node_modules/p/a.js'?"},
      {R"({"./a":"./lib"})", "p/a", "!UNSUPPORTED_DIR_IMPORT /app/node_modules/p/lib is a directory"},
      {R"({"./a":"./a.js/"})", "p/a", "!MODULE_NOT_FOUND a.js/"},
      // Null closes.
      {R"({"./a":null})", "p/a", "!PACKAGE_PATH_NOT_EXPORTED maps './a' to null"},
      {R"({"./*":"./*.js","./lib/*":null})", "p/lib/a", "!PACKAGE_PATH_NOT_EXPORTED maps './lib/*' to null"},
      {R"({"./*":"./*.js","./lib/*":null})", "p/a", "a.js"},
      {R"({".":{"import":null,"default":"./a.js"}})", "p", "!PACKAGE_PATH_NOT_EXPORTED null"},
      // Conditions, in the package's order.
      {R"({"gyre":"./a.js","import":"./b.js"})", "p", "a.js"},
      {R"({"import":"./b.js","gyre":"./a.js"})", "p", "b.js"},
      {R"({"default":"./b.js","gyre":"./a.js"})", "p", "b.js"},
      {R"({"node":"./a.js","default":"./b.js"})", "p", "b.js"},
      {R"({"require":"./a.js","browser":"./a.js","default":"./b.js"})", "p", "b.js"},
      {R"({"import":{"types":"./a.d.ts","default":"./b.js"}})", "p", "b.js"},
      {R"({"import":{"types":"./a.d.ts"},"default":"./b.js"})", "p", "b.js"},
      {R"({"import":{},"default":"./b.js"})", "p", "b.js"},
      {R"({".":{"import":"./b.js"}})", "p", "b.js"},
      {R"({"require":"./a.js"})", "p",
       "!PACKAGE_PATH_NOT_EXPORTED offers it only under the conditions require, and Gyre's are gyre, import, "
       "default; \"require\" is for CommonJS, which Gyre does not run"},
      {R"({".":{"node":"./a.js","browser":"./a.js"}})", "p",
       "!PACKAGE_PATH_NOT_EXPORTED only under the conditions node, browser"},
      {R"({"import":"./a.js","0":"./b.js"})", "p", "!INVALID_PACKAGE_CONFIG \"0\" is a number"},
      {R"({"import":"./a.js","4294967294":"./b.js"})", "p", "!INVALID_PACKAGE_CONFIG is a number"},
      {R"({"import":"./a.js","4294967295":"./b.js"})", "p", "a.js"},
      {R"({"import":"./a.js","00":"./b.js"})", "p", "a.js"},
      {R"({".":"./a.js","import":"./b.js"})", "p", "!INVALID_PACKAGE_CONFIG mixes subpaths"},
      {R"({"import":"./b.js","./x":"./a.js"})", "p", "!INVALID_PACKAGE_CONFIG mixes subpaths"},
      // Alternatives.
      {R"({"./a":["./a.js","./b.js"]})", "p/a", "a.js"},
      {R"({"./a":["./gone.js","./b.js"]})", "p/a", "!MODULE_NOT_FOUND gone.js"},
      {R"({"./a":["std:a","./b.js"]})", "p/a", "b.js"},
      {R"({"./a":["../out.js","./b.js"]})", "p/a", "b.js"},
      {R"({"./a":[null,"./b.js"]})", "p/a", "b.js"},
      {R"({"./a":[7,"./b.js"]})", "p/a", "b.js"},
      {R"({"./a":[{"require":"./a.js"},"./b.js"]})", "p/a", "b.js"},
      {R"({"./a":[["x"],[["./b.js"]]]})", "p/a", "b.js"},
      {R"({"./a":[]})", "p/a", "!PACKAGE_PATH_NOT_EXPORTED"},
      {R"({"./a":[null]})", "p/a", "!PACKAGE_PATH_NOT_EXPORTED null"},
      {R"({"./a":["x","y"]})", "p/a", "!INVALID_PACKAGE_TARGET \"y\" does not start with './'"},
      {R"({"./a":["x",null]})", "p/a", "!PACKAGE_PATH_NOT_EXPORTED null"},
      {R"({"./a":[null,"x"]})", "p/a", "!INVALID_PACKAGE_TARGET \"x\""},
      // Patterns.
      {R"({"./*":"./*"})", "p/a.js", "a.js"},
      {R"({"./*":"./*.js"})", "p/lib/a", "lib/a.js"},
      {R"({"./*.js":"./lib/*.js"})", "p/a.js", "lib/a.js"},
      {R"({"./*.js":"./lib/*.js"})", "p/x.y.js", "lib/x.y.js"},
      {R"({"./*.js":"./lib/*.js"})", "p/a", "!PACKAGE_PATH_NOT_EXPORTED './*.js'"},
      {R"({"./f/*":"./lib/*"})", "p/f/b/c.js", "lib/b/c.js"},
      {R"({"./*/c":"./lib/*/c.js"})", "p/b/c", "lib/b/c.js"},
      {R"({"./*":"./a.js"})", "p/anything", "a.js"},
      {R"({"./*":"./b.js","./l*":"./a.js"})", "p/lib", "a.js"},
      {R"({"./l*":"./a.js","./*":"./b.js"})", "p/lib", "a.js"},
      {R"({"./l*":"./b.js","./l*b":"./a.js"})", "p/lib", "a.js"},
      {R"({"./*":"./b.js","./lib":"./a.js"})", "p/lib", "a.js"},
      {R"({"./x/*":"./lib/*"})", "p/x/", "!PACKAGE_PATH_NOT_EXPORTED './x/'"},
      {R"({"./*/*":"./lib/*"})", "p/x/y", "!PACKAGE_PATH_NOT_EXPORTED './*/*'"},
      {R"({"./*":"./lib/*"})", "p/*", "!MODULE_NOT_FOUND lib/*"},
      {R"({"./*":"./*/*"})", "p/a", "!MODULE_NOT_FOUND /p/a/a"},
      {R"({"./a*a":"./a.js"})", "p/a", "!PACKAGE_PATH_NOT_EXPORTED './a*a'"},
      {R"({"./*":"./lib/*"})", "p/a.js?v=1", "lib/a.js"},
      {R"({"./*":{"import":"./lib/*","default":"./a.js"}})", "p/a.js", "lib/a.js"},
      {R"({"./*":["bad","./lib/*"]})", "p/a.js", "lib/a.js"},
      // Nothing leaves the package.
      {R"({"./a":"../out.js"})", "p/a", "!INVALID_PACKAGE_TARGET \"../out.js\" does not start with './'"},
      {R"({"./a":"./../out.js"})", "p/a", "!INVALID_PACKAGE_TARGET stay in its package"},
      {R"({"./a":"./lib/../../out.js"})", "p/a", "!INVALID_PACKAGE_TARGET stay in its package"},
      {R"({"./a":"./%2e%2E/out.js"})", "p/a", "!INVALID_PACKAGE_TARGET stay in its package"},
      {R"({"./a":"./..\\out.js"})", "p/a", "!INVALID_PACKAGE_TARGET stay in its package"},
      {R"({"./a":"./.\t./out.js"})", "p/a", "!INVALID_PACKAGE_TARGET leads out of the package"},
      {R"({"./a":"././a.js"})", "p/a", "!INVALID_PACKAGE_TARGET"},
      {R"({"./a":"./node_modules/q/a.js"})", "p/a", "!INVALID_PACKAGE_TARGET 'node_modules'"},
      {R"({"./a":"./NODE%5fmodules/q/a.js"})", "p/a", "!INVALID_PACKAGE_TARGET 'node_modules'"},
      {R"({"./a":"./x/node_modules/q.js"})", "p/a", "!INVALID_PACKAGE_TARGET 'node_modules'"},
      {R"({"./a":"/etc/passwd"})", "p/a", "!INVALID_PACKAGE_TARGET does not start with './'"},
      {R"({"./a":"a.js"})", "p/a", "!INVALID_PACKAGE_TARGET does not start with './'"},
      {R"({"./a":"file:///x.js"})", "p/a", "!INVALID_PACKAGE_TARGET does not start with './'"},
      {R"({"./a":"gyre:fs"})", "p/a", "!INVALID_PACKAGE_TARGET does not start with './'"},
      {R"({"./a":7})", "p/a", "!INVALID_PACKAGE_TARGET 7 is neither a string nor an object"},
      {R"({"./a":true})", "p/a", "!INVALID_PACKAGE_TARGET true is neither"},
      {R"({"./*":"./lib/*"})", "p/../out.js", "!INVALID_MODULE_SPECIFIER '..'"},
      {R"({"./*":"./lib/*"})", "p/x/../../out.js", "!INVALID_MODULE_SPECIFIER cannot stand for the '*'"},
      {R"({"./*":"./lib/*"})", "p/%2e%2e/out.js", "!INVALID_MODULE_SPECIFIER cannot stand for"},
      {R"({"./*":"./lib/*"})", "p/x\\..\\..\\out.js", "!INVALID_MODULE_SPECIFIER cannot stand for"},
      {R"({"./*":"./lib/*"})", "p/node_modules/q.js", "!INVALID_MODULE_SPECIFIER 'node_modules'"},
      {R"({"./*":"./lib/*"})", "p/.\t./.\t./out.js", "!INVALID_PACKAGE_TARGET leads out of the package"},
      {R"({"./*":"./lib/*"})", "p/a%2fb.js", "!INVALID_MODULE_SPECIFIER encoded '/'"},
      {R"({"./a":"./lib%2fa.js"})", "p/a", "!INVALID_MODULE_SPECIFIER encoded '/'"},
      {R"({"./a":"./a\u0000.js"})", "p/a", "!INVALID_MODULE_SPECIFIER NUL"},
  };
  for (const ExportsCase& one : cases) check_exports(one);
}

TEST_F(ModuleResolverTest, LongListsOfExportsAreCut) {
  std::string exports;
  for (int index = 0; index < 20; ++index) exports += R"("./e)" + std::to_string(index) + R"(":"./a.js",)";
  add_package("p", R"({"exports":{)" + exports + R"("./last":"./a.js"}})");
  EXPECT_THAT(path_of("p/x"), AllOf(HasSubstr("'./e0', './e1'"), HasSubstr("'./e11' and 9 more")));
}

TEST_F(ModuleResolverTest, OtherConditionsCanBeSet) {
  add_package("p", R"({"exports":{"production":"./a.js","node":"./b.js","default":"./c.mjs"}})");
  add("/app/node_modules/p/a.js");
  add("/app/node_modules/p/b.js");
  add("/app/node_modules/p/c.mjs");
  const auto with = [&](std::vector<std::string> conditions) {
    ModuleResolver resolver(files_, {.conditions = std::move(conditions)});
    return resolver.resolve("p", "/app/main.js")->path;
  };
  EXPECT_EQ(with({}), "/app/node_modules/p/c.mjs");
  EXPECT_EQ(with({"node", "import"}), "/app/node_modules/p/b.js");
  EXPECT_EQ(with({"node", "production"}), "/app/node_modules/p/a.js") << "the package's order decides";
}

TEST_F(ModuleResolverTest, APackageImportsItselfByNameIfItHasExports) {
  add("/app/package.json", R"({"name":"@me/app","exports":{".":"./a.mjs","./x/*":"./lib/*"}})");
  add("/app/a.mjs");
  add("/app/lib/b.mjs");
  EXPECT_EQ(path_of("@me/app", "/app/lib/b.mjs"), "/app/a.mjs");
  EXPECT_EQ(path_of("@me/app/x/b.mjs", "/app/lib/deep/c.mjs"), "/app/lib/b.mjs");
  expect_error("@me/app/y", Errc::module_not_found, "ERR_PACKAGE_PATH_NOT_EXPORTED", HasSubstr("'./x/*'"));
  add("/other/package.json", R"({"name":"other"})");
  add("/other/index.js");
  EXPECT_THAT(path_of("other", "/other/x.js"), HasSubstr("cannot find package 'other'")) << "no exports, no self";
}

// --- "imports" -------------------------------------------------------------------------------------------------------

TEST_F(ModuleResolverTest, ImportsMapNamesInsideThePackage) {
  add("/app/package.json", R"({
    "name": "app",
    "exports": {"./self": "./a.mjs"},
    "imports": {
      "#a": "./a.mjs",
      "#lib/*": "./lib/*.mjs",
      "#/*": "./lib/*.mjs",
      "#dep": "p",
      "#dep/*": "p/*",
      "#self": "app/self",
      "#fs": {"gyre": "gyre:fs", "node": "node:fs"},
      "#node": "node:fs",
      "#bare-node": "fs",
      "#conditions": {"require": "./gone.cjs", "default": "./a.mjs"},
      "#alternatives": ["https://x/", "#a", "./a.mjs"],
      "#alternatives2": ["not-installed", "./a.mjs"],
      "#null": null,
      "#null/*": null,
      "#cycle": "#cycle",
      "#up": "../a.mjs",
      "#absolute": "/app/a.mjs",
      "#url": "file:///app/a.mjs",
      "#empty": "",
      "#number": 3,
      "#bad-name": "@x",
      "#out": "./../a.mjs",
      "#modules": "./node_modules/p/index.js",
      "#require": {"require": "./a.mjs"},
      "plain": "./a.mjs"
    }})");
  add("/app/a.mjs");
  add("/app/lib/b.mjs");
  add("/app/node_modules/p/index.js");
  add("/app/node_modules/p/sub.js");
  const std::pair<const char*, const char*> cases[] = {
      {"#a", "/app/a.mjs"},
      {"#lib/b", "/app/lib/b.mjs"},
      {"#/b", "/app/lib/b.mjs"},
      {"#dep", "/app/node_modules/p/index.js"},
      {"#dep/sub.js", "/app/node_modules/p/sub.js"},
      {"#self", "/app/a.mjs"},
      {"#conditions", "/app/a.mjs"},
      {"#alternatives", "/app/a.mjs"},
      {"#alternatives2", "cannot find package 'not-installed'"},
      {"#node", "'node:' modules belong to Node.js"},
      {"#bare-node", "'fs' is a module of Node.js"},
      {"#null", "/app/package.json map it to null"},
      {"#null/x", "map it to null"},
      {"#cycle", "\"#cycle\" is neither a file of the package"},
      {"#up", "\"../a.mjs\" is neither"},
      {"#absolute", "\"/app/a.mjs\" is neither"},
      {"#url", "\"file:///app/a.mjs\" is neither"},
      {"#empty", "\"\" is neither"},
      {"#number", "3 is neither a string nor an object"},
      {"#bad-name", "its target '@x' is no package name"},
      {"#out", "a target must stay in its package"},
      {"#modules", "a target must stay in its package"},
      {"#require", "offers it only under the conditions require"},
      {"#unknown", "the \"imports\" of /app/package.json define only '#a', '#lib/*'"},
      {"#lib/../a", "'..'"},
      {"#lib/", "cannot end in '/'"},
      {"plain", "cannot find package 'plain'"},
  };
  for (const auto& [specifier, expected] : cases) EXPECT_THAT(path_of(specifier), HasSubstr(expected)) << specifier;
  EXPECT_EQ(resolve("#fs")->url, "gyre:fs");
  EXPECT_EQ(path_of("#a", "/app/lib/deep/x.mjs"), "/app/a.mjs");
}

TEST_F(ModuleResolverTest, ImportsBelongToTheNearestPackageOnly) {
  add("/app/package.json", R"({"imports":{"#a":"./a.mjs"}})");
  add("/app/a.mjs");
  add("/app/inner/package.json", "{}");
  add("/app/wrong/package.json", R"({"imports":["./a.mjs"]})");
  EXPECT_THAT(path_of("#a", "/app/inner/x.mjs"), HasSubstr("/app/inner/package.json has no \"imports\""));
  EXPECT_THAT(path_of("#a", "/app/wrong/x.mjs"), HasSubstr("has no \"imports\""));
  EXPECT_THAT(path_of("#a", "/elsewhere/x.mjs"), HasSubstr("the nearest package.json, and there is none"));
  EXPECT_THAT(path_of("#a", "/app/node_modules/x.mjs"), HasSubstr("there is none")) << "node_modules ends a package";
}

// --- Malformed and hostile package.json ---

TEST_F(ModuleResolverTest, AMalformedPackageJsonIsNamedWithThePlace) {
  std::string deep;
  for (int level = 0; level < 65; ++level) deep += "[";
  for (int level = 0; level < 65; ++level) deep += "]";
  const std::pair<std::string, const char*> cases[] = {
      {"", "line 1, column 1"},
      {"{", "line 1, column 2"},
      {"{\"name\":\n \"p\",,}", "line 2, column 6"},
      {"{\"name\": \"\xFF\"}", "ill-formed UTF-8"},
      {"{} x", "line 1, column 4"},
      {"[]", "it must hold a JSON object"},
      {"null", "it must hold a JSON object"},
      {"\"text\"", "it must hold a JSON object"},
      {"7", "it must hold a JSON object"},
      {"// comment\n{}", "line 1, column 1"},
      {std::string("{}\0", 3), "it contains a NUL"},
      {"{\"exports\":" + deep + "}", "\"exports\" is nested more than 64 deep"},
      {"{\"imports\":{\"#a\":" + deep + "}}", "\"imports\" is nested more than 64 deep"},
  };
  for (const auto& [text, message] : cases) {
    MemoryModuleFileSystem files;
    files.add("/app/node_modules/p/package.json", text);
    ModuleResolver resolver(files);
    const auto module = resolver.resolve("p", "/app/main.js");
    ASSERT_FALSE(module) << text;
    EXPECT_EQ(module.error().code(), Errc::invalid_argument);
    EXPECT_EQ(module.error().context("code"), "ERR_INVALID_PACKAGE_CONFIG");
    EXPECT_THAT(module.error().message(),
                AllOf(HasSubstr("/app/node_modules/p/package.json is not usable: "), HasSubstr(message),
                      HasSubstr("(while resolving 'p' imported from /app/main.js)")));
  }
}

TEST_F(ModuleResolverTest, OnlyFieldsThatMatterAreLimitedInDepth) {
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  add_package("p", "{\"x\":" + deep + ",\"exports\":\"./a.js\"}");
  add("/app/node_modules/p/a.js");
  EXPECT_EQ(path_of("p"), "/app/node_modules/p/a.js");
  add_package("q", "{\"exports\":" + deep + "}");
  EXPECT_THAT(path_of("q"), HasSubstr("nested more than 64 deep"));
}

TEST_F(ModuleResolverTest, AHugePackageJsonIsRefused) {
  add_package("p", "{\"x\":\"" + std::string(4 * 1024 * 1024, 'x') + "\"}");
  EXPECT_THAT(path_of("p"), AllOf(HasSubstr("is longer than 4194304 bytes"), HasSubstr("p/package.json")));
}

TEST_F(ModuleResolverTest, ManyKeysAreReadInReasonableTime) {
  std::string exports;
  for (int index = 0; index < 100'000; ++index) exports += "\"./" + std::to_string(index) + "*\":\"./a.js\",";
  add_package("p", "{\"exports\":{" + exports + "\"./x\":\"./a.js\"}}");
  add("/app/node_modules/p/a.js");
  EXPECT_EQ(path_of("p/x"), "/app/node_modules/p/a.js");
  EXPECT_EQ(path_of("p/77777y"), "/app/node_modules/p/a.js");
}

TEST_F(ModuleResolverTest, ABrokenPackageOfTheImporterIsReported) {
  add("/app/package.json", "{");
  add("/app/a.js");
  add("/app/a.mjs");
  expect_error("./a.js", Errc::invalid_argument, "ERR_INVALID_PACKAGE_CONFIG", HasSubstr("/app/package.json"));
  EXPECT_EQ(path_of("./a.mjs"), "/app/a.mjs") << "nobody needs to know its package";
}

// --- Caching ---

TEST_F(ModuleResolverTest, PackageJsonIsRememberedUntilInvalidated) {
  add_package("p", R"({"exports":"./a.mjs"})");
  add("/app/node_modules/p/a.mjs");
  add("/app/node_modules/p/b.mjs");
  EXPECT_EQ(path_of("p"), "/app/node_modules/p/a.mjs");
  add_package("p", R"({"exports":"./b.mjs"})");
  EXPECT_EQ(path_of("p"), "/app/node_modules/p/a.mjs");
  resolver_.invalidate();
  EXPECT_EQ(path_of("p"), "/app/node_modules/p/b.mjs");
  add_package("p", "{");
  resolver_.invalidate();
  EXPECT_THAT(path_of("p"), HasSubstr("is not usable"));
  EXPECT_THAT(path_of("p"), HasSubstr("is not usable"));
  add_package("p", R"({"exports":"./a.mjs"})");
  resolver_.invalidate();
  EXPECT_EQ(path_of("p"), "/app/node_modules/p/a.mjs");
}

}  // namespace
}  // namespace gyre::js
