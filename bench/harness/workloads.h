#pragma once

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string_view>
#include <thread>
#include <type_traits>
#include <vector>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "echo.h"
#include "harness.h"
#include "promise_workloads.h"

/// The workloads, written once as templates over a peer, so that every peer is measured in the same way and the calls
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

// --- 1. post_burst, 4. multi_producer ---

struct Burst {
  std::uint64_t target = 0;
  std::uint64_t counter = 0;
  Stretch stretch;
  Gate done;

  void reset(std::uint64_t closures) {
    target = closures;
    counter = 0;
    done.close();
  }
};

struct CountBurst {
  Burst* burst;
  std::uint64_t* counter;
  void operator()() const {
    if (++*counter == burst->target) {
      burst->stretch.end();
      burst->done.open();
    }
  }
};

template <typename Peer>
void post_burst(const Args& args, Report& report) {
  const std::int64_t n = args.number("n", 1'000'000);
  auto& loop = make_forever<LoopThread<Peer>>(args);
  pin_to(kOtherCpu);
  auto& remote = make_forever<typename Peer::Remote>(loop.peer());
  auto& burst = make_forever<Burst>();
  for (int round = 0; round <= kRounds; ++round) {
    sleep_ns(10 * kMillisecond);
    burst.reset(static_cast<std::uint64_t>(n));
    burst.stretch.begin();
    for (std::int64_t i = 0; i < n; ++i) remote.submit(CountBurst{&burst, &burst.counter});
    const std::int64_t submitted = now_ns();
    burst.done.wait();
    remote.collect();
    if (round == 0) continue;  // the warm-up
    const double submit_ns = static_cast<double>(submitted - burst.stretch.begin_time()) / static_cast<double>(n);
    report.add_round(static_cast<double>(burst.stretch.duration()), n, burst.stretch.counts(),
                     {{"submit_ns", submit_ns}});
  }
}

