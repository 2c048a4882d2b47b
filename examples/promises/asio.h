#pragma once

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/error_code.hpp>

#include <gyre/promise/promise.h>
#include <gyre/promise/remote_resolver.h>

// How promises meet Boost.Asio. The io_context may run on any thread: settlements cross by RemoteResolver one way and
// by asio::post the other.

namespace example {

/// A completion token: an asynchronous operation that is given `use_promise(loop)` returns a Promise of its result. An
/// error code rejects.
struct UsePromise {
  gyre::PromiseHome home;
};
inline UsePromise use_promise(gyre::PromiseHome home) {
  return {home};
}

/// A promise of this loop for what an Asio coroutine returns.
template <typename T, typename Executor>
gyre::Promise<T> from_awaitable(gyre::PromiseHome home, const Executor& executor, boost::asio::awaitable<T> coroutine) {
  auto [promise, resolver] = gyre::with_remote_resolver<T>(home);
  auto settle = [target = resolver](std::exception_ptr failure, auto... value) {
    if (failure != nullptr) {
      target.reject(failure);
    } else {
      target.resolve(std::move(value)...);
    }
  };
  boost::asio::co_spawn(executor, std::move(coroutine), std::move(settle));
  return promise;
}

/// The other way: an asynchronous operation that completes as the promise is settled, with `(std::exception_ptr, T)`.
/// To be started on the loop's thread; it completes on `executor`.
template <typename T, typename Executor, typename CompletionToken>
auto async_wait(const gyre::Promise<T>& promise, const Executor& executor, CompletionToken&& token) {
  return boost::asio::async_initiate<CompletionToken, void(std::exception_ptr, T)>(
      [executor](auto handler, const gyre::Promise<T>& source) {
        // The loop's side keeps the executor busy until the promise is settled.
        auto work = std::make_shared<boost::asio::executor_work_guard<Executor>>(executor);
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        const auto complete = [executor, work, shared](std::exception_ptr failure, T value) {
          boost::asio::post(executor, [shared, failure, value = std::move(value)]() mutable {
            std::move (*shared)(failure, std::move(value));
          });
        };
        source.then([complete](const T& value) { complete(nullptr, value); },
                    [complete](std::exception_ptr failure) { complete(failure, T()); });
      },
      token, promise);
}

}  // namespace example

/// What the token makes of operations that complete with an error code and a value.
template <typename T>
class boost::asio::async_result<example::UsePromise, void(boost::system::error_code, T)> {
 public:
  using return_type = gyre::Promise<T>;

  template <typename Initiation, typename... Args>
  static return_type initiate(Initiation&& initiation, const example::UsePromise& token, Args&&... args) {
    auto [promise, resolver] = gyre::with_remote_resolver<T>(token.home);
    std::forward<Initiation>(initiation)(
        [target = resolver](boost::system::error_code error, T value) {
          if (error) {
            target.reject(gyre::Error(static_cast<std::error_code>(error), error.message()));
          } else {
            target.resolve(std::move(value));
          }
        },
        std::forward<Args>(args)...);
    return promise;
  }
};

/// And of those that complete with an error code alone.
template <>
class boost::asio::async_result<example::UsePromise, void(boost::system::error_code)> {
 public:
  using return_type = gyre::Promise<void>;

  template <typename Initiation, typename... Args>
  static return_type initiate(Initiation&& initiation, const example::UsePromise& token, Args&&... args) {
    auto [promise, resolver] = gyre::with_remote_resolver<void>(token.home);
    std::forward<Initiation>(initiation)(
        [target = resolver](boost::system::error_code error) {
          if (error) {
            target.reject(gyre::Error(static_cast<std::error_code>(error), error.message()));
          } else {
            target.resolve();
          }
        },
        std::forward<Args>(args)...);
    return promise;
  }
};
