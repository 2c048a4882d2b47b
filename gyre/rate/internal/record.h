#pragma once

#include <atomic>
#include <cstdint>

#include <gyre/base/internal/short_lock.h>
#include <gyre/rate/internal/plan.h>
#include <gyre/rate/internal/ring.h>

namespace gyre::rate::internal {

/// In `Record::next`: the record is no category any more; look again.
inline constexpr Nanoseconds kGone = std::numeric_limits<Nanoseconds>::min();

/// What is kept of one category; its key follows in memory. With a key of up to eight bytes it fills one pair of cache
/// lines.
///
/// `next` may be read by anyone at any time; everything that is not atomic belongs to whoever holds `lock`. A record is
/// used again for other categories, but its memory stays a record as long as the limiter lives: a `Ticket` may refer to
/// it at any time, and `sequence`, which only grows, tells whether it still means the same acceptance.
struct Record {
  /// The time of the next acceptance at cost one; in the past if there is nothing to wait for.
  std::atomic<Nanoseconds> next{kGone};
  /// The latest time at which something was accepted.
  std::atomic<Nanoseconds> last{0};
  /// Changes with each acceptance, and whenever the record becomes or ceases to be a category.
  std::atomic<std::uint64_t> sequence{0};
  std::uint64_t hash = 0;
  gyre::internal::ShortLock lock;
  /// How many `Category` objects name it. Grows only under the shard's mutex.
  std::atomic<std::uint32_t> handles{0};
  union {
    Ring<std::int64_t> times;     // exact64: of events. gcra: one a window, when all tokens will be back
    Ring<std::uint32_t> numbers;  // exact32: ticks of events. buckets: for each window the sum, then the parts
    Record* link;                 // in a list of records that are no category
  };

  Record() noexcept : times() {}
  ~Record() {}
};
static_assert(sizeof(Record) == 120);

/// Makes `record` the empty history of a category. It must hold no history. Throws std::bad_alloc.
void start_history(const Plan& plan, Record& record);
/// Frees what the history occupies.
void end_history(const Plan& plan, Record& record) noexcept;
std::size_t history_bytes(const Plan& plan, const Record& record) noexcept;

/// When `cost` can be accepted. In the past if it can be at once.
Nanoseconds earliest(const Plan& plan, const Record& record, std::int64_t cost) noexcept;
/// What `earliest` for a cost of one would be if `cost` were recorded at `now`.
Nanoseconds earliest_after(const Plan& plan, const Record& record, Nanoseconds now, std::int64_t cost) noexcept;
/// Records `cost` events. Throws std::bad_alloc, and nothing has changed then.
void commit(const Plan& plan, Record& record, Nanoseconds now, std::int64_t cost);
/// Takes back the last `commit`, which was of `cost` at `now`.
void take_back(const Plan& plan, Record& record, Nanoseconds now, std::int64_t cost) noexcept;

/// Replaces the history in `record`, kept under `from`, by what `to` keeps of it. `room` is an empty record whose
/// history was started under `to`, and which has room for `to.depth` events or as many as there are; left to be ended
/// under `from`.
void carry_over(const Plan& from, const Plan& to, Record& record, Record& room) noexcept;
/// How many events the history holds, as far as it remembers single events.
std::uint32_t remembered(const Plan& plan, const Record& record) noexcept;
/// Makes room so that `carry_over` cannot fail. Throws std::bad_alloc.
void reserve_events(const Plan& plan, Record& record, std::uint32_t count);

}  // namespace gyre::rate::internal
