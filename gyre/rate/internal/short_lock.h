#pragma once

#include <atomic>
#include <cstdint>

namespace gyre::rate::internal {

/// A mutex of four bytes for sections of a few dozen nanoseconds (a BasicLockable): it spins for about that long before
/// it sleeps.
class ShortLock {
 public:
  void lock() noexcept {
    std::uint32_t expected = kFree;
    // Acquire pairs with the release in unlock: what was done under the lock is seen under the lock.
    if (!word_.compare_exchange_strong(expected, kTaken, std::memory_order_acquire, std::memory_order_relaxed)) {
      lock_contended();
    }
  }
  void unlock() noexcept {
    if (word_.exchange(kFree, std::memory_order_release) == kTakenWithSleepers) word_.notify_one();
  }

 private:
  static constexpr std::uint32_t kFree = 0;
  static constexpr std::uint32_t kTaken = 1;
  static constexpr std::uint32_t kTakenWithSleepers = 2;
  static constexpr int kSpins = 64;

  [[gnu::noinline]] void lock_contended() noexcept {
    for (int i = 0; i < kSpins; ++i) {
#if defined(__x86_64__) || defined(__i386__)
      __builtin_ia32_pause();
#endif
      std::uint32_t expected = kFree;
      if (word_.load(std::memory_order_relaxed) == kFree &&
          word_.compare_exchange_weak(expected, kTaken, std::memory_order_acquire, std::memory_order_relaxed)) {
        return;
      }
    }
    // Taken like this, it counts as having sleepers: there may be others, and a wake-up too many does no harm.
    while (word_.exchange(kTakenWithSleepers, std::memory_order_acquire) != kFree) {
      word_.wait(kTakenWithSleepers, std::memory_order_relaxed);
    }
  }

  std::atomic<std::uint32_t> word_{kFree};
};

}  // namespace gyre::rate::internal
