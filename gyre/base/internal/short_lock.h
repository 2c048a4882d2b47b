#pragma once

#include <atomic>
#include <cstdint>

#include <gyre/base/internal/spin.h>

namespace gyre::internal {

/// A mutex for critical sections of a few instructions (a Lockable). Whoever finds it taken spins for about as
/// long as such a section lasts before it sleeps: a std::mutex sleeps at once, and a system call on either side costs a
/// hundred times the section.
class ShortLock {
 public:
  void lock() noexcept {
    std::uint32_t expected = kFree;
    // Acquire pairs with the release in unlock: what was done under the lock is seen under the lock.
    if (!word_.compare_exchange_strong(expected, kTaken, std::memory_order_acquire, std::memory_order_relaxed)) {
      lock_contended();
    }
  }
  bool try_lock() noexcept {
    std::uint32_t expected = kFree;
    return word_.compare_exchange_strong(expected, kTaken, std::memory_order_acquire, std::memory_order_relaxed);
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
      relax_cpu();
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

}  // namespace gyre::internal
