#pragma once

#include <cstdint>
#include <string_view>

namespace gyre {

/// Which interface of the operating system tells a loop what its descriptors are ready for. docs/platforms.md compares
/// them. One that the system lacks or forbids is replaced: `io_uring` by `epoll`, `epoll` by `poll`.
enum class PollerKind : std::uint8_t {
  automatic,  ///< What suits most programs on this system: `epoll` on Linux.
  epoll,      ///< Linux. Costs the same with ten watched descriptors as with ten thousand.
  io_uring,   ///< Linux 5.11 or newer, and a build with liburing. Changes of what is watched travel with the wait.
  poll,       ///< Everywhere (POSIX). No edges, no native handle, and each wait looks at every descriptor.
};

constexpr std::string_view to_string(PollerKind kind) {
  switch (kind) {
    case PollerKind::automatic:
      return "automatic";
    case PollerKind::epoll:
      return "epoll";
    case PollerKind::io_uring:
      return "io_uring";
    case PollerKind::poll:
      return "poll";
  }
  return "unknown";
}

}  // namespace gyre
