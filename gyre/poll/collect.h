#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <type_traits>
#include <utility>
#include <vector>

#include <gyre/base/clock.h>
#include <gyre/base/error.h>
#include <gyre/loop/loop.h>
#include <gyre/poll/channel.h>
#include <gyre/poll/time.h>
#include <gyre/promise/promise.h>

// Takes as many values from a channel as is sensible in one go: `collect` on a loop, `collect_blocking` on a thread.

namespace gyre::poll {

struct CollectOptions {
  static constexpr std::int64_t kOff = -1;

  /// Never take more; 0 means 16, negative no bound.
  std::int64_t max = 16;
  /// Wait for this many; 0 means 4, negative for none. Where it is greater than `max`, `max` counts.
  std::int64_t min = 4;
  /// Wait no longer than this for `min`, from the first value on; with `min` off, for the first value, from the call
  /// on. 0 means 50 ms, negative no limit.
  Duration partial_timeout = std::chrono::milliseconds(50);
};

/// Why a collection ended.
enum class CollectReason {
  max,            ///< It is full.
  min,            ///< There are enough, and no more right now.
  timeout,        ///< It had waited long enough for more.
  drained,        ///< Nothing was to be waited for, and there is no more right now.
  closed,         ///< The channel is closed, and everything was received.
  cancelled,      ///< On request.
  handler_error,  ///< The handler refused a value, which is gone; see `CollectResult::error`.
};

struct CollectResult {
  std::size_t count = 0;  ///< Values handed over, a refused one included.
  CollectReason reason = CollectReason::drained;
  std::optional<Error> error = {};  ///< With `handler_error` and `cancelled`.

  /// False if the channel has ended, on request, or if the handler failed.
  bool is_success() const noexcept { return reason < CollectReason::closed; }
};

namespace internal {

/// The options with defaults filled in, and what can be said of a collection without waiting.
struct CollectPlan {
  explicit CollectPlan(const CollectOptions& options) {
    constexpr auto kUnbounded = std::numeric_limits<std::size_t>::max();
    max = options.max < 0 ? kUnbounded : static_cast<std::size_t>(options.max == 0 ? 16 : options.max);
    min = options.min < 0 ? 0 : static_cast<std::size_t>(options.min == 0 ? 4 : options.min);
    has_timeout = options.partial_timeout >= Duration::zero();
    timeout = options.partial_timeout == Duration::zero() ? std::chrono::milliseconds(50) : options.partial_timeout;
  }
  bool starts_timer_at_once() const { return min == 0 && has_timeout; }
  bool waits(std::size_t count) const { return count < max && (count < min || (count == 0 && starts_timer_at_once())); }
  CollectReason reason(std::size_t count) const {
    if (count >= max) return CollectReason::max;
    return min > 0 ? CollectReason::min : CollectReason::drained;
  }

  std::size_t max;
  std::size_t min;
  bool has_timeout;
  Duration timeout;
};

/// What the two ways to hand values over have in common: `take` moves up to `most` values out of the channel and says
/// how many; it stops early after a failure.
template <typename T>
struct IntoVector {
  std::vector<T>& values;
  std::optional<Error> failure = {};

  std::size_t take(ChannelState<T>& channel, std::size_t most, const std::stop_token&) {
    return channel.try_receive(values, most);
  }
  void prepare(std::size_t max) {
    if (max < std::numeric_limits<std::size_t>::max()) values.reserve(values.size() + max);
  }
};

template <typename T, typename Handler>
struct IntoHandler {
  Handler handler;
  std::optional<Error> failure = {};

