#include <exception>
#include <stdexcept>

#include <gyre/loop/internal/loop_core.h>
#include <gyre/loop/internal/spin.h>

namespace gyre::internal {

// How a loop is made, what it takes in, and what every callback of it goes through.

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

void let_cancellation_pass() {
  if (std::current_exception() == nullptr) throw;
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

// --- Queues and checkpoints ---

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

bool LoopCore::is_alive() {
  if (shared->ended) return false;
  take_ingress();
  return timers.ref_count() > 0 || immediates.ref_count() > 0 || watchers.ref_count() > 0 || offloads_.in_use() > 0 ||
         *holds > 0 || !external.empty() || !internal.empty() || !close_callbacks.empty() || !ticks.empty() ||
         !microtasks.empty() || !checkpoint_ends.empty();
}

}  // namespace gyre::internal
