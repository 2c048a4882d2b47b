#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <utility>

#include <gyre/promise/promise.h>

namespace gyre {

namespace internal {

/// Runs a function on a loop's thread when a stop is requested on whatever thread: at once if that is the loop's, as a
/// priority task otherwise. Belongs to the loop's thread; destroying it takes the function back.
class StopWatch {
 public:
  StopWatch(PromiseDomain& domain, const std::stop_token& token, UniqueFunction<void()> on_stop)
      : shared_(std::make_shared<Shared>(std::move(on_stop))) {
    if (token.stop_possible()) callback_.emplace(token, Notify{shared_, domain.remote()});
  }
  StopWatch(const StopWatch&) = delete;
  StopWatch& operator=(const StopWatch&) = delete;
  ~StopWatch() {
    callback_.reset();
    shared_->on_stop.reset();
  }

 private:
  struct Shared {
    explicit Shared(UniqueFunction<void()> f) : on_stop(std::move(f)) {}
    UniqueFunction<void()> on_stop;  // of the loop's thread
    void run() {
      if (auto f = std::move(on_stop)) f();
    }
  };
  struct Notify {
    std::shared_ptr<Shared> shared;
    Remote remote;
    void operator()() {
      const auto keep = shared;  // what it sets off may destroy this object
      if (remote.on_loop_thread()) {
        keep->run();
      } else {
        // A loop that ends rejects the promise in its own way.
        static_cast<void>(remote.post_priority([shared = shared] { shared->run(); }));
      }
    }
  };

  std::shared_ptr<Shared> shared_;
  std::optional<std::stop_callback<Notify>> callback_;
};

inline Error stopped() {
  return Error(Errc::cancelled, "stopped on request");
}

}  // namespace internal

/// Settled as `promise` is, unless `token` is stopped first: then rejected with `Errc::cancelled`. What the promise
/// stands for goes on; to end that is its owner's affair.
template <typename T>
Promise<T> unless_stopped(const Promise<T>& promise, std::stop_token token) {
  auto& source = internal::PromiseAccess::state(promise);
  auto [result, resolver] = Promise<T>::with_resolver(promise);
  if (token.stop_requested()) {
    source.mark_handled();
    resolver.reject(internal::stopped());
    return result;
  }
  auto watch = std::make_shared<internal::StopWatch>(source.domain(), token,
                                                     [resolver] { resolver.reject(internal::stopped()); });
  if constexpr (std::is_void_v<T>) {
    promise.then([watch, resolver] { resolver.resolve(); }, [watch, resolver](const Reason& r) { resolver.reject(r); });
  } else if constexpr (internal::kIsCopyable<T>) {
    promise.then([watch, resolver](const T& value) { resolver.resolve(value); },
                 [watch, resolver](const Reason& r) { resolver.reject(r); });
  } else {
    promise.then([watch, resolver](T&& value) { resolver.resolve(std::move(value)); },
                 [watch, resolver](const Reason& r) { resolver.reject(r); });
  }
  return result;
}

/// Requests a stop when the promise is settled either way: so that the losers of a race end.
template <typename T>
const Promise<T>& stop_after(const Promise<T>& promise, std::stop_source source) {
  promise.then([source](const auto&...) mutable { source.request_stop(); },
               [source](const Reason&) mutable { source.request_stop(); });
  return promise;
}

}  // namespace gyre
