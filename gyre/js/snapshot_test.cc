#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <gyre/js/internal/snapshot.h>
#include <gyre/js/runtime.h>

// A runtime from the snapshot must be like one that has run the built-ins itself, and know this process, not the one
// that made the snapshot.

namespace gyre::js {
namespace {

using ::testing::HasSubstr;

class Snapshot : public ::testing::TestWithParam<bool> {
 protected:
  RuntimeOptions options() const {
    RuntimeOptions options;
    options.use_snapshot = GetParam();
    return options;
  }
  Loop loop_{{.auto_exit = true}};
  std::unique_ptr<Engine> engine_ = make_v8_engine();
};

INSTANTIATE_TEST_SUITE_P(Runtimes, Snapshot, ::testing::Bool(),
                         [](const auto& parameter) { return parameter.param ? "FromTheSnapshot" : "WithoutOne"; });

TEST_P(Snapshot, KnowThisProcess) {
  RuntimeOptions given = options();
  given.arguments = {"/app/main.js", "--flag"};
  given.environment = {{"COLOUR", "green"}};
  Runtime runtime(loop_, *engine_, std::move(given));
  EXPECT_EQ(runtime.eval("process.pid")->as<int>(), getpid());
  EXPECT_EQ(runtime.eval("process.argv.slice(1).join()")->as<std::string>(), "/app/main.js,--flag");
  EXPECT_EQ(runtime.eval("JSON.stringify(process.env)")->as<std::string>(), R"({"COLOUR":"green"})");
  const auto unix_now = std::chrono::duration<double, std::milli>(std::chrono::system_clock::now().time_since_epoch());
  EXPECT_NEAR(runtime.eval("performance.timeOrigin + performance.now()")->as<double>().value(), unix_now.count(),
              60'000);
}

TEST_P(Snapshot, RunTimersTicksAndRejections) {
  std::string output;
  RuntimeOptions given = options();
  given.output = [&](std::string_view text) { output += text; };
  Runtime runtime(loop_, *engine_, std::move(given));
  ASSERT_TRUE(
      runtime.eval("process.on('unhandledRejection', (r) => console.log('rejected', r));"
                   "setTimeout(() => console.log('timer'), 30); setImmediate(() => console.log('immediate'));"
                   "process.nextTick(() => console.log('tick')); Promise.reject(7);"));
  ASSERT_TRUE(loop_.run());
  EXPECT_EQ(output, "tick\nrejected 7\nimmediate\ntimer\n");
}

std::string surface_of(Loop& loop, Engine& engine, bool use_snapshot) {
  RuntimeOptions options;
  options.use_snapshot = use_snapshot;
  Runtime runtime(loop, engine, std::move(options));
  // Two levels of names with their flags: what a script could tell the difference by.
  const auto surface = runtime.eval(R"(
    const describe = (object, path, depth) => Reflect.ownKeys(object).map(String).sort().flatMap((key) => {
      const d = Object.getOwnPropertyDescriptor(object, key);
      if (d === undefined) return [];
      const line = `${path}.${key} ${d.writable} ${d.enumerable} ${d.configurable} ${typeof d.value} ${typeof d.value === 'function' ? d.value.length : ''}`;
      const inner = (typeof d.value === 'function' || typeof d.value === 'object') && d.value !== null && d.value !== globalThis;
      return inner && depth > 0 ? [line, ...describe(d.value, `${path}.${key}`, depth - 1)] : [line];
    });
    describe(globalThis, '', 2).join('\n'))");
  return surface ? surface->as<std::string>().value() : surface.error().to_string();
}

TEST(SnapshotSurface, IsTheSameWithAndWithout) {
  Loop loop;
  const auto engine = make_v8_engine();
  const std::string without = surface_of(loop, *engine, false);
  EXPECT_THAT(without, HasSubstr(".AbortSignal.timeout "));
  EXPECT_EQ(surface_of(loop, *engine, true), without);
}

class Nobody final : public RealmDelegate {
  void on_promise_rejection(Local, Local, bool) override {}
  void on_microtask_exception(Local) override {}
  Local on_dynamic_import(std::string_view, std::string_view) override { return {}; }
  void on_import_meta(ModuleId, Local) override {}
  void on_engine_task(Task, double) override {}
  void on_near_heap_limit() override {}
};

bool starts_from(Engine& engine, std::span<const std::byte> snapshot) {
  Nobody delegate;
  const auto realm = engine.make_realm(delegate, {}, snapshot);
  const Scope scope(**realm);
  return !(*realm)->snapshot_root().is_empty();
}

TEST(SnapshotIdentity, OnlyTheBuildOfTheEngineThatMadeItUsesIt) {
  const auto engine = make_v8_engine();
  const auto own = internal::builtin_snapshot();
  if (own.empty()) {  // a build with GYRE_JS_SNAPSHOT=OFF
    EXPECT_FALSE(starts_from(*engine, own));
    return;
  }
  EXPECT_TRUE(starts_from(*engine, own));

  struct alignas(64) Block {
    std::byte bytes[64];
  };
  std::vector<Block> copy((own.size() + sizeof(Block) - 1) / sizeof(Block));
  auto* bytes = copy.data()->bytes;
  std::copy(own.begin(), own.end(), bytes);
  EXPECT_TRUE(starts_from(*engine, {bytes, own.size()}));
  bytes[40] ^= std::byte{1};  // in the identity of the engine's build
  EXPECT_FALSE(starts_from(*engine, {bytes, own.size()}));
  EXPECT_FALSE(starts_from(*engine, {bytes, 5}));
  EXPECT_FALSE(starts_from(*engine, {}));
}

}  // namespace
}  // namespace gyre::js
