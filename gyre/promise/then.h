#pragma once

#include <functional>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#include <gyre/base/context.h>
#include <gyre/promise/promise.h>

// Included by promise.h: what `then`, `catch_` and `finally` make.

namespace gyre {

namespace internal {

template <typename F, typename Tuple>
struct IsApplicable : std::false_type {};
template <typename F, typename... Parts>
struct IsApplicable<F, std::tuple<Parts...>> : std::bool_constant<std::is_invocable_v<F&, const Parts&...>> {};

/// The type of a handler's one parameter, where it has just one form.
template <typename Signature>
struct Parameter {};
template <typename R, typename C, typename A>
struct Parameter<R (C::*)(A)> {
  using type = A;
};
template <typename R, typename C, typename A>
struct Parameter<R (C::*)(A) const> {
  using type = A;
};
template <typename R, typename C, typename A>
struct Parameter<R (C::*)(A) noexcept> {
  using type = A;
};
template <typename R, typename C, typename A>
struct Parameter<R (C::*)(A) const noexcept> {
  using type = A;
};
template <typename F>
concept TakesReference =
    requires { requires std::is_lvalue_reference_v<typename Parameter<decltype(&F::operator())>::type>; };

/// The handler looks at the value, or copies it. A container of what cannot be copied seems to be copyable until it is.
template <typename F, typename T>
concept TakesByReference =
    std::is_invocable_v<F&, const T&> && (kIsCopyable<T> || !std::is_copy_constructible_v<T> || TakesReference<F>);
template <typename F, typename T>
concept MayMove = TakesByReference<F, T> && !std::is_trivially_copyable_v<T> && std::is_invocable_v<F&, T&&> &&
                  std::is_same_v<std::invoke_result_t<F&, const T&>, std::invoke_result_t<F&, T&&>>;

template <typename T>
struct Call {
  /// Hands the value to the handler in the way that it asks for.
  template <typename F>
  static decltype(auto) with_value(F& f, PromiseState<T>& source) {
    if constexpr (MayMove<F, T>) {
      using R = std::invoke_result_t<F&, T&&>;
      if (source.is_unique()) return static_cast<R>(std::invoke(f, std::move(source.take())));
      return static_cast<R>(std::invoke(f, std::as_const(source.value())));
    } else if constexpr (TakesByReference<F, T>) {
      return std::invoke(f, std::as_const(source.value()));
    } else if constexpr (std::is_invocable_v<F&, T&&>) {
      return std::invoke(f, std::move(source.take()));
    } else if constexpr (IsApplicable<F, T>::value) {
      return std::apply(f, std::as_const(source.value()));
    } else {
      static_assert(std::is_invocable_v<F&>, "the handler cannot be called with the promise's value, nor with nothing");
      return std::invoke(f);
    }
  }
};
template <>
struct Call<void> {
  template <typename F>
  static decltype(auto) with_value(F& f, PromiseState<void>&) {
    static_assert(std::is_invocable_v<F&>, "a handler of a Promise<void> takes no arguments");
    return std::invoke(f);
  }
};

template <typename G>
decltype(auto) call_with_reason(G& g, const Reason& reason) {
  if constexpr (std::is_invocable_v<G&, const Reason&>) {
    return std::invoke(g, reason);
  } else if constexpr (std::is_invocable_v<G&, std::exception_ptr>) {
    return std::invoke(g, reason.exception() != nullptr ? reason.exception()
                                                        : std::make_exception_ptr(ErrorException(reason.error())));
  } else {
    static_assert(std::is_invocable_v<G&>, "a handler of rejections takes a Reason, an Error, or nothing");
    return std::invoke(g);
  }
}

/// A handler for reasons of one kind.
template <typename E, typename G>
struct CatchType {
  G handler;
  bool matches(const Reason& reason) const { return reason.as<E>() != nullptr; }
  decltype(auto) operator()(const Reason& reason) {
    if constexpr (std::is_invocable_v<G&, const E&>) {
      return std::invoke(handler, *reason.as<E>());
    } else {
      return std::invoke(handler);
    }
  }
};
template <typename G>
struct CatchCode {
  Errc code;
  G handler;
  bool matches(const Reason& reason) const { return reason.is(code); }
  decltype(auto) operator()(const Reason& reason) { return call_with_reason(handler, reason); }
};
template <typename G>
concept Selective = requires(const G& g, const Reason& reason) {
  { g.matches(reason) } -> std::same_as<bool>;
};

template <typename F>
constexpr bool kIsNull = std::is_same_v<F, std::nullptr_t>;

template <typename T, typename F, typename G>
struct ThenType {
  using type = unwrapped_t<decltype(Call<T>::with_value(std::declval<F&>(), std::declval<PromiseState<T>&>()))>;
};
template <typename T, typename G>
struct ThenType<T, std::nullptr_t, G> {
  using type = T;
};

template <typename F>
bool is_empty_handler(const F& f) {
  if constexpr (std::is_constructible_v<bool, const F&> && !kIsNull<F> &&
                (std::is_pointer_v<F> || requires { typename F::result_type; })) {
    return !static_cast<bool>(f);
  } else {
    return false;
  }
}

/// Two callables that end together, before the object that they are in.
template <typename F, typename G>
union Handlers {
  struct Pair {
    [[no_unique_address]] F on_fulfilled;
    [[no_unique_address]] G on_rejected;
  } pair;
  Handlers(F&& f, G&& g) : pair{std::move(f), std::move(g)} {}
  ~Handlers() {}
};

/// The promise that `then` returns, with the reaction that settles it in the same block.
template <typename T, typename U, typename F, typename G>
class ThenState final : public PromiseState<U>, private Reaction {
 public:
  static Promise<U> make(PromiseState<T>& source, F&& f, G&& g, const std::source_location& where) {
    PromiseDomain& domain = source.domain();
    domain.require_thread();
    auto* const state = make_in_block<ThenState>(domain, std::move(f), std::move(g));
    auto promise = PromiseAccess::adopt<U>(state);
    if (domain.follows_chains() && !state->joins_chain(source, where)) [[unlikely]]
      return promise;
    state->depend_on(source);
    if constexpr (kIsNull<G>) {
      state->was_reported_ = source.mark_passed_on();
    } else {
      source.mark_handled();
    }
    state->retain();
    source.add_reaction(*state);
    return promise;
  }

