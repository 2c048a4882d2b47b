#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <utility>

#include <fmt/chrono.h>

#include <gyre/promise/promise.h>
#include <gyre/promise/stop.h>

namespace gyre {

namespace internal {

/// A timer that is cancelled with its last owner.
class OwnedTimer {
 public:
  OwnedTimer(PromiseDomain& domain, TimerId id) : domain_(domain), id_(id) {}
  OwnedTimer(const OwnedTimer&) = delete;
  OwnedTimer& operator=(const OwnedTimer&) = delete;
  ~OwnedTimer() { cancel(); }
  void cancel() {
    const TimerId id = std::exchange(id_, TimerId());
    if (id && domain_->loop() != nullptr) static_cast<void>(domain_->loop()->cancel(id));
  }

 private:
  const StatePtr<PromiseDomain> domain_;
  TimerId id_;
};

}  // namespace internal

/// Fulfilled `delay` after now, never earlier. Keeps the loop alive until then. Rejected with `Errc::cancelled` if
/// `stop` is requested first, with `Errc::terminated` if the loop ends first or has ended, or with why no timer could
/// be armed.
inline Promise<void> sleep_for(PromiseHome home, Duration delay, std::stop_token stop = {}) {
  auto [promise, resolver] = Promise<void>::with_resolver(home);
  if (home.domain().has_ended()) return promise;
  if (stop.stop_requested()) {
    resolver.reject(internal::stopped());
    return promise;
  }
  if (!stop.stop_possible()) {
    auto timer = home.loop().set_timeout(delay, [resolver] { resolver.resolve(); });
    if (!timer) resolver.reject(std::move(timer).error());
    return promise;
  }
  // The timer's callback keeps the watch, and the watch, once it is set off, the timer's id.
  auto id = std::make_shared<TimerId>();
  auto watch = std::make_shared<internal::StopWatch>(home.domain(), stop, [resolver, id, &domain = home.domain()] {
    resolver.reject(internal::stopped());
    if (domain.loop() != nullptr) static_cast<void>(domain.loop()->cancel(*id));
  });
  auto timer = home.loop().set_timeout(delay, [resolver, watch] { resolver.resolve(); });
  if (timer) {
    *id = *timer;
  } else {
    resolver.reject(std::move(timer).error());
  }
  return promise;
}

/// Fulfilled with `value` after `delay`; see `sleep_for`.
template <typename T>
Promise<std::decay_t<T>> delay(PromiseHome home, Duration time, T&& value) {
  return sleep_for(home, time).then([value = std::forward<T>(value)]() mutable { return std::move(value); });
}
inline Promise<void> delay(PromiseHome home, Duration time) {
  return sleep_for(home, time);
}

/// Rejected with `Errc::timed_out` after `delay`; its message says how long that was. Never fulfilled.
template <typename T = void>
Promise<T> timeout(PromiseHome home, Duration delay) {
  return sleep_for(home, delay).then([delay]() -> Result<T> {
    return fail(Errc::timed_out, "timeout after {}", std::chrono::duration_cast<std::chrono::milliseconds>(delay));
  });
}

/// Settled as `promise` is, unless `delay` passes first: then rejected with `Errc::timed_out`, and a stop is requested
/// of `source`, if one is given. The timer is cancelled as soon as the promise is settled: it does not hold up the
/// loop's end.
template <typename T>
Promise<T> with_timeout(const Promise<T>& promise, Duration delay,
                        std::stop_source source = std::stop_source(std::nostopstate)) {
  auto& domain = internal::PromiseAccess::state(promise).domain();
  auto [result, resolver] = Promise<T>::with_resolver(promise);
  if (domain.has_ended()) return result;
  auto armed = domain.loop()->set_timeout(delay, [resolver, source, delay]() mutable {
    resolver.reject(Error(Errc::timed_out, fmt::format("the promise was not settled within {}",
                                                       std::chrono::duration_cast<std::chrono::milliseconds>(delay))));
    source.request_stop();
  });
  if (!armed) {
    resolver.reject(std::move(armed).error());
    return result;
  }
  const auto timer = std::make_shared<internal::OwnedTimer>(domain, *armed);
  const auto reject = [timer, resolver](const Reason& reason) {
    timer->cancel();
    resolver.reject(reason);
  };
  if constexpr (std::is_void_v<T>) {
    promise.then(
        [timer, resolver] {
          timer->cancel();
          resolver.resolve();
        },
        reject);
  } else if constexpr (internal::kIsCopyable<T>) {
    promise.then(
        [timer, resolver](const T& value) {
          timer->cancel();
          resolver.resolve(value);
        },
        reject);
  } else {
    promise.then(
        [timer, resolver](T&& value) {
          timer->cancel();
          resolver.resolve(std::move(value));
        },
        reject);
  }
  return result;
}

}  // namespace gyre
