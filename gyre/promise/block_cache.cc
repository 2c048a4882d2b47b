#include <utility>

#include <gyre/promise/block_cache.h>

namespace gyre::internal {
namespace {

// Of each size, a thread keeps as many free blocks as fit in this.
constexpr std::size_t kKeptBytes = 256 * 1024;

constinit thread_local bool opened = false;  // also once the thread ends: what its last destructors free is not kept

// Gives everything back when the thread ends.
struct Emptier {
  ~Emptier() {
    block_cache.room = {};
    for (FreeBlock*& head : block_cache.free) {
      while (head != nullptr) ::operator delete(std::exchange(head, head->next));
    }
  }
};
thread_local Emptier emptier;

}  // namespace

void free_block_slowly(void* memory, std::size_t size_index) noexcept {
  if (opened) {
    ::operator delete(memory);
    return;
  }
  opened = true;
  static_cast<void>(&emptier);  // has it made, so that it is destroyed with the thread
  for (std::size_t i = 0; i < kBlockSizes; ++i) {
    block_cache.room[i] = static_cast<std::uint32_t>(kKeptBytes / ((i + 1) * kBlockStep));
  }
  free_block(memory, (size_index + 1) * kBlockStep);
}

}  // namespace gyre::internal
