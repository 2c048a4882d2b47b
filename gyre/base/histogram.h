#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace gyre {

/// How often values of each size were seen: recording one costs a few instructions, asking for a quantile a pass over
/// the buckets, however many values there were. Values from 0 to 2^64-1; for durations, use nanoseconds.
///
/// Buckets are as wide as a 32nd of the power of two that they lie in (log-linear, as in G. Tene's HdrHistogram), so a
/// quantile is off by at most 1.6 % of its value; below 64 it is exact. Histograms add up (`merge`). Not for use by
/// several threads at once. 15 KiB.
class Histogram {
 public:
  void record(std::uint64_t value) noexcept { record(value, 1); }
  void record(std::uint64_t value, std::uint64_t times) noexcept {
    buckets_[bucket_of(value)] += times;
    count_ += times;
    sum_ += static_cast<Wide>(value) * times;
    max_ = std::max(max_, value);
    min_ = std::min(min_, value);
  }

  std::uint64_t count() const noexcept { return count_; }
  /// Exact. 0 if there are no values.
  std::uint64_t max() const noexcept { return max_; }
  std::uint64_t min() const noexcept { return count_ == 0 ? 0 : min_; }
  double mean() const noexcept { return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_); }
  double sum() const noexcept { return static_cast<double>(sum_); }

  /// The value below which `fraction` of all values lie, 0 to 1: the one with rank ceil(fraction * count), the first
  /// for 0. 0 if there are no values.
  std::uint64_t quantile(double fraction) const noexcept {
    if (count_ == 0) return 0;
    const double wanted = std::clamp(fraction, 0.0, 1.0) * static_cast<double>(count_);
    auto rank = static_cast<std::uint64_t>(wanted);
    if (static_cast<double>(rank) < wanted || rank == 0) ++rank;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      seen += buckets_[i];
      if (seen >= rank) return std::clamp(middle_of(i), min(), max_);
    }
    return max_;
  }

  void merge(const Histogram& other) noexcept {
    for (std::size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    max_ = std::max(max_, other.max_);
    min_ = std::min(min_, other.min_);
  }

  /// Calls `visit(upper_bound, count)` for each bucket that holds values, in order; no value of a bucket is greater
  /// than its upper bound.
  template <typename Visitor>
  void for_each_bucket(Visitor visit) const {
    for (std::size_t i = 0; i < kBuckets; ++i) {
      if (buckets_[i] != 0) visit(last_of(i), buckets_[i]);
    }
  }

 private:
  __extension__ typedef unsigned __int128 Wide;  // `using` does not take the word that quiets the compilers
  static constexpr int kBits = 5;
  static constexpr std::uint64_t kHalf = 1 << kBits;
  // Values below 2 * kHalf have a bucket each; every power of two above is divided into kHalf.
  static constexpr std::size_t kBuckets = (64 - kBits + 1) * kHalf;

  static constexpr std::size_t bucket_of(std::uint64_t value) noexcept {
    if (value < 2 * kHalf) return static_cast<std::size_t>(value);
    const int shift = std::bit_width(value) - 1 - kBits;
    return static_cast<std::size_t>(shift) * kHalf + static_cast<std::size_t>(value >> shift);
  }
  static constexpr std::uint64_t first_of(std::size_t bucket) noexcept {
    if (bucket < 2 * kHalf) return bucket;
    const std::size_t shift = bucket / kHalf - 1;
    return (bucket - shift * kHalf) << shift;
  }
  static constexpr std::uint64_t last_of(std::size_t bucket) noexcept {
    return bucket + 1 == kBuckets ? std::numeric_limits<std::uint64_t>::max() : first_of(bucket + 1) - 1;
  }
  static constexpr std::uint64_t middle_of(std::size_t bucket) noexcept {
    return first_of(bucket) + (last_of(bucket) - first_of(bucket)) / 2;
  }

  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
  std::uint64_t min_ = std::numeric_limits<std::uint64_t>::max();
  Wide sum_ = 0;
};

}  // namespace gyre
