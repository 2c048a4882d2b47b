#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

namespace gyre::internal {

/// A first-in first-out queue in linked blocks, for one thread at a time.
///
/// Invariants: elements live in slots [begin, end) of each block and never move while queued, so a front element may be
/// used in place until the next `pop_front`. Emptied blocks go to a spare list: after warm-up nothing is allocated.
/// Whole queues join in constant time (`splice_back`), which is how a producer's queue becomes the owner's.
template <typename T>
class BlockQueue {
 public:
  BlockQueue() = default;
  BlockQueue(const BlockQueue&) = delete;
  BlockQueue& operator=(const BlockQueue&) = delete;
  ~BlockQueue() { clear(); }

  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }

  void push_back(T&& value) {
    if (tail_ == nullptr || tail_->end == kSlots) append_block();
    ::new (tail_->slot(tail_->end)) T(std::move(value));
    ++tail_->end;
    ++size_;
  }

  T& front() noexcept {
    while (head_->begin == head_->end) retire_head();
    return *head_->slot(head_->begin);
  }
  /// Destroys the front element.
  void pop_front() noexcept {
    T& value = front();
    ++head_->begin;
    --size_;
    value.~T();
    if (head_->begin == head_->end && head_ == tail_) head_->begin = head_->end = 0;
  }
  /// Moves the front element out of the queue.
  T take_front() noexcept {
    T value = std::move(front());
    pop_front();
    return value;
  }

  /// Moves all of `other` to the end of this queue.
  void splice_back(BlockQueue& other) noexcept {
    if (other.empty()) return;
    if (tail_ == nullptr) {
      head_ = other.head_;
    } else {
      tail_->next = other.head_;
    }
    tail_ = other.tail_;
    size_ += std::exchange(other.size_, 0);
    other.head_ = other.tail_ = nullptr;
  }
  /// Gives spare blocks to `other` until it has `count`.
  void top_up_spares(BlockQueue& other, std::size_t count) noexcept {
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
    while (head_ != nullptr) retire_head();
    while (spares_ != nullptr) {
      Block* block = spares_;
      spares_ = block->next;
      delete block;
    }
    spare_count_ = 0;
  }

  std::size_t spare_blocks() const noexcept { return spare_count_; }

  static constexpr std::uint32_t kSlots = 64;
  /// Blocks kept for re-use, at most. With the one in use they hold 1024 elements, 64 KiB of tasks; the rest of a
  /// burst's memory goes back.
  static constexpr std::size_t kSparesKept = 15;

 private:
  struct Block {
    Block* next = nullptr;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    alignas(T) std::byte storage[kSlots * sizeof(T)];
    T* slot(std::uint32_t index) noexcept { return std::launder(reinterpret_cast<T*>(storage) + index); }
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
    } else {
      tail_->next = block;
    }
    tail_ = block;
  }
  void retire_head() noexcept {
    Block* block = head_;
    head_ = block->next;
    if (head_ == nullptr) tail_ = nullptr;
    keep_spare(block);
  }
  void keep_spare(Block* block) noexcept {
    if (spare_count_ == kSparesKept) {
      delete block;
      return;
    }
    block->begin = block->end = 0;
    block->next = spares_;
    spares_ = block;
    ++spare_count_;
  }
  Block* head_ = nullptr;
  Block* tail_ = nullptr;
  Block* spares_ = nullptr;
  std::size_t size_ = 0;
  std::size_t spare_count_ = 0;
};

}  // namespace gyre::internal
