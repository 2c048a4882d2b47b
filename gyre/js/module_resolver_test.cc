#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gyre/js/module_resolver.h>

namespace gyre::js {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// An in-memory tree with the program in /app.
class ModuleResolverTest : public testing::Test {
 protected:
  void add(std::string_view path, std::string content = "") { files_.add(path, std::move(content)); }
  /// The package.json of a package in /app/node_modules.
  void add_package(const std::string& name, std::string content) {
    add("/app/node_modules/" + name + "/package.json", std::move(content));
  }

  Result<ResolvedModule> resolve(std::string_view specifier, std::string_view referrer = "/app/main.js") {
    return resolver_.resolve(specifier, referrer);
  }
  /// The path found, or the message.
  std::string path_of(std::string_view specifier, std::string_view referrer = "/app/main.js") {
    const auto module = resolve(specifier, referrer);
    return module ? module->path : module.error().message();
  }
  void expect_error(std::string_view specifier, Errc code, std::string_view node_code,
                    const testing::Matcher<const std::string&>& message) {
    const auto module = resolve(specifier);
    ASSERT_FALSE(module) << specifier << " -> " << module->url;
    EXPECT_EQ(module.error().code(), code) << specifier;
    EXPECT_EQ(module.error().context("code"), node_code) << specifier;
    EXPECT_THAT(module.error().message(), message) << specifier;
  }

  MemoryModuleFileSystem files_;
  ModuleResolver resolver_{files_};
};

// --- Paths and URLs ------------------------------------------------------------------------------------------------

TEST_F(ModuleResolverTest, PathsAreResolvedAsUrlsAgainstTheImporter) {
  for (const char* path : {"/app/a.mjs", "/app/lib/b.mjs", "/top.mjs", "/app/with space.mjs", "/app/100%.mjs",
                           "/app/caf\u00E9.mjs", "/app/q?.mjs", "/app/h#.mjs", "/app/back\\slash.mjs"}) {
    add(path);
  }
  const std::pair<const char*, const char*> cases[] = {
      {"./a.mjs", "/app/a.mjs"},
      {"././a.mjs", "/app/a.mjs"},
      {"./lib/../a.mjs", "/app/a.mjs"},
      {"./lib/b.mjs", "/app/lib/b.mjs"},
      {"./lib//b.mjs", "/app/lib/b.mjs"},
      {".//lib/b.mjs", "/app/lib/b.mjs"},
      {"../top.mjs", "/top.mjs"},
      {"../../../../top.mjs", "/top.mjs"},
      {"/top.mjs", "/top.mjs"},
      {"/app/a.mjs", "/app/a.mjs"},
      {"///app/a.mjs", "/app/a.mjs"},
      {"//localhost/app/a.mjs", "/app/a.mjs"},
      {"./%61.mjs", "/app/a.mjs"},
      {"./%2e/a.mjs", "/app/a.mjs"},
      {"./lib/%2E%2e/a.mjs", "/app/a.mjs"},
      {"./lib/.%2e/a.mjs", "/app/a.mjs"},
      {"./with space.mjs", "/app/with space.mjs"},
      {"./with%20space.mjs", "/app/with space.mjs"},
      {"./100%25.mjs", "/app/100%.mjs"},
      {"./caf\u00E9.mjs", "/app/caf\u00E9.mjs"},
      {"./caf%C3%A9.mjs", "/app/caf\u00E9.mjs"},
      {"./q%3F.mjs", "/app/q?.mjs"},
      {"./h%23.mjs", "/app/h#.mjs"},
      {".\\", "it is no package name"},
      {"./lib\\b.mjs", "/app/lib/b.mjs"},
      {"./a.mjs ", "/app/a.mjs"},
      {"./a\n.mj\ts", "/app/a.mjs"},
      {"file:///app/a.mjs", "/app/a.mjs"},
      {"FILE:///app/a.mjs", "/app/a.mjs"},
      {"file:/app/a.mjs", "/app/a.mjs"},
      {"file:app/a.mjs", "/app/a.mjs"},
      {"file://localhost/app/a.mjs", "/app/a.mjs"},
      {"file://LOCALHOST/app/a.mjs", "/app/a.mjs"},
      {"file:///app/lib/../a.mjs", "/app/a.mjs"},
      {"file:///app/with%20space.mjs", "/app/with space.mjs"},
  };
  for (const auto& [specifier, path] : cases) EXPECT_THAT(path_of(specifier), HasSubstr(path)) << specifier;
}

TEST_F(ModuleResolverTest, QueryAndFragmentBelongToTheIdentityNotToTheFile) {
  add("/app/a.mjs");
  EXPECT_EQ(resolve("./a.mjs")->url, "file:///app/a.mjs");
  EXPECT_EQ(resolve("./a.mjs?v=1")->url, "file:///app/a.mjs?v=1");
  EXPECT_EQ(resolve("./a.mjs#x")->url, "file:///app/a.mjs#x");
  EXPECT_EQ(resolve("./a.mjs?v=1#x?y")->url, "file:///app/a.mjs?v=1#x?y");
  EXPECT_EQ(resolve("./a.mjs?")->url, "file:///app/a.mjs") << "an empty query says nothing";
  EXPECT_EQ(resolve("./a.mjs?q=a b\"<")->url, "file:///app/a.mjs?q=a%20b%22%3C");
  EXPECT_EQ(resolve("file:///app/a.mjs?v=/../2")->url, "file:///app/a.mjs?v=/../2");
  EXPECT_EQ(resolve("./a.mjs?v=1")->path, "/app/a.mjs");
}

TEST_F(ModuleResolverTest, TheUrlOfAModuleIsAReferrer) {
  add("/app/odd %#?\u00E9/a.mjs");
  add("/app/odd %#?\u00E9/b.mjs");
  add("/app/\xFF/a.mjs");
  add("/app/\xFF/b.mjs");
  const auto first = resolve("./odd%20%25%23%3F%C3%A9/a.mjs?x=1/2#y");
  ASSERT_TRUE(first);
  EXPECT_EQ(first->url, "file:///app/odd%20%25%23%3F%C3%A9/a.mjs?x=1/2#y");
  EXPECT_EQ(path_of("./b.mjs", first->url), "/app/odd %#?\u00E9/b.mjs");
  const auto bytes = resolver_.resolve_entry("/app/\xFF/a.mjs");
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes->url, "file:///app/%FF/a.mjs");
  EXPECT_EQ(path_of("./b.mjs", bytes->url), "/app/\xFF/b.mjs") << "a name that is not UTF-8 still has neighbours";
}

