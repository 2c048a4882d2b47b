#include <stdexcept>
#include <system_error>
#include <thread>

#include <gyre/loop/internal/loop_core.h>
#include <gyre/loop/internal/shared_state.h>
#include <gyre/loop/remote.h>

namespace gyre {
namespace internal {

Result<void> SharedState::push(BlockQueue<Task> SharedState::* queue, Task&& task, bool even_when_ending) {
  if (!task) throw std::logic_error("gyre: an empty task was posted");
  bool first;
  {
    const std::lock_guard lock(mutex);
    if (!(even_when_ending ? accepting_completions : accepting)) {
      return fail(Errc::terminated, "the loop is ending and accepts no new work");
    }
    (this->*queue).push_back(std::move(task));
    // Relaxed: only ever set under this mutex. The exchange below is the sequentially consistent publication.
    first = !ingress_pending.load(std::memory_order_relaxed);
    if (first) ingress_pending.store(true, std::memory_order_seq_cst);
  }
  // A failed wake-up is no failed push: the task is queued and runs when the owner next looks.
  if (first) static_cast<void>(even_when_ending ? wake_now() : wake_if_sleeping());
  return {};
}

Result<void> SharedState::wake_if_sleeping() {
  if (state.load(std::memory_order_seq_cst) == LoopState::sleeping) return wake_now();
  return {};
}

Result<void> SharedState::wake_now() {
  if (wake_requested.exchange(true, std::memory_order_seq_cst)) return {};
  if (!sleeps_in_poller.load(std::memory_order_seq_cst)) {
    parker.unpark();
    return {};
  }
  const std::lock_guard lock(mutex);  // keeps the poller from being closed under the write
  if (poller == nullptr) return {};
  auto woken = poller->wake();
  if (!woken) wake_requested.store(false, std::memory_order_seq_cst);  // so that the next producer tries again
  return woken;
}

void SharedState::commit_termination(bool abort) {
  {
    const std::lock_guard lock(mutex);
    if (done) return;
    if (abort) abort_requested.store(true, std::memory_order_seq_cst);
    stop_requested.store(true, std::memory_order_seq_cst);
    if (std::exchange(accepting, false)) state.store(LoopState::terminating, std::memory_order_seq_cst);
  }
  static_cast<void>(wake_now());
}

void SharedState::end_if_never_run() {
  {
    const std::lock_guard lock(ownership);
    if (owner.load(std::memory_order_relaxed) != nullptr || end_claimed || ended) return;
    end_claimed = true;
  }
  // The core stays until the end: its destructor waits for that.
  try {
    std::thread([this_core = core] { this_core->end_never_run(); }).detach();
  } catch (const std::system_error&) {
    core->end_never_run();  // no thread to be had; better here than never
  }
}

bool SharedState::is_done() {
  const std::lock_guard lock(mutex);
  return done;
}

bool SharedState::wait_done(Duration timeout) {
  std::unique_lock lock(mutex);
  if (timeout >= kForever) {
    done_changed.wait(lock, [this] { return done; });
    return true;
  }
  return done_changed.wait_for(lock, timeout, [this] { return done; });
}

}  // namespace internal

using internal::SharedState;

Result<void> Remote::post(Task task) {
  return shared_->push(&SharedState::external, std::move(task));
}
Result<void> Remote::post_priority(Task task) {
  return shared_->push(&SharedState::internal, std::move(task));
}

Result<void> Remote::wake() {
  return shared_->wake_if_sleeping();
}

Result<void> Remote::shutdown(Duration timeout) {
  if (is_done()) return fail(Errc::terminated, "the loop had ended before shutdown was called");
  shared_->commit_termination(false);
  if (shared_->on_owner_thread() || internal::offloading_for == shared_.get()) {
    if (shared_->abort_requested.load()) return fail(Errc::terminated, "the loop is being closed already");
    return {};
  }
  shared_->end_if_never_run();
  if (!shared_->wait_done(timeout)) {
    return fail(Errc::timed_out, "the loop did not end within the time given; it goes on ending by itself");
  }
  return {};
}

Result<void> Remote::close() {
  if (is_done()) return fail(Errc::terminated, "the loop had ended before close was called");
  if (shared_->on_owner_thread()) {
    return fail(Errc::reentrant_close, "close would wait for the thread it was called on; use shutdown here");
  }
  shared_->commit_termination(true);
  if (internal::offloading_for == shared_.get()) return {};
  shared_->end_if_never_run();
  shared_->wait_done(Duration::max());
  return {};
}

bool Remote::is_done() const {
  return shared_->is_done();
}

bool Remote::wait_done(Duration timeout) const {
  return shared_->wait_done(timeout);
}

LoopState Remote::state() const {
  return shared_->state.load(std::memory_order_acquire);
}

}  // namespace gyre
