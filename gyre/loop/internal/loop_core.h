#pragma once

#include <array>
#include <memory>
#include <stop_token>
#include <vector>

#include <gyre/base/internal/cycle_clock.h>
#include <gyre/loop/internal/block_queue.h>
#include <gyre/loop/internal/immediate_queue.h>
#include <gyre/loop/internal/outside_handle.h>
#include <gyre/loop/internal/shared_state.h>
#include <gyre/loop/internal/slab.h>
#include <gyre/loop/internal/timer_queue.h>
#include <gyre/loop/internal/watcher_table.h>
#include <gyre/loop/loop.h>
#include <gyre/loop/observer.h>
#include <gyre/loop/offload_pool.h>

namespace gyre::internal {

/// In a catch-all: lets through what no C++ code has thrown. It is the cancellation of this thread (pthread_exit), and
/// to swallow it would abort the process.
void let_cancellation_pass();

/// The machinery behind `Loop`: its queues and the turn that empties them. Everything here belongs to the owner thread,
/// except `shared`.
class LoopCore {
 public:
  explicit LoopCore(LoopOptions options);
  ~LoopCore();

  // What `Loop` forwards to.
  Result<void> run(std::stop_token stop);
  enum class Step { alive, idle, ended };
  /// One turn, which waits until `until` for something to do. After `ended` the loop may be gone.
  Result<Step> step(std::stop_token stop, TimePoint until);
  Result<bool> run_for(Duration duration);
  Result<void> close();
  void checkpoint() {
    if (!has_checkpoint_work() && bindings.empty()) return;
    if (checkpoint_state_ == 0) checkpoint_now();
  }
  // The seams for hosts that run checkpoints themselves; see `Loop`.
  void yield_checkpoint() noexcept { checkpoint_state_ |= kSuspended; }
  void advance_checkpoint();
  void run_microtasks();
  void resume_checkpoint();
  Result<void> set_fast_path(FastPath mode);
  using OffloadJob = UniqueFunction<void(std::stop_token)>;
  using OffloadDone = UniqueFunction<void(const Error*)>;
  Result<void> offload(OffloadJob job, OffloadDone done);
  void complete_offload(std::uint32_t slot, const Error* failure);
  Result<std::shared_ptr<Registration>> add_watch(int fd, const WatchOptions& how,
                                                  UniqueFunction<void(Readiness)> callback);
  Result<int> native_handle();
  void settle() noexcept;

  /// True while macrotasks, timers and watchers are accepted.
  bool accepts_work() const noexcept { return !shared->stop_requested.load(std::memory_order_relaxed); }
  /// True while checkpoint callbacks are accepted: the final drain runs them still.
  bool accepts_microtasks() const noexcept { return !drained_; }
  /// Moves what other threads have posted into the owner's queues.
  void take_ingress() {
    if (shared->has_ingress()) take_ingress_now();
  }
  bool is_alive();
  Result<void> cancel(TimerId id) {
    if (accepts_work() && !shared->has_ingress() && !observed_ && !applying_commands_) [[likely]] {
      TimerQueue::Timer* const timer = timers.find(id);
      if (timer != nullptr && timer->callback.is_plain()) [[likely]] {
        timers.drop(*timer);
        return {};
      }
    }
    return cancel_thoroughly(id);
  }
  [[gnu::noinline]] Result<void> cancel_thoroughly(TimerId id);
  void set_ref(TimerId id, bool ref);
  /// A microtask of this thread comes after those that other threads have queued before, and after those of a runtime
  /// that leads.
  void before_microtask() {
    take_late_microtasks();
    if (leader != nullptr) [[unlikely]]
      keep_places(1);
  }
  void run_microtask_in_place(LoopBinding& binding);
  /// The binding's queue is empty, or will not be run for now: the loop runs by itself what had a place in it.
  void give_up_places(LoopBinding& binding) noexcept { placed_ -= std::exchange(binding.places.value_, 0); }
  void stop_leading(const LoopBinding& binding) noexcept {
    if (leader == &binding) leader = nullptr;
  }

