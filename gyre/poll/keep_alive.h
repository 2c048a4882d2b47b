#pragma once

#include <memory>
#include <utility>

#include <gyre/loop/extension.h>

namespace gyre::poll::internal {

/// Keeps an object until the loop has destroyed the coroutines that refer to it.
class KeepAlive final : public LoopExtension {
 public:
  explicit KeepAlive(std::shared_ptr<void> object) : object_(std::move(object)) {}
  void on_terminated(LoopEnd) override {}

 private:
  const std::shared_ptr<void> object_;
};

}  // namespace gyre::poll::internal
