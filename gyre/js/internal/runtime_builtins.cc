#include <array>
#include <stdexcept>
#include <utility>

#include <gyre/js/internal/builtins.h>
#include <gyre/js/internal/runtime_core.h>

// How the built-ins get into a realm: by running them, or with a snapshot in which they have run already.

namespace gyre::js::internal {
namespace {

constexpr std::size_t kFlagBytes = 8;

// Properties of `native` that tell about this process: a snapshot holds those of the one that made it.
constexpr std::array kHostFacts = {"info", "timeOrigin"};

// The places of what C++ keeps of the built-ins, in the array that is a snapshot's root.
enum RootIndex : std::uint32_t {
  kNative,
  kRequire,
  kHooks,
  kInspect,
  kPromiseRejectHook,
};

}  // namespace

Local RuntimeCore::must(const Completion& completion) {
  if (completion.is_value()) return completion.value;
  if (completion.is_terminated()) {
    throw ErrorException(to_error(completion));  // a heap that is too small even for the built-ins
  }
  const Exception exception = realm->describe(completion.value);
  throw std::logic_error("gyre: a built-in failed to load: " +
                         (exception.stack.empty() ? exception.message : exception.stack));
}

// Compiles a built-in by name; what it calls is decided by the loader.
Local RuntimeCore::make_compile_function() {
  return realm->builtin_function("compile", 1, [](Call& call) {
    static constexpr std::string_view kParameters[] = {"exports", "require", "native"};
    const std::string name = call.realm.to_utf8(call[0]);
    const auto source = builtin_source(name);
    if (!source) {
      call.thrown = call.realm.error(ErrorClass::error, "no built-in is called " + name);
      return;
    }
    const Completion compiled = call.realm.compile_function(*source, "gyre:internal/" + name, kParameters);
    (compiled.is_value() ? call.result : call.thrown) = compiled.value;
  });
}

void RuntimeCore::load_builtins() {
  const Scope scope(*realm);
  // Made in any case: a realm from a snapshot finds its C++ functions by the order in which they are made here.
  const Local native = make_native_object(*this);
  add_file_bindings(*this, native);
  const Local compile = make_compile_function();

  Local root = realm->snapshot_root();
  const bool from_snapshot = !root.is_empty();
  if (!from_snapshot) root = run_builtins(native, compile);
  connect_builtins(root);
  if (from_snapshot) tell_host_facts(native, root);
}

Local RuntimeCore::run_builtins(Local native, Local compile) {
  realm->set(native, "flags", realm->uint8_array(std::vector<std::byte>(kFlagBytes)));
  static constexpr std::string_view kLoaderParameters[] = {"compile", "native"};
  const Local loader =
      must(realm->compile_function(builtin_source("loader").value(), "gyre:internal/loader", kLoaderParameters));
  const Local arguments[] = {compile, native};
  require_ = Persistent(*realm, must(realm->call(loader, realm->undefined(), arguments)));
  const Local hooks = must(realm->get(must(require_builtin("bootstrap")), "hooks"));
  const Local inspect = must(realm->get(must(require_builtin("inspect")), "inspect"));
  const Local root[] = {native, require_.get(), hooks, inspect, promise_reject_hook.get()};
  return realm->array(root);
}

void RuntimeCore::connect_builtins(Local root) {
  const auto part = [&](RootIndex index) { return must(realm->get_index(root, index)); };
  flags = reinterpret_cast<std::uint8_t*>(realm->bytes_of(must(realm->get(part(kNative), "flags")))->data());
  require_ = Persistent(*realm, part(kRequire));
  inspect_ = Persistent(*realm, part(kInspect));
  promise_reject_hook = Persistent(*realm, part(kPromiseRejectHook));
  const auto hook = [&](std::string_view name) { return Persistent(*realm, must(realm->get(part(kHooks), name))); };
  process_timers_ = hook("processTimers");
  process_immediates_ = hook("processImmediates");
  process_ticks_ = hook("processTicks");
  process_rejections_ = hook("processRejections");
  report_uncaught_ = hook("reportUncaught");
  emit_before_exit_ = hook("emitBeforeExit");
  emit_exit_ = hook("emitExit");
  stored_exit_code_ = hook("storedExitCode");
  terminal_cleanup_ = hook("terminalCleanup");
}

void RuntimeCore::tell_host_facts(Local native, Local root) {
  const Local known = must(realm->get_index(root, kNative));
  for (const char* fact : kHostFacts) must(realm->set(known, fact, must(realm->get(native, fact))));
  const Local hooks = must(realm->get_index(root, kHooks));
  must(realm->call(must(realm->get(hooks, "fillProcess")), realm->undefined(), {}));
}

void RuntimeCore::release_builtins() noexcept {
  for (Persistent* held :
       {&promise_reject_hook, &require_, &process_timers_, &process_immediates_, &process_ticks_, &process_rejections_,
        &report_uncaught_, &emit_before_exit_, &emit_exit_, &stored_exit_code_, &terminal_cleanup_, &inspect_}) {
    held->reset();
  }
}

std::vector<std::byte> RuntimeCore::make_snapshot(Engine& engine) {
  realm = engine.make_realm_for_snapshot(*this);
  engine_name = engine.name();
  engine_version = engine.version();
  Persistent root;
  {
    const Scope scope(*realm);
    const Local native = make_native_object(*this);
    add_file_bindings(*this, native);
    const Local compile = make_compile_function();
    root = Persistent(*realm, run_builtins(native, compile));
  }
  release_builtins();
  auto snapshot = realm->take_snapshot(std::move(root));
  realm.reset();
  return snapshot;
}

}  // namespace gyre::js::internal
