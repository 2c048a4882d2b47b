#pragma once

#include <any>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <gyre/base/clock.h>
#include <gyre/base/error.h>
#include <gyre/base/task.h>

namespace gyre {

class Loop;

/// Something that was measured. Times are milliseconds since the origin of its `Performance`.
struct PerformanceEntry {
  enum class Type : std::uint8_t { mark, measure };

  std::string name;
  Type type = Type::mark;
  double start_time = 0;
  double duration = 0;
  std::any detail = {};
};

constexpr std::string_view to_string(PerformanceEntry::Type type) {
  return type == PerformanceEntry::Type::mark ? "mark" : "measure";
}

struct PerformanceOptions {
  /// More entries than this are not kept: the oldest goes.
  std::size_t max_entries = 1'000'000;
  /// Told of each new entry, on the thread that makes it.
  UniqueFunction<void(const PerformanceEntry& entry)> observer = {};
};

/// Marks and measures on a timeline, as in the W3C's User Timing. Safe on every thread.
class Performance {
 public:
  /// The clock must live as long as this. The timeline begins now.
  explicit Performance(const Clock& clock, PerformanceOptions options = {});
  /// On the clock of a loop, without keeping that alive.
  explicit Performance(const Loop& loop, PerformanceOptions options = {});

  /// Milliseconds since the origin; never runs backwards.
  double now() const noexcept;
  /// The origin, in milliseconds of Unix time.
  double time_origin() const noexcept { return time_origin_; }
  /// {"timeOrigin": ...}
  std::string to_json() const;

  PerformanceEntry mark(std::string name, std::any detail = {});
  /// From the latest mark of the name `start`, or the origin if that is empty, to the latest mark `end`, or now. The
  /// duration may be negative. Errors: `not_found` if there is no such mark.
  Result<PerformanceEntry> measure(std::string name, std::string_view start = {}, std::string_view end = {},
                                   std::any detail = {});

  /// Copies, sorted by start; equal starts in the order of creation.
  std::vector<PerformanceEntry> entries() const;
  std::vector<PerformanceEntry> entries_by_type(PerformanceEntry::Type type) const;
  std::vector<PerformanceEntry> entries_by_name(std::string_view name) const;
  std::vector<PerformanceEntry> entries_by_name(std::string_view name, PerformanceEntry::Type type) const;
  /// Of that name, or all of them.
  void clear_marks(std::string_view name = {}) { clear(PerformanceEntry::Type::mark, name); }
  void clear_measures(std::string_view name = {}) { clear(PerformanceEntry::Type::measure, name); }
  /// Entries that did not fit.
  std::uint64_t dropped() const;

 private:
  template <typename Wanted>
  std::vector<PerformanceEntry> select(Wanted wanted) const;
  void clear(PerformanceEntry::Type type, std::string_view name);
  void add(const PerformanceEntry& entry);
  Result<double> time_of(std::string_view mark) const;

  const Clock& clock_;
  PerformanceOptions options_;
  const TimePoint origin_;
  const double time_origin_;
  mutable std::mutex mutex_;
  std::deque<PerformanceEntry> entries_;
  std::uint64_t dropped_ = 0;
};

}  // namespace gyre
