#pragma once

#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gyre/js/internal/package_json.h>

namespace gyre::js::internal {

/// The rules by which "exports" and "imports" map a name to a target, apart from any file (Node.js documentation,
/// "Resolution Algorithm Specification": PACKAGE_IMPORTS_EXPORTS_RESOLVE and PACKAGE_TARGET_RESOLVE).

enum class PackageMap { exports, imports };

/// The entry of "exports" or "imports" that is in charge of a name.
struct PackageMatch {
  std::string_view key;                  ///< As in the file, for example "./features/*".
  const PackageTarget* target;           //
  std::optional<std::string_view> star;  ///< What the "*" of a pattern stands for.
};

/// Finds the entry for `name` in an object whose keys are names: the key itself, or else the pattern with the longest
/// text before its "*".
std::optional<PackageMatch> find_match(const PackageTarget& map, std::string_view name);

/// What a target comes to under the given conditions.
struct Selection {
  enum class Kind {
    file,     ///< `text` is a file of the package, written "./..." as in a URL.
    package,  ///< `text` is the specifier of another package or built-in ("imports" only).
    closed,   ///< The target is null: on purpose there is nothing.
    none,     ///< No condition fits.
  };
  Kind kind;
  std::string text;
};

struct SelectionProblem {
  enum class Kind {
    invalid_target,   ///< The package is at fault: ERR_INVALID_PACKAGE_TARGET.
    invalid_config,   ///< The package is at fault: ERR_INVALID_PACKAGE_CONFIG.
    invalid_request,  ///< The importer is at fault: ERR_INVALID_MODULE_SPECIFIER.
  };
  Kind kind;
  std::string reason;  ///< A clause.
};

std::expected<Selection, SelectionProblem> select_target(const PackageMatch& match, PackageMap map,
                                                         std::span<const std::string> conditions);

/// Whether "exports" is the target of the package itself rather than a map of subpaths; fails if it is something of
/// both.
std::expected<bool, SelectionProblem> is_main_target(const PackageTarget& exports);

/// The condition names that occur in `target`, each once, in order; at most 16.
std::vector<std::string_view> condition_names(const PackageTarget& target);

/// True if a segment of `path` is ".", ".." or "node_modules", in any spelling.
bool has_forbidden_segment(std::string_view path);

}  // namespace gyre::js::internal
