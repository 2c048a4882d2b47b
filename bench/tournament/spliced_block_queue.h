#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

namespace bench::tournament {

/// A first-in first-out queue in linked blocks, for one thread at a time.
///
/// Invariants: elements never move while queued, so a front element may be used in place until the next `pop_front`.
/// Emptied blocks go to a spare list: after warm-up nothing is allocated. Whole queues join in constant time
/// (`splice_back`), which is how a producer's queue becomes the owner's.
///
/// The queue points straight at its next element and its next free slot: a task that queues another waits for as few
/// dependent loads as can be. A block records its own bounds only where the queue does not point at them: `begin` of
/// all but the first block, `end` of all but the last.
template <typename T, std::size_t kSparesKept>
class SplicedBlockQueue {
 public:
  SplicedBlockQueue() = default;
  SplicedBlockQueue(const SplicedBlockQueue&) = delete;
  SplicedBlockQueue& operator=(const SplicedBlockQueue&) = delete;
  ~SplicedBlockQueue() { clear(); }

  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }

  void push_back(T&& value) {
    if (back_ == back_limit_) [[unlikely]]
      append_block();
    ::new (static_cast<void*>(back_)) T(std::move(value));
    ++back_;
    ++size_;
  }

  T& front() noexcept {
    while (front_ == front_limit_) [[unlikely]]
      retire_head();
    return *front_;
  }
  /// Destroys the front element.
  void pop_front() noexcept {
    T& value = front();
    ++front_;
    --size_;
    value.~T();
    // Begins again at the block's first slot, so that a short queue stays on the same cache lines.
    if (front_ == back_) front_ = back_ = tail_->first();
  }
  /// Moves the front element out of the queue.
  T take_front() noexcept {
    T value = std::move(front());
    pop_front();
    return value;
  }

  /// Moves all of `other` to the end of this queue.
  void splice_back(SplicedBlockQueue& other) noexcept {
    if (other.empty()) return;
    if (tail_ == nullptr) {
      head_ = other.head_;
      front_ = other.front_;
      front_limit_ = other.front_limit_;
    } else {
      link(other.head_, other.front_);
    }
    tail_ = other.tail_;
    back_ = other.back_;
    back_limit_ = other.back_limit_;
    size_ += std::exchange(other.size_, 0);
    other.forget_blocks();
  }
  /// Gives spare blocks to `other` until it has `count`.
  void top_up_spares(SplicedBlockQueue& other, std::size_t count) noexcept {
    while (other.spare_count_ < count && spares_ != nullptr) {
      Block* block = spares_;
      spares_ = block->next;
      --spare_count_;
      other.keep_spare(block);
    }
  }

  /// Destroys all elements and gives all memory back.
  void clear() noexcept {
    while (!empty()) pop_front();
    while (head_ != nullptr) delete std::exchange(head_, head_->next);
    forget_blocks();
    while (spares_ != nullptr) delete std::exchange(spares_, spares_->next);
    spare_count_ = 0;
  }

  std::size_t spare_blocks() const noexcept { return spare_count_; }

  static constexpr std::uint32_t kSlots = 64;

 private:
  struct Block {
    Block* next = nullptr;
    T* begin;
    T* end;
    // Not on cache lines of their own: aligned allocation costs a burst several times what it saves.
    alignas(T) std::byte storage[kSlots * sizeof(T)];
    T* first() noexcept { return reinterpret_cast<T*>(storage); }
  };

  void append_block() {
    Block* block = spares_;
    if (block != nullptr) {
      spares_ = block->next;
      --spare_count_;
      block->next = nullptr;
    } else {
      block = new Block;  // default-initialised: the slots stay untouched
    }
    if (tail_ == nullptr) {
      head_ = block;
      front_ = block->first();
    } else {
      link(block, block->first());
    }
    tail_ = block;
    back_ = block->first();
    back_limit_ = back_ + kSlots;
  }
  /// Puts `block`, whose elements begin at `begin`, behind the last one, which thereby gets its end.
  void link(Block* block, T* begin) noexcept {
    block->begin = begin;
    tail_->next = block;
    tail_->end = back_;
    if (tail_ == head_) front_limit_ = back_;
  }
  /// Goes on to the second block; there is one, for the first one's elements have a limit.
  void retire_head() noexcept {
    Block* block = head_;
    head_ = block->next;
    front_ = head_->begin;
    front_limit_ = head_ == tail_ ? nullptr : head_->end;
    keep_spare(block);
  }
  void forget_blocks() noexcept {
    head_ = tail_ = nullptr;
    front_ = front_limit_ = back_ = back_limit_ = nullptr;
  }
  void keep_spare(Block* block) noexcept {
    if (spare_count_ == kSparesKept) {
      delete block;
      return;
    }
    block->next = spares_;
    spares_ = block;
    ++spare_count_;
  }

  T* front_ = nullptr;
  T* front_limit_ = nullptr;  // where the first block's elements end; null while it is the last block, too
  T* back_ = nullptr;
  T* back_limit_ = nullptr;
  std::size_t size_ = 0;
  Block* head_ = nullptr;
  Block* tail_ = nullptr;
  Block* spares_ = nullptr;
  std::size_t spare_count_ = 0;
};

}  // namespace bench::tournament