TEST_F(ModuleResolverTest, AReferrerNeedNotExistButMustHaveAPlace) {
  add("/app/a.mjs");
  EXPECT_EQ(path_of("./a.mjs", "/app/[eval]"), "/app/a.mjs");
  for (const char* referrer : {"", "main.js", "[eval]", "gyre:fs", "https://x/y.js", "file://host/x.js"}) {
    const auto module = resolve("./a.mjs", referrer);
    ASSERT_FALSE(module) << referrer;
    EXPECT_EQ(module.error().code(), Errc::invalid_argument);
    EXPECT_THAT(module.error().message(), HasSubstr("the importing module is not a file")) << referrer;
    EXPECT_EQ(path_of("file:///app/a.mjs", referrer), "/app/a.mjs") << referrer;
    EXPECT_EQ(path_of("/app/a.mjs", referrer), "/app/a.mjs") << referrer;
    EXPECT_EQ(resolve("gyre:fs", referrer)->format, ModuleFormat::builtin);
  }
}

TEST_F(ModuleResolverTest, MalformedSpecifiersAreNamed) {
  struct Case {
    std::string specifier;
    const char* message;
  };
  const Case cases[] = {
      {"", "cannot import '' imported from /app/main.js: it is empty"},
      {std::string("./a\0b", 5), "'./a\\x00b' imported from /app/main.js: it contains a NUL"},
      {"./a%00b", "it contains a NUL"},
      {"./a%2Fb", "'./a%2Fb' imported from /app/main.js: it contains an encoded '/' (%2F)"},
      {"./a%2fb", "encoded '/' (%2f)"},
      {"./a%5Cb", "encoded '\\' (%5C)"},
      {"file:///app%2Fa.js", "encoded '/'"},
      {"./a%", "'%' that is not followed by two hexadecimal digits (write '%25')"},
      {"./a%4", "hexadecimal"},
      {"./a%zz", "hexadecimal"},
      {"./%FF", "not valid UTF-8 text once decoded"},
      {"./%ED%A0%80", "not valid UTF-8 text once decoded"},
      {"./\xFF", "'./\\xFF' imported from /app/main.js: it is not valid UTF-8"},
      {"\xC3", "it is not valid UTF-8"},
      {"//host/a.js", "it names another host"},
      {"file://host/a.js", "it names another host"},
      {"file://..", "it names another host"},
      {".a", "it is no package name"},
      {".../a", "paths start with './', '../' or '/'"},
      {"a\\b", "paths start with"},
      {"%61", "it is no package name"},
      {"a%2fb", "it is no package name"},
      {"@", "it is no package name"},
      {"@scope", "'name' or '@scope/name'"},
      {"@scope/", "it is no package name"},
      {"@scope//x", "it is no package name"},
      {"@scope/..", "it is no package name"},
      {"@scope/.", "it is no package name"},
      {"@../x", "cannot find package '@../x'"},
      {"node_modules", "it is no package name"},
      {"#", "need a name after it"},
      {"#a/", "cannot end in '/'"},
      {"gyre:", "a name is missing after 'gyre:'"},
  };
  for (const auto& [specifier, message] : cases) {
    const auto module = resolve(specifier);
    ASSERT_FALSE(module) << specifier;
    EXPECT_THAT(module.error().message(), HasSubstr(message));
    if (specifier != "@../x") {
      EXPECT_EQ(module.error().code(), Errc::invalid_argument) << specifier;
      EXPECT_EQ(module.error().context("code"), "ERR_INVALID_MODULE_SPECIFIER") << specifier;
    }
  }
}

