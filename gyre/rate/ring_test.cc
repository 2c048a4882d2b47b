#include <random>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/rate/internal/ring.h>

namespace gyre::rate::internal {
namespace {

using Times = Ring<std::int64_t>;

template <typename T>
std::vector<T> contents(const Ring<T>& ring) {
  std::vector<T> all;
  for (std::uint32_t i = 0; i < ring.size(); ++i) all.push_back(ring[i]);
  return all;
}

TEST(Ring, RATE_13_TheNinthTimeDoublesARingOfEight) {  // REQ_RATE_3
  Times ring;
  EXPECT_EQ(ring.capacity(), 8u);
  EXPECT_EQ(ring.heap_bytes(), 0u);
  std::vector<std::int64_t> expected;
  for (std::int64_t i = 0; i < 9; ++i) {
    ring.push_back(i * 10);
    expected.push_back(i * 10);
  }
  EXPECT_EQ(ring.capacity(), 16u);
  EXPECT_EQ(contents(ring), expected);
}

TEST(Ring, RATE_13_InsertsAtEveryPlaceOfAWrappedRing) {
  for (std::uint32_t rotation = 0; rotation < 16; ++rotation) {
    for (std::uint32_t place = 0; place <= 9; ++place) {
      Times ring;
      ring.reserve(16);
      for (std::uint32_t i = 0; i < rotation; ++i) {
        ring.push_back(-1);
        ring.pop_front(1);
      }
      std::vector<std::int64_t> expected;
      for (std::int64_t i = 0; i < 9; ++i) {
        ring.push_back(i);
        expected.push_back(i);
      }
      ring.insert(place, 99);
      expected.insert(expected.begin() + place, 99);
      EXPECT_EQ(contents(ring), expected) << rotation << " " << place;
      EXPECT_EQ(ring.capacity(), 16u);
    }
  }
}

TEST(Ring, RATE_13_AnIndexBeyondTheEndIsAnError) {
  Times ring;
  ring.push_back(1);
  EXPECT_THROW(ring.insert(2, 5), std::out_of_range);
  EXPECT_THROW(ring.erase(1), std::out_of_range);
  EXPECT_EQ(contents(ring), std::vector<std::int64_t>{1});
}

TEST(Ring, RATE_14_BehavesAsAVector) {
  std::mt19937_64 random(14);
  Ring<std::uint32_t> ring;
  std::vector<std::uint32_t> model;
  for (int i = 0; i < 10'000; ++i) {
    const auto place = static_cast<std::uint32_t>(random() % (model.size() + 1));
    switch (model.size() > 100 ? 1 : random() % 4) {
      case 0:
      case 2:
        ring.insert(place, static_cast<std::uint32_t>(i));
        model.insert(model.begin() + place, static_cast<std::uint32_t>(i));
        break;
      case 1:
        ring.pop_front(place);
        model.erase(model.begin(), model.begin() + place);
        break;
      default:
        if (place == model.size()) break;
        ring.erase(place);
        model.erase(model.begin() + place);
    }
    ASSERT_EQ(contents(ring), model);
  }
}

TEST(Ring, CapacitiesAreTheNextPowerOfTwo) {
  const auto capacity = [](std::uint32_t events) {
    Times ring;
    ring.reserve(events);
    return ring.capacity();
  };
  EXPECT_EQ(capacity(1), 8u);
  EXPECT_EQ(capacity(8), 8u);
  EXPECT_EQ(capacity(9), 16u);
  EXPECT_EQ(capacity(100), 128u);
  EXPECT_EQ(capacity(300), 512u);
  EXPECT_EQ(capacity(1'000), 1'024u);
  EXPECT_EQ(capacity(8'000), 8'192u);
  EXPECT_EQ(capacity(50'000), 65'536u);
  EXPECT_EQ(capacity(200'000), 262'144u);
}

}  // namespace
}  // namespace gyre::rate::internal
