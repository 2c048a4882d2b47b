#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <thread>

#include <gyre/base/cache_line.h>

namespace gyre::rate::internal {

/// How a visit ended, for the statistics.
enum class Visit : std::uint8_t { accepted, rejected, nothing };

/// Lets threads read a structure without locks while another takes parts out of it: a part may be freed when everybody
/// has left who could have seen it. Visitors are counted as they come and as they leave, by what happened, so that
/// statistics cost nothing.
///
/// Each thread counts in a stripe of its own, where nobody else writes; threads beyond the number of stripes share
/// some. A stripe is never given back: a later thread of the same id takes it over.
///
/// Epochs: a visitor belongs to the epoch in which it came, and visitors are counted by the parity of their epoch. The
/// epoch moves from e to e + 1 only when nobody of e - 1 is left. What was taken out in epoch e can be seen by visitors
/// of e - 1 and e; hence nobody sees it once the epoch is e + 2. (K. Fraser: Practical Lock-Freedom, 2004,
/// section 5.2.)
///
/// Coming, the epoch, and counting visitors are sequentially consistent: a visitor adds itself and then looks (at the
/// epoch, at what it visits), the other side changes and then counts visitors; one of the two always sees the other.
class VisitorGate {
 private:
  struct alignas(kCacheLinePair) Stripe {
    std::atomic<std::thread::id> owner{};
    std::atomic<std::uint64_t> came[2] = {};
    std::atomic<std::uint64_t> left[3][2] = {};
    std::atomic<std::uint64_t> rejected_outside{0};
  };

 public:
  VisitorGate() : stripes_(std::make_unique<Stripe[]>(stripe_count() + kSharedStripes)), mask_(stripe_count() - 1) {}

  class Place {
   public:
    Place(VisitorGate& gate) : stripe_(gate.stripe(shared_)) {  // NOLINT(google-explicit-constructor)
      for (;;) {
        const std::uint64_t epoch = gate.epoch_.load();
        parity_ = epoch & 1;
        add(stripe_.came[parity_], std::memory_order_seq_cst);
        if (gate.epoch_.load() == epoch) return;
        leave(Visit::nothing);
      }
    }
    Place(const Place&) = delete;
    ~Place() {
      if (!left_) leave(Visit::nothing);
    }
    /// Returns how many visits through this stripe and of this parity ended like this before.
    std::uint64_t end(Visit visit) noexcept {
      left_ = true;
      return leave(visit);
    }

   private:
    std::uint64_t leave(Visit visit) noexcept {
      // Release pairs with the loads in has_visitors: who sees that nobody is left sees what was done inside.
      return add(stripe_.left[static_cast<std::size_t>(visit)][parity_], std::memory_order_release);
    }
    // Returns the count before.
    std::uint64_t add(std::atomic<std::uint64_t>& count, std::memory_order order) noexcept {
      if (shared_) return count.fetch_add(1, order);
      const std::uint64_t before = count.load(std::memory_order_relaxed);  // nobody else writes it
      count.store(before + 1, order);
      return before;
    }
    bool shared_ = false;
    Stripe& stripe_;
    std::size_t parity_ = 0;
    bool left_ = false;
  };

  std::uint64_t epoch() const noexcept { return epoch_.load(); }

  /// Moves the epoch on, if nobody of the one before is left.
  void try_advance() noexcept {
    std::uint64_t epoch = epoch_.load();
    if (!has_visitors((epoch - 1) & 1)) epoch_.compare_exchange_strong(epoch, epoch + 1);
  }

  /// Whether anybody is inside at this moment.
  bool has_visitors() const noexcept { return has_visitors(0) || has_visitors(1); }

  std::uint64_t count(Visit visit) const noexcept {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i <= mask_ + kSharedStripes; ++i) {
      const auto& left = stripes_[i].left[static_cast<std::size_t>(visit)];
      sum += left[0].load() + left[1].load();
      if (visit == Visit::rejected) sum += stripes_[i].rejected_outside.load();
    }
    return sum;
  }
  /// Counts a rejection that needed no visit.
  void add_rejected() noexcept {
    bool shared = false;
    stripe(shared).rejected_outside.fetch_add(1, std::memory_order_relaxed);  // a number, no more
  }

 private:
  static constexpr std::size_t kProbes = 8;
  static constexpr std::size_t kSharedStripes = 8;

  static std::size_t stripe_count() noexcept {
    return std::bit_ceil(std::size_t{8} * std::max(1U, std::thread::hardware_concurrency()));
  }
  Stripe& stripe(bool& shared) noexcept {
    const std::thread::id me = std::this_thread::get_id();
    // An address or a number with its lowest bits alike; multiplied, the upper half depends on all of them.
    const std::size_t hash = std::bit_cast<std::uintptr_t>(me) * 0x9E3779B97F4A7C15U >> 32;
    for (std::size_t i = 0; i < kProbes; ++i) {
      Stripe& candidate = stripes_[(hash + i) & mask_];
      // Relaxed: only this thread ever makes it equal to its own id.
      std::thread::id owner = candidate.owner.load(std::memory_order_relaxed);
      if (owner == me) return candidate;
      if (owner == std::thread::id() && candidate.owner.compare_exchange_strong(owner, me, std::memory_order_relaxed)) {
        return candidate;
      }
    }
    shared = true;
    return stripes_[mask_ + 1 + (hash & (kSharedStripes - 1))];
  }
  bool has_visitors(std::size_t parity) const noexcept {
    for (std::size_t i = 0; i <= mask_ + kSharedStripes; ++i) {
      // Whoever has left had come before, so if as many have come as had left a moment ago, nobody is inside.
      std::uint64_t left = 0;
      for (const auto& by_outcome : stripes_[i].left) left += by_outcome[parity].load();
      if (stripes_[i].came[parity].load() != left) return true;
    }
    return false;
  }

  alignas(kCacheLinePair) std::atomic<std::uint64_t> epoch_{2};
  std::unique_ptr<Stripe[]> stripes_;
  const std::size_t mask_;
};

}  // namespace gyre::rate::internal
