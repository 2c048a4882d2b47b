#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace gyre::internal {

/// A pool of objects with stable addresses, named by small dense indices. Released objects are used again first, so a
/// steady load allocates nothing; `trim` gives back what it no longer needs. `T` resets itself; the pool neither
/// constructs nor destroys on acquire and release.
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
    fewest_free_ = std::min(fewest_free_, free_.size());
    return index;
  }
  void release(std::uint32_t index) noexcept { free_.push_back(index); }  // capacity was reserved in grow()

  T& operator[](std::uint32_t index) noexcept { return chunks_[index / kChunk][index % kChunk]; }
  /// Indices below this may be used; others were never handed out.
  std::uint32_t capacity() const noexcept { return static_cast<std::uint32_t>(chunks_.size() * kChunk); }
  std::size_t in_use() const noexcept { return capacity() - free_.size(); }

  /// Gives chunks at the end back if none of their objects is in use and the rest has been enough since the last call.
  /// `capacity` shrinks. True if it may have more to give next time.
  bool trim() {
    const std::size_t unneeded = std::exchange(fewest_free_, free_.size());
    std::size_t kept = chunks_.size() - std::min(chunks_.size(), unneeded / kChunk);
    kept = std::max<std::size_t>(kept, kChunksKept);
    if (kept < chunks_.size()) {
      std::vector<std::uint32_t> free_in_chunk(chunks_.size());
      for (const std::uint32_t index : free_) ++free_in_chunk[index / kChunk];
      std::size_t chunks = chunks_.size();
      while (chunks > kept && free_in_chunk[chunks - 1] == kChunk) --chunks;
      chunks_.resize(chunks);
      std::erase_if(free_, [this](std::uint32_t index) { return index >= capacity(); });
      free_.shrink_to_fit();
      free_.reserve(capacity());
      fewest_free_ = free_.size();
    }
    return has_excess();
  }
  bool has_excess() const noexcept {
    return chunks_.size() > kChunksKept && free_.size() >= chunks_.size() * kChunk / 2;
  }

 private:
  static constexpr std::size_t kChunksKept = 8;

  void grow() {
    const std::uint32_t first = capacity();
    free_.reserve(first + kChunk);
    chunks_.push_back(std::make_unique<T[]>(kChunk));
    for (std::uint32_t i = kChunk; i > 0; --i) free_.push_back(first + i - 1);  // low indices first
    fewest_free_ = 0;
  }

  std::vector<std::unique_ptr<T[]>> chunks_;
  std::vector<std::uint32_t> free_;
  std::size_t fewest_free_ = 0;  // since the last trim
};

}  // namespace gyre::internal
