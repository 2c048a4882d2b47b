#pragma once

#include <expected>

#include <gyre/base/error.h>
#include <gyre/loop/fast_path.h>
#include <gyre/loop/ids.h>

// The failures that several parts of the loop report. Out of line: they are rare, and the code around them is not.

namespace gyre::internal {

[[nodiscard, gnu::cold]] std::unexpected<Error> ending();
[[nodiscard, gnu::cold]] std::unexpected<Error> timer_not_found(TimerId id);
[[nodiscard, gnu::cold]] std::unexpected<Error> timer_ids_exhausted();
[[noreturn, gnu::cold]] void reject_empty_callback();
void require_mode(FastPath mode);

}  // namespace gyre::internal
