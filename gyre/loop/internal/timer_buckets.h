#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <gyre/base/clock.h>

namespace gyre::internal {

struct TimerEntry;

/// What the order of timers keeps in each of them: when it is due, and where its entry is.
struct TimerNode {
  TimePoint deadline{};
  std::uint64_t sequence = 0;
  TimerEntry* entry = nullptr;  // in a bucket, or null
  std::uint32_t bucket = 0;
  std::uint32_t heap_position = kNotInHeap;

  static constexpr std::uint32_t kNotInHeap = UINT32_MAX;
};

/// A timer in a bucket or in the heap. The deadline is here a second time, so that whoever goes through many timers
/// reads them one behind the other and leaves the timers themselves, which lie anywhere, alone. In a bucket it may be
/// out of date, and is then earlier than the timer's own.
struct TimerEntry {
  TimePoint deadline;
  TimerNode* node;
};

/// Buckets of timers, each without an order. In and out take a few steps, and touch no timer but the one that is moved
/// and, when one goes out, the last of its bucket, which takes its place.
///
/// The entries of a bucket lie in linked chunks, of which only the last is not full. A chunk is aligned to its size, so
/// that the address of an entry says where in its chunk it is: a bucket is no more than the address of its next entry.
template <std::uint32_t kBuckets>
class TimerBuckets {
 public:
  TimerBuckets() = default;
  TimerBuckets(const TimerBuckets&) = delete;
  TimerBuckets& operator=(const TimerBuckets&) = delete;

  /// Makes room for so many entries, however they spread, so that `add` cannot fail.
  void reserve(std::size_t entries) {
    const std::size_t wanted = chunks_for(entries);
    if (wanted <= chunks_) return;
    const std::size_t more = std::max(wanted - chunks_, chunks_ / 4);
    blocks_.reserve(blocks_.size() + 1);
    blocks_.push_back(make_block(more));
    spare_all(blocks_.back().get(), more);
    chunks_ += more;
  }

  /// Gives back what was reserved for more than so many entries; there are no more.
  void shrink(std::size_t entries) {
    const std::size_t kept = chunks_for(entries);
    if (chunks_ <= kept + kept / 4) return;
    std::vector<std::unique_ptr<Chunk[]>> blocks;
    blocks.push_back(make_block(kept));
    spares_ = nullptr;
    spare_all(blocks.back().get(), kept);
    for (TimerEntry*& next : next_) next = copy(next);
    blocks_.swap(blocks);
    chunks_ = kept;
  }

  void add(std::uint32_t bucket, TimerNode& node, TimePoint deadline) noexcept {
    TimerEntry* entry = next_[bucket];
    if (is_end(entry)) [[unlikely]]
      entry = append(entry);
    entry->deadline = deadline;
    entry->node = &node;
    node.entry = entry;
    node.bucket = bucket;
    next_[bucket] = entry + 1;
  }

  /// Takes a node out. True if its bucket is empty now.
  bool remove(TimerNode& node) noexcept {
    TimerEntry* const hole = std::exchange(node.entry, nullptr);
    TimerEntry* const last = --next_[node.bucket];
    if (last != hole) {
      *hole = *last;
      hole->node->entry = hole;
    }
    return is_first(last) && retire_last(node.bucket);
  }

  /// Empties a bucket: calls `take(node, deadline)` for each of its entries, which must add it to another, or clear its
  /// `entry`.
  template <typename Take>
  void drain(std::uint32_t bucket, Take take) noexcept {
    TimerEntry* end = std::exchange(next_[bucket], nullptr);
    while (end != nullptr) {
      Chunk& chunk = chunk_before(end);
      const Chunk drained = chunk;
      const auto count = static_cast<std::size_t>(end - chunk.entries);
      spare(chunk);  // first, so that what moves needs no more chunks than there are
      for (std::size_t i = 0; i < count; ++i) take(*drained.entries[i].node, drained.entries[i].deadline);
      end = drained.previous == nullptr ? nullptr : drained.previous->end();
    }
  }

  /// Calls `look(entry)` until that returns false; false if it did.
  template <typename Look>
  bool all_of(std::uint32_t bucket, Look look) const noexcept {
    for (TimerEntry* end = next_[bucket]; end != nullptr;) {
      const Chunk& chunk = chunk_before(end);
      for (const TimerEntry* entry = chunk.entries; entry != end; ++entry) {
        if (!look(*entry)) return false;
      }
      end = chunk.previous == nullptr ? nullptr : chunk.previous->end();
    }
    return true;
  }