TEST_F(ModuleResolverTest, VeryLongSpecifiersAreRefusedAndShownShort) {
  const std::string longest = "./" + std::string(16 * 1024 - 2, 'a');
  const auto missing = resolve(longest);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), Errc::module_not_found);
  EXPECT_LT(missing.error().message().size(), 2000u);
  const auto refused = resolve(longest + "a");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::invalid_argument);
  EXPECT_THAT(refused.error().message(), HasSubstr("it is 16385 bytes long, and the limit is 16384"));
  EXPECT_LT(refused.error().to_string().size(), 3000u);
  EXPECT_FALSE(resolve("pkg" + std::string(10'000'000, '/')));
  std::string accents = "./";
  while (accents.size() < 3000) accents += "\u00E9";
  EXPECT_THAT(path_of(accents), Not(HasSubstr("\\x"))) << "cut between characters";
  EXPECT_THAT(path_of("./x" + accents.substr(2)), Not(HasSubstr("\\x")));
}

TEST_F(ModuleResolverTest, MessagesCannotDriveTheTerminal) {
  EXPECT_THAT(path_of("./\x1b[2J\u202E"), AllOf(HasSubstr("'./\\x1B[2J\\xE2\\x80\\xAE'"), Not(HasSubstr("\x1b"))));
  EXPECT_THAT(path_of("$(reboot)"), AllOf(HasSubstr("check its spelling"), Not(HasSubstr("npm install"))));
}

TEST_F(ModuleResolverTest, OtherSchemesSayWhatToDoInstead) {
  const std::pair<const char*, const char*> cases[] = {
      {"https://example.org/a.js", "not loaded from the network: download the file"},
      {"HTTP://example.org/a.js", "'http:' URLs are not supported"},
      {"data:text/javascript,1", "write the module to a file"},
      {"npm:left-pad", "install the package and import it by its bare name"},
      {"jsr:@std/path", "bare name"},
      {"C:\\x.js", "a path starts with './', '../' or '/'"},
      {"foo+bar-1.2:x", "'foo+bar-1.2:' URLs are not supported; modules are files"},
  };
  for (const auto& [specifier, message] : cases) {
    expect_error(specifier, Errc::unsupported, "ERR_UNSUPPORTED_ESM_URL_SCHEME", HasSubstr(message));
  }
}

// --- What is there and what is not -----------------------------------------------------------------------------------

