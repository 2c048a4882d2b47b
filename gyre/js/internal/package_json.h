#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gyre/base/error.h>

namespace gyre::js::internal {

/// A value below "exports" or "imports" of a package.json: what a specifier is mapped to.
struct PackageTarget {
  enum class Kind {
    null,    ///< Closes what a broader pattern opened.
    string,  ///< A file of the package, or (in "imports") another package.
    list,    ///< Alternatives; the first usable one counts.
    object,  ///< Conditions, or the subpaths of "exports", in the order of the file.
    other,   ///< A number or boolean: never valid.
  };

  Kind kind = Kind::null;
  std::string text;                   ///< The string; of `other`, its JSON text.
  std::vector<std::string> keys;      ///< Of an object: one for each value, without duplicates.
  std::vector<PackageTarget> values;  ///< Of a list or an object.

  /// The value of `key` in an object, or null.
  const PackageTarget* find(std::string_view key) const;
  /// As JSON, at most about `limit` bytes of it, for messages.
  std::string to_json(std::size_t limit) const;
};

enum class PackageType { none, module, commonjs };

/// The fields of a package.json that module resolution looks at. Fields of the wrong type count as absent, as in Node.
struct PackageJson {
  std::string directory;
  std::optional<std::string> name = {};
  std::optional<std::string> main = {};
  PackageType type = PackageType::none;
  std::optional<PackageTarget> exports = {};  ///< Absent when null.
  std::optional<PackageTarget> imports = {};  ///< Always an object.

  std::string path() const;
};

/// Reads the text of a package.json. Fails with `Errc::invalid_argument`; the message is a clause that says what is
/// wrong and where, such as "line 3, column 7: unexpected ','". "exports" and "imports" may be nested 64 deep; the
/// nesting of other fields does not matter.
Result<PackageJson> parse_package_json(std::string_view text, std::string directory);

}  // namespace gyre::js::internal
