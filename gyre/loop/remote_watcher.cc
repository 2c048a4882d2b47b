#include <utility>

#include <gyre/base/context.h>
#include <gyre/loop/internal/errors.h>
#include <gyre/loop/internal/loop_core.h>
#include <gyre/loop/internal/remote_call.h>
#include <gyre/loop/remote.h>
#include <gyre/loop/remote_watcher.h>

namespace gyre {

using internal::call_owner;
using internal::LoopCore;
using internal::Registration;

namespace {

std::unexpected<Error> not_watched() {
  return fail(Errc::fd_not_registered, "the descriptor is not watched any more");
}

// On the owner's thread.
Result<void> change(LoopCore& core, Registration& registration, const WatchOptions& options) {
  if (registration.table == nullptr) return not_watched();
  if (!core.accepts_work()) return internal::ending();
  return registration.table->modify(registration, options, core.now());
}
Result<void> remove(Registration& registration) {
  if (registration.table == nullptr) return not_watched();
  return registration.table->remove(registration);
}

// Has the loop remove it, whenever it hears of that.
void request_removal(const std::shared_ptr<Registration>& registration) {
  static_cast<void>(registration->shared->push_command(
      {.kind = internal::Command::Kind::call, .task = [registration] { static_cast<void>(remove(*registration)); }}));
}

}  // namespace

Result<RemoteWatcher> Remote::watch(int fd, const WatchOptions& options, UniqueFunction<void(Readiness)> callback,
                                    const WaitLimit& limit) {
  internal::require_watch(fd, options, static_cast<bool>(callback));
  internal::bind_current_context(callback);
  return call_owner<RemoteWatcher>(
      shared_, limit, [fd, options, callback = std::move(callback)](LoopCore& core) mutable -> Result<RemoteWatcher> {
        if (!core.accepts_work()) return internal::ending();
        auto registration = core.add_watch(fd, options, std::move(callback));
        if (!registration) return std::unexpected(registration.error());
        (*registration)->muted = std::make_unique<std::atomic<bool>>(false);
        return RemoteWatcher(*std::move(registration));
      });
}

RemoteWatcher& RemoteWatcher::operator=(RemoteWatcher&& other) noexcept {
  const RemoteWatcher old(std::exchange(registration_, std::exchange(other.registration_, nullptr)));
  return *this;
}

RemoteWatcher::~RemoteWatcher() {
  if (registration_ == nullptr) return;
  registration_->muted->store(true);
  request_removal(registration_);
}

Result<void> RemoteWatcher::modify(const WatchOptions& options, const WaitLimit& limit) {
  internal::require_watchable(options);
  if (registration_ == nullptr) return not_watched();
  return call_owner<void>(registration_->shared, limit, [registration = registration_, options](LoopCore& core) {
    return change(core, *registration, options);
  });
}

Result<void> RemoteWatcher::rearm(const WaitLimit& limit) {
  if (registration_ == nullptr) return not_watched();
  return call_owner<void>(registration_->shared, limit, [registration = registration_](LoopCore& core) {
    return change(core, *registration, registration->options);
  });
}

Result<void> RemoteWatcher::stop(const WaitLimit& limit) {
  if (registration_ == nullptr) return not_watched();
  const auto registration = std::exchange(registration_, nullptr);
  // Either the loop sees this before it starts the callback once more, or that start came before this.
  registration->muted->store(true);
  auto stopped =
      call_owner<void>(registration->shared, limit, [registration](LoopCore&) { return remove(*registration); });
  if (!stopped && (stopped.error().is(Errc::timed_out) || stopped.error().is(Errc::cancelled))) {
    request_removal(registration);
  }
  return stopped;
}

}  // namespace gyre
