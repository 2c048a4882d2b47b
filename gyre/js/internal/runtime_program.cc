#include <utility>

#include <gyre/js/internal/file_url.h>
#include <gyre/js/internal/runtime_core.h>

// What the host has run: code, functions, programs; and what modules ask for.

namespace gyre::js::internal {
namespace {

// True for the errors by which the engine says "this is a module".
bool says_module(const Exception& exception) {
  for (const std::string_view sign : {"Cannot use import statement outside a module", "Unexpected token 'export'",
                                      "Cannot use 'import.meta' outside a module",
                                      "await is only valid in async functions and the top level bodies of modules"}) {
    if (exception.message.find(sign) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

Value RuntimeCore::make_value(Local local) {
  return Value(shared_from_this(), local);
}

Result<Value> RuntimeCore::to_result(const Completion& completion) {
  if (completion.is_value()) return make_value(completion.value);
  return std::unexpected(to_error(completion));
}

Result<Value> RuntimeCore::eval(std::string_view code, std::string_view name) {
  if (auto usable_now = check_usable(); !usable_now) return std::unexpected(usable_now.error());
  const Entry entry(*this);
  return to_result(realm->run_script(code, name));
}

Result<void> RuntimeCore::run_file(std::string_view path) {
  if (auto usable_now = check_usable(); !usable_now) return usable_now;
  const auto resolved = modules->resolver().resolve_entry(path);
  if (!resolved) return std::unexpected(resolved.error());
  const auto source = modules->read(*resolved);
  if (!source) return std::unexpected(source.error());
  const Entry entry(*this);
  run_program(*source, *resolved);
  return {};
}

Result<void> RuntimeCore::run_code(std::string_view code, std::string_view name, std::string_view directory) {
  if (auto usable_now = check_usable(); !usable_now) return usable_now;
  const Entry entry(*this);
  const std::string path = join_path(directory, name);
  run_program(code, {.format = ModuleFormat::detect, .url = file_url(path), .path = path});
  return {};
}

void RuntimeCore::run_program(std::string_view source, const ResolvedModule& resolved) {
  bool is_module = resolved.format != ModuleFormat::detect;
  Completion completion;
  if (!is_module) {
    completion = realm->check_script(source, resolved.path);
    // The engine does not always say it: of f(await x) it says only that the parenthesis is not closed.
    ModuleId attempt = 0;
    is_module = completion.is_thrown() && (says_module(realm->describe(completion.value)) ||
                                           realm->compile_module(source, resolved.url, attempt).is_value());
  }
  if (is_module) {
    completion = run_main_module(source, resolved);
  } else if (completion.is_value()) {
    completion = realm->run_script(source, resolved.path);
  }
  if (completion.is_thrown() && usable()) report_uncaught(completion.value, "uncaughtException");
}

Completion RuntimeCore::run_main_module(std::string_view source, const ResolvedModule& resolved) {
  ModuleId module = 0;
  Completion completion = resolved.format == ModuleFormat::json ? modules->load(resolved, module)
                                                                : modules->load_source(source, resolved.url, module);
  if (completion.is_value()) completion = realm->evaluate_module(module);
  if (!completion.is_value()) return completion;
  // The program's own promise: its rejection is an uncaught exception, and it should be settled when the loop ends.
  main_promise_ = Persistent(*realm, completion.value);
  const Local nothing = realm->function("", 0, [](Call&) {});
  const Local rejected = realm->function("", 1, [this](Call& call) { report_uncaught(call[0], "uncaughtException"); });
  realm->promise_then(completion.value, nothing, rejected);
  // A module's body counts as a microtask, as in Node.js: the microtasks it leaves run before its ticks.
  if (depth_ == 1) run_microtasks_of_module();
  return completion;
}

Local RuntimeCore::on_dynamic_import(std::string_view specifier, std::string_view referrer) {
  const bool has_file = referrer.starts_with("file:") || referrer.starts_with("/");
  return modules->import(specifier, has_file ? std::string(referrer) : join_path(working_directory, "[eval]"));
}

void RuntimeCore::on_import_meta(ModuleId module, Local meta) {
  const std::string url = realm->module_url(module);
  realm->set(meta, "url", realm->string(url));
  if (const auto path = path_of_file_url(url)) {
    realm->set(meta, "filename", realm->string(*path));
    realm->set(meta, "dirname", realm->string(parent_directory(*path)));
  }
  realm->set(meta, "resolve", realm->function("resolve", 1, [this, url](Call& call) {
    const auto resolved = modules->resolver().resolve(call.realm.to_utf8(call[0]), url);
    if (resolved) {
      call.result = call.realm.string(resolved->url);
    } else {
      call.thrown = make_error(resolved.error());
    }
  }));
}

}  // namespace gyre::js::internal
