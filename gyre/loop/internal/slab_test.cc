#include <set>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/loop/internal/slab.h>

namespace gyre::internal {
namespace {

TEST(Slab, HandsOutDenseIndicesFromZero) {
  Slab<int> slab;
  EXPECT_EQ(slab.capacity(), 0u);
  std::set<std::uint32_t> seen;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(slab.acquire(), i);
    EXPECT_EQ(slab.in_use(), i + 1);
  }
  EXPECT_GE(slab.capacity(), 1000u);
}

TEST(Slab, UsesTheLastReleasedFirst) {
  Slab<int> slab;
  for (int i = 0; i < 10; ++i) static_cast<void>(slab.acquire());
  slab.release(3);
  slab.release(7);
  EXPECT_EQ(slab.acquire(), 7u);
  EXPECT_EQ(slab.acquire(), 3u);
  EXPECT_EQ(slab.acquire(), 10u);
}

TEST(Slab, ObjectsNeverMove) {
  Slab<int> slab;
  const std::uint32_t index = slab.acquire();
  int* const address = &slab[index];
  *address = 42;
  for (int i = 0; i < 10'000; ++i) static_cast<void>(slab.acquire());
  EXPECT_EQ(&slab[index], address);
  EXPECT_EQ(slab[index], 42);
}

TEST(Slab, GivesBackWhatABurstHasNeededOnce) {
  Slab<int> slab;
  std::vector<std::uint32_t> taken;
  for (int i = 0; i < 10'000; ++i) taken.push_back(slab.acquire());
  for (const std::uint32_t index : taken) slab.release(index);
  const std::uint32_t before = slab.capacity();
  EXPECT_TRUE(slab.trim());  // it was needed since the last time
  EXPECT_EQ(slab.capacity(), before);
  EXPECT_FALSE(slab.trim());
  EXPECT_LE(slab.capacity(), 1024u);
  EXPECT_EQ(slab.in_use(), 0u);
  std::set<std::uint32_t> seen;
  for (std::uint32_t i = 0; i < 5000; ++i) EXPECT_TRUE(seen.insert(slab.acquire()).second);
  EXPECT_EQ(*seen.rbegin(), 4999u);
}

TEST(Slab, KeepsTheChunksOfObjectsInUse) {
  Slab<int> slab;
  std::vector<std::uint32_t> taken;
  for (int i = 0; i < 10'000; ++i) taken.push_back(slab.acquire());
  slab[5000] = 42;
  for (const std::uint32_t index : taken) {
    if (index != 5000) slab.release(index);
  }
  slab.trim();
  slab.trim();
  EXPECT_GT(slab.capacity(), 5000u);
  EXPECT_LE(slab.capacity(), 5000u + Slab<int>::kChunk);
  EXPECT_EQ(slab.in_use(), 1u);
  EXPECT_EQ(slab[5000], 42);
}

}  // namespace
}  // namespace gyre::internal
