#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <utility>
#include <vector>

#include <gyre/base/error.h>
#include <gyre/poll/channel_base.h>
#include <gyre/promise/promise.h>

namespace gyre::poll {

namespace internal {

template <typename T>
class ChannelState final : public ChannelBase {
 public:
  using ChannelBase::ChannelBase;

  std::optional<T> try_receive() {
    std::optional<T> value;
    Listeners writers;
    {
      const std::lock_guard lock(mutex_);
      if (values_.empty()) return value;
      value.emplace(std::move(values_.front()));
      values_.pop_front();
      writers = take_writers();
    }
    writable_.notify_one();
    tell(writers);
    return value;
  }
  std::size_t try_receive(std::vector<T>& into, std::size_t most) {
    std::size_t taken = 0;
    Listeners writers;
    {
      const std::lock_guard lock(mutex_);
      while (taken < most && !values_.empty()) {
        into.push_back(std::move(values_.front()));
        values_.pop_front();
        ++taken;
      }
      if (taken > 0) writers = take_writers();
    }
    if (taken > 0) writable_.notify_all();
    tell(writers);
    return taken;
  }
  /// True if there is nothing to receive now and never will be.
  bool is_finished() const {
    const std::lock_guard lock(mutex_);
    return closed_ && values_.empty();
  }
  /// Moves from `value` only if it is taken.
  Result<void> try_send(T& value) {
    Listeners readers;
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return fail(Errc::closed, "the channel is closed and takes no more values");
      if (values_.size() >= capacity_) {
        return fail(Errc::backpressure, "the channel holds its {} values; receive some, or make it larger", capacity_);
      }
      values_.push_back(std::move(value));
      readers = take_readers();
    }
    readable_.notify_one();
    tell(readers);
    return {};
  }
  /// Waits on this thread. False if the deadline or the stop came first.
  bool wait_readable(std::optional<std::chrono::steady_clock::time_point> deadline, std::stop_token stop) {
    std::unique_lock lock(mutex_);
    const auto ready = [this] { return can_read(); };
    if (!deadline) return readable_.wait(lock, std::move(stop), ready);
    return readable_.wait_until(lock, std::move(stop), *deadline, ready);
  }
  bool wait_writable(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    return writable_.wait(lock, std::move(stop), [this] { return can_write(); });
  }

 private:
  std::size_t count() const override { return values_.size(); }

  std::deque<T> values_;
};

}  // namespace internal

/// A bounded queue between any number of senders and receivers, on any threads. Copies are the same channel; every
/// value reaches exactly one receiver, in the order of sending.
///
/// Each operation comes in three forms: at once (`try_`), waiting on a loop (a promise), waiting on this thread
/// (`_blocking`; not on a loop's thread). After `close`, what was sent can still be received.
///
/// ```
/// gyre::poll::Channel<int> channel(16);
/// channel.try_send(1);
/// while (auto value = co_await channel.receive(loop)) use(*value);  // until it is closed and empty
/// ```
template <typename T>
class Channel {
 public:
  using value_type = T;

  /// Names no channel; only to be assigned to.
  Channel() = default;
  /// Throws std::invalid_argument for a capacity of 0.
  explicit Channel(std::size_t capacity) : state_(std::make_shared<internal::ChannelState<T>>(capacity)) {}

  /// Errors: `backpressure` if it is full, `closed`.
  Result<void> try_send(T value) const { return state().try_send(value); }
  /// Waits for room. Rejected with `closed`, or with `cancelled` on `stop`; the value is then lost.
  Promise<void> send(PromiseHome home, T value, std::stop_token stop = {}) const {
    return send_when_possible(home, shared(), std::move(value), std::move(stop));
  }
  /// Errors: `closed`, `cancelled`.
  Result<void> send_blocking(T value, std::stop_token stop = {}) const {
    while (true) {
      if (auto sent = state().try_send(value); sent || !sent.error().is(Errc::backpressure)) return sent;
      if (!state().wait_writable(stop)) return std::unexpected(stopped());
    }
  }

  /// Empty if there is nothing right now; `is_finished` tells whether there ever will be.
  std::optional<T> try_receive() const { return state().try_receive(); }
  /// Appends up to `most` values in one go, and returns how many.
  std::size_t try_receive(std::vector<T>& into, std::size_t most) const { return state().try_receive(into, most); }
  /// Empty when the channel is closed and everything was received. Rejected with `cancelled` on `stop`. Keeps the loop
  /// alive while it waits.
  Promise<std::optional<T>> receive(PromiseHome home, std::stop_token stop = {}) const {
    return receive_when_possible(home, shared(), std::move(stop));
  }
  /// Empty when the channel is closed and everything was received. Errors: `cancelled`.
  Result<std::optional<T>> receive_blocking(std::stop_token stop = {}) const {
    while (true) {
      if (auto value = state().try_receive()) return value;
      if (state().is_finished()) return std::optional<T>();
      if (!state().wait_readable({}, stop)) return std::unexpected(stopped());
    }
  }

  /// May be called twice.
  void close() const { state().close(); }
  bool is_closed() const { return state().is_closed(); }
  /// Closed, and everything was received.
  bool is_finished() const { return state().is_finished(); }
  std::size_t size() const { return state().size(); }
  std::size_t capacity() const { return state().capacity(); }

  explicit operator bool() const noexcept { return state_ != nullptr; }
  /// The same channel, not an equal one.
  friend bool operator==(const Channel& a, const Channel& b) noexcept = default;
  /// For code that waits in its own way. Not empty.
  const std::shared_ptr<internal::ChannelState<T>>& shared() const {
    static_cast<void>(state());
    return state_;
  }

 private:
  using State = internal::ChannelState<T>;

  static Error stopped() { return Error(Errc::cancelled, "the wait for a channel was stopped on request"); }
  static Promise<void> send_when_possible(PromiseHome home, std::shared_ptr<State> state, T value,
                                          std::stop_token stop) {
    while (true) {
      if (stop.stop_requested()) throw ErrorException(stopped());
      if (auto sent = state->try_send(value); sent) {
        co_return;
      } else if (!sent.error().is(Errc::backpressure)) {
        throw ErrorException(std::move(sent).error());
      }
      co_await state->writable(home, stop);
    }
  }
  static Promise<std::optional<T>> receive_when_possible(PromiseHome home, std::shared_ptr<State> state,
                                                         std::stop_token stop) {
    while (true) {
      if (stop.stop_requested()) throw ErrorException(stopped());
      if (auto value = state->try_receive()) co_return value;
      if (state->is_finished()) co_return std::optional<T>();
      co_await state->readable(home, stop);
    }
  }
  State& state() const {
    if (state_ == nullptr) throw std::logic_error("gyre: an empty channel was used");
    return *state_;
  }

  std::shared_ptr<State> state_;
};

}  // namespace gyre::poll
