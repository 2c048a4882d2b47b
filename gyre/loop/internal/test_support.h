#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <gyre/base/clock.h>
#include <gyre/base/error.h>
#include <gyre/loop/loop.h>

// What the tests of the loop share. Not installed.

namespace gyre::testing {

using namespace std::chrono_literals;

/// Nothing in these tests takes this long; a test that does has hung, and fails instead.
inline constexpr Duration kPatience = 20s;

/// The value of a result that must be there.
template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error("unexpected failure: " + result.error().to_string());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

template <typename T>
::testing::AssertionResult fails_with(const Result<T>& result, Errc code) {
  if (result) return ::testing::AssertionFailure() << "it succeeded";
  if (result.error().is(code)) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << result.error().to_string();
}
template <typename T>
::testing::AssertionResult fails_with(const Result<T>& result, std::errc code) {
  if (result) return ::testing::AssertionFailure() << "it succeeded";
  if (result.error().is(code)) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << result.error().to_string();
}

/// Waits until `condition` holds; false if it never does. For what another thread does.
template <typename Condition>
bool eventually(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

/// True when the loop has fallen asleep inside a run call on another thread.
inline bool falls_asleep(const Remote& remote) {
  return eventually([&] { return remote.state() == LoopState::sleeping; });
}

/// Runs a loop on a thread of its own; the end of the object waits for the end of the run.
class Runner {
 public:
  explicit Runner(Loop& loop) : thread_([this, &loop](std::stop_token stop) { result_ = loop.run(stop); }) {}
  /// Waits for `run` to return.
  Result<void> join() {
    if (thread_.joinable()) thread_.join();
    return result_;
  }
  void stop() { thread_.request_stop(); }
  std::thread::id id() const { return thread_.get_id(); }

 private:
  Result<void> result_;
  std::jthread thread_;
};

class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_, O_CLOEXEC | O_NONBLOCK) != 0) throw std::runtime_error("no pipe");
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close_read_end();
    close_write_end();
  }
  int read_end() const { return ends_[0]; }
  int write_end() const { return ends_[1]; }
  void close_read_end() { close(ends_[0]); }
  void close_write_end() { close(ends_[1]); }
  void send(char byte = 'x') const { EXPECT_EQ(::write(ends_[1], &byte, 1), 1); }
  /// Empties it.
  std::string receive() const {
    char buffer[256];
    const auto count = ::read(ends_[0], buffer, sizeof(buffer));
    return std::string(buffer, count > 0 ? static_cast<std::size_t>(count) : 0);
  }

 private:
  static void close(int& fd) {
    if (fd >= 0) ::close(std::exchange(fd, -1));
  }
  int ends_[2] = {-1, -1};
};

/// Calls a function when it is destroyed: a capture that does something on its way out.
class AtEnd {
 public:
  explicit AtEnd(std::function<void()> action) : action_(std::move(action)) {}
  AtEnd(AtEnd&& other) noexcept : action_(std::exchange(other.action_, nullptr)) {}
  AtEnd& operator=(AtEnd&&) = delete;
  ~AtEnd() {
    if (action_) action_();
  }

 private:
  std::function<void()> action_;
};

/// A binding without queues that records what it is asked and told.
struct QuiescenceProbe final : LoopBinding {
  std::function<void()> quiescent;
  std::optional<LoopEnd> end;
  bool run_ticks() override { return false; }
  bool run_microtasks() override { return false; }
  bool finish_checkpoint() override { return false; }
  void on_quiescent() override {
    if (quiescent) quiescent();
  }
  void on_terminated(LoopEnd how) override { end = how; }
};

}  // namespace gyre::testing
