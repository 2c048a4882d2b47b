#pragma once

#include <functional>
#include <optional>
#include <string>
#include <thread>

#include <sys/socket.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/loop/loop.h>

namespace gyre::testing {

/// Everything that can give a loop something to do, one after the other: each step is begun from a callback of the one
/// before, or from outside. A foreign loop that misses one of the wake-ups never gets to the end.
class Workload {
 public:
  static constexpr int kPosts = 1000;

  Workload(Loop& loop, std::function<void()> when_done) : loop_(loop), when_done_(std::move(when_done)) {}

  /// From outside every callback of the loop, as a foreign callback would.
  void begin() {
    must(loop_.set_timeout(5ms, [this] {
      log += "timer ";
      must(loop_.queue_microtask([this] {
        log += "microtask ";
        read_from_a_socket();
      }));
    }));
  }

  std::string log;
  int posted = 0;
  bool timed_out = false;

 private:
  void read_from_a_socket() {
    watcher_ = must(loop_.watch(sockets_.ours(), {.interest = Readiness::read, .timeout = 5ms}, [this](Readiness what) {
      if (what == Readiness::timeout) {
        timed_out = true;
        ASSERT_EQ(::send(sockets_.theirs(), "x", 1, 0), 1);
        return;
      }
      log += "socket ";
      must(watcher_->stop());
      offload();
    }));
  }
  void offload() {
    must(loop_.offload([](std::stop_token) { return std::string("offload "); },
                       [this](Result<std::string> result) {
                         log += must(std::move(result));
                         take_posts();
                       }));
  }
  void take_posts() {
    producer_ = std::jthread([this, remote = loop_.remote()]() mutable {
      for (int i = 0; i < kPosts; ++i) {
        must(remote.post([this] {
          if (++posted == kPosts) spread_over_turns(5);
        }));
        if (i % 50 == 0) std::this_thread::yield();  // so that they do not all come at once
      }
    });
  }
  void spread_over_turns(int left) {
    log += "turn ";
    if (left == 0) return when_done_();
    must(loop_.set_immediate([this, left] { spread_over_turns(left - 1); }));
  }

  Loop& loop_;
  std::function<void()> when_done_;
  SocketPair sockets_;
  std::optional<Watcher> watcher_;
  std::jthread producer_;
};

inline void expect_complete(const Workload& work) {
  EXPECT_EQ(work.log, "timer microtask socket offload turn turn turn turn turn turn ");
  EXPECT_EQ(work.posted, Workload::kPosts);
  EXPECT_TRUE(work.timed_out);
}

inline const auto kPollersWithHandle = ::testing::Values(PollerKind::epoll, PollerKind::io_uring);

}  // namespace gyre::testing
