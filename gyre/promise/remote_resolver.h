#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <gyre/loop/loop.h>
#include <gyre/promise/promise.h>
#include <gyre/promise/remote_link.h>

namespace gyre {

struct RemoteOptions {
  /// The loop is alive, and does not end for want of work, until the promise is settled.
  bool keeps_loop_alive = true;
};

namespace internal {

/// A promise and the threads that compete to settle it. All but `claimed` belongs to the loop's thread.
template <typename T>
class RemoteState final : public RemoteLink, public std::enable_shared_from_this<RemoteState<T>> {
 public:
  explicit RemoteState(PromiseDomain& domain) : remote(domain.remote()) {}

  void begin(Resolver<T> resolver, PromiseDomain& domain, bool keeps_loop_alive) {
    if (domain.has_ended()) return;
    resolver_ = std::move(resolver);
    domain_ = &domain;
    self_ = this->shared_from_this();
    domain.track(*this);
    if (keeps_loop_alive) hold_ = domain.loop()->hold();
  }
  /// On any thread, by whoever has set `claimed`. False if the loop does not take it any more.
  template <typename Settle>
  bool send(Settle settle) {
    auto task = [self = this->shared_from_this(), settle = std::move(settle)]() mutable {
      if (!self->resolver_) return;  // the loop has ended
      // Reactions run here and now: to those who look from outside, the settlement was published when it was sent.
      self->domain_->settle_in_place([&] { settle(self->resolver_); });
      self->end();
    };
    return remote.queue_microtask(std::move(task)).has_value();
  }
  void end() noexcept override {
    this->unlink();
    const auto keep = std::move(self_);
    const Resolver<T> resolver = std::move(resolver_);  // its promise is rejected by the end of the loop, if at all
    hold_.release();
  }

  std::atomic<bool> claimed{false};
  Remote remote;

 private:
  Resolver<T> resolver_;
  PromiseDomain* domain_ = nullptr;
  std::shared_ptr<RemoteState> self_;  // while it is in the domain's list
  Loop::Hold hold_;
};

/// What the copies of a `RemoteResolver` share.
template <typename T>
struct RemoteToken {
  std::shared_ptr<RemoteState<T>> state;

  explicit RemoteToken(std::shared_ptr<RemoteState<T>> given) : state(std::move(given)) {}
  RemoteToken(const RemoteToken&) = delete;
  RemoteToken& operator=(const RemoteToken&) = delete;
  ~RemoteToken() {
    if (!state->claimed.exchange(true)) {
      static_cast<void>(state->send([](const Resolver<T>& resolver) {
        resolver.reject(Error(Errc::broken, "the promise was abandoned: its last RemoteResolver has gone unused"));
      }));
    }
  }
};

}  // namespace internal

/// The right to settle a promise from any thread. Copyable, safe everywhere, valid for as long as you keep it. The
/// first settlement counts; its reactions run as one microtask, which comes before what the loop's thread queues later.
/// When the last copy goes unused, the promise is rejected with `Errc::broken`. See `with_remote_resolver`.
template <typename T = void>
class RemoteResolver {
 public:
  RemoteResolver() = default;
  /// Hands a resolver over to other threads. On the loop's thread.
  explicit RemoteResolver(Resolver<T> resolver, RemoteOptions options = {}) {
    internal::PromiseDomain& domain = resolver.domain();
    domain.require_thread();
    auto state = std::make_shared<internal::RemoteState<T>>(domain);
    state->begin(std::move(resolver), domain, options.keeps_loop_alive);
    token_ = std::make_shared<internal::RemoteToken<T>>(std::move(state));
  }

  /// With a value or a `Result`. True if this is the settlement that counts and the loop has taken it; it then reaches
  /// the promise, unless the loop is closed first.
  template <typename X = T>
    requires(!std::is_void_v<T> && (std::convertible_to<X &&, T> || internal::IsResult<std::remove_cvref_t<X>>::value))
  bool resolve(X&& object) const {
    if constexpr (internal::IsResult<std::remove_cvref_t<X>>::value && !std::same_as<std::remove_cvref_t<X>, T>) {
      return send([result = std::remove_cvref_t<X>(std::forward<X>(object))](const Resolver<T>& resolver) mutable {
        resolver.resolve(std::move(result));
      });
    } else {
      return send([value = T(std::forward<X>(object))](const Resolver<T>& resolver) mutable {
        resolver.resolve(std::move(value));
      });
    }
  }
  bool resolve() const
    requires std::is_void_v<T>
  {
    return send([](const Resolver<T>& resolver) { resolver.resolve(); });
  }
  bool reject(Reason reason) const {
    return send(
        [reason = std::move(reason)](const Resolver<T>& resolver) mutable { resolver.reject(std::move(reason)); });
  }
  bool reject(Errc code, std::string message) const { return reject(Reason(code, std::move(message))); }

  /// True once somebody has settled it.
  bool is_settled() const { return token_->state->claimed.load(); }
  explicit operator bool() const noexcept { return token_ != nullptr; }

 private:
  template <typename Settle>
  bool send(Settle settle) const {
    if (token_ == nullptr) throw std::logic_error("gyre: an empty resolver was used");
    internal::RemoteState<T>& state = *token_->state;
    if (state.claimed.exchange(true)) return false;
    return state.send(std::move(settle));
  }

  std::shared_ptr<internal::RemoteToken<T>> token_;
};

template <typename T>
struct PromiseWithRemoteResolver {
  Promise<T> promise;
  RemoteResolver<T> resolver;
};

/// A promise on this loop, and the right to settle it from any thread.
template <typename T = void>
PromiseWithRemoteResolver<T> with_remote_resolver(PromiseHome home, RemoteOptions options = {}) {
  auto [promise, resolver] = Promise<T>::with_resolver(home);
  return {std::move(promise), RemoteResolver<T>(std::move(resolver), options)};
}

namespace internal {

template <typename T>
class Forward final : public Reaction {
 public:
  explicit Forward(RemoteResolver<T> target) : Reaction(true), target_(std::move(target)) {}
  void run(PromiseBase& base) override {
    auto& source = static_cast<PromiseState<T>&>(base);
    if (source.status() == PromiseStatus::rejected) {
      target_.reject(source.reason());
    } else if constexpr (std::is_void_v<T>) {
      target_.resolve();
    } else if constexpr (kIsCopyable<T>) {
      target_.resolve(std::as_const(source.value()));
    } else {
      target_.resolve(std::move(source.take()));
    }
    destroy_in_block(this);
  }
  void refuse(PromiseBase& source) noexcept override { run(source); }
  void abandon() noexcept override { destroy_in_block(this); }

 private:
  RemoteResolver<T> target_;
};

}  // namespace internal

/// Hands the settlement of a promise over to a promise of another loop: within the call that settles the first, also
/// when its own loop has ended. The value is copied, or moved where it cannot be.
template <typename T>
void forward(const Promise<T>& promise, RemoteResolver<T> target) {
  auto& state = internal::PromiseAccess::state(promise);
  state.domain().require_thread();
  state.mark_handled();
  state.add_reaction(*internal::make_in_block<internal::Forward<T>>(std::move(target)));
}

}  // namespace gyre
