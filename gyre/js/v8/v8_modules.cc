#include <stdexcept>
#include <utility>

#include <gyre/js/v8/v8_realm.h>

// ES modules: compiling, linking, evaluating, and the engine's questions about them.

namespace gyre::js {

ModuleId V8Realm::keep(v8::Local<v8::Module> module, std::string_view url) {
  auto kept = std::make_unique<Module>();
  kept->handle.Reset(isolate_, module);
  kept->url = url;
  modules_.push_back(std::move(kept));
  const auto id = static_cast<ModuleId>(modules_.size());
  modules_by_hash_.emplace(module->GetIdentityHash(), id);
  return id;
}

ModuleId V8Realm::id_of(v8::Local<v8::Module> module) {
  const auto [first, last] = modules_by_hash_.equal_range(module->GetIdentityHash());
  for (auto entry = first; entry != last; ++entry) {
    if (modules_[entry->second - 1]->handle == module) return entry->second;
  }
  return 0;
}

Completion V8Realm::compile_module(std::string_view source, std::string_view url, ModuleId& id) {
  return complete([&]() -> v8::MaybeLocal<v8::Value> {
    v8::ScriptOrigin module_origin = origin(url, true);
    v8::ScriptCompiler::Source compiler_source(text(source), module_origin);
    v8::Local<v8::Module> module;
    if (!v8::ScriptCompiler::CompileModule(isolate_, &compiler_source).ToLocal(&module)) return {};
    id = keep(module, url);
    return v8::Undefined(isolate_);
  });
}

ModuleId V8Realm::synthetic_module(std::string_view url, std::span<const std::string> names,
                                   std::span<const Local> values) {
  std::vector<v8::Local<v8::String>> exports;
  for (const std::string& name : names) exports.push_back(key(name));
#if V8_MAJOR_VERSION < 12
  const auto& export_names = exports;
#else
  const v8::MemorySpan<const v8::Local<v8::String>> export_names(exports.data(), exports.size());
#endif
  const auto module = v8::Module::CreateSyntheticModule(isolate_, text(url), export_names, &V8Realm::on_synthetic);
  const ModuleId id = keep(module, url);
  Module& kept = *modules_[id - 1];
  kept.names.assign(names.begin(), names.end());
  for (const Local value : values) kept.values.emplace_back(isolate_, open(value));
  return id;
}

v8::MaybeLocal<v8::Value> V8Realm::on_synthetic(v8::Local<v8::Context> context, v8::Local<v8::Module> module) {
  v8::Isolate* isolate = context->GetIsolate();
  V8Realm& realm = of(isolate);
  Module& kept = *realm.modules_[realm.id_of(module) - 1];
  for (std::size_t i = 0; i < kept.names.size(); ++i) {
    if (module->SetSyntheticModuleExport(isolate, realm.key(kept.names[i]), kept.values[i].Get(isolate)).IsNothing()) {
      return {};
    }
  }
  kept.values.clear();
  const auto resolver = v8::Promise::Resolver::New(context).ToLocalChecked();
  if (resolver->Resolve(context, v8::Undefined(isolate)).IsNothing()) return {};
  return resolver->GetPromise();
}

std::vector<Realm::ModuleRequest> V8Realm::module_requests(ModuleId id) {
  const v8::HandleScope handles(isolate_);
  std::vector<ModuleRequest> result;
  const v8::Local<v8::Module> module = modules_[id - 1]->handle.Get(isolate_);
  const v8::Local<v8::FixedArray> requests = module->GetModuleRequests();
  for (int i = 0; i < requests->Length(); ++i) {
    const auto request = requests->Get(context(), i).As<v8::ModuleRequest>();
    v8::Location location = module->SourceOffsetToLocation(request->GetSourceOffset());
    result.push_back({.specifier = utf8_of(request->GetSpecifier()),
                      .location = {.resource = modules_[id - 1]->url,
                                   .function = {},
                                   .line = location.GetLineNumber() + 1,
                                   .column = location.GetColumnNumber() + 1,
                                   .source_line = {}}});
  }
  return result;
}

Completion V8Realm::link_module(ModuleId id, const ModuleResolver& resolve) {
  const ModuleResolver* outer = std::exchange(resolver_, &resolve);
  const Completion linked = complete([&]() -> v8::MaybeLocal<v8::Value> {
    if (modules_[id - 1]->handle.Get(isolate_)->InstantiateModule(context(), &V8Realm::on_resolve).IsNothing())
      return {};
    return v8::Undefined(isolate_);
  });
  resolver_ = outer;
  return linked;
}

v8::MaybeLocal<v8::Module> V8Realm::on_resolve(v8::Local<v8::Context> context, v8::Local<v8::String> specifier,
                                               v8::Local<v8::FixedArray>, v8::Local<v8::Module> referrer) {
  v8::Isolate* isolate = context->GetIsolate();
  V8Realm& realm = of(isolate);
  v8::Local<v8::Module> module;
  realm.contain([&] {
    const ModuleId id = (*realm.resolver_)(realm.utf8_of(specifier), realm.id_of(referrer));
    if (id == 0) throw std::logic_error("module '" + realm.utf8_of(specifier) + "' was not loaded");
    module = realm.modules_[id - 1]->handle.Get(isolate);
  });
  return module;
}

Completion V8Realm::evaluate_module(ModuleId id) {
  return complete([&] { return modules_[id - 1]->handle.Get(isolate_)->Evaluate(context()); });
}

Local V8Realm::module_namespace(ModuleId id) {
  return close(modules_[id - 1]->handle.Get(isolate_)->GetModuleNamespace());
}

std::string V8Realm::module_url(ModuleId id) {
  return modules_[id - 1]->url;
}

v8::MaybeLocal<v8::Promise> V8Realm::on_import(v8::Local<v8::Context> context, v8::Local<v8::Data>,
                                               v8::Local<v8::Value> resource, v8::Local<v8::String> specifier,
                                               v8::Local<v8::FixedArray>) {
  V8Realm& realm = of(context->GetIsolate());
  const std::string referrer = resource->IsString() ? realm.utf8_of(resource) : std::string();
  Local promise;
  realm.contain([&] { promise = realm.delegate_.on_dynamic_import(realm.utf8_of(specifier), referrer); });
  if (promise.is_empty()) return {};
  return open(promise).As<v8::Promise>();
}

void V8Realm::on_import_meta(v8::Local<v8::Context> context, v8::Local<v8::Module> module, v8::Local<v8::Object> meta) {
  V8Realm& realm = of(context->GetIsolate());
  realm.contain([&] { realm.delegate_.on_import_meta(realm.id_of(module), close(meta)); });
}

}  // namespace gyre::js
