#include <algorithm>
#include <chrono>
#include <limits>

#include <gyre/js/watchdog.h>

namespace gyre::js {
namespace {

using std::chrono::steady_clock;

std::int64_t now_nanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(steady_clock::now().time_since_epoch()).count();
}

// Looks at least this often for a new operation, while operations keep coming.
constexpr Duration kIdleLook = std::chrono::milliseconds(10);
// And at most this often, however small the limit is.
constexpr Duration kShortestLook = std::chrono::microseconds(500);
// Idle looks before the thread sleeps until it is woken.
constexpr int kIdleLooks = 10;

}  // namespace

Watchdog::Watchdog(Duration limit, Duration grace, UniqueFunction<void(int)> on_expired)
    : limit_(limit), grace_(grace), on_expired_(std::move(on_expired)), thread_([this] { watch(); }) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Watchdog::arm(Duration already_spent) {
  armed_at_ = now_nanoseconds();
  const std::int64_t left = std::max<std::int64_t>((limit_ - already_spent).count(), 0);
  // A far limit means no limit: it must not wrap around.
  const std::int64_t farthest = std::numeric_limits<std::int64_t>::max() - armed_at_;
  deadline_.store(armed_at_ + std::min(left, farthest), std::memory_order_seq_cst);
  // Sequentially consistent with the store in watch(): either the thread sees the deadline, or we see it parked.
  if (parked_.load(std::memory_order_seq_cst)) {
    const std::lock_guard lock(mutex_);
    parked_.store(false, std::memory_order_relaxed);
    changed_.notify_one();
  }
}

Watchdog::Outcome Watchdog::disarm() {
  const std::int64_t deadline = deadline_.exchange(0, std::memory_order_acq_rel);
  const std::int64_t now = now_nanoseconds();
  const Duration elapsed(now - armed_at_);
  if (now < deadline) return {false, elapsed};
  // It may be calling on_expired at this moment, which it does under the mutex.
  const std::lock_guard lock(mutex_);
  return {expired_ == deadline, elapsed};
}

void Watchdog::watch() {
  const Duration idle_look = std::clamp(limit_ / 4, kShortestLook, kIdleLook);
  std::unique_lock lock(mutex_);
  int idle_looks = 0;
  int attempt = 0;
  while (!stopping_) {
    const std::int64_t deadline = deadline_.load(std::memory_order_acquire);
    if (deadline == 0) {
      if (++idle_looks < kIdleLooks) {
        changed_.wait_for(lock, idle_look);
        continue;
      }
      parked_.store(true, std::memory_order_seq_cst);
      if (deadline_.load(std::memory_order_seq_cst) == 0) {
        changed_.wait(lock, [this] { return stopping_ || !parked_.load(std::memory_order_relaxed); });
      }
      parked_.store(false, std::memory_order_relaxed);
      idle_looks = 0;
      continue;
    }
    idle_looks = 0;
    const std::int64_t now = now_nanoseconds();
    if (now < deadline) {
      changed_.wait_for(lock, std::min(Duration(deadline - now), kIdleLook * 10));
      continue;
    }
    // Since the deadline was read the operation may have ended. If it ends from here on, disarm() waits for the mutex.
    if (deadline_.load(std::memory_order_acquire) != deadline) continue;
    attempt = expired_ == deadline ? attempt + 1 : 0;
    expired_ = deadline;
    on_expired_(attempt);
    changed_.wait_for(lock, grace_);
  }
}

}  // namespace gyre::js
