#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <time.h>

#include "counts.h"

/// What every benchmark program shares: the clock, pinning, random numbers, gates, and the one JSON line that a process
/// prints. One process measures one workload of one peer; see docs/benchmarks.md.
namespace bench {

inline constexpr int kLoopCpu = 0;
inline constexpr int kOtherCpu = 1;  // the producer's side
inline constexpr int kRounds = 3;
inline constexpr std::int64_t kMicrosecond = 1'000;
inline constexpr std::int64_t kMillisecond = 1'000'000;
inline constexpr std::int64_t kSecond = 1'000'000'000;

inline std::int64_t read_clock(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * kSecond + time.tv_nsec;
}
inline std::int64_t now_ns() {
  return read_clock(CLOCK_MONOTONIC);
}
/// CPU time of the calling thread.
inline std::int64_t thread_cpu_ns() {
  return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

void sleep_ns(std::int64_t duration);
/// Spins, so that the waiting thread's core does not halt.
void spin_until(std::int64_t time);
inline void relax_cpu() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

/// Keeps the calling thread on one CPU, if the machine has it.
void pin_to(int cpu);
/// Starts a SCHED_IDLE thread on each of the two CPUs that spins whenever nobody else wants the core.
void start_idle_spinners();
void raise_descriptor_limit();

/// xorshift64*, from the same seed for every peer.
class Random {
 public:
  std::uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545F4914F6CDD1DULL;
  }
  /// Uniform in [low, high).
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(high - low));
  }

 private:
  std::uint64_t state_ = 0x9E3779B97F4A7C15ULL;
};

/// One thread waits, another opens.
class Gate {
 public:
  void open_for_spinner() { open_.store(1, std::memory_order_release); }
  void open() {
    open_.store(1, std::memory_order_release);
    wake();
  }
  void spin() const {
    while (open_.load(std::memory_order_acquire) == 0) relax_cpu();
  }
  /// Sleeps on a futex.
  void wait();
  void close() { open_.store(0, std::memory_order_relaxed); }

 private:
  void wake();
  std::atomic<std::uint32_t> open_{0};
};

/// `program WORKLOAD key=value ...`
class Args {
 public:
  Args(int argc, char** argv);

  const std::string& workload() const { return workload_; }
  /// "" where none is given.
  std::string variant() const { return text("variant", ""); }
  std::string text(const std::string& key, const std::string& otherwise) const;
  std::int64_t number(const std::string& key, std::int64_t otherwise) const;
  /// All but `n`, which says how long to measure and not what.
  std::map<std::string, std::string> shape() const;

 private:
  std::string workload_;
  std::map<std::string, std::string> values_;
};

/// True in the counting pass: `interposer.so` is loaded.
bool is_counting();
/// All zero in the timing pass.
Counts read_counts();

using Extra = std::map<std::string, double>;

/// The measured stretch of a round.
class Stretch {
 public:
  void begin() {
    counts_before_ = read_counts();
    begin_ = now_ns();
  }
  void end() {
    end_ = now_ns();
    counts_after_ = read_counts();
  }
  std::int64_t begin_time() const { return begin_; }
  std::int64_t end_time() const { return end_; }
  std::int64_t duration() const { return end_ - begin_; }
  Counts counts() const;

 private:
  std::int64_t begin_ = 0;
  std::int64_t end_ = 0;
  Counts counts_before_;
  Counts counts_after_;
};

/// Collects rounds and prints their medians as one JSON line.
class Report {
 public:
  Report(std::string_view peer, const Args& args) : peer_(peer), args_(args) {}

  /// `total_ns` over `ops` is the round's ns_per_op.
  void add_round(double total_ns, std::int64_t ops, const Counts& counts, Extra extra = {});
  void print() const;

 private:
  struct Round {
    double ns_per_op;
    std::int64_t ops;
    Counts counts;
    Extra extra;
  };
  std::string peer_;
  const Args& args_;
  std::vector<Round> rounds_;
};

/// The `q` quantile (0 to 1) of samples, which are sorted by this.
double quantile(std::vector<double>& samples, double q);
double mean(const std::vector<double>& samples);

/// What a program can measure: a workload, and the variant ("" for the usual way).
struct Offer {
  std::string_view workload;
  std::string_view variant = "";
};

}  // namespace bench
