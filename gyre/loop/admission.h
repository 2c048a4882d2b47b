#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gyre/base/clock.h>
#include <gyre/base/error.h>
#include <gyre/base/task.h>
#include <gyre/rate/options.h>
#include <gyre/rate/rates.h>

namespace gyre {

/// How many tasks a loop accepts. A task that was accepted is never dropped for the sake of a limit.
struct AdmissionLimits {
  /// Of all tasks together. Empty: no limit.
  rate::Rates rates = {};
  /// Of the tasks of each category by itself (`Remote::post_in`). Empty: no limit.
  rate::Rates category_rates = {};
  /// Tasks that were accepted and have not started; never more, with any number of threads. Zero: no limit.
  std::size_t max_depth = 0;
  /// From so many on, `AdmissionOptions::on_soft_depth` is told. Zero: never.
  std::size_t soft_depth = 0;
};

/// Admission control: a loop that is given one refuses tasks beyond its limits with `Errc::backpressure`, instead of
/// letting its queue grow.
///
/// Judged are tasks (`post`, `post_in`, `post_wait`, cancellable ones included). Never refused, whatever the limits:
/// priority tasks, ticks, microtasks and with them promises, timers, immediates, close callbacks, descriptors, the
/// results of off-loaded work, and what is posted as the completion of something (`post_completion`).
struct AdmissionOptions {
  AdmissionLimits limits = {};
  /// Told, on the loop's thread, that the queue has reached `soft_depth`; again only after it was shorter.
  UniqueFunction<void(std::size_t depth)> on_soft_depth = {};
  /// What the loop's own thread posts by `Loop` is accepted always. It is counted in the depth.
  bool exempt_own_tasks = false;
  /// Tasks of these categories are accepted always. They are counted in the depth.
  std::vector<std::string> exempt_categories = {};
  /// Categories that are remembered at once; at least 1. Beyond, the longest idle one makes room.
  std::size_t max_categories = 100'000;
  /// How rates remember what was accepted. Exact takes 8 bytes for each task that the largest window may hold.
  rate::Memory memory = rate::Exact64{};
};

/// Why a task was refused.
enum class AdmissionRefusal : std::uint8_t {
  rate,      ///< `AdmissionLimits::rates`.
  depth,     ///< `AdmissionLimits::max_depth`.
  category,  ///< `AdmissionLimits::category_rates`, or there is no place for one more category.
};

inline constexpr std::size_t kAdmissionRefusals = 3;

constexpr std::string_view to_string(AdmissionRefusal reason) {
  switch (reason) {
    case AdmissionRefusal::rate:
      return "rate";
    case AdmissionRefusal::depth:
      return "depth";
    case AdmissionRefusal::category:
      return "category";
  }
  return "unknown";
}

/// What a refusal by admission control says beyond `Errc::backpressure`.
struct Backpressure {
  AdmissionRefusal reason;
  /// From the refusal on; a task is accepted then, if no other is before it. Empty where nobody can know: a queue is
  /// shorter when it is.
  std::optional<Duration> retry_after;

  /// Of the innermost refusal in the chain of causes; empty if none is an admission control's.
  static std::optional<Backpressure> of(const Error& error);
};

/// What admission control did since the loop was made, or since `Remote::reset_admission`.
struct AdmissionMetrics {
  std::uint64_t accepted = 0;                                   ///< Exempt tasks and completions included.
  std::array<std::uint64_t, kAdmissionRefusals> refused_for{};  ///< By `AdmissionRefusal`.
  std::uint64_t refused = 0;                                    ///< For whatever reason.

  /// Of the tasks that came, the share that was accepted, 0 to 1; 1 if none came.
  double acceptance = 1;
  /// The same over the last 1, 10 and 60 seconds, to a tenth of a second.
  double acceptance_1s = 1;
  double acceptance_10s = 1;
  double acceptance_60s = 1;

  std::size_t depth = 0;          ///< Tasks that were accepted and have not started.
  std::size_t highest_depth = 0;  ///< The most there have been.
  std::size_t waiting = 0;        ///< Threads in `Remote::post_wait`.
};

}  // namespace gyre
