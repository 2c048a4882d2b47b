#pragma once

#include <concepts>
#include <exception>
#include <optional>
#include <source_location>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <gyre/promise/promise_state.h>
#include <gyre/promise/promises.h>
#include <gyre/promise/reason.h>
#include <gyre/promise/thenable.h>

namespace gyre {

template <typename T>
class Promise;
template <typename T>
class Resolver;
template <typename T>
class RemoteResolver;

namespace internal {

template <typename X>
struct IsPromise : std::false_type {};
template <typename T>
struct IsPromise<Promise<T>> : std::true_type {};
template <typename X>
struct IsResult : std::false_type {};
template <typename T>
struct IsResult<std::expected<T, Error>> : std::true_type {};
template <typename T>
struct IsResult<std::expected<T, Reason>> : std::true_type {};

template <typename R>
struct UnwrappedPlain {
  using type = R;
};
template <typename R>
  requires IsThenable<R>
struct UnwrappedPlain<R> {
  using type = typename Thenable<R>::value_type;
};
/// What a promise holds that is resolved with what a handler returned.
template <typename R>
struct Unwrapped : UnwrappedPlain<std::remove_cvref_t<R>> {};
template <typename T>
struct Unwrapped<Promise<T>> {
  using type = T;
};
template <typename T>
struct Unwrapped<std::expected<T, Error>> {
  using type = T;
};
template <typename T>
struct Unwrapped<std::expected<T, Reason>> {
  using type = T;
};
template <typename R>
using unwrapped_t = typename Unwrapped<std::conditional_t<std::is_void_v<R>, void, std::remove_cvref_t<R>>>::type;

struct PromiseAccess;

/// Resolves with whatever that is: a value, a result, a promise, a thenable. The state must not be claimed.
template <typename T, typename X>
void resolve_state(PromiseState<T>& state, X&& object);

/// Resolves with what the call returns, or rejects with what it throws.
template <typename T, typename Call>
void resolve_with_call(PromiseState<T>& state, Call&& call);

}  // namespace internal

/// The right to settle a promise. Copyable; belongs to the loop's thread (`RemoteResolver` is for others). The first
/// settlement counts, later ones are ignored. When the last resolver of a promise goes without having settled it, the
/// promise is rejected with `Errc::broken`.
template <typename T = void>
class Resolver {
 public:
  Resolver() = default;
  explicit Resolver(internal::PromiseState<T>& state) noexcept : state_(&state) { state.retain_resolver(); }
  Resolver(const Resolver& other) noexcept : state_(other.state_) {
    if (state_ != nullptr) state_->retain_resolver();
  }
  Resolver(Resolver&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  Resolver& operator=(Resolver other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~Resolver() {
    if (state_ != nullptr) state_->release_resolver();
  }

  /// Resolves: with a value, with a `Result`, which may reject, or with a promise or thenable, which is followed.
  template <typename X = T>
    requires(!std::is_void_v<T>)
  void resolve(X&& object) const {
    if (may_settle()) internal::resolve_state(*state_, std::forward<X>(object));
  }
  void resolve() const
    requires std::is_void_v<T>
  {
    if (may_settle()) state_->fulfil();
  }
  template <typename X>
    requires std::is_void_v<T>
  void resolve(X&& object) const {
    if (may_settle()) internal::resolve_state(*state_, std::forward<X>(object));
  }
  /// Rejects, with an `Error`, an exception or an exception pointer. A promise is not followed here.
  void reject(Reason reason) const {
    if (may_settle()) state_->reject(std::move(reason));
  }
  void reject(Errc code, std::string message) const { reject(Reason(code, std::move(message))); }
  /// Resolves with what the call returns, or rejects with what it throws.
  template <typename F>
  void resolve_with(F&& call) const {
    if (may_settle()) internal::resolve_with_call(*state_, std::forward<F>(call));
  }

  /// True once a settlement has counted.
  bool is_settled() const noexcept { return state_ == nullptr || state_->is_claimed(); }
  explicit operator bool() const noexcept { return state_ != nullptr; }
  /// For code that makes promises of its own on the same loop. Not empty.
  internal::PromiseDomain& domain() const noexcept { return state_->domain(); }

 private:
  friend struct internal::PromiseAccess;

  bool may_settle() const {
    if (state_ == nullptr) throw std::logic_error("gyre: an empty resolver was used");
    state_->domain().require_thread();
    return !state_->is_claimed();
  }

  internal::PromiseState<T>* state_ = nullptr;
};

template <typename T>
struct PromiseWithResolver {
  Promise<T> promise;
  Resolver<T> resolver;
};

/// A value that will be there later, or the reason why it will not. `T` may be any object type, also one that can only
/// be moved, or void.
///
/// Copying a promise copies a reference to the same state. It belongs to its loop's thread. Handlers run as microtasks
/// of the loop, never inside the call that registers or settles, in exactly the order that ECMAScript gives them.
///
/// A handler may return a value, nothing, a `Result` (an error rejects), or a promise or `Thenable` (it is followed);
/// what it throws rejects. It takes the value by `const T&` or `T`, or nothing; a `T` that cannot be copied is moved
/// into the one handler that takes it. The value of `Promise<std::tuple<...>>` may be taken apart into parameters. A
/// handler of rejections takes a `const Reason&`, a `const Error&`, a `std::exception_ptr`, or nothing.
///
/// A rejection that nobody handles is reported; see `PromiseOptions`. Handlers are called with the `Context` that was
/// current when they were registered.
///
/// ```
/// gyre::Promise<int> answer = fetch(loop).then([](const Page& page) { return parse(page); });
/// answer.then([](int n) { std::printf("%d\n", n); }).catch_([](const gyre::Error& error) { log(error); });
/// ```
template <typename T = void>
class Promise {
 public:
  using value_type = T;

  /// Names no promise; only to be assigned to.
  Promise() = default;

  // --- Making --------------------------------------------------------------------------------------------------

  /// Fulfilled with a `T` made from the arguments.
  template <typename... Args>
  static Promise resolved_in_place(PromiseHome home, Args&&... args) {
    Promise promise = make_pending(home);
    promise.state_->fulfil(std::forward<Args>(args)...);
    return promise;
  }
  /// Resolved with a value, a `Result`, or a promise: a `Promise<T>` of the same loop comes back as it is.
  template <typename X>
  static Promise resolved(PromiseHome home, X&& object, std::source_location where = std::source_location::current()) {
    if constexpr (std::same_as<std::remove_cvref_t<X>, Promise>) {
      return std::forward<X>(object);
    } else {
      Promise promise = make_pending(home, where);
      internal::resolve_state(*promise.state_, std::forward<X>(object));
      return promise;
    }
  }
  static Promise resolved(PromiseHome home)
    requires std::is_void_v<T>
  {
    return resolved_in_place(home);
  }
  static Promise rejected(PromiseHome home, Reason reason,
                          std::source_location where = std::source_location::current()) {
    Promise promise = make_pending(home, where);
    promise.state_->reject(std::move(reason));
    return promise;
  }
  /// A promise and the right to settle it. At the end of the loop it is rejected with `Errc::terminated` if nobody has.
  static PromiseWithResolver<T> with_resolver(PromiseHome home,
                                              std::source_location where = std::source_location::current()) {
    Promise promise = make_pending(home, where);
    promise.state_->reject_at_end();
    Resolver<T> resolver(*promise.state_);
    return {std::move(promise), std::move(resolver)};
  }
  /// Calls `executor(Resolver<T>)` at once; what it throws rejects. JavaScript's `new Promise(executor)`.
  template <typename F>
  static Promise make(PromiseHome home, F&& executor, std::source_location where = std::source_location::current()) {
    auto [promise, resolver] = with_resolver(home, where);
    try {
      std::forward<F>(executor)(Resolver<T>(resolver));
    } catch (...) {
      internal::let_unwinding_pass();
      resolver.reject(Reason::current());
    }
    return promise;
  }
  /// Calls `f()` at once, on this thread; resolved with what it returns, rejected with what it throws.
  template <typename F>
  static Promise try_(PromiseHome home, F&& f, std::source_location where = std::source_location::current()) {
    Promise promise = make_pending(home, where);
    internal::resolve_with_call(*promise.state_, std::forward<F>(f));
    return promise;
  }

  // --- Reacting ------------------------------------------------------------------------------------------------

  /// Calls `on_fulfilled(value)` or `on_rejected(reason)`; the promise returned is resolved with what that returns.
  /// Null in the place of a handler passes the settlement on.
  template <typename F, typename G = std::nullptr_t>
  auto then(F on_fulfilled, G on_rejected = nullptr,
            std::source_location where = std::source_location::current()) const;
  /// Calls `on_rejected(reason)` if this promise is rejected; a value is passed on.
  template <typename G>
  auto catch_(G on_rejected, std::source_location where = std::source_location::current()) const;
  /// The same for a reason that is an exception of type `E` (see `Reason::as`), which the handler takes by `const E&`.
  /// Other reasons are passed on.
  template <typename E, typename G>
  auto catch_(G on_rejected, std::source_location where = std::source_location::current()) const;
  /// The same for a reason with that code, its own or that of a cause.
  template <typename G>
  auto catch_(Errc code, G on_rejected, std::source_location where = std::source_location::current()) const;
  /// Calls `f()` either way and passes the settlement on, after a promise that `f` returned is fulfilled. If `f`
  /// throws, or its promise is rejected, that rejects instead.
  template <typename F>
  Promise finally(F f, std::source_location where = std::source_location::current()) const;

  /// Says that a rejection of this promise needs no handler.
  const Promise& ignore_rejection() const {
    state().mark_handled();
    return *this;
  }

  // --- Looking -------------------------------------------------------------------------------------------------

  PromiseStatus status() const { return state().status(); }
  bool is_pending() const { return status() == PromiseStatus::pending; }
  bool is_fulfilled() const { return status() == PromiseStatus::fulfilled; }
  bool is_rejected() const { return status() == PromiseStatus::rejected; }
  /// The value; null unless fulfilled, and once a value that cannot be copied was moved out.
  const T* value() const
    requires(!std::is_void_v<T>)
  {
    return state().has_value() ? &state().value() : nullptr;
  }
  /// Why it was rejected; empty unless it was. Looking does not count as handling.
  std::optional<Reason> reason() const {
    if (!is_rejected()) return std::nullopt;
    return state().reason();
  }
  /// The reason as an exception of type `E`, see `Reason::as`; null if it is none, or there is none.
  template <typename E>
  const E* reason_as() const {
    return is_rejected() ? state().reason().template as<E>() : nullptr;
  }
  /// Throws the reason, if there is one.
  void rethrow() const {
    if (is_rejected()) state().reason().rethrow();
  }

  explicit operator bool() const noexcept { return static_cast<bool>(state_); }
  /// The same promise, not an equal one.
  friend bool operator==(const Promise& a, const Promise& b) noexcept { return a.state_.get() == b.state_.get(); }
  operator PromiseHome() const { return PromiseHome(state()); }  // NOLINT(google-explicit-constructor)

 private:
  friend struct internal::PromiseAccess;
  using State = internal::PromiseState<T>;

  explicit Promise(internal::StatePtr<State> state) noexcept : state_(std::move(state)) {}
  static Promise make_pending(PromiseHome home) {
    return Promise(internal::StatePtr<State>::adopt(State::make(home.domain())));
  }
  static Promise make_pending(PromiseHome home, const std::source_location& where) {
    Promise promise = make_pending(home);
    if (home.domain().options().trace_depth > 0) [[unlikely]]
      promise.state_->set_origin(nullptr, where);
    return promise;
  }
  State& state() const {
    if (!state_) throw std::logic_error("gyre: an empty promise was used");
    return *state_;
  }

  internal::StatePtr<State> state_;
};

namespace internal {

struct PromiseAccess {
  template <typename T>
  static PromiseState<T>& state(const Promise<T>& promise) {
    return promise.state();
  }
  template <typename T>
  static PromiseState<T>* state(const Resolver<T>& resolver) noexcept {
    return resolver.state_;
  }
  template <typename T>
  static Promise<T> promise(StatePtr<PromiseState<T>> state) noexcept {
    return Promise<T>(std::move(state));
  }
  /// Takes over the reference.
  template <typename T>
  static Promise<T> adopt(PromiseState<T>* state) noexcept {
    return Promise<T>(StatePtr<PromiseState<T>>::adopt(state));
  }
};

/// Passes a settlement on within the call that settles.
template <typename T>
class Relay final : public Reaction {
 public:
  static void connect(PromiseState<T>& source, PromiseState<T>& target) {
    source.mark_handled();
    target.retain();
    source.add_reaction(*make_in_block<Relay>(target));
  }
  explicit Relay(PromiseState<T>& target) : Reaction(true), target_(&target) {}
  void run(PromiseBase& source) override {
    if (target_->is_pending()) target_->settle_as(static_cast<PromiseState<T>&>(source), false);
    finish();
  }
  void refuse(PromiseBase& source) noexcept override { run(source); }
  void abandon() noexcept override {
    if (target_->is_pending()) {
      target_->reject(Error(Errc::broken, "the promise was abandoned: the one that it followed has gone"));
    }
    finish();
  }

 private:
  void finish() noexcept {
    PromiseState<T>* const target = target_;
    destroy_in_block(this);
    target->release();
  }
  PromiseState<T>* const target_;
};

template <typename T, typename X>
void follow_thenable(PromiseState<T>& state, X object) {
  // Resolving functions of its own, as ECMAScript has it: earlier ones have no say any more.
  auto [inner, resolver] = Promise<T>::with_resolver(PromiseHome(state));
  Relay<T>::connect(PromiseAccess::state(inner), state);
  state.bind_to(PromiseAccess::state(inner));
  Loop* const loop = state.domain().loop();
  if (loop == nullptr) return;  // the resolver goes, and the promise is broken
  static_cast<void>(loop->queue_microtask([settle = std::move(resolver), object = std::move(object)]() mutable {
    try {
      Thenable<X>::then(std::move(object), settle);
    } catch (...) {
      let_unwinding_pass();
      settle.reject(Reason::current());
    }
  }));
}

template <typename T, typename X>
void resolve_state(PromiseState<T>& state, X&& object) {
  using Plain = std::remove_cvref_t<X>;
  if constexpr (std::same_as<Plain, T>) {
    state.fulfil(std::forward<X>(object));
  } else if constexpr (IsPromise<Plain>::value) {
    static_assert(std::same_as<Plain, Promise<T>>, "a promise can follow only promises of its own type");
    if (!object) {
      state.reject(Error(Errc::invalid_argument, "a promise was resolved with an empty promise"));
    } else {
      Follower<T>::follow(state, PromiseAccess::state(object));
    }
  } else if constexpr (IsResult<Plain>::value) {
    if (!object) {
      state.reject(std::forward<X>(object).error());
    } else if constexpr (std::is_void_v<T>) {
      state.fulfil();
    } else {
      state.fulfil(*std::forward<X>(object));
    }
  } else if constexpr (IsThenable<Plain>) {
    follow_thenable<T, Plain>(state, std::forward<X>(object));
  } else if constexpr (std::is_void_v<T>) {
    static_assert(!sizeof(Plain), "a Promise<void> cannot be resolved with a value");
  } else {
    state.fulfil(std::forward<X>(object));
  }
}

template <typename T, typename Call>
void resolve_with_call(PromiseState<T>& state, Call&& call) {
  // Separate from settling: once the call has bound or settled the state, nothing here throws.
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<Call>>) {
      std::forward<Call>(call)();
      if constexpr (std::is_void_v<T>) {
        state.fulfil();
      } else {
        static_assert(std::is_void_v<T>, "a handler that returns nothing cannot resolve a promise of a value");
      }
    } else {
      resolve_state(state, std::forward<Call>(call)());
    }
  } catch (...) {
    if (std::current_exception() == nullptr) {  // the thread is being cancelled, and goes on unwinding
      if (!state.is_claimed()) state.reject(Error(Errc::broken, "the thread ended in the handler"));
      throw;
    }
    state.reject(Reason::current());
  }
}

}  // namespace internal

/// Resolved with whatever `object` is: a promise of the same loop comes back as it is.
template <typename X>
auto resolve(PromiseHome home, X&& object, std::source_location where = std::source_location::current()) {
  return Promise<internal::unwrapped_t<X>>::resolved(home, std::forward<X>(object), where);
}
/// Calls `f()` at once, on this thread; resolved with what it returns, rejected with what it throws.
template <typename F>
auto try_(PromiseHome home, F&& f, std::source_location where = std::source_location::current()) {
  return Promise<internal::unwrapped_t<std::invoke_result_t<F>>>::try_(home, std::forward<F>(f), where);
}

}  // namespace gyre

// In this order: each uses the ones before.
// clang-format off
#include <gyre/promise/then.h>             // IWYU pragma: export
#include <gyre/promise/remote_resolver.h>  // IWYU pragma: export
#include <gyre/promise/coroutine.h>        // IWYU pragma: export
// clang-format on
