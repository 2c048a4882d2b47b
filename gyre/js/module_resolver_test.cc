#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <gyre/js/internal/module_resolver_test_support.h>

namespace gyre::js {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

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
