#include <gyre/js/error_report.h>
#include <gyre/js/source_excerpt.h>

namespace gyre::js {

std::string ErrorReport::to_string() const {
  const SourceLocation& location = exception.location;
  std::string text;
  if (location.line > 0 && !location.resource.empty() && !location.source_line.empty()) {
    text += line_excerpt(location.resource, location.source_line,
                         {.line = static_cast<std::size_t>(location.line),
                          .column = static_cast<std::size_t>(location.column > 0 ? location.column : 1)});
    text += '\n';
  }
  text += inspected.empty() ? (exception.stack.empty() ? exception.message : exception.stack) : inspected;
  text += '\n';
  return text;
}

}  // namespace gyre::js
