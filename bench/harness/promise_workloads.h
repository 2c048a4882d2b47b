#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

#include "harness.h"

/// Promises and coroutines: workloads 12. They have hardly anything in common from peer to peer, so each peer writes
/// them itself, in a file of its own (peers/NAME_promise.cc), and only the frame is here.
///
/// promise_chain: chains of `len` links, one after the other; an op is a link. A chain of continuations is a promise
/// and its resolver, `len` continuations that add 1, the resolution, and the loop run until the last has run. A chain
/// of coroutines is `len` nested co_awaits of a coroutine that adds 1; the innermost awaits one pass through the loop.
///
/// promise_one: one promise after the other, made, resolved, and continued once. An op is all of that.
///
/// promise_all: a join over 1000 promises, all pending when joined, again and again; an op is one promise.
///
/// promise_registry: 100,000 promises that their loop would have to reject at its end, in a random order settled and
/// dropped, `batch` of them in one task (0: all); the time is that of settling and dropping, an op one promise. Its
/// report adds the 99th percentile and the longest of the batches. promise_registry_end: none is settled, and the loop
/// ends; an op is one rejection.
namespace bench {

struct PromiseWorkload {
  std::string_view name;
  void (*measure)(const Args& args, Report& report);
};

/// Those of this program's peer.
std::span<const PromiseWorkload> promise_workloads();

inline constexpr int kJoined = 1000;

/// `work(ops)` does that many ops, on the loop's thread, with the loop running. A warm-up, and then the rounds.
template <typename Work>
void measure_rounds(const Args& args, Report& report, Work work) {
  const std::int64_t n = args.number("n", 1'000'000);
  for (int round = 0; round <= kRounds; ++round) {
    const std::int64_t ops = round == 0 ? std::max<std::int64_t>(n / 10, kJoined) : n;
    Stretch stretch;
    stretch.begin();
    work(ops);
    stretch.end();
    if (round > 0) report.add_round(static_cast<double>(stretch.duration()), ops, stretch.counts());
  }
}

}  // namespace bench
