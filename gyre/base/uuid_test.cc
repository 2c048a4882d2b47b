#include <set>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gyre/base/uuid.h>

namespace gyre {
namespace {

TEST(Uuid, Version7CarriesVersionVariantAndTime) {
  const auto before = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const Uuid id = Uuid::v7();
  const auto after = std::chrono::system_clock::now();
  EXPECT_EQ(id.version(), 7);
  EXPECT_EQ(id.bytes()[8] >> 6, 2);
  EXPECT_GE(id.time(), before);
  EXPECT_LE(id.time(), after);
}

TEST(Uuid, OneThreadsIdsStrictlyIncrease) {
  Uuid last = Uuid::v7();
  for (int i = 0; i < 100'000; ++i) {
    const Uuid next = Uuid::v7();
    ASSERT_LT(last, next);
    last = next;
  }
}

TEST(Uuid, ThreadsDoNotRepeatEachOther) {
  constexpr int kThreads = 8, kEach = 5'000;
  std::vector<std::vector<Uuid>> made(kThreads);
  std::vector<std::thread> threads;
  for (auto& mine : made) {
    threads.emplace_back([&mine] {
      for (int i = 0; i < kEach; ++i) mine.push_back(Uuid::v7());
    });
  }
  for (auto& thread : threads) thread.join();
  std::set<Uuid> all;
  for (const auto& mine : made) all.insert(mine.begin(), mine.end());
  EXPECT_EQ(all.size(), static_cast<std::size_t>(kThreads * kEach));
}

TEST(Uuid, AForkedChildDrawsItsOwnRandomBits) {
  static_cast<void>(Uuid::v7());  // fills this thread's pool, which the child inherits
  int channel[2];
  ASSERT_EQ(pipe(channel), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto bytes = Uuid::v7().bytes();
    _exit(write(channel[1], bytes.data(), bytes.size()) == 16 ? 0 : 1);
  }
  const Uuid mine = Uuid::v7();
  std::array<std::uint8_t, 16> bytes{};
  ASSERT_EQ(read(channel[0], bytes.data(), bytes.size()), 16);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  close(channel[0]);
  close(channel[1]);
  EXPECT_FALSE(std::equal(bytes.begin() + 8, bytes.end(), mine.bytes().begin() + 8));
}

TEST(Uuid, TextFormRoundTrips) {
  const Uuid id = Uuid::v7();
  EXPECT_EQ(Uuid::parse(id.to_string()), id);
  const auto upper = Uuid::parse("0190A7C4-1B2C-7DEF-8123-456789ABCDEF");
  ASSERT_TRUE(upper);
  EXPECT_EQ(upper->to_string(), "0190a7c4-1b2c-7def-8123-456789abcdef");
}

TEST(Uuid, ParseRefusesWhatIsNotCanonical) {
  for (const char* text :
       {"", "0190a7c4", "0190a7c4-1b2c-7def-8123-456789abcdeg", "0190a7c41b2c-7def-8123-456789abcdef-",
        "0190a7c4-1b2c-7def-8123-456789abcdef0", "{190a7c4-1b2c-7def-8123-456789abcdef}"}) {
    EXPECT_FALSE(Uuid::parse(text)) << text;
  }
}

TEST(Uuid, NilIsAllZeroAndHashesDiffer) {
  EXPECT_TRUE(Uuid{}.is_nil());
  EXPECT_EQ(Uuid{}.to_string(), "00000000-0000-0000-0000-000000000000");
  EXPECT_NE(std::hash<Uuid>{}(Uuid::v7()), std::hash<Uuid>{}(Uuid::v7()));
}

}  // namespace
}  // namespace gyre
