#pragma once

#include <csignal>
#include <thread>

#include <gyre/base/task.h>

namespace gyre::cli {

/// Turns SIGINT and SIGTERM into calls of a function. Make it before any other thread is started: the signals are
/// blocked in this thread and those it starts, and a thread of their own takes them.
class StopSignals {
 public:
  /// `on_signal(number)` runs on the signal thread at the first signal. At the second, the process ends at once, with
  /// status 128 + number.
  explicit StopSignals(UniqueFunction<void(int)> on_signal);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

 private:
  void take_signals();

  UniqueFunction<void(int)> on_signal_;
  sigset_t signals_{};
  std::thread thread_;
};

}  // namespace gyre::cli
