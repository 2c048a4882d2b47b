#pragma once

#include <cstddef>
#include <span>

namespace gyre::js::internal {

/// The snapshot of a realm with the built-ins loaded, made when the library was built (snapshot_tool.cc). Empty in the
/// tool itself, and in builds without one (GYRE_JS_SNAPSHOT=OFF).
std::span<const std::byte> builtin_snapshot();

}  // namespace gyre::js::internal
