#include <chrono>

#include <sys/eventfd.h>

#include <gyre/loop/loop.h>

#include "harness/workloads.h"

namespace {

using namespace bench;

// Variants: `watching` keeps one silent descriptor watched, so that the loop sleeps in epoll and polls between tasks;
// without one it sleeps on a futex and never polls. `next_tick` instead of a microtask. `deadline` arms timers by
// set_timeout_at and the loop's cached time. `io_uring` and `poll` watch descriptors with these instead of epoll;
// `metrics` has the loop's own metrics on.
class GyrePeer {
 public:
  static constexpr std::string_view kName = "gyre";
  static std::string version() { return "this tree"; }
  static constexpr bool kHasPromises = true;  // in gyre_promise.cc
  static constexpr Offer kOffers[] = {
      {"promise_chain"},
      {"promise_chain", "coroutine"},
      {"promise_one"},
      {"promise_one", "ready"},
      {"promise_one", "burst"},
      {"promise_one", "await"},
      {"promise_one", "traced"},
      {"promise_one", "observed"},
      {"promise_all"},
      {"promise_registry"},
      {"promise_registry_end"},
      {"post_burst"},
      {"post_burst", "watching"},
      {"ping_pong"},
      {"ping_pong", "watching"},
      {"ping_pong", "metrics"},
      {"ping_pong_xthread"},
      {"ping_pong_xthread", "watching"},
      {"multi_producer"},
      {"wake_idle"},
      {"wake_idle", "watching"},
      {"deferred"},
      {"deferred", "next_tick"},
      {"timer_schedule_cancel"},
      {"timer_schedule_cancel", "deadline"},
      {"timer_fire"},
      {"timer_fire", "metrics"},
      {"timer_lateness"},
      {"timer_rearm"},
      {"fd_ready"},
      {"fd_ready", "io_uring"},
      {"fd_ready", "poll"},
      {"tcp_echo"},
      {"tcp_echo", "io_uring"},
      {"tcp_echo", "poll"},
      {"mem_timer"},
      {"mem_fd"},
      {"mem_pending_local"},
      {"mem_pending_remote"},
  };

  explicit GyrePeer(const Args& args)
      : loop_(options(args.variant())),
        next_tick_(args.variant() == "next_tick"),
        deadline_(args.variant() == "deadline"),
        metrics_(args.variant() == "metrics") {
    if (args.variant() == "watching") {
      silent_ = *loop_.watch(eventfd(0, EFD_CLOEXEC), gyre::Readiness::read, [](gyre::Readiness) {});
    }
  }
  void run() {
    if (metrics_) static_cast<void>(loop_.remote().set_metrics(true));
    static_cast<void>(loop_.run());
  }
  void stop() { static_cast<void>(loop_.shutdown()); }
  template <typename Closure>
  void submit(Closure closure) {
    static_cast<void>(loop_.post(closure));
  }

  class Remote {
   public:
    explicit Remote(GyrePeer& peer) : remote_(peer.loop_.remote()) {}
    template <typename Closure>
    void submit(Closure closure) {
      static_cast<void>(remote_.post(closure));
    }
    void collect() {}

   private:
    gyre::Remote remote_;
  };

  template <typename Step>
  void start_deferred(Step step) {
    next_tick_ ? static_cast<void>(loop_.next_tick(NextTick<Step>{this, step}))
               : static_cast<void>(loop_.queue_microtask(Microtask<Step>{this, step}));
  }

  void update_time() { static_cast<void>(loop_.refresh_now()); }

  template <typename F>
  class Timers {
   public:
    Timers(GyrePeer& peer, std::size_t capacity) : peer_(peer) { ids_.reserve(capacity); }
    void arm_at(std::int64_t start, std::int64_t delay, F f) {
      ids_.push_back(*peer_.loop_.set_timeout_at(gyre::TimePoint(gyre::Duration(start + delay)), f));
    }
    void rearm(std::size_t index, std::int64_t delay, F) {
      static_cast<void>(peer_.loop_.reschedule(ids_[index], gyre::Duration(delay)));
    }
    void arm_and_cancel(std::int64_t delay, F f) {
      gyre::Loop& loop = peer_.loop_;
      const auto id = peer_.deadline_ ? loop.set_timeout_at(loop.now() + gyre::Duration(delay), f)
                                      : loop.set_timeout(gyre::Duration(delay), f);
      static_cast<void>(loop.cancel(*id));
    }

   private:
    GyrePeer& peer_;
    std::vector<gyre::TimerId> ids_;
  };

  template <typename F>
  class Watches {
   public:
    Watches(GyrePeer& peer, std::size_t capacity) : peer_(peer) { watchers_.reserve(capacity); }
    void watch(int fd, F f) {
      watchers_.push_back(*peer_.loop_.watch(fd, gyre::Readiness::read, [f](gyre::Readiness) { f.on_readable(); }));
    }

   private:
    GyrePeer& peer_;
    std::vector<gyre::Watcher> watchers_;
  };

 private:
  template <typename Step>
  struct Microtask {
    GyrePeer* peer;
    Step step;
    void operator()() const {
      if (step()) static_cast<void>(peer->loop_.queue_microtask(*this));
    }
  };
  template <typename Step>
  struct NextTick {
    GyrePeer* peer;
    Step step;
    void operator()() const {
      if (step()) static_cast<void>(peer->loop_.next_tick(*this));
    }
  };

  static gyre::LoopOptions options(std::string_view variant) {
    gyre::LoopOptions options;
    if (variant == "io_uring") options.poller = gyre::PollerKind::io_uring;
    if (variant == "poll") options.poller = gyre::PollerKind::poll;
    return options;
  }

  gyre::Loop loop_;
  gyre::Watcher silent_;
  const bool next_tick_;
  const bool deadline_;
  const bool metrics_;
};

}  // namespace

int main(int argc, char** argv) {
  return run_program<GyrePeer>(argc, argv);
}
