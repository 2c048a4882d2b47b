#pragma once

#include <cstdint>
#include <limits>
#include <unordered_map>
#include <utility>

#include <gyre/base/clock.h>
#include <gyre/base/task.h>
#include <gyre/loop/ids.h>
#include <gyre/loop/internal/slab.h>
#include <gyre/loop/internal/timer_wheel.h>

namespace gyre::internal {

/// Pending timers in exact order: by deadline, equal deadlines in the order they were armed.
///
/// A slab of timers, which the wheel orders. To users, a timer is named by a 64-bit number that is never used again,
/// plus its slot in the slab, where it can be looked up directly.
class TimerQueue {
 public:
  static constexpr Duration kOnce{-1};
  /// Ids above this were given by other threads, which do not know the slot.
  static constexpr std::uint64_t kForeignIds = std::uint64_t{1} << 63;
  static constexpr std::uint32_t kUnknownSlot = std::numeric_limits<std::uint32_t>::max();

  /// Two cache lines: what is needed to find and to move a timer, and what is needed to run it.
  struct alignas(64) Timer : TimerNode {
    std::uint64_t number = 0;  // 0: the slot is free
    Duration interval = kOnce;
    std::uint32_t slot = 0;
    std::uint32_t missed = 0;  // runs of an interval that were left out
    bool ref = true;
    alignas(64) Task callback;

    TimerId id() const noexcept { return {number, slot}; }
  };
  static_assert(sizeof(Timer) == 128);

  TimerId add(TimePoint deadline, Duration interval, Task&& callback, bool ref) {
    Task* place = nullptr;
    const TimerId id = add(deadline, interval, ref, place);
    if (id) *place = std::move(callback);
    return id;
  }
  /// Its callback is empty, and to be filled at once. No id when all are used up.
  [[gnu::always_inline]] TimerId add(TimePoint deadline, Duration interval, bool ref, Task*& place) {
    if (last_id_ == kForeignIds) [[unlikely]]
      return {};
    return insert(++last_id_, deadline, interval, ref, place);
  }
  /// Adds one under an id that another thread has given it.
  void add_foreign(std::uint64_t id, TimePoint deadline, Duration interval, Task&& callback, bool ref) {
    std::uint32_t& slot = foreign_slots_[id];  // first: it may run out of memory
    try {
      Task* place = nullptr;
      slot = insert(id, deadline, interval, ref, place).slot();
      *place = std::move(callback);
    } catch (...) {
      foreign_slots_.erase(id);
      throw;
    }
  }

  /// The timer behind an id, or null if it has fired or was cancelled.
  Timer* find(TimerId id) noexcept {
    std::uint32_t slot = id.slot();
    if (slot >= slab_.capacity()) [[unlikely]] {
      if (slot != kUnknownSlot) return nullptr;
      const auto found = foreign_slots_.find(id.value());
      if (found == foreign_slots_.end()) return nullptr;
      slot = found->second;
    }
    Timer& timer = slab_[slot];
    return timer.number == id.value() && id ? &timer : nullptr;
  }

  /// Takes a timer out for good and returns its callback, so that the caller decides when captures are destroyed.
  Task remove(Timer& timer) noexcept {
    if (is_waiting(timer)) wheel_.erase(timer);
    retire(timer);
    return std::move(timer.callback);
  }
  /// The same for a callback that is plain bytes.
  void drop(Timer& timer) noexcept {
    if (is_waiting(timer)) wheel_.erase(timer);
    timer.callback.reset();
    retire(timer);
  }

  void set_ref(Timer& timer, bool ref) noexcept {
    if (timer.ref == ref) return;
    timer.ref = ref;
    ref ? ++ref_count_ : --ref_count_;
  }

  /// Moves a timer to another deadline, behind all that are armed for it already.
  void rearm(Timer& timer, TimePoint deadline) noexcept { wheel_.move(timer, deadline, next_sequence_++); }
  /// False while a timer's callback runs, unless that has armed it anew.
  static bool is_waiting(const Timer& timer) noexcept { return TimerWheel::contains(timer); }

  /// The next sequence number: timers armed from now on have this one or a higher one.
  std::uint64_t next_sequence() const noexcept { return next_sequence_; }
  /// True if none is waiting for its deadline.
  bool empty() const noexcept { return wheel_.empty(); }
  /// How many there are, set-aside ones and one whose callback is running included.
  std::size_t size() const noexcept { return slab_.in_use(); }
  std::size_t ref_count() const noexcept { return ref_count_; }
  TimePoint next_deadline() noexcept { return wheel_.next_deadline(); }

  /// Takes the first timer that is due at `now` and was armed before `before_sequence` out of the order; null if there
  /// is none. It stays alive, not waiting, until `remove` or `rearm`. Due timers armed later are set aside;
  /// `restore_deferred` puts them back.
  Timer* take_due(TimePoint now, std::uint64_t before_sequence) noexcept {
    while (TimerNode* const due = wheel_.first_due(now)) {
      wheel_.erase(*due);
      if (due->sequence < before_sequence) return static_cast<Timer*>(due);
      wheel_.set_aside(*due);
    }
    return nullptr;
  }
  void restore_deferred() noexcept { wheel_.restore(); }

  /// Takes any queued timer out for good and returns its callback; an empty task if there is none.
  Task remove_any() noexcept {
    TimerNode* const any = wheel_.any();
    return any == nullptr ? Task() : remove(static_cast<Timer&>(*any));
  }

  std::uint64_t ids_left() const noexcept { return kForeignIds - last_id_; }
  /// Gives memory back that was not needed since the last call. True if there may be more next time.
  bool trim() {
    const bool more = slab_.trim();
    wheel_.shrink(slab_.capacity());
    return more;
  }
  bool has_excess() const noexcept { return slab_.has_excess(); }

  /// For the test of exhaustion.
  void set_last_id_for_test(std::uint64_t id) noexcept { last_id_ = id; }

 private:
  [[gnu::always_inline]] TimerId insert(std::uint64_t number, TimePoint deadline, Duration interval, bool ref,
                                        Task*& place) {
    // What could run out of memory does so before anything has changed.
    if (slab_.is_full()) [[unlikely]]
      wheel_.reserve(slab_.capacity() + Slab<Timer>::kChunk);
    const std::uint32_t slot = slab_.acquire();
    Timer& timer = slab_[slot];
    timer.number = number;
    timer.interval = interval;
    timer.slot = slot;
    timer.missed = 0;
    timer.ref = ref;
    ref_count_ += ref ? 1 : 0;
    wheel_.insert(timer, deadline, next_sequence_++);
    place = &timer.callback;
    return {number, slot};
  }

  void retire(Timer& timer) noexcept {
    if (timer.ref) --ref_count_;
    if (timer.number > kForeignIds) [[unlikely]]
      foreign_slots_.erase(timer.number);
    timer.number = 0;
    slab_.release(timer.slot);
  }

  // Not beside the numbers that count up: a compiler makes one operation of neighbours, which then waits for the last
  // change of either.
  std::size_t ref_count_ = 0;
  Slab<Timer> slab_;
  TimerWheel wheel_;
  std::unordered_map<std::uint64_t, std::uint32_t> foreign_slots_;  // of timers that other threads have armed
  std::uint64_t last_id_ = 0;
  std::uint64_t next_sequence_ = 0;
};

}  // namespace gyre::internal
