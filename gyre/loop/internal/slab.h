#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace gyre::internal {

/// A pool of objects with stable addresses, named by small dense indices. Released objects are used again first, so a
/// steady load allocates nothing. `T` resets itself; the pool neither constructs nor destroys on acquire and release.
template <typename T>
class Slab {
 public:
  static constexpr std::uint32_t kChunk = 128;  // it grows by so many at a time

  /// True if the next `acquire` will allocate.
  bool is_full() const noexcept { return free_.empty(); }
  std::uint32_t acquire() {
    if (free_.empty()) [[unlikely]]
      grow();
    const std::uint32_t index = free_.back();
    free_.pop_back();
    return index;
  }
  void release(std::uint32_t index) noexcept { free_.push_back(index); }  // capacity was reserved in grow()

  T& operator[](std::uint32_t index) noexcept { return chunks_[index / kChunk][index % kChunk]; }
  /// Indices below this may be used; others were never handed out.
  std::uint32_t capacity() const noexcept { return static_cast<std::uint32_t>(chunks_.size() * kChunk); }
  std::size_t in_use() const noexcept { return capacity() - free_.size(); }

 private:
  void grow() {
    const std::uint32_t first = capacity();
    free_.reserve(first + kChunk);
    chunks_.push_back(std::make_unique<T[]>(kChunk));
    for (std::uint32_t i = kChunk; i > 0; --i) free_.push_back(first + i - 1);  // low indices first
  }

  std::vector<std::unique_ptr<T[]>> chunks_;
  std::vector<std::uint32_t> free_;
};

}  // namespace gyre::internal
