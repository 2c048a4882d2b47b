#pragma once

#include <mutex>

#include <gyre/loop/internal/shared_state.h>

namespace gyre::internal {

/// Held throughout each call that touches a loop, this says that the calling thread may.
///
/// Where the loop has an owner, that is one comparison: the owner may, others get std::logic_error. Before the first
/// run and after the end nobody owns the loop; the caller then owns it for the length of the call, so that a `Remote`
/// which ends a loop still in preparation, on a thread of its own, never meets a call half done.
class OwnerCall {
 public:
  /// Asks instead of insisting, and never waits for the loop's end: where another thread owns the loop, `granted` is
  /// false. Safe while yet another thread destroys the loop.
  struct TryBorrow {};
  static constexpr TryBorrow try_borrow{};

  explicit OwnerCall(SharedState& shared) : shared_(shared) {
    if (!shared.on_owner_thread()) [[unlikely]]
      borrow(shared);
  }
  OwnerCall(SharedState& shared, TryBorrow) : shared_(shared) {
    granted_ = shared.is_inside() || borrow_if_free(shared);
  }
  OwnerCall(const OwnerCall&) = delete;
  OwnerCall& operator=(const OwnerCall&) = delete;
  ~OwnerCall() {
    if (granted_ && shared_.waits_outside) [[unlikely]]
      settle();
    if (borrowed_) [[unlikely]]
      give_back();
  }
  bool granted() const noexcept { return granted_; }

 private:
  void borrow(SharedState& shared);
  bool borrow_if_free(SharedState& shared);
  void take(SharedState& shared, std::unique_lock<std::mutex>& lock) noexcept;
  void settle() noexcept;
  void give_back() noexcept;

  SharedState& shared_;
  const char* owner_before_ = nullptr;
  bool borrowed_ = false;
  bool granted_ = true;
};

}  // namespace gyre::internal
