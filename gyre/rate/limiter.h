#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>

#include <gyre/base/clock.h>
#include <gyre/base/error.h>
#include <gyre/rate/decision.h>
#include <gyre/rate/key.h>
#include <gyre/rate/options.h>
#include <gyre/rate/rates.h>

namespace gyre::rate {

namespace internal {
class LimiterCore;
struct Record;
}  // namespace internal

struct Statistics {
  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0;     ///< For whatever reason.
  std::uint64_t evicted = 0;      ///< Categories that made room for new ones.
  std::uint64_t expired = 0;      ///< Categories that were removed because nothing of them mattered any more.
  std::uint64_t refused_new = 0;  ///< Rejections for want of a place (`Refusal::capacity`).
  std::uint64_t folded = 0;       ///< Attempts that were judged in the common category.
  std::size_t categories = 0;
  std::size_t bytes = 0;  ///< Memory of the limiter, without what keys allocate themselves.
};

/// What limiters have in common, whatever their keys. Use `Limiter`.
class LimiterBase {
 public:
  LimiterBase() noexcept;
  LimiterBase(LimiterBase&&) noexcept;
  LimiterBase& operator=(LimiterBase&&) noexcept;
  ~LimiterBase();

  /// Gives an acceptance back, if it is the last one of its category; false otherwise, and for one that was given back
  /// before.
  bool undo(const Ticket& ticket);
  /// Forgets all categories.
  void clear_all();
  /// How many categories are held.
  std::size_t size() const;
  /// Removes categories whose last event is older than all windows; looks at `budget` places of the table at most,
  /// going on where it stopped. Returns how many it removed.
  std::size_t sweep(std::size_t budget = std::numeric_limits<std::size_t>::max());
  Statistics statistics() const;

  Rates rates() const;
  /// Judges by `rates` from now on, all categories in one step: what they remember is kept, as far as the old rates
  /// made them remember it. Callers of other functions wait meanwhile (about 50 ns a category). Errors:
  /// `invalid_argument` if the memory mode cannot hold them, `out_of_memory`; nothing has changed then.
  Result<void> set_rates(Rates rates);

 protected:
  /// What the code that is common to all keys must know of one.
  struct KeyType {
    std::size_t size;
    std::size_t alignment;
    bool hash_identifies;
    bool (*equal)(const void* stored, const void* view);
    void (*construct)(void* where, const void* view);
    void (*destroy)(void* stored) noexcept;
  };
  struct KeyView {
    std::uint64_t hash;
    const void* view;
  };
  friend class internal::LimiterCore;

  LimiterBase(Rates rates, const LimiterOptions& options, const KeyType& key_type);

  std::uint64_t seed() const noexcept { return seed_; }
  TimePoint now() const noexcept;
  Decision allow_at(TimePoint now, const KeyView& key, std::int64_t cost);
  Decision peek_at(TimePoint now, const KeyView& key, std::int64_t cost) const;
  bool clear(const KeyView& key);
  internal::Record* resolve(const KeyView& key);
  Decision allow_at(TimePoint now, internal::Record& record, std::int64_t cost);
  Decision peek_at(TimePoint now, internal::Record& record, std::int64_t cost) const;
  void release(internal::Record* record) noexcept;
  internal::LimiterCore* core() const noexcept { return core_.get(); }

 private:
  std::unique_ptr<internal::LimiterCore> core_;
  std::uint64_t seed_ = 0;
};

/// Says whether something may happen now, once more, under several windows at once ("10 per second and 300 per
/// minute"), for each of many categories by itself; if not, when. It never sleeps, queues or delays.
///
/// ```
/// rate::Limiter<std::string> logins(*rate::Rates::create({{.duration = 1min, .limit = 5}}));
/// if (const auto decision = logins.allow(user); !decision) return retry_after(decision.wait);
/// ```
///
/// Exact (`LimiterOptions::memory` trades exactness for memory): with any number of threads, no window of any category
/// ever holds more than its limit. Every function is safe from any thread. A refusal takes no lock. Nothing is started
/// in the background: idle categories are removed a few at a time by later acceptances, and by `sweep`.
///
/// Keys are compared as `KeyTraits<Key>` says; their hash is seeded at random for each limiter. Comparing and hashing
/// must not call the limiter.
template <typename Key>
class Limiter : public LimiterBase {
 public:
  using Traits = KeyTraits<Key>;
  using View = typename Traits::View;
  class Category;

