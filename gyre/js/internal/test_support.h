#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <gyre/js/runtime.h>
#include <gyre/loop/internal/test_support.h>

// What the tests of JavaScript share. Not installed.

namespace gyre::testing {

/// A loop, and a runtime on it that keeps what it prints.
class Host {
 public:
  explicit Host(js::RuntimeOptions options = {}, LoopOptions loop_options = {.auto_exit = true})
      : loop(std::move(loop_options)) {
    start(std::move(options));
  }

  void start(js::RuntimeOptions options = {}) {
    if (!options.output) options.output = [this](std::string_view text) { output += text; };
    if (!options.error_output) options.error_output = [this](std::string_view text) { errors += text; };
    runtime_.emplace(loop, *engine, std::move(options));
  }
  void destroy() { runtime_.reset(); }

  js::Runtime& runtime() { return *runtime_; }
  js::Runtime* operator->() { return &*runtime_; }

  /// Runs code and the loop until nothing is left; what it printed.
  std::string run(std::string_view code) {
    const auto evaluated = runtime_->eval(code);
    EXPECT_TRUE(evaluated) << evaluated.error().to_string();
    return finish();
  }
  /// Runs the loop to its end; what was printed so far.
  std::string finish() {
    const auto ran = loop.run();
    EXPECT_TRUE(ran) << ran.error().to_string();
    return output;
  }
  /// The value of an expression.
  template <typename T>
  T eval(std::string_view code) {
    return must(must(runtime_->eval(code)).template as<T>());
  }

  Loop loop;
  std::unique_ptr<js::Engine> engine = js::make_v8_engine();
  std::string output;
  std::string errors;

 private:
  std::optional<js::Runtime> runtime_;
};

/// A folder that is empty at first and goes with the object.
class Folder {
 public:
  Folder() {
    std::string pattern = std::filesystem::temp_directory_path() / "gyre-test-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = std::filesystem::canonical(pattern);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::string path(std::string_view name = "") const { return name.empty() ? path_ : path_ / name; }
  /// Writes a file, with the folders above it; its path.
  std::string write(std::string_view name, std::string_view content) const {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
    std::ofstream(path(name), std::ios::binary) << content;
    return path(name);
  }
  std::string read(std::string_view name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::filesystem::path path_;
};

}  // namespace gyre::testing
