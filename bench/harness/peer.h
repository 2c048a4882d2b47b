#pragma once

#include <thread>
#include <utility>

#include "harness.h"

/// Workloads are written once as templates over a peer, so that every peer is measured in the same way and the calls
/// into it are inlined as a user's would be. A peer is a class with
///
///   static constexpr std::string_view kName;  static std::string version();
///   static constexpr Offer kOffers[];            what it can be measured on
///   explicit Peer(const Args&);                  makes the loop, on the thread that will run it
///   void run();                                  runs the loop until stop()
///   void stop();                                 from a callback
///   void submit(closure);                        from the loop's thread, or before run()
///   class Remote;                                what another thread submits through:
///     explicit Remote(Peer&); void submit(closure);
///     void collect();                            what the producer has to do after a round; not timed
///
/// and, for the workloads that need them,
///
///   void start_deferred(step);                   calls step() again and again, in the loop's way for "right after
///                                                this", for as long as it returns true
///   void start_idle(step);                       the same in an idle callback
///   void update_time();                          refreshes the loop's cached time
///   template <class F> class Timers;             Timers(Peer&, capacity);
///     void arm_at(start_ns, delay_ns, F);        one-shot, due at start + delay, which update_time() was called at
///     void arm_and_cancel(delay_ns, F);          the variant says whether on one timer object or on a fresh one
///     void rearm(index, delay_ns, F);            moves the deadline of the index-th timer armed to delay from now
///   template <class F> class Watches;            Watches(Peer&, capacity);
///     void watch(fd, F);                         calls F::on_readable() whenever fd is readable
///   void serve_echo(fd);                         accepts on a listening socket and sends back what it reads, with the
///                                                loop's own streams. Without it, or where it returns false, watches
///                                                and plain read and write do
///
/// Closures are trivially copyable and capture two pointers. Nothing is torn down: loops, timers and watches are left
/// to the end of the process, which is _exit.
namespace bench {

/// Makes an object that lives until the process ends.
template <typename T, typename... Args_>
T& make_forever(Args_&&... args) {
  return *new T(std::forward<Args_>(args)...);
}

/// A loop that runs on a thread of its own, on the loop's CPU, for ever.
template <typename Peer>
class LoopThread {
 public:
  explicit LoopThread(const Args& args) {
    std::thread([this, args] {
      pin_to(kLoopCpu);
      peer_ = &make_forever<Peer>(args);
      ready_.open();
      peer_->run();
    }).detach();
    ready_.wait();
    sleep_ns(10 * kMillisecond);
  }
  Peer& peer() { return *peer_; }

 private:
  Peer* peer_ = nullptr;
  Gate ready_;
};

}  // namespace bench
