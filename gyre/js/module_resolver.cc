#include <algorithm>
#include <array>
#include <optional>
#include <ranges>
#include <span>
#include <utility>

#include <gyre/js/internal/file_url.h>
#include <gyre/js/internal/node_builtins.h>
#include <gyre/js/internal/package_json.h>
#include <gyre/js/internal/package_match.h>
#include <gyre/js/internal/quoted.h>
#include <gyre/js/internal/utf8.h>
#include <gyre/js/module_resolver.h>

namespace gyre::js {
namespace internal {
namespace {

using Kind = ModuleFileSystem::Kind;

std::string_view last_segment(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

// As Node's `path.extname`: a leading dot starts no extension.
std::string_view extension_of(std::string_view path) {
  const std::string_view name = last_segment(path);
  const auto dot = name.rfind('.');
  return dot == name.npos || dot == 0 ? std::string_view() : name.substr(dot);
}

bool is_relative(std::string_view specifier) {
  return specifier == "." || specifier == ".." || specifier.starts_with("./") || specifier.starts_with("../");
}

std::string without_suffix(std::string_view specifier) {
  return std::string(specifier.substr(0, specifier.find_first_of("?#")));
}

/// The parts of "@scope/name/sub/path".
struct PackageSpecifier {
  std::string_view name;
  std::string subpath;  // "." or "./sub/path"
};

std::optional<PackageSpecifier> parse_package_specifier(std::string_view specifier) {
  auto slash = specifier.find('/');
  if (specifier.starts_with('@')) {
    if (slash == specifier.npos || slash + 1 == specifier.size()) return std::nullopt;
    slash = specifier.find('/', slash + 1);
  }
  const std::string_view name = specifier.substr(0, slash);
  const bool is_valid = !name.empty() && !name.starts_with('.') && !name.ends_with('/') &&
                        name.find_first_of("%\\") == name.npos && !has_forbidden_segment(name);
  if (!is_valid) return std::nullopt;
  return PackageSpecifier{name, slash == specifier.npos ? "." : fmt::format(".{}", specifier.substr(slash))};
}

// The name may come from a hostile script, and an advised command is soon pasted.
bool is_safe_in_shell(std::string_view name) {
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("@/._-").find(c) != std::string_view::npos;
  });
}

// What files of a known other kind are, and what to do about it; empty for JavaScript, JSON and the unknown.
std::string_view explain_foreign_extension(std::string_view extension) {
  if (extension == ".cjs") {
    return "it is a CommonJS module, and Gyre runs ES modules: write it with import and export, or bundle it (esbuild "
           "--bundle --format=esm)";
  }
  if (extension == ".ts" || extension == ".mts" || extension == ".cts" || extension == ".tsx" || extension == ".jsx") {
    return "Gyre runs JavaScript: compile the file first (tsc or esbuild)";
  }
  if (extension == ".node") return "native add-ons of Node.js cannot be loaded: offer the functions from C++ instead";
  if (extension == ".wasm") return "WebAssembly cannot be imported: give its bytes to WebAssembly.instantiate";
  return {};
}

}  // namespace

/// One question to the resolver, from the specifier to the file.
class Resolution {
 public:
  Resolution(ModuleResolver& resolver, std::string_view specifier, std::string_view referrer)
      : resolver_(resolver), files_(resolver.files_), specifier_(specifier), referrer_(referrer) {}

  Result<ResolvedModule> resolve();
  Result<ResolvedModule> resolve_entry();

 private:
  using PackagePointer = ModuleResolver::PackagePointer;

  /// Where a specifier leads before anyone has looked whether there is a file.
  struct Target {
    FileLocation location;
    std::string builtin;                // "gyre:fs"; then there is no location
    PackagePointer package = nullptr;   // whose package.json mapped the specifier to this location
    bool is_spelt_by_importer = false;  // adding an extension to the specifier adds it to the file
  };

