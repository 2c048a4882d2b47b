#include <algorithm>
#include <array>

#include <fmt/format.h>

#include <gyre/js/internal/node_builtins.h>

namespace gyre::js::internal {
namespace {

struct NodeBuiltin {
  std::string_view name;
  std::string_view global;  // what the web's standards offer for it without an import
};

// Node.js 24's `module.builtinModules`, by first segment.
constexpr auto kNodeBuiltins = std::to_array<NodeBuiltin>({
    {"assert", ""},
    {"async_hooks", ""},
    {"buffer", "Uint8Array, Blob, TextEncoder and TextDecoder"},
    {"child_process", ""},
    {"cluster", ""},
    {"console", "console"},
    {"constants", ""},
    {"crypto", "crypto"},
    {"dgram", ""},
    {"diagnostics_channel", ""},
    {"dns", ""},
    {"domain", ""},
    {"events", "EventTarget"},
    {"fs", ""},
    {"http", "fetch"},
    {"http2", "fetch"},
    {"https", "fetch"},
    {"inspector", ""},
    {"module", ""},
    {"net", ""},
    {"os", ""},
    {"path", ""},
    {"perf_hooks", "performance"},
    {"process", "process"},
    {"punycode", "URL"},
    {"querystring", "URLSearchParams"},
    {"readline", ""},
    {"repl", ""},
    {"sea", ""},
    {"sqlite", ""},
    {"stream", "ReadableStream, WritableStream and TransformStream"},
    {"string_decoder", "TextDecoder"},
    {"sys", ""},
    {"test", ""},
    {"timers", "setTimeout, setInterval, setImmediate and queueMicrotask"},
    {"tls", ""},
    {"trace_events", ""},
    {"tty", ""},
    {"url", "URL and URLSearchParams"},
    {"util", ""},
    {"v8", ""},
    {"vm", ""},
    {"wasi", ""},
    {"worker_threads", ""},
    {"zlib", "CompressionStream and DecompressionStream"},
});

}  // namespace

std::optional<std::string> advice_for_node_builtin(std::string_view name, std::span<const std::string> builtins) {
  const std::string_view root = name.substr(0, name.find('/'));
  const auto builtin = std::ranges::find(kNodeBuiltins, root, &NodeBuiltin::name);
  if (builtin == kNodeBuiltins.end()) return std::nullopt;

  const std::string own = fmt::format("gyre:{}", root);
  const bool is_known = std::ranges::find(builtins, own) != builtins.end();
  if (is_known || (builtins.empty() && root == "fs")) return fmt::format("use '{}'", own);
  if (!builtin->global.empty()) return fmt::format("use the global {} without an import", builtin->global);
  return "use a package from npm that does without it, or a function that the host adds to the global object";
}

}  // namespace gyre::js::internal
