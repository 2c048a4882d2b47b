#include <pthread.h>
#include <unistd.h>

#include <gyre/cli/stop_signals.h>

namespace gyre::cli {
namespace {

// Tells the thread to end; no program sends it to us by accident.
constexpr int kQuit = SIGUSR2;
constexpr int kSignalStatus = 128;  // the shell's convention

}  // namespace

StopSignals::StopSignals(UniqueFunction<void(int)> on_signal) : on_signal_(std::move(on_signal)) {
  sigemptyset(&signals_);
  for (const int number : {SIGINT, SIGTERM, kQuit}) sigaddset(&signals_, number);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  thread_ = std::thread([this] { take_signals(); });
}

StopSignals::~StopSignals() {
  pthread_kill(thread_.native_handle(), kQuit);
  thread_.join();
}

void StopSignals::take_signals() {
  bool asked = false;
  for (;;) {
    int number = 0;
    if (sigwait(&signals_, &number) != 0) continue;
    if (number == kQuit) return;
    if (asked) _exit(kSignalStatus + number);
    asked = true;
    on_signal_(number);
  }
}

}  // namespace gyre::cli
