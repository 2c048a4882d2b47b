#pragma once

#include <cstddef>

namespace gyre {

/// Distance in bytes that keeps two variables from sharing a cache line, and from being fetched together: processors
/// with 64-byte lines prefetch them in pairs, and Apple's have lines of 128 bytes.
inline constexpr std::size_t kCacheLinePair = 128;

/// A value alone on its cache lines, for words that several threads write.
template <typename T>
struct alignas(kCacheLinePair) CacheAligned {
  T value{};
};

}  // namespace gyre
