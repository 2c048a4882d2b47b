#include <algorithm>
#include <cerrno>
#include <functional>
#include <limits>
#include <stdexcept>
#include <utility>

#include <unistd.h>

#include <gyre/loop/internal/errors.h>
#include <gyre/loop/internal/loop_core.h>
#include <gyre/loop/internal/owner_call.h>
#include <gyre/loop/internal/watcher_table.h>
#include <gyre/loop/watcher.h>

namespace gyre::internal {
namespace {

constexpr std::uint32_t slot_of(std::uint64_t token) {
  return static_cast<std::uint32_t>(token);
}
// What epoll says of a number that does not stand for a watched file any more.
bool is_gone(const Error& error) {
  return error.is(std::errc::no_such_file_or_directory) || error.is(std::errc::bad_file_descriptor) ||
         error.is(std::errc::operation_not_permitted);
}

constexpr Poller::Interest interest_of(const WatchOptions& options) {
  return {.readiness = options.interest, .trigger = options.trigger, .one_shot = options.one_shot};
}

}  // namespace

void require_watchable(const WatchOptions& options) {
  if ((options.interest & kAnyInterest) != options.interest) {
    throw std::invalid_argument(
        "gyre: a descriptor can be watched for read, write and priority only; the rest comes by itself");
  }
  if (options.timeout < Duration::zero()) {
    throw std::invalid_argument("gyre: WatchOptions::timeout must not be negative; zero means none");
  }
}

void require_watch(int fd, const WatchOptions& options, bool has_callback) {
  if (!has_callback) reject_empty_callback();
  if (fd < 0) throw std::invalid_argument("gyre: a negative descriptor cannot be watched");
  if (options.interest == Readiness::none) throw std::invalid_argument("gyre: a descriptor is watched for something");
  require_watchable(options);
}

Result<std::shared_ptr<Registration>> WatcherTable::add(Poller& poller, int fd, const WatchOptions& options,
                                                        TimePoint now, UniqueFunction<void(Readiness)> callback) {
  poller_ = &poller;
  auto registration = std::make_shared<Registration>();
  const std::uint32_t slot = acquire_slot();
  const std::uint64_t token = std::uint64_t{slots_[slot].generation} << 32 | slot;
  const auto entry = by_fd_.try_emplace(fd, slot).first;
  auto added = poller.add(fd, interest_of(options), token);
  if (!added && added.error().is(std::errc::file_exists) && entry->second == slot) {
    // Left over from a watcher that stopped after its descriptor was closed, and now the same file is back.
    static_cast<void>(poller.remove(fd));
    added = poller.add(fd, interest_of(options), token);
  }
  if (!added) {
    if (entry->second == slot) by_fd_.erase(entry);
    free_slots_.push_back(slot);
    if (!added.error().is(std::errc::file_exists)) return std::unexpected(added.error());
    return std::unexpected(Error(Errc::fd_already_registered, "the descriptor is watched already").with("fd", fd));
  }
  registration->table = this;
  registration->shared = shared_;
  registration->fd = fd;
  registration->options = options;
  registration->token = token;
  registration->callback = std::move(callback);
  slots_[slot].registration = registration;
  ++ref_count_;
  if (entry->second != slot) {
    // The kernel knows nothing of a watch on this number: the file it was for has been closed, and this is another.
    const auto stale = slots_[std::exchange(entry->second, slot)].registration;
    stale->options.own = false;
    static_cast<void>(release(*stale));
  }
  restart_timeout(*registration, now);
  return registration;
}

Result<void> WatcherTable::modify(Registration& registration, const WatchOptions& options, TimePoint now) {
  auto modified = poller_->modify(registration.fd, interest_of(options), registration.token);
  if (!modified) return modified;
  registration.options = options;
  registration.armed = true;
  restart_timeout(registration, now);
  return {};
}

Result<void> WatcherTable::remove(Registration& registration) {
  auto removed = poller_->remove(registration.fd);
  auto closed = release(registration);
  return removed ? closed : removed;
}

void WatcherTable::set_ref(Registration& registration, bool ref) noexcept {
  if (registration.ref == ref) return;
  registration.ref = ref;
  ref ? ++ref_count_ : --ref_count_;
}

Result<void> WatcherTable::rebuild() {
  // Changing nothing tells whether the number still stands for the watched file.
  std::vector<const Registration*> intact;
  for (const Slot& slot : slots_) {
    if (slot.registration == nullptr) continue;
    const Registration& watched = *slot.registration;
    const auto changed = poller_->modify(watched.fd, interest_of(watched.options), watched.token);
    if (changed || !is_gone(changed.error())) intact.push_back(&watched);
  }
  if (!poller_->reset()) return {};  // for want of descriptors: nothing is lost, and the next stray event tries again
  Result<void> rebuilt;
  for (const Registration* watched : intact) {
    if (rebuilt) rebuilt = poller_->add(watched->fd, interest_of(watched->options), watched->token);
  }
  return rebuilt;
}

void WatcherTable::clear() noexcept {
  for (Slot& slot : slots_) {
    if (slot.registration == nullptr) continue;
    const auto keep = slot.registration;  // its callback's captures may hold the last Watcher
    if (poller_ != nullptr) static_cast<void>(poller_->remove(keep->fd));
    static_cast<void>(release(*keep));
  }
  timeouts_.clear();
}

std::uint32_t WatcherTable::acquire_slot() {
  if (free_slots_.empty()) {
    if (slots_.size() == slots_.capacity()) {
      slots_.reserve(std::max<std::size_t>(8, 2 * slots_.size()));
      free_slots_.reserve(slots_.capacity());  // so that release cannot fail
    }
    slots_.emplace_back();
    slots_.back().generation = 1;
    return static_cast<std::uint32_t>(slots_.size() - 1);
  }
  const std::uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  return slot;
}

Result<void> WatcherTable::release(Registration& registration) noexcept {
  const std::uint32_t index = slot_of(registration.token);
  Slot& slot = slots_[index];
  ++removals_;
  if (registration.ref) --ref_count_;
  if (const auto entry = by_fd_.find(registration.fd); entry != by_fd_.end() && entry->second == index) {
    by_fd_.erase(entry);
  }
  registration.table = nullptr;
  Result<void> closed;
  if (registration.options.own && ::close(registration.fd) != 0 && errno != EINTR) {
    closed = std::unexpected(Error::from_errno(errno, "close a watched descriptor").with("fd", registration.fd));
  }
  auto released = std::move(slot.registration);
  if (slot.generation != std::numeric_limits<std::uint32_t>::max()) {
    ++slot.generation;
    free_slots_.push_back(index);
  }
  // Its captures' destructors may call the table again, which is in order by now.
  if (released.get() == running_) {
    removed_while_running_ = std::move(released);
  } else {
    released->callback.reset();
  }
  return closed;
}

void WatcherTable::bury() noexcept {
  const auto buried = std::move(removed_while_running_);
  buried->callback.reset();
}

// Does nothing if an entry that is early enough is there.
void WatcherTable::queue_timeout(Registration& registration) {
  if (registration.options.timeout == Duration::zero()) return;
  if (registration.is_queued && registration.queued_until <= registration.idle_until) return;
  timeouts_.push_back({registration.idle_until, registration.token});
  std::ranges::push_heap(timeouts_, std::greater{});
  registration.is_queued = true;
  registration.queued_until = registration.idle_until;
}

void WatcherTable::restart_timeout(Registration& registration, TimePoint now) {
  touch(registration, now);
  queue_timeout(registration);
}

Registration* WatcherTable::take_timed_out(TimePoint now) {
  while (!timeouts_.empty() && timeouts_.front().moment <= now) {
    std::ranges::pop_heap(timeouts_, std::greater{});
    const TimeoutEntry first = timeouts_.back();
    timeouts_.pop_back();
    Registration* const registration = find(first.token);
    // Gone, or a later entry, made before the time-out was shortened.
    if (registration == nullptr || !registration->is_queued || registration->queued_until != first.moment) continue;
    registration->is_queued = false;
    if (registration->options.timeout == Duration::zero() || !registration->armed) continue;
    const bool due = registration->idle_until <= now;
    if (due) touch(*registration, now);
    queue_timeout(*registration);
    if (due) return registration;
  }
  return nullptr;
}

}  // namespace gyre::internal

