#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre {
namespace {

using namespace testing;

/// A runtime with a queue of its own, in which the loop's microtasks get places.
class QueueingRuntime final : public LoopBinding {
 public:
  explicit QueueingRuntime(Loop& loop) : loop_(loop) { loop_.attach(*this); }
  ~QueueingRuntime() {
    if (attached_) detach();
  }

  void queue(std::function<void()> microtask) {
    loop_.lead_microtasks(*this);
    microtasks_.push_back(std::move(microtask));
  }
  /// As a script that is terminated loses what it has queued.
  void drop() { microtasks_.clear(); }
  void detach() {
    attached_ = false;
    loop_.detach(*this);
  }
  bool has_script_on_stack = false;
  bool keeps_places = true;

  bool run_ticks() override { return false; }
  bool run_microtasks() override {
    if (has_script_on_stack) return false;
    while (!microtasks_.empty()) {
      const auto microtask = std::move(microtasks_.front());
      microtasks_.pop_front();
      microtask();
    }
    if (attached_) loop_.stop_leading_microtasks(*this);
    return false;
  }
  bool keep_place() override {
    if (keeps_places) microtasks_.push_back([this] { loop_.run_microtask_in_place(*this); });
    return keeps_places;
  }
  bool finish_checkpoint() override { return false; }
  void on_quiescent() override {}
  void on_terminated(LoopEnd) override { attached_ = false; }

 private:
  Loop& loop_;
  std::deque<std::function<void()>> microtasks_;
  bool attached_ = true;
};

class MicrotaskPlace : public ::testing::Test {
 protected:
  void native(const std::string& word) {
    must(loop.queue_microtask([this, word] { log += word + " "; }));
  }
  void script(const std::string& word) {
    runtime.queue([this, word] { log += word + " "; });
  }
  void in_task(Task task) {
    must(loop.post(std::move(task)));
    must(loop.poll_once());
  }

