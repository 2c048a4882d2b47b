#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include <gyre/base/clock.h>
#include <gyre/base/task.h>
#include <gyre/loop/ids.h>
#include <gyre/loop/internal/slab.h>

namespace gyre::internal {

/// Pending timers in exact order: by deadline, equal deadlines in the order they were armed.
///
/// A 4-ary heap of (deadline, sequence, slot) beside a slab of timers. The heap's entries hold what is compared, so
/// sifting stays within one array; each timer knows its heap position, so cancelling needs no search. A timer is named
/// by a 64-bit number that is never used again, plus the slab slot where it can be looked up directly.
class TimerQueue {
 public:
  static constexpr Duration kOnce{-1};
  static constexpr std::uint32_t kNotQueued = std::numeric_limits<std::uint32_t>::max();

  struct Timer {
    Task callback;
    std::uint64_t id = 0;  // 0: the slot is free
    Duration interval = kOnce;
    std::uint32_t position = 0;  // in the heap; kNotQueued while its callback runs
    bool ref = true;
  };

  /// Returns an empty id when all ids are used up.
  TimerId add(TimePoint deadline, Duration interval, Task&& callback, bool ref) {
    if (last_id_ == std::numeric_limits<std::uint64_t>::max()) return {};
    make_room();
    const std::uint32_t slot = slab_.acquire();
    Timer& timer = slab_[slot];
    timer.callback = std::move(callback);
    timer.id = ++last_id_;
    timer.interval = interval;
    timer.ref = ref;
    ref_count_ += ref ? 1 : 0;
    push({deadline, next_sequence_++, slot});
    return TimerId(timer.id, slot);
  }

  /// The timer behind an id, or null if it has fired or was cancelled.
  Timer* find(TimerId id) noexcept {
    if (!id || id.slot() >= slab_.capacity()) return nullptr;
    Timer& timer = slab_[id.slot()];
    return timer.id == id.value() ? &timer : nullptr;
  }

  /// Takes a timer out for good and returns its callback, so that the caller decides when captures are destroyed.
  Task remove(TimerId id) noexcept {
    Timer& timer = slab_[id.slot()];
    if (timer.position != kNotQueued) erase(timer.position);
    return release(id.slot());
  }

  void set_ref(Timer& timer, bool ref) noexcept {
    if (timer.ref == ref) return;
    timer.ref = ref;
    ref ? ++ref_count_ : --ref_count_;
  }

  /// Moves a timer to another deadline, behind all that are armed for it already.
  void rearm(TimerId id, TimePoint deadline) noexcept {
    Timer& timer = slab_[id.slot()];
    if (timer.position != kNotQueued) erase(timer.position);
    push({deadline, next_sequence_++, id.slot()});
  }

  /// The next sequence number: timers armed from now on have this one or a higher one.
  std::uint64_t next_sequence() const noexcept { return next_sequence_; }
  /// True if none is waiting for its deadline.
  bool empty() const noexcept { return heap_.empty(); }
  /// How many there are, set-aside ones and one whose callback is running included.
  std::size_t size() const noexcept { return slab_.in_use(); }
  std::size_t ref_count() const noexcept { return ref_count_; }
  TimePoint next_deadline() const noexcept { return heap_.empty() ? TimePoint::max() : heap_.front().deadline; }

  /// Takes the first timer that is due at `now` and was armed before `before_sequence` off the heap. It stays alive,
  /// unqueued, until `finish` or `rearm`. Due timers armed later are set aside; `restore_deferred` puts them back.
  std::optional<TimerId> take_due(TimePoint now, std::uint64_t before_sequence) {
    while (!heap_.empty() && heap_.front().deadline <= now) {
      const Entry entry = heap_.front();
      erase(0);
      if (entry.sequence < before_sequence) return TimerId(slab_[entry.slot].id, entry.slot);
      deferred_.push_back({entry, slab_[entry.slot].id});
    }
    return std::nullopt;
  }
  void restore_deferred() noexcept {
    // Backwards: of a timer that was armed anew and set aside again, the last entry holds.
    for (; !deferred_.empty(); deferred_.pop_back()) {
      const auto& [entry, id] = deferred_.back();
      // It may have been cancelled, or armed anew, by a callback in between.
      if (slab_[entry.slot].id == id && slab_[entry.slot].position == kNotQueued) push(entry);
    }
  }
  /// Ends a timer taken by `take_due`.
  void finish(TimerId id) noexcept { static_cast<void>(release(id.slot())); }

