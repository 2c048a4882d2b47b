#include <algorithm>
#include <bit>
#include <new>
#include <optional>
#include <stdexcept>
#include <thread>

#include <gyre/rate/internal/limiter_core.h>

namespace gyre::rate::internal {
namespace {

constexpr std::size_t kRecordsInSlab = 64;
constexpr std::size_t kFirstSlots = 16;
constexpr std::size_t kCategoriesPerShard = 256;  // of which a small limiter has fewer shards
constexpr std::size_t kSample = 8;                // categories compared to find an old one
constexpr std::size_t kSearch = 128;              // categories looked at to find one that may go
constexpr std::size_t kSweepEvery = 16;           // acceptances
constexpr std::size_t kLeavingBeforeFreeing = 64;
constexpr std::size_t kMostLeaving = 4096;

constexpr std::size_t round_up(std::size_t value, std::size_t to) {
  return (value + to - 1) / to * to;
}

Decision refused(Refusal refusal) {
  return {.accepted = false, .refusal = refusal};
}

}  // namespace

/// A visit for as long as it lives; waits where a pause is on.
class LimiterCore::Visitor {
 public:
  explicit Visitor(LimiterCore& core) {
    for (;;) {
      place_.emplace(core.gate_);
      plan_ = core.plan_.load();
      if (plan_ != nullptr) return;
      place_.reset();
      core.plan_.wait(nullptr);
    }
  }
  const Plan& plan() const noexcept { return *plan_; }
  std::uint64_t end(Visit visit) noexcept { return place_->end(visit); }

 private:
  std::optional<VisitorGate::Place> place_;
  const Plan* plan_ = nullptr;
};

/// While it lives, nobody else is at work on the limiter.
class LimiterCore::Pause {
 public:
  explicit Pause(LimiterCore& core) : core_(core) {
    for (std::size_t i = 0; i <= core.shard_mask_; ++i) core.shards_[i].mutex.lock();
    core.plan_.store(nullptr);
    while (core.gate_.has_visitors()) std::this_thread::yield();
  }
  Pause(const Pause&) = delete;
  ~Pause() {
    core_.plan_.store(core_.owned_plan_.get());
    core_.plan_.notify_all();
    for (std::size_t i = 0; i <= core_.shard_mask_; ++i) core_.shards_[i].mutex.unlock();
  }

