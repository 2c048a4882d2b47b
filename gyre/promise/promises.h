#pragma once

#include <cstddef>
#include <stdexcept>
#include <utility>

#include <gyre/promise/promise_domain.h>

namespace gyre {

/// The promises of one part of a program on a loop, with options of their own: who is told of unhandled rejections, how
/// much is recorded for their traces. All domains of a loop share its microtasks, and so one order.
///
/// Promises that are made from a `Loop` itself belong to the domain that `Promises::of` shows. Belongs to the loop's
/// thread; may be destroyed before or after its promises and its loop.
class Promises {
 public:
  /// Throws `std::invalid_argument` for options out of range, `std::logic_error` if the loop has ended.
  explicit Promises(Loop& loop, PromiseOptions options = {})
      : domain_(internal::StatePtr<internal::PromiseDomain>::adopt(
            internal::PromiseDomain::make(loop, std::move(options)))) {}
  /// The loop's own, to set its options.
  static Promises of(Loop& loop) { return Promises(internal::PromiseDomain::of(loop)); }

  /// May be changed at any time, on the loop's thread.
  PromiseOptions& options() noexcept { return domain_->options(); }
  /// Promises whose state is still in memory.
  std::size_t live() const noexcept { return domain_->live_promises(); }
  /// Promises that the end of the loop would reject: those that are pending, with a resolver, a coroutine, or another
  /// promise to settle them. Takes time in proportion to their number.
  std::size_t registered() const noexcept { return domain_->registered(); }
  /// Rejections that wait for a handler, or for being reported.
  std::size_t unhandled() const noexcept { return domain_->unhandled(); }

 private:
  friend class PromiseHome;
  explicit Promises(internal::PromiseDomain& domain) : domain_(domain) {}

  internal::StatePtr<internal::PromiseDomain> domain_;
};

/// Where a promise is to live, as a parameter: pass a `Loop`, a `Promises`, or another promise, whose home it shares.
class PromiseHome {
 public:
  PromiseHome(Loop& loop) : domain_(internal::PromiseDomain::of(loop)) {}  // NOLINT(google-explicit-constructor)
  PromiseHome(const Promises& promises) noexcept                           // NOLINT(google-explicit-constructor)
      : domain_(*promises.domain_) {}
  PromiseHome(const internal::PromiseBase& promise) noexcept  // NOLINT(google-explicit-constructor)
      : domain_(promise.domain()) {}
  explicit PromiseHome(internal::PromiseDomain& domain) noexcept : domain_(domain) {}

  internal::PromiseDomain& domain() const noexcept { return domain_; }
  /// Throws `std::logic_error` if the loop has ended.
  Loop& loop() const {
    if (domain_.loop() == nullptr) throw std::logic_error("gyre: the loop of these promises has ended");
    return *domain_.loop();
  }

 private:
  internal::PromiseDomain& domain_;
};

}  // namespace gyre
