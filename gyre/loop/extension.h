#pragma once

#include <gyre/loop/binding.h>

namespace gyre {

/// What a library that builds on loops keeps with a loop; see `Loop::add_extension`.
class LoopExtension {
 public:
  virtual ~LoopExtension() = default;
  /// The loop has ended and accepts nothing any more; what is still queued will be destroyed. Called once, on the
  /// thread that ends the loop, which lets go of the extension afterwards.
  virtual void on_terminated(LoopEnd how) = 0;
};

}  // namespace gyre
