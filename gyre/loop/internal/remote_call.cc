#include <condition_variable>
#include <mutex>

#include <gyre/loop/internal/remote_call.h>

namespace gyre::internal {

Result<void> PendingCall::wait(SharedState& shared, const WaitLimit& limit) {
  std::unique_lock lock(shared.mutex);
  const auto over = [&] { return is_finished() || !shared.accepting; };
  if (limit.timeout >= kForever) {
    shared.call_changed.wait(lock, limit.stop, over);
  } else {
    shared.call_changed.wait_for(lock, limit.stop, limit.timeout, over);
  }
  if (is_finished()) return {};
  const bool ending = !shared.accepting;
  if (withdraw()) {
    if (ending) return fail(Errc::terminated, "the loop is ending and does not answer any more");
    if (limit.stop.stop_requested()) return fail(Errc::cancelled, "the call was stopped before the loop answered");
    return fail(Errc::timed_out, "the loop did not answer in time; it is busy with a callback");
  }
  shared.call_changed.wait(lock, [this] { return is_finished(); });  // the loop is just answering
  return {};
}

}  // namespace gyre::internal
