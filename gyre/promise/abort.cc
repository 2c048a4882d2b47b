#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gyre/promise/abort.h>

namespace gyre {

namespace internal {

/// What the copies of a signal share. No lock is held while users' code runs, and none while another state's is taken.
class AbortState : public std::enable_shared_from_this<AbortState> {
 public:
  using Handler = UniqueFunction<void(const Reason&)>;

  ~AbortState() { leave(std::move(sources_)); }

  std::optional<Reason> reason() const {
    const std::lock_guard lock(mutex_);
    return reason_;
  }
  bool aborted() const noexcept { return aborted_.load(std::memory_order_acquire); }
  std::stop_token stop_token() const { return stop_.get_token(); }

  std::uint64_t add(Handler handler) {
    std::unique_lock lock(mutex_);
    if (reason_ && !delivering_) {
      const Reason reason = *reason_;
      lock.unlock();
      handler(reason);
      return 0;
    }
    handlers_.push_back({++last_id_, std::move(handler)});
    return last_id_;
  }

  void remove(std::uint64_t id) noexcept {
    Handler removed;  // destroyed after the lock is given back
    std::unique_lock lock(mutex_);
    const auto found = std::ranges::find(handlers_, id, &Entry::id);
    if (found != handlers_.end()) {
      removed = std::move(found->handler);
      handlers_.erase(found);
    } else if (running_ == id && deliverer_ != std::this_thread::get_id()) {
      handler_done_.wait(lock, [&] { return running_ != id; });
    }
  }

  void abort(Reason reason) {
    // First everywhere the reason, then the handlers: of the signals that depend on this one before its own.
    std::vector<std::shared_ptr<AbortState>> reached;
    if (!take_reason(reason, reached)) return;
    std::exception_ptr first_failure;
    for (const auto& state : reached) state->deliver(first_failure);
    if (first_failure != nullptr) std::rethrow_exception(first_failure);
  }

  void follow(const std::shared_ptr<AbortState>& source) {
    std::optional<Reason> reason;
    {
      const std::lock_guard lock(source->mutex_);
      if (!source->reason_) source->dependents_.push_back(weak_from_this());
      reason = source->reason_;
    }
    if (reason) {
      abort(*std::move(reason));
      return;
    }
    const std::lock_guard lock(mutex_);
    if (!reason_) sources_.push_back(source);
  }

  std::size_t handler_count() const {
    const std::lock_guard lock(mutex_);
    return handlers_.size();
  }
  std::size_t dependent_count() const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(std::ranges::count_if(dependents_, [](const auto& d) { return !d.expired(); }));
  }

  /// What ends this signal from outside: a timer, or a stop token. Goes when the signal is aborted.
  void set_trigger(std::shared_ptr<void> trigger) {
    const std::lock_guard lock(mutex_);
    if (!reason_) trigger_ = std::move(trigger);
  }

 private:
  struct Entry {
    std::uint64_t id;
    Handler handler;
  };

  /// True if this call has aborted the state; `reached` gets the dependents that it has taken along, and it.
  bool take_reason(const Reason& reason, std::vector<std::shared_ptr<AbortState>>& reached) {
    std::vector<std::weak_ptr<AbortState>> dependents;
    std::vector<std::shared_ptr<AbortState>> sources;
    std::shared_ptr<void> trigger;
    {
      const std::lock_guard lock(mutex_);
      if (reason_) return false;
      reason_ = reason;
      delivering_ = true;
      deliverer_ = std::this_thread::get_id();
      aborted_.store(true, std::memory_order_release);
      dependents = std::exchange(dependents_, {});
      sources = std::exchange(sources_, {});
      trigger = std::exchange(trigger_, nullptr);
    }
    leave(std::move(sources));
    for (auto& dependent : dependents) {
      if (const auto state = dependent.lock()) state->take_reason(reason, reached);
    }
    reached.push_back(shared_from_this());
    return true;
  }

  void leave(std::vector<std::shared_ptr<AbortState>> sources) {
    for (const auto& source : sources) {
      const std::lock_guard lock(source->mutex_);
      std::erase_if(source->dependents_,
                    [this](const auto& dependent) { return dependent.expired() || dependent.lock().get() == this; });
    }
  }

