#include <memory>

#include <ev.h>

#include "harness/hand_queue.h"
#include "harness/workloads.h"

namespace {

using namespace bench;

// libev has no queue of closures: the hand queue and an ev_async. Variant `fresh`: an ev_timer allocated for each op.
class LibevPeer {
 public:
  static constexpr std::string_view kName = "libev";
  static std::string version() { return std::to_string(ev_version_major()) + "." + std::to_string(ev_version_minor()); }
  static constexpr Offer kOffers[] = {
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
  };

  explicit LibevPeer(const Args& args) : fresh_(args.variant() == "fresh") {
    ev_async_init(&async_,
                  [](struct ev_loop*, ev_async* async, int) { static_cast<LibevPeer*>(async->data)->queue_.drain(); });
    async_.data = this;
    ev_async_start(loop_, &async_);
  }
  void run() { ev_run(loop_, 0); }
  void stop() { ev_break(loop_, EVBREAK_ALL); }
  template <typename Closure>
  void submit(Closure closure) {
    if (queue_.push(closure)) ev_async_send(loop_, &async_);
  }

  class Remote {
   public:
    explicit Remote(LibevPeer& peer) : peer_(peer) {}
    template <typename Closure>
    void submit(Closure closure) {
      peer_.submit(closure);
    }
    void collect() {}

   private:
    LibevPeer& peer_;
  };

  // Not a closure: an inactive watcher that is fed an event.
  template <typename Step>
  void start_deferred(Step step) {
    struct Fed {
      ev_timer watcher;
      Step step;
    };
    auto& fed = make_forever<Fed>(ev_timer{}, step);
    ev_init(&fed.watcher, [](struct ev_loop* loop, ev_timer* watcher, int) {
      if (static_cast<Fed*>(watcher->data)->step()) ev_feed_event(loop, watcher, EV_CUSTOM);
    });
    fed.watcher.data = &fed;
    ev_feed_event(loop_, &fed.watcher, EV_CUSTOM);
  }

  void update_time() { ev_now_update(loop_); }

  template <typename F>
  class Timers {
   public:
    Timers(LibevPeer& peer, std::size_t capacity) : peer_(peer), slots_(new Slot[capacity]) {
      for (std::size_t i = 0; i < capacity; ++i) init(slots_[i]);
      reused_ = &slots_[capacity - 1];
    }
    void arm_at(std::int64_t, std::int64_t delay, F f) { start(slots_[used_++], delay, f); }
    void rearm(std::size_t index, std::int64_t delay, F) {
      slots_[index].timer.repeat = static_cast<double>(delay) / static_cast<double>(kSecond);
      ev_timer_again(peer_.loop_, &slots_[index].timer);
    }
    void arm_and_cancel(std::int64_t delay, F f) {
      if (!peer_.fresh_) {
        start(*reused_, delay, f);
        ev_timer_stop(peer_.loop_, &reused_->timer);
        return;
      }
      auto* slot = new Slot;
      init(*slot);
      start(*slot, delay, f);
      ev_timer_stop(peer_.loop_, &slot->timer);
      delete slot;
    }

   private:
    struct Slot {
      ev_timer timer;
      F f;
    };
    void init(Slot& slot) {
      ev_init(&slot.timer, [](struct ev_loop*, ev_timer* timer, int) { static_cast<Slot*>(timer->data)->f(); });
      slot.timer.data = &slot;
    }
    void start(Slot& slot, std::int64_t delay, F f) {
      slot.f = f;
      ev_timer_set(&slot.timer, static_cast<double>(delay) / static_cast<double>(kSecond), 0.0);
      ev_timer_start(peer_.loop_, &slot.timer);
    }
    LibevPeer& peer_;
    std::unique_ptr<Slot[]> slots_;
    Slot* reused_;
    std::size_t used_ = 0;
  };

  template <typename F>
  class Watches {
   public:
    Watches(LibevPeer& peer, std::size_t capacity) : peer_(peer), slots_(new Slot[capacity]) {}
    void watch(int fd, F f) {
      Slot& slot = slots_[used_++];
      slot.f = f;
      ev_io_init(
          &slot.io, [](struct ev_loop*, ev_io* io, int) { static_cast<Slot*>(io->data)->f.on_readable(); }, fd,
          EV_READ);
      slot.io.data = &slot;
      ev_io_start(peer_.loop_, &slot.io);
    }

   private:
    struct Slot {
      ev_io io;
      F f;
    };
    LibevPeer& peer_;
    std::unique_ptr<Slot[]> slots_;
    std::size_t used_ = 0;
  };

 private:
  struct ev_loop* const loop_ = ev_loop_new(EVFLAG_AUTO);
  ev_async async_;
  HandQueue queue_;
  const bool fresh_;
};

}  // namespace

int main(int argc, char** argv) {
  return run_program<LibevPeer>(argc, argv);
}
