#include <limits>
#include <stdexcept>
#include <utility>

#include <gyre/loop/internal/owner_call.h>
#include <gyre/loop/internal/watcher_table.h>
#include <gyre/loop/watcher.h>

namespace gyre::internal {
namespace {

constexpr std::uint32_t slot_of(std::uint64_t token) {
  return static_cast<std::uint32_t>(token);
}
constexpr std::uint32_t generation_of(std::uint64_t token) {
  return static_cast<std::uint32_t>(token >> 32);
}

}  // namespace

Result<std::shared_ptr<Registration>> WatcherTable::add(Poller& poller, int fd, Readiness interest,
                                                        UniqueFunction<void(Readiness)> callback) {
  poller_ = &poller;
  auto registration = std::make_shared<Registration>();
  const std::uint32_t slot = acquire_slot();
  const std::uint64_t token = std::uint64_t{slots_[slot].generation} << 32 | slot;
  const auto entry = by_fd_.try_emplace(fd, slot).first;
  auto added = poller.add(fd, interest, token);
  if (!added && added.error().is(std::errc::file_exists) && entry->second == slot) {
    // Left over from a watcher that stopped after its descriptor was closed, and now the same file is back.
    static_cast<void>(poller.remove(fd));
    added = poller.add(fd, interest, token);
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
  registration->interest = interest;
  registration->token = token;
  registration->callback = std::move(callback);
  slots_[slot].registration = registration;
  ++ref_count_;
  if (entry->second != slot) {
    // The kernel knows nothing of a watch on this number: the file it was for has been closed, and this is another.
    const auto stale = slots_[std::exchange(entry->second, slot)].registration;
    release(*stale);
  }
  return registration;
}

Result<void> WatcherTable::modify(Registration& registration, Readiness interest) {
  auto modified = poller_->modify(registration.fd, interest, registration.token);
  if (modified) registration.interest = interest;
  return modified;
}

Result<void> WatcherTable::remove(Registration& registration) {
  auto removed = poller_->remove(registration.fd);
  release(registration);
  return removed;
}

void WatcherTable::set_ref(Registration& registration, bool ref) noexcept {
  if (registration.ref == ref) return;
  registration.ref = ref;
  ref ? ++ref_count_ : --ref_count_;
}

std::shared_ptr<Registration> WatcherTable::find(std::uint64_t token) const noexcept {
  const Slot& slot = slots_[slot_of(token)];
  return slot.generation == generation_of(token) ? slot.registration : nullptr;
}

Result<void> WatcherTable::rebuild() {
  // Changing nothing tells whether the number still stands for the watched file.
  std::vector<const Registration*> intact;
  for (const Slot& slot : slots_) {
    if (slot.registration == nullptr) continue;
    const Registration& watched = *slot.registration;
    if (poller_->modify(watched.fd, watched.interest, watched.token)) intact.push_back(&watched);
  }
  auto rebuilt = poller_->reset();
  for (const Registration* watched : intact) {
    if (rebuilt) rebuilt = poller_->add(watched->fd, watched->interest, watched->token);
  }
  return rebuilt;
}

void WatcherTable::clear() noexcept {
  for (Slot& slot : slots_) {
    if (slot.registration == nullptr) continue;
    const auto keep = slot.registration;  // its callback's captures may hold the last Watcher
    if (poller_ != nullptr) static_cast<void>(poller_->remove(keep->fd));
    release(*keep);
  }
}

std::uint32_t WatcherTable::acquire_slot() {
  if (free_slots_.empty()) {
    free_slots_.reserve(slots_.size() + 1);  // so that release cannot fail
    slots_.emplace_back();
    slots_.back().generation = 1;
    return static_cast<std::uint32_t>(slots_.size() - 1);
  }
  const std::uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  return slot;
}

void WatcherTable::release(Registration& registration) noexcept {
  const std::uint32_t index = slot_of(registration.token);
  Slot& slot = slots_[index];
  if (registration.ref) --ref_count_;
  if (const auto entry = by_fd_.find(registration.fd); entry != by_fd_.end() && entry->second == index) {
    by_fd_.erase(entry);
  }
  registration.table = nullptr;
  const auto callback = std::exchange(registration.callback, {});
  const auto released = std::move(slot.registration);
  if (slot.generation != std::numeric_limits<std::uint32_t>::max()) {
    ++slot.generation;
    free_slots_.push_back(index);
  }
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
  if ((interest & (Readiness::read | Readiness::write)) != interest) {
    throw std::invalid_argument("gyre: a descriptor can be watched for read and write only; the rest comes by itself");
  }
  if (registration_ == nullptr) return not_watched();
  const OwnerCall call(*registration_->shared);
  if (!is_active()) return not_watched();
  if (registration_->shared->stop_requested.load()) {
    return fail(Errc::terminated, "the loop is ending and watches nothing any more");
  }
  return registration_->table->modify(*registration_, interest);
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
