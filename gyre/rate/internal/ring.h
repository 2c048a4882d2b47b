#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace gyre::rate::internal {

/// A queue of numbers, oldest first, whose first 64 bytes are part of the object. Grows by doubling; capacities are
/// powers of two, and position i is at (head + i) modulo the capacity.
template <typename T>
class Ring {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  static constexpr std::uint32_t kInline = 64 / sizeof(T);

  Ring() noexcept = default;
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring() { release(); }

  std::uint32_t size() const noexcept { return size_; }
  std::uint32_t capacity() const noexcept { return capacity_; }
  /// Bytes beside the object itself.
  std::size_t heap_bytes() const noexcept { return capacity_ > kInline ? capacity_ * sizeof(T) : 0; }

  T& operator[](std::uint32_t index) noexcept { return data()[(head_ + index) & (capacity_ - 1)]; }
  const T& operator[](std::uint32_t index) const noexcept { return data()[(head_ + index) & (capacity_ - 1)]; }

  /// Makes room for `count` in all. Throws std::bad_alloc, and nothing has changed then.
  void reserve(std::uint32_t count) {
    if (count <= capacity_) return;
    const std::uint32_t capacity = std::bit_ceil(count);
    T* block = static_cast<T*>(::operator new(capacity * sizeof(T)));
    for (std::uint32_t i = 0; i < size_; ++i) block[i] = (*this)[i];
    const std::uint32_t size = size_;
    release();
    room_.block = block;
    capacity_ = capacity;
    head_ = 0;
    size_ = size;
  }

  void push_back(T value) {
    if (size_ == capacity_) reserve(capacity_ * 2);
    (*this)[size_] = value;
    ++size_;
  }

  /// Puts `value` before what is at `index`; what is on the shorter side of it moves by one.
  void insert(std::uint32_t index, T value) {
    if (index > size_) throw std::out_of_range("Ring::insert: beyond the end");
    if (size_ == capacity_) reserve(capacity_ * 2);
    if (index < size_ - index) {
      head_ = (head_ - 1) & (capacity_ - 1);
      ++size_;
      for (std::uint32_t i = 0; i < index; ++i) (*this)[i] = (*this)[i + 1];
    } else {
      ++size_;
      for (std::uint32_t i = size_ - 1; i > index; --i) (*this)[i] = (*this)[i - 1];
    }
    (*this)[index] = value;
  }

  void erase(std::uint32_t index) {
    if (index >= size_) throw std::out_of_range("Ring::erase: beyond the end");
    for (std::uint32_t i = index; i + 1 < size_; ++i) (*this)[i] = (*this)[i + 1];
    --size_;
  }

  void pop_front(std::uint32_t count) noexcept {
    head_ = (head_ + count) & (capacity_ - 1);
    size_ -= count;
  }
  void pop_back(std::uint32_t count) noexcept { size_ -= count; }
  void clear() noexcept { head_ = size_ = 0; }

  /// `count` times zero.
  void assign_zeros(std::uint32_t count) {
    clear();
    reserve(count);
    std::fill_n(data(), count, T{});
    size_ = count;
  }

  /// Empties it and gives its memory back.
  void release() noexcept {
    if (capacity_ > kInline) ::operator delete(room_.block);
    capacity_ = kInline;
    head_ = size_ = 0;
  }

  void swap(Ring& other) noexcept {
    std::swap(head_, other.head_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    std::swap(room_, other.room_);
  }

 private:
  union Room {
    T here[kInline] = {};
    T* block;
  };

  T* data() noexcept { return capacity_ > kInline ? room_.block : room_.here; }
  const T* data() const noexcept { return capacity_ > kInline ? room_.block : room_.here; }

  std::uint32_t head_ = 0;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = kInline;
  Room room_;
};

}  // namespace gyre::rate::internal
