#pragma once

#include <algorithm>
#include <thread>
#include <vector>

#include "peer.h"

/// Closures on their way to a loop and through it: workloads 1 to 6.
namespace bench {

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

}  // namespace bench
