#include <memory>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/thread.h>

#include "harness/hand_queue.h"
#include "harness/workloads.h"

namespace {

using namespace bench;

timeval to_timeval(std::int64_t delay) {
  return {.tv_sec = delay / kSecond, .tv_usec = delay % kSecond / kMicrosecond};
}

// Submits through event_base_once, each closure boxed; variant `handq` through the hand queue and one user event.
// Variants: `fresh`, an event allocated for each op; `common`, a common timeout; `event` and `bufferevent`, plain read
// and write or its buffered streams.
class LibeventPeer {
 public:
  static constexpr std::string_view kName = "libevent";
  static std::string version() { return event_get_version(); }
  static constexpr Offer kOffers[] = {
      {"post_burst"},
      {"post_burst", "handq"},
      {"ping_pong"},
      {"ping_pong", "handq"},
      {"ping_pong_xthread"},
      {"ping_pong_xthread", "handq"},
      {"multi_producer"},
      {"multi_producer", "handq"},
      {"wake_idle"},
      {"wake_idle", "handq"},
      {"deferred"},
      {"timer_schedule_cancel", "reuse"},
      {"timer_schedule_cancel", "fresh"},
      {"timer_fire"},
      {"timer_lateness"},
      {"timer_rearm"},
      {"timer_rearm", "common"},
      {"fd_ready"},
      {"tcp_echo", "event"},
      {"tcp_echo", "bufferevent"},
      {"mem_timer"},
      {"mem_fd"},
      {"mem_pending_local"},
      {"mem_pending_remote"},
  };

  explicit LibeventPeer(const Args& args)
      : fresh_(args.variant() == "fresh"),
        hand_queue_(args.variant() == "handq"),
        common_timeout_(args.variant() == "common"),
        bufferevents_(args.variant() == "bufferevent") {
    evthread_use_pthreads();
    base_ = event_base_new();
    evthread_make_base_notifiable(base_);
    user_event_ = event_new(
        base_, -1, 0, [](evutil_socket_t, short, void* self) { static_cast<LibeventPeer*>(self)->queue_.drain(); },
        this);
  }
  void run() { event_base_loop(base_, EVLOOP_NO_EXIT_ON_EMPTY); }
  void stop() { event_base_loopbreak(base_); }
  template <typename Closure>
  void submit(Closure closure) {
    if (hand_queue_) {
      if (queue_.push(closure)) event_active(user_event_, EV_READ, 0);
      return;
    }
    const auto call = [](evutil_socket_t, short, void* boxed) {
      const std::unique_ptr<Closure> owned(static_cast<Closure*>(boxed));
      (*owned)();
    };
    event_base_once(base_, -1, EV_TIMEOUT, call, new Closure(closure), nullptr);
  }

  class Remote {
   public:
    explicit Remote(LibeventPeer& peer) : peer_(peer) {}
    template <typename Closure>
    void submit(Closure closure) {
      peer_.submit(closure);
    }
    void collect() {}

   private:
    LibeventPeer& peer_;
  };

  // Not a closure: a user event that activates itself.
  template <typename Step>
  void start_deferred(Step step) {
    struct Active {
      event* self;
      Step step;
    };
    auto& active = make_forever<Active>(nullptr, step);
    const auto call = [](evutil_socket_t, short, void* argument) {
      auto* again = static_cast<Active*>(argument);
      if (again->step()) event_active(again->self, EV_READ, 0);
    };
    active.self = event_new(base_, -1, 0, call, &active);
    event_active(active.self, EV_READ, 0);
  }

  bool serve_echo(int fd) {
    if (!bufferevents_) return false;  // watches and plain read and write
    const auto accept = [](evutil_socket_t listener, short, void* self) {
      for (int accepted; (accepted = accept_echo(listener)) >= 0;) {
        bufferevent* const connection = bufferevent_socket_new(static_cast<LibeventPeer*>(self)->base_, accepted, 0);
        bufferevent_setcb(
            connection,
            [](bufferevent* stream, void*) { bufferevent_write_buffer(stream, bufferevent_get_input(stream)); },
            nullptr, nullptr, nullptr);
        bufferevent_enable(connection, EV_READ | EV_WRITE);
      }
    };
    event_add(event_new(base_, fd, EV_READ | EV_PERSIST, accept, this), nullptr);
    return true;
  }

  void update_time() { event_base_update_cache_time(base_); }

  template <typename F>
  class Timers {
   public:
    Timers(LibeventPeer& peer, std::size_t capacity) : peer_(peer), slots_(new Slot[capacity]) {
      for (std::size_t i = 0; i < capacity; ++i) event_assign(&slots_[i].timer, peer.base_, -1, 0, fired, &slots_[i]);
      reused_ = &slots_[capacity - 1];
    }
    void arm_at(std::int64_t, std::int64_t delay, F f) {
      Slot& slot = slots_[used_++];
      slot.f = f;
      add(&slot.timer, delay);
    }
    void rearm(std::size_t index, std::int64_t delay, F) {
      if (!peer_.common_timeout_) return add(&slots_[index].timer, delay);
      if (common_ == nullptr) {
        const timeval after = to_timeval(delay);
        common_ = event_base_init_common_timeout(peer_.base_, &after);
      }
      event_add(&slots_[index].timer, common_);
    }
    void arm_and_cancel(std::int64_t delay, F f) {
      reused_->f = f;
      if (!peer_.fresh_) {
        add(&reused_->timer, delay);
        event_del(&reused_->timer);
        return;
      }
      event* timer = event_new(peer_.base_, -1, 0, fired, reused_);
      add(timer, delay);
      event_free(timer);
    }

   private:
    struct Slot {
      event timer;
      F f;
    };
    static void fired(evutil_socket_t, short, void* slot) { static_cast<Slot*>(slot)->f(); }
    static void add(event* timer, std::int64_t delay) {
      const timeval after = to_timeval(delay);
      event_add(timer, &after);
    }
    LibeventPeer& peer_;
    std::unique_ptr<Slot[]> slots_;
    Slot* reused_;
    const timeval* common_ = nullptr;
    std::size_t used_ = 0;
  };

  template <typename F>
  class Watches {
   public:
    Watches(LibeventPeer& peer, std::size_t capacity) : peer_(peer), slots_(new Slot[capacity]) {}
    void watch(int fd, F f) {
      Slot& slot = slots_[used_++];
      slot.f = f;
      const auto call = [](evutil_socket_t, short, void* ready) { static_cast<Slot*>(ready)->f.on_readable(); };
      event_assign(&slot.readable, peer_.base_, fd, EV_READ | EV_PERSIST, call, &slot);
      event_add(&slot.readable, nullptr);
    }

   private:
    struct Slot {
      event readable;
      F f;
    };
    LibeventPeer& peer_;
    std::unique_ptr<Slot[]> slots_;
    std::size_t used_ = 0;
  };

 private:
  event_base* base_;
  event* user_event_;
  HandQueue queue_;
  const bool fresh_;
  const bool hand_queue_;
  const bool common_timeout_;
  const bool bufferevents_;
};

}  // namespace

int main(int argc, char** argv) {
  return run_program<LibeventPeer>(argc, argv);
}
