#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <unordered_map>
#include <vector>

#include <gyre/base/clock.h>
#include <gyre/base/task.h>
#include <gyre/loop/ids.h>
#include <gyre/loop/internal/slab.h>
#include <gyre/loop/internal/timer_wheel.h>

namespace gyre::internal {

/// Pending timers in exact order: by deadline, equal deadlines in the order they were armed.
///
/// A slab of timers beside the wheel that orders them; the wheel knows a timer by its slab slot. To users, a timer is
/// named by a 64-bit number that is never used again, plus the slot, where it can be looked up directly.
class TimerQueue {
 public:
  static constexpr Duration kOnce{-1};
  /// Ids above this were given by other threads, which do not know the slot.
  static constexpr std::uint64_t kForeignIds = std::uint64_t{1} << 63;
  static constexpr std::uint32_t kUnknownSlot = std::numeric_limits<std::uint32_t>::max();

  struct Timer {
    Task callback;
    std::uint64_t id = 0;  // 0: the slot is free
    Duration interval = kOnce;
    std::uint32_t missed = 0;  // runs of an interval that were left out
    bool ref = true;
  };

  TimerId add(TimePoint deadline, Duration interval, Task&& callback, bool ref) {
    TimerId id;
    if (Task* const place = add(deadline, interval, ref, id)) *place = std::move(callback);
    return id;
  }
  /// Returns an empty callback, to be filled at once; null when all ids are used up.
  Task* add(TimePoint deadline, Duration interval, bool ref, TimerId& id) {
    if (last_id_ == kForeignIds) [[unlikely]]
      return nullptr;
    return &insert(++last_id_, deadline, interval, ref, id).callback;
  }
  /// Adds one under an id that another thread has given it.
  void add_foreign(std::uint64_t id, TimePoint deadline, Duration interval, Task&& callback, bool ref) {
    std::uint32_t& slot = foreign_slots_[id];  // first: it may run out of memory
    try {
      TimerId added;
      insert(id, deadline, interval, ref, added).callback = std::move(callback);
      slot = added.slot();
    } catch (...) {
      foreign_slots_.erase(id);
      throw;
    }
  }

  /// The same id with the slot filled in, if another thread has given it and the timer is still there.
  TimerId resolve(TimerId id) const noexcept {
    if (id.slot() != kUnknownSlot) [[likely]]
      return id;
    const auto found = foreign_slots_.find(id.value());
    return found == foreign_slots_.end() ? TimerId() : TimerId(id.value(), found->second);
  }

  /// The timer behind an id, or null if it has fired or was cancelled.
  Timer* find(TimerId id) noexcept {
    if (!id || id.slot() >= slab_.capacity()) return nullptr;
    Timer& timer = slab_[id.slot()];
    return timer.id == id.value() ? &timer : nullptr;
  }

  /// Takes a timer out for good and returns its callback, so that the caller decides when captures are destroyed.
  Task remove(TimerId id) noexcept {
    if (wheel_.contains(id.slot())) wheel_.erase(id.slot());
    return release(id.slot());
  }
  /// The same for a callback that is plain bytes.
  void drop(TimerId id, Timer& timer) noexcept {
    if (wheel_.contains(id.slot())) wheel_.erase(id.slot());
    timer.callback.reset();
    retire(timer, id.slot());
  }

  void set_ref(Timer& timer, bool ref) noexcept {
    if (timer.ref == ref) return;
    timer.ref = ref;
    ref ? ++ref_count_ : --ref_count_;
  }

  /// Moves a timer to another deadline, behind all that are armed for it already.
  void rearm(TimerId id, TimePoint deadline) noexcept {
    if (wheel_.contains(id.slot())) wheel_.erase(id.slot());
    wheel_.insert(id.slot(), deadline, next_sequence_++);
  }
  /// When it is due, or was, if it has just been taken out.
  TimePoint deadline(TimerId id) const noexcept { return wheel_.deadline(id.slot()); }
  /// False while a timer's callback runs, unless that has armed it anew.
  bool is_waiting(TimerId id) const noexcept { return wheel_.contains(id.slot()); }

  /// The next sequence number: timers armed from now on have this one or a higher one.
  std::uint64_t next_sequence() const noexcept { return next_sequence_; }
  /// True if none is waiting for its deadline.
  bool empty() const noexcept { return wheel_.empty(); }
  /// How many there are, set-aside ones and one whose callback is running included.
  std::size_t size() const noexcept { return slab_.in_use(); }
  std::size_t ref_count() const noexcept { return ref_count_; }
  TimePoint next_deadline() noexcept { return wheel_.next_deadline(); }

