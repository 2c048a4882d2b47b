#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include <gyre/loop/loop.h>
#include <gyre/promise/performance.h>

namespace gyre {
namespace {

template <typename Length>
double milliseconds(Length length) {
  return std::chrono::duration<double, std::milli>(length).count();
}

}  // namespace

Performance::Performance(const Clock& clock, PerformanceOptions options)
    : clock_(clock),
      options_(std::move(options)),
      origin_(clock.now()),
      time_origin_(milliseconds(std::chrono::system_clock::now().time_since_epoch())) {}

Performance::Performance(const Loop& loop, PerformanceOptions options)
    : Performance(loop.clock(), std::move(options)) {}

double Performance::now() const noexcept {
  return milliseconds(clock_.now() - origin_);
}

std::string Performance::to_json() const {
  return fmt::format(R"({{"timeOrigin":{}}})", time_origin_);
}

void Performance::add(const PerformanceEntry& entry) {
  {
    const std::lock_guard lock(mutex_);
    entries_.push_back(entry);
    if (entries_.size() > options_.max_entries) {
      entries_.pop_front();
      ++dropped_;
    }
  }
  if (options_.observer) options_.observer(entry);
}

PerformanceEntry Performance::mark(std::string name, std::any detail) {
  PerformanceEntry entry{std::move(name), PerformanceEntry::Type::mark, now(), 0, std::move(detail)};
  add(entry);
  return entry;
}

Result<double> Performance::time_of(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto latest = std::find_if(entries_.rbegin(), entries_.rend(), [name](const PerformanceEntry& entry) {
    return entry.type == PerformanceEntry::Type::mark && entry.name == name;
  });
  if (latest == entries_.rend()) return fail(Errc::not_found, "mark '{}' not found", name);
  return latest->start_time;
}

Result<PerformanceEntry> Performance::measure(std::string name, std::string_view start, std::string_view end,
                                              std::any detail) {
  const Result<double> from = start.empty() ? Result<double>(0) : time_of(start);
  if (!from) return std::unexpected(from.error());
  const Result<double> to = end.empty() ? Result<double>(now()) : time_of(end);
  if (!to) return std::unexpected(to.error());
  PerformanceEntry entry{std::move(name), PerformanceEntry::Type::measure, *from, *to - *from, std::move(detail)};
  add(entry);
  return entry;
}

template <typename Wanted>
std::vector<PerformanceEntry> Performance::select(Wanted wanted) const {
  const std::lock_guard lock(mutex_);
  // By index where the starts are equal: that is the order in which they were made.
  std::vector<std::pair<double, std::size_t>> order;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (wanted(entries_[i])) order.emplace_back(entries_[i].start_time, i);
  }
  std::ranges::sort(order);
  std::vector<PerformanceEntry> found;
  found.reserve(order.size());
  for (const auto& [start, index] : order) found.push_back(entries_[index]);
  return found;
}

std::vector<PerformanceEntry> Performance::entries() const {
  return select([](const PerformanceEntry&) { return true; });
}
std::vector<PerformanceEntry> Performance::entries_by_type(PerformanceEntry::Type type) const {
  return select([type](const PerformanceEntry& entry) { return entry.type == type; });
}
std::vector<PerformanceEntry> Performance::entries_by_name(std::string_view name) const {
  return select([name](const PerformanceEntry& entry) { return entry.name == name; });
}
std::vector<PerformanceEntry> Performance::entries_by_name(std::string_view name, PerformanceEntry::Type type) const {
  return select([=](const PerformanceEntry& entry) { return entry.name == name && entry.type == type; });
}

void Performance::clear(PerformanceEntry::Type type, std::string_view name) {
  std::deque<PerformanceEntry> cleared;  // details are users' objects, destroyed without the lock
  const std::lock_guard lock(mutex_);
  const auto goes = [&](const PerformanceEntry& entry) {
    return entry.type == type && (name.empty() || entry.name == name);
  };
  for (PerformanceEntry& entry : entries_) {
    if (goes(entry)) cleared.push_back(entry);
  }
  std::erase_if(entries_, goes);
}

std::uint64_t Performance::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

}  // namespace gyre
