#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace gyre::js::internal {

/// If `name` ("fs", "fs/promises", without "node:") is a module built into Node.js: a clause that says what to use in
/// Gyre instead. `builtins` are the "gyre:" modules there are.
std::optional<std::string> advice_for_node_builtin(std::string_view name, std::span<const std::string> builtins);

}  // namespace gyre::js::internal
