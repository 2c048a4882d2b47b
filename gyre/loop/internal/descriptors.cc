#include <algorithm>
#include <span>

#include <gyre/loop/internal/loop_core.h>

namespace gyre::internal {

// The descriptor phase, and the loop as a descriptor for others.

Result<void> LoopCore::ensure_poller() {
  if (shared->poller) return {};
  auto poller = make_poller(options.poller);
  if (!poller) return std::unexpected(poller.error());
  const std::lock_guard lock(shared->mutex);
  shared->poller = std::move(*poller);
  return {};
}

Result<std::shared_ptr<Registration>> LoopCore::add_watch(int fd, const WatchOptions& how,
                                                          UniqueFunction<void(Readiness)> callback) {
  if (options.fast_path == FastPath::forced) {
    return std::unexpected(
        Error(Errc::fast_path_incompatible,
              "the loop is held on the fast path, where no descriptor can be watched; see set_fast_path")
            .with("fd", fd));
  }
  if (auto ensured = ensure_poller(); !ensured) return std::unexpected(ensured.error());
  return watchers.add(*shared->poller, fd, how, now(), std::move(callback));
}

// Waits for up to `timeout`, then runs the callbacks of what is ready. Leaves the loop in the running state.
Result<void> LoopCore::poll_descriptors(Duration timeout) {
  ++stats.polls;
  observe_wait_start(timeout);
  auto count = shared->poller->wait(timeout, events_);
  observe_wait_end(count.value_or(0));
  wake_up();
  last_poll_ = refresh_now();
  turns_since_poll_ = 0;
  if (!count) return std::unexpected(count.error());
  const auto events = std::span(events_).first(*count);
  const std::uint64_t removals = watchers.removals();
  bool has_strays = false;
  for (const auto& event : events) {
    if (should_stop()) break;
    Registration* const registration = watchers.find(event.token);
    if (registration == nullptr) {
      // Stopped by an earlier callback of this batch, perhaps; if nothing was, then before.
      has_strays |= watchers.removals() == removals && event.token != OutsideHandle::kToken;
      continue;
    }
    if (!registration->armed) continue;  // a one-shot that was changed after its event had come
    const Readiness asked = registration->options.interest | Readiness::error | Readiness::hangup;
    if (const Readiness readiness = event.readiness & asked; readiness != Readiness::none) {
      watchers.touch(*registration, last_poll_);
      run_watcher(*registration, readiness);
    }
  }
  while (!should_stop()) {
    Registration* const registration = watchers.take_timed_out(last_poll_);
    if (registration == nullptr) break;
    run_watcher(*registration, Readiness::timeout);
  }
  // A descriptor was closed before its watcher stopped, while a copy of it is open elsewhere: the kernel goes on
  // reporting it, and it can no longer be taken out.
  if (!has_strays) return {};
  auto rebuilt = watchers.rebuild();
  if (rebuilt && handle_.in_use()) rebuilt = handle_.rejoin(*shared->poller);
  return rebuilt;
}

void LoopCore::run_watcher(Registration& registration, Readiness readiness) {
  if (registration.muted != nullptr && registration.muted->load()) [[unlikely]]
    return;
  registration.armed = !registration.options.one_shot;
  {
    const WatcherTable::Running running(watchers, registration);
    contain(CallbackKind::watcher, [&] { registration.callback(readiness); });
  }
  checkpoint();
}

// --- For a foreign loop ---

Result<int> LoopCore::native_handle() {
  if (options.fast_path == FastPath::forced) {
    return fail(Errc::fast_path_incompatible,
                "the loop is held on the fast path, where it has no native handle; see set_fast_path");
  }
  if (auto ensured = ensure_poller(); !ensured) return std::unexpected(ensured.error());
  if (!handle_.in_use()) {
    if (auto opened = handle_.open(*shared->poller); !opened) return std::unexpected(opened.error());
    // From now on, who wakes the loop does it through the poller. What woke it otherwise is looked for by `settle`.
    shared->sleeps_in_poller.store(true, std::memory_order_seq_cst);
    shared->wake_requested.store(false, std::memory_order_seq_cst);
    const LoopState state = shared->state.load();
    shared->waits_outside = state == LoopState::awake || state == LoopState::sleeping;
  }
  return shared->poller->native_handle();
}

// Between run calls: sees to it that the handle is readable if, and only if, there is something to do.
void LoopCore::settle() noexcept {
  const TimePoint alarm =
      std::min(saturating_add(timers.next_deadline(), options.timer_slack), watchers.next_timeout());
  const Duration from_now = clock->time_until(alarm);
  const bool due = from_now <= Duration::zero();
  // The alarm first: one that has gone off would be found by the flush.
  const bool settled = (due || handle_.set_alarm(alarm, from_now)) && shared->poller->flush();
  // The flags last: a producer that has not seen the loop at rest has set them before.
  const bool posted = shared->has_ingress(std::memory_order_seq_cst);
  if (due || !settled || posted || has_ready_work() || !ticks.empty() || !microtasks.empty() ||
      !checkpoint_ends.empty() || should_stop()) {
    static_cast<void>(shared->wake_now());
  }
}

}  // namespace gyre::internal
