#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <functional>

#include <unistd.h>

#include <gyre/cli/run.h>
#include <gyre/cli/stop_signals.h>
#include <gyre/js/runtime.h>
#include <gyre/loop/loop.h>

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX asks programs to declare it

namespace gyre::cli {
namespace {

constexpr int kSignalStatus = 128;

// Straight to the descriptor: what a script has printed is out, whatever happens to the process next.
void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno != EINTR) return;  // nobody reads; there is nobody to tell either
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void say(std::string_view text) {
  write_all(STDERR_FILENO, fmt::format("gyre: {}\n", text));
}

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos) variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

js::RuntimeOptions runtime_options(const Limits& limits, std::vector<std::string> arguments) {
  js::RuntimeOptions options;
  options.arguments = std::move(arguments);
  options.environment = environment();
  options.file_access = js::FileAccess::read_write;
  options.output = [](std::string_view text) { write_all(STDOUT_FILENO, text); };
  options.error_output = [](std::string_view text) { write_all(STDERR_FILENO, text); };
  options.task_timeout = limits.task_timeout;
  options.heap_limit = limits.heap_bytes;
  return options;
}

void report_limit(const Error& error) {
  say(error.message());
  if (const auto stack = error.context("stack")) {
    write_all(STDERR_FILENO, fmt::format("{}\n", stack->substr(stack->starts_with('\n') ? 1 : 0)));
  } else if (const auto place = error.context("at")) {
    write_all(STDERR_FILENO, fmt::format("    at {}\n", *place));
  }
}

// Makes loop, engine and runtime, lets `start` set the script off, and runs the loop to its end.
int run_script(const Limits& limits, std::vector<std::string> arguments,
               const std::function<Result<void>(js::Runtime&)>& start) {
  std::atomic<js::Runtime*> target{nullptr};
  std::atomic<int> stopped_by{0};
  StopSignals signals([&](int number) {
    stopped_by = number;
    if (js::Runtime* runtime = target.load()) runtime->request_stop(kSignalStatus + number);
  });

  Loop loop({.auto_exit = true});
  const auto engine = js::make_v8_engine();
  js::Runtime runtime(loop, *engine, runtime_options(limits, std::move(arguments)));
  target = &runtime;
  // Whoever was told to stop before there was anything to stop.
  if (stopped_by != 0) return kSignalStatus + stopped_by;

  const auto started = start(runtime);
  if (!started && !runtime.has_ended()) {
    target = nullptr;
    say(started.error().message());
    return kExitUncaught;
  }
  const auto ran = loop.run();
  target = nullptr;
  if (!ran) {
    say(ran.error().to_string());
    return kExitUncaught;
  }
  if (const Error* limit = runtime.limit_error()) report_limit(*limit);
  return runtime.exit_code() & 0xff;  // what the system keeps of it
}

}  // namespace

int run(const RunFile& command) {
  std::error_code ignored;
  std::vector<std::string> arguments{std::filesystem::absolute(command.file, ignored).lexically_normal().string()};
  arguments.insert(arguments.end(), command.arguments.begin(), command.arguments.end());
  return run_script(command.limits, std::move(arguments),
                    [&](js::Runtime& runtime) { return runtime.run_file(command.file); });
}

int run(const RunCode& command) {
  return run_script(command.limits, command.arguments, [&](js::Runtime& runtime) -> Result<void> {
    if (!command.print_result) {
      return runtime.run_code(command.code, "[eval]", std::filesystem::current_path().string());
    }
    const auto value = runtime.eval(command.code);
    if (!value) return std::unexpected(value.error());
    write_all(STDOUT_FILENO, value->to_string() + "\n");
    return {};
  });
}

}  // namespace gyre::cli