TEST_F(ModuleResolverTest, ExtensionsAreNotGuessedButSuggested) {
  add("/app/x.js");
  add("/app/y.mjs");
  add("/app/z.json");
  add("/app/both");
  add("/app/both.js");
  add("/app/typed.ts");
  const std::pair<const char*, const char*> cases[] = {
      {"./x", "cannot find module './x' imported from /app/main.js: there is no file /app/x; did you mean './x.js'?"},
      {"./y", "did you mean './y.mjs'?"},
      {"./z", "did you mean './z.json'?"},
      {"../app/x", "did you mean '../app/x.js'?"},
      {"/app/x", "did you mean '/app/x.js'?"},
      {"file:///app/x", "did you mean 'file:///app/x.js'?"},
      {"./x?v=1", "did you mean './x.js'?"},
      {"./x.js/", "there is no file /app/x.js/; did you mean './x.js'?"},
      {"./typed.js", "compile '/app/typed.ts' first"},
  };
  for (const auto& [specifier, message] : cases) {
    expect_error(specifier, Errc::module_not_found, "ERR_MODULE_NOT_FOUND", HasSubstr(message));
  }
  EXPECT_EQ(path_of("./both"), "/app/both");
  EXPECT_THAT(path_of("./nothing"), Not(HasSubstr("did you mean")));
}

TEST_F(ModuleResolverTest, DirectoriesAreNotModules) {
  add("/app/lib/index.js");
  add("/app/beside.js");
  files_.add_directory("/app/beside");
  expect_error("./lib", Errc::unsupported, "ERR_UNSUPPORTED_DIR_IMPORT",
               "cannot import './lib' imported from /app/main.js: /app/lib is a directory, and a module is a file; did "
               "you mean './lib/index.js'?");
  expect_error("./lib/", Errc::unsupported, "ERR_UNSUPPORTED_DIR_IMPORT", HasSubstr("did you mean './lib/index.js'?"));
  expect_error("./beside", Errc::unsupported, "ERR_UNSUPPORTED_DIR_IMPORT", HasSubstr("did you mean './beside.js'?"));
  for (const char* specifier : {".", "..", "./", "/", "file:///", "file://", "./lib/.."}) {
    expect_error(specifier, Errc::unsupported, "ERR_UNSUPPORTED_DIR_IMPORT", HasSubstr("is a directory"));
  }
}

TEST_F(ModuleResolverTest, ErrorsCarrySpecifierAndReferrer) {
  const auto module = resolve("./x\n", "file:///app/main.js");
  ASSERT_FALSE(module);
  EXPECT_EQ(module.error().context("specifier"), "./x\\x0A");
  EXPECT_EQ(module.error().context("referrer"), "file:///app/main.js");
}

// --- Formats ---------------------------------------------------------------------------------------------------------

TEST_F(ModuleResolverTest, TheFormatComesFromExtensionAndNearestPackage) {
  add("/app/package.json", R"({"type":"module"})");
  add("/app/plain/package.json", "{}");
  add("/app/common/package.json", R"({"type":"commonjs"})");
  add("/app/odd/package.json", R"({"type":"esm"})");
  add("/app/number/package.json", R"({"type":7})");
  const std::pair<const char*, ModuleFormat> cases[] = {
      {"/app/a.js", ModuleFormat::module},
      {"/app/deep/er/a.js", ModuleFormat::module},
      {"/app/no-extension", ModuleFormat::module},
      {"/app/.js", ModuleFormat::module},
      {"/app/a.mjs", ModuleFormat::module},
      {"/app/a.json", ModuleFormat::json},
      {"/app/plain/a.js", ModuleFormat::detect},
      {"/app/plain/a.mjs", ModuleFormat::module},
      {"/app/common/a.js", ModuleFormat::detect},
      {"/app/odd/a.js", ModuleFormat::detect},
      {"/app/number/a.js", ModuleFormat::detect},
      {"/elsewhere/a.js", ModuleFormat::detect},
      {"/elsewhere/a", ModuleFormat::detect},
      {"/app/node_modules/p/a.js", ModuleFormat::detect},
      {"/app/node_modules/a.js", ModuleFormat::detect},
  };
  for (const auto& [path, format] : cases) {
    add(path);
    const auto module = resolve(path);
    ASSERT_TRUE(module) << module.error().message();
    EXPECT_EQ(module->format, format) << path;
  }
}

