#pragma once

#include <cstddef>
#include <cstdint>
#include <variant>

#include <gyre/base/clock.h>

namespace gyre::rate {

/// Remembers the time of each event, 8 bytes each, up to the largest limit: exact to the nanosecond.
struct Exact64 {};

/// Remembers the time of each event in 4 bytes, in ticks of 1/2^30 of the longest window (2.4 us for 30 days, 1 ns up
/// to a second). Times are rounded up, so it is never more permissive than `Exact64`, and late by one tick at most.
struct Exact32 {};

/// Remembers one time a window (8 bytes) and spaces events evenly: a window of n per d lets one pass every d/n after
/// the first `burst` at once. Any span of length d holds at most n + burst - 1. (ATM Forum, Traffic Management 4.0,
/// "generic cell rate algorithm"; equal to a token bucket that holds `burst` tokens.)
struct Gcra {
  /// At least 1.
  std::int64_t burst = 1;
  /// Whether a window lets no more pass at once than its limit, however large `burst` is.
  bool at_most_limit = true;
};

/// Remembers counts of `count` + 1 parts of each window, 4 bytes each. Never lets more than the limit pass; may be late
/// by one part, duration / count.
struct Buckets {
  /// 1 to 65536.
  std::int64_t count = 60;
};

using Memory = std::variant<Exact64, Exact32, Gcra, Buckets>;

/// What becomes of an event whose time is before that of an event already recorded, because its thread was interrupted
/// between reading the clock and asking, or because the clock went backwards.
enum class LateEvents : std::uint8_t {
  clamp,   ///< It counts as if it came with the last one. O(1).
  insert,  ///< It is recorded at its own time. O(log n), and moves later events. `Exact64` only.
};

/// What becomes of a new category when the limiter holds `LimiterOptions::max_categories`.
enum class WhenFull : std::uint8_t {
  /// The longest idle category makes room: of all, or of 128 that are looked at where there are more. A category that
  /// is
  /// limited at the moment never does; where there is no other, the new one is refused (`Refusal::capacity`).
  evict_oldest,
  refuse,  ///< It is refused (`Refusal::capacity`).
  fold,    ///< It shares one common category with all others that found no place.
};

struct LimiterOptions {
  /// Null: the steady clock. Must outlive the limiter.
  const Clock* clock = nullptr;
  Memory memory = Exact64{};
  LateEvents late_events = LateEvents::clamp;
  /// At least 1. Memory is bounded by this, see `docs/rate.md`.
  std::size_t max_categories = 1'000'000;
  WhenFull when_full = WhenFull::evict_oldest;
  /// How many places of the table are looked at for idle categories per accepted event, on average. Zero: only `sweep`
  /// removes them.
  int sweep_per_accept = 2;
};

/// Up to `burst` at once, refilled by `tokens` every `per`.
struct TokenBucket {
  std::int64_t tokens;
  Duration per;
  std::int64_t burst;
};

}  // namespace gyre::rate
