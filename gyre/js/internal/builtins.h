#pragma once

#include <optional>
#include <string_view>

namespace gyre::js::internal {

/// The source of a built-in (gyre/js/builtins/NAME.js), compiled into the library.
std::optional<std::string_view> builtin_source(std::string_view name);

}  // namespace gyre::js::internal
