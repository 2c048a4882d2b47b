#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include <gyre/base/cache_line.h>
#include <gyre/base/internal/short_lock.h>
#include <gyre/base/internal/spin.h>
#include <gyre/base/task.h>
#include <gyre/loop/internal/ingress.h>

#include "spliced_block_queue.h"

/// Ways for other threads to hand tasks to a loop, behind one interface:
///
///   class Producer { explicit Producer(Design&); Push push(Task&&); };   one a thread
///   std::size_t run_all();      the owner: runs all that has been published, in order; how many
///   bool pending();             the owner, falling asleep: whether anything may have been published
///   void close();               from any thread: from now on tasks are refused
///
/// `Push::first` asks the producer to look whether the owner sleeps, which must happen after the publication in the
/// single order of all sequentially consistent operations.
namespace bench::tournament {

using gyre::Task;
using Push = gyre::internal::Ingress::Push;

// --- A lock and a queue ---

/// What users of libraries without a queue write.
class MutexVector {
 public:
  static constexpr const char* kName = "mutex_vector";
  struct Producer {
    MutexVector& queue;
    explicit Producer(MutexVector& q) : queue(q) {}
    Push push(Task&& task) {
      const std::lock_guard lock(queue.mutex_);
      if (queue.closed_) return Push::refused;
      queue.incoming_.push_back(std::move(task));
      if (queue.pending_.load(std::memory_order_relaxed)) return Push::queued;
      queue.pending_.store(true, std::memory_order_seq_cst);
      return Push::first;
    }
  };
  std::size_t run_all() {
    {
      const std::lock_guard lock(mutex_);
      std::swap(incoming_, running_);
      pending_.store(false, std::memory_order_relaxed);
    }
    for (Task& task : running_) task();
    const std::size_t count = running_.size();
    running_.clear();
    return count;
  }
  bool pending() const { return pending_.load(std::memory_order_seq_cst); }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }

 private:
  std::mutex mutex_;
  bool closed_ = false;
  std::vector<Task> incoming_;
  std::vector<Task> running_;
  std::atomic<bool> pending_{false};
};

/// A lock that spins before it sleeps, over blocks that are handed over whole. `kSpares` blocks are kept for re-use.
template <std::size_t kSpares>
class ShortLockBlocks {
 public:
  static constexpr const char* kName = kSpares == 15 ? "short_lock_blocks" : "short_lock_kept";
  struct Producer {
    ShortLockBlocks& queue;
    explicit Producer(ShortLockBlocks& q) : queue(q) {}
    Push push(Task&& task) {
      const std::lock_guard lock(queue.mutex_);
      if (queue.closed_) return Push::refused;
      queue.incoming_.push_back(std::move(task));
      if (queue.pending_.load(std::memory_order_relaxed)) return Push::queued;
      queue.pending_.store(true, std::memory_order_seq_cst);
      return Push::first;
    }
  };
  std::size_t run_all() {
    if (!pending_.load(std::memory_order_acquire)) return 0;
    {
      const std::lock_guard lock(mutex_);
      running_.splice_back(incoming_);
      running_.top_up_spares(incoming_, kSpares == 15 ? 7 : kSpares);
      pending_.store(false, std::memory_order_relaxed);
    }
    std::size_t count = 0;
    for (; !running_.empty(); running_.pop_front(), ++count) running_.front()();
    return count;
  }
  bool pending() const { return pending_.load(std::memory_order_seq_cst); }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }

 private:
  alignas(gyre::kCacheLinePair) std::atomic<bool> pending_{false};
  alignas(gyre::kCacheLinePair) gyre::internal::ShortLock mutex_;
  bool closed_ = false;
  SplicedBlockQueue<Task, kSpares> incoming_;
  alignas(gyre::kCacheLinePair) SplicedBlockQueue<Task, kSpares> running_;
};

// --- A list with an atomic head ---

