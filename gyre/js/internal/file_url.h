#pragma once

#include <string>
#include <string_view>

#include <gyre/base/error.h>

namespace gyre::js::internal {

/// Where a file URL leads: a path of bytes, as the system takes it, and what the URL carries beyond it.
struct FileLocation {
  std::string path;              ///< Absolute and decoded; "." and ".." segments are gone.
  std::string suffix;            ///< "?query#fragment" with unsafe characters encoded, or empty.
  bool names_directory = false;  ///< The URL ended in "/", "/." or "/..".

  friend bool operator==(const FileLocation&, const FileLocation&) = default;
};

/// Resolves `reference` (a relative or absolute path written as in a URL: percent-encoded, with query and fragment)
/// against the directory `base`, as the URL Standard does for `file:` URLs: backslashes are slashes, "%2e" is a dot,
/// tabs and line ends do not count. `base` is an absolute decoded path.
///
/// Fails with `Errc::invalid_argument` for encoded slashes, NUL, percent signs that start no escape, bytes that are not
/// UTF-8 and foreign hosts ("//host/x"); the message is a clause such as "it contains an encoded '/'", for the caller
/// to build a sentence with.
Result<FileLocation> resolve_file_reference(std::string_view reference, std::string_view base);

/// Reads an absolute URL of scheme `file:` (any case), under the same rules.
Result<FileLocation> parse_file_url(std::string_view url);

/// The decoded path of a URL that this library made itself (`file_url`): any bytes but NUL are allowed.
Result<std::string> path_of_file_url(std::string_view url);

/// The `file:` URL of an absolute path, spelt as Node's `pathToFileURL` does: ASCII for every possible name.
std::string file_url(std::string_view path);

/// The scheme that `text` starts with, in lower case and without the colon; empty if it starts with none.
std::string url_scheme(std::string_view text);

/// The path without its last segment; "/" for "/x".
std::string_view parent_directory(std::string_view path);

/// `directory` + "/" + `name`, without doubling the slash.
std::string join_path(std::string_view directory, std::string_view name);

/// The lower-case text of `segment` with its ASCII escapes decoded, to compare it with names such as ".." whatever way
/// it was written.
std::string plain_segment(std::string_view segment);

}  // namespace gyre::js::internal
