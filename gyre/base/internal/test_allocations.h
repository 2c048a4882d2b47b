#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

#include <malloc.h>

// For tests: counts what the whole program allocates, and can make allocations fail. It replaces the global operators
// new and delete, so a program includes it in one of its files and no more.

namespace gyre::testing {

inline std::atomic<std::size_t> allocations = 0;
inline std::atomic<std::size_t> bytes_in_use = 0;
/// Of this thread: the allocation that many from now fails. Zero: none does.
inline thread_local std::size_t allocations_until_failure = 0;

inline void* allocate(std::size_t size, std::size_t alignment = alignof(std::max_align_t)) {
  if (allocations_until_failure > 0 && --allocations_until_failure == 0) throw std::bad_alloc();
  void* const memory = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  allocations.fetch_add(1, std::memory_order_relaxed);
  bytes_in_use.fetch_add(malloc_usable_size(memory), std::memory_order_relaxed);
  return memory;
}
inline void release(void* memory) noexcept {
  if (memory != nullptr) bytes_in_use.fetch_sub(malloc_usable_size(memory), std::memory_order_relaxed);
  std::free(memory);
}

}  // namespace gyre::testing

void* operator new(std::size_t size) {
  return gyre::testing::allocate(size);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return gyre::testing::allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
  gyre::testing::release(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  gyre::testing::release(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  gyre::testing::release(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  gyre::testing::release(memory);
}
// Those of arrays as well: a sanitizer's do not call the ones above.
void* operator new[](std::size_t size) {
  return gyre::testing::allocate(size);
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return gyre::testing::allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete[](void* memory) noexcept {
  gyre::testing::release(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  gyre::testing::release(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  gyre::testing::release(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  gyre::testing::release(memory);
}
