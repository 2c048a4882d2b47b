#include <fmt/format.h>

#include <gyre/promise/internal/reason_body.h>
#include <gyre/promise/reason.h>

namespace gyre {

using internal::ReasonBody;

AggregateError::AggregateError(std::vector<Reason> reasons)
    : reasons_(std::make_shared<const std::vector<Reason>>(std::move(reasons))) {}

std::span<const Reason> AggregateError::reasons() const noexcept {
  return *reasons_;
}

namespace {

Error describe(const std::exception_ptr& exception) {
  if (exception == nullptr) return Error(Errc::callback_failed, "a promise was rejected with a null exception pointer");
  try {
    std::rethrow_exception(exception);
  } catch (const AggregateError& aggregate) {
    const Error error = Error(Errc::all_rejected, aggregate.what()).with("promises", aggregate.reasons().size());
    return aggregate.reasons().empty() ? error : error.caused_by(aggregate.reasons().front().error());
  } catch (...) {
    internal::let_unwinding_pass();
    return Error::from_exception(exception);
  }
}

}  // namespace

Reason::Reason(Error error) : body_(new ReasonBody(std::move(error), nullptr)) {}
Reason::Reason(std::exception_ptr exception) : body_(nullptr) {
  Error error = describe(exception);
  body_ = new ReasonBody(std::move(error), std::move(exception));
}

Reason::Reason(const Reason& other) noexcept : body_(other.body_) {
  body_->references.fetch_add(1, std::memory_order_relaxed);  // whoever copies holds a reference already
}
Reason::~Reason() {
  // Release and acquire: the last one to let go sees what all others did with the body before they let go.
  if (body_ != nullptr && body_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete body_;
}

const Error& Reason::error() const noexcept {
  return body_->error;
}
const std::exception_ptr& Reason::exception() const noexcept {
  return body_->exception;
}
std::span<const std::source_location> Reason::trace() const noexcept {
  return body_->trace;
}

void Reason::rethrow() const {
  if (body_->exception != nullptr) std::rethrow_exception(body_->exception);
  throw ErrorException(body_->error);
}

std::string Reason::to_string() const {
  std::string text = error().to_string();
  for (const std::source_location& place : trace()) {
    text += fmt::format("\n    at {} ({}:{})", place.function_name(), place.file_name(), place.line());
  }
  return text;
}

Reason Reason::with_trace(const Reason& reason, std::vector<std::source_location> trace) {
  Reason traced(new ReasonBody(reason.error(), reason.exception()));
  traced.body_->trace = std::move(trace);
  return traced;
}

// Outer before inner, and the reasons of an aggregate in their order.
void Reason::find(const std::function<bool(const std::exception_ptr&)>& visit) const {
  bool found = false;
  const auto search = [&](const auto& self, const std::exception_ptr& exception) -> void {
    if (exception == nullptr || found) return;
    if ((found = visit(exception))) return;
    try {
      std::rethrow_exception(exception);
    } catch (const AggregateError& aggregate) {
      for (const Reason& reason : aggregate.reasons()) self(self, reason.exception());
    } catch (const std::exception& outer) {
      if (const auto* nested = dynamic_cast<const std::nested_exception*>(&outer)) self(self, nested->nested_ptr());
    } catch (...) {
      internal::let_unwinding_pass();
    }
  };
  search(search, body_->exception);
}

}  // namespace gyre
