#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include <gyre/base/cache_line.h>
#include <gyre/rate/internal/record.h>

namespace gyre::rate::internal {

/// An open-addressing table from hashes to records, with linear probing. Readers need no lock. It is never larger than
/// three fifths full, so a probe ends; a full one is replaced by a larger copy.
struct SlotTable {
  struct Slot {
    std::atomic<Record*> record{nullptr};
    std::atomic<std::uint64_t> hash{0};
  };

  explicit SlotTable(std::size_t count) : mask(count - 1), slots(std::make_unique<Slot[]>(count)) {}

  std::size_t count() const noexcept { return mask + 1; }
  std::size_t bytes() const noexcept { return sizeof(SlotTable) + count() * sizeof(Slot); }

  const std::size_t mask;
  const std::unique_ptr<Slot[]> slots;
  std::uint64_t taken_out = 0;  // epoch in which readers were shown another table
};

/// One part of the categories, chosen by their hash. Everything but `table` and `quiet_until` belongs to whoever holds
/// `mutex`. No visitor of the gate waits for it.
struct alignas(kCacheLinePair) Shard {
  std::mutex mutex;
  std::atomic<SlotTable*> table{nullptr};
  /// Nothing here expires before.
  std::atomic<Nanoseconds> quiet_until{kAlways};

  /// The latest time at which something here was found to have expired. What was remembered until then is gone, so a
  /// category that begins later counts from here, even for a caller whose time is older.
  Nanoseconds swept_at = kAlways;

  std::size_t live = 0;                                              // slots with a record
  std::size_t tombstones = 0;                                        // slots that had one, within a chain of probes
  std::size_t cursor = 0;                                            // where the sweep goes on
  Nanoseconds pass_until = std::numeric_limits<Nanoseconds>::max();  // first expiry seen in this pass of the sweep
  Record* vacant = nullptr;                                          // linked: may be used again
  Record* leaving_first = nullptr;  // linked, oldest first: taken out of the table, perhaps still seen by visitors
  Record* leaving_last = nullptr;
  std::size_t leaving = 0;
  std::vector<std::byte*> slabs;
  std::vector<std::unique_ptr<SlotTable>> old_tables;
};

}  // namespace gyre::rate::internal
