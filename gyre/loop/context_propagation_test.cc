#include <functional>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/base/context.h>
#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre {
namespace {

using namespace testing;

// The context that is current when a callback is scheduled is current while it runs, and nobody else sees it.

const ContextKey<std::string> kRequest("request");

std::string request() {
  const std::string* value = Context::current().get(kRequest);
  return value == nullptr ? "none" : *value;
}

class Propagation : public ::testing::Test {
 protected:
  /// Runs `action` as part of that request.
  template <typename Action>
  static void as(std::string name, Action action) {
    const ContextScope scope(Context::current().with(kRequest, std::move(name)));
    action();
  }
  /// Notes the request that it runs in.
  Task note() {
    return [this] { seen.push_back(request()); };
  }
  ManualClock clock;
  Loop loop{LoopOptions{.clock = &clock}};
  std::vector<std::string> seen;
};

TEST_F(Propagation, ReachesEveryKindOfCallback) {
  Remote remote = loop.remote();
  as("42", [&] {
    must(loop.post(note()));
    must(loop.post_priority(note()));
    must(loop.next_tick(note()));
    must(loop.queue_microtask(note()));
    must(loop.at_checkpoint_end(note()));
    must(loop.set_immediate(note()));
    must(loop.set_immediate(note(), [] { return true; }));
    must(loop.post_close(note()));
    must(loop.set_timeout(0s, note()));
    must(loop.set_timeout_at(TimePoint(), note()));
    must(loop.post(note(), std::stop_token()));
    must(loop.post_cancellable(note()));
    must(remote.post(note()));
    must(remote.post_priority(note()));
    must(remote.next_tick(note()));
    must(remote.queue_microtask(note()));
    must(remote.at_checkpoint_end(note()));
    must(remote.set_immediate(note()));
    must(remote.post_close(note()));
    must(remote.set_timeout(0s, note()));
    must(remote.set_timeout_at(TimePoint(), note()));
    must(remote.post(note(), std::stop_token()));
    must(remote.post_cancellable(note()));
  });
  EXPECT_EQ(request(), "none");
  must(loop.poll_once());
  must(loop.poll_once());
  EXPECT_EQ(seen, std::vector<std::string>(23, "42"));
  EXPECT_EQ(request(), "none");
}

TEST_F(Propagation, ReachesEachRunOfAnInterval) {
  as("42", [&] {
    must(loop.set_interval(0s, note()));
    must(loop.remote().set_interval(0s, note()));
  });
  for (int i = 0; i < 4; ++i) must(loop.poll_once());
  EXPECT_GE(seen.size(), 6u);
  for (const std::string& each : seen) EXPECT_EQ(each, "42");
}

TEST_F(Propagation, ReachesAWatcher) {
  Pipe pipe;
  pipe.send();
  Watcher watcher;
  as("42", [&] { watcher = must(loop.watch(pipe.read_end(), Readiness::read, [&](Readiness) { note()(); })); });
  must(loop.poll_once());
  must(loop.poll_once());
  EXPECT_EQ(seen, std::vector<std::string>(2, "42"));
}

TEST_F(Propagation, ReachesOffloadedWorkAndItsEnd) {
  Loop exiting({.auto_exit = true});
  std::string in_work;
  as("42",
     [&] { must(exiting.offload([&](std::stop_token) { in_work = request(); }, [&](Result<void>) { note()(); })); });
  must(exiting.offload([&](std::stop_token) { return request(); },
                       [&](Result<std::string> result) { seen.push_back(must(std::move(result))); }));
  must(exiting.run());
  EXPECT_EQ(in_work, "42");
  std::ranges::sort(seen);
  EXPECT_EQ(seen, (std::vector<std::string>{"42", "none"}));
}

TEST_F(Propagation, FollowsEverythingThatIsScheduledInTurnAndNoSibling) {
  as("a", [&] {
    must(loop.post([&] {
      must(loop.set_immediate([&] { must(loop.queue_microtask([&] { must(loop.set_timeout(0s, note())); })); }));
    }));
  });
  as("b", [&] { must(loop.post([&] { must(loop.post(note())); })); });
  must(loop.post([&] { must(loop.post(note())); }));
  for (int i = 0; i < 5; ++i) must(loop.poll_once());
  std::ranges::sort(seen);
  EXPECT_EQ(seen, (std::vector<std::string>{"a", "b", "none"}));
}

TEST_F(Propagation, MayBeExtendedOnTheWay) {
  as("outer", [&] {
    must(loop.post([&] {
      as("inner", [&] { must(loop.queue_microtask(note())); });
      must(loop.queue_microtask(note()));
    }));
  });
  must(loop.poll_once());
  EXPECT_EQ(seen, (std::vector<std::string>{"inner", "outer"}));
}

TEST_F(Propagation, EndsWithACallbackThatFails) {
  as("42", [&] { must(loop.post([] { throw std::runtime_error("it failed"); })); });
  must(loop.post(note()));
  must(loop.poll_once());
  EXPECT_EQ(seen, std::vector<std::string>{"none"});
}

TEST_F(Propagation, TheCallersOwnContextDoesNotLeakIntoTheRun) {
  must(loop.post(note()));
  as("caller", [&] { must(loop.poll_once()); });
  must(loop.set_immediate(note()));
  must(loop.post([&] { must(loop.shutdown()); }));
  as("caller", [&] { must(loop.run()); });
  EXPECT_EQ(seen, std::vector<std::string>(2, "none"));
}

TEST_F(Propagation, ACallbacksContextDoesNotLeakIntoACheckpointThatItRuns) {
  must(loop.post([&] {
    must(loop.queue_microtask(note()));
    as("callback", [&] {
      loop.run_checkpoint();
      EXPECT_EQ(request(), "callback");
    });
    must(loop.yield_checkpoint());
    must(loop.queue_microtask(note()));
    as("callback", [&] { must(loop.resume_checkpoint()); });
    must(loop.queue_microtask(note()));
    as("callback", [&] { must(loop.advance_checkpoint()); });
  }));
  must(loop.poll_once());
  EXPECT_EQ(seen, std::vector<std::string>(3, "none"));
}

TEST_F(Propagation, IsLetGoWithTheCallback) {
  static const ContextKey<std::shared_ptr<int>> key("value");
  const auto value = std::make_shared<int>();
  {
    const ContextScope scope(Context().with(key, value));
    must(loop.post([] {}));
    must(loop.cancel(must(loop.set_timeout(1h, [] {}))));
  }
  EXPECT_EQ(value.use_count(), 2);
  must(loop.poll_once());
  EXPECT_EQ(value.use_count(), 1);
}

TEST_F(Propagation, AnEmptyCallbackIsStillRefused) {
  as("42", [&] {
    EXPECT_THROW(static_cast<void>(loop.post(nullptr)), std::logic_error);
    EXPECT_THROW(static_cast<void>(loop.remote().post(nullptr)), std::logic_error);
    EXPECT_THROW(static_cast<void>(loop.remote().set_timeout(0s, nullptr)), std::logic_error);
  });
}

}  // namespace
}  // namespace gyre