  // The steps of Node's specification, by the names they have there.
  Result<Target> esm_resolve();
  Result<Target> resolve_url(const std::string& scheme);
  Result<Target> builtin(std::string_view name);
  Result<Target> package_imports_resolve();
  Result<Target> package_resolve(std::string_view specifier, const std::string& directory);
  Result<Target> package_exports_resolve(const PackagePointer& package, const PackageSpecifier& wanted);
  Result<Target> package_main_resolve(const PackagePointer& package, std::string_view name);
  Result<Target> package_target(const PackagePointer& package, const PackageMatch& match, std::string_view text);
  Result<PackagePointer> find_package(std::string_view name, std::string directory);
  Result<PackagePointer> package_scope(std::string directory);
  Result<ResolvedModule> finish(const Target& target);
  Result<ModuleFormat> format_of(const std::string& path);

  Result<> check_specifier();
  Result<> find_base();

  // Failures.
  std::unexpected<Error> failure(Errc code, std::string_view node_code, std::string message) const;
  std::unexpected<Error> invalid_specifier(std::string_view reason) const;
  std::unexpected<Error> invalid_package(const PackageJson& package, std::string_view reason) const;
  std::unexpected<Error> package_not_found(const PackageSpecifier& wanted, const std::string& directory);
  std::unexpected<Error> not_exported(const PackageJson& package, const PackageSpecifier& wanted,
                                      const PackageMatch* match, Selection::Kind outcome) const;
  std::unexpected<Error> not_imported(const PackageJson* package, const PackageMatch* match,
                                      Selection::Kind outcome) const;
  std::unexpected<Error> unusable_target(const PackageJson& package, std::string_view field, std::string_view key,
                                         const SelectionProblem& problem) const;
  std::unexpected<Error> missing_file(const Target& target);
  std::unexpected<Error> directory_import(const Target& target);
  std::string conditions_clause(const PackageTarget& target) const;
  std::string suggestion(const Target& target, std::span<const std::string_view> endings);
  std::string imported() const { return is_entry_ ? std::string() : " imported from " + shown(referrer_path_); }