/// The loop's own. One that does not gather takes whatever there is as soon as there is something.
template <bool kGathers>
class CasListBlocks {
 public:
  static constexpr const char* kName = kGathers ? "cas_list_blocks" : "cas_list_eager";
  struct Producer {
    CasListBlocks& queue;
    explicit Producer(CasListBlocks& q) : queue(q) {}
    Push push(Task&& task) {
      auto& record = queue.ingress_.prepare();
      ::new (static_cast<void*>(record.storage)) Task(std::move(task));
      const Push result = queue.ingress_.publish(record, gyre::internal::IngressKind::task, kGate);
      if (result == Push::refused) queue.ingress_.discard(record);
      return result;
    }
  };
  std::size_t run_all() {
    if (!ingress_.pending()) return 0;
    if (kGathers) ingress_.gather();
    gyre::internal::IngressChain chain;
    ingress_.take(chain, chain);
    const std::size_t count = chain.size();
    while (!chain.empty()) {
      gyre::internal::IngressRecord& record = chain.pop();
      record.task()();
      ingress_.finish(record);
    }
    return count;
  }
  bool pending() const { return ingress_.pending(std::memory_order_seq_cst); }
  void close() { ingress_.close(kGate); }

 private:
  static constexpr auto kGate = gyre::internal::Ingress::Gate::tasks;
  gyre::internal::Ingress ingress_;
};

/// The same with a node from the allocator for each task.
class CasListMalloc {
 public:
  static constexpr const char* kName = "cas_list_malloc";
  struct Producer {
    CasListMalloc& queue;
    explicit Producer(CasListMalloc& q) : queue(q) {}
    Push push(Task&& task) {
      auto* const node = new Node{nullptr, std::move(task)};
      std::uintptr_t head = queue.head_.load(std::memory_order_relaxed);
      do {
        if ((head & 1) != 0) {
          delete node;
          return Push::refused;
        }
        node->next = reinterpret_cast<Node*>(head);
      } while (!queue.head_.compare_exchange_weak(head, reinterpret_cast<std::uintptr_t>(node)));
      return head == 0 ? Push::first : Push::queued;
    }
  };
  std::size_t run_all() {
    if (!pending()) return 0;
    auto* node = reinterpret_cast<Node*>(head_.fetch_and(1) & ~std::uintptr_t{1});
    Node* first = nullptr;
    while (node != nullptr) first = std::exchange(node, std::exchange(node->next, first));
    std::size_t count = 0;
    for (; first != nullptr; ++count) {
      first->task();
      delete std::exchange(first, first->next);
    }
    return count;
  }
  bool pending() const { return (head_.load() & ~std::uintptr_t{1}) != 0; }
  void close() { head_.fetch_or(1); }

 private:
  struct Node {
    Node* next;
    Task task;
  };
  alignas(gyre::kCacheLinePair) std::atomic<std::uintptr_t> head_{0};
};

// --- Tickets ---

