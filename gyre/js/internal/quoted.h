#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace gyre::js::internal {

/// `text` fit for a message: control characters, bidirectional marks and bytes that are not UTF-8 are written as
/// "\xNN", and a long text is cut in the middle.
std::string shown(std::string_view text);

/// The same in single quotes.
std::string in_quotes(std::string_view text);

}  // namespace gyre::js::internal
