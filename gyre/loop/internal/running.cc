#include <stdexcept>

#include <gyre/base/context.h>
#include <gyre/loop/internal/admission_control.h>
#include <gyre/loop/internal/errors.h>
#include <gyre/loop/internal/loop_core.h>
#include <gyre/loop/internal/owner_call.h>

namespace gyre::internal {

// The ways to run a loop, and the turn that all of them make.

namespace {

// Ends the loop at once if something unwinds the thread through a run call: a thread that is cancelled, or memory that
// ran out. Nobody else could run the loop then, and those who wait for its end would wait for ever.
template <typename End>
class OnUnwind {
 public:
  explicit OnUnwind(End end) : end_(std::move(end)) {}
  OnUnwind(const OnUnwind&) = delete;
  OnUnwind& operator=(const OnUnwind&) = delete;
  ~OnUnwind() {
    if (armed_) end_();
  }
  void disarm() { armed_ = false; }

 private:
  End end_;
  bool armed_ = true;
};

}  // namespace

Result<void> LoopCore::enter() {
  if (shared->is_inside()) {
    return fail(Errc::reentrant_run, "run was called from a callback of the same loop");
  }
  const std::lock_guard lock(shared->ownership);
  const bool owned = shared->owner.load(std::memory_order_relaxed) != nullptr;
  if (owned && !shared->on_owner_thread() && shared->state.load() != LoopState::terminating) {
    return fail(Errc::already_running, "another thread is running this loop");
  }
  if ((owned && !shared->on_owner_thread()) || shared->end_claimed || shared->ended) {
    return fail(Errc::terminated, "the loop has ended or is ending; make a new one");
  }
  shared->owner.store(&thread_tag, std::memory_order_relaxed);
  shared->inside = true;
  shared->waits_outside = false;
  // Never run, or paused between two steps. If neither, the end has been requested, and the caller sees that.
  LoopState state = LoopState::awake;
  if (!shared->state.compare_exchange_strong(state, LoopState::running) && state == LoopState::sleeping) {
    shared->state.compare_exchange_strong(state, LoopState::running);
  }
  return {};
}

void LoopCore::leave() noexcept {
  stop_ = {};
  {
    const std::lock_guard lock(shared->ownership);
    shared->inside = false;
    LoopState expected = LoopState::running;
    shared->state.compare_exchange_strong(expected, LoopState::sleeping);
  }
  if (handle_.in_use()) {
    shared->waits_outside = true;
    settle();
  }
}

Result<void> LoopCore::run(std::stop_token stop) {
  if (auto entered = enter(); !entered) return entered;
  OnUnwind unwinding([this] {
    shared->commit_termination(true);
    end();
  });
  // Not through `this`: once the loop has ended, another thread may destroy it.
  const std::stop_callback wake_on_stop(stop, [state = shared] { static_cast<void>(state->wake_now()); });
  stop_ = stop;
  const ContextScope none{Context()};  // callbacks have the context in which they were scheduled, not the caller's
  Result<void> result;
  if (!should_stop()) start_up();
  while (!should_stop() && !stop.stop_requested()) {
    if (auto turned = turn(TimePoint::max()); !turned) {
      result = std::move(turned);
      break;
    }
    take_short_turns();
  }
  if (result && !should_stop()) result = fail(Errc::cancelled, "the loop was stopped by its stop token");
  shared->commit_termination(false);
  unwinding.disarm();
  end();
  return result;
}

Result<LoopCore::Step> LoopCore::step(std::stop_token stop, TimePoint until) {
  if (auto entered = enter(); !entered) return std::unexpected(entered.error());
  OnUnwind unwinding([this] {
    shared->commit_termination(true);
    end();
  });
  const std::stop_callback wake_on_stop(stop, [state = shared] { static_cast<void>(state->wake_now()); });
  stop_ = stop;
  const ContextScope none{Context()};
  Result<void> result;
  const std::uint64_t callbacks_before = stats.callbacks;
  if (!should_stop()) start_up();
  checkpoint();  // of what was queued between two steps
  const bool no_wait = stop.stop_requested() || stats.callbacks != callbacks_before;
  if (!should_stop()) result = turn(no_wait ? TimePoint::min() : until);
  unwinding.disarm();
  Step outcome = Step::ended;
  if (should_stop()) {
    end();
  } else {
    outcome = is_alive() ? Step::alive : Step::idle;
    leave();
  }
  if (!result) return std::unexpected(result.error());
  return outcome;
}

Result<bool> LoopCore::run_for(Duration duration) {
  const TimePoint until = saturating_add(clock->now(), duration);
  for (;;) {
    auto stepped = step({}, until);
    if (!stepped) return std::unexpected(stepped.error());
    if (*stepped == Step::ended) return false;
    if (clock->now() >= until) return true;
  }
}

// --- A turn ---

// What was queued before the first turn: priority tasks first, then a checkpoint, then the timers that are due.
void LoopCore::start_up() {
  if (started_) return;
  started_ = true;
  refresh_now();
  path_since_ = now_;
  path_callbacks_ = stats.callbacks;
  last_poll_ = now_;
  take_ingress();
  run_queue(internal, CallbackKind::priority_task);
  checkpoint();
  run_timers(timers.next_sequence());
}

Result<void> LoopCore::turn(TimePoint until) {
  ++stats.turns;
  if (++turns_since_trim_ == kTurnsBetweenTrims) trim_if_due(now());
  now_is_fresh_ = false;
  // Only where the loop may wait actively at all, and has no task to run meanwhile.
  if (options.spin_before_sleep > Duration::zero() && external.empty() && shared->has_ingress()) {
    shared->ingress.gather();
  }
  take_ingress();
  const std::uint64_t callbacks_before = stats.callbacks;
  const std::uint64_t sleeps_before = stats.sleeps;
  const std::uint64_t first_timer_of_turn = timers.next_sequence();
  if (observed_) [[unlikely]]
    observe_turn();
  if (shared->admission != nullptr) [[unlikely]]
    attend_admission();
  checkpoint();
  if (uses_poller() == fast_) [[unlikely]] {
    if (auto chosen = choose_path(); !chosen) return chosen;
  }
  if (!fast_ || !has_ready_work()) {  // else there is nothing to ask and nothing to wait for
    if (auto polled = poll_phase(until); !polled) return polled;
    checkpoint();
  }
  if (options.auto_exit && external.empty() && !should_stop() && !is_alive() && try_auto_exit()) return {};
  if (!immediates.empty()) run_immediates();
  if (!close_callbacks.empty()) run_queue(close_callbacks, CallbackKind::close);
  if (!timers.empty()) run_timers(first_timer_of_turn);
  // Where nothing has happened since it was taken over, that was just now: there would be a task or two, for which all
  // producers would have to wait.
  if (external.empty() || stats.callbacks != callbacks_before || stats.sleeps != sleeps_before) take_ingress();
  if (!internal.empty()) run_queue(internal, CallbackKind::priority_task);
  if (!external.empty()) {
    const std::size_t ran = run_queue(external, CallbackKind::task);
    if (options.on_queue_pressure && ran > 0 && !should_abort()) [[unlikely]]
      report_pressure();
  }
  return {};
}

// Goes over to the other way of waiting.
Result<void> LoopCore::choose_path() {
  if (fast_) {
    if (auto ensured = ensure_poller(); !ensured) return ensured;
    leave_path(true, watchers.size() > 0 ? FastPathReason::descriptor_watched : FastPathReason::mode_set);
  } else {
    leave_path(false, path_mode_ != options.fast_path ? FastPathReason::mode_set : FastPathReason::descriptors_gone);
  }
  path_mode_ = options.fast_path;
  last_poll_ = now();
  return {};
}

void LoopCore::leave_path(bool fast, FastPathReason reason) {
  const TimePoint left_at = refresh_now();
  const FastPathChange change{.fast = !fast && reason != FastPathReason::ended,
                              .reason = reason,
                              .callbacks = stats.callbacks - std::exchange(path_callbacks_, stats.callbacks),
                              .time = left_at - std::exchange(path_since_, left_at)};
  (fast ? path_stats_.fast_callbacks : path_stats_.polling_callbacks) += change.callbacks;
  (fast ? path_stats_.fast_time : path_stats_.polling_time) += change.time;
  const bool ended = reason == FastPathReason::ended;  // then it goes over to nothing
  if (fast || !ended) ++(fast ? path_stats_.exits : path_stats_.entries)[static_cast<std::size_t>(reason)];
  if (!ended) fast_ = !fast;
  if (observed_) notify([&](LoopObserver& observer) { observer.on_fast_path(change); });
}

FastPathStats LoopCore::fast_path_stats() {
  FastPathStats result = path_stats_;
  result.fast = fast_;
  if (started_) {
    (fast_ ? result.fast_callbacks : result.polling_callbacks) += stats.callbacks - path_callbacks_;
    (fast_ ? result.fast_time : result.polling_time) += now() - path_since_;
  }
  return result;
}

Result<void> LoopCore::set_fast_path(FastPath mode) {
  require_mode(mode);
  if (!accepts_work()) return fail(Errc::terminated, "the loop is ending");
  if (mode == FastPath::forced && (watchers.size() > 0 || handle_.in_use())) {
    return std::unexpected(
        Error(Errc::fast_path_incompatible,
              "the fast path cannot be forced on a loop with a native handle, nor while descriptors are watched; "
              "stop their watchers first")
            .with("watched", watchers.size()));
  }
  if (mode == FastPath::disabled) {
    if (auto ensured = ensure_poller(); !ensured) return ensured;
  }
  options.fast_path = mode;
  return {};
}

// A turn for which there is nothing but tasks is no more than its task phase.
void LoopCore::take_short_turns() {
  for (int i = 0; i < kShortTurns && has_only_tasks(); ++i) {
    ++stats.turns;
    now_is_fresh_ = false;
    run_queue(external, CallbackKind::task);
  }
}

bool LoopCore::has_only_tasks() const noexcept {
  return !external.empty() && (timers.size() | immediates.size() | internal.size() | close_callbacks.size()) == 0 &&
         fast_ && !uses_poller() && (checkpoint_state_ | unsigned{checkpoint_cut_}) == 0 && !observed_ &&
         !options.on_queue_pressure && !shared->has_ingress() && !should_stop() &&
         !shared->wake_requested.load(std::memory_order_relaxed);
}

void LoopCore::run_immediates() {
  Batch batch(*this, options.batch_limits, immediates.size());
  immediates.begin_batch();
  while (!should_abort() && immediates.has_batch() && batch.more()) {
    cross_boundary();
    const std::uint64_t id = immediates.next_id();
    Task task = immediates.next_in_batch();
    contain(CallbackKind::immediate, task, id);
    task.reset();
    checkpoint();
    take_ingress();
  }
  if (immediates.has_batch()) batch.finish(CallbackKind::immediate, immediates.size());
}

// Runs what is queued now; what is added meanwhile waits. Says how many it ran.
template <typename Queue>
std::size_t LoopCore::run_queue(Queue& queue, CallbackKind kind) {
  Batch batch(*this, options.batch_limits, queue.size());
  AdmissionControl* const admission = kind == CallbackKind::task ? shared->admission.get() : nullptr;
  while (!should_abort() && batch.more()) {
    cross_boundary();
    queue.run_front([&](Task& task) {
      if (admission != nullptr) [[unlikely]]
        admission->started();
      contain(kind, task);
    });
    checkpoint();
  }
  batch.finish(kind, queue.size());
  return batch.done();
}
template std::size_t LoopCore::run_queue(TaskQueue&, CallbackKind);
template std::size_t LoopCore::run_queue(BlockQueue<Task>&, CallbackKind);

// Runs what is due and was armed before the given sequence number: neither a timer armed by a callback of this turn nor
// an interval's next run can make the phase endless.
void LoopCore::run_timers(std::uint64_t armed_before) {
  const TimePoint phase_now = now();
  while (!should_stop()) {
    take_ingress();  // another thread may have cancelled the next one
    TimerQueue::Timer* const due = timers.take_due(phase_now, armed_before);
    if (due == nullptr) break;
    const TimerId id = due->id();
    const Duration interval = due->interval;
    Task callback = std::move(due->callback);
    const TimePoint started = interval == TimerQueue::kOnce ? phase_now : refresh_now();
    running_timer_ = id;
    contain(CallbackKind::timer, callback, id.value());
    settle_timer(id, callback, started, interval);
    running_timer_ = {};
    callback.reset();
    checkpoint();
  }
  timers.restore_deferred();
}

// After its callback a timer is over, unless it repeats or the callback has armed it anew.
void LoopCore::settle_timer(TimerId id, Task& callback, TimePoint started, Duration interval) {
  take_ingress();  // what another thread has armed or cancelled comes first
  auto* timer = timers.find(id);
  if (timer == nullptr) return;  // cancelled while its callback ran
  if (!timers.is_waiting(*timer)) {
    if (interval == TimerQueue::kOnce) {
      timers.drop(*timer);
      return;
    }
    if (interval > Duration::zero()) {
      timer->missed += static_cast<std::uint32_t>((started - timer->deadline) / interval);
    }
    timers.rearm(*timer, saturating_add(started, interval));
  }
  timer->callback = std::move(callback);
}

}  // namespace gyre::internal
