// Ways of handing tasks to a loop, side by side: `bench_tournament measure` prints one line of JSON a design and
// workload, `bench_tournament check` tests that each design keeps its promises. See docs/tournament.md.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <thread>
#include <type_traits>

#include <unistd.h>

#include <gyre/loop/internal/parker.h>

#include "designs.h"
#include "harness/harness.h"

namespace {

using namespace bench;
using namespace bench::tournament;
using gyre::internal::Parker;

// --- The least loop around a design ---

template <typename Design>
class Loop {
 public:
  ~Loop() { stop(); }
  Design& design() { return design_; }
  bool push(typename Design::Producer& producer, Task&& task) {
    const Push pushed = producer.push(std::move(task));
    if (pushed == Push::first && sleeping_.load(std::memory_order_seq_cst) && sleeping_.exchange(false)) {
      parker_.unpark();
    }
    return pushed != Push::refused;
  }
  void start(int cpu) {
    owner_ = std::thread([this, cpu] {
      pin_to(cpu);
      while (!stopping_.load(std::memory_order_relaxed)) {
        if (design_.run_all() == 0 && !spin()) sleep();
      }
      design_.run_all();
    });
  }
  void stop() {
    if (!owner_.joinable()) return;
    stopping_ = true;
    parker_.unpark();
    owner_.join();
  }

 private:
  bool spin() {  // for some microseconds
    for (int i = 0; i < 200; ++i) {
      if (design_.pending() || stopping_.load(std::memory_order_relaxed)) return true;
      relax_cpu();
    }
    return false;
  }
  void sleep() {
    sleeping_.store(true, std::memory_order_seq_cst);
    if (!design_.pending() && !stopping_) parker_.park(gyre::Duration::max());
    sleeping_.store(false, std::memory_order_seq_cst);
    if (!stopping_) parker_.reset();
  }