  ModuleResolver& resolver_;
  ModuleFileSystem& files_;
  const std::string_view specifier_;
  const std::string_view referrer_;
  std::string referrer_path_;  // for messages; the referrer itself if it is no file
  std::string base_;           // the referrer's directory
  bool is_entry_ = false;
};

Result<ResolvedModule> Resolution::resolve() {
  // A referrer without a file can still import built-ins.
  Result<> base = find_base();
  if (Result<> usable = check_specifier(); !usable) return std::unexpected(std::move(usable).error());
  const bool needs_base = url_scheme(specifier_).empty() && !specifier_.starts_with('/');
  if (needs_base && !base) return std::unexpected(std::move(base).error());
  Result<Target> target = esm_resolve();
  if (!target) return std::unexpected(std::move(target).error());
  return finish(*target);
}

Result<ResolvedModule> Resolution::resolve_entry() {
  is_entry_ = true;
  if (specifier_.empty()) return invalid_specifier("it is empty");
  if (specifier_.find('\0') != specifier_.npos) return invalid_specifier("it contains a NUL character");
  Target target;
  target.location.path = specifier_;
  target.location.names_directory = specifier_.ends_with('/');
  target.is_spelt_by_importer = true;
  return finish(target);
}

Result<> Resolution::check_specifier() {
  const std::size_t limit = resolver_.options_.max_specifier_bytes;
  if (specifier_.empty()) return invalid_specifier("it is empty");
  if (specifier_.size() > limit) {
    return invalid_specifier(fmt::format("it is {} bytes long, and the limit is {}", specifier_.size(), limit));
  }
  if (!is_utf8(specifier_)) return invalid_specifier("it is not valid UTF-8");
  if (specifier_.find('\0') != specifier_.npos) return invalid_specifier("it contains a NUL character");
  return {};
}

Result<> Resolution::find_base() {
  referrer_path_ = referrer_;
  if (url_scheme(referrer_) == "file") {
    Result<std::string> path = path_of_file_url(referrer_);
    if (path) referrer_path_ = *std::move(path);
  }
  if (!referrer_path_.starts_with('/') || referrer_path_.find('\0') != referrer_path_.npos) {
    return invalid_specifier("the importing module is not a file, so that nothing can be found relative to it");
  }
  base_ = parent_directory(referrer_path_);
  return {};
}

Result<Resolution::Target> Resolution::esm_resolve() {
  if (is_relative(specifier_) || specifier_.starts_with('/')) {
    Result<FileLocation> location = resolve_file_reference(specifier_, base_);
    if (!location) return invalid_specifier(location.error().message());
    return Target{*std::move(location), {}, nullptr, true};
  }
  if (specifier_.starts_with('#')) return package_imports_resolve();
  if (const std::string scheme = url_scheme(specifier_); !scheme.empty()) return resolve_url(scheme);
  return package_resolve(specifier_, base_);
}

Result<Resolution::Target> Resolution::resolve_url(const std::string& scheme) {
  const std::string_view rest = specifier_.substr(scheme.size() + 1);
  if (scheme == "gyre" || scheme == "node") return builtin(fmt::format("{}:{}", scheme, rest));
  if (scheme == "file") {
    Result<FileLocation> location = parse_file_url(specifier_);
    if (!location) return invalid_specifier(location.error().message());
    return Target{*std::move(location), {}, nullptr, true};
  }
  std::string_view advice = "modules are files, packages in node_modules, or 'gyre:' built-ins";
  if (scheme == "http" || scheme == "https") advice = "modules are not loaded from the network: download the file";
  if (scheme == "data" || scheme == "blob") advice = "write the module to a file";
  if (scheme == "npm" || scheme == "jsr") advice = "install the package and import it by its bare name";
  if (scheme.size() == 1) advice = "a path starts with './', '../' or '/'";
  return failure(Errc::unsupported, "ERR_UNSUPPORTED_ESM_URL_SCHEME",
                 fmt::format("cannot import {}{}: '{}:' URLs are not supported; {}", in_quotes(specifier_), imported(),
                             scheme, advice));
}

Result<Resolution::Target> Resolution::builtin(std::string_view name) {
  const auto& known = resolver_.options_.builtins;
  if (name.starts_with("node:")) {
    const auto advice = advice_for_node_builtin(name.substr(5), known);
    return failure(Errc::module_not_found, "ERR_UNKNOWN_BUILTIN_MODULE",
                   fmt::format("cannot import {}{}: 'node:' modules belong to Node.js, and Gyre does not have them{}{}",
                               in_quotes(specifier_), imported(), advice ? "; " : "", advice.value_or("")));
  }
  if (name == "gyre:") return invalid_specifier("a name is missing after 'gyre:'");
  if (known.empty() || std::ranges::find(known, name) != known.end()) {
    Target target;
    target.builtin = name;
    return target;
  }
  return failure(Errc::module_not_found, "ERR_UNKNOWN_BUILTIN_MODULE",
                 fmt::format("there is no built-in module {}{}; there are {}", in_quotes(name), imported(),
                             fmt::join(known, ", ")));
}

Result<Resolution::Target> Resolution::package_imports_resolve() {
  if (specifier_ == "#" || specifier_.ends_with('/')) {
    return invalid_specifier("names that start with '#' need a name after it and cannot end in '/'");
  }
  Result<PackagePointer> scope = package_scope(base_);
  if (!scope) return std::unexpected(std::move(scope).error());
  const PackagePointer package = *std::move(scope);
  if (!package || !package->imports) return not_imported(package.get(), nullptr, Selection::Kind::none);

  const std::optional<PackageMatch> match = find_match(*package->imports, specifier_);
  if (!match) return not_imported(package.get(), nullptr, Selection::Kind::none);
  const auto selected = select_target(*match, PackageMap::imports, resolver_.options_.conditions);
  if (!selected) return unusable_target(*package, "imports", match->key, selected.error());
  switch (selected->kind) {
    case Selection::Kind::file:
      return package_target(package, *match, selected->text);
    case Selection::Kind::package:
      if (const std::string scheme = url_scheme(selected->text); scheme == "gyre" || scheme == "node") {
        return builtin(selected->text);
      }
      return package_resolve(selected->text, package->directory);
    case Selection::Kind::closed:
    case Selection::Kind::none:
      break;
  }
  return not_imported(package.get(), &*match, selected->kind);
}

Result<Resolution::Target> Resolution::package_resolve(std::string_view specifier, const std::string& directory) {
  const std::optional<PackageSpecifier> wanted = parse_package_specifier(specifier);
  if (!wanted) {
    const bool is_mapped = specifier != specifier_;
    const std::string subject = is_mapped ? fmt::format("its target {}", in_quotes(specifier)) : std::string("it");
    const bool is_path = specifier.starts_with('.') || specifier.find('\\') != specifier.npos;
    return invalid_specifier(fmt::format("{} is no package name ('name' or '@scope/name', and a path after it){}",
                                         subject, is_path ? "; paths start with './', '../' or '/'" : ""));
  }
  Result<PackagePointer> self = package_scope(directory);
  if (!self) return std::unexpected(std::move(self).error());
  if (*self && (*self)->name == wanted->name && (*self)->exports) return package_exports_resolve(*self, *wanted);

  Result<PackagePointer> found = find_package(wanted->name, directory);
  if (!found) return std::unexpected(std::move(found).error());
  const PackagePointer package = *std::move(found);
  if (!package) return package_not_found(*wanted, directory);
  if (package->exports) return package_exports_resolve(package, *wanted);
  if (wanted->subpath == ".") return package_main_resolve(package, wanted->name);
  Result<FileLocation> location = resolve_file_reference(wanted->subpath, package->directory);
  if (!location) return invalid_specifier(location.error().message());
  return Target{*std::move(location), {}, nullptr, specifier == specifier_};
}

Result<Resolution::Target> Resolution::package_exports_resolve(const PackagePointer& package,
                                                               const PackageSpecifier& wanted) {
  const PackageTarget& exports = *package->exports;
  const auto is_main = is_main_target(exports);
  if (!is_main) return unusable_target(*package, "exports", ".", is_main.error());

  std::optional<PackageMatch> match;
  if (*is_main) {
    if (wanted.subpath == ".") match = PackageMatch{".", &exports, std::nullopt};
  } else {
    match = find_match(exports, wanted.subpath);
  }
  if (!match) return not_exported(*package, wanted, nullptr, Selection::Kind::none);
  const auto selected = select_target(*match, PackageMap::exports, resolver_.options_.conditions);
  if (!selected) return unusable_target(*package, "exports", match->key, selected.error());
  if (selected->kind == Selection::Kind::file) return package_target(package, *match, selected->text);
  return not_exported(*package, wanted, &*match, selected->kind);
}

Result<Resolution::Target> Resolution::package_target(const PackagePointer& package, const PackageMatch& match,
                                                      std::string_view text) {
  Result<FileLocation> location = resolve_file_reference(text, package->directory);
  if (!location) {
    return invalid_specifier(
        fmt::format("{} maps it to {}, and {}", shown(package->path()), in_quotes(text), location.error().message()));
  }
  // Segments were checked before, but the URL parser drops characters that can hide a "..".
  if (!location->path.starts_with(join_path(package->directory, ""))) {
    const auto kind = SelectionProblem::Kind::invalid_target;
    return unusable_target(*package, specifier_.starts_with('#') ? "imports" : "exports", match.key,
                           {kind, fmt::format("{} leads out of the package", in_quotes(text))});
  }
  return Target{*std::move(location), {}, package, false};
}

Result<Resolution::Target> Resolution::package_main_resolve(const PackagePointer& package, std::string_view name) {
  std::vector<std::string> candidates;
  if (package->main) {
    for (const std::string_view ending : {"", ".js", ".json", "/index.js", "/index.json"}) {
      candidates.push_back(fmt::format("{}{}", *package->main, ending));
    }
  }
  candidates.insert(candidates.end(), {"index.js", "index.json"});
  for (const std::string& candidate : candidates) {
    std::string path = join_path(package->directory, candidate);
    if (path.find('\0') != path.npos || files_.kind(path) != Kind::file) continue;
    return Target{{std::move(path), {}, false}, {}, package, false};
  }
  const std::string main =
      package->main ? fmt::format("its main is {}", in_quotes(*package->main)) : "it names no main";
  return failure(
      Errc::module_not_found, "ERR_MODULE_NOT_FOUND",
      fmt::format("package {}{} has no file to import: {}, and there is neither \"exports\" nor an index.js in {}",
                  in_quotes(name), imported(), main, shown(package->directory)));
}

// The package `name` in the nearest node_modules that has it. A package without package.json is one, too.
Result<Resolution::PackagePointer> Resolution::find_package(std::string_view name, std::string directory) {
  for (;;) {
    const std::string place = join_path(join_path(directory, "node_modules"), name);
    if (files_.kind(place) == Kind::directory) {
      Result<PackagePointer> package = resolver_.package_in(place);
      if (!package) return invalid_package(PackageJson{.directory = place}, package.error().message());
      if (*package) return package;
      return std::make_shared<const PackageJson>(PackageJson{.directory = place});
    }
    if (directory == "/" || directory.empty()) return nullptr;
    directory = std::string(parent_directory(directory));
  }
}

// The package.json in charge of the files in `directory`, or null.
Result<Resolution::PackagePointer> Resolution::package_scope(std::string directory) {
  while (last_segment(directory) != "node_modules") {
    Result<PackagePointer> package = resolver_.package_in(directory);
    if (!package) {
      return invalid_package(PackageJson{.directory = std::move(directory)}, package.error().message());
    }
    if (*package) return package;
    if (directory == "/" || directory.empty()) break;
    directory = std::string(parent_directory(directory));
  }
  return nullptr;
}

Result<ResolvedModule> Resolution::finish(const Target& target) {
  if (!target.builtin.empty()) return ResolvedModule{ModuleFormat::builtin, target.builtin, {}};
  const std::string& path = target.location.path;
  switch (files_.kind(path)) {
    case Kind::file:
      if (target.location.names_directory) return missing_file(target);
      break;
    case Kind::directory:
      return directory_import(target);
    case Kind::none:
      return missing_file(target);
    case Kind::other:
      return failure(
          Errc::unsupported, "ERR_MODULE_NOT_FOUND",
          fmt::format("cannot import {}{}: {} is not a regular file", in_quotes(specifier_), imported(), shown(path)));
    case Kind::forbidden:
      return failure(
          Errc::permission_denied, "ERR_ACCESS_DENIED",
          fmt::format("cannot import {}{}: no permission to read {}", in_quotes(specifier_), imported(), shown(path)));
  }
  Result<std::string> real = files_.real_path(path);
  if (!real) return missing_file(target);
  Result<ModuleFormat> format = format_of(*real);
  if (!format) return std::unexpected(std::move(format).error());
  return ResolvedModule{*format, file_url(*real) + target.location.suffix, *std::move(real)};
}

Result<ModuleFormat> Resolution::format_of(const std::string& path) {
  const std::string_view extension = extension_of(path);
  if (extension == ".mjs") return ModuleFormat::module;
  if (extension == ".json") return ModuleFormat::json;
  const bool is_javascript = extension == ".js" || extension.empty();
  const std::string_view foreign = explain_foreign_extension(extension);
  if (!foreign.empty()) {
    return failure(Errc::unsupported, "ERR_UNKNOWN_FILE_EXTENSION",
                   fmt::format("cannot load {}{}: {}", in_quotes(path), imported(), foreign));
  }
  if (!is_javascript && !is_entry_) {
    return failure(Errc::unsupported, "ERR_UNKNOWN_FILE_EXTENSION",
                   fmt::format("cannot load {}{}: '{}' is not the extension of a module (.js, .mjs or .json)",
                               in_quotes(path), imported(), shown(extension)));
  }
  Result<PackagePointer> scope = package_scope(std::string(parent_directory(path)));
  if (!scope) return std::unexpected(std::move(scope).error());
  return *scope && (*scope)->type == PackageType::module ? ModuleFormat::module : ModuleFormat::detect;
}

std::unexpected<Error> Resolution::failure(Errc code, std::string_view node_code, std::string message) const {
  Error error = Error(code, std::move(message)).with("code", node_code).with("specifier", shown(specifier_));
  if (!is_entry_) error = error.with("referrer", shown(referrer_));
  return std::unexpected(std::move(error));
}

std::unexpected<Error> Resolution::invalid_specifier(std::string_view reason) const {
  return failure(
      Errc::invalid_argument, "ERR_INVALID_MODULE_SPECIFIER",
      fmt::format("cannot {} {}{}: {}", is_entry_ ? "run" : "import", in_quotes(specifier_), imported(), reason));
}

std::unexpected<Error> Resolution::invalid_package(const PackageJson& package, std::string_view reason) const {
  return failure(Errc::invalid_argument, "ERR_INVALID_PACKAGE_CONFIG",
                 fmt::format("{} is not usable: {} (while resolving {}{})", shown(package.path()), shown(reason),
                             in_quotes(specifier_), imported()));
}

std::unexpected<Error> Resolution::package_not_found(const PackageSpecifier& wanted, const std::string& directory) {
  if (const auto advice = advice_for_node_builtin(wanted.name, resolver_.options_.builtins)) {
    return failure(Errc::module_not_found, "ERR_UNKNOWN_BUILTIN_MODULE",
                   fmt::format("cannot import {}{}: {} is a module of Node.js, and Gyre does not have it; {}",
                               in_quotes(specifier_), imported(), in_quotes(wanted.name), *advice));
  }
  std::string help = is_safe_in_shell(wanted.name) ? fmt::format("install it with 'npm install {}'", wanted.name)
                                                   : "check its spelling";
  Result<FileLocation> beside = resolve_file_reference(fmt::format("./{}", specifier_), base_);
  for (const std::string_view ending : {"", ".js", ".mjs", ".json"}) {
    if (!beside || files_.kind(fmt::format("{}{}", beside->path, ending)) != Kind::file) continue;
    help = fmt::format("did you mean './{}{}'?", shown(without_suffix(specifier_)), ending);
    break;
  }
  return failure(Errc::module_not_found, "ERR_MODULE_NOT_FOUND",
                 fmt::format("cannot find package {}{}: there is no node_modules/{} in {} or above it; {}",
                             in_quotes(wanted.name), imported(), shown(wanted.name), shown(directory), help));
}

std::string Resolution::conditions_clause(const PackageTarget& target) const {
  std::vector<std::string> names;
  for (const std::string_view name : condition_names(target)) names.push_back(shown(name));
  const bool only_commonjs =
      std::ranges::find(names, "require") != names.end() && std::ranges::find(names, "import") == names.end();
  return fmt::format("offers it only under the conditions {}, and Gyre's are {}, default{}", fmt::join(names, ", "),
                     fmt::join(resolver_.options_.conditions, ", "),
                     only_commonjs ? "; \"require\" is for CommonJS, which Gyre does not run" : "");
}

std::unexpected<Error> Resolution::not_exported(const PackageJson& package, const PackageSpecifier& wanted,
                                                const PackageMatch* match, Selection::Kind outcome) const {
  constexpr std::size_t kListed = 12;
  const PackageTarget& exports = *package.exports;
  std::string why;
  if (match != nullptr && outcome == Selection::Kind::closed) {
    why = fmt::format("maps {} to null", in_quotes(match->key));
  } else if (match != nullptr) {
    why = conditions_clause(*match->target);
  } else {
    std::vector<std::string> keys;
    const bool has_subpaths = !exports.keys.empty() && exports.keys.front().starts_with('.');
    if (has_subpaths) {
      for (const std::string& key : exports.keys | std::views::take(kListed)) keys.push_back(in_quotes(key));
    } else if (exports.kind != PackageTarget::Kind::other && exports.kind != PackageTarget::Kind::object) {
      keys.emplace_back("'.'");
    } else if (!exports.keys.empty()) {
      keys.emplace_back("'.'");
    }
    const std::size_t rest = has_subpaths && exports.keys.size() > kListed ? exports.keys.size() - kListed : 0;
    why = keys.empty() ? std::string("exports nothing")
                       : fmt::format("exports only {}{}", fmt::join(keys, ", "),
                                     rest > 0 ? fmt::format(" and {} more", rest) : "");
    for (const std::string_view ending : {".js", ".mjs", ".json", "/index.js"}) {
      if (!has_subpaths || !find_match(exports, fmt::format("{}{}", wanted.subpath, ending))) continue;
      if (exports.find(fmt::format("{}{}", wanted.subpath, ending)) == nullptr) continue;
      why += fmt::format("; did you mean '{}{}{}'?", shown(wanted.name), shown(wanted.subpath.substr(1)), ending);
      break;
    }
  }
  return failure(Errc::module_not_found, "ERR_PACKAGE_PATH_NOT_EXPORTED",
                 fmt::format("package {} does not export {}{}: {} {}", in_quotes(wanted.name),
                             in_quotes(wanted.subpath), imported(), shown(package.path()), why));
}

std::unexpected<Error> Resolution::not_imported(const PackageJson* package, const PackageMatch* match,
                                                Selection::Kind outcome) const {
  std::string why;
  if (package == nullptr) {
    why = "names that start with '#' are defined by \"imports\" of the nearest package.json, and there is none";
  } else if (!package->imports) {
    why = fmt::format("{} has no \"imports\"", shown(package->path()));
  } else if (match == nullptr) {
    std::vector<std::string> keys;
    for (const std::string& key : package->imports->keys | std::views::take(12)) keys.push_back(in_quotes(key));
    why = fmt::format("the \"imports\" of {} define {}", shown(package->path()),
                      keys.empty() ? std::string("nothing") : fmt::format("only {}", fmt::join(keys, ", ")));
  } else if (outcome == Selection::Kind::closed) {
    why = fmt::format("the \"imports\" of {} map it to null", shown(package->path()));
  } else {
    why = fmt::format("{} {}", shown(package->path()), conditions_clause(*match->target));
  }
  return failure(Errc::module_not_found, "ERR_PACKAGE_IMPORT_NOT_DEFINED",
                 fmt::format("cannot import {}{}: {}", in_quotes(specifier_), imported(), why));
}

std::unexpected<Error> Resolution::unusable_target(const PackageJson& package, std::string_view field,
                                                   std::string_view key, const SelectionProblem& problem) const {
  const std::string where = fmt::format("the \"{}\" of {} at {}", field, shown(package.path()), in_quotes(key));
  switch (problem.kind) {
    case SelectionProblem::Kind::invalid_request:
      return invalid_specifier(fmt::format("{} ({})", problem.reason, shown(package.path())));
    case SelectionProblem::Kind::invalid_config:
      return invalid_package(package, problem.reason);
    case SelectionProblem::Kind::invalid_target:
      break;
  }
  return failure(Errc::module_not_found, "ERR_INVALID_PACKAGE_TARGET",
                 fmt::format("cannot import {}{}: {} is wrong: {}", in_quotes(specifier_), imported(), where,
                             shown(problem.reason)));
}

// "; did you mean ...?" for the first ending with which the file exists, or nothing.
std::string Resolution::suggestion(const Target& target, std::span<const std::string_view> endings) {
  for (const std::string_view ending : endings) {
    const std::string path = fmt::format("{}{}", target.location.path, ending);
    if (files_.kind(path) != Kind::file) continue;
    std::string spelling = target.is_spelt_by_importer ? without_suffix(specifier_) : path;
    if (is_entry_) spelling = specifier_;
    if (target.is_spelt_by_importer) {
      while (spelling.ends_with('/')) spelling.pop_back();
      spelling += ending;
    }
    return fmt::format("; did you mean {}?", in_quotes(spelling));
  }
  return {};
}

std::unexpected<Error> Resolution::missing_file(const Target& target) {
  constexpr auto kEndings = std::to_array<std::string_view>({"", ".js", ".mjs", ".json"});
  const std::string& path = target.location.path;
  std::string help = suggestion(target, kEndings);
  const std::string_view extension = extension_of(path);
  if (help.empty() && (extension == ".js" || extension == ".mjs")) {
    const std::string source = path.substr(0, path.size() - extension.size()) + (extension == ".js" ? ".ts" : ".mts");
    if (files_.kind(source) == Kind::file) help = fmt::format("; compile {} first", in_quotes(source));
  }
  std::string what = fmt::format("cannot find module {}{}: ", in_quotes(specifier_), imported());
  if (is_entry_) what = fmt::format("cannot run {}: ", in_quotes(specifier_));
  if (target.package) what += fmt::format("{} maps it there, but ", shown(target.package->path()));
  return failure(
      Errc::module_not_found, "ERR_MODULE_NOT_FOUND",
      fmt::format("{}there is no file {}{}{}", what, shown(path), target.location.names_directory ? "/" : "", help));
}

std::unexpected<Error> Resolution::directory_import(const Target& target) {
  constexpr auto kEndings = std::to_array<std::string_view>({"/index.js", "/index.mjs", ".js", ".mjs"});
  const std::string what = is_entry_ ? fmt::format("cannot run {}", in_quotes(specifier_))
                                     : fmt::format("cannot import {}{}", in_quotes(specifier_), imported());
  return failure(Errc::unsupported, "ERR_UNSUPPORTED_DIR_IMPORT",
                 fmt::format("{}: {} is a directory, and a module is a file{}", what, shown(target.location.path),
                             suggestion(target, kEndings)));
}

}  // namespace internal

