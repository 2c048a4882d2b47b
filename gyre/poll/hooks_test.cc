#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/poll/internal/test_support.h>

// Hooks: values from channels, in the loop.

namespace gyre::poll {
namespace {

using testing::fails_with;
using testing::must;
using namespace std::chrono_literals;

class Hooks : public testing::PollTest {
 protected:
  Hooks() {
    must(poller_.add("a", [this] { says("a"); }));
  }
  Reason run(Duration end = 1s) { return poller_.run_here({.stop = stop_.get_token(), .deadline = time(end)}); }

  Poller poller_{loop_};
};

TEST_F(Hooks, S24_AClosedChannelIsToldOnceAndTheLoopStaysIdle) {
  Channel<int> channel(4);
  must(poller_.add_hook(channel, [&](Ctl&, std::optional<int> n) { says(n ? std::to_string(*n) : "closed"); }));
  must(channel.try_send(7));
  channel.close();
  std::uint64_t turns = 0;
  after(1ms, [&] { turns = poller_.stats().turns; });
  after(20ms, [&] { EXPECT_EQ(poller_.stats().turns, turns); });
  run();
  EXPECT_EQ(log_, (Lines{"7 0", "closed 0"}));
}

TEST_F(Hooks, REQ_POLL_6_AHookMayUnregisterItself) {
  Channel<int> channel(4);
  HookId id;
  id = must(poller_.add_hook(channel, [&](Ctl&, std::optional<int> n) {
    says(std::to_string(*n));
    return *n == 2 ? HookAction::unregister : HookAction::keep;
  }));
  for (const int n : {1, 2, 3}) must(channel.try_send(n));
  run();
  EXPECT_EQ(log_, (Lines{"1 0", "2 0"}));
  EXPECT_EQ(channel.size(), 1u);
  EXPECT_TRUE(fails_with(poller_.remove_hook(id), Errc::not_found));
}

TEST_F(Hooks, REQ_POLL_6_AHooksErrorEndsTheRunAndIsNotABusyLoop) {
  const Error error(Errc::not_found, "the source has gone");
  Channel<int> channel(4);
  must(poller_.add_hook(channel, [&](Ctl&, std::optional<int> n) -> Result<void> {
    if (!n) return std::unexpected(error);
    return {};
  }));
  channel.close();
  EXPECT_EQ(run().error().correlation_id(), error.correlation_id());
}

TEST_F(Hooks, AHooksExceptionNamesIt) {
  Channel<int> channel(4);
  must(poller_.add_hook(channel, [](Ctl&, std::optional<int>) { throw std::out_of_range("thrown"); }));
  must(channel.try_send(1));
  const Reason why = run();
  EXPECT_TRUE(why.is(Errc::hook_failed));
  EXPECT_NE(why.as<std::out_of_range>(), nullptr);
}

TEST_F(Hooks, S25_ValuesPassUnchanged) {
  Channel<int*> pointers(1);
  Channel<std::vector<int>> vectors(1);
  Channel<Error> errors(1);
  Channel<std::unique_ptr<int>> boxes(1);
  const Error error(Errc::not_found, "a value");
  int seen = 0;
  must(poller_.add_hook(pointers, [&](Ctl&, std::optional<int*> value) { seen += value && *value == nullptr; }));
  must(
      poller_.add_hook(vectors, [&](Ctl&, std::optional<std::vector<int>> value) { seen += value && value->empty(); }));
  must(poller_.add_hook(errors, [&](Ctl&, std::optional<Error> value) {
    seen += value && value->correlation_id() == error.correlation_id();
  }));
  must(poller_.add_hook(boxes, [&](Ctl&, std::optional<std::unique_ptr<int>> value) { seen += **value == 3; }));
  must(pointers.try_send(nullptr));
  must(vectors.try_send({}));
  must(errors.try_send(error));
  must(boxes.try_send(std::make_unique<int>(3)));
  run();
  EXPECT_EQ(seen, 4);
}

TEST_F(Hooks, S29_AFloodDoesNotStarveTasks) {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    Poller poller(loop_, {.seed = seed});
    Channel<int> flood(1);
    std::vector<std::uint64_t> started;
    std::uint64_t ready_at = 0;
    std::uint64_t second_at = 0;
    std::stop_source stop;
    must(poller.add("task", [&]() -> Stage {
      started.push_back(poller.stats().turns);
      return [&](Ctl&) {
        second_at = poller.stats().turns;
        stop.request_stop();
      };
    }));
    must(poller.add_hook(flood, [&](Ctl& c, std::optional<int> n) {
      must(flood.try_send(*n + 1));
      if (*n == 10) {
        must(c.schedule_asap("task"));
        ready_at = poller.stats().turns;
      }
    }));
    must(flood.try_send(0));
    poller.run_here({.stop = stop.get_token()});
    ASSERT_EQ(started.size(), 1u);
    EXPECT_LE(started[0] - ready_at, 2u);
    EXPECT_GT(second_at, 0u) << "the second stage had its turn among the values";
  }
}

TEST_F(Hooks, REQ_POLL_10_TheSameSeedGivesTheSameOrder) {
  const auto order = [&](std::uint64_t seed) {
    Poller poller(loop_, {.seed = seed});
    must(poller.add("a", [] {}));
    std::string seen;
    for (const char name : {'x', 'y', 'z'}) {
      Channel<int> channel(20);
      for (int i = 0; i < 20; ++i) must(channel.try_send(i));
      must(poller.add_hook(channel, [&seen, name](Ctl&, std::optional<int>) { seen += name; }));
    }
    poller.run_here({.deadline = clock_.now() + 1ms});
    return seen;
  };
  const std::string once = order(42);
  EXPECT_EQ(once.size(), 60u);
  EXPECT_EQ(order(42), once);
  EXPECT_NE(order(43), once);
}

TEST_F(Hooks, ValuesFromOtherThreads) {
  Loop loop;
  Poller poller(loop);
  must(poller.add("a", [] {}));
  Channel<int> channel(4);
  std::int64_t sum = 0;
  must(poller.add_hook(channel, [&](Ctl&, std::optional<int> n) {
    if (!n) stop_.request_stop();
    sum += n.value_or(0);
  }));
  std::jthread sender([&] {
    for (int i = 1; i <= 10'000; ++i) must(channel.send_blocking(i));
    channel.close();
  });
  EXPECT_TRUE(poller.run_here({.stop = stop_.get_token()}).is(Errc::cancelled));
  EXPECT_EQ(sum, 50'005'000);
}

TEST_F(Hooks, HearNothingBetweenRuns) {
  Channel<int> channel(4);
  must(poller_.add_hook(channel, [&](Ctl&, std::optional<int> n) { says(std::to_string(*n)); }));
  run(5ms);
  must(channel.try_send(1));
  must(loop_.run_for(10ms));
  EXPECT_EQ(log_, Lines{});
  run(30ms);
  EXPECT_EQ(log_, Lines{"1 15"});
}

TEST_F(Hooks, AddedAndRemovedWhileItRuns) {
  Channel<int> first(4);
  Channel<int> second(4);
  HookId added;
  must(poller_.add_hook(first, [&](Ctl&, std::optional<int> n) {
    if (*n == 1) {
      added = must(poller_.add_hook(second, [&](Ctl&, std::optional<int> m) { says("second " + std::to_string(*m)); }));
    } else {
      must(poller_.remove_hook(added));
    }
  }));
  must(second.try_send(1));
  after(1ms, [&] { must(first.try_send(1)); });
  after(2ms, [&] { must(first.try_send(2)); });
  after(3ms, [&] { must(second.try_send(2)); });
  run();
  EXPECT_EQ(log_, Lines{"second 1 1"});
}

}  // namespace
}  // namespace gyre::poll
