#pragma once

#include <exception>
#include <future>
#include <thread>
#include <type_traits>
#include <utility>

#include <gyre/promise/promise.h>
#include <gyre/promise/remote_resolver.h>
#include <gyre/promise/work.h>

// How promises and std::future meet. A std::future can only be waited for, so a thread has to: here one of the loop's
// pool. The other way, a reaction on the loop's thread fills a std::promise that any thread may wait for.

namespace example {

/// Settled as the future is. A thread of the loop's pool waits for it, so as many futures can be waited for at a time
/// as the pool has threads.
template <typename T>
gyre::Promise<T> from_future(gyre::PromiseHome home, std::future<T> future) {
  return gyre::offload(home, [future = std::move(future)]() mutable { return future.get(); });
}

/// Settled as the promise is; `broken_promise` if the loop ends before that. On the loop's thread.
template <typename T>
std::future<T> to_future(const gyre::Promise<T>& promise) {
  auto target = std::make_shared<std::promise<T>>();
  auto future = target->get_future();
  const auto reject = [target](std::exception_ptr reason) { target->set_exception(reason); };
  if constexpr (std::is_void_v<T>) {
    promise.then([target] { target->set_value(); }, reject);
  } else {
    promise.then([target](const T& value) { target->set_value(value); }, reject);
  }
  return future;
}

}  // namespace example
