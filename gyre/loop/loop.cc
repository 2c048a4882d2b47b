#include <algorithm>
#include <stdexcept>

#include <gyre/base/context.h>
#include <gyre/loop/internal/admission_control.h>
#include <gyre/loop/internal/errors.h>
#include <gyre/loop/internal/loop_core.h>
#include <gyre/loop/internal/owner_call.h>
#include <gyre/loop/loop.h>

// The public face: checks who calls and with what, then hands over to the core.

namespace gyre {
namespace {

using internal::BlockQueue;
using internal::LoopCore;
using internal::OwnerCall;
using internal::TimerQueue;

void require(bool callable) {
  if (!callable) internal::reject_empty_callback();
}

using internal::ending;

template <typename Call>
[[gnu::noinline]] auto borrowing(LoopCore& core, Call call) {
  const OwnerCall owner(*core.shared);
  return call(core);
}

/// Makes a call that touches the loop. In the loop's own callbacks, where nearly all of them come from, no more needs
/// to be asked than that it is one.
template <typename Call>
auto on_owner(LoopCore& core, Call call) {
  if (core.shared->is_inside()) [[likely]]
    return call(core);
  return borrowing(core, call);
}

template <auto kQueue, auto kAccepts>
[[gnu::noinline]] Result<void> push_on_owner(LoopCore& core, Task&& task, CallbackKind kind) {
  require(static_cast<bool>(task));
  if (!(core.*kAccepts)()) return ending();
  internal::bind_current_context(task);
  core.take_ingress();  // what another thread posted before this call comes before it
  if (kind == CallbackKind::microtask) core.before_microtask();
  (core.*kQueue).push_back(std::move(task));
  core.observe_schedule(kind, 0);
  return {};
}

template <auto kQueue, auto kAccepts>
Result<void> push(LoopCore& given, Task&& task, CallbackKind kind) {
  return on_owner(given, [&](LoopCore& core) { return push_on_owner<kQueue, kAccepts>(core, std::move(task), kind); });
}

// Where nobody need be told, nothing goes with the callback, and nothing comes before it.
bool may_fill_in_place(const LoopCore& core) {
  return core.shared->is_inside() && !core.is_observed() && internal::current_context == nullptr &&
         !core.shared->has_ingress();
}

template <auto kQueue, auto kAccepts>
Task* reserve_in(LoopCore& core) {
  if (!may_fill_in_place(core) || !(core.*kAccepts)()) [[unlikely]]
    return nullptr;
  if constexpr (std::is_same_v<decltype(kQueue), BlockQueue<Task> LoopCore::*>) {
    if (kQueue == &LoopCore::microtasks) core.before_microtask();
  }
  return &(core.*kQueue).emplace_back();
}

[[gnu::noinline]] Result<TimerId> arm(LoopCore& core, TimePoint deadline, Duration interval, Task&& task, bool ref) {
  require(static_cast<bool>(task));
  if (!core.accepts_work()) return ending();
  internal::bind_current_context(task);
  core.take_ingress();  // what another thread armed before this call comes before it
  const TimerId id = core.timers.add(deadline, interval, std::move(task), ref);
  if (!id) return internal::timer_ids_exhausted();
  core.observe_schedule(CallbackKind::timer, id.value());
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

template <>
Task* Loop::reserve<internal::Queue::tasks>() {
  if (core_->shared->admission != nullptr) [[unlikely]]
    return nullptr;
  return reserve_in<&LoopCore::external, &LoopCore::accepts_work>(*core_);
}
template <>
Task* Loop::reserve<internal::Queue::priority_tasks>() {
  return reserve_in<&LoopCore::internal, &LoopCore::accepts_work>(*core_);
}
template <>
Task* Loop::reserve<internal::Queue::ticks>() {
  return reserve_in<&LoopCore::ticks, &LoopCore::accepts_microtasks>(*core_);
}
template <>
Task* Loop::reserve<internal::Queue::microtasks>() {
  return reserve_in<&LoopCore::microtasks, &LoopCore::accepts_microtasks>(*core_);
}
namespace {

enum class Judged : bool { no, yes };

Result<void> push_counted(LoopCore& core, Task&& task, std::string_view category, Judged judged) {
  require(static_cast<bool>(task));
  if (!core.accepts_work()) return ending();
  internal::AdmissionControl& admission = *core.shared->admission;
  if (judged == Judged::no || admission.exempts_own_tasks()) {
    admission.enter();
  } else if (auto admitted = admission.admit(category); !admitted) {
    return admitted;
  }
  auto pushed = push_on_owner<&LoopCore::external, &LoopCore::accepts_work>(core, std::move(task), CallbackKind::task);
  if (!pushed) admission.withdraw();
  return pushed;
}

Result<void> post_on_owner(LoopCore& given, Task&& task, std::string_view category, Judged judged) {
  return on_owner(given, [&](LoopCore& core) {
    if (core.shared->admission != nullptr) [[unlikely]]
      return push_counted(core, std::move(task), category, judged);
    return push_on_owner<&LoopCore::external, &LoopCore::accepts_work>(core, std::move(task), CallbackKind::task);
  });
}

}  // namespace

Result<void> Loop::post_in(std::string_view category, Task task) {
  return post_on_owner(*core_, std::move(task), category, Judged::yes);
}
Result<void> Loop::post_completion(Task task) {
  return post_on_owner(*core_, std::move(task), {}, Judged::no);
}
Result<void> Loop::post(Task task) {
  return post_on_owner(*core_, std::move(task), {}, Judged::yes);
}
Result<void> Loop::post_priority(Task task) {
  return push<&LoopCore::internal, &LoopCore::accepts_work>(*core_, std::move(task), CallbackKind::priority_task);
}
Result<void> Loop::next_tick(Task task) {
  return push<&LoopCore::ticks, &LoopCore::accepts_microtasks>(*core_, std::move(task), CallbackKind::next_tick);
}
Result<void> Loop::queue_microtask(Task task) {
  return push<&LoopCore::microtasks, &LoopCore::accepts_microtasks>(*core_, std::move(task), CallbackKind::microtask);
}
Result<void> Loop::at_checkpoint_end(Task task) {
  return push<&LoopCore::checkpoint_ends, &LoopCore::accepts_microtasks>(*core_, std::move(task),
                                                                         CallbackKind::checkpoint_end);
}
Result<void> Loop::post_close(Task task) {
  return push<&LoopCore::close_callbacks, &LoopCore::accepts_work>(*core_, std::move(task), CallbackKind::close);
}

void Loop::resize_microtasks(std::size_t count) {
  const OwnerCall call(*core_->shared);
  core_->microtasks.resize(count);
}
std::size_t Loop::microtask_capacity() const {
  const OwnerCall call(*core_->shared);
  return core_->microtasks.capacity();
}

Result<void> Loop::post(Task task, std::stop_token stop) {
  require(static_cast<bool>(task));
  return post(internal::unless_stopped(std::move(stop), std::move(task)));
}
Result<PostedTask> Loop::post_cancellable(Task task) {
  require(static_cast<bool>(task));
  auto shared_task = std::make_shared<internal::CancellableTask>(std::move(task));
  if (auto posted = post(internal::runner_of(shared_task)); !posted) return std::unexpected(posted.error());
  return PostedTask(std::move(shared_task));
}

namespace {

template <typename Liveness>
Result<ImmediateId> add_immediate(LoopCore& core, Task&& task, Liveness&& liveness) {
  const OwnerCall call(*core.shared);
  require(static_cast<bool>(task));
  if (!core.accepts_work()) return ending();
  internal::bind_current_context(task);
  core.take_ingress();
  const ImmediateId id = core.immediates.add(std::move(task), std::forward<Liveness>(liveness));
  core.observe_schedule(CallbackKind::immediate, id.value());
  return id;
}

}  // namespace

Result<ImmediateId> Loop::set_immediate(Task task, bool ref) {
  return add_immediate(*core_, std::move(task), ref);
}
Result<ImmediateId> Loop::set_immediate_while(Task task, UniqueFunction<bool()> is_wanted) {
  require(static_cast<bool>(is_wanted));
  return add_immediate(*core_, std::move(task), std::move(is_wanted));
}
Result<void> Loop::cancel(ImmediateId id) {
  const OwnerCall call(*core_->shared);
  if (!core_->immediates.contains(id)) {
    return std::unexpected(
        Error(Errc::immediate_not_found, "the immediate is unknown, has run, or was cancelled before")
            .with("immediate", id.value()));
  }
  core_->observe_cancel(CallbackKind::immediate, id.value());
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

TimerId Loop::arm_timeout(Duration delay, bool ref, Task*& place) {
  if (!may_fill_in_place(*core_)) [[unlikely]]
    return {};
  return arm_timeout_at(saturating_add(core_->arming_time(), std::max(delay, Duration::zero())), ref, place);
}
TimerId Loop::arm_timeout_at(TimePoint deadline, bool ref, Task*& place) {
  if (!may_fill_in_place(*core_) || !core_->accepts_work()) [[unlikely]]
    return {};
  return core_->timers.add(deadline, TimerQueue::kOnce, ref, place);
}
Result<TimerId> Loop::set_timeout(Duration delay, Task task, bool ref) {
  return on_owner(*core_, [&](LoopCore& core) {
    const TimePoint deadline = saturating_add(core.arming_time(), std::max(delay, Duration::zero()));
    return arm(core, deadline, TimerQueue::kOnce, std::move(task), ref);
  });
}
Result<TimerId> Loop::set_timeout_at(TimePoint deadline, Task task, bool ref) {
  return on_owner(*core_, [&](LoopCore& core) { return arm(core, deadline, TimerQueue::kOnce, std::move(task), ref); });
}
Result<TimerId> Loop::set_interval(Duration interval, Task task, bool ref) {
  interval = std::max(interval, Duration::zero());
  return on_owner(*core_, [&](LoopCore& core) {
    return arm(core, saturating_add(core.arming_time(), interval), interval, std::move(task), ref);
  });
}

Result<void> Loop::cancel(TimerId id) {
  return on_owner(*core_, [id](LoopCore& core) { return core.cancel(id); });
}
std::vector<Result<void>> Loop::cancel(std::span<const TimerId> ids) {
  const OwnerCall call(*core_->shared);
  std::vector<Result<void>> results;
  results.reserve(ids.size());
  for (const TimerId id : ids) results.push_back(core_->cancel(id));
  return results;
}
namespace {

[[gnu::noinline]] Result<void> rearm(LoopCore& core, TimerId id, TimePoint deadline) {
  if (!core.accepts_work()) return ending();
  core.take_ingress();
  TimerQueue::Timer* const timer = core.timers.find(id);
  if (timer == nullptr) [[unlikely]]
    return internal::timer_not_found(id);
  core.timers.rearm(*timer, deadline);
  return {};
}

}  // namespace

Result<void> Loop::reschedule(TimerId id, Duration delay) {
  return on_owner(*core_, [=](LoopCore& core) {
    return rearm(core, id, saturating_add(core.arming_time(), std::max(delay, Duration::zero())));
  });
}
Result<void> Loop::reschedule_at(TimerId id, TimePoint deadline) {
  return on_owner(*core_, [=](LoopCore& core) { return rearm(core, id, deadline); });
}
Result<std::uint64_t> Loop::missed_runs(TimerId id) const {
  const OwnerCall call(*core_->shared);
  core_->take_ingress();
  const auto* timer = core_->timers.find(id);
  if (timer == nullptr) return internal::timer_not_found(id);
  return timer->missed;
}
void Loop::ref(TimerId id) {
  const OwnerCall call(*core_->shared);
  core_->set_ref(id, true);
}
void Loop::unref(TimerId id) {
  const OwnerCall call(*core_->shared);
  core_->set_ref(id, false);
}

Result<Watcher> Loop::watch(int fd, Readiness interest, UniqueFunction<void(Readiness)> callback) {
  return watch(fd, WatchOptions{.interest = interest}, std::move(callback));
}
Result<Watcher> Loop::watch(int fd, const WatchOptions& options, UniqueFunction<void(Readiness)> callback) {
  const OwnerCall call(*core_->shared);
  internal::require_watch(fd, options, static_cast<bool>(callback));
  if (!core_->accepts_work()) return ending();
  internal::bind_current_context(callback);
  auto registration = core_->add_watch(fd, options, std::move(callback));
  if (!registration) return std::unexpected(registration.error());
  return Watcher(*std::move(registration));
}
Result<int> Loop::native_handle() {
  const OwnerCall call(*core_->shared);
  if (!core_->accepts_work()) return ending();
  return core_->native_handle();
}
std::optional<PollerKind> Loop::poller_kind() const {
  const OwnerCall call(*core_->shared);
  if (core_->shared->poller == nullptr) return std::nullopt;
  return core_->shared->poller->kind();
}

Result<void> Loop::offload_job(UniqueFunction<void(std::stop_token)> job, UniqueFunction<void(const Error*)> done) {
  const OwnerCall call(*core_->shared);
  if (!core_->accepts_work()) return ending();
  internal::bind_current_context(job);
  internal::bind_current_context(done);
  return core_->offload(std::move(job), std::move(done));
}

Loop::Hold Loop::hold() {
  const OwnerCall call(*core_->shared);
  return Hold(core_->holds);
}

Result<void> Loop::set_fast_path(FastPath mode) {
  const OwnerCall call(*core_->shared);
  return core_->set_fast_path(mode);
}

std::uint64_t Loop::id() const noexcept {
  return core_->loop_id;
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
  return on_owner(*core_, [](LoopCore& core) { return core.now(); });
}
TimePoint Loop::refresh_now() {
  return on_owner(*core_, [](LoopCore& core) { return core.refresh_now(); });
}
const LoopStats& Loop::stats() const {
  const OwnerCall call(*core_->shared);
  return core_->stats;
}
FastPathStats Loop::fast_path_stats() const {
  const OwnerCall call(*core_->shared);
  return core_->fast_path_stats();
}
std::uint64_t Loop::timer_ids_left() const {
  const OwnerCall call(*core_->shared);
  return core_->timers.ids_left();
}
void Loop::add_observer(LoopObserver& observer) {
  const OwnerCall call(*core_->shared);
  core_->add_observer(observer);
}
void Loop::remove_observer(LoopObserver& observer) {
  const OwnerCall call(*core_->shared);
  core_->remove_observer(observer);
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
  core_->give_up_places(binding);
  core_->stop_leading(binding);
  std::erase(core_->bindings, &binding);
}
void Loop::lead_microtasks(LoopBinding& binding) {
  const OwnerCall call(*core_->shared);
  core_->leader = &binding;
}
void Loop::stop_leading_microtasks(LoopBinding& binding) {
  const OwnerCall call(*core_->shared);
  core_->stop_leading(binding);
}
void Loop::run_microtask_in_place(LoopBinding& binding) {
  const OwnerCall call(*core_->shared);
  core_->run_microtask_in_place(binding);
}
void Loop::run_microtasks() {
  const OwnerCall call(*core_->shared);
  const ContextScope none{Context()};
  core_->run_microtasks();
}
void Loop::add_extension(const void* key, std::shared_ptr<LoopExtension> extension) {
  const OwnerCall call(*core_->shared);
  if (extension == nullptr) throw std::invalid_argument("gyre: a loop was given no extension");
  core_->extensions.emplace_back(key, std::move(extension));
}
LoopExtension* Loop::find_extension(const void* key) const {
  const OwnerCall call(*core_->shared);
  for (const auto& [its_key, extension] : core_->extensions) {
    if (its_key == key) return extension.get();
  }
  return nullptr;
}
void Loop::remove_extension(const LoopExtension& extension) {
  const OwnerCall call(*core_->shared);
  std::erase_if(core_->extensions, [&](const auto& entry) { return entry.second.get() == &extension; });
}
void Loop::require_owner() const {
  const OwnerCall call(*core_->shared);
}
void Loop::run_checkpoint() {
  const OwnerCall call(*core_->shared);
  const ContextScope none{Context()};  // what runs is no part of the callback that asks for it
  core_->checkpoint();
}
Result<void> Loop::yield_checkpoint() {
  const OwnerCall call(*core_->shared);
  if (!core_->accepts_work()) return ending();
  core_->yield_checkpoint();
  return {};
}
Result<void> Loop::advance_checkpoint() {
  const OwnerCall call(*core_->shared);
  if (!core_->accepts_microtasks()) return ending();
  const ContextScope none{Context()};
  core_->advance_checkpoint();
  return {};
}
Result<void> Loop::resume_checkpoint() {
  const OwnerCall call(*core_->shared);
  if (!core_->accepts_microtasks()) return ending();
  const ContextScope none{Context()};
  core_->resume_checkpoint();
  return {};
}

}  // namespace gyre
