#include <algorithm>

#include <gyre/loop/internal/loop_core.h>

namespace gyre::internal {

// The descriptor phase.

Result<void> LoopCore::ensure_poller() {
  if (shared->poller) return {};
  auto poller = make_epoll_poller();
  if (!poller) return std::unexpected(poller.error());
  const std::lock_guard lock(shared->mutex);
  shared->poller = std::move(*poller);
  return {};
}

Result<Watcher> LoopCore::watch(int fd, Readiness interest, UniqueFunction<void(Readiness)> callback) {
  if (options.fast_path == FastPath::forced) {
    return std::unexpected(
        Error(Errc::fast_path_incompatible,
              "the loop is held on the fast path, where no descriptor can be watched; see set_fast_path")
            .with("fd", fd));
  }
  if (auto ensured = ensure_poller(); !ensured) return std::unexpected(ensured.error());
  auto registration = watchers.add(*shared->poller, fd, interest, std::move(callback));
  if (!registration) return std::unexpected(registration.error());
  return Watcher(std::move(*registration));
}

// Waits for up to `timeout`, then runs the callbacks of what is ready. Leaves the loop in the running state.
Result<void> LoopCore::poll_descriptors(Duration timeout) {
  ++stats.polls;
  observe_wait_start(timeout);
  auto count = shared->poller->wait(timeout, events_);
  observe_wait_end(count.value_or(0));
  wake_up();
  last_poll_ = refresh_now();
  turns_since_poll_ = 0;
  if (!count) return std::unexpected(count.error());
  const bool has_strays = std::any_of(events_.begin(), events_.begin() + static_cast<std::ptrdiff_t>(*count),
                                      [this](const auto& event) { return !watchers.contains(event.token); });
  for (std::size_t i = 0; i < *count && !should_stop(); ++i) {
    const auto registration = watchers.find(events_[i].token);
    if (registration == nullptr) continue;  // stopped by an earlier callback of this batch
    const Readiness readiness = events_[i].readiness & (registration->interest | Readiness::error | Readiness::hangup);
    if (readiness == Readiness::none) continue;
    // Moved out while it runs: it may stop its own watcher, which destroys the registered callback.
    auto callback = std::move(registration->callback);
    contain(CallbackKind::watcher, [&] { callback(readiness); });
    if (registration->table != nullptr) {
      registration->callback = std::move(callback);
    } else {
      callback.reset();
    }
    checkpoint();
  }
  // A descriptor was closed before its watcher stopped, while a copy of it is open elsewhere: the kernel goes on
  // reporting it, and it can no longer be taken out.
  if (has_strays) return watchers.rebuild();
  return {};
}

}  // namespace gyre::internal
