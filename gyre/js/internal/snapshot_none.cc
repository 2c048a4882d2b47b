#include <gyre/js/internal/snapshot.h>

namespace gyre::js::internal {

std::span<const std::byte> builtin_snapshot() {
  return {};
}

}  // namespace gyre::js::internal
