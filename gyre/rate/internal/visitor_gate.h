#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

#include <gyre/base/cache_line.h>

namespace gyre::rate::internal {

/// How a visit ended, for the statistics.
enum class Visit : std::uint8_t { accepted, rejected, nothing };

/// Lets threads read a structure without locks while another takes parts out of it: a part may be freed when everybody
/// has left who could have seen it. Coming and going is one atomic addition each, on a cache line that few threads
/// share; the addition on leaving also counts what happened, so that statistics cost nothing.
///
/// Epochs: a visitor belongs to the epoch in which it came, and visitors are counted by the parity of their epoch. The
/// epoch moves from e to e + 1 only when nobody of e - 1 is left. What was taken out in epoch e can be seen by visitors
/// of e - 1 and e; hence nobody sees it once the epoch is e + 2. (K. Fraser: Practical Lock-Freedom, 2004, section 5.2.)
///
/// All accesses are sequentially consistent: a visitor adds itself and then looks (at the epoch, at what it visits),
/// the other side changes and then counts visitors; one of the two always sees the other.
class VisitorGate {
 private:
  struct alignas(kCacheLinePair) Stripe {
    std::atomic<std::uint64_t> came[2] = {};
    std::atomic<std::uint64_t> left[3][2] = {};
    std::atomic<std::uint64_t> rejected_outside{0};
  };

 public:
  VisitorGate()
      : stripes_(std::make_unique<Stripe[]>(stripe_count())), mask_(stripe_count() - 1) {}

  class Place {
   public:
    Place(VisitorGate& gate) : stripe_(gate.stripe()) {  // NOLINT(google-explicit-constructor)
      for (;;) {
        const std::uint64_t epoch = gate.epoch_.load();
        parity_ = epoch & 1;
        stripe_.came[parity_].fetch_add(1);
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
      return stripe_.left[static_cast<std::size_t>(visit)][parity_].fetch_add(1);
    }
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
    for (std::size_t i = 0; i <= mask_; ++i) {
      const auto& left = stripes_[i].left[static_cast<std::size_t>(visit)];
      sum += left[0].load() + left[1].load();
      if (visit == Visit::rejected) sum += stripes_[i].rejected_outside.load();
    }
    return sum;
  }
  /// Counts a rejection that needed no visit.
  void add_rejected() noexcept { stripe().rejected_outside.fetch_add(1); }

 private:
  static std::size_t stripe_count() noexcept {
    return std::bit_ceil(std::size_t{4} * std::max(1U, std::thread::hardware_concurrency()));
  }
  Stripe& stripe() noexcept {
    const std::size_t hash = std::hash<std::thread::id>()(std::this_thread::get_id());
    return stripes_[(hash >> 4) & mask_];
  }
  bool has_visitors(std::size_t parity) const noexcept {
    for (std::size_t i = 0; i <= mask_; ++i) {
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
