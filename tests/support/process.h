#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace gyre::testing {

struct ProcessResult {
  int status = -1;         ///< Exit status; 128 + number if a signal ended it.
  std::string output;      ///< Standard output, whole.
  std::string errors;      ///< Standard error, whole.
  bool timed_out = false;  ///< It was killed because it took longer than allowed.
};

struct ProcessOptions {
  std::chrono::milliseconds time_limit{10'000};
  /// Called with the process id once, when the process has printed something to standard output.
  std::function<void(int)> on_first_output = {};
  std::string directory = {};
};

/// Runs a program to its end and collects what it prints.
ProcessResult run_process(const std::vector<std::string>& command, const ProcessOptions& options = {});

}  // namespace gyre::testing
