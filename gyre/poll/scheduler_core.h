#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <gyre/base/clock.h>
#include <gyre/base/context.h>
#include <gyre/base/error.h>
#include <gyre/base/intrusive_list.h>
#include <gyre/base/task.h>
#include <gyre/loop/loop.h>
#include <gyre/poll/backoff.h>
#include <gyre/poll/channel_base.h>
#include <gyre/poll/options.h>
#include <gyre/promise/promise.h>

// What schedulers have in common, whatever their keys. Everything here belongs to the loop's thread, unless it says
// otherwise.

namespace gyre::poll::internal {

class SchedulerCore;
class Execution;

/// One call of a hook, run hook or second stage, as it refers to its scheduler.
struct CallHandle {
  std::shared_ptr<SchedulerCore> core;
  std::uint64_t call = 0;
};

using StartFunction = UniqueFunction<void(const std::shared_ptr<Execution>&), 16>;
using SecondFunction = UniqueFunction<Result<void>(const CallHandle&)>;
using RunHookFunction = UniqueFunction<Result<void>(const CallHandle&)>;

/// What few tasks have.
struct TaskExtras {
  Duration timeout = {};
  std::optional<Backoff> backoff;
};

/// A task without its key. In a ready list while it is ready and not running.
struct TaskState : ListHook {
  StartFunction start;
  TimePoint next = {};  // when it is, or was, to become ready; unless `phase` is none
  std::uint64_t order = 0;
  std::uint32_t heap_index = 0;
  int priority = 0;
  ScheduleState phase = ScheduleState::none;
  bool is_running = false;
  bool is_starting = false;
  bool is_removed = false;
  bool is_dropped = false;
  Context context;  // of whoever scheduled it
  TaskStats stats;
  std::unique_ptr<TaskExtras> extras;
  const void* key = nullptr;
};

/// One run of a task: from its start to the end of its second stage.
class Execution final : public ListHook, public std::enable_shared_from_this<Execution> {
 public:
  Execution(std::shared_ptr<SchedulerCore> core, TaskState& task, std::uint64_t generation, TimePoint started)
      : core_(std::move(core)), task_(&task), generation_(generation), started_(started) {}

  /// Ends with the first stage, or with the run.
  std::stop_token stop_token() { return stop_source().get_token(); }
  std::stop_source& stop_source() {
    if (!stop_) {
      stop_.emplace();
      if (first_stage_over_) stop_->request_stop();
    }
    return *stop_;
  }
  PromiseHome promise_home() const;
  Loop& loop() const;

  // The end of the first stage; later ones are ignored.
  void done();
  void done(SecondFunction second);
  void failed(const Reason& reason);

 private:
  friend class SchedulerCore;

  const std::shared_ptr<SchedulerCore> core_;
  TaskState* const task_;
  const std::uint64_t generation_;
  const TimePoint started_;
  Context context_;
  std::optional<std::stop_source> stop_;  // made for those who ask for it
  TimerId timeout_ = {};
  SecondFunction second_;
  bool first_stage_over_ = false;
  bool has_timed_out_ = false;
  bool is_released_ = false;
};

/// A hook's channel and its function.
class HookSource : public ChannelListener, public std::enable_shared_from_this<HookSource> {
 public:
  enum class Delivery { nothing, value, closed };
  struct Outcome {
    Delivery delivery = Delivery::nothing;
    Result<HookAction> action = HookAction::keep;
  };

  /// False if there is something to deliver right now; else `notify` will be called once, on any thread.
  virtual bool listen() = 0;
  virtual void stop_listening() = 0;
  virtual Outcome deliver(const CallHandle& handle) = 0;
  /// True unless the channel has nothing to deliver.
  virtual bool has_input() const = 0;

  void connect(Remote remote, std::weak_ptr<SchedulerCore> core, std::uint64_t id) {
    remote_.emplace(std::move(remote));
    core_ = std::move(core);
    id_ = id;
  }
  void notify() noexcept final;

 private:
  std::optional<Remote> remote_;
  std::weak_ptr<SchedulerCore> core_;
  std::uint64_t id_ = 0;
};

class SchedulerCore : public std::enable_shared_from_this<SchedulerCore> {
 public:
  SchedulerCore(Loop& loop, SchedulerOptions options);
  virtual ~SchedulerCore();

  Promise<Reason> run(RunOptions options);
  bool is_run_active() const noexcept { return phase_ != Phase::idle; }
  /// The scheduler goes; tasks that still run are told to stop and keep this object until they end.
  void close();

  // --- Configuration ---
  void configure(TaskState& task, TaskOptions options);
  void add_run_hook(RunHookFunction hook) { run_hooks_.push_back(std::move(hook)); }
  std::uint64_t add_hook(std::shared_ptr<HookSource> source);
  bool remove_hook(std::uint64_t id);
  void hook_woken(std::uint64_t id);
  /// The task has left its table, and is in the derived class's care until `erase_buried`; true if it must stay there
  /// because it runs.
  bool remove(TaskState& task, Removal how);

  // --- Scheduling: the table in docs/poll.md ---
  ScheduleState schedule(TaskState& task, Duration delay);
  ScheduleState postpone(TaskState& task, Duration delay);
  ScheduleState schedule_at(TaskState& task, std::optional<TimePoint> when);
  ScheduleState schedule_at_sooner(TaskState& task, TimePoint when);
  bool stop_timer(TaskState& task);
  std::optional<TimePoint> next(const TaskState& task) const;

