#include <algorithm>
#include <exception>
#include <optional>
#include <stdexcept>

#include <gyre/loop/internal/loop_core.h>
#include <gyre/loop/internal/owner_call.h>
#include <gyre/loop/internal/spin.h>

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
  if (options.spin_before_sleep < Duration::zero() || options.timer_slack < Duration::zero()) {
    throw std::invalid_argument("gyre: LoopOptions::spin_before_sleep and timer_slack must not be negative");
  }
  if (clock == nullptr) clock = &steady_clock;
  if (clock != &steady_clock || !may_spin()) options.spin_before_sleep = {};
  shared->core = this;
}

LoopCore::~LoopCore() {
  shared->commit_termination(true);
  if (claim_end() == Claim::granted) end();
  shared->wait_done(Duration::max());
  const std::lock_guard lock(shared->ownership);
  shared->core = nullptr;
}

// --- Containment ---

namespace {

// In a catch-all: lets through what no C++ code has thrown. It is the cancellation of this thread (pthread_exit), and
// to swallow it would abort the process.
void let_cancellation_pass() {
  if (std::current_exception() == nullptr) throw;
}

}  // namespace

template <typename Callable>
void LoopCore::guard(CallbackKind kind, Callable&& callable) {
  try {
    callable();
  } catch (...) {
    let_cancellation_pass();
    report(kind);
  }
}

void LoopCore::report(CallbackKind kind) {
  ++stats.failed_callbacks;
  if (!options.on_callback_error || reporting_) return;
  reporting_ = true;
  try {
    options.on_callback_error(Error::from_exception(std::current_exception()), kind);
  } catch (...) {  // documented: there is nobody left to tell
    let_cancellation_pass();
  }
  reporting_ = false;
}

// --- Running ---

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
  if (shared->on_owner_thread() && shared->inside) {
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
  // Never run, or paused between two steps. If neither, the end has been requested, and the caller sees that.
  LoopState state = LoopState::awake;
  if (!shared->state.compare_exchange_strong(state, LoopState::running) && state == LoopState::sleeping) {
    shared->state.compare_exchange_strong(state, LoopState::running);
  }
  return {};
}

