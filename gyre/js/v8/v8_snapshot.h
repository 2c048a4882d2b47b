#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <v8.h>

namespace gyre::js {

/// A V8 snapshot with the identity of the library that made it in front. A snapshot is full of assumptions about the
/// very build of V8 that reads it, more than V8 itself checks: after an update of the library, it must not be used.
std::vector<std::byte> seal_snapshot(std::span<const std::byte> blob);

/// The snapshot in sealed bytes; without data if there are none, or if another build of the library made them.
v8::StartupData open_snapshot(std::span<const std::byte> sealed);

}  // namespace gyre::js
