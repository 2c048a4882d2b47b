#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

#include <gyre/promise/promise.h>
#include <gyre/promise/stop.h>

namespace gyre {

namespace internal {

/// One wait for a descriptor: the watcher stops with the first event, or on request.
class ReadinessWait : public std::enable_shared_from_this<ReadinessWait> {
 public:
  static Promise<Readiness> start(PromiseHome home, int fd, Readiness interest, std::stop_token stop) {
    auto [promise, resolver] = Promise<Readiness>::with_resolver(home);
    if (home.domain().has_ended()) return promise;
    if (stop.stop_requested()) {
      resolver.reject(stopped());
      return promise;
    }
    const auto wait = std::make_shared<ReadinessWait>();
    wait->resolver_ = std::move(resolver);
    // The watcher's callback keeps the wait, which has the watcher, until one of the two ways to end it.
    auto watcher = home.loop().watch(fd, interest, [wait](Readiness ready) {
      wait->finish([ready](const Resolver<Readiness>& r) { r.resolve(ready); });
    });
    if (!watcher) {
      wait->resolver_.reject(std::move(watcher).error());
      return promise;
    }
    wait->watcher_ = *std::move(watcher);
    wait->stop_.emplace(home.domain(), stop, [wait = wait.get()] {
      wait->finish([](const Resolver<Readiness>& r) { r.reject(stopped()); });
    });
    return promise;
  }

 private:
  template <typename Settle>
  void finish(Settle settle) {
    const auto keep = this->shared_from_this();
    settle(resolver_);
    resolver_ = {};
    watcher_.stop();
    stop_.reset();
  }

  Resolver<Readiness> resolver_;
  Watcher watcher_;
  std::optional<StopWatch> stop_;
};

}  // namespace internal

/// Fulfilled when `fd` is ready for `interest`, or has an error or hang-up, with what it is ready for. Nobody else may
/// watch `fd` meanwhile. Rejected with `Errc::cancelled` on `stop`, and with the errors of `Loop::watch`.
inline Promise<Readiness> ready(PromiseHome home, int fd, Readiness interest, std::stop_token stop = {}) {
  return internal::ReadinessWait::start(home, fd, interest, std::move(stop));
}
inline Promise<Readiness> readable(PromiseHome home, int fd, std::stop_token stop = {}) {
  return ready(home, fd, Readiness::read, std::move(stop));
}
inline Promise<Readiness> writable(PromiseHome home, int fd, std::stop_token stop = {}) {
  return ready(home, fd, Readiness::write, std::move(stop));
}

/// Runs `f()` or `f(std::stop_token)` on a thread of the loop's pool; resolved with what it returns, rejected with what
/// it throws. The token is stopped when the loop is closed. Rejected with `Errc::backpressure` if the pool is full.
template <typename F>
auto offload(PromiseHome home, F f) {
  constexpr bool kTakesToken = std::is_invocable_v<F&, std::stop_token>;
  using Returned =
      typename std::conditional_t<kTakesToken, std::invoke_result<F&, std::stop_token>, std::invoke_result<F&>>::type;
  using T = internal::unwrapped_t<Returned>;
  static_assert(!internal::IsPromise<std::remove_cvref_t<Returned>>::value,
                "off-loaded work runs on another thread, where no promise of this loop can be made");
  auto [promise, resolver] = Promise<T>::with_resolver(home);
  if (home.domain().has_ended()) return promise;
  // The exception itself travels, not only its text.
  auto work = [f = std::move(f)](std::stop_token stop) mutable -> std::expected<T, Reason> {
    const auto call = [&]() -> decltype(auto) {
      if constexpr (kTakesToken) {
        return f(std::move(stop));
      } else {
        return f();
      }
    };
    try {
      if constexpr (std::is_void_v<Returned>) {
        call();
        return {};
      } else if constexpr (internal::IsResult<std::remove_cvref_t<Returned>>::value) {
        auto result = call();
        if (!result) return std::unexpected(Reason(std::move(result).error()));
        if constexpr (std::is_void_v<T>) {
          return {};
        } else {
          return *std::move(result);
        }
      } else {
        return call();
      }
    } catch (...) {
      internal::let_unwinding_pass();
      return std::unexpected(Reason::current());
    }
  };
  auto accepted = home.loop().offload(std::move(work), [resolver](Result<std::expected<T, Reason>> outcome) {
    if (!outcome) {
      resolver.reject(std::move(outcome).error());
    } else {
      resolver.resolve(*std::move(outcome));
    }
  });
  if (!accepted) resolver.reject(std::move(accepted).error());
  return promise;
}

}  // namespace gyre