  Design design_;
  alignas(gyre::kCacheLinePair) std::atomic<bool> sleeping_{false};
  std::atomic<bool> stopping_{false};
  Parker parker_;
  std::thread owner_;
};

// --- Measuring ---

struct Burst {
  std::int64_t target;
  std::int64_t counter = 0;
  std::int64_t end = 0;
  Gate done{};
};
struct Count {
  Burst* burst;
  void* unused;
  void operator()() const {
    if (++burst->counter != burst->target) return;
    burst->end = now_ns();
    burst->done.open();
  }
};

struct Figures {
  double ns_per_op;
  double submit_ns;
  double allocations;
};

void print(const char* design, const char* workload, std::vector<Figures> rounds) {
  std::ranges::sort(rounds, {}, &Figures::ns_per_op);
  const Figures& median = rounds[rounds.size() / 2];
  std::printf(
      "{\"design\": \"%s\", \"workload\": \"%s\", \"ns_per_op\": %.2f, \"min\": %.2f, \"max\": %.2f, "
      "\"submit_ns\": %.2f, \"allocs_per_op\": %.4f}\n",
      design, workload, median.ns_per_op, rounds.front().ns_per_op, rounds.back().ns_per_op, median.submit_ns,
      median.allocations);
  std::fflush(stdout);
}

constexpr int kTimedRounds = 5;

// `producers` threads submit `n` tasks together. With one, it is pinned to the other CPU.
template <typename Design>
void measure_burst(const char* workload, int producers, std::int64_t n) {
  auto loop = std::make_unique<Loop<Design>>();
  loop->start(kLoopCpu);
  std::vector<Figures> rounds;
  std::atomic<int> round_started{0};
  std::atomic<int> finished{0};
  std::unique_ptr<Burst> burst;
  std::vector<std::thread> threads;
  std::atomic<std::int64_t> submitting{0};
  const std::int64_t each = n / producers;
  for (int p = 0; p < producers; ++p) {
    threads.emplace_back([&] {
      if (producers == 1) pin_to(kOtherCpu);
      typename Design::Producer producer(loop->design());
      for (int round = 1; round <= kTimedRounds + 2; ++round) {
        round_started.wait(round - 1);
        const std::int64_t begin = now_ns();
        for (std::int64_t i = 0; i < each; ++i) loop->push(producer, Count{burst.get(), nullptr});
        submitting += now_ns() - begin;
        ++finished;
        finished.notify_all();
      }
    });
  }
  for (int round = 1; round <= kTimedRounds + 2; ++round) {
    sleep_ns(2 * kMillisecond);
    burst = std::make_unique<Burst>(each * producers);
    finished = 0;
    submitting = 0;
    const Counts before = read_counts();
    const std::int64_t begin = now_ns();
    round_started = round;
    round_started.notify_all();
    burst->done.wait();
    const double total = static_cast<double>(each * producers);
    const Counts after = read_counts();
    for (int count = finished; count < producers; count = finished) finished.wait(count);
    if (round <= 2) continue;  // to warm up
    rounds.push_back({static_cast<double>(burst->end - begin) / total, static_cast<double>(submitting) / total,
                      static_cast<double>(after.allocations - before.allocations) / total});
  }
  for (auto& thread : threads) thread.join();
  print(Design::kName, workload, rounds);
}

// Again and again `batch` tasks, of which the last is awaited.
template <typename Design>
void measure_batches(const char* workload, std::int64_t batch, std::int64_t n) {
  auto loop = std::make_unique<Loop<Design>>();
  loop->start(kLoopCpu);
  std::vector<Figures> rounds;
  std::thread([&] {
    pin_to(kOtherCpu);
    typename Design::Producer producer(loop->design());
    for (int round = 0; round <= kTimedRounds; ++round) {
      std::int64_t submitting = 0;
      const Counts before = read_counts();
      const std::int64_t begin = now_ns();
      for (std::int64_t done = 0; done < n; done += batch) {
        Burst burst{batch};
        struct OpenForSpinner {
          Burst* burst;
          void* unused;
          void operator()() const {
            if (++burst->counter == burst->target) burst->done.open_for_spinner();
          }
        };
        const std::int64_t start = now_ns();
        for (std::int64_t i = 0; i < batch; ++i) loop->push(producer, OpenForSpinner{&burst, nullptr});
        submitting += now_ns() - start;
        burst.done.spin();
      }
      const double total = static_cast<double>(n);
      const Counts after = read_counts();
      if (round == 0) continue;
      rounds.push_back({static_cast<double>(now_ns() - begin) / total, static_cast<double>(submitting) / total,
                        static_cast<double>(after.allocations - before.allocations) / total});
    }
  }).join();
  print(Design::kName, workload, rounds);
}

// Both sides on one thread: what the instructions cost when nobody disturbs.
template <typename Design>
void measure_alone(std::int64_t n) {
  auto design = std::make_unique<Design>();
  typename Design::Producer producer(*design);
  std::vector<Figures> rounds;
  constexpr std::int64_t kBatch = 100;
  pin_to(kLoopCpu);
  for (int round = 0; round <= kTimedRounds; ++round) {
    Burst burst{-1};
    const Counts before = read_counts();
    const std::int64_t begin = now_ns();
    for (std::int64_t done = 0; done < n; done += kBatch) {
      for (std::int64_t i = 0; i < kBatch; ++i) static_cast<void>(producer.push(Count{&burst, nullptr}));
      design->run_all();
    }
    const double total = static_cast<double>(n);
    const Counts after = read_counts();
    if (round == 0) continue;
    rounds.push_back({static_cast<double>(now_ns() - begin) / total, 0,
                      static_cast<double>(after.allocations - before.allocations) / total});
  }
  print(Design::kName, "alone", rounds);
}

template <typename Design>
void measure(std::string_view only, std::int64_t n) {
  const auto wanted = [only](std::string_view workload) { return only.empty() || only == workload; };
  if (wanted("alone")) measure_alone<Design>(n);
  if (wanted("burst")) measure_burst<Design>("burst", 1, n);
  if (wanted("p=2")) measure_burst<Design>("p=2", 2, n);
  if (wanted("p=10")) measure_burst<Design>("p=10", 10, n);
  if (wanted("p=100")) measure_burst<Design>("p=100", 100, n);
  if (wanted("batch=1")) measure_batches<Design>("batch=1", 1, n / 10);
  if (wanted("batch=10")) measure_batches<Design>("batch=10", 10, n / 2);
  if (wanted("batch=100")) measure_batches<Design>("batch=100", 100, n);
}

// --- Checking ---

int failures = 0;

void expect(bool condition, const char* design, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "bench_tournament: %s: %s\n", design, what);
  ++failures;
}

// Each producer's tasks run in its order; after `close` nothing is accepted; what was accepted runs, once.
template <typename Design>
void check_order_and_closing(bool close_early) {
  constexpr int kProducers = 4;
  constexpr int kEach = 50'000;
  Design design;
  std::array<int, kProducers> last{};
  std::array<int, kProducers> accepted{};
  std::array<int, kProducers> executed{};
  std::atomic<bool> in_order{true};
  std::atomic<int> running{kProducers};
  std::atomic<int> pushed{0};
  std::vector<std::thread> threads;
  for (int p = 0; p < kProducers; ++p) {
    threads.emplace_back([&, p] {
      typename Design::Producer producer(design);
      bool refused = false;
      for (int i = 1; i <= kEach; ++i) {
        const Push result = producer.push([&in_order, &last, &executed, p, i] {
          if (last[p] >= i) in_order = false;
          last[p] = i;
          ++executed[p];
        });
        if (result != Push::refused) {
          expect(!refused, Design::kName, "accepts a task after it has refused one");
          ++accepted[p];
        } else {
          refused = true;
        }
        if (i % 64 == 0) pushed += 64;
      }
      --running;
    });
  }
  while (running > 0) {
    design.run_all();
    if (close_early && pushed > kProducers * kEach / 3) design.close();
    std::this_thread::yield();
  }
  design.close();
  for (auto& thread : threads) thread.join();
  design.run_all();
  expect(in_order, Design::kName, "changes the order of a producer's tasks");
  expect(accepted == executed, Design::kName, "does not run just what it accepted");
  expect(close_early || accepted[0] == kEach, Design::kName, "refuses tasks though it is open");
  typename Design::Producer late(design);
  expect(late.push([] {}) == Push::refused, Design::kName, "accepts a task after it was closed");
  expect(!design.pending(), Design::kName, "is pending though it is empty");
}

