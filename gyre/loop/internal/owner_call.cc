#include <stdexcept>

#include <gyre/loop/internal/loop_core.h>
#include <gyre/loop/internal/owner_call.h>

namespace gyre::internal {

void OwnerCall::borrow(SharedState& shared) {
  std::unique_lock lock(shared.ownership);
  if (shared.end_claimed) {  // then this is not misuse: the caller could not know
    lock.unlock();
    shared.wait_done(Duration::max());
    lock.lock();
  }
  if (shared.owner.load(std::memory_order_relaxed) != nullptr) {
    throw std::logic_error(
        "gyre: a Loop was used from a thread that does not own it; other threads use Loop::remote()");
  }
  take(shared, lock);
}

bool OwnerCall::borrow_if_free(SharedState& shared) {
  std::unique_lock lock(shared.ownership);
  // A thread that ends a loop which was never run may execute a callback that waits for this very thread.
  if (shared.end_claimed) return false;
  if (shared.owner.load(std::memory_order_relaxed) != nullptr && !shared.on_owner_thread()) return false;
  take(shared, lock);
  return true;
}

void OwnerCall::take(SharedState& shared, std::unique_lock<std::mutex>& lock) noexcept {
  owner_before_ = shared.owner.exchange(&thread_tag, std::memory_order_relaxed);
  shared.inside = true;
  borrowed_ = true;
  lock.release();  // until give_back
}

void OwnerCall::give_back() noexcept {
  shared_.inside = false;
  shared_.owner.store(owner_before_, std::memory_order_relaxed);
  shared_.ownership.unlock();
}

void OwnerCall::settle() noexcept {
  shared_.core->settle();
}

}  // namespace gyre::internal
