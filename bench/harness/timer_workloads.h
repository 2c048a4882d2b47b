#pragma once

#include <algorithm>
#include <vector>

#include "peer.h"

/// Timers: workloads 7 to 9.
namespace bench {

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

}  // namespace bench
