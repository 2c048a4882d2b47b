#include <algorithm>
#include <stdexcept>

#include <gyre/loop/internal/loop_core.h>
#include <gyre/loop/loop.h>

// The public face: checks who calls and with what, then hands over to the core.

namespace gyre {
namespace {

using internal::BlockQueue;
using internal::LoopCore;
using internal::TimerQueue;

void require(bool callable) {
  if (!callable) throw std::logic_error("gyre: an empty callback was given to a loop");
}

std::unexpected<Error> ending() {
  return fail(Errc::terminated, "the loop is ending and accepts no new work");
}

Result<void> push(LoopCore& core, BlockQueue<Task>& queue, Task&& task, bool accepted) {
  core.check_thread();
  require(static_cast<bool>(task));
  if (!accepted) return ending();
  core.take_ingress();  // what another thread posted before this call comes before it
  queue.push_back(std::move(task));
  return {};
}

Result<TimerId> arm(LoopCore& core, TimePoint deadline, Duration interval, Task&& task, bool ref) {
  core.check_thread();
  require(static_cast<bool>(task));
  if (!core.accepts_work()) return ending();
  const TimerId id = core.timers.add(deadline, interval, std::move(task), ref);
  if (!id) return fail(Errc::timer_ids_exhausted, "all timer ids of this loop are used up; make a new loop");
  return id;
}

}  // namespace

Loop::Loop(LoopOptions options) : core_(std::make_unique<LoopCore>(std::move(options))) {}
Loop::~Loop() = default;

Result<void> Loop::run(std::stop_token stop) {
  return core_->run(std::move(stop));
}
Result<bool> Loop::run_once(std::stop_token stop) {
  return core_->step(std::move(stop), Duration::max());
}
Result<bool> Loop::poll_once() {
  return core_->step({}, Duration::zero());
}
Result<bool> Loop::run_for(Duration duration) {
  return core_->run_for(duration);
}

Result<void> Loop::shutdown() {
  core_->check_thread();
  if (core_->shared->state.load() == LoopState::terminated) return fail(Errc::terminated, "the loop has ended already");
  core_->request_shutdown();
  return {};
}
Result<void> Loop::close() {
  core_->check_thread();
  return core_->close();
}

Result<void> Loop::post(Task task) {
  return push(*core_, core_->external, std::move(task), core_->accepts_work());
}
Result<void> Loop::post_priority(Task task) {
  return push(*core_, core_->internal, std::move(task), core_->accepts_work());
}
Result<void> Loop::next_tick(Task task) {
  return push(*core_, core_->ticks, std::move(task), core_->accepts_microtasks());
}
Result<void> Loop::queue_microtask(Task task) {
  return push(*core_, core_->microtasks, std::move(task), core_->accepts_microtasks());
}
Result<void> Loop::at_checkpoint_end(Task task) {
  return push(*core_, core_->checkpoint_ends, std::move(task), core_->accepts_microtasks());
}
Result<void> Loop::post_close(Task task) {
  return push(*core_, core_->close_callbacks, std::move(task), core_->accepts_work());
}

Result<ImmediateId> Loop::set_immediate(Task task, bool ref) {
  core_->check_thread();
  require(static_cast<bool>(task));
  if (!core_->accepts_work()) return ending();
  return core_->immediates.add(std::move(task), ref);
}
Result<void> Loop::cancel(ImmediateId id) {
  core_->check_thread();
  if (!core_->immediates.contains(id)) {
    return std::unexpected(
        Error(Errc::immediate_not_found, "the immediate is unknown, has run, or was cancelled before")
            .with("immediate", id.value()));
  }
  static_cast<void>(core_->immediates.remove(id));
  return {};
}
void Loop::ref(ImmediateId id) {
  core_->immediates.set_ref(id, true);
}
void Loop::unref(ImmediateId id) {
  core_->immediates.set_ref(id, false);
}

Result<TimerId> Loop::set_timeout(Duration delay, Task task, bool ref) {
  const TimePoint deadline = saturating_add(core_->refresh_now(), std::max(delay, Duration::zero()));
  return arm(*core_, deadline, TimerQueue::kOnce, std::move(task), ref);
}
Result<TimerId> Loop::set_timeout_at(TimePoint deadline, Task task, bool ref) {
  return arm(*core_, deadline, TimerQueue::kOnce, std::move(task), ref);
}
Result<TimerId> Loop::set_interval(Duration interval, Task task, bool ref) {
  interval = std::max(interval, Duration::zero());
  return arm(*core_, saturating_add(core_->refresh_now(), interval), interval, std::move(task), ref);
}

namespace {

std::unexpected<Error> timer_not_found(TimerId id) {
  return std::unexpected(Error(Errc::timer_not_found, "the timer is unknown, has fired, or was cancelled before")
                             .with("timer", id.value()));
}

}  // namespace

Result<void> Loop::cancel(TimerId id) {
  core_->check_thread();
  if (core_->timers.find(id) == nullptr) return timer_not_found(id);
  static_cast<void>(core_->timers.remove(id));
  return {};
}
Result<void> Loop::reschedule(TimerId id, Duration delay) {
  core_->check_thread();
  if (core_->timers.find(id) == nullptr) return timer_not_found(id);
  core_->timers.rearm(id, saturating_add(core_->refresh_now(), std::max(delay, Duration::zero())));
  return {};
}
void Loop::ref(TimerId id) {
  core_->check_thread();
  if (auto* timer = core_->timers.find(id)) core_->timers.set_ref(*timer, true);
}
void Loop::unref(TimerId id) {
  core_->check_thread();
  if (auto* timer = core_->timers.find(id)) core_->timers.set_ref(*timer, false);
}

Result<Watcher> Loop::watch(int fd, Readiness interest, UniqueFunction<void(Readiness)> callback) {
  core_->check_thread();
  require(static_cast<bool>(callback));
  if (fd < 0) throw std::invalid_argument("gyre: a negative descriptor cannot be watched");
  if (interest == Readiness::none || (interest & (Readiness::read | Readiness::write)) != interest) {
    throw std::invalid_argument("gyre: a descriptor is watched for read, write, or both");
  }
  if (!core_->accepts_work()) return ending();
  return core_->watch(fd, interest, std::move(callback));
}

Result<void> Loop::offload_job(OffloadJob job) {
  core_->check_thread();
  if (!core_->accepts_work()) return ending();
  return core_->offload(std::move(job));
}

Loop::Hold Loop::hold() {
  core_->check_thread();
  return Hold(core_->holds);
}

Remote Loop::remote() const {
  return Remote(core_->shared);
}
LoopState Loop::state() const {
  return core_->shared->state.load(std::memory_order_acquire);
}
bool Loop::is_alive() const {
  core_->check_thread();
  return core_->is_alive();
}
std::size_t Loop::timer_count() const {
  return core_->timers.size();
}
TimePoint Loop::now() const {
  return core_->now();
}
TimePoint Loop::refresh_now() {
  return core_->refresh_now();
}
const LoopStats& Loop::stats() const {
  return core_->stats;
}
Clock& Loop::clock() const {
  return *core_->clock;
}

void Loop::attach(LoopBinding& binding) {
  core_->check_thread();
  if (std::ranges::find(core_->bindings, &binding) != core_->bindings.end()) {
    throw std::logic_error("gyre: the binding is attached already");
  }
  core_->bindings.push_back(&binding);
}
void Loop::detach(LoopBinding& binding) {
  core_->check_thread();
  std::erase(core_->bindings, &binding);
}
void Loop::run_checkpoint() {
  core_->check_thread();
  core_->run_checkpoint();
}

}  // namespace gyre
