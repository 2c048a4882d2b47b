#include <fstream>
#include <string>

#include <gyre/base/internal/cycle_clock.h>

namespace gyre::internal {
namespace {

constexpr Duration kWindow = std::chrono::microseconds(20);
constexpr Duration kShortestMeasurement = std::chrono::milliseconds(1);
/// In a longer one the machine may have been suspended, which stops the clock and not the counter.
constexpr Duration kLongestMeasurement = std::chrono::seconds(1);
/// Between the readings of counter, clock and counter. If it took longer, something came between.
constexpr std::uint64_t kMostCyclesOfReading = 2000;
/// Speeds agree if they differ by less than one part in so many. Time servers change the speed of the clock by at most
/// 500 parts in a million (adjtimex(2), ADJ_FREQUENCY), so the speed is assumed to be higher by as much than was
/// measured.
constexpr std::uint64_t kAgreement = 2000;

bool kernel_trusts_counter() {
#ifdef GYRE_HAS_CYCLE_COUNTER
  std::ifstream file("/sys/devices/system/clocksource/clocksource0/current_clocksource");
  std::string source;
  return file >> source && source == "tsc";
#else
  return false;
#endif
}

}  // namespace

CycleClock::CycleClock() {
  static const bool trusted = kernel_trusts_counter();  // a fact about the machine
  usable_ = trusted;
}

TimePoint CycleClock::compare() noexcept {
#ifdef GYRE_HAS_CYCLE_COUNTER
  if (usable_) {
    const std::uint64_t before = __rdtsc();
    const TimePoint time = std::chrono::steady_clock::now();
    const std::uint64_t after = __rdtsc();
    if (after - before <= kMostCyclesOfReading) {
      anchor_ = time;
      anchor_cycles_ = before;
      measure(time, before, after);
    } else {
      window_ = 0;
    }
    return last_ = std::max(last_, time);
  }
#endif
  return last_ = std::max(last_, TimePoint(std::chrono::steady_clock::now()));
}

void CycleClock::measure(TimePoint time, std::uint64_t before, std::uint64_t after) noexcept {
  const Duration passed = time - start_;
  if (passed >= kShortestMeasurement) {
    if (passed <= kLongestMeasurement && before > start_cycles_) {
      const std::uint64_t previous = measured_;
      measured_ = (static_cast<std::uint64_t>(passed.count()) << kFractionBits) / (before - start_cycles_);
      const std::uint64_t higher = std::max(previous, measured_);
      const bool agrees = higher - std::min(previous, measured_) <= higher / kAgreement;
      nanoseconds_per_cycle_ = agrees ? higher + higher / kAgreement + 1 : 0;
    }
    start_ = time;
    start_cycles_ = after;
  }
  window_ = nanoseconds_per_cycle_ == 0
                ? 0
                : (static_cast<std::uint64_t>(kWindow.count()) << kFractionBits) / nanoseconds_per_cycle_;
}

}  // namespace gyre::internal
