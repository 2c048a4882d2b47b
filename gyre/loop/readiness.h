#pragma once

#include <cstdint>

namespace gyre {

/// What a descriptor is watched for, and what is reported of it. Combine with `|`.
///
/// `read`, `write` and `priority` are asked for; `error` and `hangup` are always reported, asked for or not; `timeout`
/// is reported to watchers with a time-out. docs/platforms.md says what each is on each poller.
enum class Readiness : std::uint8_t {
  none = 0,
  read = 1,
  write = 2,
  error = 4,
  hangup = 8,
  priority = 16,  ///< Out-of-band data of TCP, a state change of a pseudo-terminal, or the like.
  timeout = 32,   ///< Nothing was ready for as long as the watcher's time-out. Comes alone.
};

constexpr Readiness operator|(Readiness a, Readiness b) {
  return static_cast<Readiness>(static_cast<std::uint8_t>(a) | static_cast<std::uint8_t>(b));
}
constexpr Readiness operator&(Readiness a, Readiness b) {
  return static_cast<Readiness>(static_cast<std::uint8_t>(a) & static_cast<std::uint8_t>(b));
}
/// True if any of the bits of `wanted` is set in `state`.
constexpr bool has(Readiness state, Readiness wanted) {
  return (state & wanted) != Readiness::none;
}

/// What can be asked for.
inline constexpr Readiness kAnyInterest = Readiness::read | Readiness::write | Readiness::priority;

/// When a condition is reported.
enum class Trigger : std::uint8_t {
  level,  ///< In every turn, for as long as it holds.
  edge,   ///< When it begins to hold, and when more of it comes. Read or write until EAGAIN before the next report.
};

}  // namespace gyre
