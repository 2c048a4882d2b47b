#pragma once

namespace gyre::internal {

// Where an error of admission control carries what `Backpressure` reads.
inline constexpr const char* kReasonField = "reason";
inline constexpr const char* kRetryAfterField = "retry_after_ns";

}  // namespace gyre::internal
