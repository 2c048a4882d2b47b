#pragma once

#include <atomic>
#include <cstdint>

#include <gyre/base/cache_line.h>
#include <gyre/base/clock.h>

namespace gyre::internal {

/// A sleep this long counts as endless: it could not be told apart, and its end could not be represented.
inline constexpr Duration kForever = std::chrono::hours(24 * 365 * 10);

/// Puts one thread to sleep until another wakes it, on a futex: the cheapest sleep there is where no descriptor is
/// watched. A wake-up before the sleep ends the sleep at once.
class Parker {
 public:
  /// Sleeps until `unpark` or for `timeout` (`Duration::max()`: for ever).
  void park(Duration timeout) noexcept;
  /// From any thread.
  void unpark() noexcept;
  /// Forgets a wake-up that has been acted on. Only the sleeping thread.
  void reset() noexcept { signalled_.store(0, std::memory_order_relaxed); }

 private:
  alignas(kCacheLinePair) std::atomic<std::uint32_t> signalled_{0};
};

}  // namespace gyre::internal
