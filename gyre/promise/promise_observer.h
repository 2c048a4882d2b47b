#pragma once

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string_view>
#include <vector>

#include <gyre/base/clock.h>
#include <gyre/promise/reason.h>

namespace gyre {

/// What has become of a promise.
enum class PromiseTransition : std::uint8_t {
  created,
  adopted,  ///< Another promise will settle it.
  fulfilled,
  rejected,
  handled,   ///< Somebody looks after its rejection, should there be one.
  reported,  ///< It was rejected, and nobody has handled that.
  released,  ///< Nobody holds it any more.
};

constexpr std::string_view to_string(PromiseTransition transition) {
  constexpr std::string_view kNames[] = {"created", "adopted",  "fulfilled", "rejected",
                                         "handled", "reported", "released"};
  const auto index = static_cast<std::size_t>(transition);
  return index < std::size(kNames) ? kNames[index] : "unknown";
}

struct PromiseEvent {
  /// Counts the promises that are made while there is an observer, from 1, those that it does not see included.
  std::uint64_t promise = 0;
  PromiseTransition transition = PromiseTransition::created;
  /// The loop's clock as it was last read; zero once the loop has ended.
  TimePoint time = {};
  /// `adopted`: by which promise; 0 if that one is not observed.
  std::uint64_t other = 0;
  /// `rejected` and `reported`: why. Its error's id is the one that logs show. Null otherwise; valid during the call.
  const Reason* reason = nullptr;
};

/// Sees what becomes of promises: the ground for audits and traces. See `PromiseOptions::observer`; without one, each
/// promise costs one comparison.
///
/// All calls come on the loop's thread, in the middle of the work: be short. What an observer throws is dropped. What
/// it does to promises is not reported.
class PromiseObserver {
 public:
  virtual void on_transition(const PromiseEvent& event) = 0;

 protected:
  ~PromiseObserver() = default;
};

/// A promise that has been pending for too long; see `PromiseOptions::overdue_after`.
struct OverduePromise {
  Duration pending_for = {};
  /// Where it was made, and where the promises before it in its chain were, if `PromiseOptions::trace_depth` is set.
  std::vector<std::source_location> trace = {};
  /// As in `PromiseEvent`; 0 if it is not observed.
  std::uint64_t promise = 0;
};

}  // namespace gyre