/// Places in an endless row, drawn by fetch_add, in segments that are linked in when first needed. A flag in each slot
/// says that it is filled. A producer that has drawn its place and not filled it holds up all behind it.
class TicketSegments {
 public:
  static constexpr const char* kName = "ticket_segments";
  struct Producer {
    TicketSegments& queue;
    explicit Producer(TicketSegments& q) : queue(q) {}
    Push push(Task&& task) {
      const std::uint64_t ticket = queue.tickets_.fetch_add(1, std::memory_order_seq_cst);
      if ((ticket & kClosed) != 0) return Push::refused;
      Slot& slot = queue.segment(ticket)->slots[ticket % kSlots];
      ::new (static_cast<void*>(slot.storage)) Task(std::move(task));
      // An exchange, not a store: the look at the sleeping owner must not overtake it.
      slot.filled.exchange(true, std::memory_order_seq_cst);
      return Push::first;
    }
  };
  std::size_t run_all() {
    std::size_t count = 0;
    for (; pending(); ++count) {
      Segment* const segment = directory_[next_ / kSlots % kDirectory].load(std::memory_order_acquire);
      Slot& slot = segment->slots[next_ % kSlots];
      Task& task = *std::launder(reinterpret_cast<Task*>(slot.storage));
      task();
      task.~Task();
      slot.filled.store(false, std::memory_order_relaxed);
      if (++next_ % kSlots == 0) {
        directory_[(next_ - 1) / kSlots % kDirectory].store(nullptr, std::memory_order_release);
        const std::lock_guard lock(spares_mutex_);
        segment->next = std::exchange(spares_, segment);
      }
    }
    return count;
  }
  bool pending() const {
    const Segment* const segment = directory_[next_ / kSlots % kDirectory].load(std::memory_order_seq_cst);
    return segment != nullptr && segment->slots[next_ % kSlots].filled.load(std::memory_order_seq_cst);
  }
  void close() { tickets_.fetch_or(kClosed); }
  ~TicketSegments() {
    for (auto& entry : directory_) delete entry.load();
    while (spares_ != nullptr) delete std::exchange(spares_, spares_->next);
  }

 private:
  static constexpr std::uint64_t kClosed = std::uint64_t{1} << 63;
  static constexpr std::size_t kSlots = 64;
  static constexpr std::size_t kDirectory = 1 << 16;  // four million tasks may wait; more would overwrite each other
  struct Slot {
    alignas(Task) std::byte storage[sizeof(Task)];
    std::atomic<bool> filled{false};
  };
  struct Segment {
    Segment* next = nullptr;
    std::array<Slot, kSlots> slots;
  };

  Segment* segment(std::uint64_t ticket) {
    auto& entry = directory_[ticket / kSlots % kDirectory];
    Segment* found = entry.load(std::memory_order_acquire);
    if (found != nullptr) return found;
    Segment* fresh = nullptr;
    {
      const std::lock_guard lock(spares_mutex_);
      if (spares_ != nullptr) fresh = std::exchange(spares_, spares_->next);
    }
    if (fresh == nullptr) fresh = new Segment;
    if (entry.compare_exchange_strong(found, fresh, std::memory_order_acq_rel, std::memory_order_acquire)) return fresh;
    const std::lock_guard lock(spares_mutex_);
    fresh->next = std::exchange(spares_, fresh);
    return found;
  }

  alignas(gyre::kCacheLinePair) std::atomic<std::uint64_t> tickets_{0};
  alignas(gyre::kCacheLinePair) std::uint64_t next_ = 0;
  gyre::internal::ShortLock spares_mutex_;
  Segment* spares_ = nullptr;
  std::array<std::atomic<Segment*>, kDirectory> directory_{};
};

/// A lane of its own for each producer, which the owner merges by ticket. To be in the order of the posts, it may run
/// only tickets drawn before it began to look.
class TicketLanes {
  struct Lane;

 public:
  static constexpr const char* kName = "ticket_lanes";
  class Producer {
   public:
    explicit Producer(TicketLanes& q) : queue_(q), lane_(q.add_lane()) {}
    Push push(Task&& task) {
      const std::uint64_t ticket = queue_.tickets_.fetch_add(1, std::memory_order_seq_cst);
      if ((ticket & kClosed) != 0) return Push::refused;
      lane_.push(ticket, std::move(task));
      return Push::first;
    }

