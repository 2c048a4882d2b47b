#include <algorithm>
#include <limits>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <gyre/base/context.h>
#include <gyre/loop/internal/admission_control.h>
#include <gyre/loop/internal/errors.h>
#include <gyre/loop/internal/loop_core.h>
#include <gyre/loop/internal/metrics_recorder.h>
#include <gyre/loop/internal/remote_call.h>
#include <gyre/loop/internal/shared_state.h>
#include <gyre/loop/remote.h>

namespace gyre {
namespace internal {

bool SharedState::mark_commands() noexcept {
  // Relaxed: only ever set under the mutex. The store is the sequentially consistent publication.
  if (commands_pending.load(std::memory_order_relaxed)) return false;
  commands_pending.store(true, std::memory_order_seq_cst);
  return true;
}

Result<void> SharedState::push(IngressKind kind, Task&& task, Ingress::Gate gate) {
  if (!task) reject_empty_callback();
  IngressRecord& record = ingress.prepare();
  ::new (static_cast<void*>(record.storage)) Task(std::move(task));
  return publish(record, kind, gate);
}

Result<void> SharedState::publish(IngressRecord& record, IngressKind kind, Ingress::Gate gate) {
  switch (ingress.publish(record, kind, gate)) {
    case Ingress::Push::refused:
      ingress.discard(record);
      return ending();
    case Ingress::Push::queued:
      return {};
    case Ingress::Push::first:
      break;
  }
  // A failed wake-up is no failed push: the task is queued and runs when the owner next looks.
  static_cast<void>(gate == Ingress::Gate::completions ? wake_now() : wake_if_sleeping());
  return {};
}

Result<void> SharedState::push_judged(Task&& task, std::string_view category) {
  if (!task) reject_empty_callback();
  if (auto admitted = admission->admit(category); !admitted) {
    // That the loop is ending is the better answer: to try again would not help.
    if (stop_requested.load(std::memory_order_acquire)) return ending();
    return admitted;
  }
  auto pushed = push(IngressKind::task, std::move(task));
  if (!pushed) admission->withdraw();
  return pushed;
}

Result<void> SharedState::push_command(Command&& command) {
  if (!command.task) reject_empty_callback();
  bool first;
  {
    const std::lock_guard lock(mutex);
    if (!accepting) return ending();
    commands.push_back(std::move(command));
    first = mark_commands();
  }
  if (first) static_cast<void>(wake_if_sleeping());
  return {};
}

Result<TimerId> SharedState::push_timer(std::optional<TimePoint> deadline, Duration delay, Duration interval,
                                        Task&& task, bool ref) {
  if (!task) reject_empty_callback();
  TimerId id;
  bool first;
  {
    const std::lock_guard lock(mutex);
    if (!accepting) return ending();
    if (last_timer_id == std::numeric_limits<std::uint64_t>::max()) return timer_ids_exhausted();
    if (!deadline) deadline = saturating_add(clock->now(), std::max(delay, Duration::zero()));
    id = TimerId(++last_timer_id, TimerQueue::kUnknownSlot);
    commands.push_back({Command::Kind::timer, ref, id.value(), *deadline, interval, std::move(task)});
    first = mark_commands();
  }
  if (first) static_cast<void>(wake_if_sleeping());
  return id;
}

Result<void> SharedState::wake_if_sleeping() {
  const LoopState seen = state.load(std::memory_order_seq_cst);
  // Before the first run nobody sleeps, unless a foreign loop waits for the native handle.
  const bool asleep = seen == LoopState::sleeping || (seen == LoopState::awake && sleeps_in_poller.load());
  return asleep ? wake_now() : Result<void>();
}

Result<void> SharedState::wake_now() {
  if (wake_requested.exchange(true, std::memory_order_seq_cst)) return {};
  if (!sleeps_in_poller.load(std::memory_order_seq_cst)) {
    parker.unpark();
    return {};
  }
  const std::lock_guard lock(mutex);  // keeps the poller from being closed under the write
  if (poller == nullptr) return {};
  auto woken = poller->wake();
  if (!woken) wake_requested.store(false, std::memory_order_seq_cst);  // so that the next producer tries again
  return woken;
}

void SharedState::commit_termination(bool abort) {
  {
    const std::lock_guard lock(mutex);
    if (done) return;
    if (abort) abort_requested.store(true, std::memory_order_seq_cst);
    // Closed before the owner can see that it is to end: it then drains all that was ever accepted.
    const bool first = ingress.close(Ingress::Gate::tasks);
    stop_requested.store(true, std::memory_order_seq_cst);
    accepting = false;
    if (first) state.store(LoopState::terminating, std::memory_order_seq_cst);
    call_changed.notify_all();
  }
  if (admission != nullptr) admission->close();
  static_cast<void>(wake_now());
}

void SharedState::end_if_never_run() {
  {
    const std::lock_guard lock(ownership);
    if (owner.load(std::memory_order_relaxed) != nullptr || end_claimed || ended) return;
    end_claimed = true;
  }
  // The core stays until the end: its destructor waits for that.
  try {
    std::thread([this_core = core] { this_core->end_never_run(); }).detach();
  } catch (const std::system_error&) {
    core->end_never_run();  // no thread to be had; better here than never
  }
}

bool SharedState::is_done() {
  const std::lock_guard lock(mutex);
  return done;
}

bool SharedState::wait_done(Duration timeout, const std::stop_token& stop) {
  std::unique_lock lock(mutex);
  const auto is_over = [this] { return done; };
  if (timeout >= kForever) return done_changed.wait(lock, stop, is_over);
  return done_changed.wait_for(lock, stop, timeout, is_over);
}

void SharedState::on_done(Task&& callback) {
  {
    const std::lock_guard lock(mutex);
    if (!done) {
      when_done.push_back(std::move(callback));
      return;
    }
  }
  call_when_done(callback);
}

void SharedState::call_when_done(Task& callback) noexcept {
  try {
    callback();
  } catch (...) {  // documented
    let_cancellation_pass();
  }
  callback.reset();
}

}  // namespace internal

using internal::SharedState;

using internal::bind_current_context;
using internal::call_owner;
using internal::Command;
using internal::LoopCore;
using internal::TimerQueue;

Result<void> Remote::post(Task task) {
  bind_current_context(task);
  if (shared_->admission != nullptr) [[unlikely]]
    return shared_->push_judged(std::move(task), {});
  return shared_->push(internal::IngressKind::task, std::move(task));
}
void* Remote::prepare() {
  if (internal::current_context != nullptr || shared_->admission != nullptr) [[unlikely]]
    return nullptr;
  return shared_->ingress.prepare().storage;
}
Result<void> Remote::publish() {
  return shared_->publish(internal::Ingress::prepared(), internal::IngressKind::task);
}
Result<void> Remote::post_completion(Task task) {
  if (!task) internal::reject_empty_callback();
  bind_current_context(task);
  internal::AdmissionControl* const admission = shared_->admission.get();
  if (admission != nullptr) admission->enter();
  auto pushed = shared_->push(internal::IngressKind::task, std::move(task));
  if (!pushed && admission != nullptr) admission->withdraw();
  return pushed;
}
Result<void> Remote::post_in(std::string_view category, Task task) {
  if (shared_->admission == nullptr) return post(std::move(task));
  bind_current_context(task);
  return shared_->push_judged(std::move(task), category);
}
Result<void> Remote::post_wait(Task task, const WaitLimit& limit, std::string_view category) {
  if (!task) internal::reject_empty_callback();
  if (on_loop_thread()) {
    throw std::logic_error("gyre: post_wait on the loop's own thread would wait for that thread; use post there");
  }
  if (shared_->admission == nullptr) return post(std::move(task));
  bind_current_context(task);
  return shared_->admission->post_wait(std::move(task), limit, category);
}
Result<void> Remote::set_admission(AdmissionLimits limits) {
  if (shared_->admission == nullptr) {
    return fail(Errc::unsupported, "the loop was made without admission control; give it LoopOptions::admission");
  }
  return shared_->admission->set_limits(std::move(limits));
}
std::optional<AdmissionMetrics> Remote::admission() const {
  if (shared_->admission == nullptr) return std::nullopt;
  return shared_->admission->metrics();
}
void Remote::reset_admission() {
  if (shared_->admission != nullptr) shared_->admission->reset_metrics();
}
Result<void> Remote::post(Task task, std::stop_token stop) {
  if (!task) internal::reject_empty_callback();
  return post(internal::unless_stopped(std::move(stop), std::move(task)));
}
Result<PostedTask> Remote::post_cancellable(Task task) {
  if (!task) internal::reject_empty_callback();
  auto shared_task = std::make_shared<internal::CancellableTask>(std::move(task));
  if (auto posted = post(internal::runner_of(shared_task)); !posted) return std::unexpected(posted.error());
  return PostedTask(std::move(shared_task));
}
Result<void> Remote::post_priority(Task task) {
  bind_current_context(task);
  return shared_->push(internal::IngressKind::priority_task, std::move(task));
}

namespace {

Result<void> command(SharedState& shared, Command::Kind kind, Task&& task, bool ref = true) {
  bind_current_context(task);
  return shared.push_command({.kind = kind, .ref = ref, .task = std::move(task)});
}

}  // namespace

Result<void> Remote::next_tick(Task task) {
  return command(*shared_, Command::Kind::next_tick, std::move(task));
}
Result<void> Remote::queue_microtask(Task task) {
  return command(*shared_, Command::Kind::microtask, std::move(task));
}
Result<void> Remote::at_checkpoint_end(Task task) {
  return command(*shared_, Command::Kind::checkpoint_end, std::move(task));
}
Result<void> Remote::post_close(Task task) {
  return command(*shared_, Command::Kind::close, std::move(task));
}
Result<void> Remote::set_immediate(Task task, bool ref) {
  return command(*shared_, Command::Kind::immediate, std::move(task), ref);
}

Result<TimerId> Remote::set_timeout(Duration delay, Task task, bool ref) {
  bind_current_context(task);
  return shared_->push_timer(std::nullopt, delay, TimerQueue::kOnce, std::move(task), ref);
}
Result<TimerId> Remote::set_timeout_at(TimePoint deadline, Task task, bool ref) {
  bind_current_context(task);
  return shared_->push_timer(deadline, {}, TimerQueue::kOnce, std::move(task), ref);
}
Result<TimerId> Remote::set_interval(Duration interval, Task task, bool ref) {
  bind_current_context(task);
  interval = std::max(interval, Duration::zero());
  return shared_->push_timer(std::nullopt, interval, interval, std::move(task), ref);
}

Result<void> Remote::cancel(TimerId id, const WaitLimit& limit) {
  return call_owner<void>(shared_, limit, [id](LoopCore& core) { return core.cancel(id); });
}
Result<std::vector<Result<void>>> Remote::cancel(std::span<const TimerId> ids, const WaitLimit& limit) {
  using Results = std::vector<Result<void>>;
  if (ids.empty()) return Results();
  return call_owner<Results>(shared_, limit,
                             [all = std::vector(ids.begin(), ids.end())](LoopCore& core) -> Result<Results> {
                               Results results;
                               results.reserve(all.size());
                               for (const TimerId id : all) results.push_back(core.cancel(id));
                               return results;
                             });
}
Result<void> Remote::request_cancel(TimerId id) {
  return shared_->push_command(
      {.kind = Command::Kind::call, .task = [shared = shared_, id] { static_cast<void>(shared->core->cancel(id)); }});
}

namespace {

Result<void> set_ref(const std::shared_ptr<SharedState>& shared, TimerId id, bool ref, const WaitLimit& limit) {
  auto result = call_owner<void>(shared, limit, [id, ref](LoopCore& core) -> Result<void> {
    core.set_ref(id, ref);
    return {};
  });
  // To a loop that ends it makes no difference any more.
  if (!result && result.error().is(Errc::terminated)) return {};
  return result;
}

}  // namespace

Result<void> Remote::ref(TimerId id, const WaitLimit& limit) {
  return set_ref(shared_, id, true, limit);
}
Result<void> Remote::unref(TimerId id, const WaitLimit& limit) {
  return set_ref(shared_, id, false, limit);
}

Result<void> Remote::set_fast_path(FastPath mode, const WaitLimit& limit) {
  internal::require_mode(mode);
  return call_owner<void>(shared_, limit, [mode](LoopCore& core) { return core.set_fast_path(mode); });
}

Result<void> Remote::wake() {
  return shared_->wake_if_sleeping();
}

Result<void> Remote::set_metrics(bool on, const WaitLimit& limit) {
  return call_owner<void>(shared_, limit, [on](LoopCore& core) { return core.set_metrics(on); });
}

std::optional<LoopMetrics> Remote::metrics() const {
  std::shared_ptr<internal::MetricsRecorder> recorder;
  {
    const std::lock_guard lock(shared_->mutex);
    recorder = shared_->metrics;
  }
  if (recorder == nullptr) return std::nullopt;
  LoopMetrics metrics = recorder->snapshot();
  metrics.admission = admission();
  return metrics;
}

Result<void> Remote::shutdown(const WaitLimit& limit) {
  if (is_done()) return fail(Errc::terminated, "the loop had ended before shutdown was called");
  shared_->commit_termination(false);
  if (shared_->on_owner_thread() || internal::offloading_for == shared_.get()) {
    if (shared_->abort_requested.load()) return fail(Errc::terminated, "the loop is being closed already");
    return {};
  }
  shared_->end_if_never_run();
  if (shared_->wait_done(limit.timeout, limit.stop)) return {};
  if (limit.stop.stop_requested()) {
    return fail(Errc::cancelled, "the waiting for the loop's end was stopped; the loop goes on ending by itself");
  }
  return fail(Errc::timed_out, "the loop did not end within the time given; it goes on ending by itself");
}

Result<void> Remote::close() {
  if (is_done()) return fail(Errc::terminated, "the loop had ended before close was called");
  if (shared_->on_owner_thread()) {
    return fail(Errc::reentrant_close, "close would wait for the thread it was called on; use shutdown here");
  }
  shared_->commit_termination(true);
  if (internal::offloading_for == shared_.get()) return {};
  shared_->end_if_never_run();
  shared_->wait_done(Duration::max());
  return {};
}

bool Remote::is_done() const {
  return shared_->is_done();
}

bool Remote::wait_done(const WaitLimit& limit) const {
  return shared_->wait_done(limit.timeout, limit.stop);
}
void Remote::on_done(Task callback) {
  if (!callback) internal::reject_empty_callback();
  shared_->on_done(std::move(callback));
}

bool Remote::on_loop_thread() const noexcept {
  return shared_->on_owner_thread();
}

LoopState Remote::state() const {
  return shared_->state.load(std::memory_order_acquire);
}

}  // namespace gyre