  bool is_current(std::uint64_t call) const noexcept { return call == call_ && in_call_; }
  std::stop_token call_token(std::uint64_t call);
  /// Records a refused call, and returns its error.
  std::unexpected<Error> refuse(Error error);

  TimePoint now() const { return clock_.now(); }
  Loop& loop() const noexcept { return loop_; }
  PromiseHome promise_home() const { return promises_; }
  const SchedulerStats& stats();
  std::size_t pending_timers() const noexcept { return heap_.size(); }

 protected:
  void reserve_timers(std::size_t count) { heap_.reserve(count); }
  virtual std::string key_text(const TaskState& task) const = 0;
  virtual std::size_t task_count() const = 0;
  /// Destroys a removed task that does not run any more.
  virtual void erase_buried(TaskState& task) = 0;

 private:
  friend class Execution;

  enum class Phase {
    idle,
    waiting,  // for tasks of earlier runs
    running,
    leaving,  // waits for its tasks, at the end
  };
  struct HeapItem {
    TimePoint when;
    TaskState* task;
  };
  struct Hook {
    std::uint64_t id;
    std::shared_ptr<HookSource> source;
    bool is_available = false;
    bool is_removed = false;
  };
  struct ForwardStop {
    std::stop_source source;
    void operator()() { source.request_stop(); }
  };
  struct OnStop {
    std::weak_ptr<SchedulerCore> core;
    Remote remote;
    void operator()() noexcept;
  };

  // --- Turns ---
  void request_step();
  void step();
  bool end_if_due();
  void begin();
  void take_one_input();
  void deliver(const std::shared_ptr<Hook>& hook);
  void run_second_stage(Execution& execution);
  void collect_due();
  void start_ready();
  void start(TaskState& task);
  void arm_timer();
  void finish(Reason reason);
  void conclude();
  void sweep();
  template <typename Call>
  std::optional<Reason> guarded(Call call);
  template <typename Call>
  std::invoke_result_t<Call&, const CallHandle&> in_call(Call call);
  void watch_budget(TimePoint began, const std::string& key);
  Reason wrap(const Reason& reason, Errc code, const std::string& key) const;

  // --- Executions ---
  void first_stage_done(Execution& execution, std::optional<Reason> failure, SecondFunction second);
  void fail_task(Execution& execution, const Reason& reason);
  void time_out(Execution& execution);
  void count_end(Execution& execution, const Error* error);
  void release(Execution& execution);
  bool is_live(const Execution& execution) const;

  // --- Schedules ---
  void settle_due(TaskState& task);
  void clear(TaskState& task);
  void arm(TaskState& task, TimePoint when);
  void make_ready(TaskState& task, TimePoint when);
  void link_ready(TaskState& task);
  TaskState* pop_ready();
  bool may_start() const;
  void note_context(TaskState& task);
  bool comes_before(const HeapItem& a, const HeapItem& b) const;
  void place(std::size_t index, HeapItem item);
  void sift_up(std::size_t index, HeapItem item);
  void sift_down(std::size_t index, HeapItem item);
  void heap_remove(TaskState& task);

  void record(RecordKind kind, std::string key = {}, Duration duration = {}, const Error* error = nullptr);
  bool records() const { return static_cast<bool>(options_.on_record); }
  bool loop_is_gone() const { return remote_.is_done(); }

  Loop& loop_;
  Remote remote_;
  Clock& clock_;
  Promises promises_;
  SchedulerOptions options_;
  RunOptions run_options_;
  SchedulerStats stats_;
  std::uint64_t random_;

  Phase phase_ = Phase::idle;
  bool is_closed_ = false;
  bool step_is_posted_ = false;
  bool in_call_ = false;
  std::uint64_t generation_ = 0;
  std::uint64_t call_ = 0;
  std::stop_source ended_;  // for calls that are over
  std::optional<std::stop_source> call_stop_;
  std::optional<std::stop_callback<ForwardStop>> call_stop_chain_;
  std::optional<std::stop_callback<OnStop>> on_stop_;
  std::optional<TimePoint> exit_deadline_;
  std::optional<Reason> end_reason_;
  Resolver<Reason> resolver_;
  Loop::Hold hold_;

  std::vector<HeapItem> heap_;
  std::uint64_t orders_ = 0;
  std::map<int, IntrusiveList<TaskState>, std::greater<>> ready_;
  std::size_t ready_count_ = 0;
  TimerId timer_ = {};
  TimePoint timer_deadline_ = {};

  IntrusiveList<Execution> executions_;
  std::size_t executing_ = 0;
  std::vector<std::shared_ptr<Execution>> finished_;  // first stages; their second ones wait
  std::vector<TaskState*> trash_;
  std::weak_ptr<LoopExtension> keeper_;

  std::vector<RunHookFunction> run_hooks_;
  std::map<std::uint64_t, std::shared_ptr<Hook>> hooks_;
  std::vector<std::shared_ptr<Hook>> available_;
  std::uint64_t hook_ids_ = 0;
};

}  // namespace gyre::poll::internal
