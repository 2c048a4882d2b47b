#pragma once

#include <cstdint>

namespace bench {

/// What `interposer.so` has counted since the process began, from any thread.
struct Counts {
  std::uint64_t allocations = 0;
  std::uint64_t bytes = 0;
  std::int64_t live_bytes = 0;
  std::uint64_t polls = 0;
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;
  std::uint64_t epoll_ctls = 0;
  std::uint64_t timerfd_settimes = 0;
};

}  // namespace bench

/// Exported by `interposer.so`; absent in the timing pass.
extern "C" void bench_interposer_read(bench::Counts* counts);