  // --- What observers see ---
  bool is_observed() const noexcept { return observed_; }
  void add_observer(LoopObserver& observer);
  void remove_observer(LoopObserver& observer);
  void observe_schedule(CallbackKind kind, std::uint64_t id) {
    if (observed_) [[unlikely]]
      notify_schedule(kind, id);
  }
  void observe_cancel(CallbackKind kind, std::uint64_t id) {
    if (observed_) [[unlikely]]
      notify_cancel(kind, id);
  }
  [[gnu::cold]] void diagnose(const Diagnostic& diagnostic);
  FastPathStats fast_path_stats();
  Result<void> set_metrics(bool on);

  TimePoint now() noexcept {
    if (!now_is_fresh_) refresh_now();
    return now_;
  }
  TimePoint refresh_now() noexcept {
    now_is_fresh_ = true;
    return now_ = clock->now();
  }
  /// From when on the delay of a timer that is armed now counts. The loop's own time stays what it is.
  TimePoint arming_time() noexcept { return clock == &steady_clock ? cycle_clock_.not_before_now() : refresh_now(); }

  /// The end of a loop that no thread ever ran, on a thread made for that.
  void end_never_run();

  std::shared_ptr<SharedState> shared = std::make_shared<SharedState>();
  LoopOptions options;
  SteadyClock steady_clock;
  Clock* clock;
  TaskQueue external{shared->ingress};
  TaskQueue internal{shared->ingress};
  BlockQueue<Task> close_callbacks;
  BlockQueue<Task> ticks;
  BlockQueue<Task> microtasks;
  BlockQueue<Task> checkpoint_ends;
  ImmediateQueue immediates;
  TimerQueue timers;
  WatcherTable watchers{shared};
  std::vector<LoopBinding*> bindings;
  LoopBinding* leader = nullptr;  // whose queue of microtasks may hold something, and gets a place for each of ours
  std::vector<std::pair<const void*, std::shared_ptr<LoopExtension>>> extensions;
  std::shared_ptr<std::size_t> holds = std::make_shared<std::size_t>(0);
  LoopStats stats;
  const std::uint64_t loop_id;

 private:
  static constexpr std::size_t kEventsPerPoll = 256;
  /// So many callbacks in one checkpoint are worth a word.
  static constexpr std::size_t kFlood = 100'000;
  static constexpr std::uint32_t kTurnsBetweenTrims = 64;  // of a loop that never sleeps
  static constexpr int kShortTurns = 64;
  static constexpr std::size_t kNone = 0;

