#include <vector>

#include <gyre/js/internal/module_loader.h>
#include <gyre/js/internal/runtime_core.h>

namespace gyre::js::internal {
namespace {

constexpr std::size_t kMaxSourceBytes = std::size_t{256} << 20;

std::string import_key(ModuleId referrer, std::string_view specifier) {
  return std::to_string(referrer) + '\n' + std::string(specifier);
}

}  // namespace

ModuleLoader::ModuleLoader(RuntimeCore& core)
    : core_(core),
      resolver_(files_, ModuleResolver::Options{.conditions = {"gyre", "import"},
                                                .builtins = {"gyre:fs"},
                                                .max_package_json_bytes = 4 * 1024 * 1024,
                                                .max_specifier_bytes = 16 * 1024}) {}

Completion ModuleLoader::failed(const Error& error) {
  return {Completion::Kind::thrown, core_.make_error(error)};
}

Result<std::string> ModuleLoader::read(const ResolvedModule& module) {
  return files_.read(module.path, kMaxSourceBytes);
}

Completion ModuleLoader::load(std::string_view specifier, std::string_view referrer, ModuleId& module) {
  const auto resolved = resolver_.resolve(specifier, referrer);
  if (!resolved) return failed(resolved.error());
  return load(*resolved, module);
}

Completion ModuleLoader::load(const ResolvedModule& resolved, ModuleId& module) {
  if (const Completion compiled = compile(resolved, module); !compiled.is_value()) return compiled;
  return link(module);
}

Completion ModuleLoader::load_source(std::string_view source, std::string_view url, ModuleId& module) {
  if (const Completion compiled = core_.realm->compile_module(source, url, module); !compiled.is_value())
    return compiled;
  by_url_.emplace(url, module);
  return link(module);
}

Completion ModuleLoader::link(ModuleId module) {
  std::unordered_set<ModuleId> reached;
  if (const Completion loaded = load_imports(module, reached); !loaded.is_value()) return loaded;
  const Completion linked = core_.realm->link_module(module, [this](std::string_view specifier, ModuleId referrer) {
    const auto found = imports_.find(import_key(referrer, specifier));
    return found == imports_.end() ? ModuleId{0} : found->second;
  });
  if (linked.is_value()) linked_.merge(reached);
  return linked;
}

Completion ModuleLoader::compile(const ResolvedModule& resolved, ModuleId& module) {
  if (const auto found = by_url_.find(resolved.url); found != by_url_.end()) {
    module = found->second;
    return {Completion::Kind::value, core_.realm->undefined()};
  }
  Completion compiled;
  switch (resolved.format) {
    case ModuleFormat::builtin:
      compiled = compile_builtin(resolved, module);
      break;
    case ModuleFormat::json:
      compiled = compile_json(resolved, module);
      break;
    case ModuleFormat::module:
    case ModuleFormat::detect: {
      const auto source = read(resolved);
      if (!source) return failed(source.error());
      compiled = core_.realm->compile_module(*source, resolved.url, module);
      break;
    }
  }
  if (compiled.is_value()) by_url_.emplace(resolved.url, module);
  return compiled;
}

Completion ModuleLoader::compile_json(const ResolvedModule& resolved, ModuleId& module) {
  Realm& realm = *core_.realm;
  const auto text = read(resolved);
  if (!text) return failed(text.error());
  const Completion primordials = core_.require_builtin("primordials");
  if (!primordials.is_value()) return primordials;
  const Completion parse = realm.get(primordials.value, "JSONParse");
  const Local source = realm.string(*text);
  const Completion value = realm.call(parse.value, realm.undefined(), std::span(&source, 1));
  if (value.is_thrown()) {
    return {Completion::Kind::thrown,
            realm.error(ErrorClass::syntax_error, resolved.path + ": " + realm.describe(value.value).message)};
  }
  if (!value.is_value()) return value;
  const std::string name = "default";
  module = realm.synthetic_module(resolved.url, std::span(&name, 1), std::span(&value.value, 1));
  return {Completion::Kind::value, realm.undefined()};
}

// A built-in's exports become named exports; the object itself is the default export.
Completion ModuleLoader::compile_builtin(const ResolvedModule& resolved, ModuleId& module) {
  Realm& realm = *core_.realm;
  const Completion required = core_.require_builtin(resolved.url.substr(std::string_view("gyre:").size()));
  if (!required.is_value()) return required;
  const Local exports = required.value;
  std::vector<std::string> names{"default"};
  std::vector<Local> values{exports};
  const Completion keys = realm.own_keys(exports);
  const std::uint32_t count = keys.is_value() ? realm.array_length(keys.value) : 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const Local key = realm.get_index(keys.value, i).value;
    names.push_back(realm.to_utf8(key));
    values.push_back(realm.get(exports, key).value);
  }
  module = realm.synthetic_module(resolved.url, names, values);
  return {Completion::Kind::value, realm.undefined()};
}

// With a list of its own instead of the stack, so that deep chains of imports need none. A module that was compiled
// before may still lack its imports, when an earlier attempt to load it failed midway; a linked one lacks nothing.
Completion ModuleLoader::load_imports(ModuleId root, std::unordered_set<ModuleId>& reached) {
  Realm& realm = *core_.realm;
  std::vector<ModuleId> waiting{root};
  while (!waiting.empty()) {
    const ModuleId referrer = waiting.back();
    waiting.pop_back();
    if (linked_.contains(referrer) || !reached.insert(referrer).second) continue;
    const std::string referrer_url = realm.module_url(referrer);
    for (const auto& request : realm.module_requests(referrer)) {
      ModuleId& imported = imports_[import_key(referrer, request.specifier)];
      if (imported == 0) {
        const auto resolved = resolver_.resolve(request.specifier, referrer_url);
        if (!resolved) return failed(resolved.error().with("line", request.location.line));
        if (const Completion compiled = compile(*resolved, imported); !compiled.is_value()) return compiled;
      }
      waiting.push_back(imported);
    }
  }
  return {Completion::Kind::value, realm.undefined()};
}

// Not at once: the module that asks may be among those that are asked for, and must be through with its own body first.
Local ModuleLoader::import(std::string_view specifier, std::string_view referrer) {
  Realm& realm = *core_.realm;
  const auto [promise, resolver] = realm.deferred();
  realm.enqueue_microtask(realm.function("", 0,
                                         [this, specifier = std::string(specifier), referrer = std::string(referrer),
                                          held = core_.make_value(resolver)](Call&) {
                                           ModuleId module = 0;
                                           const Completion loaded = load(specifier, referrer, module);
                                           settle_import(module, loaded, held);
                                         }));
  return promise;
}

void ModuleLoader::settle_import(ModuleId module, const Completion& loaded, Value resolver) {
  Realm& realm = *core_.realm;
  const Completion evaluated = loaded.is_value() ? realm.evaluate_module(module) : loaded;
  if (evaluated.is_thrown()) realm.reject(resolver.local(realm), evaluated.value);
  if (!evaluated.is_value()) return;
  // The namespace may be handed out only when the module's own promise is fulfilled.
  const Local fulfilled = realm.function("", 0, [resolver, module](Call& call) {
    call.realm.resolve(resolver.local(call.realm), call.realm.module_namespace(module));
  });
  const Local rejected =
      realm.function("", 1, [resolver](Call& call) { call.realm.reject(resolver.local(call.realm), call[0]); });
  realm.promise_then(evaluated.value, fulfilled, rejected);
}

}  // namespace gyre::js::internal
