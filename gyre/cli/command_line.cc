#include <iostream>

#include <CLI/CLI.hpp>

#include <gyre/cli/command_line.h>
#include <gyre/cli/units.h>
#include <gyre/js/engine.h>

namespace gyre::cli {
namespace {

constexpr const char* kFooter = R"(
DUR is a number with a unit, like 50ms or 2s; SIZE like 64M or 1G.

Exit status: 0 when the script is done, or what it set as process.exitCode; 1 after an uncaught error;
2 for wrong usage; 3 when a limit was hit; 13 if a top-level await can never settle; 130 after Ctrl-C.)";

// As RuntimeOptions::heap_limit has it.
constexpr std::uint64_t kSmallestHeap = std::uint64_t{8} << 20;

// CLI11 shows a thrown ValidationError as wrong usage of the option.
void add_limits(CLI::App& command, Limits& limits) {
  command
      .add_option_function<std::string>(
          "--task-timeout",
          [&limits](const std::string& text) {
            const auto parsed = parse_duration(text);
            if (!parsed) throw CLI::ValidationError("--task-timeout", parsed.error().message());
            limits.task_timeout = *parsed;
          },
          "Stop the script when one callback, with the microtasks it leaves, takes longer than DUR")
      ->type_name("DUR");
  command
      .add_option_function<std::string>(
          "--heap-limit",
          [&limits](const std::string& text) {
            const auto parsed = parse_size(text);
            if (!parsed) throw CLI::ValidationError("--heap-limit", parsed.error().message());
            if (*parsed < kSmallestHeap) {
              throw CLI::ValidationError("--heap-limit",
                                         "'" + text + "' is too small for the engine; give at least 8M");
            }
            limits.heap_bytes = *parsed;
          },
          "Stop the script when its JavaScript heap would grow beyond SIZE")
      ->type_name("SIZE");
}

std::string version_text() {
  const auto engine = js::make_v8_engine();
  return fmt::format("gyre {} ({} {})", GYRE_VERSION, engine->name(), engine->version());
}

// The first word is no command: perhaps somebody left out "run".
bool looks_like_file(const std::vector<std::string>& words) {
  return !words.empty() && (words.front().ends_with("js") || words.front().find('/') != std::string::npos);
}

int answer_error(const CLI::App& app, const CLI::ParseError& error) {
  if (app.get_subcommands().empty()) {
    const auto words = app.remaining();
    if (words.empty()) {
      std::cerr << app.help();
    } else {
      std::cerr << "gyre: there is no command '" << words.front() << "'";
      if (looks_like_file(words)) std::cerr << "; to run a program: gyre run " << words.front();
      std::cerr << "\nRun 'gyre --help' for the commands.\n";
    }
    return kExitUsage;
  }
  std::string command = "gyre";
  for (const CLI::App* chosen : app.get_subcommands()) command += " " + chosen->get_name();
  std::cerr << command << ": " << error.what() << "\nRun '" << command << " --help' for what it takes.\n";
  return kExitUsage;
}

}  // namespace

Command parse_command_line(int argc, const char* const* argv) {
  CLI::App app("Runs JavaScript on its own event loop, within limits.", "gyre");
  app.footer(kFooter);
  app.require_subcommand(1);
  bool wants_version = false;
  app.add_flag("-V,--version", wants_version, "Show the versions of gyre and its engine");

  RunFile run_file;
  CLI::App* run = app.add_subcommand("run", "Run a program: an ES module or a classic script");
  run->footer(kFooter);
  run->add_option("FILE", run_file.file, "The program")->required();
  run->add_option("ARGS", run_file.arguments, "What the program finds in process.argv; put -- before them");
  add_limits(*run, run_file.limits);

  RunCode run_code;
  CLI::App* eval = app.add_subcommand("eval", "Run code given on the command line");
  eval->footer(kFooter);
  eval->add_option("CODE", run_code.code, "The code")->required();
  eval->add_option("ARGS", run_code.arguments, "What the code finds in process.argv; put -- before them");
  eval->add_flag("-p,--print", run_code.print_result, "Print the value of the last statement");
  add_limits(*eval, run_code.limits);

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    const auto chosen = app.get_subcommands();
    std::cout << (chosen.empty() ? app.help() : chosen.front()->help());
    return Answered{0};
  } catch (const CLI::ParseError& error) {
    if (wants_version) {
      std::cout << version_text() << '\n';
      return Answered{0};
    }
    return Answered{answer_error(app, error)};
  }
  if (wants_version) {
    std::cout << version_text() << '\n';
    return Answered{0};
  }
  if (run->parsed()) return run_file;
  return run_code;
}

}  // namespace gyre::cli
