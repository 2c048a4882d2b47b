#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>
#include <utility>

#include <gyre/base/cache_line.h>
#include <gyre/base/internal/short_lock.h>
#include <gyre/base/internal/spin.h>
#include <gyre/base/task.h>
#include <gyre/loop/internal/block_queue.h>

namespace gyre::internal {

/// Which of the owner's queues a task from another thread is for.
enum class IngressKind : std::uint8_t { task, priority_task };

class IngressBlock;

/// A task on its way to a loop. What one thread posts in a row is a run, of neighbours in one block: only the last one
/// of a run is linked, and says how many there are.
struct IngressRecord {
  IngressRecord* next;   // the last one of another run
  std::uint16_t index;   // in its block
  std::uint16_t length;  // of the run
  IngressKind kind;
  alignas(Task) std::byte storage[sizeof(Task)];

  Task& task() noexcept { return *std::launder(reinterpret_cast<Task*>(storage)); }
  IngressBlock& block() noexcept;
};

/// Memory for the records of one producing thread. Records of a block may go to different loops; whoever is the last to
/// be done with it, one of those loops or the thread, recycles it.
class IngressBlock {
 public:
  static constexpr std::uint16_t kRecords = 51;

  IngressRecord& record(std::uint32_t index) noexcept { return reinterpret_cast<IngressRecord*>(storage_)[index]; }
  /// That `count` records are over. True if the block is thereby unused.
  bool finish(std::uint32_t count) noexcept {
    // Release hands over what was done to the records, acquire takes it, for whoever uses the memory next.
    return unfinished_.fetch_sub(count, std::memory_order_acq_rel) == count;
  }
  /// That the thread will take no more records out. True if the block is thereby unused.
  bool seal(std::uint32_t taken) noexcept { return finish(kOpen - taken); }
  void reopen() noexcept { unfinished_.store(kOpen, std::memory_order_relaxed); }

  IngressBlock* next = nullptr;

 private:
  static constexpr std::uint32_t kOpen = 1u << 30;  // until it is sealed: more than there can be records

  std::atomic<std::uint32_t> unfinished_{kOpen};
  alignas(IngressRecord) std::byte storage_[kRecords * sizeof(IngressRecord)];
};
static_assert(sizeof(IngressBlock) == 4096);

inline IngressBlock& IngressRecord::block() noexcept {
  auto* const first = reinterpret_cast<std::byte*>(this - index);
  return *reinterpret_cast<IngressBlock*>(first - (sizeof(IngressBlock) - IngressBlock::kRecords * sizeof(*this)));
}

/// Unused blocks, for any thread. Emptied blocks come back here from the owner; a steady load allocates nothing.
class IngressPool {
 public:
  static constexpr std::size_t kKept = 16;  // so many are never given back

  IngressPool() = default;
  IngressPool(const IngressPool&) = delete;
  IngressPool& operator=(const IngressPool&) = delete;
  ~IngressPool() { clear(); }

  IngressBlock* take();
  /// False, and nothing done, if another thread is at it just now: the owner need not wait for anybody.
  bool try_give(IngressBlock* block) noexcept;
  /// Gives blocks back that were not needed since the last call. True if there still are more than are kept for good.
  bool trim() noexcept;
  bool has_excess() noexcept;
  void clear() noexcept;

 private:
  void free_list(IngressBlock* list) noexcept;

  ShortLock mutex_;
  IngressBlock* blocks_ = nullptr;
  std::size_t count_ = 0;
  std::size_t lowest_ = 0;  // count since the last trim
};

/// The block that this thread takes its records from, and what it has published last: the owner may have that already,
/// so the record itself may no longer be read.
struct ProducerCache {
  IngressBlock* block = nullptr;
  std::uint16_t used = 0;
  bool closed = false;  // the thread is ending
  IngressKind kind{};
  std::uint16_t length = 0;
  IngressRecord* last = nullptr;
  IngressRecord* next = nullptr;
};
inline thread_local constinit ProducerCache producer_cache;

/// Records in the order of their publication.
class IngressChain {
 public:
  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }

  /// Puts the run that ends with `last` before all others.
  void prepend(IngressRecord* last) noexcept {
    last->next = first_run_;
    if (first_run_ == nullptr) last_run_ = last;
    first_run_ = last;
    front_ = last - (last->length - 1);
    size_ += last->length;
  }
  void append(IngressChain& other) noexcept {
    if (other.empty()) return;
    if (empty()) {
      *this = other;
    } else {
      last_run_->next = other.first_run_;
      last_run_ = other.last_run_;
      size_ += other.size_;
    }
    other = {};
  }
  IngressRecord& pop() noexcept {
    IngressRecord* const record = front_++;
    --size_;
    if (record == first_run_) {
      first_run_ = record->next;
      if (first_run_ != nullptr) front_ = first_run_ - (first_run_->length - 1);
    }
    return *record;
  }

