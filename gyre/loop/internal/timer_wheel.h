#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <gyre/base/clock.h>
#include <gyre/loop/internal/timer_buckets.h>

namespace gyre::internal {

/// Puts timers in exact order: by deadline, equal ones by sequence number.
///
/// Most timers never fire, so putting one in, taking it out and moving it to a later deadline must be cheap however
/// many there are. Time is cut into ticks. What is due up to the current tick, `position_`, is in a heap, which alone
/// decides the order. What is due later is in one of 8 rings of 64 buckets: the ring is the highest digit, base 64, in
/// which its tick differs from the current one, the bucket that digit. When the current tick reaches a bucket, its
/// entries move to finer rings and at last into the heap; each moves at most 8 times. A timer that is moved to a later
/// deadline stays where it is: that it is due later is noticed when it would enter the heap.
///
/// (G. Varghese, T. Lauck: Hashed and Hierarchical Timing Wheels, SOSP 1987, scheme 7; the heap makes it exact.)
///
/// Invariants: every tick in the heap is at most `position_`, every tick in the rings is later, and no bucket begins
/// after a deadline in it. Hence all in the heap come before all in the rings, and what is in a bucket comes after the
/// start of the first bucket of the finest ring.
class TimerWheel {
 public:
  /// Makes room for so many timers, so that nothing else can fail.
  void reserve(std::size_t timers) {
    if (heap_.capacity() < timers) heap_.reserve(std::max(2 * heap_.capacity(), timers));
    buckets_.reserve(timers);
  }
  /// Gives back what was reserved for more than so many timers; there are no more.
  void shrink(std::size_t timers) {
    if (heap_.capacity() > timers) {
      std::vector<TimerEntry> heap;
      heap.reserve(timers);
      heap.assign(heap_.begin(), heap_.end());
      heap_.swap(heap);
    }
    buckets_.shrink(timers);
  }

  /// Those set aside do not count.
  bool empty() const noexcept { return rings_in_use_ == 0 && heap_.empty(); }
  static bool contains(const TimerNode& node) noexcept {
    return node.entry != nullptr || node.heap_position != TimerNode::kNotInHeap;
  }

  void insert(TimerNode& node, TimePoint deadline, std::uint64_t sequence) noexcept {
    node.deadline = deadline;
    node.sequence = sequence;
    put(node, deadline);
  }
  void erase(TimerNode& node) noexcept {
    if (node.entry == nullptr) {
      erase_from_heap(node);
    } else {
      if (buckets_.remove(node)) mark_empty(node.bucket);
    }
  }
  /// As `erase`, if it is there, and `insert`.
  void move(TimerNode& node, TimePoint deadline, std::uint64_t sequence) noexcept {
    if (node.entry != nullptr && deadline >= node.deadline) {
      node.deadline = deadline;
      node.sequence = sequence;
      return;
    }
    if (contains(node)) erase(node);
    insert(node, deadline, sequence);
  }

  /// The earliest timer if it is due at `now`, or null.
  TimerNode* first_due(TimePoint now) noexcept {
    advance(tick_of(now));
    return !heap_.empty() && heap_.front().deadline <= now ? heap_.front().node : nullptr;
  }

  /// Keeps a timer that was erased, and need not come up, until `restore`.
  void set_aside(TimerNode& node) noexcept { buckets_.add(kAside, node, node.deadline); }
  void restore() noexcept {
    buckets_.drain(kAside, [this](TimerNode& node, TimePoint) { put(node, node.deadline); });
  }

  /// Any timer; null if there is none.
  TimerNode* any() const noexcept {
    if (!heap_.empty()) return heap_.back().node;
    if (rings_in_use_ != 0) return buckets_.any(first_bucket());
    return buckets_.any(kAside);
  }

  /// `TimePoint::max()` if there is none.
  TimePoint next_deadline() noexcept {
    while (heap_.empty() && rings_in_use_ != 0) {
      const std::uint32_t bucket = first_bucket();
      // A short bucket is searched. A long one, or one with a timer that has been moved to the time of another, is
      // spread over finer rings, once: the current tick runs ahead of time then, which makes the heap take what is
      // armed for the time between.
      TimePoint earliest = TimePoint::max();
      const std::int64_t last_tick = last_tick_of(bucket);
      int searched = 0;
      if (buckets_.all_of(bucket, [&](const TimerEntry& entry) {
            earliest = std::min(earliest, entry.node->deadline);
            return ++searched <= kSearched && tick_of(entry.node->deadline) <= last_tick;
          })) {
        return earliest;
      }
      enter(bucket, start_of(bucket));
    }
    return heap_.empty() ? TimePoint::max() : heap_.front().deadline;
  }

 private:
  static constexpr int kTickBits = 16;  // 65.5 microseconds: finer than most sleeps, and a handful of timers at most
  static constexpr int kDigitBits = 6;
  static constexpr std::uint32_t kDigits = 1 << kDigitBits;
  static constexpr std::uint32_t kRings = (64 - kTickBits + kDigitBits - 1) / kDigitBits;
  static constexpr std::uint32_t kAside = kRings * kDigits;  // the bucket of those set aside
  static constexpr int kSearched = 32;
  static constexpr std::uint32_t kArity = 4;

  static constexpr std::int64_t tick_of(TimePoint time) noexcept {
    return time.time_since_epoch().count() >> kTickBits;
  }

