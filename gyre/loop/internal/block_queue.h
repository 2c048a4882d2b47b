#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

namespace gyre::internal {

/// A first-in first-out queue in linked blocks, for one thread at a time.
///
/// Invariants: elements never move while queued, so a front element may be used in place until the next `pop_front`.
/// Emptied blocks go to a spare list: after warm-up nothing is allocated, and what a burst has needed is at hand for
/// the next. `trim`, called now and then, gives back what was not needed since the last call.
///
/// The queue points straight at its next element and its next free slot: a task that queues another waits for as few
/// dependent loads as can be. A block records its own bounds only where the queue does not point at them: `begin` of
/// all but the first block, `end` of all but the last. Whole queues join in constant time (`splice_back`).
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
    ::new (free_slot()) T(std::move(value));
    ++back_;
    ++size_;
  }
  /// A new element at the end.
  T& emplace_back() {
    T* const element = ::new (free_slot()) T();
    ++back_;
    ++size_;
    return *element;
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
  /// Calls `run` with the front element, which stays where it is meanwhile, and then destroys it.
  template <typename Run>
  void run_front(Run run) {
    run(front());
    pop_front();
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
      front_ = other.front_;
      front_limit_ = other.front_limit_;
    } else {
      link(other.head_, other.front_);
    }
    tail_ = other.tail_;
    back_ = other.back_;
    back_limit_ = other.back_limit_;
    size_ += std::exchange(other.size_, 0);
    blocks_in_use_ += other.blocks_in_use_;
    other.forget_blocks();
  }
  /// Gives spare blocks to `other` until it has `count`.
  void top_up_spares(BlockQueue& other, std::size_t count) noexcept {
    while (other.spare_count_ < count && spares_ != nullptr) other.keep_spare(take_spare());
  }

  /// Gives spare blocks back that were not needed since the last call. True if it still has more than it keeps for
  /// good.
  bool trim() noexcept {
    for (std::size_t unused = lowest_spare_count_; unused > 0 && spare_count_ > spares_kept_; --unused) {
      delete take_spare();
    }
    lowest_spare_count_ = spare_count_;
    return has_excess();
  }
  bool has_excess() const noexcept { return spare_count_ > spares_kept_; }

  /// Keeps room for so many elements from now on: gets at once what is missing, gives back what is too much and free.
  void resize(std::size_t slots) {
    const std::size_t wanted = (slots + kSlots - 1) / kSlots;
    while (blocks_in_use_ + spare_count_ < wanted) keep_spare(new Block);
    spares_kept_ = wanted > 0 ? wanted - 1 : 0;  // one is in use, mostly
    while (spare_count_ > 0 && blocks_in_use_ + spare_count_ > wanted) delete take_spare();
  }
  /// How many elements there is room for without another allocation, those included that are queued.
  std::size_t capacity() const noexcept { return (blocks_in_use_ + spare_count_) * kSlots; }

  /// Destroys all elements and gives all memory back.
  void clear() noexcept {
    while (!empty()) pop_front();
    while (head_ != nullptr) delete std::exchange(head_, head_->next);
    forget_blocks();
    while (spares_ != nullptr) delete take_spare();
  }

  std::size_t spare_blocks() const noexcept { return spare_count_; }

  static constexpr std::uint32_t kSlots = 64;
  /// Blocks kept for good, unless `resize` says otherwise. With the one in use they hold 1024 elements, 64 KiB of
  /// tasks.
  static constexpr std::size_t kSparesKept = 15;

 private:
  struct Block {
    Block* next = nullptr;
    T* begin;
    T* end;
    // Not on cache lines of their own: aligned allocation costs a burst several times what it saves.
    alignas(T) std::byte storage[kSlots * sizeof(T)];
    T* first() noexcept { return reinterpret_cast<T*>(storage); }
  };

  void* free_slot() {
    if (back_ == back_limit_) [[unlikely]]
      append_block();
    return back_;
  }
  void append_block() {
    Block* const block = spares_ != nullptr ? take_spare() : new Block;  // default-initialised: slots stay untouched
    block->next = nullptr;
    ++blocks_in_use_;
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
    Block* const block = head_;
    head_ = block->next;
    front_ = head_->begin;
    front_limit_ = head_ == tail_ ? nullptr : head_->end;
    --blocks_in_use_;
    keep_spare(block);
  }
  void keep_spare(Block* block) noexcept {
    block->next = spares_;
    spares_ = block;
    ++spare_count_;
  }
  Block* take_spare() noexcept {
    Block* const block = spares_;
    spares_ = block->next;
    lowest_spare_count_ = std::min(lowest_spare_count_, --spare_count_);
    return block;
  }
  void forget_blocks() noexcept {
    head_ = tail_ = nullptr;
    front_ = front_limit_ = back_ = back_limit_ = nullptr;
    blocks_in_use_ = 0;
  }

  T* front_ = nullptr;
  T* front_limit_ = nullptr;  // where the first block's elements end; null while it is the last block, too
  T* back_ = nullptr;
  T* back_limit_ = nullptr;
  std::size_t size_ = 0;
  Block* head_ = nullptr;
  Block* tail_ = nullptr;
  Block* spares_ = nullptr;
  std::size_t blocks_in_use_ = 0;
  std::size_t spare_count_ = 0;
  std::size_t spares_kept_ = kSparesKept;
  std::size_t lowest_spare_count_ = 0;  // since the last trim
};

}  // namespace gyre::internal
