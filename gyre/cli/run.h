#pragma once

#include <gyre/cli/command_line.h>

namespace gyre::cli {

/// Runs a program or a piece of code to its end. The result is the status for the shell.
int run(const RunFile& command);
int run(const RunCode& command);

}  // namespace gyre::cli
