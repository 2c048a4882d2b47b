#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include <gyre/base/error.h>
#include <gyre/loop/internal/poller.h>
#include <gyre/loop/internal/registration.h>

namespace gyre::internal {

/// Throws `std::invalid_argument` for what a descriptor cannot be watched for; no interest at all is possible.
void require_watchable(const WatchOptions& options);
/// The same for a new watch, which must be for something.
void require_watch(int fd, const WatchOptions& options, bool has_callback);

/// The watched descriptors of one loop.
///
/// A token given to the kernel is (generation << 32 | slot). A slot's generation goes up with each use and the slot is
/// retired before it would wrap, so a late event can never reach a callback it was not meant for.
class WatcherTable {
 public:
  explicit WatcherTable(std::shared_ptr<SharedState> shared) : shared_(std::move(shared)) {}
  ~WatcherTable() { clear(); }

  Result<std::shared_ptr<Registration>> add(Poller& poller, int fd, const WatchOptions& options, TimePoint now,
                                            UniqueFunction<void(Readiness)> callback);
  /// Also arms anew what has reported its last.
  Result<void> modify(Registration& registration, const WatchOptions& options, TimePoint now);
  Result<void> remove(Registration& registration);
  void set_ref(Registration& registration, bool ref) noexcept;
  /// The registration an event is for; null if it is no longer there.
  Registration* find(std::uint64_t token) const noexcept {
    const auto index = static_cast<std::uint32_t>(token);
    if (index >= slots_.size()) return nullptr;
    const Slot& slot = slots_[index];
    return slot.generation == token >> 32 ? slot.registration.get() : nullptr;
  }
  /// Puts right a kernel set that holds descriptors which were closed while watched, and cannot be taken out of it any
  /// more: makes a new one.
  Result<void> rebuild();
  /// Deactivates everything, at the loop's end.
  void clear() noexcept;

  /// Says that a registration's time-out starts again.
  void touch(Registration& registration, TimePoint now) noexcept {
    if (registration.options.timeout != Duration::zero()) [[unlikely]]
      registration.idle_until = saturating_add(now, registration.options.timeout);
  }
  /// When a time-out may be due; never later than the first that is.
  TimePoint next_timeout() const noexcept { return timeouts_.empty() ? TimePoint::max() : timeouts_.front().moment; }
  /// A registration whose time-out is due at `now`; starts it again. Null if there is none.
  Registration* take_timed_out(TimePoint now);

  /// While it lives, a registration's callback runs: the registration and its callback stay, even if it is removed.
  class Running {
   public:
    Running(WatcherTable& table, Registration& registration) : table_(table) { table_.running_ = &registration; }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running() {
      table_.running_ = nullptr;
      if (table_.removed_while_running_ != nullptr) [[unlikely]]
        table_.bury();
    }

   private:
    WatcherTable& table_;
  };

  std::size_t size() const noexcept { return by_fd_.size(); }
  /// How many have been removed so far.
  std::uint64_t removals() const noexcept { return removals_; }
  std::size_t ref_count() const noexcept { return ref_count_; }

 private:
  struct Slot {
    std::shared_ptr<Registration> registration;
    std::uint32_t generation = 0;
  };
  struct TimeoutEntry {
    TimePoint moment;
    std::uint64_t token;
    friend bool operator>(const TimeoutEntry& a, const TimeoutEntry& b) { return a.moment > b.moment; }
  };

  std::uint32_t acquire_slot();
  Result<void> release(Registration& registration) noexcept;
  void restart_timeout(Registration& registration, TimePoint now);
  void queue_timeout(Registration& registration);
  void bury() noexcept;

  const std::shared_ptr<SharedState> shared_;
  Poller* poller_ = nullptr;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::unordered_map<int, std::uint32_t> by_fd_;
  // A heap, earliest first. Events only move a registration's `idle_until`; its entry is put right when it comes up.
  std::vector<TimeoutEntry> timeouts_;
  Registration* running_ = nullptr;
  std::shared_ptr<Registration> removed_while_running_;
  std::size_t ref_count_ = 0;
  std::uint64_t removals_ = 0;
};

}  // namespace gyre::internal
