#include <algorithm>
#include <stdexcept>

#include <gyre/rate/internal/plan.h>

namespace gyre::rate::internal {
namespace {

constexpr std::int64_t kMostEvents = std::int64_t{1} << 31;
constexpr std::int64_t kMostBuckets = 65536;
constexpr std::int64_t kTicksInRetention = std::int64_t{1} << 30;

void require(bool condition, const char* message) {
  if (!condition) throw std::invalid_argument(message);
}

}  // namespace

Plan::Plan(const Rates& given, const LimiterOptions& options) : rates(given) {
  require(options.max_categories >= 1, "LimiterOptions::max_categories must be at least 1");
  require(options.sweep_per_accept >= 0, "LimiterOptions::sweep_per_accept must not be negative");
  insert_late = options.late_events == LateEvents::insert;
  require(!insert_late || std::holds_alternative<Exact64>(options.memory),
          "LateEvents::insert needs the times of all events: use Exact64");
  const auto* gcra = std::get_if<Gcra>(&options.memory);
  const auto* buckets = std::get_if<Buckets>(&options.memory);
  require(gcra == nullptr || gcra->burst >= 1, "Gcra::burst must be at least 1");
  require(buckets == nullptr || (buckets->count >= 1 && buckets->count <= kMostBuckets),
          "Buckets::count must be 1 to 65536");
  if (rates.empty()) return;

  for (const rate::Window& window : rates.windows()) {
    windows.push_back({.duration = window.duration.count(), .limit = window.limit});
  }
  const std::int64_t largest_limit = windows.back().limit;
  require(gcra != nullptr || largest_limit <= kMostEvents, "limits over 2^31 need Gcra");
  largest_cost = windows.front().limit;
  retention = rates.retention().count();
  depth = static_cast<std::uint32_t>(std::min(largest_limit, kMostEvents));

  if (gcra != nullptr) {
    kept = Kept::gcra;
    retention = 0;
    largest_cost = std::numeric_limits<std::int64_t>::max();
    for (Window& window : windows) {
      window.interval = divide_up(window.duration, window.limit);
      window.burst = gcra->at_most_limit ? std::min(gcra->burst, window.limit) : gcra->burst;
      largest_cost = std::min(largest_cost, window.burst);
      retention = std::max(retention, times(window.interval, window.burst));
    }
  } else if (buckets != nullptr) {
    kept = Kept::buckets;
    bucket_count = static_cast<std::uint32_t>(buckets->count);
    for (Window& window : windows) {
      window.width = divide_up(window.duration, buckets->count);
      window.at = counters;
      counters += bucket_count + 2;  // the sum, and one part that is only partly inside of the window
      retention = std::max(retention, plus(window.duration, window.width));
    }
  } else if (largest_limit == 1 && !insert_late && windows.size() == 1) {
    kept = Kept::one;
  } else if (std::holds_alternative<Exact32>(options.memory)) {
    kept = Kept::exact32;
    tick = std::max<Nanoseconds>(1, divide_up(retention, kTicksInRetention));
  } else {
    kept = Kept::exact64;
  }
}

}  // namespace gyre::rate::internal
