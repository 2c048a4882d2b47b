#include <atomic>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre {
namespace {

using namespace testing;

// Tasks that can be taken back: by a handle, or by a stop token. `Loop` and `Remote` offer both alike.
template <typename Target>
void expect_cancellable(Loop& loop, Target target) {
  const auto capture = std::make_shared<int>();
  bool ran = false;
  PostedTask cancelled = must(target.post_cancellable([capture] { ADD_FAILURE(); }));
  PostedTask kept = must(target.post_cancellable([&ran, capture] { ran = true; }));
  EXPECT_EQ(capture.use_count(), 3);
  EXPECT_TRUE(cancelled.cancel());
  EXPECT_EQ(capture.use_count(), 2) << "what it captured is gone at once";
  EXPECT_FALSE(cancelled.cancel());
  must(loop.poll_once());
  EXPECT_TRUE(ran);
  EXPECT_EQ(capture.use_count(), 1) << "though the handle is still there";
  EXPECT_FALSE(kept.cancel());
}

struct OwnersView {
  Loop& loop;
  auto post_cancellable(Task task) { return loop.post_cancellable(std::move(task)); }
  auto post(Task task, std::stop_token stop) { return loop.post(std::move(task), std::move(stop)); }
};

TEST(PostedTask, CanBeTakenBackUntilItRuns) {
  Loop loop;
  expect_cancellable(loop, OwnersView(loop));
  expect_cancellable(loop, loop.remote());
}

template <typename Target>
void expect_stoppable(Loop& loop, Target target) {
  const auto capture = std::make_shared<int>();
  std::stop_source stop;
  std::stop_source never;
  bool ran = false;
  must(target.post([capture] { ADD_FAILURE(); }, stop.get_token()));
  must(target.post([&ran, capture] { ran = true; }, never.get_token()));
  must(target.post([capture] {}, std::stop_token()));
  stop.request_stop();
  must(loop.poll_once());
  EXPECT_TRUE(ran);
  EXPECT_EQ(capture.use_count(), 1);
}

TEST(PostedTask, IsDroppedWhenItsTokenIsStoppedFirst) {
  Loop loop;
  expect_stoppable(loop, OwnersView(loop));
  expect_stoppable(loop, loop.remote());
}

TEST(PostedTask, MayBeStoppedByTheTaskBeforeIt) {
  Loop loop;
  std::stop_source stop;
  must(loop.post([&] { stop.request_stop(); }));
  must(loop.post([] { ADD_FAILURE(); }, stop.get_token()));
  must(loop.poll_once());
}

TEST(PostedTask, CannotCancelItself) {
  Loop loop;
  PostedTask self;
  bool ran = false;
  self = must(loop.post_cancellable([&] {
    EXPECT_FALSE(self.cancel());
    ran = true;
  }));
  must(loop.poll_once());
  EXPECT_TRUE(ran);
}

TEST(PostedTask, ThatFailsIsGoneWithItsCaptures) {
  int failures = 0;
  Loop loop({.on_callback_error = [&](const Error&, CallbackKind) { ++failures; }});
  const auto capture = std::make_shared<int>();
  PostedTask handle = must(loop.post_cancellable([capture] { throw std::runtime_error("it failed"); }));
  must(loop.poll_once());
  EXPECT_EQ(failures, 1);
  EXPECT_EQ(capture.use_count(), 1) << "though the handle is still there";
  EXPECT_FALSE(handle.cancel());
}

TEST(PostedTask, IsRefusedByALoopThatHasEnded) {
  Loop loop;
  must(loop.close());
  const auto capture = std::make_shared<int>();
  EXPECT_TRUE(fails_with(loop.post_cancellable([capture] {}), Errc::terminated));
  EXPECT_TRUE(fails_with(loop.post([capture] {}, std::stop_token()), Errc::terminated));
  EXPECT_TRUE(fails_with(loop.remote().post_cancellable([capture] {}), Errc::terminated));
  EXPECT_TRUE(fails_with(loop.remote().post([capture] {}, std::stop_token()), Errc::terminated));
  EXPECT_EQ(capture.use_count(), 1);
}

TEST(PostedTask, OfOneThatNeverWasThereIsNothingToCancel) {
  EXPECT_FALSE(PostedTask().cancel());
  EXPECT_THROW(static_cast<void>(Loop().post_cancellable(nullptr)), std::logic_error);
  EXPECT_THROW(static_cast<void>(Loop().post(nullptr, std::stop_token())), std::logic_error);
}

TEST(PostedTask, TheHandleMayOutliveTheLoopAndFindsItsTaskStillThere) {
  PostedTask handle;
  const auto capture = std::make_shared<int>();
  {
    Loop loop;
    handle = must(loop.post_cancellable([capture] { ADD_FAILURE(); }));
  }
  EXPECT_TRUE(handle.cancel()) << "it never ran and never will";
  EXPECT_EQ(capture.use_count(), 1);
}

TEST(PostedTask, RunsOrIsCancelledByExactlyOneOfManyThreads) {  // L99
  Loop loop;
  Remote remote = loop.remote();
  Runner runner(loop);
  std::atomic<int> outcomes = 0;
  constexpr int kTasks = 2'000;
  for (int i = 0; i < kTasks / 100; ++i) {
    std::vector<PostedTask> handles;
    for (int j = 0; j < 100; ++j) handles.push_back(must(remote.post_cancellable([&] { ++outcomes; })));
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 8; ++thread) {
      threads.emplace_back([&, mine = handles]() mutable {
        for (PostedTask& handle : mine) outcomes += handle.cancel() ? 1 : 0;
      });
    }
  }
  must(remote.shutdown());
  EXPECT_EQ(outcomes, kTasks);
}

}  // namespace
}  // namespace gyre
