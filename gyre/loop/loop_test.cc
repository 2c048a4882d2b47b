#include <gtest/gtest.h>

#include <gyre/loop/loop.h>
namespace gyre {
namespace {
using namespace std::chrono_literals;
TEST(Loop, Smoke) {
  Loop loop({.auto_exit = true});
  std::string log;
  static_cast<void>(loop.set_timeout(2ms, [&] { log += 't'; }));
  static_cast<void>(loop.post([&] {
    log += 'x';
    static_cast<void>(loop.queue_microtask([&] { log += 'm'; }));
  }));
  EXPECT_TRUE(loop.run());
  EXPECT_EQ(log, "xmt");
}
}  // namespace
}  // namespace gyre
