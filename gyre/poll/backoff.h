#pragma once

#include <chrono>
#include <cstdint>

#include <gyre/base/clock.h>

namespace gyre::poll {

struct BackoffOptions {
  Duration initial = std::chrono::milliseconds(100);  ///< After the first failure; positive.
  Duration maximum = std::chrono::seconds(30);        ///< At least `initial`.
  double multiplier = 2;                              ///< At least 1.
  /// How much of each delay is left to chance, 0 to 1: with 0.2, it is between 80 and 100 % of what it would be.
  double jitter = 0.2;
  std::uint64_t seed = 1;  ///< The same seed gives the same delays.
};

/// Delays that grow from failure to failure. Not for several threads at once.
class Backoff {
 public:
  /// Throws std::invalid_argument for options out of range.
  explicit Backoff(const BackoffOptions& options = {});
  /// How long to wait after one more failure.
  Duration next();
  /// After a success.
  void reset() noexcept { failures_ = 0; }
  /// Since the last success.
  std::uint32_t failures() const noexcept { return failures_; }

 private:
  BackoffOptions options_;
  std::uint64_t random_;
  std::uint32_t failures_ = 0;
};

}  // namespace gyre::poll
