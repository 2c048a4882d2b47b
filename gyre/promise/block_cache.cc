#include <array>
#include <cstdint>
#include <new>

#include <gyre/promise/promise_base.h>

namespace gyre::internal {
namespace {

// Blocks come in steps of 16 bytes up to 512. Larger ones are rare and go to the allocator.
constexpr std::size_t kStep = 16;
constexpr std::size_t kClasses = 32;
// Of each size, a thread keeps as many free blocks as fit in this.
constexpr std::size_t kKeptBytes = 256 * 1024;

constexpr std::size_t class_of(std::size_t bytes) {
  return (bytes - 1) / kStep;
}

constexpr std::array<std::uint32_t, kClasses> kKept = [] {
  std::array<std::uint32_t, kClasses> kept{};
  for (std::size_t i = 0; i < kClasses; ++i) kept[i] = static_cast<std::uint32_t>(kKeptBytes / ((i + 1) * kStep));
  return kept;
}();

struct FreeBlock {
  FreeBlock* next;
};

struct Cache {
  std::array<FreeBlock*, kClasses> free;
  std::array<std::uint32_t, kClasses> count;
  bool closed;  // the thread ends: whatever its last destructors free is not kept
};
constinit thread_local Cache cache{};

// Gives everything back when the thread ends.
struct Emptier {
  ~Emptier() {
    cache.closed = true;
    for (FreeBlock*& head : cache.free) {
      while (head != nullptr) ::operator delete(std::exchange(head, head->next));
    }
  }
};
thread_local Emptier emptier;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kRecycles = false;  // so that a use after the free is found
#elif defined(__has_feature)
constexpr bool kRecycles = !__has_feature(address_sanitizer);
#else
constexpr bool kRecycles = true;
#endif

}  // namespace

void* allocate_block(std::size_t bytes) {
  const std::size_t index = class_of(bytes);
  if (index >= kClasses || !kRecycles) [[unlikely]]
    return ::operator new(bytes);
  FreeBlock* const block = cache.free[index];
  if (block == nullptr) [[unlikely]]
    return ::operator new((index + 1) * kStep);
  cache.free[index] = block->next;
  --cache.count[index];
  return block;
}

void free_block(void* memory, std::size_t bytes) noexcept {
  const std::size_t index = class_of(bytes);
  if (index >= kClasses || !kRecycles || cache.count[index] >= kKept[index] || cache.closed) [[unlikely]] {
    ::operator delete(memory);
    return;
  }
  if (cache.count[index] == 0) static_cast<void>(&emptier);  // has it made, so that it is destroyed with the thread
  cache.free[index] = ::new (memory) FreeBlock{cache.free[index]};
  ++cache.count[index];
}

}  // namespace gyre::internal
