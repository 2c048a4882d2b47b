#pragma once

#include <concepts>
#include <cstddef>
#include <exception>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <gyre/base/uuid.h>

namespace gyre {

/// What went wrong, as a number that programs can act on. The values are stable: they may be stored and compared
/// across versions. New ones are added at the end.
enum class Errc {
  invalid_argument = 1,     ///< A value given at run time (an option, a path, a script's argument) is not usable.
  terminated = 2,           ///< The loop or runtime has ended, or is ending and accepts no new work.
  already_running = 3,      ///< Another thread is running this loop.
  reentrant_run = 4,        ///< `run` was called from a callback of the same loop.
  reentrant_close = 5,      ///< `close` was called on the loop's own thread while it runs.
  timer_not_found = 6,      ///< The timer is unknown, has fired, or was cancelled before.
  timer_ids_exhausted = 7,  ///< All timer ids are used up; make a new loop.
  immediate_not_found = 8,  ///< The immediate is unknown, has run, or was cancelled before.
  fd_already_registered = 9,
  fd_not_registered = 10,
  unsupported = 11,       ///< This platform or build cannot do it.
  timed_out = 12,         ///< A deadline passed first. Temporary.
  cancelled = 13,         ///< Stopped on request.
  backpressure = 14,      ///< A queue is full. Temporary: try again when it has drained.
  limit_exceeded = 15,    ///< A configured limit was hit; the message names it and how to raise it.
  callback_failed = 16,   ///< A callback threw; the message holds the exception's text.
  script_failed = 17,     ///< JavaScript threw an exception that nothing caught.
  syntax_error = 18,      ///< JavaScript source that does not parse.
  module_not_found = 19,  ///< An import specifier leads nowhere.
  not_found = 20,
  wrong_type = 21,     ///< A JavaScript value is not of the type that the C++ side asked for.
  out_of_memory = 22,  ///< A memory limit was reached.
  permission_denied = 23,
  broken = 24,                  ///< The party that was to give the result has gone without giving one.
  fast_path_incompatible = 25,  ///< The loop may not use the kernel's poller, or has descriptors to watch with it.
  promise_cycle = 26,           ///< A promise was resolved with itself.
  all_rejected = 27,            ///< None of several promises was fulfilled; each one's reason is in the aggregate.
  no_tasks = 28,                ///< A polling scheduler was run without a task.
  unknown_key = 29,             ///< No task has that key, or it was removed.
  duplicate_key = 30,           ///< The key is taken.
  invalid_delay = 31,           ///< A delay that must be positive is not.
  task_failed = 32,             ///< A polling task threw; its key is in the context, the exception is the cause.
  hook_failed = 33,             ///< A hook threw; the exception is the cause.
  closed = 34,                  ///< A channel or batcher accepts nothing any more.
  expired = 35,                 ///< Something that is valid during a call only was used after it.
};

/// The category of `Errc`, named "gyre".
const std::error_category& error_category() noexcept;
std::error_code make_error_code(Errc code) noexcept;

/// A failure, as a value: what happened (`code`, `message`), where (`context`), why (`cause`), and an id under which
/// logs, metrics and people can find the same failure again.
///
/// Copying costs a reference count; moving costs nothing. An `Error` is immutable: `with` and `caused_by` return a new
/// one. It may be handed between threads freely.
///
/// ```
/// return fail(Errc::timer_not_found, "timer {} has fired or was cancelled", id).with("loop", loop_id);
/// ```
class [[nodiscard]] Error {
 public:
  struct Field {
    std::string key;
    std::string value;
    friend bool operator==(const Field&, const Field&) = default;
  };

  /// A failure found by this library or its user. `message` is one sentence without a full stop.
  Error(Errc code, std::string message) : Error(make_error_code(code), std::move(message)) {}
  Error(std::error_code code, std::string message);
  /// With all of its context at once.
  Error(Errc code, std::string message, std::vector<Field> context);

  /// A failure that the operating system reported. `what` says what was tried, for example "open '/etc/x'"; the
  /// message becomes "open '/etc/x': Permission denied". The errno value stays in `code()`, so that comparisons with
  /// `std::errc` work.
  static Error from_errno(int error_number, std::string_view what);

  /// What a thrown exception says. An `Error` travelling as `ErrorException` comes back as it was; the errno of a
  /// `std::system_error` is kept; nested exceptions become the chain of causes.
  static Error from_exception(const std::exception_ptr& exception);

  /// The same error with one more fact about where it happened. Keys are field names such as "timer_id" or "fd".
  template <typename Value>
  Error with(std::string key, const Value& value) const {
    return with_text(std::move(key), fmt::format("{}", value));
  }
  /// The same error with `cause` behind it, at the end of its chain, and with the correlation id of `cause`: however
  /// often a failure is wrapped, it keeps the id it was born with.
  Error caused_by(Error cause) const;

  const std::error_code& code() const noexcept;
  const std::string& message() const noexcept;
  std::span<const Field> context() const noexcept;
  /// The value of the innermost field of that name along the chain of causes; empty if there is none.
  std::optional<std::string_view> context(std::string_view key) const noexcept;
  /// The failure behind this one, or null.
  const Error* cause() const noexcept;
  /// Version 7: sorts by the time the failure was first seen.
  const Uuid& correlation_id() const noexcept;

  /// True if this error or one of its causes has that code.
  bool is(Errc code) const noexcept;
  bool is(std::errc code) const noexcept;
  /// True if trying the same again later may succeed: time-outs, back-pressure, interrupted calls, exhausted
  /// descriptors or memory.
  bool is_temporary() const noexcept;

  /// One line for people: message, context in brackets, then the causes.
  std::string to_string() const;

 private:
  struct Body;
  explicit Error(std::shared_ptr<const Body> body) : body_(std::move(body)) {}
  Error with_text(std::string key, std::string value) const;

  std::shared_ptr<const Body> body_;
};

/// A value of type `T`, or why there is none.
template <typename T = void>
using Result = std::expected<T, Error>;

/// Carries an `Error` where only an exception can go, for example out of a callback.
class ErrorException : public std::exception {
 public:
  explicit ErrorException(Error error) : error_(std::move(error)), text_(error_.to_string()) {}
  const char* what() const noexcept override { return text_.c_str(); }
  const Error& error() const noexcept { return error_; }

 private:
  Error error_;
  std::string text_;
};

/// An error result whose message is formatted, to be returned from a function that returns `Result`.
template <typename... Args>
std::unexpected<Error> fail(Errc code, fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(Error(code, fmt::format(format, std::forward<Args>(args)...)));
}

}  // namespace gyre

template <>
struct std::is_error_code_enum<gyre::Errc> : std::true_type {};
