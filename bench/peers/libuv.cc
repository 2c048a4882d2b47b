#include <memory>

#include <uv.h>

#include "harness/hand_queue.h"
#include "harness/workloads.h"

namespace {

using namespace bench;

// libuv has no queue of closures: the hand queue and a uv_async_t, as its users do it. Variants: `idle`, a uv_idle_t
// callback instead of a submission; `fresh`, a uv_timer_t allocated, and closed, for each op; `write` and `trywrite`,
// uv_write alone or uv_try_write first.
class LibuvPeer {
 public:
  static constexpr std::string_view kName = "libuv";
  static std::string version() { return uv_version_string(); }
  static constexpr Offer kOffers[] = {
      {"post_burst"},
      {"ping_pong"},
      {"ping_pong", "idle"},
      {"ping_pong_xthread"},
      {"multi_producer"},
      {"wake_idle"},
      {"timer_schedule_cancel", "reuse"},
      {"timer_schedule_cancel", "fresh"},
      {"timer_fire"},
      {"timer_lateness"},
      {"timer_rearm"},
      {"fd_ready"},
      {"tcp_echo", "write"},
      {"tcp_echo", "trywrite"},
      {"mem_timer"},
      {"mem_fd"},
      {"mem_pending_local"},
      {"mem_pending_remote"},
  };

  explicit LibuvPeer(const Args& args) : fresh_(args.variant() == "fresh"), try_write_(args.variant() == "trywrite") {
    uv_loop_init(&loop_);
    async_.data = this;
    uv_async_init(&loop_, &async_, [](uv_async_t* async) { static_cast<LibuvPeer*>(async->data)->queue_.drain(); });
  }
  void run() { uv_run(&loop_, UV_RUN_DEFAULT); }
  void stop() { uv_stop(&loop_); }
  template <typename Closure>
  void submit(Closure closure) {
    if (queue_.push(closure)) uv_async_send(&async_);
  }

  class Remote {
   public:
    explicit Remote(LibuvPeer& peer) : peer_(peer) {}
    template <typename Closure>
    void submit(Closure closure) {
      peer_.submit(closure);
    }
    void collect() {}

   private:
    LibuvPeer& peer_;
  };

  template <typename Step>
  void start_idle(Step step) {
    struct Idle {
      uv_idle_t handle;
      Step step;
    };
    auto& idle = make_forever<Idle>(uv_idle_t{}, step);
    idle.handle.data = &idle;
    uv_idle_init(&loop_, &idle.handle);
    uv_idle_start(&idle.handle, [](uv_idle_t* handle) {
      if (!static_cast<Idle*>(handle->data)->step()) uv_idle_stop(handle);
    });
  }

  void update_time() { uv_update_time(&loop_); }

  void serve_echo(int fd) {
    auto& listener = make_forever<uv_tcp_t>();
    uv_tcp_init(&loop_, &listener);
    uv_tcp_open(&listener, fd);
    listener.data = this;
    uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 1024, [](uv_stream_t* server, int) {
      auto* const peer = static_cast<LibuvPeer*>(server->data);
      auto& connection = make_forever<Echo>();
      connection.with_try = peer->try_write_;
      uv_tcp_init(&peer->loop_, &connection.tcp);
      connection.tcp.data = &connection;
      uv_accept(server, connection.stream());
      uv_tcp_nodelay(&connection.tcp, 1);
      uv_read_start(
          connection.stream(),
          [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
            auto* const echo = static_cast<Echo*>(handle->data);
            *buffer = uv_buf_init(echo->buffer, sizeof(echo->buffer));
          },
          [](uv_stream_t* stream, ssize_t size, const uv_buf_t*) {
            if (size > 0) static_cast<Echo*>(stream->data)->send_back(static_cast<unsigned>(size));
          });
    });
  }

  template <typename F>
  class Timers {
   public:
    Timers(LibuvPeer& peer, std::size_t capacity) : peer_(peer), slots_(new Slot[capacity]) {
      for (std::size_t i = 0; i < capacity; ++i) init(slots_[i]);
      reused_ = &slots_[capacity - 1];
    }
    void arm_at(std::int64_t, std::int64_t delay, F f) { start(slots_[used_++], delay, f); }
    void rearm(std::size_t index, std::int64_t delay, F f) { start(slots_[index], delay, f); }
    void arm_and_cancel(std::int64_t delay, F f) {
      if (!peer_.fresh_) {
        start(*reused_, delay, f);
        uv_timer_stop(&reused_->timer);
        return;
      }
      auto* slot = new Slot;
      init(*slot);
      start(*slot, delay, f);
      uv_close(reinterpret_cast<uv_handle_t*>(&slot->timer),
               [](uv_handle_t* handle) { delete static_cast<Slot*>(handle->data); });
    }

   private:
    struct Slot {
      uv_timer_t timer;
      F f;
    };
    void init(Slot& slot) {
      uv_timer_init(&peer_.loop_, &slot.timer);
      slot.timer.data = &slot;
    }
    void start(Slot& slot, std::int64_t delay, F f) {
      slot.f = f;
      // Whole milliseconds are what it has; rounded up, so as not to be early.
      const auto milliseconds = static_cast<std::uint64_t>((delay + kMillisecond - 1) / kMillisecond);
      uv_timer_start(&slot.timer, [](uv_timer_t* timer) { static_cast<Slot*>(timer->data)->f(); }, milliseconds, 0);
    }
    LibuvPeer& peer_;
    std::unique_ptr<Slot[]> slots_;
    Slot* reused_;
    std::size_t used_ = 0;
  };

  template <typename F>
  class Watches {
   public:
    Watches(LibuvPeer& peer, std::size_t capacity) : peer_(peer), slots_(new Slot[capacity]) {}
    void watch(int fd, F f) {
      Slot& slot = slots_[used_++];
      slot.f = f;
      slot.poll.data = &slot;
      uv_poll_init(&peer_.loop_, &slot.poll, fd);
      uv_poll_start(&slot.poll, UV_READABLE,
                    [](uv_poll_t* poll, int, int) { static_cast<Slot*>(poll->data)->f.on_readable(); });
    }

   private:
    struct Slot {
      uv_poll_t poll;
      F f;
    };
    LibuvPeer& peer_;
    std::unique_ptr<Slot[]> slots_;
    std::size_t used_ = 0;
  };

 private:
  struct Echo {
    uv_tcp_t tcp;
    uv_write_t request;
    char buffer[4096];
    bool with_try;
    uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&tcp); }
    void send_back(unsigned size) {
      const uv_buf_t out = uv_buf_init(buffer, size);
      if (with_try && uv_try_write(stream(), &out, 1) == static_cast<int>(size)) return;
      uv_write(&request, stream(), &out, 1, [](uv_write_t*, int) {});
    }
  };

  uv_loop_t loop_;
  uv_async_t async_;
  HandQueue queue_;
  const bool fresh_;
  const bool try_write_;
};

}  // namespace

int main(int argc, char** argv) {
  return run_program<LibuvPeer>(argc, argv);
}
