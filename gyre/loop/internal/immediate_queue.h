#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <gyre/base/intrusive_list.h>
#include <gyre/base/task.h>
#include <gyre/loop/ids.h>
#include <gyre/loop/internal/slab.h>

namespace gyre::internal {

/// Callbacks for the check phase, in order, each of which can be cancelled or un-ref'd by id.
class ImmediateQueue {
 public:
  ~ImmediateQueue() {
    pending_.clear();
    batch_.clear();
  }

  ImmediateId add(Task&& callback, bool ref) {
    const std::uint32_t slot = slab_.acquire();
    Immediate& immediate = slab_[slot];
    immediate.callback = std::move(callback);
    immediate.id = ++last_id_;
    immediate.slot = slot;
    immediate.ref = ref;
    ref_count_ += ref ? 1 : 0;
    pending_.push_back(immediate);
    ++size_;
    return ImmediateId(immediate.id, slot);
  }

  /// One that keeps the loop alive as long as `predicate` says so.
  ImmediateId add(Task&& callback, UniqueFunction<bool()>&& predicate) {
    auto owned = std::make_shared<Predicate>(std::move(predicate));
    const ImmediateId id = add(std::move(callback), false);
    slab_[id.slot()].predicate = std::move(owned);
    ++predicate_count_;
    return id;
  }
  std::size_t predicate_count() const noexcept { return predicate_count_; }
  /// Calls `visit` with each predicate. A predicate may add immediates and cancel any, its own included.
  template <typename Visitor>
  void for_each_predicate(Visitor visit) {
    std::vector<std::shared_ptr<Predicate>> all;
    for (auto* list : {&batch_, &pending_}) {
      for (Immediate& immediate : *list) {
        if (immediate.predicate != nullptr) all.push_back(immediate.predicate);
      }
    }
    for (const auto& predicate : all) visit(*predicate);
  }

  bool contains(ImmediateId id) noexcept { return find(id) != nullptr; }

  /// Takes it out and returns its callback; empty if it has run or was cancelled.
  Task remove(ImmediateId id) noexcept {
    Immediate* immediate = find(id);
    return immediate != nullptr ? take(*immediate) : Task();
  }

  void set_ref(ImmediateId id, bool ref) noexcept {
    Immediate* immediate = find(id);
    if (immediate == nullptr || immediate->ref == ref) return;
    immediate->ref = ref;
    ref ? ++ref_count_ : --ref_count_;
  }

  /// Starts a batch of all that is pending; what is added from now on waits for the next batch. A batch cut short keeps
  /// its rest at the front.
  void begin_batch() noexcept { batch_.splice_back(pending_); }
  /// The batch's next callback, or an empty task at its end.
  Task next_in_batch() noexcept { return batch_.empty() ? Task() : take(batch_.front()); }

  bool has_batch() const noexcept { return !batch_.empty(); }
  /// Of the batch's next one; there must be one.
  std::uint64_t next_id() noexcept { return batch_.front().id; }
  /// Gives memory back that was not needed since the last call. True if there may be more next time.
  bool trim() { return slab_.trim(); }
  bool has_excess() const noexcept { return slab_.has_excess(); }

  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }
  std::size_t ref_count() const noexcept { return ref_count_; }

 private:
  using Predicate = UniqueFunction<bool()>;

  struct Immediate : ListHook {
    Task callback;
    std::shared_ptr<Predicate> predicate;  // rare, so not in here
    std::uint64_t id = 0;
    std::uint32_t slot = 0;
    bool ref = true;
  };

  Immediate* find(ImmediateId id) noexcept {
    if (!id || id.slot() >= slab_.capacity()) return nullptr;
    Immediate& immediate = slab_[id.slot()];
    return immediate.id == id.value() ? &immediate : nullptr;
  }
  Task take(Immediate& immediate) noexcept {
    immediate.unlink();
    if (immediate.ref) --ref_count_;
    if (immediate.predicate != nullptr) [[unlikely]] {
      immediate.predicate.reset();
      --predicate_count_;
    }
    immediate.id = 0;
    slab_.release(immediate.slot);
    --size_;
    return std::move(immediate.callback);
  }

  Slab<Immediate> slab_;
  IntrusiveList<Immediate> pending_;
  IntrusiveList<Immediate> batch_;
  std::uint64_t last_id_ = 0;
  std::size_t size_ = 0;
  std::size_t ref_count_ = 0;
  std::size_t predicate_count_ = 0;
};

}  // namespace gyre::internal
