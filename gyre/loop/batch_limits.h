#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <gyre/base/clock.h>
#include <gyre/loop/state.h>

namespace gyre {

/// How much a loop runs in one go before it looks at everything else. A batch that exceeds its limit is cut after the
/// callback that is running; the rest stays in order and comes in the next turn, after descriptors and timers.
struct BatchLimits {
  /// 0: no limit. 10,000 is a sensible value where one producer must not hold up the others.
  std::size_t max_callbacks = 0;
  /// 0: no limit. It costs a reading of the clock per callback. 1 s or less for a loop that people wait for.
  Duration max_time{};

  bool any() const noexcept { return max_callbacks != 0 || max_time != Duration::zero(); }
};

/// A batch that was cut.
struct BatchExcess {
  enum class Limit : std::uint8_t { callbacks, time };

  CallbackKind kind;          ///< Of the callbacks that were running.
  Limit limit;                ///< Which of the two it was.
  std::size_t callbacks = 0;  ///< Run in this batch.
  std::size_t left = 0;       ///< Still queued.
};

constexpr std::string_view to_string(BatchExcess::Limit limit) {
  return limit == BatchExcess::Limit::callbacks ? "callbacks" : "time";
}

}  // namespace gyre