namespace gyre {

using internal::OwnerCall;

namespace {

std::unexpected<Error> not_watched() {
  return fail(Errc::fd_not_registered, "the descriptor is not watched any more");
}

}  // namespace

Watcher& Watcher::operator=(Watcher&& other) noexcept {
  // Stopping may destroy the callback, and with it this very watcher: so that comes last.
  const Watcher old(std::exchange(registration_, std::exchange(other.registration_, nullptr)));
  return *this;
}

Watcher::~Watcher() {
  if (registration_ != nullptr) static_cast<void>(stop());
}

bool Watcher::is_active() const noexcept {
  return registration_ != nullptr && registration_->table != nullptr;
}

Result<void> Watcher::modify(Readiness interest) {
  if (registration_ == nullptr) {
    internal::require_watchable({.interest = interest});
    return not_watched();
  }
  const OwnerCall call(*registration_->shared);
  WatchOptions options = registration_->options;
  options.interest = interest;
  return change(options);
}

Result<void> Watcher::modify(const WatchOptions& options) {
  if (registration_ == nullptr) {
    internal::require_watchable(options);
    return not_watched();
  }
  const OwnerCall call(*registration_->shared);
  return change(options);
}

Result<void> Watcher::rearm() {
  if (registration_ == nullptr) return not_watched();
  const OwnerCall call(*registration_->shared);
  return change(registration_->options);
}

// On the owner's thread.
Result<void> Watcher::change(const WatchOptions& options) {
  internal::require_watchable(options);
  if (!is_active()) return not_watched();
  if (registration_->shared->stop_requested.load()) {
    return fail(Errc::terminated, "the loop is ending and watches nothing any more");
  }
  return registration_->table->modify(*registration_, options, registration_->shared->core->now());
}

Result<void> Watcher::stop() {
  if (registration_ == nullptr) return not_watched();
  const auto shared = registration_->shared;
  const OwnerCall call(*shared);
  const auto registration = std::move(registration_);  // this watcher may go with its callback
  if (registration->table == nullptr) return not_watched();
  return registration->table->remove(*registration);
}

void Watcher::ref() {
  if (registration_ == nullptr) return;
  const OwnerCall call(*registration_->shared);
  if (is_active()) registration_->table->set_ref(*registration_, true);
}
void Watcher::unref() {
  if (registration_ == nullptr) return;
  const OwnerCall call(*registration_->shared);
  if (is_active()) registration_->table->set_ref(*registration_, false);
}

}  // namespace gyre