  void deliver(std::exception_ptr& first_failure) {
    const auto call = [&](auto&& f) {
      try {
        f();
      } catch (...) {
        let_unwinding_pass();
        if (first_failure == nullptr) first_failure = std::current_exception();
      }
    };
    stop_.request_stop();
    std::unique_lock lock(mutex_);
    const Reason reason = *reason_;
    while (!handlers_.empty()) {
      Entry next = std::move(handlers_.front());
      handlers_.pop_front();
      running_ = next.id;
      lock.unlock();
      call([&] { next.handler(reason); });
      next.handler.reset();
      lock.lock();
      running_ = 0;
      handler_done_.notify_all();
    }
    delivering_ = false;
  }

  mutable std::mutex mutex_;
  std::condition_variable handler_done_;
  std::atomic<bool> aborted_{false};
  std::optional<Reason> reason_;
  std::deque<Entry> handlers_;
  std::uint64_t last_id_ = 0;
  std::uint64_t running_ = 0;  // the handler that is being called
  bool delivering_ = false;
  std::thread::id deliverer_;
  std::vector<std::weak_ptr<AbortState>> dependents_;
  std::vector<std::shared_ptr<AbortState>> sources_;
  std::shared_ptr<void> trigger_;
  std::stop_source stop_;
};

}  // namespace internal

using internal::AbortState;

void AbortRegistration::remove() noexcept {
  if (const auto state = std::exchange(state_, nullptr)) state->remove(id_);
}

AbortSignal::AbortSignal() : state_(std::make_shared<AbortState>()) {}

bool AbortSignal::aborted() const noexcept {
  return state_->aborted();
}
std::optional<Reason> AbortSignal::reason() const {
  return state_->reason();
}
void AbortSignal::throw_if_aborted() const {
  if (const auto why = reason()) why->rethrow();
}
AbortRegistration AbortSignal::on_abort(UniqueFunction<void(const Reason&)> handler) const {
  if (!handler) return {};
  return {state_, state_->add(std::move(handler))};
}
std::stop_token AbortSignal::stop_token() const {
  return state_->stop_token();
}
std::size_t AbortSignal::handler_count() const {
  return state_->handler_count();
}
std::size_t AbortSignal::dependent_count() const {
  return state_->dependent_count();
}

AbortSignal AbortSignal::any(std::span<const AbortSignal> signals) {
  auto state = std::make_shared<AbortState>();
  std::vector<const AbortState*> seen;
  for (const AbortSignal& signal : signals) {
    if (std::ranges::find(seen, signal.state_.get()) != seen.end()) continue;
    seen.push_back(signal.state_.get());
    state->follow(signal.state_);
    if (state->aborted()) break;
  }
  return AbortSignal(std::move(state));
}

AbortController::AbortController() = default;

AbortController::AbortController(std::stop_token token) {
  struct Abort {
    std::weak_ptr<AbortState> state;
    void operator()() const {
      if (const auto alive = state.lock()) alive->abort(internal::stopped());
    }
  };
  if (token.stop_requested()) {
    abort(internal::stopped());
    return;
  }
  // The callback must not go while it runs: it would wait for itself to have been destroyed. So it goes with the state.
  using Callback = std::stop_callback<Abort>;
  signal_.state_->set_trigger(std::make_shared<Callback>(std::move(token), Abort{signal_.state_}));
}

void AbortController::abort(Reason reason) const {
  signal_.state_->abort(std::move(reason));
}
void AbortController::abort() const {
  if (!signal_.aborted()) abort(Error(Errc::cancelled, "the operation was aborted"));
}

Result<AbortController> AbortController::timeout(Loop& loop, Duration delay) {
  if (delay < Duration::zero()) throw std::invalid_argument("gyre: an abort signal was given a negative time-out");
  AbortController controller;
  auto timer = loop.set_timeout(
      delay, [state = controller.signal_.state_] { state->abort(Error(Errc::timed_out, "the operation timed out")); });
  if (!timer) return std::unexpected(std::move(timer).error());
  struct Cancel {
    Remote remote;
    TimerId id;
    ~Cancel() { static_cast<void>(remote.request_cancel(id)); }
  };
  controller.signal_.state_->set_trigger(std::make_shared<Cancel>(loop.remote(), *timer));
  return controller;
}

}  // namespace gyre
