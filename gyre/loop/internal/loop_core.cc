#include <algorithm>
#include <stdexcept>
#include <thread>

#include <cxxabi.h>

#include <gyre/loop/internal/loop_core.h>

namespace gyre::internal {

LoopCore::LoopCore(LoopOptions given) : options(std::move(given)), clock(options.clock) {
  if (options.offload_threads < 1 || options.offload_threads > 1024) {
    throw std::invalid_argument("gyre: LoopOptions::offload_threads must be 1 to 1024");
  }
  if (options.turns_between_polls < 1) {
    throw std::invalid_argument("gyre: LoopOptions::turns_between_polls must be at least 1");
  }
  if (options.time_between_polls < Duration::zero()) {
    throw std::invalid_argument("gyre: LoopOptions::time_between_polls must not be negative");
  }
  if (clock == nullptr) clock = &steady_clock;
  shared->core = this;
}

LoopCore::~LoopCore() {
  if (!finished_) {
    shared->commit_termination(true);
    end();
  }
  const std::lock_guard lock(shared->mutex);
  shared->core = nullptr;
}

void LoopCore::check_thread() const {
  const char* owner = shared->owner.load(std::memory_order_relaxed);
  if (owner != nullptr && owner != &thread_tag) {
    throw std::logic_error(
        "gyre: a Loop was used from a thread that does not own it; other threads use Loop::remote()");
  }
}

// --- Containment
// -------------------------------------------------------------------------------------------------------

template <typename Callable>
void LoopCore::contain(CallbackKind kind, Callable&& callable) {
  ++stats.callbacks;
  try {
    callable();
  } catch (const abi::__forced_unwind&) {
    throw;  // the thread is being cancelled; swallowing this would abort the process
  } catch (...) {
    report(kind);
  }
}

void LoopCore::report(CallbackKind kind) noexcept {
  ++stats.failed_callbacks;
  if (!options.on_callback_error) return;
  try {
    options.on_callback_error(Error::from_exception(std::current_exception()), kind);
  } catch (...) {  // NOLINT(bugprone-empty-catch): documented; there is nobody left to tell
  }
}

// --- Running
// -----------------------------------------------------------------------------------------------------------

Result<void> LoopCore::enter() {
  const bool mine = shared->on_owner_thread();
  if (inside_ && mine) return fail(Errc::reentrant_run, "run was called from a callback of the same loop");
  LoopState state = LoopState::awake;
  if (shared->state.compare_exchange_strong(state, LoopState::running)) {
    shared->owner.store(&thread_tag, std::memory_order_relaxed);
  } else if (state == LoopState::sleeping && mine) {
    // Paused between two steps. If the exchange fails, the end was requested just now, and the caller sees that.
    shared->state.compare_exchange_strong(state, LoopState::running);
  } else if (state == LoopState::running || state == LoopState::sleeping) {
    return fail(Errc::already_running, "another thread is running this loop");
  } else if (!mine || finished_) {
    return fail(Errc::terminated, "the loop has ended or is ending; make a new one");
  }
  inside_ = true;
  return {};
}

void LoopCore::leave() noexcept {
  inside_ = false;
  LoopState expected = LoopState::running;
  shared->state.compare_exchange_strong(expected, LoopState::sleeping);
}

Result<void> LoopCore::run(std::stop_token stop) {
  if (auto entered = enter(); !entered) return entered;
  const std::stop_callback wake_on_stop(stop, [this] { static_cast<void>(shared->wake_now()); });
  Result<void> result;
  start_up();
  while (!should_stop() && !stop.stop_requested()) {
    result = turn(Duration::max());
    if (!result) break;
  }
  if (result && stop.stop_requested()) {
    result = fail(Errc::cancelled, "the loop was stopped by its stop token");
  }
  shared->commit_termination(false);
  end();
  inside_ = false;
  return result;
}

Result<bool> LoopCore::step(std::stop_token stop, Duration max_wait) {
  if (auto entered = enter(); !entered) return std::unexpected(entered.error());
  const std::stop_callback wake_on_stop(stop, [this] { static_cast<void>(shared->wake_now()); });
  start_up();
  Result<void> result;
  if (!should_stop()) result = turn(stop.stop_requested() ? Duration::zero() : max_wait);
  if (should_stop()) {
    end();
    inside_ = false;
  } else {
    leave();
  }
  if (!result) return std::unexpected(result.error());
  return !finished_ && is_alive();
}

Result<bool> LoopCore::run_for(Duration duration) {
  const TimePoint until = saturating_add(clock->now(), duration);
  for (;;) {
    auto stepped = step({}, clock->time_until(until));
    if (!stepped) return stepped;
    if (finished_) return false;
    if (clock->now() >= until) return true;
  }
}

Result<void> LoopCore::close() {
  if (inside_) return fail(Errc::reentrant_close, "close was called from a callback; use shutdown here");
  if (finished_) return fail(Errc::terminated, "the loop has ended already");
  shared->commit_termination(true);
  end();
  return {};
}

void LoopCore::drain_never_run(SharedState& shared) {
  std::thread([core = shared.core] { core->end(); }).join();
}

// --- A turn
// ------------------------------------------------------------------------------------------------------------

// What was queued before the first turn: priority tasks first, then a checkpoint, then the timers that are due.
void LoopCore::start_up() {
  if (started_) return;
  started_ = true;
  refresh_now();
  last_poll_ = now_;
  take_ingress();
  run_queue(internal, CallbackKind::priority_task);
  checkpoint();
  run_timers(timers.next_sequence());
}

Result<void> LoopCore::turn(Duration max_wait) {
  ++stats.turns;
  now_is_fresh_ = false;
  const std::uint64_t first_timer_of_turn = timers.next_sequence();
  take_ingress();
  checkpoint();
  if (auto polled = poll_phase(max_wait); !polled) return polled;
  checkpoint();
  if (!immediates.empty()) run_immediates();
  if (!close_callbacks.empty()) run_queue(close_callbacks, CallbackKind::close);
  if (!timers.empty()) run_timers(first_timer_of_turn);
  take_ingress();
  if (!internal.empty()) run_queue(internal, CallbackKind::priority_task);
  if (!external.empty()) run_queue(external, CallbackKind::task);
  if (options.auto_exit && !should_stop() && !is_alive()) try_auto_exit();
  return {};
}

void LoopCore::take_ingress_now() {
  const std::lock_guard lock(shared->mutex);
  external.splice_back(shared->external);
  internal.splice_back(shared->internal);
  external.lend_spares(shared->external, BlockQueue<Task>::kSparesKept / 2);
  internal.lend_spares(shared->internal, BlockQueue<Task>::kSparesKept / 2);
  shared->ingress_pending.store(false, std::memory_order_relaxed);  // guarded by the mutex
}

void LoopCore::run_checkpoint() {
  checkpoint();
}

void LoopCore::checkpoint() {
  if (in_checkpoint_) return;
  if (ticks.empty() && microtasks.empty() && checkpoint_ends.empty() && bindings.empty()) return;
  in_checkpoint_ = true;
  const auto run_all = [this](BlockQueue<Task>& queue, CallbackKind kind) {
    bool any = false;
    while (!queue.empty() && !should_abort()) {
      Task task = queue.take_front();
      contain(kind, task);
      any = true;
    }
    return any;
  };
  // By index: a callback may attach or detach a binding.
  const auto any_binding = [this](auto&& call) {
    bool any = false;
    for (std::size_t i = 0; i < bindings.size(); ++i) any |= call(*bindings[i]);
    return any;
  };
  for (bool more = true; more && !should_abort();) {
    more = run_all(ticks, CallbackKind::next_tick);
    more |= any_binding([](LoopBinding& binding) { return binding.run_ticks(); });
    more |= run_all(microtasks, CallbackKind::microtask);
    more |= any_binding([](LoopBinding& binding) { return binding.run_microtasks(); });
    if (more) continue;
    if (!checkpoint_ends.empty()) {
      Task task = checkpoint_ends.take_front();
      contain(CallbackKind::checkpoint_end, task);
      more = true;
    } else {
      more = any_binding([](LoopBinding& binding) { return binding.finish_checkpoint(); });
    }
  }
  in_checkpoint_ = false;
}

bool LoopCore::has_ready_work() const noexcept {
  return !external.empty() || !internal.empty() || !immediates.empty() || !close_callbacks.empty() ||
         shared->ingress_pending.load(std::memory_order_acquire);
}

Result<void> LoopCore::poll_phase(Duration max_wait) {
  const bool watching = watchers.size() > 0;
  const bool ready = max_wait == Duration::zero() || has_ready_work() ||
                     (!timers.empty() && timers.next_deadline() <= now()) || (options.auto_exit && !is_alive());
  if (!ready) return sleep(timers.next_deadline(), max_wait);
  if (!watching) return {};
  // Work must not starve I/O: look at the descriptors every so many turns, or after so much time.
  if (max_wait != Duration::zero() && ++turns_since_poll_ < options.turns_between_polls &&
      now() - last_poll_ < options.time_between_polls) {
    return {};
  }
  return poll_descriptors(Duration::zero());
}

Result<void> LoopCore::sleep(TimePoint deadline, Duration max_wait) {
  const bool watching = watchers.size() > 0;
  if (!watching && offloads_in_flight_ == 0 && max_wait == Duration::max() && clock->skip_to(deadline)) {
    now_is_fresh_ = false;
    return {};
  }
  shared->sleeps_in_poller.store(watching, std::memory_order_seq_cst);
  LoopState running = LoopState::running;
  if (!shared->state.compare_exchange_strong(running, LoopState::sleeping)) return {};  // the end has been requested
  const bool disturbed = shared->ingress_pending.load(std::memory_order_seq_cst) ||
                         shared->wake_requested.load(std::memory_order_seq_cst) || should_stop();
  Result<void> result;
  if (!disturbed) {
    ++stats.sleeps;
    const Duration timeout = std::min(clock->time_until(deadline), max_wait);
    if (watching) {
      result = poll_descriptors(timeout);
    } else {
      shared->parker.park(timeout);
    }
  }
  wake_up();
  return result;
}

// Leaves the sleeping state, whatever ended the sleep.
void LoopCore::wake_up() noexcept {
  LoopState sleeping = LoopState::sleeping;
  if (shared->state.compare_exchange_strong(sleeping, LoopState::running)) now_is_fresh_ = false;
  shared->parker.reset();
  shared->wake_requested.store(false, std::memory_order_seq_cst);
}

// Waits for up to `timeout`, then runs the callbacks of what is ready. Leaves the loop in the running state.
Result<void> LoopCore::poll_descriptors(Duration timeout) {
  ++stats.polls;
  auto count = shared->poller->wait(timeout, events_);
  wake_up();
  last_poll_ = refresh_now();
  turns_since_poll_ = 0;
  if (!count) return std::unexpected(count.error());
  for (std::size_t i = 0; i < *count && !should_stop(); ++i) {
    const auto registration = watchers.find(events_[i].token);
    if (registration == nullptr) continue;  // stopped by an earlier callback of this batch
    const Readiness readiness = events_[i].readiness & (registration->interest | Readiness::error | Readiness::hangup);
    if (readiness == Readiness::none) continue;
    // Moved out while it runs: it may stop its own watcher, which destroys the registered callback.
    auto callback = std::move(registration->callback);
    contain(CallbackKind::watcher, [&] { callback(readiness); });
    if (registration->table != nullptr) registration->callback = std::move(callback);
    checkpoint();
  }
  return {};
}

void LoopCore::run_immediates() {
  immediates.begin_batch();
  while (!should_abort()) {
    Task task = immediates.next_in_batch();
    if (!task) break;
    contain(CallbackKind::immediate, task);
    task.reset();
    checkpoint();
  }
}

// Runs what is queued now; what is added meanwhile waits.
void LoopCore::run_queue(BlockQueue<Task>& queue, CallbackKind kind) {
  for (std::size_t left = queue.size(); left > 0 && !should_abort(); --left) {
    contain(kind, queue.front());  // in place: slots do not move while the callback adds to the queue
    queue.pop_front();
    checkpoint();
  }
}

// Runs what is due and was armed before the given sequence number: neither a timer armed by a callback of this turn nor
// an interval's next run can make the phase endless.
void LoopCore::run_timers(std::uint64_t armed_before) {
  const TimePoint phase_now = now();
  while (!should_stop()) {
    const auto due = timers.take_due(phase_now, armed_before);
    if (!due) break;
    Task callback = std::move(timers.find(*due)->callback);
    const Duration interval = timers.find(*due)->interval;
    const TimePoint started = interval == TimerQueue::kOnce ? phase_now : refresh_now();
    contain(CallbackKind::timer, callback);
    settle_timer(*due, callback, started, interval);
    callback.reset();
    checkpoint();
  }
  timers.restore_deferred();
}

// After its callback a timer is over, unless it repeats or the callback has armed it anew.
void LoopCore::settle_timer(TimerId id, Task& callback, TimePoint started, Duration interval) {
  auto* timer = timers.find(id);
  if (timer == nullptr) return;  // cancelled by its own callback
  if (timer->position == TimerQueue::kNotQueued) {
    if (interval == TimerQueue::kOnce) {
      timers.finish(id);
      return;
    }
    timers.rearm(id, saturating_add(started, interval));
  }
  timer->callback = std::move(callback);
}

// --- The end
// -----------------------------------------------------------------------------------------------------------

bool LoopCore::is_alive() {
  if (finished_) return false;
  take_ingress();
  return timers.ref_count() > 0 || immediates.ref_count() > 0 || watchers.ref_count() > 0 || offloads_in_flight_ > 0 ||
         *holds > 0 || !external.empty() || !internal.empty() || !close_callbacks.empty() || !ticks.empty() ||
         !microtasks.empty() || !checkpoint_ends.empty();
}

void LoopCore::try_auto_exit() {
  for (std::size_t i = 0; i < bindings.size(); ++i) bindings[i]->on_quiescent();
  checkpoint();
  if (is_alive()) return;
  {
    const std::lock_guard lock(shared->mutex);
    if (shared->ingress_pending.load(std::memory_order_relaxed)) return;  // somebody posted at the last moment
    shared->accepting = false;
    shared->stop_requested.store(true, std::memory_order_release);
    shared->state.store(LoopState::terminating, std::memory_order_seq_cst);
  }
  exits_by_itself_ = true;
}

void LoopCore::end() {
  shared->owner.store(&thread_tag, std::memory_order_relaxed);
  inside_ = true;
  if (!should_abort()) drain();
  const LoopEnd how = should_abort() ? LoopEnd::close : exits_by_itself_ ? LoopEnd::auto_exit : LoopEnd::shutdown;
  for (LoopBinding* binding : std::exchange(bindings, {})) binding->on_terminated(how);
  finished_ = true;
  discard_everything();
  offload_pool_.reset();
  inside_ = false;
  const std::lock_guard lock(shared->mutex);
  shared->poller.reset();
  shared->state.store(LoopState::terminated, std::memory_order_seq_cst);
  shared->done = true;
  shared->done_changed.notify_all();
}

// Runs all accepted work. Timers and descriptors are over.
void LoopCore::drain() {
  if (exits_by_itself_) discard_immediates();  // only un-ref'd ones are left
  checkpoint();
  while (!should_abort()) {
    take_ingress();
    if (!immediates.empty()) {
      run_immediates();
    } else if (!close_callbacks.empty()) {
      run_queue(close_callbacks, CallbackKind::close);
    } else if (!internal.empty()) {
      run_queue(internal, CallbackKind::priority_task);
    } else if (!external.empty()) {
      run_queue(external, CallbackKind::task);
    } else if (offloads_in_flight_ > 0) {
      wait_for_completion();
    } else {
      break;
    }
  }
}

// Sleeps until an off-loaded job reports, or the loop is closed.
void LoopCore::wait_for_completion() {
  shared->sleeps_in_poller.store(false, std::memory_order_seq_cst);
  if (!shared->ingress_pending.load(std::memory_order_seq_cst) && !should_abort()) shared->parker.park(Duration::max());
  wake_up();
}

void LoopCore::discard_immediates() {
  immediates.begin_batch();
  while (Task dropped = immediates.next_in_batch()) dropped.reset();
}

// Destroys everything that is queued. Captures' destructors may call the loop, which refuses them.
void LoopCore::discard_everything() {
  std::vector<Task> graveyard;
  timers.clear(graveyard);
  graveyard.clear();
  discard_immediates();
  take_ingress();
  for (auto* queue : {&external, &internal, &close_callbacks, &ticks, &microtasks, &checkpoint_ends}) queue->clear();
  watchers.clear();
}

// --- Descriptors and off-loading
// -----------------------------------------------------------------------------------------

Result<Watcher> LoopCore::watch(int fd, Readiness interest, UniqueFunction<void(Readiness)> callback) {
  if (!shared->poller) {
    auto poller = make_epoll_poller();
    if (!poller) return std::unexpected(poller.error());
    const std::lock_guard lock(shared->mutex);
    shared->poller = std::move(*poller);
  }
  auto registration = watchers.add(*shared->poller, fd, interest, std::move(callback));
  if (!registration) return std::unexpected(registration.error());
  return Watcher(std::move(*registration));
}

Result<void> LoopCore::offload(UniqueFunction<Task(std::stop_token)> job) {
  if (!offload_pool_) {
    offload_pool_ = std::make_unique<OffloadPool>(options.offload_threads, options.offload_queue_limit);
  }
  auto submitted = offload_pool_->submit([this, state = shared, job = std::move(job)](std::stop_token stop) mutable {
    Task completion = job(std::move(stop));
    // `this` is used only inside the task, which runs only while the loop exists.
    auto on_loop = [this, completion = std::move(completion)]() mutable {
      --offloads_in_flight_;
      completion();
    };
    static_cast<void>(state->push(&SharedState::internal, std::move(on_loop), true));
  });
  if (submitted) ++offloads_in_flight_;
  return submitted;
}

}  // namespace gyre::internal
