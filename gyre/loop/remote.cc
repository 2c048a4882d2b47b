#include <stdexcept>
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
    if (!accepting && !(even_when_ending && !done)) {
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

SharedState::Commit SharedState::commit_termination(bool abort) {
  Commit commit = Commit::again;
  {
    const std::lock_guard lock(mutex);
    if (done) return commit;
    if (abort) abort_requested.store(true, std::memory_order_seq_cst);
    stop_requested.store(true, std::memory_order_seq_cst);
    if (accepting) {
      accepting = false;
      const LoopState before = state.exchange(LoopState::terminating, std::memory_order_seq_cst);
      commit = before == LoopState::awake ? Commit::first_never_run : Commit::first;
    }
  }
  static_cast<void>(wake_now());
  return commit;
}

bool SharedState::wait_done(Duration timeout) {
  std::unique_lock lock(mutex);
  if (timeout == Duration::max()) {
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
  const auto commit = shared_->commit_termination(false);
  if (commit == SharedState::Commit::first_never_run) {
    internal::LoopCore::drain_never_run(*shared_);
  } else if (shared_->on_owner_thread()) {
    return {};
  }
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
  if (shared_->commit_termination(true) == SharedState::Commit::first_never_run) {
    internal::LoopCore::drain_never_run(*shared_);
  }
  shared_->wait_done(Duration::max());
  return {};
}

bool Remote::is_done() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->done;
}

bool Remote::wait_done(Duration timeout) const {
  return shared_->wait_done(timeout);
}

LoopState Remote::state() const {
  return shared_->state.load(std::memory_order_acquire);
}

}  // namespace gyre