  Result<void> enter();
  void leave() noexcept;
  enum class Claim { granted, ended, elsewhere };
  Claim claim_end();
  void start_up();
  Result<void> turn(TimePoint until);
  void take_short_turns();
  // Out of line, with what else is rare: what surrounds it is short and must stay so.
  [[gnu::noinline]] void take_ingress_now();
  [[gnu::cold]] void notify_schedule(CallbackKind kind, std::uint64_t id);
  [[gnu::cold]] void notify_cancel(CallbackKind kind, std::uint64_t id);
  void apply_commands();
  void apply(Command& command);
  void observe_turn();
  void observe_wait_start(Duration timeout) {
    if (observed_) [[unlikely]]
      notify([=](LoopObserver& observer) { observer.on_wait_start(timeout); });
  }
  void observe_wait_end(std::size_t events) {
    if (observed_) [[unlikely]]
      notify([=](LoopObserver& observer) { observer.on_wait_end(events); });
  }
  bool has_checkpoint_work() const noexcept {
    return (ticks.size() | microtasks.size() | checkpoint_ends.size() | late_microtasks_.size()) != 0;
  }
  void begin_checkpoint();
  void checkpoint_now();
  bool run_microtask_phase();
  bool may_go_on(CallbackKind kind, const BlockQueue<Task>& queue);
  /// False if the checkpoint is cut before it.
  [[gnu::always_inline]] bool run_next(BlockQueue<Task>& queue, CallbackKind kind) {
    if (stats.callbacks >= checkpoint_mark_ && !may_go_on(kind, queue)) [[unlikely]]
      return false;
    contain(kind, queue.front());  // in place: slots do not move while the callback adds to the queue
    queue.pop_front();
    return true;
  }
  bool run_all(BlockQueue<Task>& queue, CallbackKind kind, const std::size_t& left = kNone);
  bool ask_bindings(CallbackKind kind, bool (LoopBinding::*question)());
  bool run_microtasks_of_bindings();
  [[gnu::noinline]] void keep_places(std::size_t count);
  void take_late_microtasks() {
    if (late_microtasks_.empty()) [[likely]]
      return;
    if (leader != nullptr) keep_places(late_microtasks_.size());
    microtasks.splice_back(late_microtasks_);
  }
  bool has_ready_work() const noexcept;
  bool has_only_tasks() const noexcept;
  Result<void> poll_phase(TimePoint until);
  bool poll_is_due() noexcept;
  Result<void> sleep(TimePoint until);
  bool spin_for_work(TimePoint until) noexcept;
  Result<void> poll_descriptors(Duration timeout);
  void run_watcher(Registration& registration, Readiness readiness);
  void wake_up() noexcept;
  template <typename Action>
  bool any_queue(Action action);
  TimePoint next_trim() noexcept;
  void trim_if_due(TimePoint now) noexcept;
  void run_immediates();
  template <typename Queue>
  std::size_t run_queue(Queue& queue, CallbackKind kind);
  /// Before a task or an immediate: a checkpoint that was put off ends here.
  void cross_boundary() noexcept { checkpoint_state_ &= ~kSuspended; }
  bool is_suspended() const noexcept { return (checkpoint_state_ & kSuspended) != 0; }
  bool uses_poller() const noexcept {
    return options.fast_path == FastPath::disabled || watchers.size() > 0 || handle_.in_use();
  }
  Result<void> ensure_poller();
  Result<void> choose_path();
  void leave_path(bool fast, FastPathReason reason);
  void report_pressure();
  [[gnu::cold]] void attend_admission();
  void report_excess(CallbackKind kind, BatchExcess::Limit limit, std::size_t done, std::size_t left);
  void run_timers(std::uint64_t armed_before);
  void settle_timer(TimerId id, Task& callback, TimePoint started, Duration interval);
  bool try_auto_exit();
  void end();
  void drain();
  void wait_for_completion();
  void discard_immediates();
  void discard_everything() noexcept;
  bool should_stop() const noexcept { return shared->stop_requested.load(std::memory_order_acquire); }
  bool should_abort() const noexcept { return shared->abort_requested.load(std::memory_order_relaxed); }
  /// In a checkpoint: the loop is being closed, or the rest is put off.
  bool should_pause() const noexcept { return checkpoint_state_ > kInCheckpoint || checkpoint_cut_ || should_abort(); }

  /// Runs a user's callback, counted.
  template <typename Callable>
  void contain(CallbackKind kind, Callable&& callable, std::uint64_t id = 0) {
    ++stats.callbacks;
    if (!observed_) [[likely]] {
      guard(kind, callable);
    } else {
      contain_observed(kind, callable, id);
    }
  }
  template <typename Callable>
  [[gnu::noinline]] void contain_observed(CallbackKind kind, Callable& callable, std::uint64_t id) {
    notify([=](LoopObserver& observer) { observer.on_callback_start(kind, id); });
    const bool failed = !guard(kind, callable);
    notify([=](LoopObserver& observer) { observer.on_callback_end(kind, id, failed); });
  }
  /// Keeps what the callable throws away from the loop. False if it has thrown.
  template <typename Callable>
  bool guard(CallbackKind kind, Callable&& callable) {
    try {
      callable();
      return true;
    } catch (...) {
      let_cancellation_pass();
      report(kind);
      return false;
    }
  }
  [[gnu::cold]] void report(CallbackKind kind);
  /// Tells every observer. What they cause in turn is not told, or it would have no end.
  template <typename Call>
  void notify(Call call) {
    if (notifying_) return;
    {
      const Raised notifying(notifying_);
      const std::size_t count = observers_.size();  // those that are added meanwhile are not told
      for (std::size_t i = 0; i < count; ++i) {
        if (observers_[i] == nullptr) continue;  // removed meanwhile
        try {
          call(*observers_[i]);
        } catch (...) {  // documented: there is nobody left to tell
          let_cancellation_pass();
        }
      }
    }
    std::erase(observers_, nullptr);
  }

