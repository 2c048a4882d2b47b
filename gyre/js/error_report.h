#pragma once

#include <string>
#include <string_view>

#include <gyre/js/engine.h>

namespace gyre::js {

/// An exception that nothing in the script caught.
struct ErrorReport {
  Exception exception;
  std::string origin;     ///< "uncaughtException" or "unhandledRejection".
  std::string inspected;  ///< The value as console.error would print it: stack, extra properties, cause.

  /// The report as the command prints it: place, source line with a caret, then the value.
  std::string to_string() const;
};

}  // namespace gyre::js