  /// Null if the bucket is empty.
  TimerNode* any(std::uint32_t bucket) const noexcept {
    TimerNode* found = nullptr;
    all_of(bucket, [&](const TimerEntry& entry) { return (found = entry.node) == nullptr; });
    return found;
  }

 private:
  static constexpr std::size_t kChunk = 128;
  static constexpr std::size_t kEntries = 7;
  struct alignas(kChunk) Chunk {
    Chunk* previous;
    alignas(sizeof(TimerEntry)) TimerEntry entries[kEntries];
    TimerEntry* end() noexcept { return entries + kEntries; }
  };
  static_assert(sizeof(Chunk) == kChunk);

  /// At worst each bucket with anything in it has a chunk that is not full.
  static constexpr std::size_t chunks_for(std::size_t entries) noexcept {
    return std::min<std::size_t>(entries, kBuckets) + entries / kEntries;
  }
  static std::unique_ptr<Chunk[]> make_block(std::size_t chunks) {
    return std::make_unique_for_overwrite<Chunk[]>(chunks);
  }
  /// True for the end of a full chunk, and for null.
  static bool is_end(const TimerEntry* entry) noexcept { return offset_of(entry) == 0; }
  static bool is_first(const TimerEntry* entry) noexcept { return offset_of(entry) == offsetof(Chunk, entries); }
  static std::uintptr_t offset_of(const TimerEntry* entry) noexcept {
    return reinterpret_cast<std::uintptr_t>(entry) % kChunk;
  }
  /// The chunk in which the place before `end` is; the place itself need not be.
  static Chunk& chunk_before(TimerEntry* end) noexcept {
    return *reinterpret_cast<Chunk*>((reinterpret_cast<std::uintptr_t>(end) - 1) & ~(kChunk - 1));
  }

  /// A place in a chunk behind the one that ends here.
  [[gnu::noinline]] TimerEntry* append(TimerEntry* end) noexcept {
    if (spares_ == nullptr) spare_empty();
    Chunk* const chunk = take_spare();
    chunk->previous = end == nullptr ? nullptr : &chunk_before(end);
    return chunk->entries;
  }
  /// The last chunk of a bucket has become empty. True if it is the only one: that stays, for the next timer that
  /// comes; `append` fetches it when it is needed elsewhere.
  bool retire_last(std::uint32_t bucket) noexcept {
    Chunk& chunk = chunk_before(next_[bucket]);
    if (chunk.previous == nullptr) return true;
    next_[bucket] = chunk.previous->end();
    spare(chunk);
    return false;
  }
  void spare_empty() noexcept {
    for (TimerEntry*& next : next_) {
      if (next != nullptr && is_first(next)) spare(chunk_before(std::exchange(next, nullptr)));
    }
  }
  Chunk* take_spare() noexcept {
    Chunk* const chunk = spares_;
    spares_ = chunk->previous;
    return chunk;
  }
  void spare(Chunk& chunk) noexcept {
    chunk.previous = spares_;
    spares_ = &chunk;
  }
  void spare_all(Chunk* chunks, std::size_t count) noexcept {
    while (count > 0) spare(chunks[--count]);
  }
  /// The same entries, in chunks made of spare ones.
  TimerEntry* copy(TimerEntry* end) noexcept {
    if (end == nullptr || is_first(end)) return nullptr;
    TimerEntry* copied_end = nullptr;
    Chunk* behind = nullptr;
    do {
      Chunk& chunk = chunk_before(end);
      Chunk* const copied = take_spare();
      *copied = chunk;
      const auto count = static_cast<std::size_t>(end - chunk.entries);
      for (std::size_t i = 0; i < count; ++i) copied->entries[i].node->entry = &copied->entries[i];
      if (behind == nullptr) {
        copied_end = copied->entries + count;
      } else {
        behind->previous = copied;
      }
      behind = copied;
      end = chunk.previous == nullptr ? nullptr : chunk.previous->end();
    } while (end != nullptr);
    return copied_end;
  }

  // Where the next entry of each bucket goes: null, a free place in its last chunk, or the end of that.
  std::array<TimerEntry*, kBuckets> next_{};
  Chunk* spares_ = nullptr;
  std::size_t chunks_ = 0;
  std::vector<std::unique_ptr<Chunk[]>> blocks_;
};

}  // namespace gyre::internal
