#pragma once

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <gyre/base/error.h>

namespace gyre {

class Reason;

/// What `any` is rejected with when none of its promises was fulfilled: every reason, in the order of the promises.
class AggregateError : public std::exception {
 public:
  explicit AggregateError(std::vector<Reason> reasons);
  const char* what() const noexcept override { return "all promises were rejected"; }
  std::span<const Reason> reasons() const noexcept;

 private:
  std::shared_ptr<const std::vector<Reason>> reasons_;
};

namespace internal {

struct ReasonBody;
class PromiseBase;
class PromiseDomain;
class PromiseRecords;

/// In a catch-all: lets through what no C++ code has thrown, which is the cancellation of this thread.
inline void let_unwinding_pass() {
  if (std::current_exception() == nullptr) throw;
}

}  // namespace internal

/// Why a promise was rejected: an `Error`, and the exception it was made from, if it was one, so that it can be thrown
/// again and matched by type. Immutable; copying costs a reference count; may be handed between threads.
class Reason {
 public:
  Reason(Error error);                   // NOLINT(google-explicit-constructor): an error is a reason
  Reason(std::exception_ptr exception);  // NOLINT(google-explicit-constructor)
  Reason(Errc code, std::string message) : Reason(Error(code, std::move(message))) {}
  /// A reason that is an exception of type `E`.
  template <typename E>
    requires std::derived_from<std::remove_cvref_t<E>, std::exception>
  Reason(E&& exception)  // NOLINT(google-explicit-constructor)
      : Reason(std::make_exception_ptr(std::forward<E>(exception))) {}

  Reason(const Reason& other) noexcept;
  Reason(Reason&& other) noexcept : body_(std::exchange(other.body_, nullptr)) {}
  Reason& operator=(Reason other) noexcept {
    std::swap(body_, other.body_);
    return *this;
  }
  ~Reason();

  /// The exception that is being handled; to be called in a catch clause.
  static Reason current() { return Reason(std::current_exception()); }

  const Error& error() const noexcept;
  operator const Error&() const noexcept { return error(); }  // NOLINT(google-explicit-constructor)
  const std::error_code& code() const noexcept { return error().code(); }
  const std::string& message() const noexcept { return error().message(); }
  bool is(Errc code) const noexcept { return error().is(code); }
  bool is(std::errc code) const noexcept { return error().is(code); }

  /// The exception that it was made from; null if it was an `Error`.
  const std::exception_ptr& exception() const noexcept;
  /// Throws the exception that it was made from, or an `ErrorException` with the error.
  [[noreturn]] void rethrow() const;
  /// The exception, if it is an `E` or derived from one; else the first `E` among the exceptions nested in it and the
  /// reasons of an `AggregateError`; else null. `E` may be any type that can be thrown. The pointer is valid as long as
  /// a copy of this reason lives. Takes microseconds: it throws.
  template <typename E>
  const E* as() const {
    const E* found = nullptr;
    find([&](const std::exception_ptr& exception) {
      try {
        std::rethrow_exception(exception);
      } catch (const E& match) {
        found = &match;
      } catch (...) {
        internal::let_unwinding_pass();
      }
      return found != nullptr;
    });
    return found;
  }

  /// Where the promise that was rejected first was made, and where the promises before it in its chain were: the
  /// nearest first. Empty unless `PromiseOptions::trace_depth` is set.
  std::span<const std::source_location> trace() const noexcept;
  /// The error's text, and a line for each place of the trace: "    at function (file:line)".
  std::string to_string() const;

  /// The same reason, not an equal one.
  friend bool operator==(const Reason& a, const Reason& b) noexcept { return a.body_ == b.body_; }

 private:
  friend class internal::PromiseBase;
  friend class internal::PromiseDomain;
  friend class internal::PromiseRecords;

  explicit Reason(internal::ReasonBody* body) noexcept : body_(body) {}
  static Reason with_trace(const Reason& reason, std::vector<std::source_location> trace);
  void find(const std::function<bool(const std::exception_ptr&)>& visit) const;
  internal::ReasonBody* release() noexcept { return std::exchange(body_, nullptr); }

  internal::ReasonBody* body_;
};

}  // namespace gyre
