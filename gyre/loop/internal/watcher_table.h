#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include <gyre/base/error.h>
#include <gyre/loop/internal/poller.h>
#include <gyre/loop/internal/registration.h>

namespace gyre::internal {

/// The watched descriptors of one loop.
///
/// A token given to the kernel is (generation << 32 | slot). A slot's generation goes up with each use and the slot is
/// retired before it would wrap, so a late event can never reach a callback it was not meant for.
class WatcherTable {
 public:
  explicit WatcherTable(std::shared_ptr<SharedState> shared) : shared_(std::move(shared)) {}
  ~WatcherTable() { clear(); }

  Result<std::shared_ptr<Registration>> add(Poller& poller, int fd, Readiness interest,
                                            UniqueFunction<void(Readiness)> callback);
  Result<void> modify(Registration& registration, Readiness interest);
  Result<void> remove(Registration& registration);
  void set_ref(Registration& registration, bool ref) noexcept;
  bool contains(std::uint64_t token) const noexcept {
    const Slot& slot = slots_[static_cast<std::uint32_t>(token)];
    return slot.generation == token >> 32 && slot.registration != nullptr;
  }
  /// The registration an event is for; null if it is no longer there.
  std::shared_ptr<Registration> find(std::uint64_t token) const noexcept;
  /// Puts right a kernel set that holds descriptors which were closed while watched, and cannot be taken out of it any
  /// more: makes a new one.
  Result<void> rebuild();
  /// Deactivates everything, at the loop's end.
  void clear() noexcept;

  std::size_t size() const noexcept { return by_fd_.size(); }
  std::size_t ref_count() const noexcept { return ref_count_; }

 private:
  struct Slot {
    std::shared_ptr<Registration> registration;
    std::uint32_t generation = 0;
  };

  std::uint32_t acquire_slot();
  void release(Registration& registration) noexcept;

  const std::shared_ptr<SharedState> shared_;
  Poller* poller_ = nullptr;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::unordered_map<int, std::uint32_t> by_fd_;
  std::size_t ref_count_ = 0;
};

}  // namespace gyre::internal
