#pragma once

#include <utility>
#include <vector>

#include <sys/eventfd.h>
#include <unistd.h>

#include "peer.h"
#include "timer_workloads.h"

/// What things weigh that only wait: workload 13.
namespace bench {

// --- 13. mem_timer, mem_fd, mem_pending_local, mem_pending_remote ---

inline void report_live_bytes(Report& report, const Counts& before, std::int64_t n) {
  const double live = static_cast<double>(read_counts().live_bytes - before.live_bytes) / static_cast<double>(n);
  report.add_round(0, n, Counts{}, {{"live_bytes_per_op", live}});
}

/// What runs on the loop and then stops it.
template <typename Peer, typename Work>
struct ThenStop {
  Work* work;
  Peer* peer;
  void operator()() const {
    (*work)();
    peer->stop();
  }
};
template <typename Peer, typename Work>
void run_on(Peer& peer, Work work) {
  auto& kept = make_forever<Work>(std::move(work));
  peer.submit(ThenStop<Peer, Work>{&kept, &peer});
  peer.run();
}

template <typename Peer>
void mem_timer(const Args& args, Report& report) {
  const std::int64_t n = args.number("n", 100'000);
  auto& peer = make_forever<Peer>(args);
  run_on(peer, [&] {
    const Counts before = read_counts();
    using Timers = typename Peer::template Timers<IgnoreTimer>;
    auto& timers = make_forever<Timers>(peer, static_cast<std::size_t>(n));
    peer.update_time();
    const std::int64_t start = now_ns();
    Random random;
    for (std::int64_t i = 0; i < n; ++i) {
      timers.arm_at(start, random.between(30 * kSecond, 90 * kSecond), IgnoreTimer{});
    }
    report_live_bytes(report, before, n);
  });
}

struct NeverReadable {
  void* unused[2];
  void on_readable() const {}
  void on_byte(char) const {}
};

template <typename Peer, typename Work>
struct InTwoTurns {
  Work* work;
  Peer* peer;
  struct Last {
    Work* work;
    Peer* peer;
    void operator()() const {
      (*work)();
      peer->stop();
    }
  };
  void operator()() const { peer->submit(Last{work, peer}); }
};

template <typename Peer>
void mem_fd(const Args& args, Report& report) {
  const std::int64_t n = args.number("n", 4'096);
  raise_descriptor_limit();
  auto& peer = make_forever<Peer>(args);
  std::vector<int> fds;
  for (std::int64_t i = 0; i < n; ++i) fds.push_back(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const Counts before = read_counts();
  auto measure = [&] { report_live_bytes(report, before, n); };
  auto begin = [&] {
    using Watches = typename Peer::template Watches<NeverReadable>;
    auto& watches = make_forever<Watches>(peer, static_cast<std::size_t>(n));
    for (const int fd : fds) watches.watch(fd, NeverReadable{});
    peer.submit(InTwoTurns<Peer, decltype(measure)>{&measure, &peer});
  };
  struct Begin {
    decltype(begin)* work;
    void* unused;
    void operator()() const { (*work)(); }
  };
  peer.submit(Begin{&begin, nullptr});
  peer.run();
}

struct Nothing {
  void* unused[2];
  void operator()() const {}
};

template <typename Peer>
void mem_pending_local(const Args& args, Report& report) {
  const std::int64_t n = args.number("n", 100'000);
  auto& peer = make_forever<Peer>(args);
  run_on(peer, [&] {
    const Counts before = read_counts();
    for (std::int64_t i = 0; i < n; ++i) peer.submit(Nothing{});
    report_live_bytes(report, before, n);
  });
}

template <typename Peer>
void mem_pending_remote(const Args& args, Report& report) {
  const std::int64_t n = args.number("n", 100'000);
  auto& loop = make_forever<LoopThread<Peer>>(args);
  auto& remote = make_forever<typename Peer::Remote>(loop.peer());
  struct Block {
    Gate* blocked;
    Gate* release;
    void operator()() const {
      blocked->open();
      release->wait();
    }
  };
  auto& blocked = make_forever<Gate>();
  auto& release = make_forever<Gate>();
  remote.submit(Block{&blocked, &release});
  blocked.wait();
  const Counts before = read_counts();
  for (std::int64_t i = 0; i < n; ++i) remote.submit(Nothing{});
  report_live_bytes(report, before, n);
}

}  // namespace bench
