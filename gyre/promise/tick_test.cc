#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/promise/combinators.h>
#include <gyre/promise/internal/test_support.h>
#include <gyre/promise/promise.h>

// Orders, exactly as ECMAScript has them. P34: the number of the microtask generation in which a callback at the end of
// a construct runs, counted from the moment at which the source is settled.

namespace gyre {

namespace {

struct Foreign {
  int value;
  std::vector<std::string>* log;
};

}  // namespace

template <>
struct Thenable<Foreign> {
  using value_type = int;
  static void then(Foreign object, Resolver<int> resolver) {
    object.log->push_back("then called");
    resolver.resolve(object.value);
  }
};

namespace {

using testing::must;
using testing::some_error;

class Ticks : public testing::PromiseTest {
 protected:
  using Callback = std::function<void()>;
  /// The generation in which the callback given to `build` is called; 0 if never.
  int tick_of(const std::function<void(Callback)>& build) {
    Loop loop({.auto_exit = true});
    current_ = &loop;
    int called = 0;
    int tick = 0;
    const std::function<void()> count = [&] {
      if (++tick < 12) must(loop.queue_microtask([&] { count(); }));
    };
    must(loop.post([&] {
      // The counter first: in each generation it counts before anything else runs.
      must(loop.queue_microtask([&] { count(); }));
      build([&] { called = tick; });
    }));
    must(loop.run());
    return called;
  }
  Loop& loop() { return *current_; }
  Promise<int> fulfilled() { return Promise<int>::resolved(loop(), 1); }
  Loop* current_ = nullptr;
};

TEST_F(Ticks, P34_Then) {
  EXPECT_EQ(tick_of([&](Callback cb) { fulfilled().then([cb](int) { cb(); }); }), 1);
}
TEST_F(Ticks, P34_ThenThenAfterAPlainValue) {
  EXPECT_EQ(tick_of([&](Callback cb) { fulfilled().then([](int n) { return n; }).then([cb](int) { cb(); }); }), 2);
}
TEST_F(Ticks, P34_ARejectionPassesAThenOnItsWayToCatch) {
  EXPECT_EQ(tick_of([&](Callback cb) {
              Promise<int>::rejected(loop(), some_error()).then([](int) {}).catch_([cb] { cb(); });
            }),
            2);
}
TEST_F(Ticks, P34_AHandlerReturnsAFulfilledPromise) {
  EXPECT_EQ(tick_of([&](Callback cb) { fulfilled().then([&](int) { return fulfilled(); }).then([cb](int) { cb(); }); }),
            4);
}
TEST_F(Ticks, P34_V1_ResolvedWithAFulfilledPromise) {
  EXPECT_EQ(tick_of([&](Callback cb) {
              auto [outer, resolver] = Promise<int>::with_resolver(loop());
              resolver.resolve(fulfilled());
              outer.then([cb](int) { cb(); });
            }),
            3);
}
TEST_F(Ticks, P34_ResolvedWithAPendingPromiseCountedFromItsSettlement) {
  int called = 0;
  int tick = 0;
  auto [inner, settle] = Promise<int>::with_resolver(loop_);
  must(loop_.post([&, inner] {
    auto [outer, resolver] = Promise<int>::with_resolver(loop_);
    resolver.resolve(inner);
    outer.then([&](int) { called = tick; });
  }));
  std::function<void()> count = [&] {
    if (++tick < 6) must(loop_.queue_microtask([&] { count(); }));
  };
  must(loop_.post([&, settle] {
    must(loop_.queue_microtask([&] { count(); }));
    settle.resolve(1);
  }));
  must(loop_.run());
  EXPECT_EQ(called, 2);
}
TEST_F(Ticks, P34_P42_TheResolveHelperReturnsTheSamePromise) {
  EXPECT_EQ(tick_of([&](Callback cb) {
              const auto promise = fulfilled();
              const auto same = resolve(loop(), promise);
              EXPECT_TRUE(same == promise);
              same.then([cb](int) { cb(); });
            }),
            1);
}
TEST_F(Ticks, P34_Finally) {
  EXPECT_EQ(tick_of([&](Callback cb) { fulfilled().finally([] {}).then([cb](int) { cb(); }); }), 4);
  EXPECT_EQ(tick_of([&](Callback cb) {
              Promise<int>::rejected(loop(), some_error()).finally([] {}).catch_([cb] {
                cb();
                return 0;
              });
            }),
            4);
  // A callback that returns a fulfilled promise costs no more; one that throws goes the short way.
  EXPECT_EQ(tick_of([&](Callback cb) {
              fulfilled().finally([&] { return Promise<void>::resolved(loop()); }).then([cb](int) { cb(); });
            }),
            4);
  EXPECT_EQ(tick_of([&](Callback cb) {
              fulfilled().finally([] { throw 1; }).catch_([cb] {
                cb();
                return 0;
              });
            }),
            2);
}
TEST_F(Ticks, P34_Combinators) {
  EXPECT_EQ(tick_of([&](Callback cb) { all(loop(), std::vector{fulfilled()}).then([cb] { cb(); }); }), 2);
  EXPECT_EQ(tick_of([&](Callback cb) { all(fulfilled(), fulfilled()).then([cb] { cb(); }); }), 2);
  EXPECT_EQ(tick_of([&](Callback cb) { all_settled(loop(), std::vector{fulfilled()}).then([cb] { cb(); }); }), 2);
  EXPECT_EQ(tick_of([&](Callback cb) { any(loop(), std::vector{fulfilled()}).then([cb] { cb(); }); }), 2);
  EXPECT_EQ(tick_of([&](Callback cb) { race(loop(), std::vector{fulfilled()}).then([cb] { cb(); }); }), 2);
}
// The job, then the reaction: as in ECMAScript, where a plain thenable's "then" is called in a job of its own.
TEST_F(Ticks, P34_V14_AThenableIsAJobAndACall) {
  EXPECT_EQ(
      tick_of([&](Callback cb) { fulfilled().then([&](int) { return Foreign{7, &log_}; }).then([cb](int) { cb(); }); }),
      3);
  EXPECT_EQ(log_, Lines{"then called"});
}

Promise<int> awaits(Loop&, Promise<int> promise, std::function<void()> cb) {
  const int value = co_await promise;
  cb();
  co_return value;
}
TEST_F(Ticks, P34_AwaitCostsOneMicrotask) {
  EXPECT_EQ(tick_of([&](Callback cb) { awaits(loop(), fulfilled(), cb); }), 1);
  EXPECT_EQ(tick_of([&](Callback cb) { awaits(loop(), fulfilled(), [] {}).then([cb](int) { cb(); }); }), 2);
}

// --- P92: the orders in which promises, ticks, microtasks, timers and tasks interleave ---

class Orders : public testing::PromiseTest {
 protected:
  Promise<void> settled() { return Promise<void>::resolved(loop_); }
};

TEST_F(Orders, P92_ReactionsAndMicrotasksShareOneQueueBehindTicks) {
  run([&] {
    settled().then(note("R1"));
    must(loop_.queue_microtask(note("M")));
    settled().then(note("R2"));
    must(loop_.next_tick(note("N")));
  });
  EXPECT_EQ(log_, (Lines{"N", "R1", "M", "R2"}));
}
TEST_F(Orders, P92_ATickFromAReactionWaitsForTheOtherReactions) {
  run([&] {
    settled().then([&] {
      says("R1");
      must(loop_.next_tick(note("N")));
    });
    settled().then(note("R2"));
  });
  EXPECT_EQ(log_, (Lines{"R1", "R2", "N"}));
}
TEST_F(Orders, P92_AChildsReactionComesAfterTheSiblings) {
  run([&] {
    settled().then(note("R1")).then(note("R1'"));
    settled().then(note("R2"));
  });
  EXPECT_EQ(log_, (Lines{"R1", "R2", "R1'"}));
}
TEST_F(Orders, P92_ParallelChainsTakeTurns) {
  run([&] {
    settled().then(note("a1")).then(note("a2"));
    settled().then(note("b1")).then(note("b2"));
  });
  EXPECT_EQ(log_, (Lines{"a1", "b1", "a2", "b2"}));
}
// ECMAScript's count: the chain that returns a promise falls two generations behind.
TEST_F(Orders, P92_AHandlerThatReturnsAPromiseFallsBehind) {
  run([&] {
    settled()
        .then([&] {
          says("a1");
          return settled();
        })
        .then(note("a2"));
    settled().then(note("b1")).then(note("b2")).then(note("b3")).then(note("b4"));
  });
  EXPECT_EQ(log_, (Lines{"a1", "b1", "b2", "b3", "a2", "b4"}));
}
TEST_F(Orders, P92_TheCheckForUnhandledRejectionsComesLast) {
  Promises promises(loop_, {.on_unhandled_rejection = [&](const Reason&) { says("C"); }});
  run([&] {
    const auto caught = Promise<void>::rejected(promises, some_error());
    Promise<void>::rejected(promises, some_error());
    must(loop_.queue_microtask([this, caught] {
      says("M");
      caught.catch_([this] { says("caught"); });
      must(loop_.next_tick(note("N")));
    }));
  });
  EXPECT_EQ(log_, (Lines{"M", "caught", "N", "C"}));
}
TEST_F(Orders, P95_AReactionOfATimerComesBeforeTheNextTimer) {
  ManualClock clock(ManualClock::Mode::automatic);
  Loop loop({.auto_exit = true, .clock = &clock});
  auto [promise, resolver] = Promise<void>::with_resolver(loop);
  promise.then(note("reaction"));
  must(loop.set_timeout(std::chrono::milliseconds(1), [&, resolver] {
    says("T1");
    resolver.resolve();
  }));
  must(loop.set_timeout(std::chrono::milliseconds(1), note("T2")));
  must(loop.run());
  EXPECT_EQ(log_, (Lines{"T1", "reaction", "T2"}));
}
TEST_F(Orders, P92_OffLoadedResultsArriveAsPriorityTasks) {
  std::atomic<bool> worked = false;
  must(loop_.post([&] {
    must(loop_.offload([&](std::stop_token) { worked = true; },
                       [&](Result<void>) {
                         settled().then(note("R"));
                         must(loop_.post_priority(note("priority task")));
                       }));
    while (!worked) std::this_thread::yield();
  }));
  must(loop_.run());
  EXPECT_EQ(log_, (Lines{"R", "priority task"}));
}

}  // namespace
}  // namespace gyre