  // --- Rings ---

  /// The deadline may be one of before: if it has come, the timer's own counts.
  void put(TimerNode& node, TimePoint deadline) noexcept {
    std::int64_t tick = tick_of(deadline);
    if (tick <= position_) {
      deadline = node.deadline;
      tick = tick_of(deadline);
      if (tick <= position_) {
        node.entry = nullptr;
        push_on_heap({deadline, &node});
        return;
      }
    }
    const int highest_bit = std::bit_width(static_cast<std::uint64_t>(tick ^ position_)) - 1;
    const auto ring = static_cast<std::uint32_t>(highest_bit / kDigitBits);
    const auto digit = static_cast<std::uint32_t>(tick >> (ring * kDigitBits)) % kDigits;
    buckets_.add(ring * kDigits + digit, node, deadline);
    in_use_[ring] |= std::uint64_t{1} << digit;
    rings_in_use_ |= 1u << ring;
  }
  void mark_empty(std::uint32_t bucket) noexcept {
    const std::uint32_t ring = bucket / kDigits;  // of those set aside: one that is never in use
    in_use_[ring] &= ~(std::uint64_t{1} << bucket % kDigits);
    // Whether it was the last is anybody's guess, the processor's as well: that takes no branch.
    rings_in_use_ &= ~(std::uint32_t{in_use_[ring] == 0} << ring);
  }
  /// The bucket with the earliest entries of all rings, of which one must be in use.
  std::uint32_t first_bucket() const noexcept {
    const auto ring = static_cast<std::uint32_t>(std::countr_zero(rings_in_use_));
    return ring * kDigits + static_cast<std::uint32_t>(std::countr_zero(in_use_[ring]));
  }
  /// The first tick of a bucket: the current one with this digit, and zeros after it.
  std::int64_t start_of(std::uint32_t bucket) const noexcept {
    const std::uint32_t shift = bucket / kDigits * kDigitBits;
    return ((position_ >> shift & ~std::int64_t{kDigits - 1}) | bucket % kDigits) << shift;
  }
  std::int64_t last_tick_of(std::uint32_t bucket) const noexcept {
    return start_of(bucket) | ((std::int64_t{1} << bucket / kDigits * kDigitBits) - 1);
  }
  /// Makes `tick`, which is in the first bucket, the current one and moves the bucket's entries to where they belong
  /// then.
  void enter(std::uint32_t bucket, std::int64_t tick) noexcept {
    position_ = tick;
    mark_empty(bucket);
    buckets_.drain(bucket, [this](TimerNode& node, TimePoint deadline) { put(node, deadline); });
  }
  void advance(std::int64_t tick) noexcept {
    if (tick <= position_) return;
    while (rings_in_use_ != 0) {
      const std::uint32_t bucket = first_bucket();
      if (start_of(bucket) > tick) break;
      enter(bucket, std::min(tick, last_tick_of(bucket)));
    }
    position_ = tick;  // no entry changes its place: in each ring in use, the current digit is still below all buckets
  }

  // --- Heap ---

  static bool before(const TimerEntry& a, const TimerEntry& b) noexcept {
    return a.deadline != b.deadline ? a.deadline < b.deadline : a.node->sequence < b.node->sequence;
  }
  void push_on_heap(const TimerEntry& entry) noexcept {
    heap_.push_back(entry);
    sift_up(static_cast<std::uint32_t>(heap_.size() - 1), entry);
  }
  void erase_from_heap(TimerNode& node) noexcept {
    const std::uint32_t position = std::exchange(node.heap_position, TimerNode::kNotInHeap);
    const TimerEntry last = heap_.back();
    heap_.pop_back();
    if (position == heap_.size()) return;
    if (position > 0 && before(last, heap_[(position - 1) / kArity])) {
      sift_up(position, last);
    } else {
      sift_down(position, last);
    }
  }
  void place(std::uint32_t position, const TimerEntry& entry) noexcept {
    heap_[position] = entry;
    entry.node->heap_position = position;
  }
  void sift_up(std::uint32_t position, const TimerEntry entry) noexcept {
    while (position > 0) {
      const std::uint32_t parent = (position - 1) / kArity;
      if (!before(entry, heap_[parent])) break;
      place(position, heap_[parent]);
      position = parent;
    }
    place(position, entry);
  }
  void sift_down(std::uint32_t position, const TimerEntry entry) noexcept {
    const auto size = static_cast<std::uint32_t>(heap_.size());
    for (;;) {
      const std::uint32_t first = position * kArity + 1;
      if (first >= size) break;
      std::uint32_t best = first;
      const std::uint32_t last = std::min(first + kArity, size);
      for (std::uint32_t child = first + 1; child < last; ++child) {
        if (before(heap_[child], heap_[best])) best = child;
      }
      if (!before(heap_[best], entry)) break;
      place(position, heap_[best]);
      position = best;
    }
    place(position, entry);
  }

  std::int64_t position_ = 0;
  std::uint32_t rings_in_use_ = 0;                  // a bit for each ring
  std::array<std::uint64_t, kRings + 1> in_use_{};  // a bit for each bucket
  TimerBuckets<kAside + 1> buckets_;
  std::vector<TimerEntry> heap_;
};

}  // namespace gyre::internal
