#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

#include <gyre/base/clock.h>
#include <gyre/promise/combinators.h>
#include <gyre/promise/promise.h>

namespace gyre {

namespace internal {

template <typename T>
class WaitState {
 public:
  explicit WaitState(Remote remote) : remote_(std::move(remote)) {}

  void publish(Settled<T> outcome) {
    {
      const std::lock_guard lock(mutex_);
      outcome_ = std::move(outcome);
    }
    settled_.notify_all();
  }
  Result<void> wait_until(std::optional<std::chrono::steady_clock::time_point> deadline, const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    const auto done = [this] { return outcome_.has_value(); };
    if (done()) return {};
    if (remote_.on_loop_thread()) {
      return std::unexpected(Error(std::make_error_code(std::errc::resource_deadlock_would_occur),
                                   "the loop's own thread would wait for its loop for ever; use then or co_await"));
    }
    const bool in_time = deadline ? settled_.wait_until(lock, stop, *deadline, done) : settled_.wait(lock, stop, done);
    if (in_time) return {};
    if (stop.stop_requested()) return fail(Errc::cancelled, "the wait for a promise was stopped on request");
    return fail(Errc::timed_out, "the promise was not settled in time");
  }
  const Settled<T>& outcome() const { return *outcome_; }
  bool is_settled() const {
    const std::lock_guard lock(mutex_);
    return outcome_.has_value();
  }

 private:
  const Remote remote_;
  mutable std::mutex mutex_;
  std::condition_variable_any settled_;
  std::optional<Settled<T>> outcome_;  // does not change once it is there
};

template <typename T>
class Publish final : public Reaction {
 public:
  explicit Publish(std::shared_ptr<WaitState<T>> target) : Reaction(true), target_(std::move(target)) {}
  void run(PromiseBase& base) override {
    auto& source = static_cast<PromiseState<T>&>(base);
    if (source.status() == PromiseStatus::rejected) {
      target_->publish(std::unexpected(source.reason()));
    } else if constexpr (std::is_void_v<T>) {
      target_->publish({});
    } else {
      target_->publish(source.value());
    }
    destroy_in_block(this);
  }
  void refuse(PromiseBase& source) noexcept override { run(source); }
  void abandon() noexcept override {
    target_->publish(std::unexpected(Reason(Errc::broken, "the promise that is waited for has gone")));
    destroy_in_block(this);
  }

 private:
  const std::shared_ptr<WaitState<T>> target_;
};

}  // namespace internal

/// A wait for a promise on other threads than its loop's. Made on the loop's thread; copyable; safe on every thread,
/// also after the loop has gone. Waiters are woken within the call that settles the promise, so that it does not matter
/// whether the loop runs. Waiting does not count as handling a rejection. Needs a value that can be copied.
template <typename T>
class BlockingWait {
 public:
  explicit BlockingWait(const Promise<T>& promise) {
    auto& state = internal::PromiseAccess::state(promise);
    state.domain().require_thread();
    state_ = std::make_shared<internal::WaitState<T>>(state.domain().remote());
    state.add_reaction(*internal::make_in_block<internal::Publish<T>>(state_));
  }

  bool is_settled() const { return state_->is_settled(); }
  /// Waits for the settlement: the value, or the rejection's error. Errors of the wait itself: `cancelled` if `stop` is
  /// requested; `std::errc::resource_deadlock_would_occur` at once, if this is the thread that runs the promise's loop
  /// and it is not settled yet.
  Result<T> wait(std::stop_token stop = {}) const { return wait_until(std::nullopt, stop); }
  /// Also `timed_out`.
  Result<T> wait_for(Duration time, std::stop_token stop = {}) const {
    return wait_until(saturating_add(std::chrono::steady_clock::now(), time), stop);
  }
  /// Like `wait`, but throws: the exception that the promise was rejected with, or an `ErrorException`.
  T get(std::stop_token stop = {}) const {
    if (auto waited = state_->wait_until(std::nullopt, stop); !waited) throw ErrorException(waited.error());
    const Settled<T>& outcome = state_->outcome();
    if (!outcome) outcome.error().rethrow();
    if constexpr (!std::is_void_v<T>) return *outcome;
  }
  /// Why it was rejected; empty if it is not settled, or fulfilled.
  std::optional<Reason> reason() const {
    if (!is_settled() || state_->outcome()) return std::nullopt;
    return state_->outcome().error();
  }

 private:
  Result<T> wait_until(std::optional<std::chrono::steady_clock::time_point> deadline,
                       const std::stop_token& stop) const {
    if (auto waited = state_->wait_until(deadline, stop); !waited) return std::unexpected(waited.error());
    const Settled<T>& outcome = state_->outcome();
    if (!outcome) return std::unexpected(outcome.error().error());
    if constexpr (std::is_void_v<T>) {
      return {};
    } else {
      return *outcome;
    }
  }

  std::shared_ptr<internal::WaitState<T>> state_;
};

}  // namespace gyre
