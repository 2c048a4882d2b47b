#include <memory>

#include <uv.h>

#include "harness/hand_queue.h"
#include "harness/workloads.h"

namespace {

using namespace bench;

// libuv has no queue of closures: the hand queue and a uv_async_t, as its users do it. Variants: `idle`, a uv_idle_t
// callback instead of a submission; `fresh`, a uv_timer_t allocated, and closed, for each op.
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
      {"fd_ready"},
  };

  explicit LibuvPeer(const Args& args) : fresh_(args.variant() == "fresh") {
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

  template <typename F>
  class Timers {
   public:
    Timers(LibuvPeer& peer, std::size_t capacity) : peer_(peer), slots_(new Slot[capacity]) {
      for (std::size_t i = 0; i < capacity; ++i) init(slots_[i]);
      reused_ = &slots_[capacity - 1];
    }
    void arm_at(std::int64_t, std::int64_t delay, F f) { start(slots_[used_++], delay, f); }
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
  uv_loop_t loop_;
  uv_async_t async_;
  HandQueue queue_;
  const bool fresh_;
};

}  // namespace

int main(int argc, char** argv) {
  return run_program<LibuvPeer>(argc, argv);
}
