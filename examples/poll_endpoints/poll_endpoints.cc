// Polls three HTTP endpoints, each as often as it allows, keeps the sum of what they last said, and tells it once each
// has said enough.
//
// The endpoints are served by this program itself, on 127.0.0.1. Server and client are a few lines on the loop's
// descriptors rather than a library: that shows how coroutines wait for sockets, and needs nothing installed.

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gyre/poll/scheduler.h>
#include <gyre/promise/timers.h>
#include <gyre/promise/work.h>

using namespace std::chrono_literals;
using Control = gyre::poll::Control<std::string>;
using Stage = gyre::poll::SecondStage<std::string>;

namespace {

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "socket");
  }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&&) = delete;
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

gyre::Promise<std::string> read_until(gyre::Loop& loop, int fd, std::string end, std::stop_token stop) {
  std::string text;
  std::array<char, 1024> part;
  while (end.empty() || !text.contains(end)) {
    co_await gyre::readable(loop, fd, stop);
    const ssize_t n = ::recv(fd, part.data(), part.size(), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n <= 0) break;
    text.append(part.data(), static_cast<std::size_t>(n));
  }
  co_return text;
}

/// Answers `GET /NAME` with a number that grows; more than `limit` requests in `window` get 429.
class Server {
 public:
  struct Endpoint {
    int step;
    std::size_t limit;
    gyre::Duration window;
    int value = 0;
    int refused = 0;
    std::size_t used = 0;
    gyre::TimePoint window_began = {};
  };

  explicit Server(gyre::Loop& loop) : loop_(loop), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) {
    auto address = loopback(0);
    socklen_t size = sizeof(address);
    if (::bind(listener_.fd(), reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_.fd(), 16) != 0 ||
        ::getsockname(listener_.fd(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::system_error(errno, std::generic_category(), "listen");
    }
    port_ = ntohs(address.sin_port);
  }
  std::uint16_t port() const { return port_; }
  std::map<std::string, Endpoint>& endpoints() { return endpoints_; }

  gyre::Promise<void> serve(gyre::Loop& loop, std::stop_token stop) {
    while (true) {
      co_await gyre::readable(loop, listener_.fd(), stop);
      const int fd = ::accept4(listener_.fd(), nullptr, nullptr, SOCK_NONBLOCK);
      if (fd >= 0) answer(loop, Socket(fd), stop).ignore_rejection();
    }
  }

 private:
  gyre::Promise<void> answer(gyre::Loop& loop, Socket socket, std::stop_token stop) {
    const std::string request = co_await read_until(loop, socket.fd(), "\r\n\r\n", stop);
    const std::string path = request.substr(5, request.find(' ', 5) - 5);
    std::string status = "404 Not Found";
    std::string body;
    if (const auto place = endpoints_.find(path); place != endpoints_.end()) {
      Endpoint& endpoint = place->second;
      if (loop_.clock().now() - endpoint.window_began >= endpoint.window) {
        endpoint.window_began = loop_.clock().now();
        endpoint.used = 0;
      }
      if (++endpoint.used > endpoint.limit) {
        status = "429 Too Many Requests";
        ++endpoint.refused;
      } else {
        status = "200 OK";
        body = std::to_string(endpoint.value += endpoint.step);
      }
    }
    const std::string text = "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) +
                             "\r\nConnection: close\r\n\r\n" + body;
    static_cast<void>(::send(socket.fd(), text.data(), text.size(), MSG_NOSIGNAL));  // fits any socket's buffer
  }

  gyre::Loop& loop_;
  Socket listener_;
  std::uint16_t port_ = 0;
  std::map<std::string, Endpoint> endpoints_;
};

struct Reply {
  int status = 0;
  int value = 0;
};

gyre::Promise<Reply> get(gyre::Loop& loop, std::uint16_t port, std::string path, std::stop_token stop) {
  const Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  const auto address = loopback(port);
  if (::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 &&
      errno != EINPROGRESS) {
    throw std::system_error(errno, std::generic_category(), "connect");
  }
  co_await gyre::writable(loop, socket.fd(), stop);
  const std::string request = "GET /" + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  if (::send(socket.fd(), request.data(), request.size(), MSG_NOSIGNAL) < 0) {
    throw std::system_error(errno, std::generic_category(), "send");
  }
  const std::string text = co_await read_until(loop, socket.fd(), "", stop);
  Reply reply;
  if (text.size() > 12) std::from_chars(text.data() + 9, text.data() + 12, reply.status);
  if (const auto body = text.find("\r\n\r\n"); body != std::string::npos) {
    std::from_chars(text.data() + body + 4, text.data() + text.size(), reply.value);
  }
  co_return reply;
}

}  // namespace

int main() {
  gyre::Loop loop;
  Server server(loop);
  server.endpoints() = {{"stock", {.step = 1, .limit = 1, .window = 5ms}},
                        {"price", {.step = 10, .limit = 1, .window = 10ms}},
                        {"orders", {.step = 100, .limit = 2, .window = 40ms}}};
  std::stop_source stop;
  server.serve(loop, stop.get_token()).ignore_rejection();

  // All of this belongs to the second stages, which run one at a time.
  std::map<std::string, int> latest;
  int sum = 0;

  gyre::poll::Scheduler<std::string> poller(loop);
  // The poller's own limits: a little less often than each endpoint allows.
  const std::map<std::string, gyre::Duration> intervals{{"stock", 6ms}, {"price", 12ms}, {"orders", 25ms}};
  for (const auto& endpoint : intervals) {
    const auto added =
        poller.add(endpoint.first,
                   [&, name = endpoint.first, interval = endpoint.second](
                       gyre::Loop& home, std::stop_token token) -> gyre::Promise<Stage> {
                     const Reply reply = co_await get(home, server.port(), name, token);
                     co_return [&, name, interval, reply](Control& control) {
                       if (reply.status == 200) {
                         latest[name] = reply.value;
                         const int before = std::exchange(sum, latest["stock"] + latest["price"] + latest["orders"]);
                         if (sum < before) std::puts("the sum shrank");
                       }
                       if (latest["stock"] >= 10 && latest["price"] >= 50 && latest["orders"] >= 300)
                         stop.request_stop();
                       // Too many requests: twice as long before the next one.
                       static_cast<void>(control.schedule(name, reply.status == 429 ? 2 * interval : interval));
                     };
                   },
                   {.timeout = 5s, .retry = gyre::poll::BackoffOptions{.initial = 50ms}});
    if (!added) return 1;
  }
  static_cast<void>(poller.add_run_hook([&](Control& control) {
    for (const auto& [name, interval] : intervals) static_cast<void>(control.schedule_asap(name));
  }));

  const gyre::Reason why = poller.run_here({.stop = stop.get_token(), .exit = gyre::poll::ExitMode::cancel_and_wait});
  const bool complete = latest["stock"] >= 10 && latest["price"] >= 50 && latest["orders"] >= 300;
  std::printf("%s: %s\n", complete && sum >= 360 ? "the sum of three endpoints is known" : "incomplete",
              why.is(gyre::Errc::cancelled) ? "stopped on request" : why.error().to_string().c_str());
  return complete ? 0 : 1;
}
