#include <gyre/js/internal/snapshot.h>

// The bytes are put between these two by the assembler (snapshot.S.in).
extern "C" const std::byte gyre_snapshot_begin[];
extern "C" const std::byte gyre_snapshot_end[];

namespace gyre::js::internal {

std::span<const std::byte> builtin_snapshot() {
  return {gyre_snapshot_begin, gyre_snapshot_end};
}

}  // namespace gyre::js::internal
