#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <gyre/base/error.h>
#include <gyre/js/module_file_system.h>

namespace gyre::js {

namespace internal {
class Resolution;
struct PackageJson;
}  // namespace internal

/// How the content of a module is to be read.
enum class ModuleFormat {
  module,   ///< An ES module: ".mjs", or ".js" (or no extension) in a package of "type": "module".
  detect,   ///< JavaScript that does not say: ".js" elsewhere. Imported, it is a module; as the program's first file
            ///< it is a script unless it holds import or export declarations.
  json,     ///< ".json": the default export is the parsed value.
  builtin,  ///< One of Gyre's own, "gyre:name".
};

struct ResolvedModule {
  ModuleFormat format;
  std::string url;   ///< The module's identity and `import.meta.url`: "file:///app/a.js?v=2" or "gyre:fs".
  std::string path;  ///< The file, without symbolic links; empty for a built-in.

  friend bool operator==(const ResolvedModule&, const ResolvedModule&) = default;
};

/// Finds the file behind an import specifier, as Node.js does for ES modules (its documentation, "Modules: ECMAScript
/// modules", "Resolution Algorithm Specification", and "Modules: Packages"): paths, `file:` URLs, packages in
/// node_modules with "exports", "imports", conditions and patterns, self-reference, `main`. Extensions are not guessed
/// and directories are not modules, but the error says what would have worked.
///
/// ```
/// RealModuleFileSystem files;
/// ModuleResolver resolver(files);
/// Result<ResolvedModule> entry = resolver.resolve_entry("main.js");
/// Result<ResolvedModule> next = resolver.resolve("./lib.js", entry->url);
/// ```
///
/// Where it departs from Node:
/// - Conditions are "gyre" and "import" (and "default", always), not "node": what packages keep under "node" imports
///   Node's own modules, which are not here. `Options::conditions` adds others.
/// - A package may be called like a module of Node ("events", "buffer"): there is nothing here that it would hide.
/// - Targets of "imports" may be Gyre's own modules: `"#fs": { "gyre": "gyre:fs", "default": "./fs.js" }`.
/// - Keys of "imports" may start with "#/", and their targets may not be "#..." or empty.
/// - `main` and index files are guessed with ".js" and ".json" only, not ".node".
///
/// One resolver belongs to one thread. It remembers the package.json files it has read; nothing else is cached.
class ModuleResolver {
 public:
  struct Options {
    /// Names under which packages may offer variants of themselves; the package's order decides, not this one.
    std::vector<std::string> conditions = {"gyre", "import"};
    /// The "gyre:" modules there are, for example {"gyre:fs"}: any other is an error. Empty: any name is accepted.
    std::vector<std::string> builtins = {};
    std::size_t max_package_json_bytes = 4 * 1024 * 1024;
    std::size_t max_specifier_bytes = 16 * 1024;
  };

  explicit ModuleResolver(ModuleFileSystem& files) : ModuleResolver(files, Options()) {}
  ModuleResolver(ModuleFileSystem& files, Options options);
  ~ModuleResolver();
  ModuleResolver(const ModuleResolver&) = delete;
  ModuleResolver& operator=(const ModuleResolver&) = delete;

  /// Resolves `specifier` as imported by `referrer`: the URL or absolute path of the importing module. The referrer
  /// need not exist; code without a file takes "/current/directory/[eval]".
  ///
  /// Errors, each with the fields "specifier", "referrer" and "code" (Node's name for it, such as
  /// "ERR_MODULE_NOT_FOUND") in its context, and a message that says what to do:
  /// - `Errc::module_not_found`: it leads nowhere, or to what the package does not export, or to a module of Node;
  /// - `Errc::invalid_argument`: the specifier or a package.json on the way is malformed;
  /// - `Errc::unsupported`: it leads to something that is no module here (CommonJS, a directory, "https:");
  /// - `Errc::permission_denied`: the file may not be looked at.
  Result<ResolvedModule> resolve(std::string_view specifier, std::string_view referrer);

  /// Resolves the file that a program starts with: a path as given on a command line, not a specifier ("%20" stands
  /// for itself, "main.js" is a file). Its extension may be anything that is not known to be another language.
  Result<ResolvedModule> resolve_entry(std::string_view path);

  /// Forgets the package.json files read so far: call it when they may have changed.
  void invalidate();

 private:
  friend class internal::Resolution;
  using PackagePointer = std::shared_ptr<const internal::PackageJson>;

  /// The package.json in `directory`, or null if there is none.
  Result<PackagePointer> package_in(const std::string& directory);
  Result<PackagePointer> read_package(const std::string& directory);

  ModuleFileSystem& files_;
  const Options options_;
  std::unordered_map<std::string, Result<PackagePointer>> packages_;  // by directory
};

}  // namespace gyre::js
