#pragma once

#include <algorithm>
#include <type_traits>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "echo.h"
#include "peer.h"
#include "task_workloads.h"

/// Descriptors and connections: workloads 10 and 11.
namespace bench {

// --- 10. fd_ready ---

/// An op is one callback: it moves the byte of its pair back to where it came from.
template <typename Peer>
struct BounceByte {
  Chain<Peer>* chain;
  std::intptr_t fd;

  void on_readable() const {
    char byte;
    if (read(static_cast<int>(fd), &byte, 1) == 1) on_byte(byte);
  }
  /// For peers that read by themselves.
  void on_byte(char byte) const {
    if (write(static_cast<int>(fd), &byte, 1) != 1) std::perror("bench: write");
    if (chain->count < chain->target) chain->advance();
  }
};

template <typename Peer>
void fd_ready(const Args& args, Report& report) {
  const std::int64_t n = args.number("n", 300'000);
  const std::int64_t pair_count = args.number("c", 1);
  raise_descriptor_limit();
  pin_to(kLoopCpu);
  for (int round = 0; round <= kRounds; ++round) {
    auto& peer = make_forever<Peer>(args);
    auto& watches =
        make_forever<typename Peer::template Watches<BounceByte<Peer>>>(peer, static_cast<std::size_t>(2 * pair_count));
    auto& chain = make_forever<Chain<Peer>>(&peer, round == 0 ? std::max<std::int64_t>(n / 10, 1) : n);
    std::vector<int> ends;
    for (std::int64_t i = 0; i < pair_count; ++i) {
      int pair[2];
      if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
        std::perror("bench: socketpair");
        std::exit(1);
      }
      for (const int end : pair) {
        watches.watch(end, BounceByte<Peer>{&chain, end});
        ends.push_back(end);
      }
    }
    for (std::size_t i = 0; i < ends.size(); i += 2) {
      if (write(ends[i], "x", 1) != 1) std::perror("bench: write");
    }
    chain.stretch.begin();
    peer.run();
    for (const int end : ends) close(end);
    if (round == 0) continue;
    report.add_round(static_cast<double>(chain.stretch.duration()), n, chain.stretch.counts());
  }
}

// --- 11. tcp_echo ---

/// A listening socket, or a connection to it.
template <typename Peer>
struct EchoEnd {
  using Watches = typename Peer::template Watches<EchoEnd>;
  static constexpr std::size_t kBuffer = 4096;

  Watches* watches;
  std::int32_t fd;
  bool listens;

  void on_readable() const {
    if (listens) {
      for (int accepted; (accepted = accept_echo(fd)) >= 0;)
        watches->watch(accepted, EchoEnd{watches, accepted, false});
      return;
    }
    char buffer[kBuffer];
    const ssize_t size = read(fd, buffer, sizeof(buffer));
    if (size > 0 && write(fd, buffer, static_cast<std::size_t>(size)) != size) std::perror("bench: write");
  }
};

template <typename Peer>
struct Serve {
  Peer* peer;
  std::intptr_t fd;
  void operator()() const {
    if constexpr (requires { peer->serve_echo(0); }) {
      if constexpr (std::is_void_v<decltype(peer->serve_echo(0))>) {
        peer->serve_echo(static_cast<int>(fd));
      } else {
        if (!peer->serve_echo(static_cast<int>(fd))) serve_by_watches();
      }
    } else {
      serve_by_watches();
    }
  }
  void serve_by_watches() const {
    using End = EchoEnd<Peer>;
    auto& watches = make_forever<typename End::Watches>(*peer, std::size_t{1024});
    watches.watch(static_cast<int>(fd), End{&watches, static_cast<std::int32_t>(fd), true});
  }
};

template <typename Peer>
void tcp_echo(const Args& args, Report& report) {
  raise_descriptor_limit();
  pin_to(kLoopCpu);
  auto& peer = make_forever<Peer>(args);
  const int listener = listen_for_echo();
  peer.submit(Serve<Peer>{&peer, listener});
  // The process ends in here, with the report.
  start_echo_client(listener, static_cast<int>(args.number("c", 1)), args.number("ms", 2500), report);
  peer.run();
}

}  // namespace bench