  std::size_t take(ChannelState<T>& channel, std::size_t most, const std::stop_token& stop) {
    std::size_t taken = 0;
    while (taken < most && !failure && !stop.stop_requested()) {
      auto value = channel.try_receive();
      if (!value) break;
      ++taken;
      if constexpr (std::is_void_v<std::invoke_result_t<Handler&, T>>) {
        handler(*std::move(value));
      } else {
        Result<void> handled = handler(*std::move(value));
        if (!handled) failure = std::move(handled).error();
      }
    }
    return taken;
  }
  void prepare(std::size_t) {}
};

inline CollectResult cancelled(std::size_t count) {
  return {count, CollectReason::cancelled, Error(Errc::cancelled, "the collection was stopped on request")};
}

/// Takes what there is. Says why the collection ends, or nothing if it has to wait.
template <typename T, typename Sink>
std::optional<CollectResult> collect_now(ChannelState<T>& channel, const CollectPlan& plan, Sink& sink,
                                         std::size_t& count, bool timer_has_expired, const std::stop_token& stop) {
  if (stop.stop_requested()) return cancelled(count);
  while (count < plan.max) {
    const std::size_t taken = sink.take(channel, plan.max - count, stop);
    count += taken;
    if (sink.failure) return CollectResult{count, CollectReason::handler_error, std::move(sink.failure)};
    if (stop.stop_requested()) return cancelled(count);
    if (taken == 0) break;
  }
  if (count >= plan.max) return CollectResult{count, CollectReason::max};
  if (channel.is_finished()) return CollectResult{count, CollectReason::closed};
  if (!plan.waits(count)) return CollectResult{count, plan.reason(count)};
  if (timer_has_expired) return CollectResult{count, CollectReason::timeout};
  return std::nullopt;
}

/// Ends a wait: by the timer, or on request.
struct Wake {
  std::stop_source& source;
  void operator()() noexcept { source.request_stop(); }
};

template <typename T, typename Sink>
Promise<CollectResult> collect_on_loop(PromiseHome home, std::shared_ptr<ChannelState<T>> channel, CollectPlan plan,
                                       Sink sink, std::stop_token stop) {
  Loop& loop = home.loop();
  std::size_t count = 0;
  std::stop_source wake;
  std::optional<TimePoint> deadline;
  if (plan.starts_timer_at_once()) deadline = later(loop.clock().now(), plan.timeout);
  sink.prepare(plan.max);

  struct OwnedTimer {
    const Remote remote;
    Loop& loop;
    TimerId id = {};
    ~OwnedTimer() {
      if (id && !remote.is_done()) static_cast<void>(loop.cancel(id));
    }
  };
  OwnedTimer timer{loop.remote(), loop};
  std::optional<std::stop_callback<Wake>> on_stop;
  if (stop.stop_possible()) on_stop.emplace(stop, Wake{wake});

  while (true) {
    const std::size_t before = count;
    const TimePoint now = loop.clock().now();
    const bool expired = deadline && now >= *deadline;
    if (auto result = collect_now(*channel, plan, sink, count, expired, stop)) co_return *std::move(result);
    if (before == 0 && count > 0 && plan.min > 0 && plan.has_timeout) {
      deadline = later(now, plan.timeout);
    }
    if (deadline && !timer.id) {
      auto armed = loop.set_timeout_at(*deadline, [&wake, &timer] {
        timer.id = TimerId();
        wake.request_stop();
      });
      if (!armed) throw ErrorException(std::move(armed).error());
      timer.id = *armed;
    }
    co_await channel->readable(home, wake.get_token());
  }
}

template <typename T, typename Sink>
CollectResult collect_on_thread(ChannelState<T>& channel, const CollectPlan& plan, Sink& sink,
                                const std::stop_token& stop) {
  using SystemClock = std::chrono::steady_clock;
  std::size_t count = 0;
  std::optional<TimePoint> deadline;
  if (plan.starts_timer_at_once()) deadline = later(SystemClock::now(), plan.timeout);
  sink.prepare(plan.max);
  while (true) {
    const std::size_t before = count;
    const TimePoint now = SystemClock::now();
    const bool expired = deadline && now >= *deadline;
    if (auto result = collect_now(channel, plan, sink, count, expired, stop)) return *std::move(result);
    if (before == 0 && count > 0 && plan.min > 0 && plan.has_timeout) deadline = later(now, plan.timeout);
    static_cast<void>(channel.wait_readable(deadline, stop));
  }
}

template <typename Handler, typename T>
concept CollectHandler =
    std::is_invocable_v<Handler&, T> && (std::is_void_v<std::invoke_result_t<Handler&, T>> ||
                                         std::is_convertible_v<std::invoke_result_t<Handler&, T>, Result<void>>);

}  // namespace internal

/// Waits for `CollectOptions::min` values, or for the time-out, and takes what else there is, up to `max`. Each value
/// is handed to `handler(T)` at once, which returns nothing or a `Result<void>`; after an error no more are taken. What
/// it throws rejects the promise. A closed channel ends the collection as soon as that is seen, also below `min`.
///
/// On the loop's thread, with the loop's clock. Throws std::logic_error for an empty channel.
template <typename T, internal::CollectHandler<T> Handler>
Promise<CollectResult> collect(PromiseHome home, const Channel<T>& channel, const CollectOptions& options,
                               Handler handler, std::stop_token stop = {}) {
  return internal::collect_on_loop(home, channel.shared(), internal::CollectPlan(options),
                                   internal::IntoHandler<T, Handler>{std::move(handler)}, std::move(stop));
}
/// Appends to `values`, which must live until the promise is settled. Takes all values that are there under one lock,
/// and allocates once if there is a `max`.
template <typename T>
Promise<CollectResult> collect(PromiseHome home, const Channel<T>& channel, const CollectOptions& options,
                               std::vector<T>& values, std::stop_token stop = {}) {
  return internal::collect_on_loop(home, channel.shared(), internal::CollectPlan(options),
                                   internal::IntoVector<T>{values}, std::move(stop));
}

/// The same on a thread without a loop, which sleeps while it waits. Uses the system's monotonic clock.
template <typename T, internal::CollectHandler<T> Handler>
CollectResult collect_blocking(const Channel<T>& channel, const CollectOptions& options, Handler handler,
                               const std::stop_token& stop = {}) {
  internal::IntoHandler<T, Handler> sink{std::move(handler)};
  return internal::collect_on_thread(*channel.shared(), internal::CollectPlan(options), sink, stop);
}
template <typename T>
CollectResult collect_blocking(const Channel<T>& channel, const CollectOptions& options, std::vector<T>& values,
                               const std::stop_token& stop = {}) {
  internal::IntoVector<T> sink{values};
  return internal::collect_on_thread(*channel.shared(), internal::CollectPlan(options), sink, stop);
}

}  // namespace gyre::poll
