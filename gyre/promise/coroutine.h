#pragma once

#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <gyre/base/context.h>
#include <gyre/promise/coroutine_base.h>
#include <gyre/promise/promise.h>

// Included by promise.h: coroutines that return a Promise, and co_await on one.
//
// A coroutine starts at once, on the caller's stack, and goes on as a microtask each time that what it waits for is
// settled, exactly one microtask after that. What leaves it as an exception rejects its promise. Its promise needs a
// home, which is taken from the first parameter that has one: a `Loop&`, a `Promises`, a `PromiseHome`, another
// promise, or an object with a member function `promise_home()`, which may be the object whose member the coroutine is.
//
// When the loop ends, coroutines that wait are destroyed where they are, so that their locals' destructors run, and
// their promises are rejected with `Errc::terminated`. The same happens, with `Errc::broken`, when what a coroutine
// waits for can never be settled.

namespace gyre {

namespace internal {

template <typename P>
concept OwnCoroutine = std::derived_from<P, CoroutineBase>;

/// Waits for one promise. Lives in the frame of the coroutine that waits.
template <typename T>
class Awaiter final : private Reaction {
 public:
  /// `kept` where the awaiting expression has the promise to itself, so that the value may be moved out.
  Awaiter(PromiseState<T>& source, StatePtr<PromiseState<T>> kept) noexcept
      : source_(&source), kept_(std::move(kept)), context_(Context::current()) {}
  ~Awaiter() {
    if (waits_) source_->remove_reaction(*this);
  }

  bool await_ready() const noexcept { return false; }
  template <typename P>
  void await_suspend(std::coroutine_handle<P> frame) {
    const bool pending = source_->is_pending();
    if (pending) source_->domain().require_thread();
    if constexpr (OwnCoroutine<P>) {
      if (pending && source_->domain().follows_chains()) [[unlikely]]
        join_row(frame.promise().own_promise());
    }
    waits_ = pending;
    frame_ = frame;
    if constexpr (OwnCoroutine<P>) {
      coroutine_ = &frame.promise();
      coroutine_->is_suspended = true;
    }
    source_->mark_handled();
    // After the end of the loop, either destroys the frame, and with it this object.
    if (pending) {
      source_->add_reaction(*this);
    } else {
      source_->domain().enqueue(*this, *source_);
    }
  }
  T await_resume() {
    if (ended_) throw ErrorException(Error(Errc::terminated, "the loop has ended while a coroutine was waiting"));
    if (source_->status() == PromiseStatus::rejected) source_->reason().rethrow();
    if constexpr (!std::is_void_v<T>) {
      if constexpr (kIsCopyable<T>) {
        if (moves_ && source_->is_unique()) return std::move(source_->take());
        return source_->value();
      } else {
        return std::move(source_->take());
      }
    }
  }

 private:
  void run(PromiseBase&) override {
    waits_ = false;
    if (in_row_ != nullptr) [[unlikely]]
      in_row_->unbind();
    // The source is kept by the caller, until the coroutine has taken what it needs.
    moves_ = static_cast<bool>(kept_);
    kept_ = {};
    resume();
  }
  void refuse(PromiseBase&) noexcept override {
    end(Error(Errc::terminated, "the loop has ended while the coroutine was waiting"));
  }
  void abandon() noexcept override {
    end(Error(Errc::broken, "the coroutine was abandoned: the promise that it waited for has gone"));
  }

  void join_row(PromiseBase* own) {
    if (own == nullptr || source_->domain().options().depth_limit == 0) return;
    if (auto refusal = own->refuses_to_wait_for(*source_)) throw ErrorException(*std::move(refusal));
    own->depend_on(*source_);
    in_row_ = own;
  }
  void resume() {
    if (coroutine_ != nullptr) coroutine_->is_suspended = false;
    if (context_) [[unlikely]] {
      const ContextScope scope(context_);
      frame_.resume();
    } else {
      frame_.resume();
    }
  }
  void end(Error error) noexcept {
    waits_ = false;
    if (coroutine_ != nullptr) {
      coroutine_->destroy_suspended(std::move(error));
    } else {  // a coroutine of another library: it has its own way to end
      ended_ = true;
      resume();
    }
  }

  PromiseState<T>* const source_;
  StatePtr<PromiseState<T>> kept_;
  std::coroutine_handle<> frame_;
  CoroutineBase* coroutine_ = nullptr;
  PromiseBase* in_row_ = nullptr;  // the coroutine's own, while that is bound to the source
  Context context_;
  bool waits_ = false;
  bool moves_ = false;
  bool ended_ = false;
};

// --- The home of a coroutine's promise ---

template <typename X>
concept HasHome = requires(X& object) {
  { object.promise_home() } -> std::convertible_to<PromiseHome>;
};
template <typename X>
concept GivesHome = HasHome<X> || std::convertible_to<X&, PromiseHome>;

template <typename First, typename... Rest>
PromiseHome home_of(First& first, Rest&... rest) {
  if constexpr (HasHome<First>) {
    return first.promise_home();
  } else if constexpr (std::convertible_to<First&, PromiseHome>) {
    return first;
  } else {
    return home_of(rest...);
  }
}

/// A coroutine's promise, in the frame.
template <typename T>
class CoroutinePromiseBase : public CoroutineBase {
 public:
  template <typename... Args>
  explicit CoroutinePromiseBase(Args&... args) {
    static_assert(
        (GivesHome<Args> || ...),
        "a coroutine that returns a Promise needs a parameter that says where it lives: a Loop&, a Promises, a "
        "PromiseHome, another promise, or an object with promise_home()");
    PromiseDomain& domain = home_of(args...).domain();
    state_ = StatePtr<PromiseState<T>>::adopt(PromiseState<T>::make(domain));
    state_->reject_at_end();
    resolver_ = Resolver<T>(*state_);
    domain.track(*this);
  }