void LoopCore::leave() noexcept {
  stop_ = {};
  const std::lock_guard lock(shared->ownership);
  shared->inside = false;
  LoopState expected = LoopState::running;
  shared->state.compare_exchange_strong(expected, LoopState::sleeping);
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
  Result<void> result;
  if (!should_stop()) start_up();
  while (!should_stop() && !stop.stop_requested()) {
    if (auto turned = turn(TimePoint::max()); !turned) {
      result = std::move(turned);
      break;
    }
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

LoopCore::Claim LoopCore::claim_end() {
  if (shared->on_owner_thread() && shared->inside) {
    std::terminate();  // a callback destroys the loop that is executing it
  }
  const std::lock_guard lock(shared->ownership);
  if (shared->ended) return Claim::ended;
  if (shared->inside || shared->end_claimed) return Claim::elsewhere;
  shared->owner.store(&thread_tag, std::memory_order_relaxed);
  shared->inside = true;
  return Claim::granted;
}

Result<void> LoopCore::close() {
  if (shared->on_owner_thread() && shared->inside) {
    return fail(Errc::reentrant_close, "close was called from a callback; use shutdown here");
  }
  static_cast<void>(OwnerCall(*shared));  // throws on another thread than the owner's
  const Claim claim = claim_end();
  if (claim == Claim::ended) return fail(Errc::terminated, "the loop has ended already");
  shared->commit_termination(true);
  if (claim == Claim::granted) end();
  shared->wait_done(Duration::max());
  return {};
}

void LoopCore::end_never_run() {
  {
    const std::lock_guard lock(shared->ownership);
    shared->owner.store(&thread_tag, std::memory_order_relaxed);
    shared->inside = true;
  }
  end();
}

// --- A turn ---

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

Result<void> LoopCore::turn(TimePoint until) {
  ++stats.turns;
  now_is_fresh_ = false;
  const std::uint64_t first_timer_of_turn = timers.next_sequence();
  take_ingress();
  checkpoint();
  if (watchers.size() > 0 || !has_ready_work()) {  // else there is nothing to ask and nothing to wait for
    if (auto polled = poll_phase(until); !polled) return polled;
    checkpoint();
  }
  if (options.auto_exit && external.empty() && !should_stop() && !is_alive() && try_auto_exit()) return {};
  if (!immediates.empty()) run_immediates();
  if (!close_callbacks.empty()) run_queue(close_callbacks, CallbackKind::close);
  if (!timers.empty()) run_timers(first_timer_of_turn);
  take_ingress();
  if (!internal.empty()) run_queue(internal, CallbackKind::priority_task);
  if (!external.empty()) run_queue(external, CallbackKind::task);
  return {};
}

void LoopCore::take_ingress_now() {
  const std::lock_guard lock(shared->mutex);
  external.splice_back(shared->external);
  internal.splice_back(shared->internal);
  external.top_up_spares(shared->external, BlockQueue<Task>::kSparesKept / 2);
  internal.top_up_spares(shared->internal, BlockQueue<Task>::kSparesKept / 2);
  shared->ingress_pending.store(false, std::memory_order_relaxed);  // guarded by the mutex
}

void LoopCore::checkpoint_now() {
  in_checkpoint_ = true;
  for (bool more = true; more && !should_abort();) {
    more = false;
    do {
      more |= run_all(ticks, CallbackKind::next_tick);
    } while (!should_abort() && (ask_bindings(CallbackKind::next_tick, &LoopBinding::run_ticks) || !ticks.empty()));
    do {
      more |= run_all(microtasks, CallbackKind::microtask);
      more |= ask_bindings(CallbackKind::microtask, &LoopBinding::run_microtasks);
    } while (!microtasks.empty() && !should_abort());
    more |= !ticks.empty();
    if (more) continue;
    if (!checkpoint_ends.empty()) {
      Task task = checkpoint_ends.take_front();
      contain(CallbackKind::checkpoint_end, task);
      more = true;
    } else {
      more = ask_bindings(CallbackKind::checkpoint_end, &LoopBinding::finish_checkpoint);
    }
  }
  in_checkpoint_ = false;
}

bool LoopCore::run_all(BlockQueue<Task>& queue, CallbackKind kind) {
  bool any = false;
  while (!queue.empty() && !should_abort()) {
    contain(kind, queue.front());  // in place: slots do not move while the callback adds to the queue
    queue.pop_front();
    any = true;
  }
  return any;
}

// True if any binding says so; false for all once the loop is being closed.
bool LoopCore::ask_bindings(CallbackKind kind, bool (LoopBinding::*question)()) {
  bool any = false;
  // By index: a callback may attach or detach a binding.
  for (std::size_t i = 0; i < bindings.size() && !should_abort(); ++i) {
    guard(kind, [&] { any |= (bindings[i]->*question)(); });
  }
  return any;
}

bool LoopCore::has_ready_work() const noexcept {
  return !external.empty() || !internal.empty() || !immediates.empty() || !close_callbacks.empty() ||
         shared->ingress_pending.load(std::memory_order_acquire);
}

Result<void> LoopCore::poll_phase(TimePoint until) {
  const bool watching = watchers.size() > 0;
  const bool no_wait = until != TimePoint::max() && until <= now();
  // First: the question takes over what other threads have just posted, which then is ready.
  const bool may_exit = options.auto_exit && !is_alive();
  const bool ready = no_wait || may_exit || has_ready_work() || (!timers.empty() && timers.next_deadline() <= now());
  if (!ready) return sleep(std::min(saturating_add(timers.next_deadline(), options.timer_slack), until));
  if (!watching) return {};
  // Work must not starve I/O: look at the descriptors every so many turns, or after so much time.
  if (!no_wait && ++turns_since_poll_ < options.turns_between_polls &&
      now() - last_poll_ < options.time_between_polls) {
    return {};
  }
  return poll_descriptors(Duration::zero());
}

Result<void> LoopCore::sleep(TimePoint until) {
  const bool watching = watchers.size() > 0;
  if (!watching && offloads_.in_use() == 0 && clock->skip_to(until)) {
    now_is_fresh_ = false;
    return {};
  }
  if (spinning_pays_ && spin_for_work(until)) {
    now_is_fresh_ = false;
    return {};
  }
  shared->sleeps_in_poller.store(watching, std::memory_order_seq_cst);
  LoopState running = LoopState::running;
  if (!shared->state.compare_exchange_strong(running, LoopState::sleeping)) return {};  // the end has been requested
  const bool disturbed =
      shared->ingress_pending.load(std::memory_order_seq_cst) || shared->wake_requested.load(std::memory_order_seq_cst);
  Result<void> result;
  if (!disturbed) {
    ++stats.sleeps;
    const Duration timeout = clock->time_until(until);
    if (watching) {
      result = poll_descriptors(timeout);
    } else {
      shared->parker.park(timeout);
    }
  }
  wake_up();
  spinning_pays_ = options.spin_before_sleep > Duration::zero() &&
                   shared->ingress_pending.load(std::memory_order_relaxed);  // only a guess at what will be
  return result;
}

// Waits actively for another thread's task; true if one has come. The loop counts as running meanwhile, so that
// producers need not wake it. What is read here decides nothing: before it sleeps, the loop looks again.
bool LoopCore::spin_for_work(TimePoint until) noexcept {
  Duration limit = options.spin_before_sleep;
  if (watchers.size() > 0) limit = std::min(limit, options.time_between_polls);  // the kernel is not asked meanwhile
  const TimePoint end = std::min(saturating_add(now(), limit), until);
  do {
    for (int i = 0; i < 16; ++i) {
      if (shared->ingress_pending.load(std::memory_order_relaxed)) return true;
      if (shared->wake_requested.load(std::memory_order_relaxed)) return false;  // `sleep` clears it
      relax_cpu();
    }
  } while (!should_stop() && refresh_now() < end);
  return spinning_pays_ = false;
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
  const bool has_strays = std::any_of(events_.begin(), events_.begin() + static_cast<std::ptrdiff_t>(*count),
                                      [this](const auto& event) { return !watchers.contains(event.token); });
  for (std::size_t i = 0; i < *count && !should_stop(); ++i) {
    const auto registration = watchers.find(events_[i].token);
    if (registration == nullptr) continue;  // stopped by an earlier callback of this batch
    const Readiness readiness = events_[i].readiness & (registration->interest | Readiness::error | Readiness::hangup);
    if (readiness == Readiness::none) continue;
    // Moved out while it runs: it may stop its own watcher, which destroys the registered callback.
    auto callback = std::move(registration->callback);
    contain(CallbackKind::watcher, [&] { callback(readiness); });
    if (registration->table != nullptr) {
      registration->callback = std::move(callback);
    } else {
      callback.reset();
    }
    checkpoint();
  }
  // A descriptor was closed before its watcher stopped, while a copy of it is open elsewhere: the kernel goes on
  // reporting it, and it can no longer be taken out.
  if (has_strays) return watchers.rebuild();
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
  if (!timers.is_waiting(id)) {
    if (interval == TimerQueue::kOnce) {
      timers.finish(id);
      return;
    }
    timers.rearm(id, saturating_add(started, interval));
  }
  timer->callback = std::move(callback);
}

// --- The end ---

bool LoopCore::is_alive() {
  if (shared->ended) return false;
  take_ingress();
  return timers.ref_count() > 0 || immediates.ref_count() > 0 || watchers.ref_count() > 0 || offloads_.in_use() > 0 ||
         *holds > 0 || !external.empty() || !internal.empty() || !close_callbacks.empty() || !ticks.empty() ||
         !microtasks.empty() || !checkpoint_ends.empty();
}

// True if the end is decided.
bool LoopCore::try_auto_exit() {
  for (std::size_t i = 0; i < bindings.size(); ++i) {
    guard(CallbackKind::quiescence, [&] { bindings[i]->on_quiescent(); });
  }
  checkpoint();
  if (is_alive()) return false;
  const std::lock_guard lock(shared->mutex);
  // Somebody posted, asked for the end, or cancelled the run at the last moment.
  if (shared->ingress_pending.load(std::memory_order_relaxed) || !shared->accepting || stop_.stop_requested()) {
    return false;
  }
  shared->accepting = false;
  shared->stop_requested.store(true, std::memory_order_seq_cst);
  shared->state.store(LoopState::terminating, std::memory_order_seq_cst);
  return exits_by_itself_ = true;
}

// From the moment that this gives up ownership, another thread may destroy the loop.
void LoopCore::end() {
  const auto state = shared;
  stop_ = {};
  in_checkpoint_ = false;  // it is set still if a thread's cancellation has left a callback
  if (!should_abort()) drain();
  drained_ = true;
  const LoopEnd how = should_abort() ? LoopEnd::close : exits_by_itself_ ? LoopEnd::auto_exit : LoopEnd::shutdown;
  while (!bindings.empty()) {
    LoopBinding* const binding = bindings.front();
    bindings.erase(bindings.begin());
    guard(CallbackKind::quiescence, [&] { binding->on_terminated(how); });
  }
  discard_everything();
  {
    const std::lock_guard lock(state->mutex);
    state->accepting_completions = false;
    state->poller.reset();
    state->state.store(LoopState::terminated, std::memory_order_seq_cst);
  }
  discard_everything();  // what has completed meanwhile
  options.on_callback_error.reset();
  {
    const std::lock_guard lock(state->ownership);
    state->ended = true;
    state->end_claimed = false;
    state->inside = false;
    state->owner.store(nullptr, std::memory_order_relaxed);
  }
  const std::lock_guard lock(state->mutex);
  state->external.clear();  // empty; this gives their memory back
  state->internal.clear();
  state->done = true;
  state->done_changed.notify_all();
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
    } else if (offloads_.in_use() > 0) {
      wait_for_completion();
    } else {
      break;
    }
  }
}