template <typename Peer>
void multi_producer(const Args& args, Report& report) {
  const std::int64_t producers = args.number("p", 1);
  // KJ is slow here; the definition gives it less to do.
  const bool reduced = Peer::kName == "kj" && producers >= 10;
  const std::int64_t wanted = args.number("n", 1'000'000);
  const std::int64_t each = (reduced ? std::min<std::int64_t>(wanted, 100'000) : wanted) / producers;
  const std::int64_t n = each * producers;
  const int rounds = reduced ? 1 : kRounds;
  auto& loop = make_forever<LoopThread<Peer>>(args);
  auto& burst = make_forever<Burst>();
  for (int round = 0; round <= rounds; ++round) {
    burst.reset(static_cast<std::uint64_t>(n));
    Gate start;
    std::atomic<std::int64_t> ready{0};
    std::atomic<std::int64_t> cpu_total{0};
    std::atomic<std::int64_t> wall_total{0};
    std::vector<std::thread> threads;
    for (std::int64_t p = 0; p < producers; ++p) {
      threads.emplace_back([&] {
        if (producers == 1) pin_to(kOtherCpu);
        typename Peer::Remote remote(loop.peer());
        ready.fetch_add(1);
        start.wait();
        const std::int64_t cpu = thread_cpu_ns();
        const std::int64_t wall = now_ns();
        for (std::int64_t i = 0; i < each; ++i) remote.submit(CountBurst{&burst, &burst.counter});
        wall_total.fetch_add(now_ns() - wall);
        cpu_total.fetch_add(thread_cpu_ns() - cpu);
        burst.done.wait();
        remote.collect();
      });
    }
    while (ready.load() < producers) sleep_ns(kMillisecond / 10);
    sleep_ns(10 * kMillisecond);
    burst.stretch.begin();
    start.open();
    burst.done.wait();
    for (auto& thread : threads) thread.join();
    if (round == 0) continue;
    report.add_round(static_cast<double>(burst.stretch.duration()), n, burst.stretch.counts(),
                     {{"submit_cpu_ns", static_cast<double>(cpu_total.load()) / static_cast<double>(n)},
                      {"submit_wall_ns", static_cast<double>(wall_total.load()) / static_cast<double>(n)}});
  }
}

// --- 2. ping_pong, 6. deferred ---

template <typename Peer>
struct Chain {
  Peer* peer;
  std::int64_t target;
  std::int64_t count = 0;
  Stretch stretch{};

  /// True while there is more to do.
  bool advance() {
    if (++count < target) return true;
    stretch.end();
    peer->stop();
    return false;
  }
};

template <typename Peer>
struct ResubmitChain {
  Chain<Peer>* chain;
  Peer* peer;
  void operator()() const {
    if (chain->advance()) peer->submit(*this);
  }
};

/// One pointer, so that a peer can add its own.
template <typename Peer>
struct StepChain {
  Chain<Peer>* chain;
  bool operator()() const { return chain->advance(); }
};

/// `start` begins a chain on a fresh loop, `run` lasts until the chain has ended.
template <typename Peer, typename Start>
void chain_rounds(const Args& args, Report& report, Start start) {
  const std::int64_t n = args.number("n", 1'000'000);
  pin_to(kLoopCpu);
  for (int round = 0; round <= kRounds; ++round) {
    auto& peer = make_forever<Peer>(args);
    auto& chain = make_forever<Chain<Peer>>(&peer, round == 0 ? std::max<std::int64_t>(n / 10, 1) : n);
    chain.stretch.begin();
    start(peer, chain);
    peer.run();
    if (round == 0) continue;
    report.add_round(static_cast<double>(chain.stretch.duration()), n, chain.stretch.counts());
  }
}

template <typename Peer>
void ping_pong(const Args& args, Report& report) {
  const bool idle = args.variant() == "idle";
  chain_rounds<Peer>(args, report, [idle](Peer& peer, Chain<Peer>& chain) {
    if constexpr (requires { peer.start_idle(StepChain<Peer>{}); }) {
      if (idle) return peer.start_idle(StepChain<Peer>{&chain});
    }
    peer.submit(ResubmitChain<Peer>{&chain, &peer});
  });
}

template <typename Peer>
struct BeginDeferred {
  Chain<Peer>* chain;
  Peer* peer;
  void operator()() const { peer->start_deferred(StepChain<Peer>{chain}); }
};

template <typename Peer>
void deferred(const Args& args, Report& report) {
  chain_rounds<Peer>(args, report,
                     [](Peer& peer, Chain<Peer>& chain) { peer.submit(BeginDeferred<Peer>{&chain, &peer}); });
}

// --- 3. ping_pong_xthread, 5. wake_idle ---

struct OpenForSpinner {
  Gate* gate;
  void* unused;
  void operator()() const { gate->open_for_spinner(); }
};

struct OpenForSleeper {
  Gate* gate;
  void* unused;
  void operator()() const { gate->open(); }
};

template <typename Peer>
void ping_pong_xthread(const Args& args, Report& report) {
  const bool halting = args.text("idle", "spin") == "halt";
  const bool futex = args.text("wait", "spin") == "futex";
  const std::int64_t n = args.number("n", halting ? 20'000 : 200'000);
  auto& loop = make_forever<LoopThread<Peer>>(args);
  pin_to(kOtherCpu);
  auto& remote = make_forever<typename Peer::Remote>(loop.peer());
  auto& gate = make_forever<Gate>();
  std::vector<double> trips(static_cast<std::size_t>(n));
  Stretch stretch;
  for (std::int64_t i = -(n / 20); i < n; ++i) {
    if (i == 0) stretch.begin();
    gate.close();
    const std::int64_t begin = now_ns();
    if constexpr (requires { remote.submit_and_wait(OpenForSpinner{&gate, nullptr}); }) {
      if (args.variant() == "sync") {
        remote.submit_and_wait(OpenForSpinner{&gate, nullptr});
        if (i >= 0) trips[static_cast<std::size_t>(i)] = static_cast<double>(now_ns() - begin);
        continue;
      }
    }
    if (futex) {
      remote.submit(OpenForSleeper{&gate, nullptr});
      gate.wait();
    } else {
      remote.submit(OpenForSpinner{&gate, nullptr});
      gate.spin();
    }
    if (i >= 0) trips[static_cast<std::size_t>(i)] = static_cast<double>(now_ns() - begin);
    remote.collect();
  }
  stretch.end();
  const double average = mean(trips);
  report.add_round(average * static_cast<double>(n), n, stretch.counts(),
                   {{"p50", quantile(trips, 0.5)},
                    {"p99", quantile(trips, 0.99)},
                    {"wall_ns", static_cast<double>(stretch.duration()) / static_cast<double>(n)}});
}

struct RecordTime {
  std::atomic<std::int64_t>* time;
  void* unused;
  void operator()() const { time->store(now_ns(), std::memory_order_release); }
};

template <typename Peer>
void wake_idle(const Args& args, Report& report) {
  const std::int64_t n = args.number("n", 10'000);
  constexpr std::int64_t kWarmUp = 100;
  constexpr std::int64_t kPause = 200 * kMicrosecond;
  auto& loop = make_forever<LoopThread<Peer>>(args);
  pin_to(kOtherCpu);
  auto& remote = make_forever<typename Peer::Remote>(loop.peer());
  auto& ran_at = make_forever<std::atomic<std::int64_t>>();
  std::vector<double> latencies, submissions;
  latencies.reserve(static_cast<std::size_t>(n));
  submissions.reserve(static_cast<std::size_t>(n));
  Stretch stretch;
  for (std::int64_t i = -kWarmUp; i < n; ++i) {
    if (i == 0) stretch.begin();
    ran_at.store(0);
    spin_until(now_ns() + kPause);
    const std::int64_t begin = now_ns();
    remote.submit(RecordTime{&ran_at, nullptr});
    const std::int64_t submitted = now_ns();
    std::int64_t ran;
    while ((ran = ran_at.load(std::memory_order_acquire)) == 0) relax_cpu();
    remote.collect();
    if (i < 0) continue;
    latencies.push_back(static_cast<double>(ran - begin));
    submissions.push_back(static_cast<double>(submitted - begin));
  }
  stretch.end();
  const double average = mean(latencies);
  const double median = quantile(latencies, 0.5);
  report.add_round(median * static_cast<double>(n), n, stretch.counts(),
                   {{"p50", median},
                    {"p99", quantile(latencies, 0.99)},
                    {"mean", average},
                    {"submit_p50", quantile(submissions, 0.5)}});
}

// --- 7. timer_schedule_cancel ---

struct IgnoreTimer {
  void* unused[2];
  void operator()() const {}
};

template <typename Peer>
struct ScheduleCancel {
  using Timers = typename Peer::template Timers<IgnoreTimer>;
  static constexpr std::int64_t kBatch = 1000;

  Peer* peer;
  Timers* timers;
  std::int64_t standing;  // k
  std::int64_t warm_up;
  std::int64_t target;  // warm-up included
  std::int64_t done = 0;
  Random random{};
  Stretch stretch{};
};

template <typename Peer>
struct ScheduleCancelBatch {
  ScheduleCancel<Peer>* state;
  Peer* peer;
  void operator()() const {
    ScheduleCancel<Peer>& s = *state;
    if (s.done == s.warm_up) s.stretch.begin();
    for (std::int64_t i = 0; i < s.kBatch; ++i) {
      s.timers->arm_and_cancel(s.random.between(kMillisecond, 60 * kSecond), IgnoreTimer{});
    }
    s.done += s.kBatch;
    if (s.done < s.target) {
      peer->submit(*this);
    } else {
      s.stretch.end();
      peer->stop();
    }
  }
};

template <typename Peer>
struct ArmStanding {
  ScheduleCancel<Peer>* state;
  Peer* peer;
  void operator()() const {
    peer->update_time();
    const std::int64_t start = now_ns();
    for (std::int64_t i = 0; i < state->standing; ++i) {
      state->timers->arm_at(start, state->random.between(30 * kSecond, 90 * kSecond), IgnoreTimer{});
    }
    peer->submit(ScheduleCancelBatch<Peer>{state, peer});
  }
};

template <typename Peer>
void timer_schedule_cancel(const Args& args, Report& report) {
  using State = ScheduleCancel<Peer>;
  const std::int64_t batches = std::max<std::int64_t>(args.number("n", 1'000'000) / State::kBatch, 1);
  const std::int64_t n = batches * State::kBatch;
  const std::int64_t warm_up = std::max<std::int64_t>(batches / 10, 1) * State::kBatch;
  const std::int64_t standing = args.number("k", 0);
  pin_to(kLoopCpu);
  auto& peer = make_forever<Peer>(args);
  auto& timers = make_forever<typename State::Timers>(peer, static_cast<std::size_t>(standing) + 1);
  auto& state = make_forever<State>(&peer, &timers, standing, warm_up, warm_up + n);
  peer.submit(ArmStanding<Peer>{&state, &peer});
  peer.run();
  report.add_round(static_cast<double>(state.stretch.duration()), n, state.stretch.counts());
}

// --- 8. timer_fire ---

template <typename Peer>
struct TimerFire;

template <typename Peer>
struct CountTimer {
  TimerFire<Peer>* state;
  Peer* peer;
  void operator()() const {
    if (++state->fired == state->count) state->finish();
  }
};

template <typename Peer>
struct TimerFire {
  using Timers = typename Peer::template Timers<CountTimer<Peer>>;
  static constexpr std::int64_t kSpread = 200 * kMillisecond;

  Peer* peer;
  Timers* timers;
  std::int64_t count;
  std::int64_t lead;  // T
  std::int64_t fired = 0;
  std::int64_t last_due = 0;
  std::int64_t arming_ns = 0;
  std::int64_t cpu_begin = 0;
  std::int64_t cpu_end = 0;
  Random random{};
  Stretch stretch{};

  void arm() {
    peer->update_time();
    const std::int64_t start = now_ns();
    last_due = start + lead + kSpread;
    for (std::int64_t i = 0; i < count; ++i) {
      timers->arm_at(start, random.between(lead, lead + kSpread), CountTimer<Peer>{this, peer});
    }
    stretch.begin();
    arming_ns = stretch.begin_time() - start;
    cpu_begin = thread_cpu_ns();
  }
  void finish() {
    cpu_end = thread_cpu_ns();
    stretch.end();
    peer->stop();
  }
};

template <typename Peer, typename State>
struct ArmAll {
  State* state;
  Peer* peer;
  void operator()() const { state->arm(); }
};

template <typename Peer>
void timer_fire(const Args& args, Report& report) {
  const std::int64_t n = args.number("n", 100'000);
  pin_to(kLoopCpu);
  auto& peer = make_forever<Peer>(args);
  auto& timers = make_forever<typename TimerFire<Peer>::Timers>(peer, static_cast<std::size_t>(n));
  auto& state = make_forever<TimerFire<Peer>>(&peer, &timers, n, n > 100'000 ? 5 * kSecond : kSecond / 2);
  peer.submit(ArmAll<Peer, TimerFire<Peer>>{&state, &peer});
  peer.run();
  const double late = static_cast<double>(state.stretch.end_time() - state.last_due);
  report.add_round(static_cast<double>(state.cpu_end - state.cpu_begin), n, state.stretch.counts(),
                   {{"arm_ns", static_cast<double>(state.arming_ns) / static_cast<double>(n)},
                    {"last_late_ms", late / static_cast<double>(kMillisecond)}});
}

// --- 8. timer_lateness ---

template <typename Peer>
struct Lateness {
  struct Fired {
    Lateness* state;
    std::int64_t due;
    void operator()() const { state->record(now_ns() - due); }
  };
  using Timers = typename Peer::template Timers<Fired>;

  Peer* peer;
  Timers* timers;
  std::int64_t count;
  std::vector<double> samples{};
  Random* random;
  Stretch stretch{};

  void arm() {
    peer->update_time();
    stretch.begin();
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t delay = random->between(kMillisecond, 200 * kMillisecond);
      const std::int64_t now = now_ns();
      timers->arm_at(now, delay, Fired{this, now + delay});
    }
  }
  void record(std::int64_t lateness) {
    samples.push_back(static_cast<double>(lateness));
    if (samples.size() < static_cast<std::size_t>(count)) return;
    stretch.end();
    peer->stop();
  }
};

template <typename Peer>
void timer_lateness(const Args& args, Report& report) {
  const std::int64_t n = args.number("n", 1'000);
  pin_to(kLoopCpu);
  Random random;
  std::vector<double> pooled;
  Counts counts{};
  for (int round = 0; round < kRounds; ++round) {
    auto& peer = make_forever<Peer>(args);
    auto& timers = make_forever<typename Lateness<Peer>::Timers>(peer, static_cast<std::size_t>(n));
    auto& state = make_forever<Lateness<Peer>>(&peer, &timers, n, std::vector<double>{}, &random);
    state.samples.reserve(static_cast<std::size_t>(n));
    peer.submit(ArmAll<Peer, Lateness<Peer>>{&state, &peer});
    peer.run();
    pooled.insert(pooled.end(), state.samples.begin(), state.samples.end());
    counts = state.stretch.counts();
  }
  const auto early = std::count_if(pooled.begin(), pooled.end(), [](double lateness) { return lateness < 0; });
  const double median = quantile(pooled, 0.5);
  report.add_round(median * static_cast<double>(n), n, counts,
                   {{"p50", median},
                    {"p99", quantile(pooled, 0.99)},
                    {"min", quantile(pooled, 0)},
                    {"max", quantile(pooled, 1)},
                    {"early_share", static_cast<double>(early) / static_cast<double>(pooled.size())}});
}

// --- 9. timer_rearm ---

template <typename Peer>
struct Rearm {
  using Timers = typename Peer::template Timers<IgnoreTimer>;
  static constexpr std::int64_t kBatch = 1000;

  Peer* peer;
  Timers* timers;
  std::int64_t standing;  // k
  std::int64_t warm_up;
  std::int64_t target;  // warm-up included
  std::int64_t done = 0;
  Random random{};
  Stretch stretch{};

  struct Batch {
    Rearm* state;
    Peer* peer;
    void operator()() const { state->run_batch(*this); }
  };
  void arm() {
    peer->update_time();
    const std::int64_t start = now_ns();
    for (std::int64_t i = 0; i < standing; ++i) {
      timers->arm_at(start, random.between(15 * kSecond, 30 * kSecond), IgnoreTimer{});
    }
    peer->submit(Batch{this, peer});
  }
  void run_batch(const Batch& again) {
    if (done == warm_up) stretch.begin();
    for (std::int64_t i = 0; i < kBatch; ++i) {
      timers->rearm(static_cast<std::size_t>(random.between(0, standing)), 30 * kSecond, IgnoreTimer{});
    }
    done += kBatch;
    if (done < target) return peer->submit(again);
    stretch.end();
    peer->stop();
  }
};

template <typename Peer>
void timer_rearm(const Args& args, Report& report) {
  using State = Rearm<Peer>;
  const std::int64_t batches = std::max<std::int64_t>(args.number("n", 1'000'000) / State::kBatch, 1);
  const std::int64_t n = batches * State::kBatch;
  const std::int64_t warm_up = std::max<std::int64_t>(batches / 10, 1) * State::kBatch;
  const std::int64_t standing = args.number("k", 100'000);
  pin_to(kLoopCpu);
  auto& peer = make_forever<Peer>(args);
  auto& timers = make_forever<typename State::Timers>(peer, static_cast<std::size_t>(standing) + 1);
  auto& state = make_forever<State>(&peer, &timers, standing, warm_up, warm_up + n);
  peer.submit(ArmAll<Peer, State>{&state, &peer});
  peer.run();
  report.add_round(static_cast<double>(state.stretch.duration()), n, state.stretch.counts());
}

// --- 10. fd_ready ---

/// An op is one callback: it moves the byte of its pair back to where it came from.
template <typename Peer>
struct BounceByte {
  Chain<Peer>* chain;
  std::intptr_t fd;

  void on_readable() const {
    char byte;
    if (read(static_cast<int>(fd), &byte, 1) == 1) on_byte(byte);
  }
  /// For peers that read by themselves.
  void on_byte(char byte) const {
    if (write(static_cast<int>(fd), &byte, 1) != 1) std::perror("bench: write");
    if (chain->count < chain->target) chain->advance();
  }
};

template <typename Peer>
void fd_ready(const Args& args, Report& report) {
  const std::int64_t n = args.number("n", 300'000);
  const std::int64_t pair_count = args.number("c", 1);
  raise_descriptor_limit();
  pin_to(kLoopCpu);
  for (int round = 0; round <= kRounds; ++round) {
    auto& peer = make_forever<Peer>(args);
    auto& watches =
        make_forever<typename Peer::template Watches<BounceByte<Peer>>>(peer, static_cast<std::size_t>(2 * pair_count));
    auto& chain = make_forever<Chain<Peer>>(&peer, round == 0 ? std::max<std::int64_t>(n / 10, 1) : n);
    std::vector<int> ends;
    for (std::int64_t i = 0; i < pair_count; ++i) {
      int pair[2];
      if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
        std::perror("bench: socketpair");
        std::exit(1);
      }
      for (const int end : pair) {
        watches.watch(end, BounceByte<Peer>{&chain, end});
        ends.push_back(end);
      }
    }
    for (std::size_t i = 0; i < ends.size(); i += 2) {
      if (write(ends[i], "x", 1) != 1) std::perror("bench: write");
    }
    chain.stretch.begin();
    peer.run();
    for (const int end : ends) close(end);
    if (round == 0) continue;
    report.add_round(static_cast<double>(chain.stretch.duration()), n, chain.stretch.counts());
  }
}

// --- 11. tcp_echo ---

/// A listening socket, or a connection to it.
template <typename Peer>
struct EchoEnd {
  using Watches = typename Peer::template Watches<EchoEnd>;
  static constexpr std::size_t kBuffer = 4096;

  Watches* watches;
  std::int32_t fd;
  bool listens;

  void on_readable() const {
    if (listens) {
      for (int accepted; (accepted = accept_echo(fd)) >= 0;)
        watches->watch(accepted, EchoEnd{watches, accepted, false});
      return;
    }
    char buffer[kBuffer];
    const ssize_t size = read(fd, buffer, sizeof(buffer));
    if (size > 0 && write(fd, buffer, static_cast<std::size_t>(size)) != size) std::perror("bench: write");
  }
};

template <typename Peer>
struct Serve {
  Peer* peer;
  std::intptr_t fd;
  void operator()() const {
    if constexpr (requires { peer->serve_echo(0); }) {
      if constexpr (std::is_void_v<decltype(peer->serve_echo(0))>) {
        peer->serve_echo(static_cast<int>(fd));
      } else {
        if (!peer->serve_echo(static_cast<int>(fd))) serve_by_watches();
      }
    } else {
      serve_by_watches();
    }
  }
  void serve_by_watches() const {
    using End = EchoEnd<Peer>;
    auto& watches = make_forever<typename End::Watches>(*peer, std::size_t{1024});
    watches.watch(static_cast<int>(fd), End{&watches, static_cast<std::int32_t>(fd), true});
  }
};

template <typename Peer>
void tcp_echo(const Args& args, Report& report) {
  raise_descriptor_limit();
  pin_to(kLoopCpu);
  auto& peer = make_forever<Peer>(args);
  const int listener = listen_for_echo();
  peer.submit(Serve<Peer>{&peer, listener});
  // The process ends in here, with the report.
  start_echo_client(listener, static_cast<int>(args.number("c", 1)), args.number("ms", 2500), report);
  peer.run();
}

// --- 13. mem_timer, mem_fd, mem_pending_local, mem_pending_remote ---

inline void report_live_bytes(Report& report, const Counts& before, std::int64_t n) {
  const double live = static_cast<double>(read_counts().live_bytes - before.live_bytes) / static_cast<double>(n);
  report.add_round(0, n, Counts{}, {{"live_bytes_per_op", live}});
}

/// What runs on the loop and then stops it.
template <typename Peer, typename Work>
struct ThenStop {
  Work* work;
  Peer* peer;
  void operator()() const {
    (*work)();
    peer->stop();
  }
};
template <typename Peer, typename Work>
void run_on(Peer& peer, Work work) {
  auto& kept = make_forever<Work>(std::move(work));
  peer.submit(ThenStop<Peer, Work>{&kept, &peer});
  peer.run();
}

template <typename Peer>
void mem_timer(const Args& args, Report& report) {
  const std::int64_t n = args.number("n", 100'000);
  auto& peer = make_forever<Peer>(args);
  run_on(peer, [&] {
    const Counts before = read_counts();
    using Timers = typename Peer::template Timers<IgnoreTimer>;
    auto& timers = make_forever<Timers>(peer, static_cast<std::size_t>(n));
    peer.update_time();
    const std::int64_t start = now_ns();
    Random random;
    for (std::int64_t i = 0; i < n; ++i) {
      timers.arm_at(start, random.between(30 * kSecond, 90 * kSecond), IgnoreTimer{});
    }
    report_live_bytes(report, before, n);
  });
}

struct NeverReadable {
  void* unused[2];
  void on_readable() const {}
  void on_byte(char) const {}
};

template <typename Peer, typename Work>
struct InTwoTurns {
  Work* work;
  Peer* peer;
  struct Last {
    Work* work;
    Peer* peer;
    void operator()() const {
      (*work)();
      peer->stop();
    }
  };
  void operator()() const { peer->submit(Last{work, peer}); }
};

template <typename Peer>
void mem_fd(const Args& args, Report& report) {
  const std::int64_t n = args.number("n", 4'096);
  raise_descriptor_limit();
  auto& peer = make_forever<Peer>(args);
  std::vector<int> fds;
  for (std::int64_t i = 0; i < n; ++i) fds.push_back(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const Counts before = read_counts();
  auto measure = [&] { report_live_bytes(report, before, n); };
  auto begin = [&] {
    using Watches = typename Peer::template Watches<NeverReadable>;
    auto& watches = make_forever<Watches>(peer, static_cast<std::size_t>(n));
    for (const int fd : fds) watches.watch(fd, NeverReadable{});
    peer.submit(InTwoTurns<Peer, decltype(measure)>{&measure, &peer});
  };
  struct Begin {
    decltype(begin)* work;
    void* unused;
    void operator()() const { (*work)(); }
  };
  peer.submit(Begin{&begin, nullptr});
  peer.run();
}

struct Nothing {
  void* unused[2];
  void operator()() const {}
};

template <typename Peer>
void mem_pending_local(const Args& args, Report& report) {
  const std::int64_t n = args.number("n", 100'000);
  auto& peer = make_forever<Peer>(args);
  run_on(peer, [&] {
    const Counts before = read_counts();
    for (std::int64_t i = 0; i < n; ++i) peer.submit(Nothing{});
    report_live_bytes(report, before, n);
  });
}

template <typename Peer>
void mem_pending_remote(const Args& args, Report& report) {
  const std::int64_t n = args.number("n", 100'000);
  auto& loop = make_forever<LoopThread<Peer>>(args);
  auto& remote = make_forever<typename Peer::Remote>(loop.peer());
  struct Block {
    Gate* blocked;
    Gate* release;
    void operator()() const {
      blocked->open();
      release->wait();
    }
  };
  auto& blocked = make_forever<Gate>();
  auto& release = make_forever<Gate>();
  remote.submit(Block{&blocked, &release});
  blocked.wait();
  const Counts before = read_counts();
  for (std::int64_t i = 0; i < n; ++i) remote.submit(Nothing{});
  report_live_bytes(report, before, n);
}

// --- The program ---

/// Later workloads join here, and in the driver's list of rows.
template <typename Peer>
void measure(const Args& args, Report& report) {
  using Measure = void (*)(const Args&, Report&);
  struct Entry {
    std::string_view name;
    Measure measure;
  };
  std::vector<Entry> entries = {{"post_burst", post_burst<Peer>},
                                {"ping_pong", ping_pong<Peer>},
                                {"ping_pong_xthread", ping_pong_xthread<Peer>},
                                {"multi_producer", multi_producer<Peer>},
                                {"wake_idle", wake_idle<Peer>},
                                {"mem_pending_local", mem_pending_local<Peer>},
                                {"mem_pending_remote", mem_pending_remote<Peer>}};
  if constexpr (requires(Peer& peer) { peer.start_deferred(StepChain<Peer>{}); }) {
    entries.push_back({"deferred", deferred<Peer>});
  }
  if constexpr (requires { typename Peer::template Timers<IgnoreTimer>; }) {
    entries.push_back({"timer_schedule_cancel", timer_schedule_cancel<Peer>});
    entries.push_back({"timer_fire", timer_fire<Peer>});
    entries.push_back({"timer_lateness", timer_lateness<Peer>});
    entries.push_back({"timer_rearm", timer_rearm<Peer>});
    entries.push_back({"mem_timer", mem_timer<Peer>});
  }
  if constexpr (requires { typename Peer::template Watches<BounceByte<Peer>>; }) {
    entries.push_back({"fd_ready", fd_ready<Peer>});
    entries.push_back({"tcp_echo", tcp_echo<Peer>});
    entries.push_back({"mem_fd", mem_fd<Peer>});
  }
  if constexpr (requires { Peer::kHasPromises; }) {
    for (const PromiseWorkload& workload : promise_workloads()) entries.push_back({workload.name, workload.measure});
  }
  for (const Entry& entry : entries) {
    if (entry.name == args.workload()) return entry.measure(args, report);
  }
  std::fprintf(stderr, "bench: %s has no workload '%s'\n", Peer::kName.data(), args.workload().c_str());
  std::exit(2);
}

/// `main` of every peer's program. `list` prints what can be measured.
template <typename Peer>
int run_program(int argc, char** argv) {
  const Args args(argc, argv);
  if (args.workload() == "list") {
    std::printf("%s %s\n", Peer::kName.data(), Peer::version().c_str());
    for (const Offer& offer : Peer::kOffers) {
      std::printf("%s %s\n", offer.workload.data(), offer.variant.data());
    }
    return 0;
  }
  if (args.text("idle", "") == "spin") start_idle_spinners();
  Report report(Peer::kName, args);
  measure<Peer>(args, report);
  report.print();
  std::fflush(stdout);
  _exit(0);
}

}  // namespace bench