TEST_F(ModuleResolverTest, OtherLanguagesAreUnsupportedWithAReason) {
  const std::pair<const char*, const char*> cases[] = {
      {"/app/a.cjs", "it is a CommonJS module, and Gyre runs ES modules: write it with import and export"},
      {"/app/a.ts", "compile the file first"},
      {"/app/a.mts", "compile the file first"},
      {"/app/a.jsx", "compile the file first"},
      {"/app/a.node", "native add-ons"},
      {"/app/a.wasm", "WebAssembly.instantiate"},
      {"/app/a.txt", "'.txt' is not the extension of a module (.js, .mjs or .json)"},
      {"/app/a.JS", "'.JS' is not the extension"},
      {"/app/a.", "'.' is not the extension"},
  };
  for (const auto& [path, message] : cases) {
    add(path);
    expect_error(path, Errc::unsupported, "ERR_UNKNOWN_FILE_EXTENSION",
                 AllOf(HasSubstr(message), HasSubstr("imported from /app/main.js")));
  }
}

// --- Built-ins -------------------------------------------------------------------------------------------------------

TEST_F(ModuleResolverTest, GyreSpecifiersAreBuiltins) {
  EXPECT_EQ(*resolve("gyre:fs"), (ResolvedModule{ModuleFormat::builtin, "gyre:fs", ""}));
  EXPECT_EQ(resolve("GYRE:fs/promises")->url, "gyre:fs/promises");
}

TEST_F(ModuleResolverTest, UnknownBuiltinsAreErrorsWhenTheKnownOnesAreGiven) {
  ModuleResolver resolver(files_, {.builtins = {"gyre:fs", "gyre:path"}});
  EXPECT_TRUE(resolver.resolve("gyre:path", "/app/main.js"));
  const auto unknown = resolver.resolve("gyre:os", "/app/main.js");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code(), Errc::module_not_found);
  EXPECT_THAT(unknown.error().message(), HasSubstr("no built-in module 'gyre:os' imported from /app/main.js; there are "
                                                   "gyre:fs, gyre:path"));
  EXPECT_THAT(resolver.resolve("node:path", "/a.js").error().message(), HasSubstr("use 'gyre:path'"));
  EXPECT_THAT(resolver.resolve("fs/promises", "/a.js").error().message(), HasSubstr("use 'gyre:fs'"));
}

TEST_F(ModuleResolverTest, ModulesOfNodeAreNamedWithTheGyreWay) {
  const std::pair<const char*, const char*> cases[] = {
      {"node:fs", "'node:' modules belong to Node.js, and Gyre does not have them; use 'gyre:fs'"},
      {"NODE:fs", "use 'gyre:fs'"},
      {"fs", "'fs' is a module of Node.js, and Gyre does not have it; use 'gyre:fs'"},
      {"fs/promises", "use 'gyre:fs'"},
      {"events", "use the global EventTarget without an import"},
      {"node:events", "EventTarget"},
      {"timers", "setTimeout"},
      {"timers/promises", "setTimeout"},
      {"crypto", "use the global crypto"},
      {"stream/web", "ReadableStream"},
      {"http", "fetch"},
      {"child_process", "a function that the host adds"},
      {"node:test", "a package from npm"},
      {"node:zork", "'node:' modules belong to Node.js, and Gyre does not have them"},
      {"node:", "belong to Node.js"},
  };
  for (const auto& [specifier, message] : cases) {
    expect_error(specifier, Errc::module_not_found, "ERR_UNKNOWN_BUILTIN_MODULE", HasSubstr(message));
  }
}

TEST_F(ModuleResolverTest, AnInstalledPackageMayBeCalledLikeAModuleOfNode) {
  add_package("events", R"({"exports":"./events.mjs"})");
  add("/app/node_modules/events/events.mjs");
  EXPECT_EQ(path_of("events"), "/app/node_modules/events/events.mjs");
  EXPECT_THAT(path_of("node:events"), HasSubstr("belong to Node.js"));
}

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

// --- The entry ---

