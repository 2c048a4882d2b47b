// The other side of tcp_echo, the same for all servers: `bench_echo_client PORT CONNECTIONS MILLISECONDS`. Each
// connection sends 64 bytes, waits for 64 back, and sends the next. Prints a line when measuring begins, and one at the
// end: requests, nanoseconds, and the p50, p99 and maximum of the latency in nanoseconds.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"

namespace {

using namespace bench;

constexpr std::size_t kMessage = 64;
constexpr std::int64_t kWarmUp = 300 * kMillisecond;

struct Connection {
  int fd;
  std::int64_t sent_at = 0;
  std::size_t received = 0;

  void send() {
    static const char message[kMessage] = {};
    sent_at = now_ns();
    received = 0;
    if (write(fd, message, kMessage) != kMessage) std::perror("bench_echo_client: write");
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  pin_to(kOtherCpu);
  raise_descriptor_limit();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[1])));
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  std::vector<Connection> connections(static_cast<std::size_t>(std::atoi(argv[2])));
  for (Connection& connection : connections) {
    connection.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(connection.fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
      std::perror("bench_echo_client: connect");
      return 1;
    }
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &connection;
    epoll_ctl(epoll, EPOLL_CTL_ADD, connection.fd, &event);
  }
  for (Connection& connection : connections) connection.send();

  std::vector<double> latencies;
  latencies.reserve(4'000'000);
  std::int64_t begin = 0;
  const std::int64_t warm_until = now_ns() + kWarmUp;
  std::int64_t end = warm_until + std::atoll(argv[3]) * kMillisecond;
  for (;;) {
    epoll_event events[512];
    const int count = epoll_wait(epoll, events, 512, 1000);
    const std::int64_t now = now_ns();
    if (now >= end) break;
    if (begin == 0 && now >= warm_until) {
      begin = now;
      std::puts("begin");
      std::fflush(stdout);
    }
    for (int i = 0; i < count; ++i) {
      Connection& connection = *static_cast<Connection*>(events[i].data.ptr);
      char buffer[kMessage];
      const ssize_t size = read(connection.fd, buffer, kMessage - connection.received);
      if (size <= 0) {
        std::perror("bench_echo_client: read");
        return 1;
      }
      connection.received += static_cast<std::size_t>(size);
      if (connection.received < kMessage) continue;
      if (begin != 0) latencies.push_back(static_cast<double>(now_ns() - connection.sent_at));
      connection.send();
    }
  }
  const double requests = static_cast<double>(latencies.size());
  std::printf("%.0f %.0f %.0f %.0f %.0f\n", requests, static_cast<double>(now_ns() - begin), quantile(latencies, 0.5),
              quantile(latencies, 0.99), quantile(latencies, 1));
}