  /// Sets a flag for as long as it lives.
  class Raised {
   public:
    explicit Raised(bool& flag) noexcept : flag_(flag) { flag_ = true; }
    Raised(const Raised&) = delete;
    Raised& operator=(const Raised&) = delete;
    ~Raised() { flag_ = false; }

   private:
    bool& flag_;
  };

  /// Ends a batch in time. Without limits it only counts down.
  class Batch {
   public:
    Batch(LoopCore& core, const BatchLimits& limits, std::size_t queued)
        : core_(core), left_(queued), allowed_(queued) {
      if (limits.any()) [[unlikely]]
        start(limits);
    }
    /// Before each callback.
    bool more() {
      if (left_ == 0 || (until_ != TimePoint::max() && is_out_of_time())) [[unlikely]]
        return false;
      --left_;
      return true;
    }
    /// Reports the excess, if there was one.
    void finish(CallbackKind kind, std::size_t still_queued) {
      if (exceeded_) [[unlikely]]
        report(kind, still_queued);
    }
    std::size_t done() const noexcept { return allowed_ - left_; }

   private:
    void start(const BatchLimits& limits);
    bool is_out_of_time();
    void report(CallbackKind kind, std::size_t still_queued);

    LoopCore& core_;
    std::size_t left_;
    std::size_t allowed_;
    TimePoint until_ = TimePoint::max();
    bool exceeded_ = false;
    BatchExcess::Limit limit_ = BatchExcess::Limit::callbacks;
  };

  std::array<Poller::Event, kEventsPerPoll> events_;
  OutsideHandle handle_;
  std::unique_ptr<OffloadPool> offload_pool_;
  Slab<OffloadDone> offloads_;  // what to call when off-loaded work is done; stays on this thread, whatever happens
  std::stop_token stop_;        // of the run call on the stack
  TimePoint now_{};
  CycleClock cycle_clock_;
  TimerId running_timer_;  // the one whose callback is on the stack
  // Microtasks that other threads queued while a batch of microtasks ran: they come after the next ticks.
  BlockQueue<Task> late_microtasks_;
  // So many of the last microtasks have a place in a runtime's queue. The first of them is run there, each time that
  // such a place is reached, after all that have none.
  std::size_t placed_ = 0;
  LoopBinding* running_binding_ = nullptr;  // whose microtasks are being run, and that may reach places
  BlockQueue<Command> commands_;            // taken over, not yet carried out
  std::vector<LoopObserver*> observers_;
  FastPathStats path_stats_;
  TimePoint path_since_{};
  std::uint64_t path_callbacks_ = 0;    // stats.callbacks when the present way of waiting began
  std::uint64_t checkpoint_mark_ = 0;   // stats.callbacks at which a checkpoint has to stop and think
  std::uint64_t checkpoint_start_ = 0;  // stats.callbacks when it began
  TimePoint checkpoint_until_{};        // when it has to end, if its time is limited
  TimePoint last_poll_{};
  TimePoint trim_at_{};
  std::uint64_t callbacks_at_trim_ = 0;
  int trims_left_ = 0;
  std::uint32_t turns_since_trim_ = 0;
  std::uint32_t turns_since_poll_ = 0;
  bool now_is_fresh_ = false;
  bool spinning_pays_ = false;  // the last time of waiting was ended by another thread
  bool started_ = false;
  static constexpr unsigned kInCheckpoint = 1;
  static constexpr unsigned kSuspended = 2;
  unsigned checkpoint_state_ = 0;
  bool checkpoint_cut_ = false;  // by its limits; the rest is ready work
  bool flood_told_ = false;      // of the present checkpoint
  bool excess_reported_ = false;
  bool applying_commands_ = false;
  bool observed_ = false;
  bool notifying_ = false;
  bool fast_ = true;                          // waits without the poller
  FastPath path_mode_ = FastPath::automatic;  // when the present way of waiting was chosen
  bool reporting_ = false;
  bool exits_by_itself_ = false;
  bool drains_ = false;  // the final drain goes on: nothing is put off any more
  bool drained_ = false;
};

}  // namespace gyre::internal
