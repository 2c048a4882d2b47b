#include <exception>

#include <gyre/base/context.h>
#include <gyre/loop/internal/admission_control.h>
#include <gyre/loop/internal/loop_core.h>
#include <gyre/loop/internal/metrics_recorder.h>
#include <gyre/loop/internal/owner_call.h>

namespace gyre::internal {

// How a loop ends: by itself, after a drain, or at once.

LoopCore::Claim LoopCore::claim_end() {
  if (shared->is_inside()) {
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
  if (shared->is_inside()) {
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
  const ContextScope none{Context()};  // as in every run, should this be a thread of the user's after all
  end();
}

// True if the end is decided.
bool LoopCore::try_auto_exit() {
  bool resumes = false;
  if (options.on_quiescent) guard(CallbackKind::quiescence, [&] { resumes = options.on_quiescent(); });
  for (std::size_t i = 0; i < bindings.size(); ++i) {
    guard(CallbackKind::quiescence, [&] { bindings[i]->on_quiescent(); });
  }
  checkpoint();
  if (resumes || is_alive()) return false;
  const std::lock_guard lock(shared->mutex);
  // Somebody cancelled the run, posted, or asked for the end at the last moment.
  if (stop_.stop_requested() || shared->commands_pending.load(std::memory_order_relaxed) ||
      !shared->ingress.close_if_idle(Ingress::Gate::tasks)) {
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
  state->waits_outside = false;
  if (state->admission != nullptr) state->admission->close();
  checkpoint_state_ = 0;  // it is set still if a thread's cancellation has left a callback
  running_binding_ = nullptr;
  if (!should_abort()) drain();
  drained_ = true;
  const LoopEnd how = should_abort() ? LoopEnd::close : exits_by_itself_ ? LoopEnd::auto_exit : LoopEnd::shutdown;
  while (!bindings.empty()) {
    LoopBinding* const binding = bindings.front();
    bindings.erase(bindings.begin());
    give_up_places(*binding);
    stop_leading(*binding);
    guard(CallbackKind::quiescence, [&] { binding->on_terminated(how); });
  }
  while (!extensions.empty()) {
    const auto extension = std::move(extensions.front().second);
    extensions.erase(extensions.begin());
    guard(CallbackKind::quiescence, [&] { extension->on_terminated(how); });
  }
  discard_everything();
  {
    const std::lock_guard lock(state->mutex);
    state->ingress.close(Ingress::Gate::completions);
    state->poller.reset();
    state->state.store(LoopState::terminated, std::memory_order_seq_cst);
  }
  discard_everything();  // what has completed meanwhile
  options.on_callback_error.reset();
  options.on_batch_excess.reset();
  options.on_queue_pressure.reset();
  options.on_quiescent.reset();
  if (state->admission != nullptr) state->admission->on_soft_depth().reset();
  if (started_) leave_path(fast_, FastPathReason::ended);
  if (const auto metrics = state->metrics) metrics->stop();
  observers_.clear();
  observed_ = false;
  {
    const std::lock_guard lock(state->ownership);
    state->ended = true;
    state->end_claimed = false;
    state->inside = false;
    state->owner.store(nullptr, std::memory_order_relaxed);
  }
  std::vector<Task> when_done;
  {
    const std::lock_guard lock(state->mutex);
    state->ingress.release_memory();
    state->commands.clear();
    state->done = true;
    when_done.swap(state->when_done);
    state->done_changed.notify_all();
  }
  for (Task& callback : when_done) SharedState::call_when_done(callback);
}

// Runs all accepted work. Timers and descriptors are over.
void LoopCore::drain() {
  drains_ = true;
  checkpoint_cut_ = false;
  if (exits_by_itself_) discard_immediates();  // only un-ref'd ones are left
  while (!should_abort()) {
    take_ingress();
    checkpoint();  // of what other threads had queued last, too
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
  // A thread that has set `wake_requested` before it saw where this one sleeps may be about to wake the poller.
  if (!shared->has_ingress(std::memory_order_seq_cst) && !shared->wake_requested.load(std::memory_order_seq_cst) &&
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
  commands_.clear();
  if (shared->admission != nullptr) {
    for (std::size_t left = external.size(); left > 0; --left) shared->admission->started();
  }
  for (auto* queue : {&external, &internal}) queue->clear();
  for (auto* queue : {&close_callbacks, &ticks, &microtasks, &late_microtasks_, &checkpoint_ends}) queue->clear();
  watchers.clear();
  offload_pool_.reset();
  for (std::uint32_t slot = 0; slot < offloads_.capacity(); ++slot) offloads_[slot].reset();
}

}  // namespace gyre::internal
