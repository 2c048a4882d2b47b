#include "harness.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <thread>

#include <dlfcn.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace bench {

// --- Threads and time ---

void sleep_ns(std::int64_t duration) {
  timespec left{.tv_sec = duration / kSecond, .tv_nsec = duration % kSecond};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

void spin_until(std::int64_t time) {
  while (now_ns() < time) relax_cpu();
}

void pin_to(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

void start_idle_spinners() {
  for (const int cpu : {kLoopCpu, kOtherCpu}) {
    std::thread([cpu] {
      const sched_param none{};
      if (pthread_setschedparam(pthread_self(), SCHED_IDLE, &none) != 0) return;
      pin_to(cpu);
      for (;;) relax_cpu();
    }).detach();
  }
}

void raise_descriptor_limit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void Gate::wait() {
  while (open_.load(std::memory_order_acquire) == 0) {
    syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&open_), FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
  }
}

void Gate::wake() {
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&open_), FUTEX_WAKE_PRIVATE, 0x7fffffff, nullptr, nullptr, 0);
}

// --- Arguments ---

Args::Args(int argc, char** argv) : workload_(argc > 1 ? argv[1] : "") {
  for (int i = 2; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto equals = argument.find('=');
    if (equals == std::string::npos) {
      std::fprintf(stderr, "bench: '%s' is not of the form key=value\n", argv[i]);
      std::exit(2);
    }
    values_[argument.substr(0, equals)] = argument.substr(equals + 1);
  }
}

std::string Args::text(const std::string& key, const std::string& otherwise) const {
  const auto value = values_.find(key);
  return value != values_.end() ? value->second : otherwise;
}

std::int64_t Args::number(const std::string& key, std::int64_t otherwise) const {
  const auto value = values_.find(key);
  return value != values_.end() ? std::strtoll(value->second.c_str(), nullptr, 10) : otherwise;
}

std::map<std::string, std::string> Args::shape() const {
  auto shape = values_;
  shape.erase("n");
  return shape;
}

// --- Counting ---

namespace {

using ReadCounts = void (*)(Counts*);

ReadCounts interposer() {
  static const auto found = reinterpret_cast<ReadCounts>(dlsym(RTLD_DEFAULT, "bench_interposer_read"));
  return found;
}

}  // namespace

bool is_counting() {
  return interposer() != nullptr;
}

Counts read_counts() {
  Counts counts;
  if (is_counting()) interposer()(&counts);
  return counts;
}

Counts Stretch::counts() const {
  const Counts& a = counts_before_;
  const Counts& b = counts_after_;
  return {.allocations = b.allocations - a.allocations,
          .bytes = b.bytes - a.bytes,
          .live_bytes = b.live_bytes - a.live_bytes,
          .polls = b.polls - a.polls,
          .reads = b.reads - a.reads,
          .writes = b.writes - a.writes,
          .epoll_ctls = b.epoll_ctls - a.epoll_ctls,
          .timerfd_settimes = b.timerfd_settimes - a.timerfd_settimes};
}

// --- The report ---

double quantile(std::vector<double>& samples, double q) {
  std::sort(samples.begin(), samples.end());
  return samples[static_cast<std::size_t>(q * static_cast<double>(samples.size() - 1) + 0.5)];
}

double mean(const std::vector<double>& samples) {
  return std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(samples.size());
}

void Report::add_round(double total_ns, std::int64_t ops, const Counts& counts, Extra extra) {
  rounds_.push_back({total_ns / static_cast<double>(ops), ops, counts, std::move(extra)});
}

void Report::print() const {
  const auto median = [this](auto&& value) {
    std::vector<double> values;
    for (const Round& round : rounds_) values.push_back(static_cast<double>(value(round)));
    return quantile(values, 0.5);
  };
  const auto per_op = [&](std::uint64_t Counts::* counter) {
    return median([&](const Round& round) {
      return static_cast<double>(round.counts.*counter) / static_cast<double>(round.ops);
    });
  };
  std::printf(R"({"peer":"%s","workload":"%s","params":{)", peer_.c_str(), args_.workload().c_str());
  const char* separator = "";
  for (const auto& [key, value] : args_.shape()) {
    std::printf(R"(%s"%s":"%s")", separator, key.c_str(), value.c_str());
    separator = ",";
  }
  std::printf(R"(},"ns_per_op":%.3f,"ops":%)" PRId64, median([](const Round& round) { return round.ns_per_op; }),
              rounds_.front().ops);
  if (is_counting()) {
    std::printf(R"(,"allocs_per_op":%.6g,"bytes_per_op":%.6g,"pass":"counting","extra":{)",
                per_op(&Counts::allocations), per_op(&Counts::bytes));
    std::printf(R"("polls":%.6g,"reads":%.6g,"writes":%.6g,"epoll_ctls":%.6g,"timerfd_settimes":%.6g,)",
                per_op(&Counts::polls), per_op(&Counts::reads), per_op(&Counts::writes), per_op(&Counts::epoll_ctls),
                per_op(&Counts::timerfd_settimes));
  } else {
    std::printf(R"(,"allocs_per_op":null,"bytes_per_op":null,"pass":"timing","extra":{)");
  }
  std::printf(R"("rounds":%zu)", rounds_.size());
  for (const auto& entry : rounds_.front().extra) {
    const std::string& name = entry.first;
    std::printf(R"(,"%s":%.6g)", name.c_str(), median([&](const Round& round) { return round.extra.at(name); }));
  }
  std::printf("}}\n");
}

}  // namespace bench
