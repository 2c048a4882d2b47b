#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/poll/internal/test_support.h>
#include <gyre/promise/timers.h>

// Records, counters, correlation.

namespace gyre::poll {
namespace {

using testing::must;
using namespace std::chrono_literals;

class Observability : public testing::PollTest {
 protected:
  struct Seen {
    RecordKind kind;
    std::string key;
    Duration duration;
    int id;
  };
  SchedulerOptions recording(Duration budget = {}) {
    return {.callback_budget = budget, .on_record = [this](const Record& record) {
              const int* const id = Context::current().get(kId);
              seen_.push_back({record.kind, record.key, record.duration, id == nullptr ? 0 : *id});
            }};
  }
  std::vector<Seen> of(RecordKind kind) const {
    std::vector<Seen> found;
    for (const Seen& seen : seen_) {
      if (seen.kind == kind) found.push_back(seen);
    }
    return found;
  }

  static inline const ContextKey<int> kId{"id"};
  std::vector<Seen> seen_;
};

TEST_F(Observability, S45_AHookOverItsBudgetIsRecordedOnceAndTheLoopGoesOn) {
  Poller poller(loop_, recording(10ms));
  Channel<int> channel(1);
  must(poller.add("a", [&] { says("a"); }));
  must(poller.add_run_hook([](Ctl& c) { must(c.schedule("a", 50ms)); }));
  must(poller.add_hook(channel, [&](Ctl&, std::optional<int>) { clock_.advance(100ms); }));
  must(channel.try_send(1));
  poller.run_here({.deadline = time(1s)});
  const auto warnings = of(RecordKind::over_budget);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_EQ(warnings[0].key, "hook 1");
  EXPECT_EQ(warnings[0].duration, 100ms);
  EXPECT_EQ(log_, Lines{"a 100"});
}

TEST_F(Observability, S45_SoIsASecondStage) {
  Poller poller(loop_, recording(10ms));
  must(poller.add("a", [&]() -> Stage { return [&](Ctl&) { clock_.advance(30ms); }; }));
  must(poller.add_run_hook([](Ctl& c) { must(c.schedule_asap("a")); }));
  poller.run_here({.deadline = time(1s)});
  const auto warnings = of(RecordKind::over_budget);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_EQ(warnings[0].key, "a");
  EXPECT_EQ(warnings[0].duration, 30ms);
}

TEST_F(Observability, S46_ATaskInheritsTheContextOfWhoeverScheduledIt) {
  Poller poller(loop_, recording());
  Channel<int> channel(1);
  int runs = 0;
  std::vector<int> ids;
  const auto note = [&] { ids.push_back(*Context::current().get(kId)); };
  must(poller.add("a", [&, note](Loop& loop) -> Promise<Stage> {
    note();
    co_await sleep_for(loop, 1ms);
    note();
    co_return [&, note](Ctl& c) {
      note();
      if (++runs < 2) must(c.schedule("a", 10ms));
    };
  }));
  must(poller.add_hook(channel, [&](Ctl& c, std::optional<int> id) {
    const ContextScope scope(Context().with(kId, *id));
    must(c.schedule_asap("a"));
  }));
  must(channel.try_send(77));
  poller.run_here({.deadline = time(1s)});
  EXPECT_EQ(ids, std::vector(6, 77));
  for (const RecordKind kind : {RecordKind::task_started, RecordKind::task_finished}) {
    const auto records = of(kind);
    ASSERT_EQ(records.size(), 2u);
    for (const Seen& seen : records) {
      EXPECT_EQ(seen.id, 77);
      EXPECT_EQ(seen.key, "a");
    }
  }
}

TEST_F(Observability, REQ_POLL_11_Counters) {
  Poller poller(loop_);
  must(poller.add("a", [&](Loop& loop) -> Promise<void> { co_await sleep_for(loop, 7ms); }));
  must(poller.add_run_hook([&](Ctl& c) {
    must(c.schedule("a", 5ms));
    clock_.advance(8ms);
    must(c.schedule_asap("a"));
  }));
  poller.run_here({.deadline = time(1s)});
  const TaskStats stats = must(poller.stats("a"));
  EXPECT_EQ(stats.runs, 1u);
  EXPECT_EQ(stats.errors, 0u);
  EXPECT_EQ(stats.coalesced, 1u);
  EXPECT_EQ(stats.last_duration, 7ms);
  EXPECT_EQ(stats.last_lateness, 3ms);
  EXPECT_EQ(poller.stats().lateness.max(), 3'000'000u);
  EXPECT_EQ(poller.stats().starts, 1u);
}

TEST_F(Observability, REQ_POLL_8_RefusedCallsAreRecorded) {
  Poller poller(loop_, recording());
  must(poller.add("a", [] {}));
  must(poller.add_run_hook([](Ctl& c) { static_cast<void>(c.schedule("b", 1ms)); }));
  poller.run_here({.deadline = time(1ms)});
  EXPECT_EQ(of(RecordKind::misuse).size(), 1u);
  EXPECT_EQ(of(RecordKind::run_started).size(), 1u);
  EXPECT_EQ(of(RecordKind::run_ended).size(), 1u);
}

}  // namespace
}  // namespace gyre::poll
