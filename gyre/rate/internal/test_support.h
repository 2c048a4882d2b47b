#pragma once

#include <atomic>
#include <random>
#include <string>
#include <vector>

#include <gyre/rate/limiter.h>

namespace gyre::rate::testing {

/// A clock that a test sets, also backwards.
class SetClock final : public Clock {
 public:
  TimePoint now() const noexcept override { return TimePoint(Duration(now_.load())); }
  Duration time_until(TimePoint deadline) const noexcept override {
    return deadline <= now() ? Duration::zero() : Duration::max();
  }
  void set(Duration since_start) { now_ = since_start.count(); }
  void advance(Duration step) { now_ += step.count(); }

 private:
  std::atomic<Duration::rep> now_ = 0;
};

inline TimePoint at(Duration since_start) {
  return TimePoint(since_start);
}

inline Rates rates(std::initializer_list<Window> windows) {
  return Rates::create(windows).value();
}

/// "yes", "no", and the next time in nanoseconds if there is one.
inline std::string said(const Decision& decision) {
  std::string text = decision.accepted ? "yes" : "no";
  if (decision.next) text += "/" + std::to_string(decision.next->time_since_epoch().count());
  return text;
}

/// The definition of the rates, counted out: how many of `events` are in (now - duration, now].
inline std::int64_t count_within(const std::vector<std::int64_t>& events, std::int64_t now, std::int64_t duration) {
  std::int64_t count = 0;
  for (const std::int64_t event : events) count += event > now - duration && event <= now ? 1 : 0;
  return count;
}

/// Keeps all accepted events and decides by counting. Slow and obvious.
class Model {
 public:
  explicit Model(Rates rates) : rates_(std::move(rates)) {}
  bool may(std::int64_t now, std::int64_t cost = 1) const {
    for (const Window& window : rates_.windows()) {
      if (count_within(events_, now, window.duration.count()) + cost > window.limit) return false;
    }
    return true;
  }
  void record(std::int64_t now, std::int64_t cost = 1) {
    events_.insert(events_.end(), static_cast<std::size_t>(cost), now);
  }
  const std::vector<std::int64_t>& events() const { return events_; }
  /// The first time from `now` on at which `cost` may pass. The answer changes only where an event leaves a window.
  std::int64_t earliest(std::int64_t now, std::int64_t cost = 1) const {
    if (may(now, cost)) return now;
    std::int64_t best = std::numeric_limits<std::int64_t>::max();
    for (const Window& window : rates_.windows()) {
      for (const std::int64_t event : events_) {
        const std::int64_t time = event + window.duration.count();
        if (time > now && time < best && may(time, cost)) best = time;
      }
    }
    return best;
  }

 private:
  Rates rates_;
  std::vector<std::int64_t> events_;
};

/// Valid rates of 1 to `most` windows.
inline Rates random_rates(std::mt19937_64& random, int most, std::int64_t longest) {
  for (;;) {
    std::vector<Window> windows;
    const int count = 1 + static_cast<int>(random() % static_cast<std::uint64_t>(most));
    std::int64_t duration = 0;
    std::int64_t limit = 0;
    for (int i = 0; i < count; ++i) {
      duration += 1 + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(longest / most));
      limit += 1 + static_cast<std::int64_t>(random() % 3);
      windows.push_back({.duration = Duration(duration), .limit = limit});
    }
    if (auto valid = Rates::create(windows)) return *valid;
  }
}

}  // namespace gyre::rate::testing
