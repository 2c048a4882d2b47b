#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre {
namespace {

using namespace testing;

class QueuePressure : public ::testing::Test {
 protected:
  ManualClock clock;
  std::vector<std::size_t> told;
  Loop loop{
      LoopOptions{.clock = &clock, .on_queue_pressure = [this](std::size_t waiting) { told.push_back(waiting); }}};
};

TEST_F(QueuePressure, IsToldOnceAfterTasksThatLeaveMoreBehind) {  // L147
  must(loop.post([&] {
    for (int i = 0; i < 3; ++i) must(loop.post([] {}));
  }));
  must(loop.post([&] { must(loop.post([] {})); }));
  must(loop.poll_once());
  EXPECT_EQ(told, std::vector<std::size_t>{4});
  must(loop.poll_once());
  EXPECT_EQ(told.size(), 1u) << "those have run, and left nothing";
}

TEST_F(QueuePressure, CountsTasksThatOtherThreadsHavePosted) {  // L147
  must(loop.post([&] { std::thread([remote = loop.remote()]() mutable { must(remote.post([] {})); }).join(); }));
  must(loop.poll_once());
  EXPECT_EQ(told, std::vector<std::size_t>{1});
}

TEST_F(QueuePressure, ComesOfTasksAlone) {  // L147
  must(loop.post([&] {
    must(loop.set_timeout(1h, [] {}));
    must(loop.queue_microtask([] {}));
    must(loop.post_priority([] {}));
    must(loop.set_immediate([] {}));
    must(loop.remote().queue_microtask([] {}));
    must(loop.remote().set_immediate([] {}));
  }));
  must(loop.poll_once());
  must(loop.set_immediate([&] { must(loop.post_priority([] {})); }));
  must(loop.poll_once());
  EXPECT_TRUE(told.empty());
}

TEST_F(QueuePressure, IsNotToldToALoopThatIsBeingClosed) {  // L147
  std::thread closer;
  must(loop.post([&] {
    must(loop.post([] { ADD_FAILURE(); }));
    closer = std::thread([remote = loop.remote()]() mutable { must(remote.close()); });
    ASSERT_TRUE(eventually([&] { return loop.state() == LoopState::terminating; }));
  }));
  must(loop.run());
  closer.join();
  EXPECT_TRUE(told.empty());
}

TEST(QueuePressureHandler, MayFailAndMaySchedule) {  // L147
  ManualClock clock;
  Loop* self = nullptr;
  int told = 0;
  int failures = 0;
  int ran = 0;
  Loop loop({.clock = &clock,
             .on_callback_error =
                 [&](const Error&, CallbackKind kind) {
                   EXPECT_EQ(kind, CallbackKind::pressure);
                   ++failures;
                 },
             .on_queue_pressure =
                 [&](std::size_t) {
                   ++told;
                   must(self->queue_microtask([&] { ++ran; }));
                   must(self->post([&] { ++ran; }));
                   throw std::runtime_error("it failed");
                 }});
  self = &loop;
  must(loop.post([&] { must(loop.post([] {})); }));
  must(loop.poll_once());
  EXPECT_EQ(told, 1);
  EXPECT_EQ(failures, 1);
  EXPECT_EQ(ran, 1) << "the microtask, in the checkpoint after it";
  must(loop.poll_once());
  EXPECT_EQ(told, 1);
  EXPECT_EQ(ran, 2);
}

}  // namespace
}  // namespace gyre
