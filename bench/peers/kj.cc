#include <deque>
#include <memory>
#include <optional>

#include <kj/async-io.h>
#include <kj/async-unix.h>
#include <kj/async.h>
#include <kj/timer.h>

#include "harness/workloads.h"

namespace {

using namespace bench;

// KJ has one event loop a thread, so peers made after one another on a thread share it.
kj::AsyncIoContext& io_of_this_thread() {
  static thread_local auto& io = make_forever<kj::AsyncIoContext>(kj::setupAsyncIo());
  return io;
}

// Variant `sync`: Executor::executeSync instead of a gate.
class KjPeer {
 public:
  static constexpr std::string_view kName = "kj";
  static std::string version() { return BENCH_KJ_VERSION; }
  static constexpr bool kHasPromises = true;  // in kj_promise.cc
  static constexpr Offer kOffers[] = {
      {"promise_chain"},
      {"promise_chain", "eager"},
      {"promise_one"},
      {"promise_one", "ready"},
      {"promise_all"},
      {"post_burst"},
      {"ping_pong"},
      {"ping_pong_xthread"},
      {"ping_pong_xthread", "sync"},
      {"multi_producer"},
      {"wake_idle"},
      {"deferred"},
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

  explicit KjPeer(const Args&) : io_(io_of_this_thread()), executor_(kj::getCurrentThreadExecutor()) {
    auto pair = kj::newPromiseAndFulfiller<void>();
    stopped_ = kj::mv(pair.promise);
    stop_ = kj::mv(pair.fulfiller);
  }
  void run() { stopped_.wait(io_.waitScope); }
  void stop() { stop_->fulfill(); }
  template <typename Closure>
  void submit(Closure closure) {
    kj::evalLater(kj::mv(closure)).detach([](kj::Exception&&) {});
  }

  // The producer has an event loop of its own, and keeps the promises.
  class Remote {
   public:
    explicit Remote(KjPeer& peer) : executor_(peer.executor_), wait_scope_(loop_) {}
    template <typename Closure>
    void submit(Closure closure) {
      promises_.push_back(executor_.executeAsync(kj::mv(closure)));
    }
    template <typename Closure>
    void submit_and_wait(Closure closure) {
      executor_.executeSync(kj::mv(closure));
    }
    void collect() {
      for (auto& promise : promises_) promise.wait(wait_scope_);
      promises_.clear();
    }

   private:
    const kj::Executor& executor_;
    kj::EventLoop loop_;
    kj::WaitScope wait_scope_;
    std::deque<kj::Promise<void>> promises_;
  };

  template <typename Step>
  void start_deferred(Step step) {
    next(step).detach([](kj::Exception&&) {});
  }

  void update_time() {}

  void serve_echo(int fd) {
    auto& listener =
        make_forever<kj::UnixEventPort::FdObserver>(io_.unixEventPort, fd, kj::UnixEventPort::FdObserver::OBSERVE_READ);
    accept(listener, fd).detach([](kj::Exception&&) {});
  }

  template <typename F>
  class Timers {
   public:
    Timers(KjPeer& peer, std::size_t capacity) : timer_(peer.io_.provider->getTimer()) { armed_.reserve(capacity); }
    void arm_at(std::int64_t, std::int64_t delay, F f) { armed_.push_back(arm(delay, f)); }
    void rearm(std::size_t index, std::int64_t delay, F f) { armed_[index] = arm(delay, f); }
    void arm_and_cancel(std::int64_t delay, F f) {
      const auto cancelled = arm(delay, f);  // by its destructor
    }

   private:
    kj::Promise<void> arm(std::int64_t delay, F f) {
      return timer_.afterDelay(delay * kj::NANOSECONDS).then(kj::mv(f)).eagerlyEvaluate(nullptr);
    }
    kj::Timer& timer_;
    std::vector<kj::Promise<void>> armed_;
  };

  template <typename F>
  class Watches {
   public:
    Watches(KjPeer& peer, std::size_t) : port_(peer.io_.unixEventPort) {}
    void watch(int fd, F f) {
      Slot& slot = slots_.emplace_back(port_, fd, f);
      slot.task = slot.bounce().eagerlyEvaluate(nullptr);
    }

   private:
    struct Slot {
      Slot(kj::UnixEventPort& port, int fd, F callback)
          : observer(port, fd, kj::UnixEventPort::FdObserver::OBSERVE_READ), f(callback) {}
      kj::Promise<void> bounce() {
        return observer.whenBecomesReadable().then([this]() {
          f.on_readable();
          return bounce();
        });
      }
      kj::UnixEventPort::FdObserver observer;
      F f;
      kj::Promise<void> task = nullptr;
    };
    kj::UnixEventPort& port_;
    std::deque<Slot> slots_;
  };

 private:
  struct Echo {
    kj::Own<kj::AsyncIoStream> stream;
    char buffer[4096];
    kj::Promise<void> serve() {
      return stream->tryRead(buffer, 1, sizeof(buffer)).then([this](std::size_t size) -> kj::Promise<void> {
        if (size == 0) return kj::READY_NOW;
        return stream->write(buffer, size).then([this]() { return serve(); });
      });
    }
  };
  kj::Promise<void> accept(kj::UnixEventPort::FdObserver& listener, int fd) {
    for (int accepted; (accepted = accept_echo(fd)) >= 0;) {
      auto& echo = make_forever<Echo>();
      echo.stream = io_.lowLevelProvider->wrapSocketFd(accepted, kj::LowLevelAsyncIoProvider::ALREADY_NONBLOCK);
      echo.serve().detach([](kj::Exception&&) {});
    }
    return listener.whenBecomesReadable().then([this, &listener, fd]() { return accept(listener, fd); });
  }

  // A continuation that returns a continuation: the depth-first queue, a promise resolution each.
  template <typename Step>
  static kj::Promise<void> next(Step step) {
    return kj::Promise<void>(kj::READY_NOW).then([step]() -> kj::Promise<void> {
      if (step()) return next(step);
      return kj::READY_NOW;
    });
  }

  kj::AsyncIoContext& io_;
  const kj::Executor& executor_;
  kj::Promise<void> stopped_ = nullptr;
  kj::Own<kj::PromiseFulfiller<void>> stop_;
};

}  // namespace

int main(int argc, char** argv) {
  return run_program<KjPeer>(argc, argv);
}