  /// Takes any queued timer out for good and returns its callback; an empty task if there is none.
  Task remove_any() noexcept {
    if (heap_.empty()) return {};
    const std::uint32_t slot = heap_.back().slot;
    erase(static_cast<std::uint32_t>(heap_.size() - 1));
    return release(slot);
  }

  /// For the test of exhaustion.
  void set_last_id_for_test(std::uint64_t id) noexcept { last_id_ = id; }

 private:
  struct Entry {
    TimePoint deadline;
    std::uint64_t sequence;
    std::uint32_t slot;
    bool before(const Entry& other) const noexcept {
      return deadline != other.deadline ? deadline < other.deadline : sequence < other.sequence;
    }
  };
  static constexpr std::uint32_t kArity = 4;

  Task release(std::uint32_t slot) noexcept {
    Timer& timer = slab_[slot];
    if (timer.ref) --ref_count_;
    timer.id = 0;
    slab_.release(slot);
    return std::move(timer.callback);
  }

  // All that could run out of memory happens here, before anything has changed.
  void make_room() {
    const std::size_t needed = slab_.in_use() + 1;
    if (heap_.capacity() < needed) heap_.reserve(std::max(2 * needed, std::size_t{64}));
    if (deferred_.capacity() < heap_.capacity()) deferred_.reserve(heap_.capacity());
  }

  void push(const Entry& entry) noexcept {
    heap_.push_back(entry);
    sift_up(static_cast<std::uint32_t>(heap_.size() - 1), entry);
  }
  void erase(std::uint32_t position) noexcept {
    slab_[heap_[position].slot].position = kNotQueued;
    const Entry last = heap_.back();
    heap_.pop_back();
    if (position == heap_.size()) return;
    if (position > 0 && last.before(heap_[(position - 1) / kArity])) {
      sift_up(position, last);
    } else {
      sift_down(position, last);
    }
  }
  void place(std::uint32_t position, const Entry& entry) noexcept {
    heap_[position] = entry;
    slab_[entry.slot].position = position;
  }
  void sift_up(std::uint32_t position, const Entry entry) noexcept {
    while (position > 0) {
      const std::uint32_t parent = (position - 1) / kArity;
      if (!entry.before(heap_[parent])) break;
      place(position, heap_[parent]);
      position = parent;
    }
    place(position, entry);
  }
  void sift_down(std::uint32_t position, const Entry entry) noexcept {
    const auto size = static_cast<std::uint32_t>(heap_.size());
    for (;;) {
      const std::uint32_t first = position * kArity + 1;
      if (first >= size) break;
      std::uint32_t best = first;
      const std::uint32_t last = std::min(first + kArity, size);
      for (std::uint32_t child = first + 1; child < last; ++child) {
        if (heap_[child].before(heap_[best])) best = child;
      }
      if (!heap_[best].before(entry)) break;
      place(position, heap_[best]);
      position = best;
    }
    place(position, entry);
  }

  Slab<Timer> slab_;
  std::vector<Entry> heap_;
  struct Deferred {
    Entry entry;
    std::uint64_t id;
  };
  std::vector<Deferred> deferred_;
  std::uint64_t last_id_ = 0;
  std::uint64_t next_sequence_ = 0;
  std::size_t ref_count_ = 0;
};

}  // namespace gyre::internal
