#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

#include <gyre/promise/promise.h>
#include <gyre/promise/stop.h>

namespace gyre {

/// Waits for a group of tasks. When one fails, the others are asked to stop, and the group fails with that reason once
/// all have ended: nothing goes on unseen after it.
///
/// Belongs to the loop's thread. A scope that is destroyed asks its tasks to stop.
///
/// ```
/// gyre::Promise<void> serve(gyre::Loop& loop) {
///   gyre::TaskScope scope(loop);
///   scope.spawn([](gyre::TaskScope& s) -> gyre::Promise<void> { co_await gyre::sleep_for(s, 1s, s.stop_token()); });
///   co_await scope.join();
/// }
/// ```
class TaskScope {
 public:
  /// Stopped together with `outer`.
  explicit TaskScope(PromiseHome home, std::stop_token outer = {}) : group_(std::make_shared<Group>(home)) {
    if (outer.stop_possible()) outer_.emplace(std::move(outer), RequestStop{group_->stop});
  }
  TaskScope(const TaskScope&) = delete;
  TaskScope& operator=(const TaskScope&) = delete;
  ~TaskScope() { request_stop(); }

  PromiseHome promise_home() const { return PromiseHome(*group_->domain); }
  operator PromiseHome() const { return promise_home(); }  // NOLINT(google-explicit-constructor)
  /// For the tasks: stopped when one of them fails, when the scope goes, and on request.
  std::stop_token stop_token() const { return group_->stop.get_token(); }
  void request_stop() { group_->stop.request_stop(); }

  /// Makes a promise part of the group.
  template <typename T>
  void add(const Promise<T>& promise) {
    group_->begin();
    promise.then([group = group_](const auto&...) { group->end(std::nullopt); },
                 [group = group_](const Reason& reason) { group->end(reason); });
  }
  /// Starts a task: calls `f(*this)` or `f()` at once, which returns a promise. The callable lives as long as its task,
  /// so that it may be a coroutine with captures. What it throws is the task's failure.
  template <typename F>
  void spawn(F f) {
    // On the heap: the frame of a lambda that is a coroutine refers to the lambda.
    auto callable = std::make_shared<F>(std::move(f));
    const auto call = [&] {
      if constexpr (std::is_invocable_v<F&, TaskScope&>) {
        return (*callable)(*this);
      } else {
        return (*callable)();
      }
    };
    add(try_(promise_home(), call).finally([callable] {}));
  }
  /// Tasks that have not ended.
  std::size_t size() const noexcept { return group_->running; }

  /// Fulfilled when all tasks, also those that are added meanwhile, have ended; rejected with the reason of the first
  /// that failed. Failures by `Errc::cancelled` after a stop are no failures.
  Promise<void> join() {
    if (!group_->joined) {
      auto [promise, resolver] = Promise<void>::with_resolver(promise_home());
      group_->joined = promise;
      group_->resolver = std::move(resolver);
      group_->settle_if_done();
    }
    return *group_->joined;
  }

 private:
  struct Group {
    explicit Group(PromiseHome home) : domain(home.domain()) {}
    void begin() { ++running; }
    void end(std::optional<Reason> failed) {
      --running;
      if (failed && !(stop.stop_requested() && failed->is(Errc::cancelled)) && !failure) failure = std::move(failed);
      if (failure) stop.request_stop();
      settle_if_done();
    }
    void settle_if_done() {
      if (running > 0 || !joined || resolver.is_settled()) return;
      if (failure) {
        resolver.reject(*failure);
      } else {
        resolver.resolve();
      }
    }

    const internal::StatePtr<internal::PromiseDomain> domain;
    std::stop_source stop;
    std::size_t running = 0;
    std::optional<Reason> failure;
    std::optional<Promise<void>> joined;
    Resolver<void> resolver;
  };
  struct RequestStop {
    std::stop_source stop;
    void operator()() { stop.request_stop(); }
  };

  std::shared_ptr<Group> group_;
  std::optional<std::stop_callback<RequestStop>> outer_;
};

}  // namespace gyre