 private:
  IngressRecord* front_ = nullptr;
  IngressRecord* first_run_ = nullptr;  // its last record
  IngressRecord* last_run_ = nullptr;
  std::size_t size_ = 0;
};

/// The way into a loop for all other threads: a list to whose head they add by compare-and-exchange, and which the
/// owner takes as a whole. One word holds the head of the list, whether it is empty, and who may still add; hence
///
/// - publication, its place in the order, and admission are one atomic step: once the way is closed, nothing slips in;
/// - a task whose post has returned before another post began comes before that;
/// - a thread that is interrupted in the middle of a push keeps nobody from anything;
/// - whoever finds the list empty knows that the owner must be woken, and the others that they need not.
///
/// Records come out of blocks that belong to the producing thread, so a push is one atomic operation.
/// How it fares beside other designs: docs/tournament.md.
class Ingress {
 public:
  enum class Push { refused, queued, first };
  enum class Gate : std::uintptr_t {
    tasks = 1,        // closed when the end is decided
    completions = 2,  // of off-loaded work: closed when nothing will run any more
  };

  Ingress() = default;
  Ingress(const Ingress&) = delete;
  Ingress& operator=(const Ingress&) = delete;
  ~Ingress();

  // --- Any thread ---

  /// A record in whose `storage` the caller constructs a task; it then publishes or discards it.
  IngressRecord& prepare() {
    ProducerCache& cache = producer_cache;
    if (cache.block == nullptr || cache.used == IngressBlock::kRecords) [[unlikely]]
      renew_block();
    IngressRecord& record = cache.block->record(cache.used);
    record.index = cache.used++;
    return record;
  }
  /// The last record that was prepared on this thread.
  static IngressRecord& prepared() noexcept { return producer_cache.block->record(producer_cache.used - 1u); }
  /// Makes the record's task the last of those that the owner will take. If it is refused, it is the caller's still.
  Push publish(IngressRecord& record, IngressKind kind, Gate gate) noexcept {
    ProducerCache& cache = producer_cache;
    record.kind = kind;
    const bool may_continue = record.index > 0 && cache.last == &record - 1 && cache.kind == kind;
    // A thread that posts a lot mostly finds its own last record there. To guess that and be right saves asking for the
    // cache line twice, to read it and to write it.
    std::uintptr_t head = may_continue ? reinterpret_cast<std::uintptr_t>(cache.last) : head_.load();
    for (int pauses = 1;; pauses = std::min(2 * pauses, kMostPauses)) {
      if ((head & static_cast<std::uintptr_t>(gate)) != 0) [[unlikely]]
        return Push::refused;
      auto* const before = reinterpret_cast<IngressRecord*>(head & ~kGates);
      const bool continues = may_continue && before == cache.last;
      IngressRecord* const next = continues ? cache.next : before;
      const auto length = static_cast<std::uint16_t>(continues ? cache.length + 1 : 1);
      record.next = next;
      record.length = length;
      // Sequentially consistent for the wake-up protocol, see SharedState.
      if (head_.compare_exchange_strong(head, reinterpret_cast<std::uintptr_t>(&record) | (head & kGates))) {
        // Not read from the record: that is the owner's now.
        cache.last = &record;
        cache.kind = kind;
        cache.next = next;
        cache.length = length;
        return before == nullptr ? Push::first : Push::queued;
      }
      // Another thread was faster. To get out of its way for a moment serves both.
      if ((head & ~kGates) != 0) {
        for (int i = 0; i < pauses; ++i) relax_cpu();
        head = head_.load(std::memory_order_relaxed);
      }
    }
  }
  /// Destroys the task of a record that was refused.
  void discard(IngressRecord& record) noexcept;
  /// False if it was closed before.
  bool close(Gate gate) noexcept {
    return (head_.fetch_or(static_cast<std::uintptr_t>(gate), std::memory_order_seq_cst) &
            static_cast<std::uintptr_t>(gate)) == 0;
  }
  /// Closes it unless something is waiting or it is closed already; true if it did.
  bool close_if_idle(Gate gate) noexcept {
    std::uintptr_t expected = 0;
    return head_.compare_exchange_strong(expected, static_cast<std::uintptr_t>(gate), std::memory_order_seq_cst);
  }
  bool pending(std::memory_order order = std::memory_order_acquire) const noexcept {
    return (head_.load(order) & ~kGates) != 0;
  }

  // --- The owner ---

