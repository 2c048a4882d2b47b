#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

// Admission control under many threads, and those who wait for a place.

namespace gyre {
namespace {

using namespace testing;

rate::Rates rates(std::initializer_list<rate::Window> windows) {
  return must(rate::Rates::create(windows));
}

LoopOptions limited(AdmissionLimits limits, Clock* clock = nullptr) {
  LoopOptions options;
  options.clock = clock;
  options.admission.emplace().limits = std::move(limits);
  return options;
}

std::size_t waiting(const Remote& remote) {
  return remote.admission()->waiting;
}

/// Holds the loop's thread in a task until it is let go.
class Blocker {
 public:
  explicit Blocker(Remote remote) {
    must(remote.post_completion([this] {
      holds_ = true;
      holds_.notify_all();
      free_.wait(false);
    }));
    holds_.wait(false);
  }
  ~Blocker() { release(); }
  void release() {
    free_ = true;
    free_.notify_all();
  }

 private:
  std::atomic<bool> holds_{false};
  std::atomic<bool> free_{false};
};

TEST(AdmissionByThreads, RATE_35_TheDepthIsHard) {  // REQ_ADM_4
  constexpr int kThreads = 64;
  constexpr int kPosts = 10'000;
  Loop loop(limited({.max_depth = 100}));
  std::atomic<int> accepted{0};
  std::atomic<int> ran{0};
  std::atomic<int> wrong{0};
  {
    std::barrier start(kThreads);
    std::vector<std::jthread> producers;
    for (int i = 0; i < kThreads; ++i) {
      producers.emplace_back([&, remote = loop.remote()]() mutable {
        start.arrive_and_wait();
        for (int n = 0; n < kPosts; ++n) {
          const auto posted = remote.post([&ran] { ++ran; });
          if (posted) {
            ++accepted;
          } else if (const auto details = Backpressure::of(posted.error());
                     !details || details->reason != AdmissionRefusal::depth || details->retry_after) {
            ++wrong;
          }
        }
      });
    }
  }
  EXPECT_EQ(accepted, 100);
  EXPECT_EQ(wrong, 0);
  const AdmissionMetrics metrics = *loop.remote().admission();
  EXPECT_EQ(metrics.depth, 100u);
  EXPECT_EQ(metrics.highest_depth, 100u);
  EXPECT_EQ(metrics.refused, 639'900u);
  EXPECT_EQ(metrics.refused_for[static_cast<std::size_t>(AdmissionRefusal::depth)], 639'900u);
  EXPECT_EQ(metrics.acceptance, 100.0 / 640'000);
  must(loop.poll_once());
  EXPECT_EQ(ran, 100);
  EXPECT_EQ(loop.remote().admission()->depth, 0u);
}

// Threads that come for the last place at the same moment.
TEST(AdmissionByThreads, RATE_35_OnlyOneGetsTheLastPlace) {  // REQ_ADM_4
  constexpr int kThreads = 3;
  constexpr int kRounds = 2'000;
  Loop loop(limited({.max_depth = 1}));
  std::atomic<int> round{0};
  std::atomic<int> done{0};
  std::atomic<int> accepted{0};
  std::vector<std::jthread> producers;
  for (int i = 0; i < kThreads; ++i) {
    producers.emplace_back([&, remote = loop.remote()]() mutable {
      for (int mine = 1; mine <= kRounds; ++mine) {
        while (round < mine) std::this_thread::yield();
        accepted += remote.post([] {}).has_value() ? 1 : 0;
        ++done;
      }
    });
  }
  for (int now = 1; now <= kRounds; ++now) {
    round = now;
    while (done < now * kThreads) std::this_thread::yield();
    if (accepted != now || loop.remote().admission()->depth != 1) {
      ADD_FAILURE() << accepted << " accepted in " << now << " rounds";
      round = kRounds;  // lets the threads go
      break;
    }
    must(loop.poll_once());
  }
}

// `unstarted` counts from after the acceptance to just after the start: it is never more than the tasks that were
// accepted and have not started, and the one that is starting.
TEST(AdmissionByThreads, RATE_35_TheDepthIsHardWhileTheLoopRuns) {
  constexpr int kThreads = 64;
  constexpr int kPosts = 2'000;
  Loop loop(limited({.max_depth = 16}));
  Runner runner(loop);
  std::atomic<int> unstarted{0};
  std::atomic<int> accepted{0};
  std::atomic<int> ran{0};
  std::atomic<int> most{0};
  {
    std::vector<std::jthread> producers;
    for (int i = 0; i < kThreads; ++i) {
      producers.emplace_back([&, remote = loop.remote()]() mutable {
        for (int n = 0; n < kPosts; ++n) {
          if (!remote.post([&] {
                --unstarted;
                ++ran;
              })) {
            continue;
          }
          ++accepted;
          const int now = ++unstarted;
          int before = most.load();
          while (now > before && !most.compare_exchange_weak(before, now)) {
          }
        }
      });
    }
  }
  must(loop.remote().shutdown());
  must(runner.join());
  EXPECT_EQ(ran, accepted);
  EXPECT_LE(most, 16 + 1);
  const AdmissionMetrics metrics = *loop.remote().admission();
  EXPECT_LE(metrics.highest_depth, 16u);
  EXPECT_EQ(metrics.accepted, static_cast<std::uint64_t>(accepted.load()));
  EXPECT_EQ(metrics.accepted + metrics.refused, std::uint64_t{kThreads} * kPosts);
  EXPECT_EQ(metrics.depth, 0u);
}

TEST(AdmissionByThreads, RatesAndCategoriesAreExact) {  // REQ_ADM_4, REQ_ADM_9
  constexpr int kThreads = 64;
  ManualClock clock;
  Loop loop(limited({.rates = rates({{1s, 300}}), .category_rates = rates({{1s, 20}}), .max_depth = 10'000}, &clock));
  std::atomic<int> accepted{0};
  {
    std::vector<std::jthread> producers;
    for (int i = 0; i < kThreads; ++i) {
      producers.emplace_back([&, i, remote = loop.remote()]() mutable {
        const std::string category = std::to_string(i % 10);
        for (int n = 0; n < 200; ++n) accepted += remote.post_in(category, [] {}).has_value() ? 1 : 0;
      });
    }
  }
  EXPECT_EQ(accepted, 200) << "twenty for each of ten categories";
  EXPECT_EQ(loop.remote().admission()->depth, 200u) << "refusals have given their places back";
  for (int i = 0; i < 100; ++i) must(loop.remote().post([] {}));
  EXPECT_TRUE(fails_with(loop.remote().post_in("new", [] {}), Errc::backpressure)) << "three hundred in all";
}

TEST(AdmissionWaiting, RATE_40_ATaskIsTakenWhenAPlaceIsFree) {
  Loop loop(limited({.max_depth = 1}));
  Runner runner(loop);
  Remote remote = loop.remote();
  Blocker blocker(remote);
  std::vector<int> order;
  must(remote.post([&] { order.push_back(1); }));
  std::jthread producer([&] { EXPECT_TRUE(remote.post_wait([&] { order.push_back(2); })); });
  ASSERT_TRUE(eventually([&] { return waiting(remote) == 1; }));
  EXPECT_EQ(remote.admission()->depth, 1u);
  blocker.release();
  producer.join();
  must(remote.shutdown());
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
  EXPECT_EQ(waiting(remote), 0u);
}

/// On a thread that has never run the loop.
Result<void> post_wait_elsewhere(Remote remote, Task task, const WaitLimit& limit) {
  Result<void> result;
  std::thread([&] { result = remote.post_wait(std::move(task), limit); }).join();
  return result;
}

TEST(AdmissionWaiting, RATE_40_TheTimeGivenIsWaitedAndNoLessThanThat) {
  Loop loop(limited({.max_depth = 1}));
  Remote remote = loop.remote();
  must(remote.post([] {}));
  bool destroyed = false;
  AtEnd at_end([&] { destroyed = true; });
  const auto begin = std::chrono::steady_clock::now();
  const auto posted = post_wait_elsewhere(remote, [at_end = std::move(at_end)] { ADD_FAILURE(); }, 50ms);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 50ms);
  EXPECT_TRUE(fails_with(posted, Errc::timed_out));
  EXPECT_EQ(Backpressure::of(posted.error())->reason, AdmissionRefusal::depth);
  EXPECT_TRUE(destroyed);
  EXPECT_EQ(remote.admission()->refused, 1u);
  must(loop.poll_once());

  must(remote.post([] {}));
  EXPECT_TRUE(fails_with(post_wait_elsewhere(remote, [] { ADD_FAILURE(); }, 0ms), Errc::timed_out));
  must(loop.poll_once());
  must(post_wait_elsewhere(remote, [] {}, 0ms));  // it is tried at least
  EXPECT_EQ(remote.admission()->depth, 1u);
}

TEST(AdmissionWaiting, RATE_40_TheLoopsOwnThreadCannotWait) {  // REQ_ADM_8
  Loop loop(limited({.max_depth = 1}));
  bool ran = false;
  must(loop.post([&] {
    EXPECT_THROW(static_cast<void>(loop.remote().post_wait([] {})), std::logic_error);
    ran = true;
  }));
  must(loop.poll_once());
  EXPECT_TRUE(ran);
  EXPECT_THROW(static_cast<void>(loop.remote().post_wait({})), std::logic_error) << "an empty task";
}

TEST(AdmissionWaiting, RATE_40_AStopEndsTheWait) {
  Loop loop(limited({.max_depth = 1}));
  Remote remote = loop.remote();
  must(remote.post([] {}));
  std::stop_source stop;
  std::jthread stopper([&] {
    EXPECT_TRUE(eventually([&] { return waiting(remote) == 1; }));
    stop.request_stop();
  });
  EXPECT_TRUE(fails_with(remote.post_wait([] { ADD_FAILURE(); }, stop.get_token()), Errc::cancelled));
  must(loop.poll_once());
  must(loop.poll_once());
}

TEST(AdmissionWaiting, RATE_40_ThoseWhoWaitAreServedInTheOrderOfTheirComing) {  // REQ_ADM_8
  constexpr int kWaiters = 20;
  Loop loop(limited({.max_depth = 1}));
  Runner runner(loop);
  Remote remote = loop.remote();
  Blocker blocker(remote);
  must(remote.post([] {}));
  std::vector<int> order;
  {
    std::vector<std::jthread> producers;
    for (int i = 0; i < kWaiters; ++i) {
      producers.emplace_back([&, i] { EXPECT_TRUE(remote.post_wait([&, i] { order.push_back(i); })); });
      ASSERT_TRUE(eventually([&] { return waiting(remote) == static_cast<std::size_t>(i) + 1; }));
    }
    EXPECT_TRUE(fails_with(remote.post([] { ADD_FAILURE(); }), Errc::backpressure));
    blocker.release();
  }
  must(remote.shutdown());
  must(runner.join());
  std::vector<int> expected(kWaiters);
  for (int i = 0; i < kWaiters; ++i) expected[static_cast<std::size_t>(i)] = i;
  EXPECT_EQ(order, expected);
  EXPECT_LE(remote.admission()->highest_depth, 1u + 1u) << "the blocker's own place, which was not judged, and one";
}

TEST(AdmissionWaiting, WhoDoesNotWaitDoesNotPassThoseWhoDo) {
  ManualClock clock;
  Loop loop(limited({.rates = rates({{1s, 1}})}, &clock));
  Remote remote = loop.remote();
  must(remote.post([] {}));
  std::jthread producer([&] { EXPECT_TRUE(remote.post_wait([] {})); });
  ASSERT_TRUE(eventually([&] { return waiting(remote) == 1; }));
  EXPECT_FALSE(remote.post([] { ADD_FAILURE(); })) << "and now it sleeps: this took the lock after it";
  clock.advance(1s);
  // Nobody runs the loop. Whoever comes now finds that one may pass, and lets the one pass who has waited.
  EXPECT_TRUE(fails_with(remote.post([] { ADD_FAILURE(); }), Errc::backpressure));
  producer.join();
  EXPECT_EQ(remote.admission()->depth, 2u);
  must(loop.poll_once());
}

TEST(AdmissionWaiting, ByAClockOfItsOwnTheLoopsTurnsServe) {
  ManualClock clock;
  Loop loop(limited({.rates = rates({{1s, 1}})}, &clock));
  Runner runner(loop);
  Remote remote = loop.remote();
  must(remote.post([] {}));
  std::atomic<bool> ran{false};
  std::jthread producer([&] { EXPECT_TRUE(remote.post_wait([&] { ran = true; })); });
  ASSERT_TRUE(eventually([&] { return waiting(remote) == 1; }));
  clock.advance(1s);
  must(remote.post_completion([] {}));  // a turn that begins after that
  EXPECT_TRUE(eventually([&] { return ran.load(); }));
  must(remote.shutdown());
}

TEST(AdmissionWaiting, BySystemTimeARateServesByItself) {
  Loop loop(limited({.rates = rates({{20ms, 1}})}));
  Runner runner(loop);
  Remote remote = loop.remote();
  std::atomic<int> ran{0};
  const auto begin = std::chrono::steady_clock::now();
  {
    std::vector<std::jthread> producers;
    for (int i = 0; i < 4; ++i) producers.emplace_back([&] { EXPECT_TRUE(remote.post_wait([&] { ++ran; })); });
  }
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 60ms) << "the first at once, then one every 20 ms";
  EXPECT_TRUE(eventually([&] { return ran.load() == 4; })) << "the loop is woken";
  must(remote.shutdown());
  EXPECT_EQ(ran, 4);
}

TEST(AdmissionWaiting, ACategoryThatIsUsedUpLetsOthersPass) {  // REQ_ADM_9
  ManualClock clock;
  Loop loop(limited({.category_rates = rates({{1s, 1}})}, &clock));
  Runner runner(loop);
  Remote remote = loop.remote();
  must(remote.post_in("a", [] {}));
  std::atomic<int> a{0};
  std::vector<std::jthread> producers;
  for (int i = 0; i < 2; ++i) {
    producers.emplace_back([&] { EXPECT_TRUE(remote.post_wait([&] { ++a; }, {}, "a")); });
  }
  ASSERT_TRUE(eventually([&] { return waiting(remote) == 2; }));
  must(remote.post_in("b", [] {}));
  must(remote.post([] {}));
  EXPECT_TRUE(fails_with(remote.post_in("b", [] {}), Errc::backpressure)) << "by its own limit";
  must(remote.post_wait([] {}, 0ms, "c"));
  EXPECT_TRUE(fails_with(remote.post_in("a", [] { ADD_FAILURE(); }), Errc::backpressure)) << "two wait for that";
  EXPECT_EQ(a, 0);
  clock.advance(1s);
  must(remote.post_completion([] {}));  // a turn that begins after that
  EXPECT_TRUE(eventually([&] { return a.load() == 1; }));
  EXPECT_EQ(waiting(remote), 1u);
  clock.advance(1s);
  must(remote.post_completion([] {}));  // a turn that begins after that
  EXPECT_TRUE(eventually([&] { return a.load() == 2; }));
  must(remote.shutdown());
}

TEST(AdmissionWaiting, AHigherLimitServesAtOnce) {  // REQ_ADM_7
  Loop loop(limited({.max_depth = 1}));
  Remote remote = loop.remote();
  must(remote.post([] {}));
  std::jthread producer([&] { EXPECT_TRUE(remote.post_wait([] {})); });
  ASSERT_TRUE(eventually([&] { return waiting(remote) == 1; }));
  must(remote.set_admission({.max_depth = 2}));
  producer.join();
  EXPECT_EQ(remote.admission()->depth, 2u);
}

TEST(AdmissionWaiting, WhoLeavesLetsTheNextOneAskInTime) {
  Loop loop(limited({.rates = rates({{100ms, 1}})}));
  Runner runner(loop);
  Remote remote = loop.remote();
  must(remote.post([] {}));
  std::stop_source stop;
  std::jthread first([&] { EXPECT_FALSE(remote.post_wait([] { ADD_FAILURE(); }, stop.get_token())); });
  ASSERT_TRUE(eventually([&] { return waiting(remote) == 1; }));
  std::jthread second([&] { EXPECT_TRUE(remote.post_wait([] {})); });
  ASSERT_TRUE(eventually([&] { return waiting(remote) == 2; }) || remote.admission()->accepted > 1);
  stop.request_stop();
  first.join();
  second.join();
  must(remote.shutdown());
}

TEST(AdmissionWaiting, RATE_39_TheEndOfTheLoopEndsEveryWait) {
  for (const int i : {0, 1, 2, 3}) {
    const bool close = i % 2 == 0;
    Loop loop(limited(i < 2 ? AdmissionLimits{.max_depth = 1} : AdmissionLimits{.rates = rates({{1h, 1}})}));
    Remote remote = loop.remote();
    must(remote.post([] {}));
    std::vector<std::jthread> producers;
    std::atomic<int> ended{0};
    for (int n = 0; n < 3; ++n) {
      producers.emplace_back([&] {
        // What the task captured posts on its way out: nothing may be held then.
        AtEnd at_end([remote]() mutable { static_cast<void>(remote.post([] {})); });
        ended +=
            fails_with(remote.post_wait([at_end = std::move(at_end)] { ADD_FAILURE(); }), Errc::terminated) ? 1 : 0;
      });
    }
    ASSERT_TRUE(eventually([&] { return waiting(remote) == 3; }));
    must(close ? remote.close() : remote.shutdown());
    producers.clear();
    EXPECT_EQ(ended, 3);
  }
}

TEST(AdmissionByThreads, StressOfEverythingAtOnce) {
  constexpr int kThreads = 64;
  for (int round = 0; round < 3; ++round) {
    LoopOptions options =
        limited({.rates = rates({{10ms, 500}}), .category_rates = rates({{10ms, 100}}), .max_depth = 32});
    options.admission->on_soft_depth = [](std::size_t) {};
    Loop loop(std::move(options));
    Runner runner(loop);
    Remote remote = loop.remote();
    std::atomic<std::uint64_t> accepted{0};
    std::atomic<std::uint64_t> ran{0};
    {
      std::vector<std::jthread> producers;
      for (int i = 0; i < kThreads; ++i) {
        producers.emplace_back([&, i, remote]() mutable {
          std::minstd_rand random(static_cast<unsigned>(i + 1));
          const std::string category = std::to_string(i % 7);
          for (int n = 0; n < 200; ++n) {
            const auto task = [&ran] { ran.fetch_add(1); };
            Result<void> posted;
            switch (random() % 5) {
              case 0:
                posted = remote.post(task);
                break;
              case 1:
                posted = remote.post_in(category, task);
                break;
              case 2:
                posted = remote.post_wait(task, std::chrono::microseconds(random() % 500), category);
                break;
              case 3:
                posted = remote.post_completion(task);
                break;
              default:
                posted = remote.post_in(category, [&ran, remote]() mutable {
                  ran.fetch_add(1);
                  static_cast<void>(remote.admission());
                });
            }
            accepted += posted ? 1 : 0;
            if (n % 50 == 0) {
              must(remote.set_admission({.rates = rates({{10ms, 400 + n}}),
                                         .category_rates = rates({{10ms, 80 + n}}),
                                         .max_depth = 16 + static_cast<std::size_t>(i),
                                         .soft_depth = 8}));
            }
          }
        });
      }
    }
    must(remote.shutdown());
    must(runner.join());
    EXPECT_EQ(accepted, ran);
    EXPECT_EQ(remote.admission()->accepted, accepted);
    EXPECT_EQ(remote.admission()->depth, 0u);
    EXPECT_EQ(remote.admission()->waiting, 0u);
  }
}

}  // namespace
}  // namespace gyre
