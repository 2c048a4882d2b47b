#include <string>
#include <thread>

#include <gtest/gtest.h>

#include <gyre/base/context.h>

namespace gyre {
namespace {

const ContextKey<std::string> request("request");
const ContextKey<int> depth("depth");

TEST(Context, IsEmptyAtFirst) {
  EXPECT_FALSE(Context::current());
  EXPECT_EQ(Context().get(request), nullptr);
}

TEST(Context, AddsFactsAndHidesEarlierOnesOfTheSameKey) {
  const Context first = Context().with(request, std::string("a")).with(depth, 1);
  const Context second = first.with(depth, 2);
  EXPECT_EQ(*first.get(depth), 1);
  EXPECT_EQ(*second.get(depth), 2);
  EXPECT_EQ(*second.get(request), "a");
}

TEST(Context, KeysOfTheSameNameAreDifferentKeys) {
  const ContextKey<int> other("depth");
  EXPECT_EQ(Context().with(depth, 1).get(other), nullptr);
}

TEST(Context, ScopesNestAndEnd) {
  const Context outer = Context().with(depth, 1);
  {
    const ContextScope scope(outer);
    EXPECT_EQ(Context::current(), outer);
    {
      const ContextScope inner(outer.with(depth, 2));
      EXPECT_EQ(*Context::current().get(depth), 2);
      const ContextScope none{Context()};
      EXPECT_FALSE(Context::current());
    }
    EXPECT_EQ(*Context::current().get(depth), 1);
  }
  EXPECT_FALSE(Context::current());
}

TEST(Context, ScopesEndWhenAnExceptionPasses) {
  EXPECT_THROW(
      {
        const ContextScope scope(Context().with(depth, 1));
        throw 1;
      },
      int);
  EXPECT_FALSE(Context::current());
}

TEST(Context, IsOfTheThreadThatMadeItCurrent) {
  const ContextScope scope(Context().with(depth, 1));
  std::thread([] { EXPECT_FALSE(Context::current()); }).join();
}

TEST(Context, FollowsACallable) {
  UniqueFunction<int(int)> add;
  {
    const ContextScope scope(Context().with(depth, 40));
    add = in_current_context(UniqueFunction<int(int)>([](int n) { return *Context::current().get(depth) + n; }));
  }
  EXPECT_EQ(add(2), 42);
  EXPECT_FALSE(Context::current());
}

TEST(Context, AnEmptyCallableStaysEmpty) {
  const ContextScope scope(Context().with(depth, 1));
  EXPECT_FALSE(in_current_context(Task()));
}

}  // namespace
}  // namespace gyre
