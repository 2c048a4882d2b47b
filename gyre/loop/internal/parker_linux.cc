#include <cerrno>
#include <chrono>
#include <ctime>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gyre/loop/internal/parker.h>

namespace gyre::internal {

static_assert(std::atomic<std::uint32_t>::is_always_lock_free && sizeof(std::atomic<std::uint32_t>) == 4);

void Parker::park(Duration timeout) noexcept {
  const bool forever = timeout >= kForever;
  timespec deadline{};
  if (!forever) {
    // An absolute deadline, so that a signal does not prolong the sleep.
    const auto until = std::chrono::steady_clock::now().time_since_epoch() + timeout;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(until);
    deadline = {.tv_sec = static_cast<time_t>(seconds.count()), .tv_nsec = (until - seconds).count()};
  }
  // Acquire pairs with the release in unpark: what was published before the wake-up is seen after it.
  while (signalled_.load(std::memory_order_acquire) == 0) {
    const long result = syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&signalled_), FUTEX_WAIT_BITSET_PRIVATE, 0,
                                forever ? nullptr : &deadline, nullptr, FUTEX_BITSET_MATCH_ANY);
    if (result == -1 && errno == ETIMEDOUT) break;
  }
}

void Parker::unpark() noexcept {
  if (signalled_.exchange(1, std::memory_order_release) == 0) {
    syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&signalled_), FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  }
}

}  // namespace gyre::internal
