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

Completion ModuleLoader::failed(const Error& error) { return {Completion::Kind::thrown, core_.make_error(error)}; }

Result<std::string> ModuleLoader::read(const ResolvedModule& module) { return files_.read(module.path, kMaxSourceBytes); }

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
  if (const Completion compiled = core_.realm->compile_module(source, url, module); !compiled.is_value()) return compiled;
  by_url_.emplace(url, module);
  return link(module);
}

Completion ModuleLoader::link(ModuleId module) {
  if (const Completion loaded = load_imports(module); !loaded.is_value()) return loaded;
  return core_.realm->link_module(module, [this](std::string_view specifier, ModuleId referrer) {
    const auto found = imports_.find(import_key(referrer, specifier));
    return found == imports_.end() ? ModuleId{0} : found->second;
  });
}

Completion ModuleLoader::compile(const ResolvedModule& resolved, ModuleId& module) {
  if (const auto found = by_url_.find(resolved.url); found != by_url_.end()) {
    module = found->second;
    return {Completion::Kind::value, core_.realm->undefined()};
  }
  Completion compiled;
  switch (resolved.format) {
    case ModuleFormat::builtin: compiled = compile_builtin(resolved, module); break;
    case ModuleFormat::json: compiled = compile_json(resolved, module); break;
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
  const Completion parse = realm.get(core_.require_builtin("primordials"), "JSONParse");
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
  const Local exports = core_.require_builtin(std::string_view(resolved.url).substr(std::string_view("gyre:").size()));
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

// Breadth first, so that deep chains of imports need no stack. Modules that were loaded before come from the table.
Completion ModuleLoader::load_imports(ModuleId root) {
  Realm& realm = *core_.realm;
  std::vector<ModuleId> waiting{root};
  while (!waiting.empty()) {
    const ModuleId referrer = waiting.back();
    waiting.pop_back();
    const std::string referrer_url = realm.module_url(referrer);
    for (const auto& request : realm.module_requests(referrer)) {
      std::string key = import_key(referrer, request.specifier);
      if (imports_.contains(key)) continue;
      const auto resolved = resolver_.resolve(request.specifier, referrer_url);
      if (!resolved) return failed(resolved.error().with("line", request.location.line));
      ModuleId imported = 0;
      const bool known = by_url_.contains(resolved->url);
      if (const Completion compiled = compile(*resolved, imported); !compiled.is_value()) return compiled;
      imports_.emplace(std::move(key), imported);
      // A known one may itself still be waiting for its imports, when an earlier attempt to load it failed midway.
      if (!known || resolved->format != ModuleFormat::builtin) waiting.push_back(imported);
    }
  }
  return {Completion::Kind::value, realm.undefined()};
}

Local ModuleLoader::import(std::string_view specifier, std::string_view referrer) {
  Realm& realm = *core_.realm;
  const auto [promise, resolver] = realm.deferred();
  ModuleId module = 0;
  const Completion loaded = load(specifier, referrer, module);
  if (loaded.is_terminated()) return promise;
  if (loaded.is_thrown()) {
    realm.reject(resolver, loaded.value);
    return promise;
  }
  const Completion evaluated = realm.evaluate_module(module);
  if (evaluated.is_thrown()) realm.reject(resolver, evaluated.value);
  if (!evaluated.is_value()) return promise;
  // The namespace may be handed out only after the module's own promise is fulfilled. Kept by handles that JavaScript
  // closures over native functions hold.
  auto kept = std::make_shared<Persistent>(realm, resolver);
  const Local fulfilled = realm.function("", 0, [kept, module](Call& call) {
    call.realm.resolve(kept->get(), call.realm.module_namespace(module));
    kept->reset();
  });
  const Local rejected = realm.function("", 1, [kept](Call& call) {
    call.realm.reject(kept->get(), call[0]);
    kept->reset();
  });
  realm.promise_then(evaluated.value, fulfilled, rejected);
  return promise;
}

}  // namespace gyre::js::internal
