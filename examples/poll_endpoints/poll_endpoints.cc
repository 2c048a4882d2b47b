// Polls three HTTP endpoints, each as often as its own rate limit allows, keeps the sum of what they last said, and
// tells it once each has said enough.
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
#include <gyre/rate/limiter.h>

using namespace std::chrono_literals;
using Control = gyre::poll::Control<std::string>;
using Stage = gyre::poll::SecondStage<std::string>;
using Limiter = gyre::rate::Limiter<std::string>;
using gyre::rate::Rates;

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

/// Answers `GET /NAME` with a number that grows; what comes too often gets 429.
class Server {
 public:
  struct Endpoint {
    int step;
    Limiter limiter;
    int value = 0;
  };

  Server() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) {
    auto address = loopback(0);
    socklen_t size = sizeof(address);
    if (::bind(listener_.fd(), reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_.fd(), 16) != 0 ||
        ::getsockname(listener_.fd(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::system_error(errno, std::generic_category(), "listen");
    }
    port_ = ntohs(address.sin_port);
  }
  std::uint16_t port() const { return port_; }
  void add(const std::string& path, int step, const Rates& rates) {
    endpoints_.emplace(path, Endpoint{.step = step, .limiter = Limiter(rates)});
  }

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
      if (endpoint.limiter.allow(path)) {
        status = "200 OK";
        body = std::to_string(endpoint.value += endpoint.step);
      } else {
        status = "429 Too Many Requests";
      }
    }
    const std::string text = "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) +
                             "\r\nConnection: close\r\n\r\n" + body;
    static_cast<void>(::send(socket.fd(), text.data(), text.size(), MSG_NOSIGNAL));  // fits any socket's buffer
  }

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
  Server server;
  server.add("stock", 1, Rates::create({{.duration = 4ms, .limit = 1}}).value());
  server.add("price", 10, Rates::create({{.duration = 10ms, .limit = 1}}).value());
  server.add("orders", 100, Rates::create({{.duration = 20ms, .limit = 2}, {.duration = 60ms, .limit = 3}}).value());
  std::stop_source stop;
  server.serve(loop, stop.get_token()).ignore_rejection();

  // The poller keeps to limits of its own, a little stricter than those it was told: its requests may come in closer
  // together than it sent them.
  std::map<std::string, Limiter> limits;
  limits.emplace("stock", Rates::create({{.duration = 6ms, .limit = 1}}).value());
  limits.emplace("price", Rates::create({{.duration = 12ms, .limit = 1}}).value());
  limits.emplace("orders", Rates::create({{.duration = 25ms, .limit = 2}, {.duration = 65ms, .limit = 3}}).value());

  // All of this belongs to the second stages, which run one at a time.
  std::map<std::string, int> latest;
  int sum = 0;
  const auto enough = [&] { return latest["stock"] >= 10 && latest["price"] >= 50 && latest["orders"] >= 300; };

  gyre::poll::Scheduler<std::string> poller(loop);
  for (auto& endpoint : limits) {
    const auto added =
        poller.add(endpoint.first,
                   [&, name = endpoint.first, limiter = &endpoint.second](
                       gyre::Loop& home, std::stop_token token) -> gyre::Promise<Stage> {
                     const gyre::rate::Decision allowed = limiter->allow(name);
                     if (!allowed)
                       co_return [name, allowed](Control& control) { (void)control.schedule(name, allowed.wait); };
                     const Reply reply = co_await get(home, server.port(), name, token);
                     co_return [&, name, limiter, reply](Control& control) {
                       if (reply.status == 200) {
                         latest[name] = reply.value;
                         const int before = std::exchange(sum, latest["stock"] + latest["price"] + latest["orders"]);
                         if (sum < before) std::puts("the sum shrank");
                       }
                       if (enough()) stop.request_stop();
                       // As soon as the limit allows: at once, or when its window has room again.
                       (void)control.schedule(name, limiter->time_until(name));
                     };
                   },
                   {.timeout = 5s, .retry = gyre::poll::BackoffOptions{.initial = 50ms}});
    if (!added) return 1;
  }
  (void)poller.add_run_hook([&](Control& control) {
    for (const auto& [name, limiter] : limits) (void)control.schedule_asap(name);
  });

  const gyre::Reason why = poller.run_here({.stop = stop.get_token(), .exit = gyre::poll::ExitMode::cancel_and_wait});
  std::printf("%s: %s\n", enough() && sum >= 360 ? "the sum of three endpoints is known" : "incomplete",
              why.is(gyre::Errc::cancelled) ? "stopped on request" : why.error().to_string().c_str());
  return enough() ? 0 : 1;
}