  /// Admits everything.
  Limiter() = default;
  /// Throws std::invalid_argument for options that make no sense.
  explicit Limiter(Rates rates, const LimiterOptions& options = {})
      : LimiterBase(std::move(rates), options, kKeyType) {}
  /// A token bucket for each category; `options.memory` is not used. Error `invalid_argument` unless all numbers are
  /// positive.
  static Result<Limiter> token_buckets(const TokenBucket& bucket, LimiterOptions options = {}) {
    auto rates = Rates::create({{.duration = bucket.per, .limit = bucket.tokens}});
    if (!rates) return std::unexpected(rates.error());
    if (bucket.burst <= 0) return fail(Errc::invalid_argument, "a token bucket must hold at least one token");
    options.memory = Gcra{.burst = bucket.burst, .at_most_limit = false};
    return Limiter(std::move(*rates), options);
  }

  /// Records `cost` events of `key` if all windows have room for them. `cost` must be positive (std::invalid_argument).
  /// A refusal costs nothing: it does not postpone the next acceptance.
  Decision allow(View key, std::int64_t cost = 1) { return allow_at(now(), key, cost); }
  /// The same, for a caller who has read the limiter's clock already.
  Decision allow_at(TimePoint now, View key, std::int64_t cost = 1) {
    return LimiterBase::allow_at(now, view_of(key), cost);
  }
  /// What `allow` would say, without recording anything.
  Decision peek(View key, std::int64_t cost = 1) const { return peek_at(now(), key, cost); }
  Decision peek_at(TimePoint now, View key, std::int64_t cost = 1) const {
    return LimiterBase::peek_at(now, view_of(key), cost);
  }
  /// How long until one more is accepted; zero if it would be now.
  Duration time_until(View key) const {
    const Decision decision = peek(key);
    return decision.accepted ? Duration::zero() : decision.wait;
  }
  /// Forgets a category; false if it was not held.
  bool clear(View key) { return LimiterBase::clear(view_of(key)); }

  /// A name for the category that needs no lookup, for whoever asks often. The category stays while the name lives.
  /// Error `limit_exceeded` if there is no place for it, `out_of_memory`.
  Result<Category> category(View key) {
    if (core() == nullptr) return Category();
    internal::Record* record = resolve(view_of(key));
    if (record == nullptr) {
      return fail(Errc::limit_exceeded,
                  "no place for a new category; raise LimiterOptions::max_categories or free memory");
    }
    return Category(this, record);
  }

 private:
  static constexpr KeyType kKeyType = {
      .size = sizeof(Key), .alignment = alignof(Key), .hash_identifies = requires {requires Traits::kHashIdentifies;
},
    .equal =
        [](const void* stored, const void* view) {
          return Traits::equal(*static_cast<const Key*>(stored),
                               *static_cast<const std::remove_reference_t<View>*>(view));
        },
    .construct =
        [](void* where, const void* view) {
          ::new (where) Key(Traits::make(*static_cast<const std::remove_reference_t<View>*>(view)));
        },
    .destroy = [](void* stored) noexcept { static_cast<Key*>(stored)->~Key(); },
};  // namespace gyre::rate
KeyView view_of(const std::remove_reference_t<View>& key) const {
  return {Traits::hash(key, seed()), &key};
}
}
;

/// Belongs to one thread at a time, and must not outlive its limiter, nor its limiter's being moved.
template <typename Key>
class Limiter<Key>::Category {
 public:
  /// Admits everything.
  Category() = default;
  Category(Category&& other) noexcept
      : limiter_(std::exchange(other.limiter_, nullptr)), record_(std::exchange(other.record_, nullptr)) {}
  Category& operator=(Category&& other) noexcept {
    std::swap(limiter_, other.limiter_);
    std::swap(record_, other.record_);
    return *this;
  }
  ~Category() {
    if (limiter_ != nullptr) limiter_->release(record_);
  }

  Decision allow(std::int64_t cost = 1) { return limiter_ == nullptr ? Decision() : allow_at(limiter_->now(), cost); }
  Decision allow_at(TimePoint now, std::int64_t cost = 1) {
    return limiter_ == nullptr ? Decision() : limiter_->LimiterBase::allow_at(now, *record_, cost);
  }
  Decision peek(std::int64_t cost = 1) const {
    return limiter_ == nullptr ? Decision() : limiter_->LimiterBase::peek_at(limiter_->now(), *record_, cost);
  }

 private:
  friend class Limiter;
  Category(Limiter* limiter, internal::Record* record) : limiter_(limiter), record_(record) {}

  Limiter* limiter_ = nullptr;
  internal::Record* record_ = nullptr;
};

}  // namespace gyre::rate
