#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <gyre/base/intrusive_list.h>

namespace gyre {
namespace {

struct Item : ListHook {
  explicit Item(int v) : value(v) {}
  int value;
};

std::vector<int> values(IntrusiveList<Item>& list) {
  std::vector<int> result;
  for (const Item& item : list) result.push_back(item.value);
  return result;
}

TEST(IntrusiveList, KeepsOrderAtBothEnds) {
  Item a(1), b(2), c(3);
  IntrusiveList<Item> list;
  list.push_back(b);
  list.push_back(c);
  list.push_front(a);
  EXPECT_THAT(values(list), testing::ElementsAre(1, 2, 3));
  EXPECT_EQ(list.front().value, 1);
  EXPECT_EQ(list.back().value, 3);
  EXPECT_EQ(list.size(), 3u);
}

TEST(IntrusiveList, ElementsLeaveFromAnywhere) {
  Item a(1), b(2), c(3);
  IntrusiveList<Item> list;
  for (Item* item : {&a, &b, &c}) list.push_back(*item);
  b.unlink();
  EXPECT_FALSE(b.is_linked());
  EXPECT_THAT(values(list), testing::ElementsAre(1, 3));
  b.unlink();  // a second time is harmless
  EXPECT_EQ(list.pop_front(), &a);
  EXPECT_EQ(list.pop_front(), &c);
  EXPECT_EQ(list.pop_front(), nullptr);
}

TEST(IntrusiveList, ADestroyedElementUnlinksItself) {
  IntrusiveList<Item> list;
  Item a(1);
  list.push_back(a);
  {
    Item b(2);
    list.push_back(b);
  }
  EXPECT_THAT(values(list), testing::ElementsAre(1));
}

TEST(IntrusiveList, SpliceMovesEverythingInOrder) {
  Item a(1), b(2), c(3), d(4);
  IntrusiveList<Item> first, second, empty;
  first.push_back(a);
  first.push_back(b);
  second.push_back(c);
  second.push_back(d);
  first.splice_back(second);
  first.splice_back(empty);
  EXPECT_TRUE(second.empty());
  EXPECT_THAT(values(first), testing::ElementsAre(1, 2, 3, 4));
  empty.splice_back(first);
  EXPECT_THAT(values(empty), testing::ElementsAre(1, 2, 3, 4));
}

TEST(IntrusiveList, ADestroyedListReleasesItsElements) {
  Item a(1);
  {
    IntrusiveList<Item> list;
    list.push_back(a);
  }
  EXPECT_FALSE(a.is_linked());
}

}  // namespace
}  // namespace gyre