   private:
    TicketLanes& queue_;
    Lane& lane_;
  };
  std::size_t run_all() {
    const std::uint64_t limit = tickets_.load(std::memory_order_seq_cst) & ~kClosed;
    const std::size_t lanes = lane_count_.load(std::memory_order_acquire);
    std::array<Entry*, kLanes> fronts;
    for (std::size_t i = 0; i < lanes; ++i) fronts[i] = lanes_[i]->front();
    std::size_t count = 0;
    for (;;) {
      // What was published before the first look, in the order of the tickets.
      std::size_t best = lanes;
      for (std::size_t i = 0; i < lanes; ++i) {
        if (fronts[i] != nullptr && fronts[i]->ticket < limit &&
            (best == lanes || fronts[i]->ticket < fronts[best]->ticket)) {
          best = i;
        }
      }
      if (best == lanes) return count;
      Task& task = *std::launder(reinterpret_cast<Task*>(fronts[best]->storage));
      task();
      task.~Task();
      lanes_[best]->pop();
      fronts[best] = lanes_[best]->front();
      ++count;
    }
  }
  bool pending() const {
    const std::size_t lanes = lane_count_.load(std::memory_order_seq_cst);
    for (std::size_t i = 0; i < lanes; ++i) {
      if (lanes_[i]->front() != nullptr) return true;
    }
    return false;
  }
  void close() { tickets_.fetch_or(kClosed); }

 private:
  static constexpr std::uint64_t kClosed = std::uint64_t{1} << 63;
  static constexpr std::size_t kLanes = 1024;
  static constexpr std::size_t kSlots = 64;
  struct Entry {
    std::uint64_t ticket;
    alignas(Task) std::byte storage[sizeof(Task)];
  };
  struct Block {
    Block* next = nullptr;
    std::array<Entry, kSlots> entries;
  };
  /// One producer, one consumer.
  struct Lane {
    ~Lane() {
      while (tail_block != nullptr) delete std::exchange(tail_block, tail_block->next);
      while (spares != nullptr) delete std::exchange(spares, spares->next);
    }
    void push(std::uint64_t ticket, Task&& task) {
      const std::uint64_t at = filled.load(std::memory_order_relaxed);
      if (at % kSlots == 0 && at != 0) append();
      Entry& entry = head_block->entries[at % kSlots];
      entry.ticket = ticket;
      ::new (static_cast<void*>(entry.storage)) Task(std::move(task));
      // An exchange, not a store: the look at the sleeping owner must not overtake it.
      filled.exchange(at + 1, std::memory_order_seq_cst);
    }
    void append() {
      Block* block = nullptr;
      {
        const std::lock_guard lock(spares_mutex);
        if (spares != nullptr) block = std::exchange(spares, spares->next);
      }
      if (block == nullptr) block = new Block;
      block->next = nullptr;
      head_block = head_block->next = block;
    }
    Entry* front() {
      if (taken == known && taken == (known = filled.load(std::memory_order_seq_cst))) return nullptr;
      if (taken % kSlots == 0 && taken != 0 && !moved_on) {
        Block* const empty = std::exchange(tail_block, tail_block->next);
        moved_on = true;
        const std::lock_guard lock(spares_mutex);
        empty->next = std::exchange(spares, empty);
      }
      return &tail_block->entries[taken % kSlots];
    }
    void pop() {
      ++taken;
      moved_on = false;
    }
    alignas(gyre::kCacheLinePair) std::atomic<std::uint64_t> filled{0};
    Block* head_block = new Block;
    gyre::internal::ShortLock spares_mutex;
    Block* spares = nullptr;
    alignas(gyre::kCacheLinePair) std::uint64_t taken = 0;
    std::uint64_t known = 0;
    bool moved_on = false;
    Block* tail_block = head_block;
  };

  Lane& add_lane() {
    const std::lock_guard lock(lanes_mutex_);
    const std::size_t count = lane_count_.load(std::memory_order_relaxed);
    lanes_[count] = std::make_unique<Lane>();
    lane_count_.store(count + 1, std::memory_order_seq_cst);
    return *lanes_[count];
  }

  alignas(gyre::kCacheLinePair) std::atomic<std::uint64_t> tickets_{0};
  alignas(gyre::kCacheLinePair) std::atomic<std::size_t> lane_count_{0};
  std::mutex lanes_mutex_;
  std::array<std::unique_ptr<Lane>, kLanes> lanes_;
};

}  // namespace bench::tournament
