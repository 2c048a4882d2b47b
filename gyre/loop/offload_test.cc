#include <atomic>
#include <latch>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <pthread.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre {
namespace {

using namespace testing;

TEST(Offload, RunsElsewhereAndReportsHere) {  // L131
  Loop loop({.auto_exit = true});
  const auto here = std::this_thread::get_id();
  int value = 0;
  must(loop.offload(
      [here](std::stop_token) {
        EXPECT_NE(std::this_thread::get_id(), here);
        return 42;
      },
      [&](Result<int> outcome) {
        EXPECT_EQ(std::this_thread::get_id(), here);
        value = must(std::move(outcome));
      }));
  must(loop.run());
  EXPECT_EQ(value, 42);
}

TEST(Offload, ErrorsAndExceptionsArriveAsErrors) {  // L131
  Loop loop({.auto_exit = true});
  int checked = 0;
  must(loop.offload([](std::stop_token) -> Result<int> { return fail(Errc::not_found, "nothing there"); },
                    [&](Result<int> outcome) {
                      EXPECT_TRUE(fails_with(outcome, Errc::not_found));
                      ++checked;
                    }));
  must(loop.offload([](std::stop_token) -> int { throw std::runtime_error("broke"); },
                    [&](Result<int> outcome) {
                      EXPECT_TRUE(fails_with(outcome, Errc::callback_failed));
                      EXPECT_NE(outcome.error().message().find("broke"), std::string::npos);
                      ++checked;
                    }));
  must(loop.offload([](std::stop_token) { throw 7; },
                    [&](Result<void> outcome) {
                      EXPECT_FALSE(outcome.has_value());
                      ++checked;
                    }));
  must(loop.run());
  EXPECT_EQ(checked, 3);
}

TEST(Offload, WorkThatEndsItsThreadIsBrokenAndThePoolGoesOn) {  // L131
  Loop loop({.auto_exit = true, .offload_threads = 1});
  bool broken = false;
  int later = 0;
  must(loop.offload([](std::stop_token) { pthread_exit(nullptr); },
                    [&](Result<void> outcome) { broken = fails_with(outcome, Errc::broken); }));
  for (int i = 0; i < 3; ++i) must(loop.offload([](std::stop_token) {}, [&](Result<void>) { ++later; }));
  must(loop.run());
  EXPECT_TRUE(broken);
  EXPECT_EQ(later, 3);
}

TEST(Offload, MovesOnlyWhatCanOnlyMove) {
  Loop loop({.auto_exit = true});
  int value = 0;
  must(loop.offload([number = std::make_unique<int>(7)](std::stop_token) mutable { return std::move(number); },
                    [&, more = std::make_unique<int>(1)](Result<std::unique_ptr<int>> outcome) {
                      value = *must(std::move(outcome)) + *more;
                    }));
  must(loop.run());
  EXPECT_EQ(value, 8);
}

TEST(Offload, TheWorksCapturesAreGoneWhenItIsReported) {
  Loop loop({.auto_exit = true});
  auto capture = std::make_shared<int>();
  must(loop.offload([capture](std::stop_token) {}, [&](Result<void>) { EXPECT_EQ(capture.use_count(), 1); }));
  must(loop.run());
}

TEST(Offload, NeverUsesMoreThreadsThanItMay) {
  Loop loop({.auto_exit = true, .offload_threads = 3});
  std::atomic<int> now_running = 0;
  std::atomic<int> most = 0;
  std::atomic<int> reported = 0;
  for (int i = 0; i < 60; ++i) {
    must(loop.offload(
        [&](std::stop_token) {
          const int running = ++now_running;
          int seen = most;
          while (running > seen && !most.compare_exchange_weak(seen, running)) {
          }
          std::this_thread::yield();
          --now_running;
        },
        [&](Result<void>) { ++reported; }));
  }
  must(loop.run());
  EXPECT_LE(most, 3);
  EXPECT_EQ(reported, 60);
}

TEST(Offload, AFullQueueIsBackpressureAndPasses) {
  Loop loop({.auto_exit = true, .offload_threads = 1, .offload_queue_limit = 2});
  std::latch started(1);
  std::latch release(1);
  int reported = 0;
  const auto done = [&](Result<void>) { ++reported; };
  must(loop.offload(
      [&](std::stop_token) {
        started.count_down();
        release.wait();
      },
      done));
  started.wait();
  must(loop.offload([](std::stop_token) {}, done));
  must(loop.offload([](std::stop_token) {}, done));
  const auto refused = loop.offload([](std::stop_token) { ADD_FAILURE(); }, [](Result<void>) { ADD_FAILURE(); });
  EXPECT_TRUE(fails_with(refused, Errc::backpressure));
  EXPECT_TRUE(refused.error().is_temporary());
  release.count_down();
  must(loop.run());
  EXPECT_EQ(reported, 3);
}

TEST(Offload, IsDeliveredDuringAGracefulShutdown) {  // L133
  Loop loop;
  std::string log;
  std::latch release(1);
  must(loop.offload([&](std::stop_token) { release.wait(); },
                    [&](Result<void>) {
                      log += "delivered ";
                      EXPECT_TRUE(fails_with(loop.post([] {}), Errc::terminated));
                      must(loop.queue_microtask([&] { log += "microtask "; }));
                    }));
  must(loop.post([&] {
    must(loop.shutdown());
    release.count_down();
  }));
  must(loop.run());
  EXPECT_EQ(log, "delivered microtask ");
}

TEST(Offload, CloseInterruptsTheWaitOfAGracefulShutdown) {
  Loop loop;
  std::latch begun(1);
  std::latch release(1);
  std::latch finished(1);
  must(loop.offload(
      [&](std::stop_token) {
        begun.count_down();
        release.wait();
        finished.count_down();
      },
      [](Result<void>) { ADD_FAILURE(); }));
  Runner runner(loop);
  begun.wait();  // a job that has not begun would be dropped by `close`
  ASSERT_TRUE(falls_asleep(loop.remote()));
  EXPECT_TRUE(fails_with(loop.remote().shutdown(1ms), Errc::timed_out));
  must(loop.remote().close());
  must(runner.join());
  release.count_down();
  finished.wait();
}

TEST(Offload, WorkNotBegunWhenTheLoopIsClosedNeverRuns) {  // L134
  std::latch started(1);
  std::latch release(1);
  std::latch finished(1);
  auto capture = std::make_shared<int>();
  {
    Loop loop({.offload_threads = 1});
    must(loop.offload(
        [&](std::stop_token) {
          started.count_down();
          release.wait();
          finished.count_down();
        },
        [capture](Result<void>) { ADD_FAILURE(); }));
    must(loop.offload([capture](std::stop_token) { ADD_FAILURE(); }, [capture](Result<void>) { ADD_FAILURE(); }));
    started.wait();
  }
  EXPECT_EQ(capture.use_count(), 1);
  release.count_down();
  finished.wait();
}

TEST(Offload, ManyFromManyTurnsAllReport) {
  Loop loop({.auto_exit = true});
  int reported = 0;
  int started = 0;
  std::function<void()> more = [&] {
    for (int i = 0; i < 10; ++i) {
      ++started;
      must(loop.offload([](std::stop_token) {},
                        [&](Result<void>) {
                          if (++reported % 10 == 0 && started < 2000) more();
                        }));
    }
  };
  more();
  must(loop.run());
  EXPECT_EQ(reported, started);
  EXPECT_EQ(reported, 2000);
}

TEST(Offload, AFailingReportIsContained) {
  Loop loop({.auto_exit = true});
  must(loop.offload([](std::stop_token) {}, [](Result<void>) { throw std::runtime_error("report"); }));
  must(loop.run());
  EXPECT_EQ(loop.stats().failed_callbacks, 1u);
}

}  // namespace
}  // namespace gyre
