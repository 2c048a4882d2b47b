#include <algorithm>
#include <stdexcept>

#include <gyre/loop/internal/loop_core.h>
#include <gyre/loop/internal/owner_call.h>
#include <gyre/loop/loop.h>

// The public face: checks who calls and with what, then hands over to the core.

namespace gyre {
namespace {

using internal::LoopCore;
using internal::OwnerCall;
using internal::TimerQueue;

// What hardly ever happens stays out of line, so that what always happens is short.
[[noreturn, gnu::cold]] void reject_empty_callback() {
  throw std::logic_error("gyre: an empty callback was given to a loop");
}

void require(bool callable) {
  if (!callable) reject_empty_callback();
}

[[gnu::cold]] std::unexpected<Error> ending() {
  return fail(Errc::terminated, "the loop is ending and accepts no new work");
}

template <auto kQueue, auto kAccepts>
Result<void> push(LoopCore& core, Task&& task) {
  const OwnerCall call(*core.shared);
  require(static_cast<bool>(task));
  if (!(core.*kAccepts)()) return ending();
  core.take_ingress();  // what another thread posted before this call comes before it
  (core.*kQueue).push_back(std::move(task));
  return {};
}

Result<TimerId> arm(LoopCore& core, TimePoint deadline, Duration interval, Task&& task, bool ref) {
  require(static_cast<bool>(task));
  if (!core.accepts_work()) return ending();
  const TimerId id = core.timers.add(deadline, interval, std::move(task), ref);
  if (!id) return fail(Errc::timer_ids_exhausted, "all timer ids of this loop are used up; make a new loop");
  return id;
}

Result<bool> is_alive_after(const Result<LoopCore::Step>& step) {
  if (!step) return std::unexpected(step.error());
  return *step == LoopCore::Step::alive;
}

}  // namespace

Loop::Loop(LoopOptions options) : core_(std::make_unique<LoopCore>(std::move(options))) {}
Loop::~Loop() = default;

Result<void> Loop::run(std::stop_token stop) {
  return core_->run(std::move(stop));
}
Result<bool> Loop::run_once(std::stop_token stop) {
  return is_alive_after(core_->step(std::move(stop), TimePoint::max()));
}
Result<bool> Loop::poll_once() {
  return is_alive_after(core_->step({}, TimePoint::min()));
}
Result<bool> Loop::run_for(Duration duration) {
  return core_->run_for(duration);
}

Result<void> Loop::shutdown() {
  const OwnerCall call(*core_->shared);
  if (core_->shared->ended || core_->shared->abort_requested.load()) {
    return fail(Errc::terminated, "the loop has ended, or is being closed");
  }
  core_->shared->commit_termination(false);
  return {};
}
Result<void> Loop::close() {
  return core_->close();
}

Result<void> Loop::post(Task task) {
  return push<&LoopCore::external, &LoopCore::accepts_work>(*core_, std::move(task));
}
Result<void> Loop::post_priority(Task task) {
  return push<&LoopCore::internal, &LoopCore::accepts_work>(*core_, std::move(task));
}
Result<void> Loop::next_tick(Task task) {
  return push<&LoopCore::ticks, &LoopCore::accepts_microtasks>(*core_, std::move(task));
}
Result<void> Loop::queue_microtask(Task task) {
  return push<&LoopCore::microtasks, &LoopCore::accepts_microtasks>(*core_, std::move(task));
}
Result<void> Loop::at_checkpoint_end(Task task) {
  return push<&LoopCore::checkpoint_ends, &LoopCore::accepts_microtasks>(*core_, std::move(task));
}
Result<void> Loop::post_close(Task task) {
  return push<&LoopCore::close_callbacks, &LoopCore::accepts_work>(*core_, std::move(task));
}

Result<ImmediateId> Loop::set_immediate(Task task, bool ref) {
  const OwnerCall call(*core_->shared);
  require(static_cast<bool>(task));
  if (!core_->accepts_work()) return ending();
  return core_->immediates.add(std::move(task), ref);
}
Result<void> Loop::cancel(ImmediateId id) {
  const OwnerCall call(*core_->shared);
  if (!core_->immediates.contains(id)) {
    return std::unexpected(
        Error(Errc::immediate_not_found, "the immediate is unknown, has run, or was cancelled before")
            .with("immediate", id.value()));
  }
  static_cast<void>(core_->immediates.remove(id));
  return {};
}
void Loop::ref(ImmediateId id) {
  const OwnerCall call(*core_->shared);
  core_->immediates.set_ref(id, true);
}
void Loop::unref(ImmediateId id) {
  const OwnerCall call(*core_->shared);
  core_->immediates.set_ref(id, false);
}

Result<TimerId> Loop::set_timeout(Duration delay, Task task, bool ref) {
  const OwnerCall call(*core_->shared);
  const TimePoint deadline = saturating_add(core_->refresh_now(), std::max(delay, Duration::zero()));
  return arm(*core_, deadline, TimerQueue::kOnce, std::move(task), ref);
}
Result<TimerId> Loop::set_timeout_at(TimePoint deadline, Task task, bool ref) {
  const OwnerCall call(*core_->shared);
  return arm(*core_, deadline, TimerQueue::kOnce, std::move(task), ref);
}
Result<TimerId> Loop::set_interval(Duration interval, Task task, bool ref) {
  const OwnerCall call(*core_->shared);
  interval = std::max(interval, Duration::zero());
  return arm(*core_, saturating_add(core_->refresh_now(), interval), interval, std::move(task), ref);
}

namespace {

[[gnu::cold]] std::unexpected<Error> timer_not_found(TimerId id) {
  return std::unexpected(Error(Errc::timer_not_found, "the timer is unknown, has fired, or was cancelled before")
                             .with("timer", id.value()));
}

}  // namespace

Result<void> Loop::cancel(TimerId id) {
  const OwnerCall call(*core_->shared);
  if (!core_->accepts_work()) return ending();
  if (core_->timers.find(id) == nullptr) return timer_not_found(id);
  static_cast<void>(core_->timers.remove(id));
  return {};
}
Result<void> Loop::reschedule(TimerId id, Duration delay) {
  const OwnerCall call(*core_->shared);
  if (!core_->accepts_work()) return ending();
  if (core_->timers.find(id) == nullptr) return timer_not_found(id);
  core_->timers.rearm(id, saturating_add(core_->refresh_now(), std::max(delay, Duration::zero())));
  return {};
}
void Loop::ref(TimerId id) {
  const OwnerCall call(*core_->shared);
  if (auto* timer = core_->timers.find(id)) core_->timers.set_ref(*timer, true);
}
void Loop::unref(TimerId id) {
  const OwnerCall call(*core_->shared);
  if (auto* timer = core_->timers.find(id)) core_->timers.set_ref(*timer, false);
}

Result<Watcher> Loop::watch(int fd, Readiness interest, UniqueFunction<void(Readiness)> callback) {
  const OwnerCall call(*core_->shared);
  require(static_cast<bool>(callback));
  if (fd < 0) throw std::invalid_argument("gyre: a negative descriptor cannot be watched");
  if (interest == Readiness::none || (interest & (Readiness::read | Readiness::write)) != interest) {
    throw std::invalid_argument("gyre: a descriptor is watched for read, write, or both");
  }
  if (!core_->accepts_work()) return ending();
  return core_->watch(fd, interest, std::move(callback));
}

Result<void> Loop::offload_job(UniqueFunction<void(std::stop_token)> job, UniqueFunction<void(const Error*)> done) {
  const OwnerCall call(*core_->shared);
  if (!core_->accepts_work()) return ending();
  return core_->offload(std::move(job), std::move(done));
}

Loop::Hold Loop::hold() {
  const OwnerCall call(*core_->shared);
  return Hold(core_->holds);
}

Remote Loop::remote() const {
  return Remote(core_->shared);
}
LoopState Loop::state() const {
  return core_->shared->state.load(std::memory_order_acquire);
}
bool Loop::is_alive() const {
  const OwnerCall call(*core_->shared);
  return core_->is_alive();
}
std::size_t Loop::timer_count() const {
  const OwnerCall call(*core_->shared);
  return core_->timers.size();
}
TimePoint Loop::now() const {
  const OwnerCall call(*core_->shared);
  return core_->now();
}
TimePoint Loop::refresh_now() {
  const OwnerCall call(*core_->shared);
  return core_->refresh_now();
}
const LoopStats& Loop::stats() const {
  const OwnerCall call(*core_->shared);
  return core_->stats;
}
Clock& Loop::clock() const {
  return *core_->clock;
}

void Loop::attach(LoopBinding& binding) {
  const OwnerCall call(*core_->shared);
  if (std::ranges::find(core_->bindings, &binding) != core_->bindings.end()) {
    throw std::logic_error("gyre: the binding is attached already");
  }
  core_->bindings.push_back(&binding);
}
void Loop::detach(LoopBinding& binding) {
  const OwnerCall call(*core_->shared);
  std::erase(core_->bindings, &binding);
}
void Loop::run_checkpoint() {
  const OwnerCall call(*core_->shared);
  core_->checkpoint();
}

}  // namespace gyre
