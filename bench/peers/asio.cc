#include <array>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>

#include <boost/asio/buffer.hpp>
#include <boost/asio/defer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include "harness/workloads.h"

namespace {

using namespace bench;
namespace asio = boost::asio;

// One thread, concurrency hint 1. Variants: `fresh`, a steady_timer allocated for each op; `read`, async_read_some
// instead of a wait for readability and a plain read.
class AsioPeer {
 public:
  static constexpr std::string_view kName = "asio";
  static std::string version() {
    return "Boost " + std::to_string(BOOST_VERSION / 100000) + "." + std::to_string(BOOST_VERSION / 100 % 1000);
  }
  static constexpr bool kHasPromises = true;  // in asio_promise.cc
  static constexpr Offer kOffers[] = {
      {"promise_chain"},
      {"promise_one"},
      {"promise_one", "call"},
      {"promise_all"},
      {"post_burst"},
      {"ping_pong"},
      {"ping_pong_xthread"},
      {"multi_producer"},
      {"wake_idle"},
      {"deferred"},
      {"timer_schedule_cancel", "reuse"},
      {"timer_schedule_cancel", "fresh"},
      {"timer_fire"},
      {"timer_lateness"},
      {"timer_rearm"},
      {"fd_ready"},
      {"tcp_echo"},
      {"mem_timer"},
      {"mem_fd"},
      {"mem_pending_local"},
      {"mem_pending_remote"},
      {"fd_ready", "read"},
  };

  explicit AsioPeer(const Args& args) : fresh_(args.variant() == "fresh"), read_(args.variant() == "read") {}
  void run() { context_.run(); }
  void stop() { context_.stop(); }
  template <typename Closure>
  void submit(Closure closure) {
    asio::post(context_, closure);
  }

  class Remote {
   public:
    explicit Remote(AsioPeer& peer) : context_(peer.context_) {}
    template <typename Closure>
    void submit(Closure closure) {
      asio::post(context_, closure);
    }
    void collect() {}

   private:
    asio::io_context& context_;
  };

  template <typename Step>
  void start_deferred(Step step) {
    asio::defer(context_, Deferred<Step>{this, step});
  }

  void update_time() {}

  void serve_echo(int fd) {
    acceptor_.emplace(context_, asio::ip::tcp::v4(), fd);
    accept();
  }

  template <typename F>
  class Timers {
   public:
    Timers(AsioPeer& peer, std::size_t capacity) : peer_(peer), reused_(peer.context_) {
      for (std::size_t i = 0; i + 1 < capacity || i < 1; ++i) timers_.emplace_back(peer.context_);
      timers_.emplace_back(peer.context_);
    }
    void arm_at(std::int64_t start, std::int64_t delay, F f) {
      asio::steady_timer& timer = timers_[used_++];
      timer.expires_at(asio::steady_timer::time_point(std::chrono::nanoseconds(start + delay)));
      timer.async_wait(Fired{f});
    }
    void rearm(std::size_t index, std::int64_t delay, F f) {
      timers_[index].expires_after(std::chrono::nanoseconds(delay));
      timers_[index].async_wait(Fired{f});
    }
    void arm_and_cancel(std::int64_t delay, F f) {
      if (!peer_.fresh_) {
        reused_.expires_after(std::chrono::nanoseconds(delay));
        reused_.async_wait(Fired{f});
        reused_.cancel();
        return;
      }
      auto timer = std::make_unique<asio::steady_timer>(peer_.context_);
      timer->expires_after(std::chrono::nanoseconds(delay));
      timer->async_wait(Fired{f});
      timer->cancel();
    }

   private:
    struct Fired {
      F f;
      void operator()(const boost::system::error_code& error) const {
        if (!error) f();
      }
    };
    AsioPeer& peer_;
    std::deque<asio::steady_timer> timers_;
    asio::steady_timer reused_;
    std::size_t used_ = 0;
  };

  template <typename F>
  class Watches {
   public:
    Watches(AsioPeer& peer, std::size_t) : peer_(peer) {}
    void watch(int fd, F f) {
      slots_.emplace_back(peer_.context_, fd, f);
      if (peer_.read_) {
        slots_.back().read();
      } else {
        slots_.back().wait();
      }
    }

   private:
    struct Slot {
      Slot(asio::io_context& context, int fd, F callback) : descriptor(context, fd), f(callback) {}
      void wait() {
        descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                              [this](const boost::system::error_code& error) {
                                if (error) return;
                                f.on_readable();
                                wait();
                              });
      }
      void read() {
        descriptor.async_read_some(asio::buffer(&byte, 1), [this](const boost::system::error_code& error, std::size_t) {
          if (error) return;
          f.on_byte(byte);
          read();
        });
      }
      asio::posix::stream_descriptor descriptor;
      F f;
      char byte = 0;
    };
    AsioPeer& peer_;
    std::deque<Slot> slots_;
  };

 private:
  struct Echo {
    explicit Echo(asio::ip::tcp::socket accepted) : socket(std::move(accepted)) {}
    void receive() {
      socket.async_read_some(asio::buffer(data), [this](const boost::system::error_code& error, std::size_t size) {
        if (!error) send_back(size);
      });
    }
    void send_back(std::size_t size) {
      asio::async_write(socket, asio::buffer(data, size), [this](const boost::system::error_code& error, std::size_t) {
        if (!error) receive();
      });
    }
    asio::ip::tcp::socket socket;
    std::array<char, 4096> data;
  };
  void accept() {
    acceptor_->async_accept([this](const boost::system::error_code& error, asio::ip::tcp::socket socket) {
      if (error) return;
      socket.set_option(asio::ip::tcp::no_delay(true));
      make_forever<Echo>(std::move(socket)).receive();
      accept();
    });
  }

  template <typename Step>
  struct Deferred {
    AsioPeer* peer;
    Step step;
    void operator()() const {
      if (step()) asio::defer(peer->context_, *this);
    }
  };

  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
  std::optional<asio::ip::tcp::acceptor> acceptor_;
  const bool fresh_;
  const bool read_;
};

}  // namespace

int main(int argc, char** argv) {
  return run_program<AsioPeer>(argc, argv);
}
