#include <algorithm>

#include <gyre/base/internal/spin.h>
#include <gyre/loop/internal/loop_core.h>

namespace gyre::internal {

// What a loop does while it has nothing to do. The wake-up protocol is told in shared_state.h.

bool LoopCore::has_ready_work() const noexcept {
  return !external.empty() || !internal.empty() || !immediates.empty() || !close_callbacks.empty() || checkpoint_cut_ ||
         (has_checkpoint_work() && !is_suspended()) || shared->has_ingress();
}

Result<void> LoopCore::poll_phase(TimePoint until) {
  const bool no_wait = until != TimePoint::max() && until <= now();
  if (no_wait) trim_if_due(now());
  // First: the question takes over what other threads have just posted, which then is ready. It may also destroy
  // captures, whose destructors may have given the loop anything, a descriptor to watch included.
  const bool may_exit = options.auto_exit && !is_alive();
  const TimePoint next_timeout = watchers.next_timeout();
  const bool timed_out = next_timeout != TimePoint::max() && next_timeout <= now();
  const bool has_work = timed_out || has_ready_work() || (!timers.empty() && timers.next_deadline() <= now());
  bool ready = has_work || no_wait || may_exit || uses_poller() == fast_;
  if (!has_work && is_suspended()) {
    resume_checkpoint();  // there is no boundary to wait for
    ready = true;
  }
  if (!ready) {
    return sleep(std::min({saturating_add(timers.next_deadline(), options.timer_slack), next_timeout, until}));
  }
  if (fast_ || (!no_wait && !timed_out && !poll_is_due())) return {};
  return poll_descriptors(Duration::zero());
}

// Work must not starve I/O: descriptors are looked at every so many turns, or after so much time.
bool LoopCore::poll_is_due() noexcept {
  return ++turns_since_poll_ >= options.turns_between_polls || now() - last_poll_ >= options.time_between_polls;
}

Result<void> LoopCore::sleep(TimePoint until) {
  trim_if_due(now());
  if (handle_.in_use()) static_cast<void>(handle_.set_alarm(TimePoint::max(), kForever));  // or it would end this sleep
  if (clock != &steady_clock && watchers.size() == 0 && !handle_.in_use() && offloads_.in_use() == 0) {
    observe_wait_start(until == TimePoint::max() ? Duration::max() : until - now());
    const bool skipped = clock->skip_to(until);
    observe_wait_end(0);
    if (skipped) {
      now_is_fresh_ = false;
      return {};
    }
  }
  if (spinning_pays_ && spin_for_work(until)) {
    now_is_fresh_ = false;
    return {};
  }
  shared->sleeps_in_poller.store(!fast_, std::memory_order_seq_cst);
  LoopState running = LoopState::running;
  if (!shared->state.compare_exchange_strong(running, LoopState::sleeping)) return {};  // the end has been requested
  const bool disturbed =
      shared->has_ingress(std::memory_order_seq_cst) || shared->wake_requested.load(std::memory_order_seq_cst);
  Result<void> result;
  if (!disturbed) {
    ++stats.sleeps;
    const Duration timeout = clock->time_until(std::min(until, next_trim()));
    if (!fast_) {
      result = poll_descriptors(timeout);
    } else {
      observe_wait_start(timeout);
      shared->parker.park(timeout);
      observe_wait_end(0);
    }
  } else if (!fast_ && poll_is_due()) {
    result = poll_descriptors(Duration::zero());
  }
  wake_up();
  spinning_pays_ = options.spin_before_sleep > Duration::zero() &&
                   shared->has_ingress(std::memory_order_relaxed);  // only a guess at what will be
  return result;
}

// Waits actively for another thread's task; true if one has come. The loop counts as running meanwhile, so that
// producers need not wake it. What is read here decides nothing: before it sleeps, the loop looks again.
bool LoopCore::spin_for_work(TimePoint until) noexcept {
  Duration limit = options.spin_before_sleep;
  if (!fast_) limit = std::min(limit, options.time_between_polls);  // the kernel is not asked meanwhile
  const TimePoint end = std::min(saturating_add(now(), limit), until);
  do {
    for (int i = 0; i < 16; ++i) {
      if (shared->has_ingress(std::memory_order_relaxed)) return true;
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

}  // namespace gyre::internal
