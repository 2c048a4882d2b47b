#include <algorithm>

#include <gyre/loop/internal/ingress.h>

namespace gyre::internal {
namespace {

// Seals the thread's block when the thread ends.
struct CacheCloser {
  bool registered = false;
  ~CacheCloser() {
    ProducerCache& cache = producer_cache;
    IngressBlock* const block = std::exchange(cache.block, nullptr);
    if (block != nullptr && block->seal(cache.used)) delete block;
    cache.closed = true;
  }
};
thread_local CacheCloser cache_closer;

// Fetches all of a block that a loop has read. Otherwise each record's first write waits until the loop's core has
// given up its copy, and the atomic operation that publishes the record waits for that.
void fetch_for_writing(IngressBlock* block) noexcept {
  auto* const bytes = reinterpret_cast<const char*>(block);
  for (std::size_t offset = 0; offset < sizeof(*block); offset += 64) {
#if defined(__x86_64__)
    asm volatile("prefetchw %0" : : "m"(bytes[offset]));  // the compiler's own fetches for reading on the oldest models
#else
    __builtin_prefetch(bytes + offset, 1);
#endif
  }
}

}  // namespace

// --- Pool ---

IngressBlock* IngressPool::take() {
  {
    const std::lock_guard lock(mutex_);
    if (blocks_ != nullptr) {
      IngressBlock* const block = blocks_;
      blocks_ = block->next;
      lowest_ = std::min(lowest_, --count_);
      block->reopen();
      return block;
    }
    lowest_ = 0;
  }
  return new IngressBlock;
}

bool IngressPool::try_give(IngressBlock* block) noexcept {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return false;
  block->next = blocks_;
  blocks_ = block;
  ++count_;
  return true;
}

bool IngressPool::trim() noexcept {
  IngressBlock* given_back = nullptr;
  bool has_excess;
  {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock) return true;
    for (; lowest_ > 0 && count_ > kKept; --lowest_, --count_) {
      IngressBlock* const block = blocks_;
      blocks_ = block->next;
      block->next = given_back;
      given_back = block;
    }
    lowest_ = count_;
    has_excess = count_ > kKept;
  }
  free_list(given_back);
  return has_excess;
}

bool IngressPool::has_excess() noexcept {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  return !lock || count_ > kKept;
}

void IngressPool::clear() noexcept {
  IngressBlock* all;
  {
    const std::lock_guard lock(mutex_);
    all = std::exchange(blocks_, nullptr);
    count_ = lowest_ = 0;
  }
  free_list(all);
}

void IngressPool::free_list(IngressBlock* list) noexcept {
  while (list != nullptr) delete std::exchange(list, list->next);
}

// --- Ingress ---

Ingress::~Ingress() {
  IngressChain left;
  take(left, left);
  while (!left.empty()) finish(left.pop());
  release_memory();
}

void Ingress::discard(IngressRecord& record) noexcept {
  IngressBlock* const block = &record.block();
  record.task().~Task();
  if (block->finish(1)) delete block;
}

void Ingress::renew_block() {
  ProducerCache& cache = producer_cache;
  if (cache.closed) {
    // This comes from the destructor of another thread-local object. Nobody will seal the block later: it holds one.
    cache.block = pool_.take();
    static_cast<void>(cache.block->seal(1));
    cache.used = IngressBlock::kRecords - 1;
    return;
  }
  if (cache.block != nullptr) {
    IngressBlock* const full = std::exchange(cache.block, nullptr);
    if (full->seal(cache.used)) {  // all that was in it is over
      full->reopen();
      cache.block = full;
      cache.used = 0;
      return;
    }
  }
  cache.block = pool_.take();
  cache.used = 0;
  fetch_for_writing(cache.block);
  cache_closer.registered = true;  // using it is what makes the thread destroy it
}

void Ingress::report_finished(IngressBlock* next) noexcept {
  IngressBlock* const block = std::exchange(finishing_, next);
  const std::uint32_t count = std::exchange(finished_, 0);
  if (block != nullptr && block->finish(count)) recycle(block);
}

void Ingress::recycle(IngressBlock* block) noexcept {
  block->next = std::exchange(returning_, nullptr);
  while (block != nullptr) {
    IngressBlock* const next = block->next;
    if (!pool_.try_give(block)) {
      block->next = next;
      returning_ = block;
      return;
    }
    block = next;
  }
}

bool Ingress::trim() noexcept {
  report_finished(nullptr);
  return pool_.trim();
}

void Ingress::release_memory() noexcept {
  report_finished(nullptr);
  while (returning_ != nullptr) delete std::exchange(returning_, returning_->next);
  pool_.clear();
}

}  // namespace gyre::internal
