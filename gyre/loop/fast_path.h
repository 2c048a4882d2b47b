#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <gyre/base/clock.h>

namespace gyre {

/// Whether a loop may do without the kernel's poller. A loop on the fast path sleeps on a futex and is woken by one: no
/// descriptor is written or read, and between tasks the kernel is not asked for anything.
enum class FastPath : std::uint8_t {
  automatic,  ///< While no descriptor is watched.
  forced,     ///< Always; descriptors cannot be watched.
  disabled,   ///< Never.
};

/// Why a loop went over from one way of waiting to the other.
enum class FastPathReason : std::uint8_t {
  descriptor_watched,  ///< The first one.
  descriptors_gone,    ///< The last one.
  mode_set,            ///< By `set_fast_path`, or by the option at the start.
  ended,               ///< The loop has ended.
};

inline constexpr std::size_t kFastPathReasons = 4;

constexpr std::string_view to_string(FastPathReason reason) {
  constexpr std::string_view kNames[] = {"descriptor watched", "descriptors gone", "mode set", "ended"};
  const auto index = static_cast<std::size_t>(reason);
  return index < kFastPathReasons ? kNames[index] : "unknown";
}

struct FastPathChange {
  bool fast = false;  ///< On the fast path from now on.
  FastPathReason reason = FastPathReason::mode_set;
  std::uint64_t callbacks = 0;  ///< Run in the way that is left now, since it was taken.
  Duration time{};              ///< Spent in it.
};

/// How a loop has waited since it was first run.
struct FastPathStats {
  bool fast = true;                                         ///< On the fast path now.
  std::array<std::uint64_t, kFastPathReasons> entries{};    ///< To the fast path, by `FastPathReason`.
  std::array<std::uint64_t, kFastPathReasons> exits{};      ///< From it, by `FastPathReason`.
  std::uint64_t fast_callbacks = 0, polling_callbacks = 0;  ///< Run on either.
  Duration fast_time{}, polling_time{};                     ///< Spent on either, asleep or awake.
};

}  // namespace gyre
