#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gyre/js/module_resolver.h>

// The module resolver on a real file system.

namespace gyre::js {
namespace {

using testing::HasSubstr;

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

}  // namespace
}  // namespace gyre::js
