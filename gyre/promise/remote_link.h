#pragma once

#include <gyre/promise/promise_base.h>

namespace gyre::internal {

/// A promise that other threads may settle, as its domain sees it.
class RemoteLink : public Links {
 public:
  /// The loop has ended. On its thread; leaves the list.
  virtual void end() noexcept = 0;

 protected:
  ~RemoteLink() = default;
};

}  // namespace gyre::internal