TEST_F(ModuleResolverTest, TheEntryIsAPathNotASpecifier) {
  add("/main.js");
  add("/100%20.mjs");
  add("/a?b#c.mjs");
  add("/script.txt");
  add("/data.json");
  const auto path = [&](std::string_view entry) {
    const auto module = resolver_.resolve_entry(entry);
    return module ? module->path : module.error().message();
  };
  EXPECT_EQ(path("main.js"), "/main.js");
  EXPECT_EQ(path("./main.js"), "/main.js");
  EXPECT_EQ(path("/x/../main.js"), "cannot run '/x/../main.js': there is no file /x/../main.js");
  EXPECT_EQ(path("/100%20.mjs"), "/100%20.mjs");
  EXPECT_EQ(resolver_.resolve_entry("/a?b#c.mjs")->url, "file:///a%3Fb%23c.mjs");
  EXPECT_EQ(resolver_.resolve_entry("/main.js")->format, ModuleFormat::detect);
  EXPECT_EQ(resolver_.resolve_entry("/script.txt")->format, ModuleFormat::detect) << "the user has chosen it";
  EXPECT_EQ(resolver_.resolve_entry("/data.json")->format, ModuleFormat::json);
}

TEST_F(ModuleResolverTest, EntryErrorsSpeakOfTheCommandLine) {
  add("/app/main.js");
  add("/app/index.js");
  add("/app/x.cjs");
  add("/app/x.ts");
  const std::pair<std::string, const char*> cases[] = {
      {"/app/main", "cannot run '/app/main': there is no file /app/main; did you mean '/app/main.js'?"},
      {"app/main", "did you mean 'app/main.js'?"},
      {"/app", "cannot run '/app': /app is a directory, and a module is a file; did you mean '/app/index.js'?"},
      {"/app/", "did you mean '/app/index.js'?"},
      {"/app/main.js/", "there is no file"},
      {"", "cannot run '': it is empty"},
      {std::string("a\0b", 3), "it contains a NUL"},
      {"/app/x.cjs", "cannot load '/app/x.cjs': it is a CommonJS module"},
      {"/app/x.ts", "compile the file first"},
  };
  for (const auto& [entry, message] : cases) {
    const auto module = resolver_.resolve_entry(entry);
    ASSERT_FALSE(module) << entry;
    EXPECT_THAT(module.error().message(), AllOf(HasSubstr(message), Not(HasSubstr("imported from"))));
  }
}

// --- On a real file system ---

class ModuleResolverOnDiskTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "gyre-resolver-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = std::filesystem::canonical(pattern);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void add(const std::string& path, const std::string& content = "") {
    const auto full = root_ / path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full, std::ios::binary) << content;
  }
  std::string at(const std::string& path) const { return (root_ / path).string(); }

  std::filesystem::path root_;
  RealModuleFileSystem files_;
  ModuleResolver resolver_{files_};
};

TEST_F(ModuleResolverOnDiskTest, ResolvesPathsAndPackages) {
  add("main.js");
  add("lib/a b.mjs");
  add("node_modules/p/package.json", R"({"type":"module","exports":{".":"./index.js"}})");
  add("node_modules/p/index.js");
  const auto spaced = resolver_.resolve("./lib/a%20b.mjs", at("main.js"));
  ASSERT_TRUE(spaced) << spaced.error().message();
  EXPECT_EQ(spaced->path, at("lib/a b.mjs"));
  EXPECT_TRUE(spaced->url.ends_with("/lib/a%20b.mjs"));
  const auto package = resolver_.resolve("p", "file://" + at("main.js"));
  ASSERT_TRUE(package) << package.error().message();
  EXPECT_EQ(package->path, at("node_modules/p/index.js"));
  EXPECT_EQ(package->format, ModuleFormat::module);
}

