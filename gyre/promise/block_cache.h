#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>

namespace gyre::internal {

// Memory for state blocks and coroutine frames. Each thread keeps what it has freed for the next block of that size, up
// to a bound, so that a steady load allocates nothing. A block may be freed on another thread.
//
// Blocks come in steps of 16 bytes up to 512. Larger ones are rare and go to the allocator.
inline constexpr std::size_t kBlockStep = 16;
inline constexpr std::size_t kBlockSizes = 32;

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kRecyclesBlocks = false;  // so that a use after the free is found
#elif defined(__has_feature)
inline constexpr bool kRecyclesBlocks = !__has_feature(address_sanitizer);
#else
inline constexpr bool kRecyclesBlocks = true;
#endif

struct FreeBlock {
  FreeBlock* next;
};
struct BlockCache {
  std::array<FreeBlock*, kBlockSizes> free;
  /// How many more of each size are kept; 0 until the thread has freed its first block, and once it ends.
  std::array<std::uint32_t, kBlockSizes> room;
};
inline constinit thread_local BlockCache block_cache{};

/// Where the cache has no room: keeps the block if it is the thread's first, else gives it back.
void free_block_slowly(void* block, std::size_t size_index) noexcept;

inline void* allocate_block(std::size_t bytes) {
  const std::size_t index = (bytes - 1) / kBlockStep;
  if (index >= kBlockSizes || !kRecyclesBlocks) return ::operator new(bytes);
  BlockCache& cache = block_cache;
  FreeBlock* const block = cache.free[index];
  if (block == nullptr) [[unlikely]]
    return ::operator new((index + 1) * kBlockStep);
  cache.free[index] = block->next;
  ++cache.room[index];
  return block;
}

inline void free_block(void* memory, std::size_t bytes) noexcept {
  const std::size_t index = (bytes - 1) / kBlockStep;
  if (index >= kBlockSizes || !kRecyclesBlocks) {
    ::operator delete(memory);
    return;
  }
  BlockCache& cache = block_cache;
  if (cache.room[index] == 0) [[unlikely]] {
    free_block_slowly(memory, index);
    return;
  }
  cache.free[index] = ::new (memory) FreeBlock{cache.free[index]};
  --cache.room[index];
}

}  // namespace gyre::internal
