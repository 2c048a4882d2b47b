#include <memory>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/utsname.h>

#include "harness/hand_queue.h"
#include "harness/workloads.h"

namespace {

using namespace bench;

// Not a library: the least code on epoll and an eventfd that does the job, as a practical floor. It has no timers.
class RawEpollPeer {
 public:
  static constexpr std::string_view kName = "raw_epoll";
  static std::string version() {
    utsname system;
    uname(&system);
    return std::string("Linux ") + system.release;
  }
  static constexpr Offer kOffers[] = {
      {"post_burst"}, {"ping_pong"}, {"ping_pong_xthread"}, {"multi_producer"},     {"wake_idle"}, {"fd_ready"},
      {"tcp_echo"},   {"mem_fd"},    {"mem_pending_local"}, {"mem_pending_remote"},
  };

  explicit RawEpollPeer(const Args&) { add(wake_, nullptr); }
  void run() {
    while (!stopped_) {
      epoll_event events[256];
      const int count = epoll_wait(epoll_, events, 256, -1);
      for (int i = 0; i < count && !stopped_; ++i) {
        if (auto* watch = static_cast<Watch*>(events[i].data.ptr)) {
          watch->call(watch);
          continue;
        }
        std::uint64_t wakes;
        if (read(wake_, &wakes, sizeof(wakes)) == sizeof(wakes)) queue_.drain();
      }
    }
  }
  void stop() { stopped_ = true; }
  template <typename Closure>
  void submit(Closure closure) {
    if (!queue_.push(closure)) return;
    const std::uint64_t one = 1;
    if (write(wake_, &one, sizeof(one)) != sizeof(one)) std::perror("bench: write");
  }

  class Remote {
   public:
    explicit Remote(RawEpollPeer& peer) : peer_(peer) {}
    template <typename Closure>
    void submit(Closure closure) {
      peer_.submit(closure);
    }
    void collect() {}

   private:
    RawEpollPeer& peer_;
  };

 private:
  struct Watch {
    void (*call)(Watch*);
  };

  void add(int fd, Watch* watch) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = watch;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }

  const int epoll_ = epoll_create1(EPOLL_CLOEXEC);
  const int wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  HandQueue queue_;
  bool stopped_ = false;

 public:
  template <typename F>
  class Watches {
   public:
    Watches(RawEpollPeer& peer, std::size_t capacity) : peer_(peer), slots_(new Slot[capacity]) {}
    void watch(int fd, F f) {
      Slot& slot = slots_[used_++];
      slot.call = [](Watch* watch) { static_cast<Slot*>(watch)->f.on_readable(); };
      slot.f = f;
      peer_.add(fd, &slot);
    }

   private:
    struct Slot : Watch {
      F f;
    };
    RawEpollPeer& peer_;
    std::unique_ptr<Slot[]> slots_;
    std::size_t used_ = 0;
  };
};

}  // namespace

int main(int argc, char** argv) {
  return run_program<RawEpollPeer>(argc, argv);
}
