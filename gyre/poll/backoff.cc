#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include <gyre/poll/backoff.h>
#include <gyre/poll/random.h>

namespace gyre::poll {

Backoff::Backoff(const BackoffOptions& options) : options_(options), random_(options.seed) {
  if (options.initial <= Duration::zero() || options.maximum < options.initial || !(options.multiplier >= 1) ||
      !(options.jitter >= 0 && options.jitter <= 1)) {
    throw std::invalid_argument(
        "gyre: a back-off needs 0 < initial <= maximum, a multiplier of at least 1 and a jitter from 0 to 1");
  }
}

Duration Backoff::next() {
  const double maximum = static_cast<double>(options_.maximum.count());
  double delay =
      std::min(maximum, static_cast<double>(options_.initial.count()) * std::pow(options_.multiplier, failures_));
  if (failures_ < std::numeric_limits<std::uint32_t>::max()) ++failures_;
  const double chance = static_cast<double>(internal::next_random(random_) >> 11) * 0x1p-53;
  delay *= 1 - options_.jitter * chance;
  // The greatest duration has no exact double: the next one up would not fit.
  if (delay >= static_cast<double>(options_.maximum.count())) return options_.maximum;
  return std::max(Duration(1), Duration(static_cast<Duration::rep>(delay)));
}

}  // namespace gyre::poll
