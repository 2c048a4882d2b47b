#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
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

/// Two connected stream sockets: of the machine itself, or of TCP on the loopback interface.
class SocketPair {
 public:
  enum class Family { local, tcp };
  explicit SocketPair(Family family = Family::local);
  SocketPair(const SocketPair&) = delete;
  SocketPair& operator=(const SocketPair&) = delete;
  ~SocketPair() {
    close_ours();
    close_theirs();
  }
  int ours() const { return ends_[0]; }
  int theirs() const { return ends_[1]; }
  void close_ours() { close(ends_[0]); }
  void close_theirs() { close(ends_[1]); }

 private:
  static void close(int& fd) {
    if (fd >= 0) ::close(std::exchange(fd, -1));
  }
  int ends_[2] = {-1, -1};
};

inline SocketPair::SocketPair(Family family) {
  if (family == Family::local) {
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends_) != 0) {
      throw std::runtime_error("no sockets");
    }
    return;
  }
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* const name = reinterpret_cast<sockaddr*>(&address);
  ends_[0] = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool connected = ::bind(listener, name, length) == 0 && ::listen(listener, 1) == 0 &&
                         ::getsockname(listener, name, &length) == 0 && ::connect(ends_[0], name, length) == 0 &&
                         (ends_[1] = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;
  ::close(listener);
  if (!connected) throw std::runtime_error("no connection on the loopback interface");
}

/// How many descriptors this process has open.
inline std::size_t open_descriptors() {
  const std::filesystem::directory_iterator entries("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

/// Leaves the process, while it lives, only so many descriptors more than are open.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(int left) {
    if (getrlimit(RLIMIT_NOFILE, &before_) != 0) throw std::runtime_error("no limit");
    const int lowest_free = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::close(lowest_free);
    rlimit tight = before_;
    tight.rlim_cur = static_cast<rlim_t>(lowest_free + left);
    if (setrlimit(RLIMIT_NOFILE, &tight) != 0) throw std::runtime_error("the limit cannot be set");
  }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;
  ~DescriptorLimit() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

/// For tests that hold with every poller: `INSTANTIATE_TEST_SUITE_P(Of, Suite, kEveryPoller, poller_name)`. One that
/// this machine lacks is skipped.
class OnEveryPoller : public ::testing::TestWithParam<PollerKind> {
 protected:
  void SetUp() override {
    Loop probe({.poller = GetParam()});
    Pipe pipe;
    const Watcher watcher = must(probe.watch(pipe.read_end(), Readiness::read, [](Readiness) {}));
    if (probe.poller_kind() != GetParam()) GTEST_SKIP() << "this machine has no " << to_string(GetParam());
  }
};
inline const auto kEveryPoller = ::testing::Values(PollerKind::epoll, PollerKind::io_uring, PollerKind::poll);
inline std::string poller_name(const ::testing::TestParamInfo<PollerKind>& test) {
  return std::string(to_string(test.param));
}

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