  std::string log;
  Loop loop;
  QueueingRuntime runtime{loop};
};

TEST_F(MicrotaskPlace, GivesBothQueuesOneOrder) {  // R02
  in_task([&] {
    native("n1");
    script("s2");
    native("n3");
    native("n4");
    script("s5");
    native("n6");
  });
  EXPECT_EQ(log, "n1 s2 n3 n4 s5 n6 ");
}

TEST_F(MicrotaskPlace, IsKeptForWhatMicrotasksQueue) {  // R02
  in_task([&] {
    native("n1");
    must(loop.queue_microtask([&] {
      log += "n2 ";
      native("n5");
    }));
    runtime.queue([&] {
      log += "s3 ";
      native("n6");
    });
    script("s4");
  });
  EXPECT_EQ(log, "n1 n2 s3 s4 n5 n6 ");
}

TEST_F(MicrotaskPlace, IsKeptForEachOfTheTasksThatCannotBePutInPlace) {  // R02
  struct Quiet final : LoopObserver {
  } observer;
  loop.add_observer(observer);  // so that none is made in its place in the queue
  in_task([&] {
    script("s1");
    native("n2");
    script("s3");
    native("n4");
  });
  EXPECT_EQ(log, "s1 n2 s3 n4 ");
  loop.remove_observer(observer);
}

TEST_F(MicrotaskPlace, IsKeptForWhatOtherThreadsQueueWhenThatIsTakenOver) {  // R02
  in_task([&] {
    script("s1");
    std::jthread([&] { must(loop.remote().queue_microtask([&] { log += "posted "; })); }).join();
    native("n2");
    script("s3");
  });
  EXPECT_EQ(log, "s1 posted n2 s3 ");
}

TEST_F(MicrotaskPlace, WhatIsLostWithTheRuntimesQueueIsRunByTheLoop) {  // R02
  in_task([&] {
    native("n1");
    script("s2");
    native("n3");
    runtime.queue([&] {
      log += "ends ";
      runtime.drop();
    });
    native("n4");
    script("s5");
    native("n6");
  });
  EXPECT_EQ(log, "n1 s2 n3 ends n4 n6 ");
}

TEST_F(MicrotaskPlace, IsGivenUpWhenTheRuntimeLeaves) {  // R02
  in_task([&] {
    script("s1");
    native("n2");
    runtime.detach();
    native("n3");
  });
  EXPECT_EQ(log, "n2 n3 ");
}

TEST_F(MicrotaskPlace, IsGivenUpWhenTheRuntimeLeavesInTheMiddle) {  // R02
  in_task([&] {
    script("s1");
    native("n2");
    must(loop.queue_microtask([&] {
      log += "leaves ";
      runtime.detach();
    }));
    native("n3");
    script("s4");
  });
  EXPECT_EQ(log, "s1 n2 leaves s4 n3 ");
}

TEST_F(MicrotaskPlace, IsNotWaitedForWhereTheRuntimeCannotRun) {  // R02
  in_task([&] {
    runtime.has_script_on_stack = true;
    script("s1");
    native("n2");
    loop.run_checkpoint();
    EXPECT_EQ(log, "n2 ");
    runtime.has_script_on_stack = false;
    runtime.drop();
    script("s3");
    native("n4");
  });
  EXPECT_EQ(log, "n2 s3 n4 ");
}

TEST_F(MicrotaskPlace, IsNothingThatARuntimeMustKeep) {  // R02
  runtime.keeps_places = false;
  in_task([&] {
    script("s1");
    native("n2");
    script("s3");
    native("n4");
  });
  EXPECT_EQ(log, "n2 n4 s1 s3 ");
}

TEST_F(MicrotaskPlace, IsReachedOnlyWhileTheRuntimeIsAsked) {  // R02
  in_task([&] {
    script("s1");
    native("n2");
    loop.run_microtask_in_place(runtime);
    EXPECT_EQ(log, "");
  });
  EXPECT_EQ(log, "s1 n2 ");
  log.clear();
  in_task([&] {
    script("s1");
    must(loop.queue_microtask([&] {
      loop.run_microtask_in_place(runtime);  // it is running itself
      log += "n2 ";
    }));
    native("n3");
  });
  EXPECT_EQ(log, "s1 n2 n3 ");
}

TEST_F(MicrotaskPlace, OneRuntimeLeadsAtATime) {  // R02
  QueueingRuntime other(loop);
  in_task([&] {
    script("s1");
    native("n2");
    other.queue([&] { log += "t3 "; });
    native("n4");
    other.queue([&] { log += "t5 "; });
  });
  EXPECT_EQ(log, "s1 n2 t3 n4 t5 ");
}

TEST_F(MicrotaskPlace, WhatRunsThereCountsAsWorkOfTheCheckpoint) {  // R02
  QueueingRuntime other(loop);
  in_task([&] {
    must(loop.at_checkpoint_end([&] { log += "end "; }));
    other.queue([&] { log += "t1 "; });
    must(loop.queue_microtask([&] {
      log += "n2 ";
      script("s3");  // of a runtime that has been asked before
    }));
  });
  EXPECT_EQ(log, "t1 n2 s3 end ");
}

TEST_F(MicrotaskPlace, IsPassedByWhenTheCheckpointIsCut) {  // R02
  Loop limited({.checkpoint_limits = {.max_callbacks = 2}});
  QueueingRuntime guest(limited);
  const auto note = [&](const std::string& word) { must(limited.queue_microtask([&, word] { log += word + " "; })); };
  must(limited.post([&] {
    guest.queue([&] { log += "s1 "; });
    for (const char* word : {"n2", "n3", "n4", "n5", "n6"}) note(word);
    guest.queue([&] { log += "s7 "; });
  }));
  must(limited.poll_once());
  EXPECT_EQ(log, "s1 n2 n3 s7 ");
  for (int i = 0; i < 3; ++i) must(limited.poll_once());
  EXPECT_EQ(log, "s1 n2 n3 s7 n4 n5 n6 ");
}

TEST_F(MicrotaskPlace, IsGoneWithALoopThatIsClosed) {  // R02
  std::optional<Loop> closing(std::in_place);
  QueueingRuntime guest(*closing);
  guest.queue([] { ADD_FAILURE(); });
  must(closing->queue_microtask([] { ADD_FAILURE(); }));
  closing.reset();
}

TEST_F(MicrotaskPlace, MicrotasksCanBeRunWithoutTicks) {  // R02
  in_task([&] {
    must(loop.next_tick([&] { log += "tick "; }));
    native("n1");
    script("s2");
    native("n3");
    loop.run_microtasks();
    EXPECT_EQ(log, "n1 s2 n3 ");
    must(loop.queue_microtask([&] {
      native("n5");
      loop.run_microtasks();
      log += "n4 ";
    }));
  });
  EXPECT_EQ(log, "n1 s2 n3 tick n4 n5 ");
}

}  // namespace
}  // namespace gyre
