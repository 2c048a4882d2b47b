#include <memory>
#include <optional>
#include <stdexcept>

#include <gtest/gtest.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre {
namespace {

using namespace testing;

struct Probe final : LoopExtension {
  Probe(Loop& its_loop, std::optional<LoopEnd>& told, int& live) : loop(its_loop), end(told), count(live) { ++count; }
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;
  ~Probe() override { --count; }
  void on_terminated(LoopEnd how) override {
    end = how;
    EXPECT_TRUE(fails_with(loop.queue_microtask([] {}), Errc::terminated));
  }
  Loop& loop;
  std::optional<LoopEnd>& end;
  int& count;
};

constexpr char kKey = 0;
constexpr char kOtherKey = 0;

TEST(LoopExtension, IsFoundByItsKeyToldOfTheEndAndLetGo) {
  Loop loop({.auto_exit = true});
  std::optional<LoopEnd> end;
  int live = 0;
  const auto extension = std::make_shared<Probe>(loop, end, live);
  loop.add_extension(&kKey, extension);
  EXPECT_EQ(loop.find_extension(&kKey), extension.get());
  EXPECT_EQ(loop.find_extension(&kOtherKey), nullptr);
  must(loop.run());
  EXPECT_EQ(end, LoopEnd::auto_exit);
  EXPECT_EQ(extension.use_count(), 1);
  EXPECT_EQ(loop.find_extension(&kKey), nullptr);
}

TEST(LoopExtension, OneThatIsRemovedIsNotTold) {
  std::optional<LoopEnd> end;
  int live = 0;
  {
    Loop loop;
    auto extension = std::make_shared<Probe>(loop, end, live);
    loop.add_extension(&kKey, extension);
    loop.remove_extension(*extension);
    extension.reset();
    EXPECT_EQ(live, 0);
  }
  EXPECT_FALSE(end);
}

TEST(LoopExtension, MisuseIsRefused) {
  Loop loop;
  EXPECT_THROW(loop.add_extension(&kKey, nullptr), std::invalid_argument);
  Runner runner(loop);
  ASSERT_TRUE(falls_asleep(loop.remote()));
  EXPECT_THROW(loop.require_owner(), std::logic_error);
  EXPECT_THROW(static_cast<void>(loop.find_extension(&kKey)), std::logic_error);
  EXPECT_FALSE(loop.remote().on_loop_thread());
  must(loop.remote().shutdown());
}

}  // namespace
}  // namespace gyre
