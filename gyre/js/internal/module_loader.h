#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include <gyre/js/engine.h>
#include <gyre/js/module_file_system.h>
#include <gyre/js/module_resolver.h>
#include <gyre/js/value.h>

namespace gyre::js::internal {

class RuntimeCore;

/// Loads ES modules with all they import: resolves, reads, compiles and links. Each URL is loaded once per runtime.
class ModuleLoader {
 public:
  explicit ModuleLoader(RuntimeCore& core);

  /// Loads and links; `module` is set if the completion is a value.
  Completion load(std::string_view specifier, std::string_view referrer, ModuleId& module);
  Completion load(const ResolvedModule& resolved, ModuleId& module);
  /// The same for source text that is at hand.
  Completion load_source(std::string_view source, std::string_view url, ModuleId& module);
  /// Loads and evaluates for `import()`, in a microtask: the promise for the namespace.
  Local import(std::string_view specifier, std::string_view referrer);

  ModuleResolver& resolver() { return resolver_; }
  Result<std::string> read(const ResolvedModule& module);

 private:
  Completion failed(const Error& error);
  Completion compile(const ResolvedModule& resolved, ModuleId& module);
  Completion compile_json(const ResolvedModule& resolved, ModuleId& module);
  Completion compile_builtin(const ResolvedModule& resolved, ModuleId& module);
  Completion load_imports(ModuleId root, std::unordered_set<ModuleId>& reached);
  Completion link(ModuleId module);
  void settle_import(ModuleId module, const Completion& loaded, Value resolver);

  RuntimeCore& core_;
  RealModuleFileSystem files_;
  ModuleResolver resolver_;
  std::unordered_map<std::string, ModuleId> by_url_;
  // Where each import of a module leads: "referrer id\nspecifier" to module.
  std::unordered_map<std::string, ModuleId> imports_;
  std::unordered_set<ModuleId> linked_;  // with all that they import
};

}  // namespace gyre::js::internal
