#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/promise/combinators.h>
#include <gyre/promise/internal/test_support.h>
#include <gyre/promise/task_scope.h>
#include <gyre/promise/timers.h>
#include <gyre/promise/work.h>

// Coroutines that return promises and wait for them.

namespace gyre {
namespace {

using testing::Counted;
using testing::must;
using testing::some_error;
using namespace std::chrono_literals;

Promise<int> add(Loop&, Promise<int> a, Promise<int> b) {
  co_return co_await a + co_await b;
}

class Coroutines : public testing::PromiseTest {
 protected:
  std::stop_source source_;
};

TEST_F(Coroutines, StartAtOnceAndGoOnAsMicrotasks) {
  run([&] {
    says("before");
    add(loop_, Promise<int>::resolved(loop_, 1), Promise<int>::resolved(loop_, 2)).then([&](int n) {
      says(std::to_string(n));
    });
    says("after");
  });
  EXPECT_EQ(log_, (Lines{"before", "after", "3"}));
}

Promise<std::string> text(Loop& loop, std::vector<std::string>& log) {
  log.push_back("started");
  co_await Promise<void>::resolved(loop);
  log.push_back("resumed");
  co_return "done";
}
TEST_F(Coroutines, NeverResumeInTheCallThatSettles) {
  run([&] {
    text(loop_, log_).then([&](const std::string& s) { says(s); });
    says("returned");
    must(loop_.queue_microtask(note("microtask")));
  });
  EXPECT_EQ(log_, (Lines{"started", "returned", "resumed", "microtask", "done"}));
}

Promise<int> throws(Loop&) {
  throw std::out_of_range("thrown");
  co_return 1;
}
Promise<int> catches(Loop& loop) {
  try {
    co_return co_await throws(loop);
  } catch (const std::out_of_range&) {
    co_return 7;
  }
}
TEST_F(Coroutines, AnExceptionRejectsWithItselfAndComesOutOfAwait) {
  run([&] {
    throws(loop_).catch_<std::out_of_range>([&](const std::out_of_range& e) {
      says(e.what());
      return 0;
    });
    catches(loop_).then([&](int n) { says(std::to_string(n)); });
  });
  EXPECT_EQ(log_, (Lines{"thrown", "7"}));
}

TEST_F(Coroutines, AnUnobservedFailureIsReported) {
  run([&] { throws(loop_); });
  ASSERT_EQ(callback_errors_.size(), 1u);
  EXPECT_NE(callback_errors_[0].to_string().find("thrown"), std::string::npos);
}

Promise<std::unique_ptr<int>> make_box(Loop& loop) {
  co_await Promise<void>::resolved(loop);
  co_return std::make_unique<int>(3);
}
Promise<int> open_box(Loop& loop) {
  auto box = co_await make_box(loop);
  auto promise = make_box(loop);
  auto second = co_await promise;
  co_return *box + *second;
}
TEST_F(Coroutines, MoveOnlyValuesAreMovedOut) {
  run([&] { open_box(loop_).then([&](int n) { says(std::to_string(n)); }); });
  EXPECT_EQ(log_, Lines{"6"});
}

struct CopyCounter {
  int* copies;
  explicit CopyCounter(int& n) : copies(&n) {}
  CopyCounter(const CopyCounter& other) : copies(other.copies) { ++*copies; }
  CopyCounter(CopyCounter&&) = default;
};
Promise<void> await_both(Loop& loop, int& copies) {
  static_cast<void>(co_await Promise<CopyCounter>::resolved_in_place(loop, copies));
  EXPECT_EQ(copies, 0);
  const auto kept = Promise<CopyCounter>::resolved_in_place(loop, copies);
  static_cast<void>(co_await kept);
  EXPECT_EQ(copies, 1);
}
TEST_F(Coroutines, ATemporaryPromisesValueIsMoved) {
  int copies = 0;
  run([&] { await_both(loop_, copies).then(note("done")); });
  EXPECT_EQ(log_, Lines{"done"});
}

Promise<int> returns_promise(Loop& loop) {
  co_return Promise<int>::resolved(loop, 8);
}
TEST_F(Coroutines, MayReturnAPromise) {
  run([&] { returns_promise(loop_).then([&](int n) { says(std::to_string(n)); }); });
  EXPECT_EQ(log_, Lines{"8"});
}

class Service {
 public:
  explicit Service(Loop& loop) : loop_(loop) {}
  PromiseHome promise_home() { return loop_; }
  Promise<int> answer(int n) {
    co_await sleep_for(loop_, 1ms);
    co_return n * 2;
  }

