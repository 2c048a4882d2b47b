#pragma once

#include <thread>

namespace gyre::internal {

/// Tells the processor that the thread waits in a loop for another core.
inline void relax_cpu() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Whether there is any point in waiting actively: on one core, what is waited for cannot happen meanwhile.
inline bool may_spin() noexcept {
  return std::thread::hardware_concurrency() > 1;
}

}  // namespace gyre::internal
