#include <exception>
#include <iostream>
#include <variant>

#include <gyre/cli/command_line.h>
#include <gyre/cli/run.h>

namespace {

struct Execute {
  int operator()(const gyre::cli::Answered& answered) const { return answered.status; }
  template <typename Command>
  int operator()(const Command& command) const {
    return gyre::cli::run(command);
  }
};

}  // namespace

int main(int argc, char** argv) {
  try {
    return std::visit(Execute(), gyre::cli::parse_command_line(argc, argv));
  } catch (const std::exception& error) {
    std::cerr << "gyre: " << error.what() << '\n';
    return gyre::cli::kExitUncaught;
  }
}