  ThenState(PromiseDomain& domain, F&& f, G&& g)
      : PromiseState<U>(domain), handlers_(std::move(f), std::move(g)), context_(Context::current()) {}
  ~ThenState() override {
    if (!done_) handlers_.pair.~Pair();
  }

 private:
  void run(PromiseBase& base) override {
    const Finish finish{*this};
    auto& source = static_cast<PromiseState<T>&>(base);
    if (context_) [[unlikely]] {
      const ContextScope scope(std::move(context_));
      react(source);
    } else {
      react(source);
    }
  }
  void refuse(PromiseBase& base) noexcept override {
    const Finish finish{*this};
    auto& source = static_cast<PromiseState<T>&>(base);
    if (source.status() == PromiseStatus::fulfilled ? kIsNull<F> : kIsNull<G>) {
      pass_on(source);
    } else {
      // The end of the loop is nobody's mistake.
      this->mark_handled();
      this->reject(Error(Errc::terminated, "the loop has ended before the promise's handler could run"));
    }
  }
  void abandon() noexcept override {
    const Finish finish{*this};
    if (!this->is_unique()) {
      this->reject(Error(Errc::broken, "the promise was abandoned: the one that it depends on has gone"));
    }
  }

  void react(PromiseState<T>& source) {
    if (source.status() == PromiseStatus::fulfilled) {
      if constexpr (kIsNull<F>) {
        pass_on(source);
      } else {
        resolve_with_call(*static_cast<PromiseState<U>*>(this),
                          [&]() -> decltype(auto) { return Call<T>::with_value(handlers_.pair.on_fulfilled, source); });
      }
    } else if constexpr (kIsNull<G>) {
      pass_on(source);
    } else {
      const Reason reason = source.reason();
      if constexpr (Selective<G>) {
        if (!handlers_.pair.on_rejected.matches(reason)) {
          pass_on(source);
          return;
        }
      }
      resolve_with_call(*static_cast<PromiseState<U>*>(this),
                        [&]() -> decltype(auto) { return call_with_reason(handlers_.pair.on_rejected, reason); });
    }
  }
  void pass_on(PromiseState<T>& source) noexcept {
    if constexpr (std::is_same_v<T, U>) {
      this->settle_as(source, was_reported_);
    } else {
      this->reject_as(source, was_reported_);
    }
  }

  /// At the end of the reaction its handlers go, and its hold on the state.
  struct Finish {
    ThenState& state;
    ~Finish() {
      state.done_ = true;
      state.handlers_.pair.~Pair();
      state.release();
    }
  };

  using Pair = typename Handlers<F, G>::Pair;

