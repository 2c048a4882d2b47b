#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <gyre/base/clock.h>

namespace gyre::internal {

/// Puts numbered deadlines in exact order: by deadline, equal ones by sequence number.
///
/// Most timers never fire, so putting one in and taking it out must be cheap however many there are. Time is cut into
/// ticks. What is due up to the current tick, `position_`, is in a heap, which alone decides the order. What is due
/// later is in one of 8 rings of 64 buckets: the ring is the highest digit, base 64, in which its tick differs from the
/// current one, the bucket that digit. A bucket is an unordered list: in and out take a few steps. When the current
/// tick reaches a bucket, its entries move to finer rings and at last into the heap; each moves at most 8 times.
///
/// (G. Varghese, T. Lauck: Hashed and Hierarchical Timing Wheels, SOSP 1987, scheme 7; the heap makes it exact.)
///
/// Invariants: every tick in the heap is at most `position_`, every tick in the rings is later. Hence all in the heap
/// come before all in the rings, a finer ring before a coarser one, a lower bucket before a higher one.
class TimerWheel {
 public:
  /// Names an entry: a small dense number, chosen by the caller.
  using Slot = std::uint32_t;

  /// Makes room for entries with slots below `slots`, so that `insert` cannot fail.
  void reserve(std::size_t slots) {
    if (heap_.capacity() < slots) heap_.reserve(std::max(2 * heap_.capacity(), slots));
    if (nodes_.size() <= slots) nodes_.resize(slots + 1);
  }

  /// Gives back what was reserved for slots from `slots` on; none of them is in use.
  void shrink(std::size_t slots) {
    if (nodes_.size() <= slots + 1) return;
    std::vector<Entry> heap;
    heap.reserve(slots);
    heap.assign(heap_.begin(), heap_.end());
    std::vector<Node> nodes(nodes_.begin(), nodes_.begin() + static_cast<std::ptrdiff_t>(slots + 1));
    heap_.swap(heap);
    nodes_.swap(nodes);
  }

  bool empty() const noexcept { return size_ == 0; }
  bool contains(Slot slot) const noexcept { return node(slot).place != kNowhere; }

  void insert(Slot slot, TimePoint deadline, std::uint64_t sequence) noexcept {
    node(slot).deadline = deadline;
    node(slot).sequence = sequence;
    ++size_;
    put(slot);
  }

  void erase(Slot slot) noexcept {
    Node& erased = node(slot);
    --size_;
    if (erased.place >= kInHeap) {
      erase_from_heap(erased.place - kInHeap);
    } else {
      unlink(erased);
    }
    erased.place = kNowhere;
  }

  /// The earliest entry if it is due at `now`, else `kNone`.
  Slot first_due(TimePoint now) noexcept {
    advance(tick_of(now));
    return !heap_.empty() && heap_.front().deadline <= now ? heap_.front().slot : kNone;
  }

  TimePoint deadline(Slot slot) const noexcept { return node(slot).deadline; }
  std::uint64_t sequence(Slot slot) const noexcept { return node(slot).sequence; }

  /// Any entry; `kNone` if there is none.
  Slot any() const noexcept {
    if (!heap_.empty()) return heap_.back().slot;
    return rings_in_use_ == 0 ? kNone : buckets_[first_bucket()];
  }

  /// `TimePoint::max()` if there is none.
  TimePoint next_deadline() noexcept {
    while (heap_.empty() && rings_in_use_ != 0) {
      const std::uint32_t bucket = first_bucket();
      // A short list is searched. A long one is spread over finer rings, once: the current tick runs ahead of time
      // then, which makes the heap take what is armed for the time between.
      TimePoint earliest = TimePoint::max();
      Slot slot = buckets_[bucket];
      for (int i = 0; i < kSearched && slot != kNone; ++i, slot = node(slot).next) {
        earliest = std::min(earliest, node(slot).deadline);
      }
      if (slot == kNone) return earliest;
      enter(bucket);
    }
    return heap_.empty() ? TimePoint::max() : heap_.front().deadline;
  }

  static constexpr Slot kNone = std::numeric_limits<Slot>::max();

 private:
  static constexpr int kTickBits = 16;  // 65.5 microseconds: finer than most sleeps, and a handful of timers at most
  static constexpr int kDigitBits = 6;
  static constexpr std::uint32_t kBuckets = 1 << kDigitBits;
  static constexpr std::uint32_t kRings = (64 - kTickBits + kDigitBits - 1) / kDigitBits;
  static constexpr int kSearched = 16;
  static constexpr std::uint32_t kArity = 4;
  static constexpr std::uint32_t kNowhere = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::uint32_t kInHeap = 1 << 31;  // a place from here on is a position in the heap, else a bucket

  struct Node {
    TimePoint deadline;
    std::uint64_t sequence;
    Slot next;
    Slot previous;  // kNone: the bucket points here
    std::uint32_t place = kNowhere;
  };
  struct Entry {
    TimePoint deadline;
    std::uint64_t sequence;
    Slot slot;
    bool before(const Entry& other) const noexcept {
      return deadline != other.deadline ? deadline < other.deadline : sequence < other.sequence;
    }
  };