  /// While others publish one task after the other, waits a moment, so that more come together. To take them one by one
  /// would have the producers wait for the head of the list each time. Where nothing follows, it costs two short looks;
  /// at most it takes some thirty pauses of the processor, about a microsecond.
  void gather() const noexcept {
    std::uintptr_t seen = head_.load(std::memory_order_relaxed);
    for (int pauses = kFewestGatheringPauses; pauses <= kMostGatheringPauses; pauses *= 2) {
      for (int i = 0; i < pauses; ++i) relax_cpu();
      if (seen == std::exchange(seen, head_.load(std::memory_order_relaxed))) return;
    }
  }
  /// Moves everything that has been published to the ends of these, each kind in its order.
  void take(IngressChain& tasks, IngressChain& priority_tasks) noexcept {
    auto* last = reinterpret_cast<IngressRecord*>(head_.fetch_and(kGates, std::memory_order_acq_rel) & ~kGates);
    IngressChain taken[2];
    while (last != nullptr) {  // the last run first
      IngressRecord* const before = last->next;
      taken[last->kind == IngressKind::task ? 0 : 1].prepend(last);
      last = before;
    }
    tasks.append(taken[0]);
    priority_tasks.append(taken[1]);
  }
  /// Destroys the task of a record that was taken, and gives the record back.
  void finish(IngressRecord& record) noexcept {
    record.task().~Task();
    IngressBlock* const block = &record.block();
    if (block != finishing_) [[unlikely]]
      report_finished(block);
    ++finished_;
  }
  /// See IngressPool::trim.
  bool trim() noexcept;
  bool has_excess() noexcept { return pool_.has_excess(); }
  /// Gives all memory back that is not in use.
  void release_memory() noexcept;

 private:
  static constexpr std::uintptr_t kGates = 3;
  static constexpr int kMostPauses = 32;
  static constexpr int kFewestGatheringPauses = 2;
  static constexpr int kMostGatheringPauses = 16;
  static_assert(alignof(IngressRecord) > kGates);

  void renew_block();
  void report_finished(IngressBlock* next) noexcept;
  void recycle(IngressBlock* block) noexcept;

  // Written by producers all the time. Nothing else may share these lines: the owner would wait for them to come back.
  alignas(kCacheLinePair) std::atomic<std::uintptr_t> head_{0};

  alignas(kCacheLinePair) IngressPool pool_;

  // The owner's: records finished, and not yet reported to their block.
  alignas(kCacheLinePair) IngressBlock* finishing_ = nullptr;
  std::uint32_t finished_ = 0;
  IngressBlock* returning_ = nullptr;  // could not be given to the pool at once
};

/// What is queued on the owner's thread: what it has queued itself, and behind that what others have, where it lies.
class TaskQueue {
 public:
  explicit TaskQueue(Ingress& ingress) : ingress_(ingress) {}
  TaskQueue(const TaskQueue&) = delete;
  TaskQueue& operator=(const TaskQueue&) = delete;
  ~TaskQueue() { clear(); }

  bool empty() const noexcept { return local_.empty() && chain_.empty(); }
  std::size_t size() const noexcept { return local_.size() + chain_.size(); }

  void push_back(Task&& task) { emplace_back() = std::move(task); }
  /// An empty task at the end of the queue, to be filled at once.
  Task& emplace_back() {
    if (!chain_.empty()) [[unlikely]]
      move_chain();
    return local_.emplace_back();
  }
  /// Where `Ingress::take` puts what others have queued.
  IngressChain& chain() noexcept { return chain_; }

  /// Calls `run` with the first task, which stays where it is meanwhile, and then destroys it.
  template <typename Run>
  void run_front(Run run) {
    if (!local_.empty()) {
      run(local_.front());
      local_.pop_front();
      return;
    }
    const Finisher finisher{ingress_, chain_.pop()};  // taken out first: `run` may move the rest of the chain
    run(finisher.record.task());
  }
  void clear() noexcept {
    while (!chain_.empty()) ingress_.finish(chain_.pop());
    local_.clear();
  }
  /// See BlockQueue.
  bool trim() noexcept { return local_.trim(); }
  bool has_excess() const noexcept { return local_.has_excess(); }

 private:
  struct Finisher {
    Ingress& ingress;
    IngressRecord& record;
    ~Finisher() { ingress.finish(record); }
  };

  // What the owner queues comes behind all that others have queued before.
  [[gnu::noinline]] void move_chain() {
    while (!chain_.empty()) {
      const Finisher finisher{ingress_, chain_.pop()};
      local_.push_back(std::move(finisher.record.task()));
    }
  }

  Ingress& ingress_;
  BlockQueue<Task> local_;
  IngressChain chain_;
};

}  // namespace gyre::internal