  void destroy() noexcept override { destroy_in_block(this); }

  bool done_ = false;
  bool was_reported_ = false;  // the source's rejection, before this reaction was there
  [[no_unique_address]] Handlers<F, G> handlers_;
  Context context_;
};

/// The promise that `finally` returns. ECMAScript makes several promises on the way; this counts their microtasks.
template <typename T, typename F>
class FinallyState final : public PromiseState<T>, private Reaction {
 public:
  static Promise<T> make(PromiseState<T>& source, F&& f, const std::source_location& where) {
    PromiseDomain& domain = source.domain();
    domain.require_thread();
    auto* const state = make_in_block<FinallyState>(domain, std::move(f));
    auto promise = PromiseAccess::adopt<T>(state);
    if (domain.follows_chains() && !state->joins_chain(source, where)) [[unlikely]]
      return promise;
    state->depend_on(source);
    state->was_reported_ = source.mark_passed_on();
    state->retain();
    source.add_reaction(*state);
    return promise;
  }

  FinallyState(PromiseDomain& domain, F&& f)
      : PromiseState<T>(domain), f_(std::move(f)), context_(Context::current()) {}

 private:
  using Settled = PromiseState<T>;

  void run(PromiseBase& base) override {
    auto& source = static_cast<Settled&>(base);
    struct Release {
      FinallyState& state;
      ~Release() { state.release(); }
    } const release{*this};
    const ContextScope scope(context_ ? std::move(context_) : Context::current());
    Promise<void> cleanup;
    try {
      cleanup = call();
    } catch (...) {
      if (std::current_exception() == nullptr) {
        this->reject(Error(Errc::broken, "the thread ended in the handler"));
        throw;
      }
      f_.reset();
      this->reject(Reason::current());
      return;
    }
    f_.reset();
    // then(() => value) on what the callback returned, and that promise followed.
    const StatePtr<Settled> kept(source);
    const bool was_reported = was_reported_;
    auto after = ThenState<void, Pass, ValueThunk, std::nullptr_t>::make(PromiseAccess::state(cleanup), ValueThunk(),
                                                                         nullptr, std::source_location::current());
    AfterCleanup::follow(*this, kept, was_reported, PromiseAccess::state(after));
  }

  /// Nothing but the fact that the cleaning up has succeeded.
  struct Pass {};
  struct ValueThunk {
    Pass operator()() const { return {}; }
  };

  /// Follows the cleaning up, and then settles as the source was settled.
  class AfterCleanup final : public Reaction {
   public:
    static void follow(FinallyState& target, StatePtr<Settled> source, bool was_reported, PromiseState<Pass>& cleanup) {
      if (auto refusal = target.refuses_to_wait_for(cleanup)) [[unlikely]] {
        cleanup.mark_handled();
        target.reject(*std::move(refusal));
        return;
      }
      target.bind_to(cleanup);
      cleanup.mark_handled();
      target.retain();
      cleanup.domain().enqueue(*make_in_block<AfterCleanup>(target, std::move(source), was_reported), cleanup);
    }
    AfterCleanup(FinallyState& target, StatePtr<Settled> source, bool was_reported)
        : target_(&target), source_(std::move(source)), was_reported_(was_reported) {}

    void run(PromiseBase& cleanup) override {
      if (std::exchange(looked_, true)) {
        settle(cleanup);
      } else {
        cleanup.add_reaction(*this);
      }
    }
    void refuse(PromiseBase& cleanup) noexcept override {
      if (cleanup.is_pending()) {
        looked_ = true;
        cleanup.add_reaction(*this);
      } else {
        settle(cleanup);
      }
    }
    void abandon() noexcept override {
      if (target_->is_pending()) {
        target_->reject(Error(Errc::broken, "the promise was abandoned: the one that finally waited for has gone"));
      }
      finish();
    }

   private:
    void settle(PromiseBase& cleanup) noexcept {
      if (!target_->is_pending()) {  // the end of the loop has rejected it
      } else if (cleanup.status() == PromiseStatus::rejected) {
        target_->reject_as(cleanup, false);
      } else {
        // The reference that this holds is not another reader's.
        PromiseState<T>* const source = source_.detach();
        target_->settle_as(*source, was_reported_);
        source->release();
      }
      finish();
    }
    void finish() noexcept {
      FinallyState* const target = target_;
      destroy_in_block(this);
      target->release();
    }

    FinallyState* const target_;
    StatePtr<Settled> source_;
    const bool was_reported_;
    bool looked_ = false;
  };

