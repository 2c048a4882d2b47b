#include <gyre/js/error_report.h>
#include <gyre/js/source_excerpt.h>

namespace gyre::js {

std::string ErrorReport::to_string() const {
  const SourceLocation& location = exception.location;
  std::string text;
  if (location.line > 0 && !location.resource.empty() && !location.source_line.empty()) {
    // The excerpt wants a source text; one line of it is enough, under its own number.
    const std::string source(static_cast<std::size_t>(location.line - 1), '\n');
    text += source_excerpt(location.resource, source + location.source_line,
                           {.line = static_cast<std::size_t>(location.line),
                            .column = static_cast<std::size_t>(location.column > 0 ? location.column : 1)});
    text += '\n';
  }
  text += inspected.empty() ? (exception.stack.empty() ? exception.message : exception.stack) : inspected;
  text += '\n';
  return text;
}

}  // namespace gyre::js