// Sleeps until an off-loaded job reports, or the loop is closed.
void LoopCore::wait_for_completion() {
  shared->sleeps_in_poller.store(false, std::memory_order_seq_cst);
  if (!shared->ingress_pending.load(std::memory_order_seq_cst) &&
      !shared->abort_requested.load(std::memory_order_seq_cst)) {
    shared->parker.park(Duration::max());
  }
  wake_up();
}

void LoopCore::discard_immediates() {
  immediates.begin_batch();
  while (Task dropped = immediates.next_in_batch()) dropped.reset();
}

// Destroys everything that is queued. Captures' destructors may call the loop, which refuses them.
void LoopCore::discard_everything() noexcept {
  while (Task dropped = timers.remove_any()) dropped.reset();
  discard_immediates();
  take_ingress();
  for (auto* queue : {&external, &internal, &close_callbacks, &ticks, &microtasks, &checkpoint_ends}) queue->clear();
  watchers.clear();
  offload_pool_.reset();
  for (std::uint32_t slot = 0; slot < offloads_.capacity(); ++slot) offloads_[slot].reset();
}

// --- Descriptors and off-loading ---

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

namespace {

// Tells the loop that off-loaded work is over, however it left its thread.
class OffloadReport {
 public:
  OffloadReport(std::shared_ptr<SharedState> loop, LoopCore* core, std::uint32_t slot)
      : loop_(std::move(loop)), core_(core), slot_(slot) {
    offloading_for = loop_.get();
  }
  OffloadReport(const OffloadReport&) = delete;
  OffloadReport& operator=(const OffloadReport&) = delete;
  ~OffloadReport() {
    offloading_for = nullptr;
    // The core is used only inside the task, which runs only while the loop exists.
    auto task = [core = core_, slot = slot_, failure = std::move(failure)] {
      core->complete_offload(slot, failure ? &*failure : nullptr);
    };
    static_assert(Task::fits_inline<decltype(task)>());
    static_cast<void>(loop_->push(&SharedState::internal, std::move(task), true));
  }