  Promise<void> call() {
    using R = std::invoke_result_t<F&>;
    if constexpr (IsPromise<std::remove_cvref_t<R>>::value) {
      if constexpr (std::is_same_v<std::remove_cvref_t<R>, Promise<void>>) {
        return std::invoke(*f_);
      } else {
        // Its value does not matter. An immediate step, so that no microtask is added.
        auto [done, resolver] = Promise<void>::with_resolver(PromiseHome(*this));
        auto returned = std::invoke(*f_);
        Forget<typename std::remove_cvref_t<R>::value_type>::connect(PromiseAccess::state(returned),
                                                                     PromiseAccess::state(done));
        return done;
      }
    } else if constexpr (IsResult<std::remove_cvref_t<R>>::value) {
      auto result = std::invoke(*f_);
      if (!result) return Promise<void>::rejected(PromiseHome(*this), std::move(result).error());
      return Promise<void>::resolved(PromiseHome(*this));
    } else {
      std::invoke(*f_);
      return Promise<void>::resolved(PromiseHome(*this));
    }
  }

  template <typename V>
  class Forget final : public Reaction {
   public:
    static void connect(PromiseState<V>& source, PromiseState<void>& target) {
      source.mark_handled();
      target.bind_to(source);
      target.retain();
      source.add_reaction(*make_in_block<Forget>(target));
    }
    explicit Forget(PromiseState<void>& target) : Reaction(true), target_(&target) {}
    void run(PromiseBase& source) override {
      if (!target_->is_pending()) {
      } else if (source.status() == PromiseStatus::rejected) {
        target_->reject_as(source, false);
      } else {
        target_->fulfil();
      }
      finish();
    }
    void refuse(PromiseBase& source) noexcept override { run(source); }
    void abandon() noexcept override {
      if (target_->is_pending()) {
        target_->reject(Error(Errc::broken, "the promise that finally waited for was abandoned"));
      }
      finish();
    }

   private:
    void finish() noexcept {
      PromiseState<void>* const target = target_;
      destroy_in_block(this);
      target->release();
    }
    PromiseState<void>* const target_;
  };

  void refuse(PromiseBase& base) noexcept override {
    if (this->domain().options().run_finally_at_end) {
      try {
        std::invoke(*f_);
        this->settle_as(static_cast<Settled&>(base), was_reported_);
      } catch (...) {
        this->reject(Reason::current());
      }
    } else {
      this->mark_handled();
      this->reject(Error(Errc::terminated, "the loop has ended before the callback of finally could run"));
    }
    f_.reset();
    this->release();
  }
  void abandon() noexcept override {
    f_.reset();
    if (!this->is_unique()) {
      this->reject(Error(Errc::broken, "the promise was abandoned: the one that it depends on has gone"));
    }
    this->release();
  }
  void destroy() noexcept override { destroy_in_block(this); }

  std::optional<F> f_;
  Context context_;
  bool was_reported_ = false;
};

}  // namespace internal

template <typename T>
template <typename F, typename G>
auto Promise<T>::then(F on_fulfilled, G on_rejected, std::source_location where) const {
  using U = typename internal::ThenType<T, F, G>::type;
  if (internal::is_empty_handler(on_fulfilled) || internal::is_empty_handler(on_rejected)) {
    throw std::logic_error("gyre: an empty handler was given to a promise; nullptr passes the settlement on");
  }
  return internal::ThenState<T, U, F, G>::make(state(), std::move(on_fulfilled), std::move(on_rejected), where);
}
template <typename T>
template <typename G>
auto Promise<T>::catch_(G on_rejected, std::source_location where) const {
  return then(nullptr, std::move(on_rejected), where);
}
template <typename T>
template <typename E, typename G>
auto Promise<T>::catch_(G on_rejected, std::source_location where) const {
  return then(nullptr, internal::CatchType<E, G>{std::move(on_rejected)}, where);
}
template <typename T>
template <typename G>
auto Promise<T>::catch_(Errc code, G on_rejected, std::source_location where) const {
  return then(nullptr, internal::CatchCode<G>{code, std::move(on_rejected)}, where);
}
template <typename T>
template <typename F>
Promise<T> Promise<T>::finally(F f, std::source_location where) const {
  if constexpr (internal::kIsNull<F>) {
    return then(nullptr, nullptr, where);
  } else {
    if (internal::is_empty_handler(f)) throw std::logic_error("gyre: an empty callback was given to finally");
    return internal::FinallyState<T, F>::make(state(), std::move(f), where);
  }
}

}  // namespace gyre