  /// Takes the first timer that is due at `now` and was armed before `before_sequence` out of the order. It stays
  /// alive, not waiting, until `finish` or `rearm`. Due timers armed later are set aside; `restore_deferred` puts them
  /// back.
  std::optional<TimerId> take_due(TimePoint now, std::uint64_t before_sequence) {
    for (;;) {
      const std::uint32_t slot = wheel_.first_due(now);
      if (slot == TimerWheel::kNone) break;
      wheel_.erase(slot);
      const TimerId id(slab_[slot].id, slot);
      if (wheel_.sequence(slot) < before_sequence) return id;
      deferred_.push_back({id, wheel_.deadline(slot), wheel_.sequence(slot)});
    }
    return std::nullopt;
  }
  void restore_deferred() noexcept {
    // Backwards: of a timer that was armed anew and set aside again, the last entry holds.
    for (; !deferred_.empty(); deferred_.pop_back()) {
      const Deferred& last = deferred_.back();
      // It may have been cancelled, or armed anew, by a callback in between.
      if (find(last.id) != nullptr && !is_waiting(last.id)) wheel_.insert(last.id.slot(), last.deadline, last.sequence);
    }
  }
  /// Ends a timer taken by `take_due`.
  void finish(TimerId id) noexcept { static_cast<void>(release(id.slot())); }

  /// Takes any queued timer out for good and returns its callback; an empty task if there is none.
  Task remove_any() noexcept {
    const std::uint32_t slot = wheel_.any();
    if (slot == TimerWheel::kNone) return {};
    wheel_.erase(slot);
    return release(slot);
  }

  std::uint64_t ids_left() const noexcept { return kForeignIds - last_id_; }
  /// Gives memory back that was not needed since the last call. True if there may be more next time.
  bool trim() {
    const bool more = slab_.trim();
    wheel_.shrink(slab_.capacity());
    if (deferred_.empty() && deferred_.capacity() > 2 * std::size_t{slab_.capacity()}) {
      std::vector<Deferred> deferred;
      deferred.reserve(slab_.capacity());
      deferred_.swap(deferred);
    }
    return more;
  }
  bool has_excess() const noexcept { return slab_.has_excess(); }

  /// For the test of exhaustion.
  void set_last_id_for_test(std::uint64_t id) noexcept { last_id_ = id; }

 private:
  Timer& insert(std::uint64_t value, TimePoint deadline, Duration interval, bool ref, TimerId& id) {
    if (slab_.is_full()) [[unlikely]]
      make_room();
    const std::uint32_t slot = slab_.acquire();
    Timer& timer = slab_[slot];
    timer.id = value;
    timer.interval = interval;
    timer.missed = 0;
    timer.ref = ref;
    ref_count_ += ref ? 1 : 0;
    wheel_.insert(slot, deadline, next_sequence_++);
    id = TimerId(value, slot);
    return timer;
  }

  Task release(std::uint32_t slot) noexcept {
    Timer& timer = slab_[slot];
    retire(timer, slot);
    return std::move(timer.callback);
  }
  void retire(Timer& timer, std::uint32_t slot) noexcept {
    if (timer.ref) --ref_count_;
    if (timer.id > kForeignIds) [[unlikely]]
      foreign_slots_.erase(timer.id);
    timer.id = 0;
    slab_.release(slot);
  }

  // For all the slots that the slab is about to add. What could run out of memory does so before anything has changed.
  void make_room() {
    const std::uint32_t capacity = slab_.capacity() + Slab<Timer>::kChunk;
    wheel_.reserve(capacity);
    if (deferred_.capacity() < capacity) deferred_.reserve(std::max<std::size_t>(2 * deferred_.capacity(), capacity));
  }

  struct Deferred {
    TimerId id;
    TimePoint deadline;
    std::uint64_t sequence;
  };

  // Not beside the numbers that count up: a compiler makes one operation of neighbours, which then waits for the last
  // change of either.
  std::size_t ref_count_ = 0;
  Slab<Timer> slab_;
  TimerWheel wheel_;
  std::vector<Deferred> deferred_;
  std::unordered_map<std::uint64_t, std::uint32_t> foreign_slots_;  // of timers that other threads have armed
  std::uint64_t last_id_ = 0;
  std::uint64_t next_sequence_ = 0;
};

}  // namespace gyre::internal
