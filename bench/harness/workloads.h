#pragma once

#include <cstdio>
#include <string_view>

#include "descriptor_workloads.h"
#include "memory_workloads.h"
#include "promise_workloads.h"
#include "task_workloads.h"
#include "timer_workloads.h"

/// The program of every peer: one workload, measured on it.
namespace bench {

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
