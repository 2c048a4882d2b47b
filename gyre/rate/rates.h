#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include <gyre/base/clock.h>
#include <gyre/base/error.h>

namespace gyre::rate {

/// At most `limit` accepted events of one category in any half-open span of time (t - duration, t].
struct Window {
  Duration duration;
  std::int64_t limit;
  friend bool operator==(const Window&, const Window&) = default;
};

/// Windows that hold at the same time, "10 per second and 300 per minute": checked once, never changed, cheap to copy.
class Rates {
 public:
  /// No windows: nothing is limited.
  Rates() = default;

  /// The windows may come in any order. Each must be able to bind, so that a typing error is found at once:
  ///  - there is at least one;
  ///  - durations and limits are positive, and no duration comes twice;
  ///  - a longer window has a larger limit;
  ///  - a longer window has a lower average (compared exactly, in 128-bit integers).
  /// Error `invalid_argument`: its message lists every rule that is broken, with the windows that break it.
  static Result<Rates> create(std::span<const Window> windows);
  static Result<Rates> create(std::initializer_list<Window> windows) {
    return create(std::span(windows.begin(), windows.size()));
  }

  /// By duration, shortest first, hence smallest limit first.
  std::span<const Window> windows() const noexcept { return windows_; }
  bool empty() const noexcept { return windows_.empty(); }
  /// The longest duration: what is older has no influence. Zero without windows.
  Duration retention() const noexcept { return empty() ? Duration::zero() : windows_.back().duration; }

  /// Like "10 per 1 s and 300 per 1 min".
  std::string to_string() const;

  friend bool operator==(const Rates&, const Rates&) = default;

 private:
  explicit Rates(std::vector<Window> windows) : windows_(std::move(windows)) {}

  std::vector<Window> windows_;
};

}  // namespace gyre::rate
