#pragma once

#include <gyre/loop/loop.h>

namespace gyre::internal {

/// The way from a loop to its machinery, for modules and tests that have to get at it.
struct LoopAccess {
  static LoopCore& core(Loop& loop) { return *loop.core_; }
};

}  // namespace gyre::internal
