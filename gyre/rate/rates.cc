#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <gyre/rate/rates.h>

namespace gyre::rate {
namespace {

// A compiler extension; both compilers have it on every 64-bit platform.
__extension__ using Wide = __int128;

std::string text(Duration duration) {
  using std::chrono::nanoseconds;
  static constexpr std::array<std::pair<Duration, std::string_view>, 7> kUnits{{{std::chrono::days(1), "d"},
                                                                                {std::chrono::hours(1), "h"},
                                                                                {std::chrono::minutes(1), "min"},
                                                                                {std::chrono::seconds(1), "s"},
                                                                                {std::chrono::milliseconds(1), "ms"},
                                                                                {std::chrono::microseconds(1), "us"},
                                                                                {nanoseconds(1), "ns"}}};
  if (duration == Duration::zero()) return "0 s";
  for (const auto& [unit, name] : kUnits) {
    if (duration % unit == Duration::zero()) return fmt::format("{} {}", duration / unit, name);
  }
  std::unreachable();
}

std::string text(const Window& window) {
  return fmt::format("{} per {}", window.limit, text(window.duration));
}

}  // namespace

Result<Rates> Rates::create(std::span<const Window> windows) {
  if (windows.empty()) {
    return fail(Errc::invalid_argument, "no rates are given; give at least one window, or use Rates() for no limit");
  }
  std::vector<Window> sorted(windows.begin(), windows.end());
  std::ranges::sort(sorted, {}, [](const Window& window) { return std::pair(window.duration, window.limit); });

  std::string broken;
  const auto complain = [&](std::string_view rule, const std::string& where) {
    broken += fmt::format("{}{}: {}", broken.empty() ? "" : "; ", where, rule);
  };
  for (const Window& window : sorted) {
    if (window.duration <= Duration::zero()) complain("the duration must be positive", text(window));
    if (window.limit <= 0) complain("the limit must be positive", text(window));
  }
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    const Window& shorter = sorted[i - 1];
    const Window& longer = sorted[i];
    const std::string both = text(shorter) + " and " + text(longer);
    if (shorter.duration == longer.duration) {
      complain("a duration is given twice", both);
      continue;
    }
    if (longer.limit <= shorter.limit) complain("the longer window must have the larger limit", both);
    if (shorter.duration > Duration::zero() &&
        Wide(longer.limit) * shorter.duration.count() >= Wide(shorter.limit) * longer.duration.count()) {
      complain("the longer window must have the lower average", both);
    }
  }
  if (!broken.empty()) return fail(Errc::invalid_argument, "these rates cannot all bind: {}", broken);
  return Rates(std::move(sorted));
}

std::string Rates::to_string() const {
  if (empty()) return "no limit";
  std::string all;
  for (const Window& window : windows_) all += (all.empty() ? "" : " and ") + text(window);
  return all;
}

}  // namespace gyre::rate
