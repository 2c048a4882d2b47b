#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/poll/channel.h>
#include <gyre/poll/internal/test_support.h>

namespace gyre::poll {
namespace {

using testing::fails_with;
using testing::must;
using namespace std::chrono_literals;

class Channels : public testing::PollTest {};

TEST_F(Channels, HoldWhatTheyMayAndKeepItAfterClosing) {
  EXPECT_THROW(Channel<int>(0), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(Channel<int>().try_receive()), std::logic_error);
  Channel<std::unique_ptr<int>> channel(2);
  must(channel.try_send(std::make_unique<int>(1)));
  must(channel.try_send(std::make_unique<int>(2)));
  EXPECT_TRUE(fails_with(channel.try_send(std::make_unique<int>(3)), Errc::backpressure));
  channel.close();
  EXPECT_FALSE(channel.is_finished());
  EXPECT_TRUE(fails_with(channel.try_send(nullptr), Errc::closed));
  EXPECT_EQ(**channel.try_receive(), 1);
  std::vector<std::unique_ptr<int>> rest;
  EXPECT_EQ(channel.try_receive(rest, 10), 1u);
  EXPECT_TRUE(channel.is_finished());
}

TEST_F(Channels, PromisesWaitForValuesAndForRoom) {
  Channel<int> channel(1);
  const auto sender = [&](Loop& loop) -> Promise<void> {
    for (int i = 0; i < 5; ++i) co_await channel.send(loop, i);
    channel.close();
  };
  int sum = 0;
  const auto receiver = [&](Loop& loop) -> Promise<void> {
    while (const auto value = co_await channel.receive(loop)) sum += *value;
    says("end");
  };
  receiver(loop_);
  sender(loop_);
  finish();
  EXPECT_EQ(sum, 10);
  EXPECT_EQ(log_, Lines{"end 0"});
}

TEST_F(Channels, WaitsEndOnAStopAndOnClosing) {
  Channel<int> channel(1);
  const auto stopped = channel.receive(loop_, stop_.get_token());
  const auto closed = channel.receive(loop_);
  stopped.ignore_rejection();
  after(1ms, [&] { stop_.request_stop(); });
  after(2ms, [&] {
    EXPECT_TRUE(stopped.is_rejected());
    channel.close();
  });
  finish();
  EXPECT_TRUE(stopped.reason()->is(Errc::cancelled));
  EXPECT_FALSE(closed.value()->has_value());
}

TEST_F(Channels, AWaitThatTheLoopsEndCutsShortLeavesNothingBehind) {
  Channel<int> channel(1);
  {
    Loop loop;
    channel.receive(loop).ignore_rejection();
    must(loop.poll_once());
  }
  must(channel.try_send(1));
  EXPECT_EQ(channel.try_receive(), 1);
}

TEST_F(Channels, ManyThreadsShareWithoutLossOrDuplicates) {
  constexpr int kEach = 5'000;
  Channel<int> channel(16);
  std::atomic<std::int64_t> sum = 0;
  std::atomic<int> count = 0;
  {
    std::vector<std::jthread> receivers;
    for (int i = 0; i < 2; ++i) {
      receivers.emplace_back([&] {
        while (const auto value = must(channel.receive_blocking())) {
          sum += *value;
          ++count;
        }
      });
    }
    {
      std::vector<std::jthread> senders;
      for (int i = 0; i < 2; ++i) {
        senders.emplace_back([&, i] {
          for (int n = 0; n < kEach; ++n) must(channel.send_blocking(i * kEach + n));
        });
      }
    }
    channel.close();
  }
  EXPECT_EQ(count, 2 * kEach);
  EXPECT_EQ(sum, std::int64_t{2 * kEach} * (2 * kEach - 1) / 2);
}

TEST_F(Channels, BlockingWaitsCanBeStopped) {
  Channel<int> channel(1);
  stop_.request_stop();
  EXPECT_TRUE(fails_with(channel.receive_blocking(stop_.get_token()), Errc::cancelled));
  must(channel.try_send(1));
  EXPECT_TRUE(fails_with(channel.send_blocking(2, stop_.get_token()), Errc::cancelled));
}

}  // namespace
}  // namespace gyre::poll
