#include <cstdio>
#include <cstdlib>

#include <kj/async-io.h>
#include <kj/async.h>

#include "harness/promise_workloads.h"
#include "harness/workloads.h"

namespace {

using namespace bench;

template <typename Body>
void run_in_loop(Body body) {
  pin_to(kLoopCpu);
  static thread_local auto& io = make_forever<kj::AsyncIoContext>(kj::setupAsyncIo());
  body(io.waitScope);
}

void require(bool holds) {
  if (holds) return;
  std::fputs("bench: a promise has the wrong value\n", stderr);
  std::exit(1);
}

// Variant `eager`: each link is an event of its own, as a reaction is; otherwise a chain is pulled through as a whole.
void promise_chain(const Args& args, Report& report) {
  const std::int64_t length = args.number("len", 10);
  const bool eager = args.variant() == "eager";
  run_in_loop([&](kj::WaitScope& scope) {
    measure_rounds(args, report, [&](std::int64_t ops) {
      for (std::int64_t i = 0; i < ops / length; ++i) {
        auto pair = kj::newPromiseAndFulfiller<std::int64_t>();
        kj::Promise<std::int64_t> promise = kj::mv(pair.promise);
        for (std::int64_t k = 0; k < length; ++k) {
          promise = promise.then([](std::int64_t value) { return value + 1; });
          if (eager) promise = promise.eagerlyEvaluate(nullptr);
        }
        pair.fulfiller->fulfill(0);
        require(promise.wait(scope) == length);
      }
    });
  });
}

// Variant `ready`: a promise that is made fulfilled.
void promise_one(const Args& args, Report& report) {
  const bool ready = args.variant() == "ready";
  run_in_loop([&](kj::WaitScope& scope) {
    measure_rounds(args, report, [&](std::int64_t ops) {
      std::int64_t sum = 0;
      for (std::int64_t i = 0; i < ops; ++i) {
        if (ready) {
          kj::Promise<std::int64_t>(1).then([&](std::int64_t value) { sum += value; }).wait(scope);
        } else {
          auto pair = kj::newPromiseAndFulfiller<std::int64_t>();
          auto continued = pair.promise.then([&](std::int64_t value) { sum += value; });
          pair.fulfiller->fulfill(1);
          continued.wait(scope);
        }
      }
      require(sum == ops);
    });
  });
}

void promise_all(const Args& args, Report& report) {
  run_in_loop([&](kj::WaitScope& scope) {
    measure_rounds(args, report, [&](std::int64_t ops) {
      for (std::int64_t i = 0; i < ops / kJoined; ++i) {
        auto promises = kj::heapArrayBuilder<kj::Promise<int>>(kJoined);
        auto fulfillers = kj::heapArrayBuilder<kj::Own<kj::PromiseFulfiller<int>>>(kJoined);
        for (int k = 0; k < kJoined; ++k) {
          auto pair = kj::newPromiseAndFulfiller<int>();
          promises.add(kj::mv(pair.promise));
          fulfillers.add(kj::mv(pair.fulfiller));
        }
        auto all = kj::joinPromises(promises.finish());
        auto ready = fulfillers.finish();
        for (int k = 0; k < kJoined; ++k) ready[static_cast<std::size_t>(k)]->fulfill(kj::mv(k));
        const auto values = all.wait(scope);
        require(values[kJoined - 1] == kJoined - 1);
      }
    });
  });
}

}  // namespace

std::span<const bench::PromiseWorkload> bench::promise_workloads() {
  static constexpr PromiseWorkload kWorkloads[] = {
      {"promise_chain", promise_chain}, {"promise_one", promise_one}, {"promise_all", promise_all}};
  return kWorkloads;
}
