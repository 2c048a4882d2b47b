#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <utility>

#include <gyre/base/task.h>
#include <gyre/loop/loop.h>
#include <gyre/promise/combinators.h>
#include <gyre/promise/promise.h>
#include <gyre/promise/stop.h>

namespace gyre {

namespace internal {
class AbortState;
}

/// A handler of `AbortSignal::on_abort`; destroying it takes the handler back. When that returns, the handler is not
/// running any more on another thread, and will not start.
class AbortRegistration {
 public:
  AbortRegistration() = default;
  AbortRegistration(std::shared_ptr<internal::AbortState> state, std::uint64_t id)
      : state_(std::move(state)), id_(id) {}
  AbortRegistration(AbortRegistration&& other) noexcept
      : state_(std::move(other.state_)), id_(std::exchange(other.id_, 0)) {}
  AbortRegistration& operator=(AbortRegistration&& other) noexcept {
    if (this != &other) {
      remove();
      state_ = std::move(other.state_);
      id_ = std::exchange(other.id_, 0);
    }
    return *this;
  }
  ~AbortRegistration() { remove(); }

  void remove() noexcept;
  /// Leaves the handler in place for as long as the signal lives.
  void release() noexcept { state_ = nullptr; }

 private:
  std::shared_ptr<internal::AbortState> state_;
  std::uint64_t id_ = 0;
};

/// Says whether, and why, work should end. Copies see the same state. Safe on every thread. As in the DOM Standard,
/// section 3.2, with reasons that are `Reason`s.
class AbortSignal {
 public:
  /// A signal that is never aborted.
  AbortSignal();

  bool aborted() const noexcept;
  /// Empty unless aborted. Always the same one.
  std::optional<Reason> reason() const;
  /// Throws the reason, if aborted.
  void throw_if_aborted() const;
  /// Has `handler(reason)` called once, on the thread that aborts, in the order of registration; a handler that is
  /// added by a handler comes last. All are called, even if some throw. On a signal that is aborted, called at once, on
  /// this thread; what it throws then leaves this call. An empty handler is ignored.
  [[nodiscard]] AbortRegistration on_abort(UniqueFunction<void(const Reason& reason)> handler) const;
  /// Stopped before the handlers are called.
  std::stop_token stop_token() const;
  /// Handlers that have not been called.
  std::size_t handler_count() const;

  /// Aborted when the first of the signals is, with its reason, before that one's handlers are called. Of none: never.
  static AbortSignal any(std::span<const AbortSignal> signals);
  static AbortSignal any(std::initializer_list<AbortSignal> signals) {
    return any(std::span<const AbortSignal>(signals.begin(), signals.size()));
  }
  /// Signals made by `any` that wait for this one.
  std::size_t dependent_count() const;

  /// The same signal, not an equal one.
  friend bool operator==(const AbortSignal&, const AbortSignal&) = default;

 private:
  friend class AbortController;
  explicit AbortSignal(std::shared_ptr<internal::AbortState> state) : state_(std::move(state)) {}

  std::shared_ptr<internal::AbortState> state_;
};

/// The right to abort a signal. Copies control the same one. Safe on every thread.
class AbortController {
 public:
  AbortController();
  /// Aborts when `token` is stopped.
  explicit AbortController(std::stop_token token);
  /// Aborts with `Errc::timed_out` after `delay`, by a timer that keeps the loop alive until then; aborting it first
  /// cancels the timer. On the loop's thread. If the loop ends first, the timer is gone, and the signal is not aborted
  /// by it. Throws `std::invalid_argument` for a negative delay. Errors: `terminated`, `timer_ids_exhausted`.
  static Result<AbortController> timeout(Loop& loop, Duration delay);

  const AbortSignal& signal() const noexcept { return signal_; }
  /// The first call counts. It calls the handlers, and then throws what the first failing one of them has thrown. Later
  /// calls return when the reason of the first is visible, without waiting for handlers.
  void abort(Reason reason) const;
  /// With an error of the code `Errc::cancelled`.
  void abort() const;

 private:
  AbortSignal signal_;
};

/// Settled as `promise` is, unless the signal is aborted first: then rejected with its reason.
template <typename T>
Promise<T> unless_aborted(const Promise<T>& promise, const AbortSignal& signal) {
  return unless_stopped(promise, signal.stop_token()).catch_(Errc::cancelled, [signal](const Reason& reason) {
    return Settled<T>(std::unexpect, signal.aborted() ? *signal.reason() : reason);
  });
}

}  // namespace gyre
