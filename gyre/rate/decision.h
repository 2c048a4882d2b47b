#pragma once

#include <cstdint>
#include <optional>

#include <gyre/base/clock.h>

namespace gyre::rate {

namespace internal {
class LimiterCore;
}

/// Why something was not accepted.
enum class Refusal : std::uint8_t {
  none,      ///< It was accepted.
  rate,      ///< A window is used up; it can be accepted at `Decision::next`.
  never,     ///< It costs more than the smallest window holds: trying again does not help.
  capacity,  ///< A new category, and the limiter holds as many as it may (`LimiterOptions::max_categories`).
  memory,    ///< There was no memory to record it. Nothing changed.
};

/// Names one acceptance, so that it can be given back (`Limiter::undo`).
class Ticket {
 public:
  Ticket() = default;

 private:
  friend class LimiterBase;
  friend class internal::LimiterCore;
  void* record_ = nullptr;
  std::uint64_t sequence_ = 0;
  std::int64_t stamp_ = 0;
  std::int64_t cost_ = 0;
};

/// What a limiter says to one attempt:
///
/// | accepted | next | |
/// |---|---|---|
/// | true | none | recorded; one more would be accepted now |
/// | true | T | recorded, and with it a window is used up; the next can be accepted at T, not before |
/// | false | T | not recorded; it can be accepted at T, not before (`Refusal::rate`) |
/// | false | none | not recorded, and no time is known (the other refusals) |
struct [[nodiscard]] Decision {
  bool accepted = true;
  Refusal refusal = Refusal::none;
  /// Judged together with other categories for which there was no place (`WhenFull::fold`).
  bool folded = false;
  /// On the limiter's clock.
  std::optional<TimePoint> next = std::nullopt;
  /// From now to `next`; zero if there is none.
  Duration wait = Duration::zero();
  Ticket ticket = {};

  explicit operator bool() const noexcept { return accepted; }
};

}  // namespace gyre::rate