  Promise<T> get_return_object() noexcept { return PromiseAccess::promise(std::move(state_)); }
  std::suspend_never initial_suspend() const noexcept { return {}; }
  std::suspend_never final_suspend() const noexcept { return {}; }
  void unhandled_exception() {
    let_unwinding_pass();
    fail(Reason::current());
  }

  /// From here on the coroutine may be on any thread. On its loop's thread.
  void leave_home() {
    if (remote_) return;
    remote_.emplace(std::move(resolver_));
    unlink();
  }

  /// Null once the coroutine may be on another thread.
  PromiseBase* own_promise() noexcept { return remote_ ? nullptr : PromiseAccess::state(resolver_); }

  static void* operator new(std::size_t bytes) { return allocate_block(bytes); }
  static void operator delete(void* frame, std::size_t bytes) noexcept { free_block(frame, bytes); }

 protected:
  ~CoroutinePromiseBase() = default;

  template <typename X>
  void settle(X&& object) {
    if (remote_) [[unlikely]] {
      if constexpr (requires { remote_->resolve(std::forward<X>(object)); }) {
        remote_->resolve(std::forward<X>(object));
      } else {
        remote_->reject(Error(Errc::invalid_argument,
                              "a coroutine that has changed its thread can return a value, but not a promise"));
      }
    } else if (!resolver_.is_settled()) {
      resolver_.resolve(std::forward<X>(object));
    }
  }
  void settle() {
    if (remote_) [[unlikely]] {
      remote_->resolve();
    } else if (!resolver_.is_settled()) {
      resolver_.resolve();
    }
  }

 private:
  void fail(Reason reason) noexcept override {
    if (remote_) [[unlikely]] {
      remote_->reject(std::move(reason));
    } else if (!resolver_.is_settled()) {
      resolver_.reject(std::move(reason));
    }
  }

  StatePtr<PromiseState<T>> state_;
  Resolver<T> resolver_;
  std::optional<RemoteResolver<T>> remote_;
};

template <typename T>
class CoroutinePromise final : public CoroutinePromiseBase<T> {
 public:
  using CoroutinePromiseBase<T>::CoroutinePromiseBase;
  template <typename X = T>
  void return_value(X&& object) {
    this->settle(std::forward<X>(object));
  }

 private:
  std::coroutine_handle<> frame() noexcept override {
    return std::coroutine_handle<CoroutinePromise>::from_promise(*this);
  }
};
// Partial, although there is only one: RemoteResolver need not be complete yet.
template <typename T>
  requires std::is_void_v<T>
class CoroutinePromise<T> final : public CoroutinePromiseBase<T> {
 public:
  using CoroutinePromiseBase<T>::CoroutinePromiseBase;
  void return_void() { this->settle(); }

 private:
  std::coroutine_handle<> frame() noexcept override {
    return std::coroutine_handle<CoroutinePromise>::from_promise(*this);
  }
};

/// What a hop to another thread carries: the frame, which goes if nobody takes it out.
struct FrameTicket {
  std::coroutine_handle<> frame;
  explicit FrameTicket(std::coroutine_handle<> given) : frame(given) {}
  FrameTicket(const FrameTicket&) = delete;
  FrameTicket& operator=(const FrameTicket&) = delete;
  ~FrameTicket() {
    if (frame) frame.destroy();
  }
};

class Hop {
 public:
  explicit Hop(Remote remote) : remote_(std::move(remote)) {}

  bool await_ready() const noexcept { return false; }
  template <OwnCoroutine P>
  bool await_suspend(std::coroutine_handle<P> frame) {
    frame.promise().leave_home();
    const auto ticket = std::make_shared<FrameTicket>(frame);
    // Once it is posted, the coroutine may be running, or gone; the frame must not be touched any more.
    auto posted = Remote(remote_).post_completion([ticket] { std::exchange(ticket->frame, nullptr).resume(); });
    if (posted) return true;
    ticket->frame = nullptr;
    error_ = std::move(posted).error();
    return false;
  }
  void await_resume() const {
    if (error_) throw ErrorException(*error_);
  }

 private:
  Remote remote_;
  std::optional<Error> error_;
};

}  // namespace internal

/// Waits for the promise. Gives its value, moved where the expression has the promise to itself, or throws its reason.
template <typename T>
internal::Awaiter<T> operator co_await(const Promise<T>& promise) {
  return {internal::PromiseAccess::state(promise), {}};
}
template <typename T>
internal::Awaiter<T> operator co_await(Promise<T>&& promise) {
  auto& state = internal::PromiseAccess::state(promise);
  auto kept = internal::StatePtr<internal::PromiseState<T>>(state);
  promise = {};
  return {state, std::move(kept)};
}

/// `co_await resume_on(remote)`: the coroutine goes on as a task on that loop's thread. It is then free to use that
/// loop, must not touch what belongs to the first, and can go back with the first one's `Remote`. Its promise stays
/// where it was made, keeps that loop alive, and is settled there. Throws `Errc::terminated`, on the thread where it
/// was, if the loop accepts no tasks; destroyed if the loop is closed before the task's turn.
inline internal::Hop resume_on(Remote remote) {
  return internal::Hop(std::move(remote));
}

}  // namespace gyre

template <typename T, typename... Args>
struct std::coroutine_traits<gyre::Promise<T>, Args...> {
  using promise_type = gyre::internal::CoroutinePromise<T>;
};
