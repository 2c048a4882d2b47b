#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <stop_token>
#include <utility>
#include <vector>

#include <gyre/promise/promise.h>

namespace gyre::poll::internal {

/// Told once, on whatever thread, that a channel may have become ready. Must not throw.
class ChannelListener {
 public:
  virtual ~ChannelListener() = default;
  virtual void notify() noexcept = 0;
};
using Listeners = std::vector<std::shared_ptr<ChannelListener>>;

/// What channels have in common, whatever their values. Everything but the mutex is guarded by it.
class ChannelBase : public std::enable_shared_from_this<ChannelBase> {
 public:
  explicit ChannelBase(std::size_t capacity);
  virtual ~ChannelBase() = default;

  void close();
  bool is_closed() const;
  std::size_t capacity() const noexcept { return capacity_; }
  std::size_t size() const;

  /// False if there is something to receive, or nothing more to come, right now; else `listener` is told once.
  bool listen_readable(std::shared_ptr<ChannelListener> listener);
  bool listen_writable(std::shared_ptr<ChannelListener> listener);
  void forget(const ChannelListener& listener);

  /// Fulfilled when it may be worth trying again, and when a stop is requested. Keeps the loop alive.
  Promise<void> readable(PromiseHome home, const std::stop_token& stop);
  Promise<void> writable(PromiseHome home, const std::stop_token& stop);

 protected:
  virtual std::size_t count() const = 0;
  bool can_read() const { return count() > 0 || closed_; }
  bool can_write() const { return count() < capacity_ || closed_; }

  /// To be called without the lock, with what was taken from the lists under it.
  static void tell(const Listeners& listeners);
  Listeners take_readers() { return std::exchange(readers_, {}); }
  Listeners take_writers() { return std::exchange(writers_, {}); }

  mutable std::mutex mutex_;
  std::condition_variable_any readable_;
  std::condition_variable_any writable_;
  const std::size_t capacity_;
  bool closed_ = false;

 private:
  Promise<void> wait(PromiseHome home, const std::stop_token& stop, bool for_reading);

  Listeners readers_;
  Listeners writers_;
};

}  // namespace gyre::poll::internal