TEST_F(ModuleResolverOnDiskTest, SymbolicLinksLeadToOneIdentity) {
  add("store/p/package.json", R"({"type":"module","exports":"./a.js"})");
  add("store/p/a.js");
  add("store/node_modules/dependency/index.js");
  add("app/main.js");
  std::filesystem::create_directories(root_ / "app/node_modules");
  std::filesystem::create_directory_symlink("../../store/p", root_ / "app/node_modules/p");
  std::filesystem::create_symlink("main.js", root_ / "app/link.mjs");
  std::filesystem::create_symlink("link-to-itself.js", root_ / "app/link-to-itself.js");
  std::filesystem::create_symlink("gone.js", root_ / "app/dangling.js");

  const auto package = resolver_.resolve("p", at("app/main.js"));
  ASSERT_TRUE(package) << package.error().message();
  EXPECT_EQ(package->path, at("store/p/a.js"));
  EXPECT_EQ(package->format, ModuleFormat::module);
  EXPECT_EQ(resolver_.resolve("dependency", package->url)->path, at("store/node_modules/dependency/index.js"))
      << "a linked package finds its dependencies where it really is";
  const auto link = resolver_.resolve("./link.mjs?v=1", at("app/main.js"));
  EXPECT_EQ(link->url, "file://" + at("app/main.js") + "?v=1");
  EXPECT_EQ(link->format, ModuleFormat::detect) << "the real name counts";
  EXPECT_EQ(resolver_.resolve_entry(at("app/link.mjs"))->path, at("app/main.js"));
  EXPECT_EQ(resolver_.resolve("./link-to-itself.js", at("app/main.js")).error().code(), Errc::module_not_found);
  EXPECT_EQ(resolver_.resolve("./dangling.js", at("app/main.js")).error().code(), Errc::module_not_found);
}

TEST_F(ModuleResolverOnDiskTest, WhatIsNoRegularFileIsNoModule) {
  ASSERT_EQ(::mkfifo(at("pipe.js").c_str(), 0600), 0);
  const auto pipe = resolver_.resolve("./pipe.js", at("main.js"));
  ASSERT_FALSE(pipe);
  EXPECT_THAT(pipe.error().message(), HasSubstr("pipe.js is not a regular file"));
  std::filesystem::create_directories(root_ / "odd");
  ASSERT_EQ(::mkfifo(at("odd/package.json").c_str(), 0600), 0);
  add("odd/a.js");
  EXPECT_TRUE(resolver_.resolve("./odd/a.js", at("main.js"))) << "a pipe is not opened in search of a package.json";
}

TEST_F(ModuleResolverOnDiskTest, ForbiddenDirectoriesAreNamed) {
  add("closed/a.js");
  std::filesystem::permissions(root_, std::filesystem::perms::all);
  std::filesystem::permissions(root_ / "closed", std::filesystem::perms::none);
  // Root may look everywhere, so look as somebody else.
  const uid_t user = ::geteuid();
  constexpr uid_t kNobody = 65534;
  if (user == 0) {
    ASSERT_EQ(::seteuid(kNobody), 0);
  }
  const auto module = resolver_.resolve("./closed/a.js", at("main.js"));
  if (user == 0) {
    ASSERT_EQ(::seteuid(user), 0);
  }
  std::filesystem::permissions(root_ / "closed", std::filesystem::perms::owner_all);
  ASSERT_FALSE(module);
  EXPECT_EQ(module.error().code(), Errc::permission_denied);
}

TEST_F(ModuleResolverOnDiskTest, OverlongNamesAreNotFound) {
  EXPECT_EQ(resolver_.resolve("./" + std::string(300, 'n'), at("main.js")).error().code(), Errc::module_not_found);
  EXPECT_EQ(resolver_.resolve(std::string(8000, 'n'), at("main.js")).error().code(), Errc::module_not_found);
  std::string path = "./";
  for (int depth = 0; depth < 3000; ++depth) path += "d/";
  EXPECT_EQ(resolver_.resolve(path + "x.js", at("main.js")).error().code(), Errc::module_not_found);
}

TEST_F(ModuleResolverTest, AFileSystemCanForbid) {
  class Fenced final : public ModuleFileSystem {
   public:
    Kind kind(const std::string& path) override { return path.starts_with("/app/") ? Kind::file : Kind::forbidden; }
    Result<std::string> real_path(const std::string& path) override { return path; }
    Result<std::string> read(const std::string&, std::size_t) override { return "{}"; }
  };
  Fenced fenced;
  ModuleResolver resolver(fenced);
  EXPECT_TRUE(resolver.resolve("./a.mjs", "/app/main.js"));
  const auto module = resolver.resolve("../etc/passwd", "/app/main.js");
  ASSERT_FALSE(module);
  EXPECT_EQ(module.error().code(), Errc::permission_denied);
  EXPECT_EQ(module.error().message(),
            "cannot import '../etc/passwd' imported from /app/main.js: no permission to read /etc/passwd");
}

}  // namespace
}  // namespace gyre::js
