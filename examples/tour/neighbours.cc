// Two tenants on one loop, in one thread. One of them runs wild and is stopped; the other never notices.

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include <gyre/js/runtime.h>
#include <gyre/loop/loop.h>

namespace {

// Prints what a tenant writes, a line at a time, under its name.
auto labelled(std::string name) {
  return [name = std::move(name)](std::string_view text) {
    std::printf("  %-12s %.*s", name.c_str(), static_cast<int>(text.size()), text.data());
    std::fflush(stdout);
  };
}

gyre::js::RuntimeOptions options_for(const std::string& name) {
  gyre::js::RuntimeOptions options;
  options.task_timeout = std::chrono::milliseconds(50);
  options.output = labelled(name);
  options.error_output = labelled(name);
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s TENANT.js MISBEHAVING_TENANT.js\n", argv[0]);
    return 2;
  }
  gyre::Loop loop({.auto_exit = true});
  const auto engine = gyre::js::make_v8_engine();

  gyre::js::Runtime good(loop, *engine, options_for("good"));
  gyre::js::Runtime wild(loop, *engine, options_for("wild"));
  good.set("quote", [](int order) { return 9.5 + order * 1.25; });

  for (const auto& [runtime, file] : {std::pair(&good, argv[1]), std::pair(&wild, argv[2])}) {
    if (const auto started = runtime->run_file(file); !started) {
      std::fprintf(stderr, "%s\n", started.error().to_string().c_str());
      return 1;
    }
  }
  if (const auto ran = loop.run(); !ran) {
    std::fprintf(stderr, "%s\n", ran.error().to_string().c_str());
    return 1;
  }

  if (const gyre::Error* limit = wild.limit_error()) {
    std::printf("  host         'wild' was stopped: %s\n", limit->message().c_str());
    std::printf("  host         it was at %s\n",
                std::string(limit->context("at").value_or("an unknown place")).c_str());
  }
  std::printf("  host         'good' ended by itself, with status %d\n", good.exit_code());
  return wild.limit_error() != nullptr && good.exit_code() == 0 ? 0 : 1;
}
