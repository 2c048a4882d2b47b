#pragma once

#include <cstdint>

namespace gyre {

/// What a descriptor is watched for, and what is reported of it. Combine with `|`.
///
/// `error` and `hangup` are always reported, asked for or not. Mapping on epoll: IN to read, OUT to write, ERR to
/// error, HUP and RDHUP to hangup.
enum class Readiness : std::uint8_t {
  none = 0,
  read = 1,
  write = 2,
  error = 4,
  hangup = 8,
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

}  // namespace gyre