// A task whose post has returned before another thread's began runs first.
template <typename Design>
void check_total_order() {
  constexpr int kTasks = 40'000;
  Design design;
  std::atomic<int> turn{0};
  std::atomic<int> executed{0};
  std::atomic<bool> in_order{true};
  std::vector<std::thread> threads;
  for (int p = 0; p < 2; ++p) {
    threads.emplace_back([&, p] {
      typename Design::Producer producer(design);
      for (int i = p; i < kTasks; i += 2) {
        for (int spins = 0; turn.load() != i; ++spins) {
          if (spins > 100) std::this_thread::yield();
        }
        producer.push([&in_order, &executed, i] {
          if (executed != i) in_order = false;
          ++executed;
        });
        turn = i + 1;
      }
    });
  }
  while (executed < kTasks && in_order) {
    if (design.run_all() == 0) std::this_thread::yield();
  }
  turn = kTasks;
  for (auto& thread : threads) thread.join();
  expect(in_order, Design::kName, "runs a task before one whose post had returned earlier");
}

// Its move, inside a push, is where a producer is held up.
struct StallWhenMoved {
  std::atomic<int>* moving;
  Gate* gate;
  bool armed;
  StallWhenMoved(std::atomic<int>* m, Gate* g) : moving(m), gate(g), armed(true) {}
  StallWhenMoved(StallWhenMoved&& other) noexcept : moving(other.moving), gate(other.gate), armed(other.armed) {
    // The first move makes the task, the second is that into the queue.
    if (armed && moving->fetch_add(1) == 1) {
      moving->notify_all();
      gate->wait();
      other.armed = armed = false;
    }
  }
  void operator()() const {}
};

// Whether tasks published before, and by others after, a producer was held up in the middle of a push can run.
template <typename Design>
void check_stall(bool print_only) {
  Design design;
  Gate gate;
  std::atomic<int> moving{0};
  std::atomic<int> executed{0};
  std::atomic<bool> stop{false};
  typename Design::Producer before(design);
  before.push([&] { ++executed; });
  std::thread stalled([&] {
    typename Design::Producer producer(design);
    producer.push(StallWhenMoved(&moving, &gate));
  });
  while (moving < 2) std::this_thread::yield();
  std::thread other([&] {
    typename Design::Producer producer(design);
    producer.push([&] { ++executed; });
  });
  std::thread owner([&] {
    while (!stop) {
      design.run_all();
      std::this_thread::yield();
    }
    design.run_all();
  });
  const std::int64_t end = now_ns() + 100 * kMillisecond;
  while (executed < 2 && now_ns() < end) std::this_thread::yield();
  const int meanwhile = executed;
  gate.open();
  stalled.join();
  other.join();
  stop = true;
  owner.join();
  if (print_only) {
    std::printf("{\"design\": \"%s\", \"workload\": \"stalled producer\", \"held_up\": \"%s\"}\n", Design::kName,
                meanwhile == 2   ? "nothing"
                : meanwhile == 1 ? "what others post after it"
                                 : "everything");
  } else {
    expect(executed == 2, Design::kName, "loses tasks when a producer is held up");
  }
}

template <typename Design>
void check() {
  check_order_and_closing<Design>(false);
  check_order_and_closing<Design>(true);
  check_total_order<Design>();
  check_stall<Design>(false);
}

template <template <typename> class Action>
void for_each_design(std::string_view only) {
  const auto run = [only]<typename Design>(std::type_identity<Design>) {
    if (only.empty() || only == Design::kName) Action<Design>::run();
  };
  run(std::type_identity<MutexVector>{});
  run(std::type_identity<ShortLockBlocks<15>>{});
  run(std::type_identity<ShortLockBlocks<1'000'000>>{});
  run(std::type_identity<CasListMalloc>{});
  run(std::type_identity<CasListBlocks<true>>{});
  run(std::type_identity<CasListBlocks<false>>{});
  run(std::type_identity<TicketSegments>{});
  run(std::type_identity<TicketLanes>{});
}

template <typename Design>
struct Check {
  static void run() { check<Design>(); }
};

std::string only_workload;
std::int64_t tasks = 1'000'000;

template <typename Design>
struct Measure {
  static void run() {
    measure<Design>(only_workload, tasks);
    if (only_workload.empty()) check_stall<Design>(true);
  }
};

}  // namespace

int main(int argc, char** argv) {
  const Args args(argc, argv);
  const std::string only = args.text("design", "");
  if (args.workload() == "check") {
    for_each_design<Check>(only);
    if (failures == 0) std::puts("all designs keep their promises");
    return failures == 0 ? 0 : 1;
  }
  only_workload = args.text("workload", "");
  tasks = args.number("n", tasks);
  if (args.text("idle", "spin") == "spin") start_idle_spinners();
  for_each_design<Measure>(only);
  std::fflush(stdout);
  _exit(0);
}
