#pragma once

#include <array>
#include <memory>
#include <stop_token>
#include <vector>

#include <gyre/loop/internal/block_queue.h>
#include <gyre/loop/internal/immediate_queue.h>
#include <gyre/loop/internal/shared_state.h>
#include <gyre/loop/internal/slab.h>
#include <gyre/loop/internal/timer_queue.h>
#include <gyre/loop/internal/watcher_table.h>
#include <gyre/loop/loop.h>
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
    if ((ticks.size() | microtasks.size() | checkpoint_ends.size()) == 0 && bindings.empty()) return;
    if (!in_checkpoint_) checkpoint_now();
  }
  using OffloadJob = UniqueFunction<void(std::stop_token)>;
  using OffloadDone = UniqueFunction<void(const Error*)>;
  Result<void> offload(OffloadJob job, OffloadDone done);
  void complete_offload(std::uint32_t slot, const Error* failure);
  Result<Watcher> watch(int fd, Readiness interest, UniqueFunction<void(Readiness)> callback);

  /// True while macrotasks, timers and watchers are accepted.
  bool accepts_work() const noexcept { return !shared->stop_requested.load(std::memory_order_relaxed); }
  /// True while checkpoint callbacks are accepted: the final drain runs them still.
  bool accepts_microtasks() const noexcept { return !drained_; }
  /// Moves what other threads have posted into the owner's queues.
  void take_ingress() {
    if (shared->ingress_pending.load(std::memory_order_acquire)) take_ingress_now();
  }
  bool is_alive();

  TimePoint now() noexcept {
    if (!now_is_fresh_) refresh_now();
    return now_;
  }
  TimePoint refresh_now() noexcept {
    now_is_fresh_ = true;
    return now_ = clock->now();
  }

  /// The end of a loop that no thread ever ran, on a thread made for that.
  void end_never_run();

  std::shared_ptr<SharedState> shared = std::make_shared<SharedState>();
  LoopOptions options;
  SteadyClock steady_clock;
  Clock* clock;
  BlockQueue<Task> external;
  BlockQueue<Task> internal;
  BlockQueue<Task> close_callbacks;
  BlockQueue<Task> ticks;
  BlockQueue<Task> microtasks;
  BlockQueue<Task> checkpoint_ends;
  ImmediateQueue immediates;
  TimerQueue timers;
  WatcherTable watchers{shared};
  std::vector<LoopBinding*> bindings;
  std::shared_ptr<std::size_t> holds = std::make_shared<std::size_t>(0);
  LoopStats stats;

 private:
  static constexpr std::size_t kEventsPerPoll = 256;

  Result<void> enter();
  void leave() noexcept;
  enum class Claim { granted, ended, elsewhere };
  Claim claim_end();
  void start_up();
  Result<void> turn(TimePoint until);
  void take_ingress_now();
  void checkpoint_now();
  bool run_all(BlockQueue<Task>& queue, CallbackKind kind);
  bool ask_bindings(CallbackKind kind, bool (LoopBinding::*question)());
  bool has_ready_work() const noexcept;
  Result<void> poll_phase(TimePoint until);
  Result<void> sleep(TimePoint until);
  bool spin_for_work(TimePoint until) noexcept;
  Result<void> poll_descriptors(Duration timeout);
  void wake_up() noexcept;
  void run_immediates();
  void run_queue(BlockQueue<Task>& queue, CallbackKind kind);
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

  /// Runs a user's callback, counted.
  template <typename Callable>
  void contain(CallbackKind kind, Callable&& callable) {
    ++stats.callbacks;
    guard(kind, callable);
  }
  /// Keeps what the callable throws away from the loop.
  template <typename Callable>
  void guard(CallbackKind kind, Callable&& callable) {
    try {
      callable();
    } catch (...) {
      let_cancellation_pass();
      report(kind);
    }
  }
  [[gnu::cold]] void report(CallbackKind kind);

  std::array<Poller::Event, kEventsPerPoll> events_;
  std::unique_ptr<OffloadPool> offload_pool_;
  Slab<OffloadDone> offloads_;  // what to call when off-loaded work is done; stays on this thread, whatever happens
  std::stop_token stop_;        // of the run call on the stack
  TimePoint now_{};
  TimePoint last_poll_{};
  std::uint32_t turns_since_poll_ = 0;
  bool now_is_fresh_ = false;
  bool spinning_pays_ = false;  // the last time of waiting was ended by another thread
  bool started_ = false;
  bool in_checkpoint_ = false;
  bool reporting_ = false;
  bool exits_by_itself_ = false;
  bool drained_ = false;
};

}  // namespace gyre::internal
