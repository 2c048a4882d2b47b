#include <array>
#include <system_error>
#include <vector>

#include <gyre/base/error.h>

namespace gyre {
namespace {

const char* describe(Errc code) {
  switch (code) {
    case Errc::invalid_argument:
      return "invalid argument";
    case Errc::terminated:
      return "terminated";
    case Errc::already_running:
      return "already running";
    case Errc::reentrant_run:
      return "run called from a callback of the same loop";
    case Errc::reentrant_close:
      return "close called on the loop's own thread";
    case Errc::timer_not_found:
      return "timer not found";
    case Errc::timer_ids_exhausted:
      return "timer ids exhausted";
    case Errc::immediate_not_found:
      return "immediate not found";
    case Errc::fd_already_registered:
      return "descriptor already registered";
    case Errc::fd_not_registered:
      return "descriptor not registered";
    case Errc::unsupported:
      return "not supported";
    case Errc::timed_out:
      return "timed out";
    case Errc::cancelled:
      return "cancelled";
    case Errc::backpressure:
      return "queue full";
    case Errc::limit_exceeded:
      return "limit exceeded";
    case Errc::callback_failed:
      return "callback failed";
    case Errc::script_failed:
      return "script failed";
    case Errc::syntax_error:
      return "syntax error";
    case Errc::module_not_found:
      return "module not found";
    case Errc::not_found:
      return "not found";
    case Errc::wrong_type:
      return "wrong type";
    case Errc::out_of_memory:
      return "out of memory";
    case Errc::permission_denied:
      return "permission denied";
    case Errc::broken:
      return "abandoned";
    case Errc::fast_path_incompatible:
      return "not possible on the fast path";
    case Errc::promise_cycle:
      return "promise resolved with itself";
    case Errc::all_rejected:
      return "all promises were rejected";
    case Errc::no_tasks:
      return "no tasks";
    case Errc::unknown_key:
      return "unknown key";
    case Errc::duplicate_key:
      return "duplicate key";
    case Errc::invalid_delay:
      return "invalid delay";
    case Errc::task_failed:
      return "task failed";
    case Errc::hook_failed:
      return "hook failed";
    case Errc::closed:
      return "closed";
    case Errc::expired:
      return "used after its call";
  }
  return "unknown error";
}

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "gyre"; }
  std::string message(int value) const override { return describe(static_cast<Errc>(value)); }
  // Lets callers compare with the portable conditions, as in `error.code() == std::errc::timed_out`.
  std::error_condition default_error_condition(int value) const noexcept override {
    switch (static_cast<Errc>(value)) {
      case Errc::invalid_argument:
        return std::errc::invalid_argument;
      case Errc::unsupported:
        return std::errc::not_supported;
      case Errc::timed_out:
        return std::errc::timed_out;
      case Errc::cancelled:
        return std::errc::operation_canceled;
      case Errc::out_of_memory:
        return std::errc::not_enough_memory;
      case Errc::permission_denied:
        return std::errc::permission_denied;
      default:
        return {value, *this};
    }
  }
};

constexpr std::array kTemporaryConditions = {
    std::errc::resource_unavailable_try_again,
    std::errc::operation_would_block,
    std::errc::interrupted,
    std::errc::too_many_files_open,
    std::errc::no_buffer_space,
    std::errc::too_many_files_open_in_system,
    std::errc::not_enough_memory,
    std::errc::timed_out,
    std::errc::device_or_resource_busy,
};

}  // namespace

struct Error::Body {
  std::error_code code;
  std::string message;
  std::vector<Field> context;
  std::optional<Error> cause;
  Uuid correlation_id;
};

const std::error_category& error_category() noexcept {
  static const Category category;
  return category;
}

std::error_code make_error_code(Errc code) noexcept {
  return {static_cast<int>(code), error_category()};
}

Error::Error(std::error_code code, std::string message)
    : body_(std::make_shared<Body>(Body{code, std::move(message), {}, std::nullopt, Uuid::v7()})) {}

Error::Error(Errc code, std::string message, std::vector<Field> context)
    : body_(std::make_shared<Body>(
          Body{make_error_code(code), std::move(message), std::move(context), std::nullopt, Uuid::v7()})) {}

Error Error::from_errno(int error_number, std::string_view what) {
  const std::error_code code(error_number, std::system_category());
  return Error(code, fmt::format("{}: {}", what, code.message()));
}

Error Error::from_exception(const std::exception_ptr& exception) {
  if (!exception) return Error(Errc::callback_failed, "no exception");
  const auto with_nested = [](const std::exception& outer, Error error) {
    const auto* nested = dynamic_cast<const std::nested_exception*>(&outer);
    if (nested == nullptr || !nested->nested_ptr()) return error;
    return error.caused_by(from_exception(nested->nested_ptr()));
  };
  try {
    std::rethrow_exception(exception);
  } catch (const ErrorException& e) {
    return e.error();
  } catch (const std::system_error& e) {
    return with_nested(e, Error(e.code(), e.what()));
  } catch (const std::bad_alloc& e) {
    return with_nested(e, Error(Errc::out_of_memory, "out of memory"));
  } catch (const std::exception& e) {
    return with_nested(e, Error(Errc::callback_failed, e.what()));
  } catch (...) {
    return Error(Errc::callback_failed, "an exception that is not a std::exception");
  }
}

Error Error::with_text(std::string key, std::string value) const {
  auto body = std::make_shared<Body>(*body_);
  body->context.push_back({std::move(key), std::move(value)});
  return Error(std::shared_ptr<const Body>(std::move(body)));
}

Error Error::caused_by(Error cause) const {
  auto body = std::make_shared<Body>(*body_);
  body->correlation_id = cause.correlation_id();
  body->cause = body->cause ? body->cause->caused_by(std::move(cause)) : std::move(cause);
  return Error(std::shared_ptr<const Body>(std::move(body)));
}

const std::error_code& Error::code() const noexcept {
  return body_->code;
}
const std::string& Error::message() const noexcept {
  return body_->message;
}
std::span<const Error::Field> Error::context() const noexcept {
  return body_->context;
}
const Error* Error::cause() const noexcept {
  return body_->cause ? &*body_->cause : nullptr;
}
const Uuid& Error::correlation_id() const noexcept {
  return body_->correlation_id;
}

std::optional<std::string_view> Error::context(std::string_view key) const noexcept {
  std::optional<std::string_view> innermost;
  for (const Error* error = this; error != nullptr; error = error->cause()) {
    for (const Field& field : error->context()) {
      if (field.key == key) innermost = field.value;
    }
  }
  return innermost;
}

bool Error::is(Errc code) const noexcept {
  for (const Error* error = this; error != nullptr; error = error->cause()) {
    if (error->code() == make_error_code(code)) return true;
  }
  return false;
}

bool Error::is(std::errc code) const noexcept {
  for (const Error* error = this; error != nullptr; error = error->cause()) {
    if (error->code() == code) return true;
  }
  return false;
}

bool Error::is_temporary() const noexcept {
  if (is(Errc::backpressure)) return true;
  for (const std::errc condition : kTemporaryConditions) {
    if (is(condition)) return true;
  }
  return false;
}

std::string Error::to_string() const {
  std::string text = message();
  const char* separator = " [";
  for (const Field& field : context()) {
    text += fmt::format("{}{}={}", separator, field.key, field.value);
    separator = " ";
  }
  if (!context().empty()) text += ']';
  if (cause() != nullptr) text += ": " + cause()->to_string();
  return text;
}

}  // namespace gyre
