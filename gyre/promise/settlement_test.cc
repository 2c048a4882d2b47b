#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/promise/promise.h>

namespace gyre {
namespace {

struct Log { std::vector<std::string> lines; };

Promise<int> add(Loop&, Promise<int> a) { co_return co_await a + 1; }
Promise<std::unique_ptr<int>> box(Loop&) { co_return std::make_unique<int>(3); }
Promise<void> user(Loop& loop, int& out) { auto p = co_await box(loop); out = *p; co_await Promise<void>::resolved(loop); out++; }

TEST(Smoke, All) {
  Loop loop({.auto_exit = true});
  int got = 0, c = 0, fin = 0;
  {
    auto [p, r] = Promise<int>::with_resolver(loop);
    p.then([&](int v) { got = v; return v + 1; }).then([&](int v) { got = v; throw std::runtime_error("x"); }).catch_<std::runtime_error>([&](const std::runtime_error&) { ++c; }).finally([&] { ++fin; });
    add(loop, p).then([&](int v) { EXPECT_EQ(v, 6); ++fin; });
    r.resolve(5);
    int out = 0;
    user(loop, out);
    EXPECT_TRUE(loop.run());
    EXPECT_EQ(out, 4);
  }
  EXPECT_EQ(got, 6); EXPECT_EQ(c, 1); EXPECT_EQ(fin, 2);
}
}  // namespace
}  // namespace gyre
