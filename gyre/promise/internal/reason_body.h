#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <source_location>
#include <utility>
#include <vector>

#include <gyre/base/error.h>

namespace gyre::internal {

/// What the copies of a `Reason` share.
struct ReasonBody {
  ReasonBody(Error given, std::exception_ptr thrown) : error(std::move(given)), exception(std::move(thrown)) {}

  std::atomic<std::uint32_t> references{1};
  const Error error;
  const std::exception_ptr exception;
  std::vector<std::source_location> trace;  // set before the reason is shared
};

}  // namespace gyre::internal
