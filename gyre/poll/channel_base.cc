#include <algorithm>
#include <optional>
#include <stdexcept>
#include <utility>

#include <gyre/poll/channel_base.h>

namespace gyre::poll::internal {
namespace {

/// Settles a promise on the first of: the channel's call, a stop request.
class WakePromise final : public ChannelListener {
 public:
  explicit WakePromise(RemoteResolver<void> resolver) : resolver_(std::move(resolver)) {}
  void notify() noexcept override { resolver_.resolve(); }

 private:
  const RemoteResolver<void> resolver_;
};

struct Notify {
  std::shared_ptr<ChannelListener> listener;
  void operator()() noexcept { listener->notify(); }
};

}  // namespace

ChannelBase::ChannelBase(std::size_t capacity) : capacity_(capacity) {
  if (capacity == 0) throw std::invalid_argument("gyre: a channel needs a capacity of at least 1");
}

void ChannelBase::close() {
  Listeners readers;
  Listeners writers;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    readers = take_readers();
    writers = take_writers();
  }
  readable_.notify_all();
  writable_.notify_all();
  tell(readers);
  tell(writers);
}

bool ChannelBase::is_closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

std::size_t ChannelBase::size() const {
  const std::lock_guard lock(mutex_);
  return count();
}

bool ChannelBase::listen_readable(std::shared_ptr<ChannelListener> listener) {
  const std::lock_guard lock(mutex_);
  if (can_read()) return false;
  readers_.push_back(std::move(listener));
  return true;
}

bool ChannelBase::listen_writable(std::shared_ptr<ChannelListener> listener) {
  const std::lock_guard lock(mutex_);
  if (can_write()) return false;
  writers_.push_back(std::move(listener));
  return true;
}

void ChannelBase::forget(const ChannelListener& listener) {
  // Destroyed after the lock is released: what a listener holds may call this channel.
  std::shared_ptr<ChannelListener> found;
  const std::lock_guard lock(mutex_);
  for (Listeners* list : {&readers_, &writers_}) {
    const auto place = std::ranges::find(*list, &listener, [](const auto& held) { return held.get(); });
    if (place == list->end()) continue;
    found = std::move(*place);
    list->erase(place);
  }
}

void ChannelBase::tell(const Listeners& listeners) {
  for (const auto& listener : listeners) listener->notify();
}

Promise<void> ChannelBase::readable(PromiseHome home, const std::stop_token& stop) {
  return wait(home, stop, true);
}

Promise<void> ChannelBase::writable(PromiseHome home, const std::stop_token& stop) {
  return wait(home, stop, false);
}

Promise<void> ChannelBase::wait(PromiseHome home, const std::stop_token& stop, bool for_reading) {
  auto [promise, resolver] = with_remote_resolver<void>(home);
  const auto listener = std::make_shared<WakePromise>(std::move(resolver));
  if (!(for_reading ? listen_readable(listener) : listen_writable(listener))) {
    listener->notify();
    co_return;
  }
  std::optional<std::stop_callback<Notify>> on_stop;
  if (stop.stop_possible()) on_stop.emplace(stop, Notify{listener});
  // The frame may also be destroyed here, with the loop, and after the one that waits for it.
  struct Forget {
    const std::shared_ptr<ChannelBase> channel;
    const std::shared_ptr<ChannelListener> listener;
    ~Forget() { channel->forget(*listener); }
  };
  const Forget forget{shared_from_this(), listener};
  co_await std::move(promise);
}

}  // namespace gyre::poll::internal
