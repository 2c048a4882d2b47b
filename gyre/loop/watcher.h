#pragma once

#include <memory>

#include <gyre/base/error.h>
#include <gyre/loop/readiness.h>

namespace gyre {

namespace internal {
struct Registration;
}

/// Keeps a descriptor watched (`Loop::watch`); destroying it stops the watching. Belongs to the loop's thread. The
/// descriptor stays yours: the watcher does not close it.
class Watcher {
 public:
  Watcher() = default;
  explicit Watcher(std::shared_ptr<internal::Registration> registration) : registration_(std::move(registration)) {}
  Watcher(Watcher&&) noexcept = default;
  Watcher& operator=(Watcher&& other) noexcept;
  ~Watcher();

  /// Changes what is watched for. With `Readiness::none` the descriptor stays registered, and only errors and hang-ups
  /// are reported. Errors: `fd_not_registered` after `stop` or the loop's end, `terminated` while the loop is ending.
  Result<void> modify(Readiness interest);
  /// Stops watching. When it returns, the callback will not start again, not even for events already received.
  Result<void> stop();
  /// Whether the watcher keeps the loop alive; it does at first.
  void ref();
  void unref();

  /// False for one that is default-constructed, stopped, or left over from a loop that has ended.
  bool is_active() const noexcept;

 private:
  std::shared_ptr<internal::Registration> registration_;
};

}  // namespace gyre
