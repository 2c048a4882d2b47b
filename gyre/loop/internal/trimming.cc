#include <new>

#include <gyre/loop/internal/loop_core.h>

namespace gyre::internal {

// A burst's memory stays at hand for the next burst. Twice in a tenth of a second the queues are asked to give back
// what they have not needed since the last time, so that in a quiet loop it is gone after that time. This happens
// between turns and before a sleep; only while there is something to give back does it wake the loop.

namespace {

constexpr Duration kTrimInterval = std::chrono::milliseconds(50);
constexpr int kTrimsAfterWork = 2;  // the first finds what the work had needed

}  // namespace

// Calls `action` with each queue; true if it returns true for any.
template <typename Action>
bool LoopCore::any_queue(Action action) {
  bool any = false;
  for (auto* queue : {&external, &internal}) any |= action(*queue);
  for (auto* queue : {&close_callbacks, &ticks, &microtasks, &checkpoint_ends}) any |= action(*queue);
  any |= action(shared->ingress);
  any |= action(timers);
  any |= action(immediates);
  return any;
}

// When a sleep must end for it; the end of time if there is nothing to give back.
TimePoint LoopCore::next_trim() noexcept {
  if (stats.callbacks != callbacks_at_trim_) trims_left_ = kTrimsAfterWork;
  if (trims_left_ == 0 || !any_queue([](auto& queue) { return queue.has_excess(); })) return TimePoint::max();
  return trim_at_;
}

void LoopCore::trim_if_due(TimePoint now) noexcept {
  turns_since_trim_ = 0;
  if (now < trim_at_) return;
  trim_at_ = saturating_add(now, kTrimInterval);
  trims_left_ = stats.callbacks != callbacks_at_trim_ ? kTrimsAfterWork - 1 : trims_left_ - (trims_left_ > 0 ? 1 : 0);
  callbacks_at_trim_ = stats.callbacks;
  try {
    any_queue([](auto& queue) { return queue.trim(); });
  } catch (const std::bad_alloc&) {  // to give memory back may need some; another time, then
  }
}

}  // namespace gyre::internal