ModuleResolver::ModuleResolver(ModuleFileSystem& files, Options options)
    : files_(files), options_(std::move(options)) {}

ModuleResolver::~ModuleResolver() = default;

Result<ResolvedModule> ModuleResolver::resolve(std::string_view specifier, std::string_view referrer) {
  return internal::Resolution(*this, specifier, referrer).resolve();
}

Result<ResolvedModule> ModuleResolver::resolve_entry(std::string_view path) {
  return internal::Resolution(*this, path, {}).resolve_entry();
}

void ModuleResolver::invalidate() {
  packages_.clear();
}

Result<ModuleResolver::PackagePointer> ModuleResolver::package_in(const std::string& directory) {
  const auto known = packages_.find(directory);
  if (known != packages_.end()) return known->second;
  return packages_.emplace(directory, read_package(directory)).first->second;
}

Result<ModuleResolver::PackagePointer> ModuleResolver::read_package(const std::string& directory) {
  const std::string path = internal::join_path(directory, "package.json");
  if (files_.kind(path) != ModuleFileSystem::Kind::file) return nullptr;
  const Result<std::string> text = files_.read(path, options_.max_package_json_bytes);
  if (!text) return std::unexpected(text.error());
  Result<internal::PackageJson> package = internal::parse_package_json(*text, directory);
  if (!package) return std::unexpected(std::move(package).error());
  return std::make_shared<const internal::PackageJson>(*std::move(package));
}

}  // namespace gyre::js
