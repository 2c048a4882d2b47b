#pragma once

#include <coroutine>

#include <gyre/promise/promise_base.h>

namespace gyre::internal {

/// A coroutine whose promise belongs to a domain: what the domain and the awaiters need to know of it.
class CoroutineBase : public Links {
 public:
  /// The coroutine waits, and is not going on. Destroys it; its promise is rejected.
  void destroy_suspended(Reason reason) {
    if (!is_suspended) {  // it is on the stack below: it sees the end by itself
      unlink();
      return;
    }
    fail(std::move(reason));
    frame().destroy();
  }

  bool is_suspended = false;

 protected:
  CoroutineBase() = default;
  ~CoroutineBase() { unlink(); }

 private:
  virtual std::coroutine_handle<> frame() noexcept = 0;
  /// Rejects the coroutine's promise.
  virtual void fail(Reason reason) noexcept = 0;
};

}  // namespace gyre::internal
