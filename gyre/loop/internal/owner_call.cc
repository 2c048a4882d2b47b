#include <stdexcept>

#include <gyre/loop/internal/owner_call.h>

namespace gyre::internal {

void OwnerCall::borrow(SharedState& shared) {
  if (!borrow_if_free(shared)) {
    throw std::logic_error(
        "gyre: a Loop was used from a thread that does not own it; other threads use Loop::remote()");
  }
}

bool OwnerCall::borrow_if_free(SharedState& shared) {
  std::unique_lock lock(shared.ownership);
  if (shared.end_claimed) {  // then this is not misuse: the caller could not know
    lock.unlock();
    shared.wait_done(Duration::max());
    lock.lock();
  }
  if (shared.owner.load(std::memory_order_relaxed) != nullptr) return false;
  shared.owner.store(&thread_tag, std::memory_order_relaxed);
  shared.inside = true;
  borrowed_ = &shared;
  lock.release();  // until give_back
  return true;
}

void OwnerCall::give_back() noexcept {
  borrowed_->inside = false;
  borrowed_->owner.store(nullptr, std::memory_order_relaxed);
  borrowed_->ownership.unlock();
}

}  // namespace gyre::internal
