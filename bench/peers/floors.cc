#include <cstdio>
#include <cstring>
#include <numeric>
#include <string_view>
#include <thread>
#include <utility>

#include <sys/eventfd.h>
#include <unistd.h>

#include <gyre/base/cache_line.h>

#include "harness/workloads.h"

// What the machine's own primitives cost, pinned as the workloads are. The name says what an op is.

namespace {

using namespace bench;

// --- One cache line between two cores ---

struct alignas(gyre::kCacheLinePair) Line {
  std::atomic<std::uint64_t> value{0};
};

void line_bounce_one_way(const Args& args, Report& report) {
  const std::int64_t n = args.number("n", 1'000'000);
  auto& line = make_forever<Line>();
  std::thread([&line] {
    pin_to(kLoopCpu);
    for (std::uint64_t turn = 1;; turn += 2) {
      while (line.value.load(std::memory_order_acquire) != turn) relax_cpu();
      line.value.store(turn + 1, std::memory_order_release);
    }
  }).detach();
  pin_to(kOtherCpu);
  const std::int64_t begin = now_ns();
  for (std::int64_t i = 0; i < n; i += 2) {
    line.value.store(static_cast<std::uint64_t>(i) + 1, std::memory_order_release);
    while (line.value.load(std::memory_order_acquire) != static_cast<std::uint64_t>(i) + 2) relax_cpu();
  }
  report.add_round(static_cast<double>(now_ns() - begin), n, Counts{});
}

void contended_fetch_add(const Args& args, Report& report) {
  const std::int64_t n = args.number("n", 1'000'000);
  auto& line = make_forever<Line>();
  std::thread([&line] {
    pin_to(kLoopCpu);
    for (;;) line.value.fetch_add(1);
  }).detach();
  pin_to(kOtherCpu);
  sleep_ns(kMillisecond);
  const std::int64_t begin = now_ns();
  for (std::int64_t i = 0; i < n; ++i) line.value.fetch_add(1);
  report.add_round(static_cast<double>(now_ns() - begin), n, Counts{});
}

// Variant `apart`: the owner's words have lines of their own, as in the loop's shared state. Variant `together`: they
// share one with the word that producers write. An op is what an owner does around a callback: it looks whether it is
// to stop, and counts. `producer_ns` is what a publication costs the other side meanwhile.
void shared_line(const Args& args, Report& report) {
  struct Together {
    std::atomic<std::uint64_t> published{0};
    std::atomic<bool> stop_requested{false};
    std::atomic<std::uint64_t> callbacks{0};
  };
  struct Apart {
    alignas(gyre::kCacheLinePair) std::atomic<std::uint64_t> published{0};
    alignas(gyre::kCacheLinePair) std::atomic<bool> stop_requested{false};
    std::atomic<std::uint64_t> callbacks{0};
  };
  const std::int64_t n = args.number("n", 5'000'000);
  const auto run = [&]<typename Words>(Words& words) {
    std::thread([&words] {
      pin_to(kOtherCpu);
      for (;;) words.published.fetch_add(1);
    }).detach();
    pin_to(kLoopCpu);
    sleep_ns(kMillisecond);
    const std::uint64_t published_before = words.published.load();
    const std::int64_t begin = now_ns();
    for (std::int64_t i = 0; i < n && !words.stop_requested.load(std::memory_order_acquire); ++i) {
      words.callbacks.store(words.callbacks.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      relax_cpu();  // in place of the callback
    }
    const double duration = static_cast<double>(now_ns() - begin);
    const double published = static_cast<double>(words.published.load() - published_before);
    report.add_round(duration, n, Counts{}, {{"producer_ns", duration / published}});
  };
  if (args.variant() == "together") {
    run(*new (std::align_val_t(gyre::kCacheLinePair)) Together);
  } else {
    run(*new Apart);
  }
}

// --- Closures from core to core ---

struct Closure {
  void (*call)(void*, void*);
  void* first;
  void* second;
};
void count(void* counter, void*) {
  ++*static_cast<std::uint64_t*>(counter);
}

void spsc_ring_closure(const Args& args, Report& report) {
  const std::uint64_t n = static_cast<std::uint64_t>(args.number("n", 2'000'000));
  constexpr std::uint64_t kSlots = 4096;
  struct Ring {
    alignas(gyre::kCacheLinePair) std::atomic<std::uint64_t> pushed{0};
    alignas(gyre::kCacheLinePair) std::atomic<std::uint64_t> popped{0};
    alignas(gyre::kCacheLinePair) Closure slots[kSlots];
  };
  auto& ring = *new Ring;
  std::uint64_t counter = 0;
  std::thread consumer([&] {
    pin_to(kLoopCpu);
    for (std::uint64_t at = 0; at < n;) {
      const std::uint64_t end = ring.pushed.load(std::memory_order_acquire);
      if (at == end) relax_cpu();
      for (; at < end; ++at) {
        const Closure& closure = ring.slots[at % kSlots];
        closure.call(closure.first, closure.second);
      }
      ring.popped.store(at, std::memory_order_release);
    }
  });
  pin_to(kOtherCpu);
  const std::int64_t begin = now_ns();
  std::uint64_t limit = kSlots;
  for (std::uint64_t i = 0; i < n; ++i) {
    while (i == limit) limit = ring.popped.load(std::memory_order_acquire) + kSlots;
    ring.slots[i % kSlots] = {count, &counter, nullptr};
    ring.pushed.store(i + 1, std::memory_order_release);
  }
  consumer.join();
  report.add_round(static_cast<double>(now_ns() - begin), static_cast<std::int64_t>(n), Counts{});
}

void mpsc_list_closure_malloc(const Args& args, Report& report) {
  const std::int64_t n = args.number("n", 1'000'000);
  struct Node {
    std::atomic<Node*> next{nullptr};
    Closure closure{};
  };
  struct List {
    alignas(gyre::kCacheLinePair) std::atomic<Node*> tail;
    alignas(gyre::kCacheLinePair) Node* head;
  };
  auto* const stub = new Node;
  auto& list = *new List{stub, stub};
  std::uint64_t counter = 0;
  std::thread consumer([&] {
    pin_to(kLoopCpu);
    while (counter < static_cast<std::uint64_t>(n)) {
      Node* const next = list.head->next.load(std::memory_order_acquire);
      if (next == nullptr) {
        relax_cpu();
        continue;
      }
      delete std::exchange(list.head, next);
      next->closure.call(next->closure.first, next->closure.second);
    }
  });
  pin_to(kOtherCpu);
  const std::int64_t begin = now_ns();
  for (std::int64_t i = 0; i < n; ++i) {
    auto* const node = new Node{nullptr, {count, &counter, nullptr}};
    list.tail.exchange(node, std::memory_order_acq_rel)->next.store(node, std::memory_order_release);
  }
  consumer.join();
  report.add_round(static_cast<double>(now_ns() - begin), n, Counts{});
}

// --- Sleeping and waking ---

// `Sleeper` sleeps until it is woken. An op is from before the call that wakes to the first instruction after the wait.
template <typename Sleeper>
void wake_to_run(const Args& args, Report& report) {
  const std::int64_t n = args.number("n", 10'000);
  auto& sleeper = make_forever<Sleeper>();
  auto& ran_at = make_forever<std::atomic<std::int64_t>>();
  std::thread([&] {
    pin_to(kLoopCpu);
    for (;;) {
      sleeper.sleep();
      ran_at.store(now_ns(), std::memory_order_release);
    }
  }).detach();
  pin_to(kOtherCpu);
  std::vector<double> latencies, calls;
  for (std::int64_t i = -100; i < n; ++i) {
    ran_at.store(0);
    spin_until(now_ns() + 200 * kMicrosecond);
    const std::int64_t begin = now_ns();
    sleeper.wake();
    const std::int64_t called = now_ns();
    std::int64_t ran;
    while ((ran = ran_at.load(std::memory_order_acquire)) == 0) relax_cpu();
    if (i < 0) continue;
    latencies.push_back(static_cast<double>(ran - begin));
    calls.push_back(static_cast<double>(called - begin));
  }
  const double median = quantile(latencies, 0.5);
  report.add_round(median * static_cast<double>(n), n, Counts{},
                   {{"p50", median}, {"p99", quantile(latencies, 0.99)}, {"call_p50", quantile(calls, 0.5)}});
}

struct FutexSleeper {
  Gate gate;
  void sleep() {
    gate.wait();
    gate.close();
  }
  void wake() { gate.open(); }
};

struct EventfdSleeper {
  const int fd = eventfd(0, EFD_CLOEXEC);
  void sleep() {
    std::uint64_t wakes;
    if (read(fd, &wakes, sizeof(wakes)) != sizeof(wakes)) std::perror("bench: read");
  }
  void wake() {
    const std::uint64_t one = 1;
    if (write(fd, &one, sizeof(one)) != sizeof(one)) std::perror("bench: write");
  }
};

void futex_round_trip(const Args& args, Report& report) {
  const std::int64_t n = args.number("n", 20'000);
  auto& there = make_forever<FutexSleeper>();
  auto& back = make_forever<FutexSleeper>();
  std::thread([&] {
    pin_to(kLoopCpu);
    for (;;) {
      there.sleep();
      back.wake();
    }
  }).detach();
  pin_to(kOtherCpu);
  const std::int64_t begin = now_ns();
  for (std::int64_t i = 0; i < n; ++i) {
    there.wake();
    back.sleep();
  }
  report.add_round(static_cast<double>(now_ns() - begin), n, Counts{});
}

// How much later than asked the kernel ends a sleep of a millisecond.
void late_nanosleep(const Args& args, Report& report) {
  const std::int64_t n = args.number("n", 500);
  pin_to(kLoopCpu);
  std::vector<double> late;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t due = now_ns() + kMillisecond;
    sleep_ns(kMillisecond);
    late.push_back(static_cast<double>(now_ns() - due));
  }
  const double median = quantile(late, 0.5);
  report.add_round(median * static_cast<double>(n), n, Counts{}, {{"p50", median}, {"p99", quantile(late, 0.99)}});
}

// --- Memory ---

// A load whose address the one before has given, at random in `mib` MiB.
void dependent_load(const Args& args, Report& report) {
  const std::int64_t n = args.number("n", 2'000'000);
  const auto count = static_cast<std::size_t>(args.number("mib", 16)) * (1 << 20) / 64;
  struct alignas(64) Cell {
    std::size_t next;
  };
  std::vector<Cell> cells(count);
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  Random random;
  for (std::size_t i = count - 1; i > 0; --i) std::swap(order[i], order[random.next() % (i + 1)]);
  for (std::size_t i = 0; i < count; ++i) cells[order[i]].next = order[(i + 1) % count];
  pin_to(kLoopCpu);
  std::size_t at = 0;
  const std::int64_t begin = now_ns();
  for (std::int64_t i = 0; i < n; ++i) at = cells[at].next;
  const double duration = static_cast<double>(now_ns() - begin);
  report.add_round(duration, n, Counts{}, {{"last", static_cast<double>(at)}});
}

struct Floor {
  std::string_view name;
  void (*measure)(const Args&, Report&);
  std::string_view variants[2] = {"", ""};
};
constexpr Floor kFloors[] = {
    {"line_bounce_one_way", line_bounce_one_way},
    {"contended_fetch_add", contended_fetch_add},
    {"shared_line", shared_line, {"apart", "together"}},
    {"spsc_ring_closure", spsc_ring_closure},
    {"mpsc_list_closure_malloc", mpsc_list_closure_malloc},
    {"futex_wake_to_run", wake_to_run<FutexSleeper>},
    {"eventfd_wake_to_run", wake_to_run<EventfdSleeper>},
    {"futex_round_trip", futex_round_trip},
    {"late_nanosleep", late_nanosleep},
    {"dependent_load", dependent_load},
};

}  // namespace

int main(int argc, char** argv) {
  const Args args(argc, argv);
  if (args.workload() == "list") {
    std::puts("floors this machine");
    for (const Floor& floor : kFloors) {
      std::printf("%s %s\n", floor.name.data(), floor.variants[0].data());
      if (!floor.variants[1].empty()) std::printf("%s %s\n", floor.name.data(), floor.variants[1].data());
    }
    return 0;
  }
  for (const Floor& floor : kFloors) {
    if (floor.name != args.workload()) continue;
    if (args.text("idle", "") == "spin") start_idle_spinners();
    Report report("floors", args);
    floor.measure(args, report);
    report.print();
    std::fflush(stdout);
    _exit(0);
  }
  std::fprintf(stderr, "bench: no floor '%s'\n", args.workload().c_str());
  return 2;
}
