#pragma once

#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include <gyre/promise/copyable.h>
#include <gyre/promise/promise_base.h>
#include <gyre/promise/promise_domain.h>

namespace gyre {

template <typename T>
class Promise;

namespace internal {

/// The state of a promise with a place for its value.
template <typename T>
class PromiseState : public PromiseBase {
 public:
  static_assert(std::is_object_v<T> && !std::is_array_v<T>, "a promise is of an object type or void");

  static PromiseState* make(PromiseDomain& domain) { return make_in_block<PromiseState>(domain); }

  /// Settles. If making the value throws, the promise is as it was.
  template <typename... Args>
  void fulfil(Args&&... args) {
    ::new (static_cast<void*>(storage_)) T(std::forward<Args>(args)...);
    publish_fulfilled();
  }
  /// With what a promise was settled with that is settled, copied, or moved where nobody else can see it any more.
  void settle_as(PromiseState& source, bool source_was_reported) noexcept {
    if (source.status() == PromiseStatus::rejected) {
      reject_as(source, source_was_reported);
      return;
    }
    try {
      if (source.is_unique() || !kIsCopyable<T>) {
        fulfil(std::move(source.take()));
      } else if constexpr (kIsCopyable<T>) {
        fulfil(std::as_const(source.value()));
      }
    } catch (...) {
      reject(Reason::current());
    }
  }

  T& value() noexcept { return *std::launder(reinterpret_cast<T*>(storage_)); }
  /// The value, to be moved away. Throws if that has happened before.
  T& take() {
    if (value_taken_) {
      throw ErrorException(Error(Errc::wrong_type,
                                 "the promise's value was moved out by another consumer; a value that cannot be copied "
                                 "has one consumer"));
    }
    value_taken_ = true;
    return value();
  }
  bool has_value() const noexcept { return status() == PromiseStatus::fulfilled && !value_taken_; }

  explicit PromiseState(PromiseDomain& domain) noexcept : PromiseBase(domain) {}

 protected:
  ~PromiseState() override {
    if (status() == PromiseStatus::fulfilled) value().~T();
  }
  void destroy() noexcept override { destroy_in_block(this); }

  template <typename Block>
  friend void destroy_in_block(Block* block) noexcept;

 private:
  alignas(T) std::byte storage_[sizeof(T)];
};

template <>
class PromiseState<void> : public PromiseBase {
 public:
  static PromiseState* make(PromiseDomain& domain) { return make_in_block<PromiseState>(domain); }

  void fulfil() noexcept { publish_fulfilled(); }
  void settle_as(PromiseState& source, bool source_was_reported) noexcept {
    if (source.status() == PromiseStatus::rejected) {
      reject_as(source, source_was_reported);
    } else {
      fulfil();
    }
  }

  explicit PromiseState(PromiseDomain& domain) noexcept : PromiseBase(domain) {}

 protected:
  ~PromiseState() override = default;
  void destroy() noexcept override { destroy_in_block(this); }

  template <typename Block>
  friend void destroy_in_block(Block* block) noexcept;
};

static_assert(sizeof(PromiseState<void*>) <= 72);

// --- Following ---

/// Settles `target` as `inner` is settled. As in ECMAScript, a microtask looks at `inner`, and another one, once
/// `inner` is settled, passes its settlement on.
template <typename T>
class Follower final : public Reaction {
 public:
  /// `target` is not claimed yet.
  static void follow(PromiseState<T>& target, PromiseState<T>& inner) {
    if (&target == &inner) {
      target.reject(Error(Errc::promise_cycle, "a promise was resolved with itself"));
      return;
    }
    if (target.domain().loop_id() != inner.domain().loop_id()) {
      throw std::logic_error("gyre: a promise of another loop must be handed over; see forward()");
    }
    if (auto refusal = target.refuses_to_wait_for(inner)) [[unlikely]] {
      target.reject(*std::move(refusal));
      return;
    }
    if (!target.bind_to(inner)) return;
    const bool was_reported = inner.mark_passed_on();
    target.retain();
    inner.domain().enqueue(*make_in_block<Follower>(target, was_reported), inner);
  }

  Follower(PromiseState<T>& target, bool was_reported) : target_(&target), was_reported_(was_reported) {}

  void run(PromiseBase& source) override {
    if (!looked_) {
      looked_ = true;
      source.add_reaction(*this);
    } else {
      pass_on(source);
    }
  }
  void refuse(PromiseBase& source) noexcept override {
    if (source.is_pending()) {
      looked_ = true;
      source.add_reaction(*this);
    } else {
      pass_on(source);
    }
  }
  void abandon() noexcept override {
    target_->unbind();
    if (target_->is_pending() && !target_->is_unique()) {
      target_->reject(Error(Errc::broken, "the promise was abandoned: the one that it followed has gone"));
    }
    finish();
  }

 private:
  void pass_on(PromiseBase& source) noexcept {
    // The end of the loop may have rejected it before.
    if (target_->is_pending()) target_->settle_as(static_cast<PromiseState<T>&>(source), was_reported_);
    finish();
  }
  void finish() noexcept {
    PromiseState<T>* const target = target_;
    destroy_in_block(this);
    target->release();
  }

  PromiseState<T>* const target_;
  bool looked_ = false;
  const bool was_reported_;
};

}  // namespace internal

}  // namespace gyre
