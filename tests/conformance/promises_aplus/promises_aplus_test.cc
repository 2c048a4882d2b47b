#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tests/conformance/promises_aplus/native_promises.h>

#include <gyre/js/internal/test_support.h>

// The Promises/A+ suite, unmodified, against the promises of scripts and against those of C++: see ../README.md.

namespace gyre {
namespace {

using testing::must;
using testing::NativePromises;

const std::string kFolder = GYRE_SOURCE_DIR "/tests/conformance/promises_aplus/";
const std::string kPackages = kFolder + "node_modules";
// Of version 2.1.2. A suite of which less is run has not been passed.
constexpr int kTests = 872;
constexpr std::size_t kFiles = 13;

std::optional<std::string> source_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

class PromisesAPlus : public ::testing::Test {
 protected:
  PromisesAPlus() {
    must(host_->eval("globalThis.native = {}"));
    define("sourceOf", source_of);
    run_file("commonjs.js");
    run_file("runner.js");
    define("finished", [this](int passed, std::vector<std::string> failures) {
      passed_ = passed;
      failures_ = std::move(failures);
    });
  }

  template <typename Function>
  void define(const std::string& name, Function function) {
    host_->set(name, std::move(function));
    must(host_->eval("native." + name + " = " + name + "; delete globalThis." + name));
  }
  void run_file(const std::string& name) { must(host_->eval(source_of(kFolder + name).value(), name)); }

  /// Runs the suite's files, in their order, with the adapter that is there.
  void run_suite() {
    const std::string tests = kPackages + "/promises-aplus-tests/lib/tests";
    if (!std::filesystem::exists(tests)) FAIL() << "run 'scripts/setup test' to fetch the suite";
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(tests)) {
      if (entry.path().extension() == ".js") files.push_back(entry.path());
    }
    std::ranges::sort(files);
    EXPECT_EQ(files.size(), kFiles);
    const auto load = must(must(host_->get("native")).get("load"));
    for (const std::string& file : files) must(load.call(file, kPackages));
    must(host_->eval("native.run(native.finished)"));
    must(host_.loop.run());
    EXPECT_EQ(passed_, kTests);
    EXPECT_THAT(failures_, ::testing::IsEmpty());
  }

  // The suite waits 50 and 100 ms many hundred times.
  ManualClock clock_{ManualClock::Mode::automatic};
  testing::Host host_{{}, {.auto_exit = true, .clock = &clock_}};
  int passed_ = 0;
  std::vector<std::string> failures_;
};

TEST_F(PromisesAPlus, HoldsForTheScriptsPromises) {  // R45
  run_file("script_adapter.js");
  run_suite();
}

TEST_F(PromisesAPlus, HoldsForNativePromises) {  // R45
  NativePromises promises(host_.loop, host_.runtime());
  define("makePromise", [&] { return promises.make(); });
  define("resolvePromise", [&](std::uint32_t id, const js::Value& value) { promises.resolve(id, value); });
  define("rejectPromise", [&](std::uint32_t id, const js::Value& reason) { promises.reject(id, reason); });
  define("thenPromise", [&](std::uint32_t id, const js::Value& on_fulfilled, const js::Value& on_rejected) {
    return promises.then(id, on_fulfilled, on_rejected);
  });
  run_file("native_adapter.js");
  run_suite();
  host_.destroy();  // its functions refer to the promises
}

}  // namespace
}  // namespace gyre
