#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include <gyre/base/error.h>

namespace gyre::cli {

/// Reads a length of time: a decimal number and its unit, one of ns, us (or µs), ms, s, m, h and d, without a space, as
/// in "50ms" or "1.5s". Zero needs no unit. The value is exact: fractions finer than a nanosecond are an error.
///
/// Fails with `Errc::invalid_argument`; the message names the text and shows valid ones.
Result<std::chrono::nanoseconds> parse_duration(std::string_view text);

/// Reads a number of bytes: a decimal number and, as long as it is not bytes, its unit: K, M, G or T for powers of
/// 1024, also written Ki, KiB and so on, in either case. "1048576", "1024K", "1M" and "1MiB" are the same. "MB" is an
/// error, for it means 1000 or 1024 to different people. Fractions must come to whole bytes.
Result<std::uint64_t> parse_size(std::string_view text);

}  // namespace gyre::cli
