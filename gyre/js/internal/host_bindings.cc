#include <cstdio>
#include <fstream>

#include <sys/resource.h>
#include <unistd.h>

#include <gyre/js/internal/runtime_core.h>

// What the built-ins may ask of C++: queues, clocks, output, and the engine's view of a value.

namespace gyre::js::internal {
namespace {

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

std::string_view architecture() {
#if defined(__x86_64__)
  return "x64";
#elif defined(__aarch64__)
  return "arm64";
#else
  return "unknown";
#endif
}

Local strings(Realm& realm, std::span<const std::string> texts) {
  std::vector<Local> elements;
  for (const std::string& text : texts) elements.push_back(realm.string(text));
  return realm.array(elements);
}

void bind_queues(RuntimeCore& core, Local native) {
  define_function(core, native, "loopTime",
                  [&core](Call& call) { call.result = call.realm.number(core.refresh_loop_time()); });
  define_function(core, native, "refreshLoopTime",
                  [&core](Call& call) { call.result = call.realm.number(core.refresh_loop_time()); });
  define_function(core, native, "armTimer", [&core](Call& call) { core.arm_timer(call.realm.to_number(call[0])); });
  define_function(core, native, "refTimer", [&core](Call& call) { core.ref_timer(call.realm.to_boolean(call[0])); });
  define_function(core, native, "armImmediate", [&core](Call&) { core.arm_immediate(); });
  define_function(core, native, "refImmediate",
                  [&core](Call& call) { core.ref_immediate(call.realm.to_boolean(call[0])); });
  define_function(core, native, "checkpoint", [&core](Call&) { core.checkpoint_from_script(); });
  define_function(core, native, "runMicrotasks", [](Call& call) { call.realm.drain_microtasks(); });
  define_function(core, native, "enqueueMicrotask", [](Call& call) { call.realm.enqueue_microtask(call[0]); });
  define_function(core, native, "setPromiseRejectHook",
                  [&core](Call& call) { core.promise_reject_hook = Persistent(call.realm, call[0]); });
  define_function(core, native, "exit",
                  [&core](Call& call) { core.exit(static_cast<int>(call.realm.to_number(call[0]))); });
  define_function(core, native, "reportFatal",
                  [&core](Call& call) { core.report_fatal(call[0], call.realm.to_utf8(call[1])); });
}

void bind_clocks(RuntimeCore& core, Local native) {
  core.realm->set(native, "timeOrigin", core.realm->number(core.time_origin));
  define_function(core, native, "now",
                  [&core](Call& call) { call.result = call.realm.number(core.time_since_origin()); });
  define_function(core, native, "hrtime", [&core](Call& call) {
    call.result = call.realm.bigint(core.loop.clock().now().time_since_epoch().count());
  });
}

void bind_output(RuntimeCore& core, Local native) {
  define_function(core, native, "writeStdout", [&core](Call& call) { core.write_output(call.realm.to_utf8(call[0])); });
  define_function(core, native, "writeStderr", [&core](Call& call) { core.write_error(call.realm.to_utf8(call[0])); });
  define_function(core, native, "emitWarningToHost",
                  [&core](Call& call) { core.write_error(call.realm.to_utf8(call[0])); });
}

void bind_inspection(RuntimeCore& core, Local native) {
  define_function(core, native, "kindOf",
                  [](Call& call) { call.result = call.realm.string(call.realm.kind_of(call[0])); });
  define_function(core, native, "isBytes",
                  [](Call& call) { call.result = call.realm.boolean(call.realm.bytes_of(call[0]).has_value()); });
  define_function(core, native, "constructorName",
                  [](Call& call) { call.result = call.realm.string(call.realm.constructor_name(call[0])); });
  define_function(core, native, "nonIndexKeys", [](Call& call) {
    const Completion keys = call.realm.own_named_keys(call[0], call.realm.to_boolean(call[1]));
    (keys.is_thrown() ? call.thrown : call.result) = keys.value;
  });
  define_function(core, native, "proxyDetails", [](Call& call) {
    if (const auto details = call.realm.proxy_details(call[0])) {
      const Local pair[] = {details->first, details->second};
      call.result = call.realm.array(pair);
    }
  });
  define_function(core, native, "promiseDetails", [](Call& call) {
    if (!call.realm.is_promise(call[0])) return;
    const auto state = static_cast<double>(call.realm.promise_state(call[0]));
    const Local pair[] = {call.realm.number(state), call.realm.promise_result(call[0])};
    call.result = call.realm.array(pair);
  });
  define_function(core, native, "previewEntries", [](Call& call) {
    if (const auto preview = call.realm.preview_entries(call[0])) {
      const Local pair[] = {preview->first, call.realm.boolean(preview->second)};
      call.result = call.realm.array(pair);
    }
  });
}

Local make_info(RuntimeCore& core) {
  Realm& realm = *core.realm;
  const Local info = realm.object();
  std::error_code ignored;
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof(path));
  const std::string exec_path(path, length > 0 ? static_cast<std::size_t>(length) : 0);
  std::vector<std::string> arguments{exec_path};
  arguments.insert(arguments.end(), core.options.arguments.begin(), core.options.arguments.end());
  realm.set(info, "argv", strings(realm, arguments));
  realm.set(info, "execArgv", realm.array({}));
  realm.set(info, "execPath", realm.string(exec_path));
  realm.set(info, "version", realm.string("v" GYRE_VERSION));
  const Local versions = realm.object();
  realm.set(versions, "gyre", realm.string(GYRE_VERSION));
  realm.set(versions, std::string(core.engine_name), realm.string(core.engine_version));
  realm.set(info, "versions", versions);
  realm.set(info, "platform", realm.string("linux"));
  realm.set(info, "arch", realm.string(architecture()));
  realm.set(info, "pid", realm.number(static_cast<double>(getpid())));
  realm.set(info, "title", realm.string("gyre"));
  realm.set(info, "env", Convert<std::map<std::string, std::string>>::to_js(realm, core.options.environment));
  return info;
}

void bind_process(RuntimeCore& core, Local native) {
  core.realm->set(native, "info", make_info(core));
  define_function(core, native, "cwd",
                  [&core](Call& call) { call.result = call.realm.string(core.working_directory); });
  define_function(core, native, "memoryUsage", [](Call& call) {
    const MemoryUsage usage = call.realm.memory_usage();
    const Local object = call.realm.object();
    const auto put = [&](std::string_view name, std::size_t bytes) {
      call.realm.set(object, name, call.realm.number(static_cast<double>(bytes)));
    };
    put("rss", resident_bytes());
    put("heapTotal", usage.heap_total);
    put("heapUsed", usage.heap_used);
    put("external", usage.external);
    put("arrayBuffers", usage.array_buffers);
    call.result = object;
  });
}

}  // namespace

Local make_native_object(RuntimeCore& core) {
  const Local native = core.realm->object();
  bind_queues(core, native);
  bind_clocks(core, native);
  bind_output(core, native);
  bind_inspection(core, native);
  bind_process(core, native);
  return native;
}

}  // namespace gyre::js::internal
