#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace gyre::js {

/// A place in a source text, as JavaScript engines count.
struct SourcePosition {
  std::size_t line = 1;    ///< From 1. Lines end with LF, CR, CR LF, U+2028 or U+2029.
  std::size_t column = 1;  ///< From 1, in UTF-16 code units.
  std::size_t length = 1;  ///< How many code units to underline; cut at the end of the line.
};

struct SourceExcerptOptions {
  /// Lines wider than this (in terminal cells) are cut around the position. At least 20.
  std::size_t max_width = 120;
};

/// The lines that show a person where in `source` something is, as Node.js prints them above a stack trace:
///
/// ```
/// /app/main.js:3
///   retrun 42;
///   ^^^^^^
/// ```
///
/// The caret stands under its character: tabs before it stay tabs, wide characters count twice. Where a line is cut,
/// "..." stands. Control characters, bidirectional marks and bytes that are not UTF-8 appear as U+FFFD, so that a
/// script cannot drive the terminal. Every line ends with "\n"; if `source` has no such line, there is only the first
/// one. Columns past the end of the line mean its end.
std::string source_excerpt(std::string_view file, std::string_view source, const SourcePosition& position,
                           const SourceExcerptOptions& options = {});

/// The same for a caller that has only the line itself (as an engine's error message does): `line` is its text, and
/// `position.line` serves for the heading alone.
std::string line_excerpt(std::string_view file, std::string_view line, const SourcePosition& position,
                         const SourceExcerptOptions& options = {});

}  // namespace gyre::js
