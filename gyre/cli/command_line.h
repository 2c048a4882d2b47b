#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include <gyre/base/clock.h>

namespace gyre::cli {

/// Exit statuses of the command. A script's own process.exitCode stands beside them.
inline constexpr int kExitUncaught = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitLimit = 3;

/// What limits a script's run.
struct Limits {
  Duration task_timeout{};       // zero: none
  std::uint64_t heap_bytes = 0;  // zero: the engine's default
};

/// `gyre run FILE`.
struct RunFile {
  std::string file;
  std::vector<std::string> arguments;
  Limits limits;
};

/// `gyre eval CODE`.
struct RunCode {
  std::string code;
  std::vector<std::string> arguments;
  bool print_result = false;
  Limits limits;
};

/// The command line was answered already, with help, the version, or an error: the program ends with this status.
struct Answered {
  int status = 0;
};

using Command = std::variant<RunFile, RunCode, Answered>;

/// Reads the command line. Help and version go to standard output, errors to standard error.
Command parse_command_line(int argc, const char* const* argv);

}  // namespace gyre::cli
