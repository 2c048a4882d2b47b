#pragma once

#include <compare>
#include <cstdint>

namespace gyre {

/// Names a timer or an immediate of one loop. `value()` counts up from 1 and is never used again; an id whose owner has
/// fired or was cancelled names nothing for ever. Default-constructed, it names nothing.
template <typename Tag>
class Id {
 public:
  constexpr Id() = default;
  constexpr Id(std::uint64_t value, std::uint32_t slot) : value_(value), slot_(slot) {}

  constexpr std::uint64_t value() const noexcept { return value_; }
  constexpr explicit operator bool() const noexcept { return value_ != 0; }
  friend constexpr auto operator<=>(const Id& a, const Id& b) noexcept { return a.value_ <=> b.value_; }
  friend constexpr bool operator==(const Id& a, const Id& b) noexcept { return a.value_ == b.value_; }

  /// Where the loop finds it. Not part of the identity.
  constexpr std::uint32_t slot() const noexcept { return static_cast<std::uint32_t>(slot_); }

 private:
  std::uint64_t value_ = 0;
  std::uint64_t slot_ = 0;  // as wide as a register: half of one, just written, is slow to be read as a whole
};

using TimerId = Id<struct TimerTag>;
using ImmediateId = Id<struct ImmediateTag>;

}  // namespace gyre