 private:
  LimiterCore& core_;
};

LimiterCore::LimiterCore(Rates rates, const LimiterOptions& options, const KeyType& key_type)
    : clock_(options.clock),
      key_type_(key_type),
      options_(options),
      owned_plan_(std::make_unique<Plan>(rates, options)) {
  if (key_type.alignment > kCacheLinePair) throw std::invalid_argument("Limiter: the key's alignment is too large");
  key_offset_ = round_up(sizeof(Record), key_type.alignment);
  stride_ = round_up(key_offset_ + key_type.size, kCacheLinePair / 2);
  start_history(*owned_plan_, common_);
  common_.next.store(kAlways);

  const std::size_t shards =
      std::min(std::bit_ceil(std::size_t{4} * std::max(1U, std::thread::hardware_concurrency())),
               std::bit_floor(std::max(options.max_categories / kCategoriesPerShard, std::size_t{1})));
  shards_ = std::make_unique<Shard[]>(shards);
  shard_mask_ = shards - 1;
  bytes_ = sizeof(LimiterCore) + shards * sizeof(Shard);
  plan_.store(owned_plan_.get());
}

LimiterCore::~LimiterCore() {
  end_history(*owned_plan_, common_);
  for (std::size_t i = 0; i <= shard_mask_; ++i) {
    Shard& shard = shards_[i];
    const std::unique_ptr<SlotTable> table(shard.table.load());
    for (std::size_t slot = 0; table != nullptr && slot < table->count(); ++slot) {
      Record* record = table->slots[slot].record.load();
      if (record == nullptr || record == tombstone()) continue;
      key_type_.destroy(key_of(*record));
      end_history(*owned_plan_, *record);
    }
    for (Record* record = shard.leaving_first; record != nullptr; record = record->link) {
      key_type_.destroy(key_of(*record));
    }
    for (std::byte* slab : shard.slabs) ::operator delete(slab, std::align_val_t(kCacheLinePair));
  }
}

TimePoint LimiterCore::now() const noexcept {
  return clock_ == nullptr ? TimePoint(std::chrono::steady_clock::now()) : clock_->now();
}

// ---- looking up ----

// A visitor, or who holds the shard's mutex.
Record* LimiterCore::find(const KeyView& key) {
  const SlotTable* table = shard_of(key.hash).table.load();
  if (table == nullptr) return nullptr;
  const bool hash_says_all = key_type_.hash_identifies;
  for (std::size_t i = key.hash & table->mask;; i = (i + 1) & table->mask) {
    const SlotTable::Slot& slot = table->slots[i];
    // Sequentially consistent, as the gate asks: who came after a record was taken out does not find it any more.
    Record* record = slot.record.load();
    if (record == nullptr) return nullptr;
    if (record == tombstone() || slot.hash.load(std::memory_order_relaxed) != key.hash) continue;
    if (hash_says_all || key_type_.equal(key_of(*record), key.view)) return record;
  }
}

// ---- judging ----

void LimiterCore::set_next(Decision& result, Nanoseconds next, Nanoseconds now) noexcept {
  if (next <= now) return;
  result.next = TimePoint(Duration(next));
  result.wait = Duration(minus(next, now));
}

void LimiterCore::refuse(Decision& result, Nanoseconds next, Nanoseconds now) noexcept {
  result.accepted = false;
  result.refusal = Refusal::rate;
  set_next(result, next, now);
}

// False if the record is no category any more. `result` is as new: it is filled in place, since copying it would cost
// more than a refusal.
bool LimiterCore::judge(const Plan& plan, Record& record, Nanoseconds now, std::int64_t cost, Decision& result) {
  // Acquire pairs with the release below: whoever is told T by it also sees what led to T.
  const Nanoseconds next = record.next.load(std::memory_order_acquire);
  if (next == kGone) return false;
  if (now < next && cost == 1) {
    refuse(result, next, now);
    return true;
  }
  if (plan.kept == Kept::one) return judge_single(plan, record, now, result);

  const std::lock_guard lock(record.lock);
  if (record.next.load(std::memory_order_relaxed) == kGone) return false;
  const Nanoseconds possible = earliest(plan, record, cost);
  if (now < possible) {
    refuse(result, possible, now);
    return true;
  }
  const Nanoseconds last = record.last.load(std::memory_order_relaxed);
  const Nanoseconds at = plan.insert_late ? now : std::max(now, last);
  const Nanoseconds after = earliest_after(plan, record, at, cost);
  const std::size_t bytes = history_bytes(plan, record);
  try {
    commit(plan, record, at, cost);
  } catch (const std::bad_alloc&) {
    result.accepted = false;
    result.refusal = Refusal::memory;
    return true;
  }
  if (const std::size_t grown = history_bytes(plan, record) - bytes; grown != 0) bytes_.fetch_add(grown);
  record.last.store(std::max(at, last), std::memory_order_relaxed);
  // Only under the lock, so it need not be one step.
  const std::uint64_t sequence = record.sequence.load(std::memory_order_relaxed) + 1;
  record.sequence.store(sequence, std::memory_order_relaxed);
  record.next.store(after, std::memory_order_release);
  set_next(result, after, now);
  give_ticket(result, record, sequence, at, cost);
  return true;
}

// The time of the next acceptance is all there is to know: no lock.
bool LimiterCore::judge_single(const Plan& plan, Record& record, Nanoseconds now, Decision& result) {
  const std::uint64_t sequence = record.sequence.load(std::memory_order_relaxed);
  // Relaxed: it was written before the record was published, and not since.
  const Nanoseconds at = std::max(now, record.last.load(std::memory_order_relaxed));
  const Nanoseconds after = plus(at, plan.retention);
  Nanoseconds next = record.next.load(std::memory_order_acquire);
  do {
    if (next == kGone) return false;
    if (now < next) {
      refuse(result, next, now);
      return true;
    }
  } while (!record.next.compare_exchange_weak(next, after, std::memory_order_acq_rel, std::memory_order_acquire));
  set_next(result, after, now);
  give_ticket(result, record, sequence, at, 1);
  return true;
}

void LimiterCore::give_ticket(Decision& result, Record& record, std::uint64_t sequence, Nanoseconds stamp,
                              std::int64_t cost) noexcept {
  result.ticket.record_ = &record;
  result.ticket.sequence_ = sequence;
  result.ticket.stamp_ = stamp;
  result.ticket.cost_ = cost;
}

Decision LimiterCore::allow(Nanoseconds now, const KeyView& key, std::int64_t cost) {
  Decision result;
  const auto refuse_for = [&](Refusal refusal) {
    result.accepted = false;
    result.refusal = refusal;
  };
  for (;;) {
    {
      Visitor visitor(*this);
      const Plan& plan = visitor.plan();
      if (plan.kept == Kept::nothing) {
        visitor.end(Visit::accepted);
        return result;
      }
      if (cost > plan.largest_cost) {
        visitor.end(Visit::rejected);
        refuse_for(Refusal::never);
        return result;
      }
      Record* record = result.folded ? &common_ : find(key);
      if (record != nullptr && judge(plan, *record, now, cost, result)) {
        const std::uint64_t before = visitor.end(result.accepted ? Visit::accepted : Visit::rejected);
        if (result.folded) folded_.fetch_add(1, std::memory_order_relaxed);
        if (result.accepted && before % kSweepEvery == 0) sweep_a_little(now);
        return result;
      }
    }
    switch (insert(key, now, nullptr)) {
      case Insertion::present:
        break;
      case Insertion::no_memory:
        gate_.add_rejected();
        refuse_for(Refusal::memory);
        return result;
      case Insertion::full:
        result.folded = options_.when_full == WhenFull::fold;
        if (result.folded) break;
        gate_.add_rejected();
        refused_new_.fetch_add(1, std::memory_order_relaxed);
        refuse_for(Refusal::capacity);
        return result;
    }
  }
}

Decision LimiterCore::allow(Nanoseconds now, Record& record, std::int64_t cost) {
  Decision result;
  // The handle keeps the record: a refusal needs no visit.
  const Nanoseconds next = record.next.load(std::memory_order_acquire);
  if (cost == 1 && now < next) {
    gate_.add_rejected();
    refuse(result, next, now);
    return result;
  }
  Visitor visitor(*this);
  const Plan& plan = visitor.plan();
  if (cost > plan.largest_cost && plan.kept != Kept::nothing) {
    result.accepted = false;
    result.refusal = Refusal::never;
  } else if (plan.kept != Kept::nothing) {
    judge(plan, record, now, cost, result);  // never gone, as it has a handle
  }
  visitor.end(result.accepted ? Visit::accepted : Visit::rejected);
  return result;
}

// False if the record is no category any more. `result` is as new.
bool LimiterCore::outlook(const Plan& plan, Record& record, Nanoseconds now, std::int64_t cost, Decision& result) {
  const std::lock_guard lock(record.lock);
  if (record.next.load(std::memory_order_relaxed) == kGone) return false;
  const Nanoseconds possible = earliest(plan, record, cost);
  if (now < possible) {
    refuse(result, possible, now);
    return true;
  }
  const Nanoseconds at = plan.insert_late ? now : std::max(now, record.last.load(std::memory_order_relaxed));
  set_next(result, earliest_after(plan, record, at, cost), now);
  return true;
}

Decision LimiterCore::peek(Nanoseconds now, const KeyView& key, std::int64_t cost) {
  Visitor visitor(*this);
  const Plan& plan = visitor.plan();
  Decision result;
  if (plan.kept == Kept::nothing) return result;
  if (cost > plan.largest_cost) return refused(Refusal::never);
  if (Record* record = find(key); record != nullptr && outlook(plan, *record, now, cost, result)) return result;

  const bool full = categories_.load() >= options_.max_categories;
  if (full && options_.when_full == WhenFull::refuse) return refused(Refusal::capacity);
  if (full && options_.when_full == WhenFull::fold) {
    outlook(plan, common_, now, cost, result);
    result.folded = true;
    return result;
  }
  Record fresh;
  fresh.next.store(kAlways, std::memory_order_relaxed);
  fresh.last.store(now, std::memory_order_relaxed);
  try {
    start_history(plan, fresh);
  } catch (const std::bad_alloc&) {
    return refused(Refusal::memory);
  }
  outlook(plan, fresh, now, cost, result);
  end_history(plan, fresh);
  return result;
}

Decision LimiterCore::peek(Nanoseconds now, Record& record, std::int64_t cost) {
  Visitor visitor(*this);
  const Plan& plan = visitor.plan();
  Decision result;
  if (plan.kept == Kept::nothing) return result;
  if (cost > plan.largest_cost) return refused(Refusal::never);
  outlook(plan, record, now, cost, result);  // never gone, as it has a handle
  return result;
}

bool LimiterCore::undo(Record& record, std::uint64_t sequence, Nanoseconds stamp, std::int64_t cost) {
  Visitor visitor(*this);
  const Plan& plan = visitor.plan();
  const std::lock_guard lock(record.lock);
  if (record.next.load(std::memory_order_relaxed) == kGone) return false;
  if (record.sequence.load(std::memory_order_relaxed) != sequence) return false;
  if (plan.kept == Kept::one) {
    Nanoseconds next = plus(stamp, plan.retention);
    return record.next.compare_exchange_strong(next, kAlways);
  }
  take_back(plan, record, stamp, cost);
  record.sequence.fetch_add(1, std::memory_order_relaxed);
  record.next.store(earliest(plan, record, 1), std::memory_order_release);
  return true;
}

// ---- putting in ----

LimiterCore::Insertion LimiterCore::insert(const KeyView& key, Nanoseconds now, Record** pinned) {
  Shard& shard = shard_of(key.hash);
  std::unique_lock lock(shard.mutex);
  for (;;) {
    if (Record* record = find(key)) {
      if (pinned != nullptr) {
        record->handles.fetch_add(1);
        *pinned = record;
      }
      return Insertion::present;
    }
    std::size_t held = categories_.load();
    while (held < options_.max_categories && !categories_.compare_exchange_weak(held, held + 1)) {
    }
    if (held < options_.max_categories) break;
    if (!make_place(shard, lock, now)) return Insertion::full;
  }

  Record* record = nullptr;
  bool started = false;
  const auto roll_back = [&] {
    if (started) end_history(*owned_plan_, *record);
    if (record != nullptr) {
      record->link = shard.vacant;
      shard.vacant = record;
    }
    categories_.fetch_sub(1);
  };
  try {
    make_room(shard);
    record = take_record(shard);
    start_history(*owned_plan_, *record);
    started = true;
    key_type_.construct(key_of(*record), key.view);
  } catch (const std::bad_alloc&) {
    roll_back();
    return Insertion::no_memory;
  } catch (...) {  // of the key's copying
    roll_back();
    throw;
  }
  if (const std::size_t bytes = history_bytes(*owned_plan_, *record); bytes != 0) bytes_.fetch_add(bytes);
  record->hash = key.hash;
  // Relaxed: published with the record.
  record->last.store(owned_plan_->insert_late ? now : std::max(now, shard.swept_at), std::memory_order_relaxed);
  record->handles.store(pinned == nullptr ? 0 : 1);
  record->next.store(kAlways);
  if (pinned != nullptr) *pinned = record;
  add_to_table(shard, *record);
  const Nanoseconds expiry = owned_plan_->kept == Kept::one ? now : plus(now, owned_plan_->retention);
  shard.pass_until = std::min(shard.pass_until, expiry);
  if (expiry < shard.quiet_until.load(std::memory_order_relaxed)) {
    shard.quiet_until.store(expiry, std::memory_order_relaxed);  // a hint, read by sweep_a_little
  }
  return Insertion::present;
}

Record* LimiterCore::resolve(const KeyView& key) {
  Record* record = nullptr;
  insert(key, std::max(now().time_since_epoch().count(), kAlways), &record);
  return record;
}

Record* LimiterCore::take_record(Shard& shard) {
  if (shard.vacant == nullptr && shard.leaving > 0) {
    gate_.try_advance();
    free_left(shard);
  }
  if (shard.vacant == nullptr) {
    shard.slabs.reserve(shard.slabs.size() + 1);
    const std::size_t bytes = stride_ * kRecordsInSlab;
    auto* slab = static_cast<std::byte*>(::operator new(bytes, std::align_val_t(kCacheLinePair)));
    shard.slabs.push_back(slab);
    bytes_.fetch_add(bytes);
    for (std::size_t i = kRecordsInSlab; i-- > 0;) {
      auto* record = ::new (slab + i * stride_) Record;
      record->link = shard.vacant;
      shard.vacant = record;
    }
  }
  Record* record = shard.vacant;
  shard.vacant = record->link;
  return record;
}

void LimiterCore::make_room(Shard& shard) {
  SlotTable* old = shard.table.load();
  if (old != nullptr && (shard.live + shard.tombstones + 1) * 5 <= old->count() * 3) return;
  shard.old_tables.reserve(shard.old_tables.size() + 1);
  auto fresh = std::make_unique<SlotTable>(std::max(kFirstSlots, std::bit_ceil((shard.live + 1) * 2)));
  bytes_.fetch_add(fresh->bytes());
  shard.tombstones = 0;
  for (std::size_t i = 0; old != nullptr && i < old->count(); ++i) {
    Record* record = old->slots[i].record.load();
    if (record == nullptr || record == tombstone()) continue;
    std::size_t place = record->hash & fresh->mask;
    while (fresh->slots[place].record.load(std::memory_order_relaxed) != nullptr) place = (place + 1) & fresh->mask;
    // Nobody sees the new table yet.
    fresh->slots[place].hash.store(record->hash, std::memory_order_relaxed);
    fresh->slots[place].record.store(record, std::memory_order_relaxed);
  }
  shard.cursor = 0;
  shard.table.store(fresh.release());
  if (old != nullptr) {
    old->taken_out = gate_.epoch();
    shard.old_tables.emplace_back(old);
    gate_.try_advance();
    free_left(shard);
  }
}

void LimiterCore::add_to_table(Shard& shard, Record& record) {
  SlotTable& table = *shard.table.load();
  for (std::size_t i = record.hash & table.mask;; i = (i + 1) & table.mask) {
    SlotTable::Slot& slot = table.slots[i];
    const Record* there = slot.record.load();
    if (there != nullptr && there != tombstone()) continue;
    if (there == tombstone()) --shard.tombstones;
    slot.hash.store(record.hash, std::memory_order_relaxed);  // published by the next line
    slot.record.store(&record);
    ++shard.live;
    return;
  }
}

// ---- taking out ----

bool LimiterCore::is_expired(const Record& record, Nanoseconds now) const noexcept {
  const Plan& plan = *owned_plan_;
  // Read without the lock where it is only a hint; take_out looks again.
  if (plan.kept == Kept::one) return record.next.load(std::memory_order_relaxed) <= now;
  return plus(record.last.load(std::memory_order_relaxed), plan.retention) <= now;
}

bool LimiterCore::take_out(Shard& shard, std::size_t index, Condition condition, Nanoseconds now) {
  SlotTable& table = *shard.table.load();
  Record& record = *table.slots[index].record.load();
  if (record.handles.load() != 0) return false;
  {
    const std::lock_guard lock(record.lock);
    // judge_single changes `next` without the lock, so it is exchanged, not stored.
    Nanoseconds next = record.next.load();
    do {
      if (condition != Condition::any && now < next) return false;
      if (condition == Condition::expired && !is_expired(record, now)) return false;
    } while (!record.next.compare_exchange_weak(next, kGone));
    record.sequence.fetch_add(1, std::memory_order_relaxed);
    if (const std::size_t bytes = history_bytes(*owned_plan_, record); bytes != 0) bytes_.fetch_sub(bytes);
    end_history(*owned_plan_, record);
    record.link = nullptr;
  }
  const bool ends_chain = table.slots[(index + 1) & table.mask].record.load() == nullptr;
  table.slots[index].record.store(ends_chain ? nullptr : tombstone());
  if (!ends_chain) ++shard.tombstones;
  --shard.live;
  categories_.fetch_sub(1);
  if (condition == Condition::expired) shard.swept_at = std::max(shard.swept_at, now);

  record.last.store(static_cast<Nanoseconds>(gate_.epoch()), std::memory_order_relaxed);  // under the shard's mutex
  (shard.leaving_first == nullptr ? shard.leaving_first : shard.leaving_last->link) = &record;
  shard.leaving_last = &record;
  ++shard.leaving;
  if (shard.leaving > kLeavingBeforeFreeing) {
    gate_.try_advance();
    free_left(shard);
    // A visitor was interrupted in the middle of a visit: wait for it rather than let memory grow without bound.
    while (shard.leaving > kMostLeaving) {
      std::this_thread::yield();
      gate_.try_advance();
      free_left(shard);
    }
  }
  return true;
}

void LimiterCore::free_left(Shard& shard) {
  const std::uint64_t epoch = gate_.epoch();
  while (shard.leaving_first != nullptr &&
         static_cast<std::uint64_t>(shard.leaving_first->last.load(std::memory_order_relaxed)) + 2 <= epoch) {
    Record* record = shard.leaving_first;
    shard.leaving_first = record->link;
    --shard.leaving;
    key_type_.destroy(key_of(*record));
    record->link = shard.vacant;
    shard.vacant = record;
  }
  std::erase_if(shard.old_tables, [&](const auto& table) {
    if (table->taken_out + 2 > epoch) return false;
    bytes_.fetch_sub(table->bytes());
    return true;
  });
}

bool LimiterCore::make_place(Shard& own, std::unique_lock<std::mutex>& lock, Nanoseconds now) {
  const bool evict = options_.when_full == WhenFull::evict_oldest;
  const auto try_shard = [&](Shard& shard) {
    return evict ? evict_one(shard, now) : sweep_shard(shard, kSearch, now) > 0;
  };
  if (try_shard(own)) return true;
  // Never two of them at once.
  lock.unlock();
  bool found = false;
  for (std::size_t i = 0; i <= shard_mask_ && !found; ++i) {
    if (&shards_[i] == &own) continue;
    const std::lock_guard other(shards_[i].mutex);
    found = try_shard(shards_[i]);
  }
  lock.lock();
  return found;
}

bool LimiterCore::evict_one(Shard& shard, Nanoseconds now) {
  const SlotTable* table = shard.table.load();
  if (table == nullptr || shard.live == 0) return false;
  const std::size_t sample = shard.live <= kSearch ? shard.live : kSample;
  std::size_t compared = 0;
  std::size_t searched = 0;
  std::optional<std::size_t> oldest;
  Nanoseconds oldest_time = 0;
  for (std::size_t i = 0; i < table->count() && compared < sample && searched < kSearch; ++i) {
    shard.cursor = (shard.cursor + 1) & table->mask;
    const Record* record = table->slots[shard.cursor].record.load();
    if (record == nullptr || record == tombstone()) continue;
    ++searched;
    // Relaxed: a choice, which take_out checks.
    const Nanoseconds next = record->next.load(std::memory_order_relaxed);
    if (record->handles.load(std::memory_order_relaxed) != 0 || now < next) continue;
    ++compared;
    const Nanoseconds time = owned_plan_->kept == Kept::one ? next : record->last.load(std::memory_order_relaxed);
    if (oldest && time >= oldest_time) continue;
    oldest = shard.cursor;
    oldest_time = time;
  }
  if (!oldest || !take_out(shard, *oldest, Condition::idle, now)) return false;
  evicted_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

bool LimiterCore::clear(const KeyView& key) {
  Shard& shard = shard_of(key.hash);
  const std::lock_guard lock(shard.mutex);
  Record* record = find(key);
  if (record == nullptr) return false;
  if (record->handles.load() != 0) {
    forget(*owned_plan_, *record);
    return true;
  }
  const SlotTable& table = *shard.table.load();
  std::size_t index = key.hash & table.mask;
  while (table.slots[index].record.load() != record) index = (index + 1) & table.mask;
  return take_out(shard, index, Condition::any, 0);
}

void LimiterCore::forget(const Plan& plan, Record& record) noexcept {
  const std::lock_guard lock(record.lock);
  if (plan.kept == Kept::exact64) {
    record.times.clear();
  } else if (plan.kept == Kept::gcra) {
    for (std::uint32_t i = 0; i < record.times.size(); ++i) record.times[i] = kAlways;
  } else if (plan.kept == Kept::buckets) {
    for (std::uint32_t i = 0; i < record.numbers.size(); ++i) record.numbers[i] = 0;
  } else {
    record.numbers.clear();
  }
  record.sequence.fetch_add(1, std::memory_order_relaxed);
  record.next.store(kAlways, std::memory_order_release);
}

void LimiterCore::clear_all() {
  const Pause pause(*this);
  forget(*owned_plan_, common_);
  for (std::size_t i = 0; i <= shard_mask_; ++i) {
    Shard& shard = shards_[i];
    const SlotTable* table = shard.table.load();
    for (std::size_t slot = 0; table != nullptr && slot < table->count(); ++slot) {
      Record* record = table->slots[slot].record.load();
      if (record == nullptr || record == tombstone()) continue;
      if (record->handles.load() != 0) {
        forget(*owned_plan_, *record);
      } else {
        take_out(shard, slot, Condition::any, 0);
      }
    }
  }
}

// ---- sweeping ----

std::size_t LimiterCore::sweep_shard(Shard& shard, std::size_t budget, Nanoseconds now) {
  const SlotTable* table = shard.table.load();
  if (table == nullptr) return 0;
  std::size_t removed = 0;
  for (std::size_t i = 0; i < std::min(budget, table->count()); ++i) {
    const std::size_t index = shard.cursor;
    shard.cursor = (shard.cursor + 1) & table->mask;
    const Record* record = table->slots[index].record.load();
    if (record != nullptr && record != tombstone()) {
      if (is_expired(*record, now) && take_out(shard, index, Condition::expired, now)) {
        ++removed;
      } else if (record->handles.load() == 0) {
        const Nanoseconds expiry = owned_plan_->kept == Kept::one
                                       ? record->next.load(std::memory_order_relaxed)
                                       : plus(record->last.load(std::memory_order_relaxed), owned_plan_->retention);
        shard.pass_until = std::min(shard.pass_until, expiry);
      }
    }
    if (shard.cursor == 0) {
      // A hint for sweep_a_little, which may be late by one call.
      shard.quiet_until.store(shard.pass_until, std::memory_order_relaxed);
      shard.pass_until = std::numeric_limits<Nanoseconds>::max();
    }
  }
  expired_.fetch_add(removed, std::memory_order_relaxed);
  return removed;
}

void LimiterCore::sweep_a_little(Nanoseconds now) {
  if (options_.sweep_per_accept == 0) return;
  Shard& shard = shards_[sweep_turn_.fetch_add(1, std::memory_order_relaxed) & shard_mask_];
  if (now < shard.quiet_until.load(std::memory_order_relaxed)) return;
  const std::unique_lock lock(shard.mutex, std::try_to_lock);
  if (lock) sweep_shard(shard, kSweepEvery * static_cast<std::size_t>(options_.sweep_per_accept), now);
}

std::size_t LimiterCore::sweep(std::size_t budget) {
  const Nanoseconds time = std::max(now().time_since_epoch().count(), kAlways);
  std::size_t removed = 0;
  for (std::size_t i = 0; i <= shard_mask_ && budget > 0; ++i) {
    Shard& shard = shards_[sweep_turn_.fetch_add(1, std::memory_order_relaxed) & shard_mask_];
    const std::lock_guard lock(shard.mutex);
    if (const SlotTable* table = shard.table.load()) {
      const std::size_t share = std::min(budget, table->count());
      removed += sweep_shard(shard, share, time);
      budget -= share;
    }
  }
  return removed;
}

// ---- the whole ----

Statistics LimiterCore::statistics() const {
  return {.accepted = gate_.count(Visit::accepted),
          .rejected = gate_.count(Visit::rejected),
          .evicted = evicted_.load(),
          .expired = expired_.load(),
          .refused_new = refused_new_.load(),
          .folded = folded_.load(),
          .categories = categories_.load(),
          .bytes = bytes_.load()};
}

Rates LimiterCore::rates() const {
  const std::lock_guard lock(shards_[0].mutex);
  return owned_plan_->rates;
}

Result<void> LimiterCore::set_rates(Rates rates) try {
  auto plan = std::make_unique<const Plan>(rates, options_);
  const Pause pause(*this);
  const Plan& from = *owned_plan_;

  std::vector<Record*> records{&common_};
  records.reserve(categories_.load() + 1);
  for (std::size_t i = 0; i <= shard_mask_; ++i) {
    const SlotTable* table = shards_[i].table.load();
    for (std::size_t slot = 0; table != nullptr && slot < table->count(); ++slot) {
      Record* record = table->slots[slot].record.load();
      if (record != nullptr && record != tombstone()) records.push_back(record);
    }
    shards_[i].quiet_until.store(kAlways, std::memory_order_relaxed);  // only this thread is at work
    shards_[i].pass_until = kAlways;
  }

  if (from.kept == Kept::exact64 && plan->kept == Kept::exact64) {
    for (Record* record : records) {
      if (record->times.size() > plan->depth) record->times.pop_front(record->times.size() - plan->depth);
      record->sequence.fetch_add(1, std::memory_order_relaxed);
      record->next.store(earliest(*plan, *record, 1), std::memory_order_release);
    }
  } else {
    // All memory that is needed comes first, so that nothing is half done.
    struct Room : Record {
      const Plan* plan = nullptr;
      ~Room() {
        if (plan != nullptr) end_history(*plan, *this);
      }
    };
    const auto rooms = std::make_unique<Room[]>(records.size());
    for (std::size_t i = 0; i < records.size(); ++i) {
      start_history(*plan, rooms[i]);
      rooms[i].plan = plan.get();
      reserve_events(*plan, rooms[i], remembered(from, *records[i]));
    }
    for (std::size_t i = 0; i < records.size(); ++i) {
      const std::size_t before = history_bytes(from, *records[i]);
      carry_over(from, *plan, *records[i], rooms[i]);
      rooms[i].plan = &from;
      records[i]->sequence.fetch_add(1, std::memory_order_relaxed);
      bytes_.fetch_add(history_bytes(*plan, *records[i]) - before);
    }
  }
  owned_plan_ = std::move(plan);
  return {};
} catch (const std::invalid_argument& e) {
  return fail(Errc::invalid_argument, "{}", e.what());
} catch (const std::bad_alloc&) {
  return fail(Errc::out_of_memory, "no memory to judge {} categories by other rates; they stay as they were", size());
}

}  // namespace gyre::rate::internal