  static constexpr std::array<Slot, kRings * kBuckets> make_empty_buckets() noexcept {
    std::array<Slot, kRings * kBuckets> buckets;
    buckets.fill(kNone);
    return buckets;
  }
  /// For kNone, too: the first element is there to be written to where there is no neighbour, and is never read.
  Node& node(Slot slot) noexcept { return nodes_[slot + 1u]; }
  const Node& node(Slot slot) const noexcept { return nodes_[slot + 1u]; }

  static constexpr std::int64_t tick_of(TimePoint time) noexcept {
    return time.time_since_epoch().count() >> kTickBits;
  }

  // --- Rings ---

  void put(Slot slot) noexcept {
    Node& added = node(slot);
    const std::int64_t tick = tick_of(added.deadline);
    if (tick <= position_) {
      push_on_heap({added.deadline, added.sequence, slot});
      return;
    }
    const int highest_bit = std::bit_width(static_cast<std::uint64_t>(tick ^ position_)) - 1;
    const auto ring = static_cast<std::uint32_t>(highest_bit / kDigitBits);
    const auto digit = static_cast<std::uint32_t>(tick >> (ring * kDigitBits)) % kBuckets;
    const std::uint32_t bucket = ring * kBuckets + digit;
    const Slot second = buckets_[bucket];
    node(second).previous = slot;
    added.next = second;
    added.previous = kNone;
    added.place = bucket;
    buckets_[bucket] = slot;
    in_use_[ring] |= std::uint64_t{1} << digit;
    rings_in_use_ |= 1u << ring;
  }
  // Whether another entry follows is anybody's guess, the processor's as well: that takes no branch.
  void unlink(const Node& unlinked) noexcept {
    node(unlinked.next).previous = unlinked.previous;
    if (unlinked.previous != kNone) {
      node(unlinked.previous).next = unlinked.next;
      return;
    }
    const std::uint32_t ring = unlinked.place / kBuckets;
    buckets_[unlinked.place] = unlinked.next;
    in_use_[ring] &= ~(std::uint64_t{unlinked.next == kNone} << unlinked.place % kBuckets);
    if (in_use_[ring] == 0) rings_in_use_ &= ~(1u << ring);
  }
  void mark_empty(std::uint32_t bucket) noexcept {
    const std::uint32_t ring = bucket / kBuckets;
    buckets_[bucket] = kNone;
    in_use_[ring] &= ~(std::uint64_t{1} << bucket % kBuckets);
    if (in_use_[ring] == 0) rings_in_use_ &= ~(1u << ring);
  }
  /// The bucket with the earliest entries of all rings, of which one must be in use.
  std::uint32_t first_bucket() const noexcept {
    const auto ring = static_cast<std::uint32_t>(std::countr_zero(rings_in_use_));
    return ring * kBuckets + static_cast<std::uint32_t>(std::countr_zero(in_use_[ring]));
  }
  /// The first tick of a bucket: the current one with this digit, and zeros after it.
  std::int64_t start_of(std::uint32_t bucket) const noexcept {
    const std::uint32_t shift = bucket / kBuckets * kDigitBits;
    return ((position_ >> shift & ~std::int64_t{kBuckets - 1}) | bucket % kBuckets) << shift;
  }
  /// Makes the start of the first bucket the current tick and moves the bucket's entries to where they belong then.
  void enter(std::uint32_t bucket) noexcept {
    position_ = start_of(bucket);
    Slot slot = buckets_[bucket];
    mark_empty(bucket);
    while (slot != kNone) {
      const Slot next = node(slot).next;
      put(slot);
      slot = next;
    }
  }
  void advance(std::int64_t tick) noexcept {
    if (tick <= position_) return;
    while (rings_in_use_ != 0 && start_of(first_bucket()) <= tick) enter(first_bucket());
    position_ = tick;  // no entry changes its place: in each ring in use, the current digit is still below all buckets
  }

  // --- Heap ---

  void push_on_heap(const Entry& entry) noexcept {
    heap_.push_back(entry);
    sift_up(static_cast<std::uint32_t>(heap_.size() - 1), entry);
  }
  void erase_from_heap(std::uint32_t position) noexcept {
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
    node(entry.slot).place = kInHeap + position;
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

  std::int64_t position_ = 0;
  std::size_t size_ = 0;
  std::uint32_t rings_in_use_ = 0;                                      // a bit for each ring
  std::array<std::uint64_t, kRings> in_use_{};                          // a bit for each bucket
  std::array<Slot, kRings * kBuckets> buckets_ = make_empty_buckets();  // the first entry, or kNone
  std::vector<Node> nodes_ = std::vector<Node>(1);                      // see node()
  std::vector<Entry> heap_;
};

}  // namespace gyre::internal