 private:
  Loop& loop_;
};
TEST_F(Coroutines, AMemberFindsItsHomeInItsObject) {
  Service service(loop_);
  run([&] { service.answer(21).then([&](int n) { says(std::to_string(n)); }); });
  EXPECT_EQ(log_, Lines{"42"});
}

Promise<int> count_down(Loop& loop, int n) {
  if (n == 0) co_return 0;
  co_return co_await count_down(loop, n - 1) + 1;
}
TEST_F(Coroutines, DeepNestsEndWithoutRecursion) {
  run([&] { count_down(loop_, 2000).then([&](int n) { says(std::to_string(n)); }); });
  EXPECT_EQ(log_, Lines{"2000"});
}

// --- The end of the loop ---

Promise<void> waits(Loop&, Promise<int> promise, Counted) {
  static_cast<void>(co_await promise);
}
Promise<void> waits_for_ever(Loop& loop, Counted, std::vector<std::string>& log) {
  for (;;) {
    try {
      co_await sleep_for(loop, 1h);
    } catch (const ErrorException&) {
      log.push_back("caught");
    }
  }
}

TEST_F(Coroutines, TheEndDestroysWaitingCoroutinesAndRejectsTheirPromises) {
  for (const bool graceful : {true, false}) {
    int live = 0;
    Promise<void> first;
    Promise<void> second;
    {
      Loop loop;
      auto [promise, resolver] = Promise<int>::with_resolver(loop);
      first = waits(loop, promise, Counted(live));
      second = waits_for_ever(loop, Counted(live), log_);
      EXPECT_EQ(live, 2);
      if (graceful) {
        must(loop.remote().shutdown());
      } else {
        must(loop.close());
      }
      EXPECT_EQ(live, 0);
    }
    EXPECT_TRUE(first.reason()->is(Errc::terminated));
    EXPECT_TRUE(second.reason()->is(Errc::terminated));
  }
  EXPECT_TRUE(log_.empty());
}

TEST_F(Coroutines, WaitingInARingOfPromisesTheyGoWithTheLoop) {
  int live = 0;
  {
    Loop loop;
    auto [a, resolve_a] = Promise<int>::with_resolver(loop);
    auto [b, resolve_b] = Promise<int>::with_resolver(loop);
    resolve_a.resolve(b);
    resolve_b.resolve(a);
    waits(loop, a, Counted(live));
    must(loop.close());
    EXPECT_EQ(live, 0);
  }
}

TEST_F(Coroutines, WithoutAnybodyToSettleWhatTheyWaitForTheyAreBroken) {
  int live = 0;
  Promise<void> promise;
  run([&] { promise = waits(loop_, Promise<int>::with_resolver(loop_).promise, Counted(live)); });
  EXPECT_EQ(live, 0);
  EXPECT_TRUE(promise.reason()->is(Errc::broken));
}

Promise<void> closes(Loop& loop, Loop& inner) {
  must(inner.close());
  co_await sleep_for(loop, 1ms);
}
TEST_F(Coroutines, ACoroutineMayCloseAnotherLoop) {
  Loop inner;
  run([&] { closes(loop_, inner).then(note("done")); });
  EXPECT_EQ(log_, Lines{"done"});
}

// --- Stopping ---

Promise<void> sleeps(Loop& loop, std::stop_token stop, std::vector<std::string>& log) {
  try {
    co_await sleep_for(loop, 1h, stop);
  } catch (const ErrorException& e) {
    log.push_back(e.error().is(std::errc::operation_canceled) ? "stopped" : "?");
  }
}
TEST_F(Coroutines, AStopRequestEndsASleepAtOnce) {
  run([&] {
    sleeps(loop_, source_.get_token(), log_);
    must(loop_.post([&] { source_.request_stop(); }));
  });
  EXPECT_EQ(log_, Lines{"stopped"});
}
TEST_F(Coroutines, AStopRequestFromAnotherThread) {
  std::jthread stopper;
  run([&] {
    sleeps(loop_, source_.get_token(), log_);
    stopper = std::jthread([&] { source_.request_stop(); });
  });
  EXPECT_EQ(log_, Lines{"stopped"});
}
TEST_F(Coroutines, UnlessStoppedCutsAnyWaitShort) {
  run([&] {
    auto [promise, resolver] = Promise<int>::with_resolver(loop_);
    unless_stopped(promise, source_.get_token()).catch_([&](const Error& e) {
      says(e.is(Errc::cancelled) ? "stopped" : "?");
      return 0;
    });
    unless_stopped(Promise<int>::resolved(loop_, 2), source_.get_token()).then([&](int n) { says(std::to_string(n)); });
    must(loop_.post([&, resolver] {
      source_.request_stop();
      resolver.resolve(1);
    }));
  });
  EXPECT_EQ(log_, (Lines{"2", "stopped"}));
}

// --- Hops between loops ---

Promise<std::string> hops(Loop& loop, Remote other) {
  const Remote home = loop.remote();
  const auto start = std::this_thread::get_id();
  co_await resume_on(other);
  const bool away = std::this_thread::get_id() != start;
  co_await resume_on(home);
  const bool back = std::this_thread::get_id() == start;
  co_return away&& back ? "there and back" : "?";
}
Promise<int> ends_elsewhere(Loop&, Remote other) {
  co_await resume_on(other);
  co_return 5;
}
Promise<int> fails_elsewhere(Loop&, Remote other) {
  co_await resume_on(other);
  throw std::runtime_error("elsewhere");
  co_return 5;
}

TEST_F(Coroutines, HopsToAnotherLoopAndBack) {
  Loop other;
  testing::Runner runner(other);
  run([&] {
    hops(loop_, other.remote()).then([&](const std::string& s) { says(s); });
    ends_elsewhere(loop_, other.remote()).then([&](int n) { EXPECT_EQ(n, 5); });
    fails_elsewhere(loop_, other.remote()).catch_<std::runtime_error>([&](const std::runtime_error& e) {
      EXPECT_STREQ(e.what(), "elsewhere");
      return 0;
    });
  });
  EXPECT_EQ(log_, Lines{"there and back"});
  EXPECT_TRUE(callback_errors_.empty());
  must(other.remote().shutdown());
}

TEST_F(Coroutines, AHopToALoopThatHasEndedThrows) {
  Loop other;
  must(other.close());
  run([&] {
    ends_elsewhere(loop_, other.remote()).catch_([&](const Error& e) {
      says(e.is(Errc::terminated) ? "terminated" : "?");
      return 0;
    });
  });
  EXPECT_EQ(log_, Lines{"terminated"});
}

Promise<int> lost(Loop&, Remote other, Counted) {
  co_await resume_on(other);
  co_return 1;
}
TEST_F(Coroutines, AHopThatIsDroppedDestroysTheFrameAndBreaksThePromise) {
  int live = 0;
  auto other = std::make_unique<Loop>();
  run([&] {
    lost(loop_, other->remote(), Counted(live)).catch_([&](const Error& e) {
      says(e.is(Errc::broken) ? "broken" : "?");
      return 0;
    });
    EXPECT_EQ(live, 1);
    other.reset();
    EXPECT_EQ(live, 0);
  });
  EXPECT_EQ(log_, Lines{"broken"});
}

// --- Descriptors and off-loaded work ---

Promise<std::string> reads(Loop& loop, const testing::Pipe& pipe) {
  std::string all;
  while (all.size() < 2) {
    co_await readable(loop, pipe.read_end());
    all += pipe.receive();
  }
  co_return all;
}
TEST_F(Coroutines, WaitForADescriptorAgainAndAgain) {
  const testing::Pipe pipe;
  run([&] {
    reads(loop_, pipe).then([&](const std::string& all) { says(all); });
    pipe.send('a');
    must(loop_.set_timeout(1ms, [&] { pipe.send('b'); }));
  });
  EXPECT_EQ(log_, Lines{"ab"});
}
TEST_F(Coroutines, AWaitForADescriptorCanBeStopped) {
  const testing::Pipe pipe;
  run([&] {
    readable(loop_, pipe.read_end(), source_.get_token()).catch_([&](const Error& e) {
      says(e.is(Errc::cancelled) ? "stopped" : "?");
      return Readiness::none;
    });
    must(loop_.post([&] { source_.request_stop(); }));
    must(loop_.set_timeout(1ms, [&] {
      writable(loop_, pipe.write_end()).then([&](Readiness r) { says(has(r, Readiness::write) ? "writable" : "?"); });
    }));
  });
  EXPECT_EQ(log_, (Lines{"stopped", "writable"}));
}
TEST_F(Coroutines, ABadDescriptorRejects) {
  run([&] {
    readable(loop_, 1'000'000).catch_([&](const Error& e) {
      says(e.is(std::errc::bad_file_descriptor) ? "bad" : e.to_string());
      return Readiness::none;
    });
  });
  EXPECT_EQ(log_, Lines{"bad"});
}

TEST_F(Coroutines, V20_OffLoadedWorkIsAPromiseLikeAnyOther) {
  const auto here = std::this_thread::get_id();
  run([&] {
    offload(loop_, [] { return std::this_thread::get_id(); }).then([&](std::thread::id id) {
      EXPECT_NE(id, here);
      EXPECT_EQ(std::this_thread::get_id(), here);
      says("value");
    });
    offload(loop_, [] { throw std::out_of_range("work"); }).catch_<std::out_of_range>([&](const std::out_of_range&) {
      says("exception");
    });
    offload(loop_, []() -> Result<int> { return fail(Errc::not_found, "gone"); }).catch_(Errc::not_found, [&] {
      says("error");
      return 0;
    });
    offload(loop_, [](std::stop_token) { return std::make_unique<int>(1); }).then([&](std::unique_ptr<int>) {
      says("move-only");
    });
  });
  std::ranges::sort(log_);
  EXPECT_EQ(log_, (Lines{"error", "exception", "move-only", "value"}));
}

// --- Scopes ---

using Scopes = Coroutines;

Promise<void> group(Loop& loop, std::vector<std::string>& log) {
  TaskScope scope(loop);
  for (int i = 3; i > 0; --i) {
    scope.spawn([&log, i](TaskScope& s) -> Promise<void> {
      co_await sleep_for(s, i * 1ms);
      log.push_back(std::to_string(i));
    });
  }
  co_await scope.join();
  log.push_back("joined");
}
TEST_F(Scopes, WaitForAllTheirTasks) {
  run([&] { group(loop_, log_); });
  EXPECT_EQ(log_, (Lines{"1", "2", "3", "joined"}));
}

Promise<void> failing_group(Loop& loop, std::vector<std::string>& log) {
  TaskScope scope(loop);
  scope.spawn([&log](TaskScope& s) -> Promise<void> {
    try {
      co_await sleep_for(s, 1h, s.stop_token());
    } catch (const ErrorException&) {
      log.push_back("cancelled");
      throw;
    }
  });
  scope.spawn([](TaskScope& s) -> Promise<int> {
    co_await sleep_for(s, 1ms);
    throw std::runtime_error("one fails");
  });
  scope.spawn([]() -> Promise<void> { throw std::runtime_error("fails before it begins"); });
  co_await scope.join();
}
TEST_F(Scopes, AFailureCancelsTheOthersAndWaitsForThem) {
  run([&] { failing_group(loop_, log_).catch_([&](const Error& e) { says(e.message()); }); });
  EXPECT_EQ(log_, (Lines{"cancelled", "fails before it begins"}));
  EXPECT_TRUE(callback_errors_.empty());
}

TEST_F(Scopes, FollowAnOuterStop) {
  run([&] {
    auto scope = std::make_shared<TaskScope>(loop_, source_.get_token());
    scope->spawn([](TaskScope& s) -> Promise<void> { co_await sleep_for(s, 1h, s.stop_token()); });
    EXPECT_EQ(scope->size(), 1u);
    scope->join().then([&, scope] { says("ended"); });
    must(loop_.post([&] { source_.request_stop(); }));
  });
  EXPECT_EQ(log_, Lines{"ended"});
}
TEST_F(Scopes, ADestroyedScopeStopsItsTasks) {
  run([&] {
    TaskScope scope(loop_);
    scope.add(sleep_for(loop_, 1h, scope.stop_token()));
  });
  EXPECT_TRUE(callback_errors_.empty());
}
TEST_F(Scopes, OfNothingEndAtOnce) {
  TaskScope scope(loop_);
  EXPECT_TRUE(scope.join().is_fulfilled());
}

}  // namespace
}  // namespace gyre
