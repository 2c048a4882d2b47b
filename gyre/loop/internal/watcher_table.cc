#include <limits>
#include <stdexcept>
#include <utility>

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
  if (by_fd_.contains(fd)) {
    return std::unexpected(Error(Errc::fd_already_registered, "the descriptor is watched already").with("fd", fd));
  }
  const std::uint32_t slot = acquire_slot();
  const std::uint64_t token = std::uint64_t{slots_[slot].generation} << 32 | slot;
  if (auto added = poller.add(fd, interest, token); !added) {
    free_slots_.push_back(slot);
    return std::unexpected(added.error());
  }
  poller_ = &poller;
  auto registration = std::make_shared<Registration>();
  registration->table = this;
  registration->fd = fd;
  registration->interest = interest;
  registration->token = token;
  registration->callback = std::move(callback);
  slots_[slot].registration = registration;
  by_fd_.emplace(fd, slot);
  ++ref_count_;
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
  by_fd_.erase(registration.fd);
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

Watcher& Watcher::operator=(Watcher&& other) noexcept {
  if (this != &other) {
    static_cast<void>(stop());
    registration_ = std::move(other.registration_);
  }
  return *this;
}

Watcher::~Watcher() {
  static_cast<void>(stop());
}

bool Watcher::is_active() const noexcept {
  return registration_ != nullptr && registration_->table != nullptr;
}

Result<void> Watcher::modify(Readiness interest) {
  if ((interest & (Readiness::read | Readiness::write)) != interest) {
    throw std::invalid_argument("gyre: a descriptor can be watched for read and write only; the rest comes by itself");
  }
  if (!is_active()) return fail(Errc::fd_not_registered, "the descriptor is not watched any more");
  return registration_->table->modify(*registration_, interest);
}

Result<void> Watcher::stop() {
  if (!is_active()) return fail(Errc::fd_not_registered, "the descriptor is not watched any more");
  return registration_->table->remove(*registration_);
}

void Watcher::ref() {
  if (is_active()) registration_->table->set_ref(*registration_, true);
}
void Watcher::unref() {
  if (is_active()) registration_->table->set_ref(*registration_, false);
}

}  // namespace gyre
