#include <charconv>

#include <gyre/loop/admission.h>
#include <gyre/loop/internal/admission_fields.h>

namespace gyre {

std::optional<Backpressure> Backpressure::of(const Error& error) {
  if (error.cause() != nullptr) {
    if (const auto inner = of(*error.cause())) return inner;
  }
  if (error.code() != make_error_code(Errc::backpressure)) return std::nullopt;
  std::optional<Backpressure> found;
  std::optional<Duration> retry_after;
  for (const Error::Field& field : error.context()) {
    if (field.key == internal::kReasonField) {
      for (std::uint8_t i = 0; i < kAdmissionRefusals; ++i) {
        const auto reason = static_cast<AdmissionRefusal>(i);
        if (field.value == to_string(reason)) found = {.reason = reason, .retry_after = {}};
      }
    } else if (field.key == internal::kRetryAfterField) {
      Duration::rep count = 0;
      const char* const end = field.value.data() + field.value.size();
      if (std::from_chars(field.value.data(), end, count).ec == std::errc()) retry_after = Duration(count);
    }
  }
  if (found) found->retry_after = retry_after;
  return found;
}

}  // namespace gyre