  std::optional<Error> failure = Error(Errc::broken, "the thread of the off-loaded work ended before the work did");

 private:
  const std::shared_ptr<SharedState> loop_;
  LoopCore* const core_;
  const std::uint32_t slot_;
};

}  // namespace

Result<void> LoopCore::offload(OffloadJob job, OffloadDone done) {
  if (!offload_pool_) {
    offload_pool_ = std::make_unique<OffloadPool>(options.offload_threads, options.offload_queue_limit);
  }
  const std::uint32_t slot = offloads_.acquire();
  auto submitted =
      offload_pool_->submit([this, state = shared, slot, job = std::move(job)](std::stop_token stop) mutable {
        OffloadReport report(std::move(state), this, slot);
        try {
          job(std::move(stop));
          report.failure.reset();
        } catch (...) {
          let_cancellation_pass();
          report.failure = Error::from_exception(std::current_exception());
        }
        job.reset();  // what the work captured goes before the loop hears of it
      });
  if (submitted) {
    offloads_[slot] = std::move(done);
  } else {
    offloads_.release(slot);
  }
  return submitted;
}

void LoopCore::complete_offload(std::uint32_t slot, const Error* failure) {
  OffloadDone done = std::move(offloads_[slot]);
  offloads_.release(slot);
  done(failure);
}

}  // namespace gyre::internal
