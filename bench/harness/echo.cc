#include "echo.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

namespace bench {
namespace {

[[noreturn]] void give_up(const char* what) {
  std::perror(what);
  std::exit(1);
}

std::string directory_of_this_program() {
  char path[4096];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof(path));
  const std::string program(path, size > 0 ? static_cast<std::size_t>(size) : 0);
  return program.substr(0, program.rfind('/'));
}

}  // namespace

int listen_for_echo() {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (listener < 0 || bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(listener, 1024) != 0) {
    give_up("bench: listen");
  }
  return listener;
}

int accept_echo(int listener) {
  const int accepted = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (accepted >= 0) {
    const int on = 1;
    setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  return accepted;
}

void start_echo_client(int listener, int connections, std::int64_t milliseconds, Report& report) {
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  if (getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) give_up("bench: getsockname");
  const std::string command = "LD_PRELOAD= exec " + directory_of_this_program() + "/bench_echo_client " +
                              std::to_string(ntohs(address.sin_port)) + " " + std::to_string(connections) + " " +
                              std::to_string(milliseconds);
  FILE* const client = popen(command.c_str(), "r");
  if (client == nullptr) give_up("bench: echo client");
  clockid_t server_cpu;
  pthread_getcpuclockid(pthread_self(), &server_cpu);
  std::thread([=, &report] {
    char line[256];
    if (fgets(line, sizeof(line), client) == nullptr) give_up("bench: the echo client did not begin");
    const std::int64_t cpu_begin = read_clock(server_cpu);
    const Counts before = read_counts();
    if (fgets(line, sizeof(line), client) == nullptr) give_up("bench: the echo client did not end");
    const double cpu = static_cast<double>(read_clock(server_cpu) - cpu_begin);
    Counts counts = read_counts();
    counts.allocations -= before.allocations;
    counts.bytes -= before.bytes;
    counts.polls -= before.polls;
    counts.reads -= before.reads;
    counts.writes -= before.writes;
    counts.epoll_ctls -= before.epoll_ctls;
    counts.timerfd_settimes -= before.timerfd_settimes;
    double requests, duration, p50, p99, max;
    if (std::sscanf(line, "%lf %lf %lf %lf %lf", &requests, &duration, &p50, &p99, &max) != 5 || requests < 1) {
      std::fprintf(stderr, "bench: the echo client said '%s'\n", line);
      std::_Exit(1);
    }
    report.add_round(duration, static_cast<std::int64_t>(requests), counts,
                     {{"rps", requests / duration * 1e9},
                      {"p50", p50},
                      {"p99", p99},
                      {"max", max},
                      {"server_cpu_ns", cpu / requests}});
    report.print();
    std::fflush(stdout);
    std::_Exit(0);
  }).detach();
}

}  // namespace bench
