#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include <gyre/rate/internal/category_table.h>
#include <gyre/rate/internal/plan.h>
#include <gyre/rate/internal/record.h>
#include <gyre/rate/internal/visitor_gate.h>
#include <gyre/rate/limiter.h>

namespace gyre::rate::internal {

/// A limiter whose keys are bytes. Who may do what:
///
///  - A visitor (`VisitorGate`) may look records up, and lock and change one. It never waits for a shard's mutex.
///  - Who holds a shard's mutex may put records in and take them out. A record that was taken out is marked `kGone`,
///  and
///    used again only when no visitor can see it.
///  - `set_rates` and `clear_all` hold all shards' mutexes, take the plan away, so that no visit begins, and wait until
///    nobody is inside: then everything is theirs.
class LimiterCore {
 public:
  using KeyType = LimiterBase::KeyType;
  using KeyView = LimiterBase::KeyView;

  LimiterCore(Rates rates, const LimiterOptions& options, const KeyType& key_type);
  ~LimiterCore();

  TimePoint now() const noexcept;
  Decision allow(Nanoseconds now, const KeyView& key, std::int64_t cost);
  Decision peek(Nanoseconds now, const KeyView& key, std::int64_t cost);
  Decision allow(Nanoseconds now, Record& record, std::int64_t cost);
  Decision peek(Nanoseconds now, Record& record, std::int64_t cost);
  bool undo(Record& record, std::uint64_t sequence, Nanoseconds stamp, std::int64_t cost);
  bool clear(const KeyView& key);
  void clear_all();
  Record* resolve(const KeyView& key);
  void release(Record& record) noexcept { record.handles.fetch_sub(1); }
  std::size_t size() const noexcept { return categories_.load(); }
  std::size_t sweep(std::size_t budget);
  Statistics statistics() const;
  Rates rates() const;
  Result<void> set_rates(Rates rates);

  // For tests: what a refusal must not need.
  std::mutex& shard_mutex_of(const KeyView& key) { return shard_of(key.hash).mutex; }
  Record* find_for_test(const KeyView& key) { return find(key); }
  /// The time at which an acceptance was recorded.
  static Nanoseconds time_of(const Ticket& ticket) { return ticket.stamp_; }

 private:
  class Visitor;
  class Pause;

  Shard& shard_of(std::uint64_t hash) noexcept { return shards_[(hash >> 40) & shard_mask_]; }
  void* key_of(Record& record) const noexcept { return reinterpret_cast<std::byte*>(&record) + key_offset_; }
  Record* find(const KeyView& key);
  /// In the table: holds the place of a record that was taken out. `common_` is in no table, so it cannot be mistaken.
  Record* tombstone() noexcept { return &common_; }
  bool judge(const Plan& plan, Record& record, Nanoseconds now, std::int64_t cost, Decision& result);
  static bool judge_single(const Plan& plan, Record& record, Nanoseconds now, Decision& result);
  static void refuse(Decision& result, Nanoseconds next, Nanoseconds now) noexcept;
  static void set_next(Decision& result, Nanoseconds next, Nanoseconds now) noexcept;
  static void give_ticket(Decision& result, Record& record, std::uint64_t sequence, Nanoseconds stamp,
                          std::int64_t cost) noexcept;
  static bool outlook(const Plan& plan, Record& record, Nanoseconds now, std::int64_t cost, Decision& result);

  enum class Insertion : std::uint8_t { present, full, no_memory };
  /// Makes sure that the category exists; `pinned`, if given, gets the record with one more handle.
  Insertion insert(const KeyView& key, Nanoseconds now, Record** pinned);
  Record* take_record(Shard& shard);
  void add_to_table(Shard& shard, Record& record);
  void make_room(Shard& shard);
  bool make_place(Shard& own, std::unique_lock<std::mutex>& lock, Nanoseconds now);
  bool evict_one(Shard& shard, Nanoseconds now);
  bool is_expired(const Record& record, Nanoseconds now) const noexcept;
  enum class Condition : std::uint8_t { idle, expired, any };
  bool take_out(Shard& shard, std::size_t slot, Condition condition, Nanoseconds now);
  void free_left(Shard& shard);
  std::size_t sweep_shard(Shard& shard, std::size_t budget, Nanoseconds now);
  void sweep_a_little(Nanoseconds now);
  void forget(const Plan& plan, Record& record) noexcept;

  const Clock* const clock_;
  const KeyType key_type_;
  const LimiterOptions options_;
  std::size_t key_offset_ = 0;
  std::size_t stride_ = 0;
  VisitorGate gate_;
  /// Null while paused.
  std::atomic<const Plan*> plan_{nullptr};
  std::unique_ptr<const Plan> owned_plan_;  // belongs to whoever holds all shards' mutexes
  std::unique_ptr<Shard[]> shards_;
  std::size_t shard_mask_ = 0;
  Record common_;  // of the categories that are folded

  alignas(kCacheLinePair) std::atomic<std::size_t> categories_{0};
  std::atomic<std::size_t> bytes_{0};
  std::atomic<std::uint64_t> evicted_{0};
  std::atomic<std::uint64_t> expired_{0};
  std::atomic<std::uint64_t> refused_new_{0};
  std::atomic<std::uint64_t> folded_{0};
  std::atomic<std::size_t> sweep_turn_{0};
};

}  // namespace gyre::rate::internal
