#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <gyre/js/module_resolver.h>

// What the tests of the module resolver share. Not installed.

namespace gyre::js {

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

}  // namespace gyre::js
