#include <algorithm>
#include <exception>
#include <limits>
#include <stdexcept>
#include <string>

#include <fmt/format.h>

#include <gyre/base/internal/spin.h>
#include <gyre/loop/internal/admission_control.h>
#include <gyre/loop/internal/errors.h>
#include <gyre/loop/internal/loop_core.h>
#include <gyre/loop/internal/metrics_recorder.h>

namespace gyre::internal {

// How a loop is made, what it takes in, and what every callback of it goes through.

namespace {

// Unique in the process, for logs; nothing else depends on it.
std::uint64_t next_loop_id() noexcept {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

LoopCore::LoopCore(LoopOptions given) : options(std::move(given)), clock(options.clock), loop_id(next_loop_id()) {
  if (options.offload_threads < 1 || options.offload_threads > 1024) {
    throw std::invalid_argument("gyre: LoopOptions::offload_threads must be 1 to 1024");
  }
  if (options.turns_between_polls < 1) {
    throw std::invalid_argument("gyre: LoopOptions::turns_between_polls must be at least 1");
  }
  if (options.time_between_polls < Duration::zero()) {
    throw std::invalid_argument("gyre: LoopOptions::time_between_polls must not be negative");
  }
  if (options.spin_before_sleep < Duration::zero() || options.timer_slack < Duration::zero()) {
    throw std::invalid_argument("gyre: LoopOptions::spin_before_sleep and timer_slack must not be negative");
  }
  for (const BatchLimits& limits : {options.batch_limits, options.checkpoint_limits}) {
    if (limits.max_time < Duration::zero()) {
      throw std::invalid_argument("gyre: BatchLimits::max_time must not be negative");
    }
  }
  if (options.fast_path > FastPath::disabled) {
    throw std::invalid_argument("gyre: LoopOptions::fast_path is none of the modes");
  }
  if (clock == nullptr) clock = &steady_clock;
  if (clock != &steady_clock || !may_spin()) options.spin_before_sleep = {};
  shared->clock = clock;
  if (options.admission) {
    const Clock* const foreign = clock == &steady_clock ? nullptr : clock;
    shared->admission = std::make_shared<AdmissionControl>(*shared, *std::move(options.admission), foreign);
    options.admission.reset();
  }
  shared->core = this;
}

LoopCore::~LoopCore() {
  shared->commit_termination(true);
  if (claim_end() == Claim::granted) end();
  shared->wait_done(Duration::max());
  const std::lock_guard lock(shared->ownership);
  shared->core = nullptr;
}

// --- Containment ---

void let_cancellation_pass() {
  if (std::current_exception() == nullptr) throw;
}

void LoopCore::diagnose(const Diagnostic& diagnostic) {
  if (observed_) notify([&](LoopObserver& observer) { observer.on_diagnostic(diagnostic); });
}

void LoopCore::notify_schedule(CallbackKind kind, std::uint64_t id) {
  notify([=](LoopObserver& observer) { observer.on_schedule(kind, id); });
}
void LoopCore::notify_cancel(CallbackKind kind, std::uint64_t id) {
  notify([=](LoopObserver& observer) { observer.on_cancel(kind, id); });
}

void LoopCore::add_observer(LoopObserver& observer) {
  if (std::ranges::find(observers_, &observer) != observers_.end()) {
    throw std::logic_error("gyre: the observer is added already");
  }
  observers_.push_back(&observer);
  observed_ = true;
}

void LoopCore::remove_observer(LoopObserver& observer) {
  // While they are being told something, the others stay where they are, so that none is left out.
  std::ranges::replace(observers_, &observer, nullptr);
  if (!notifying_) std::erase(observers_, nullptr);
  observed_ = std::ranges::any_of(observers_, [](const LoopObserver* left) { return left != nullptr; });
}

void LoopCore::report(CallbackKind kind) {
  ++stats.failed_callbacks;
  if (!options.on_callback_error || reporting_) return;
  reporting_ = true;
  try {
    options.on_callback_error(Error::from_exception(std::current_exception()), kind);
  } catch (...) {  // documented: there is nobody left to tell
    let_cancellation_pass();
  }
  reporting_ = false;
}

Result<void> LoopCore::set_metrics(bool on) {
  if (on && !accepts_work()) return ending();
  if (const auto old = shared->metrics) remove_observer(*old);
  auto recorder = on ? std::make_shared<MetricsRecorder>(*clock) : nullptr;
  if (recorder) add_observer(*recorder);
  const std::lock_guard lock(shared->mutex);
  shared->metrics = std::move(recorder);
  return {};
}

// --- Queues and checkpoints ---

void LoopCore::take_ingress_now() {
  const std::size_t tasks_before = external.size() + internal.size();
  shared->ingress.take(external.chain(), internal.chain());
  if (shared->commands_pending.load(std::memory_order_acquire)) [[unlikely]] {
    const std::lock_guard lock(shared->mutex);
    commands_.splice_back(shared->commands);
    commands_.top_up_spares(shared->commands, BlockQueue<Command>::kSparesKept / 2);
    shared->commands_pending.store(false, std::memory_order_relaxed);  // guarded by the mutex
  }
  if (observed_) [[unlikely]] {
    const std::size_t tasks = external.size() + internal.size() - tasks_before;
    if (tasks > 0) notify([=](LoopObserver& observer) { observer.on_ingress(tasks); });
  }
  if (!commands_.empty()) [[unlikely]]
    apply_commands();
}

// Whatever destructors of captures run in here may take ingress over again; the order of the commands stays. One for
// which there is no memory stays the first.
void LoopCore::apply_commands() {
  if (applying_commands_) return;
  const Raised applying(applying_commands_);
  while (!commands_.empty()) {
    apply(commands_.front());  // in place: slots do not move while others are taken over
    commands_.pop_front();
  }
}

void LoopCore::apply(Command& command) {
  using Kind = Command::Kind;
  // What was accepted before a graceful end is run by its drain. Only timers never fire in it.
  switch (command.kind) {
    case Kind::next_tick:
      observe_schedule(CallbackKind::next_tick, 0);
      ticks.push_back(std::move(command.task));
      break;
    case Kind::microtask:
      observe_schedule(CallbackKind::microtask, 0);
      late_microtasks_.push_back(std::move(command.task));
      break;
    case Kind::checkpoint_end:
      observe_schedule(CallbackKind::checkpoint_end, 0);
      checkpoint_ends.push_back(std::move(command.task));
      break;
    case Kind::close:
      observe_schedule(CallbackKind::close, 0);
      close_callbacks.push_back(std::move(command.task));
      break;
    case Kind::immediate:
      observe_schedule(CallbackKind::immediate, immediates.add(std::move(command.task), command.ref).value());
      break;
    case Kind::timer:
      observe_schedule(CallbackKind::timer, command.timer);
      timers.add_foreign(command.timer, command.deadline, command.interval, std::move(command.task), command.ref);
      break;
    case Kind::call:
      command.task();
      break;
  }
}

void LoopCore::observe_turn() {
  const QueueDepths depths{
      .tasks = external.size(),
      .priority_tasks = internal.size(),
      .immediates = immediates.size(),
      .close_callbacks = close_callbacks.size(),
      .microtasks = ticks.size() + microtasks.size() + late_microtasks_.size() + checkpoint_ends.size(),
      .timers = timers.size()};
  notify([&](LoopObserver& observer) { observer.on_turn(depths); });
}

void LoopCore::begin_checkpoint() {
  checkpoint_state_ |= kInCheckpoint;
  checkpoint_cut_ = false;
  flood_told_ = false;
  checkpoint_start_ = stats.callbacks;
  const BatchLimits& limits = options.checkpoint_limits;
  checkpoint_mark_ = checkpoint_start_ + (limits.max_callbacks != 0 ? std::min(limits.max_callbacks, kFlood) : kFlood);
  if (limits.max_time > Duration::zero()) [[unlikely]] {
    checkpoint_until_ = saturating_add(refresh_now(), limits.max_time);
    checkpoint_mark_ = checkpoint_start_ + 1;
  }
}

void LoopCore::checkpoint_now() {
  begin_checkpoint();
  bool more = true;
  while (more && !should_pause()) {
    more = false;
    do {
      more |= run_all(ticks, CallbackKind::next_tick);
      take_ingress();
    } while (!should_pause() && (ask_bindings(CallbackKind::next_tick, &LoopBinding::run_ticks) || !ticks.empty()));
    more |= run_microtask_phase();
    more |= !ticks.empty() || !late_microtasks_.empty();
    if (more || should_pause()) continue;
    if (!checkpoint_ends.empty()) {
      if (stats.callbacks >= checkpoint_mark_ && !may_go_on(CallbackKind::checkpoint_end, checkpoint_ends)) [[unlikely]]
        break;
      Task task = checkpoint_ends.take_front();
      contain(CallbackKind::checkpoint_end, task);
      more = true;
    } else {
      more = ask_bindings(CallbackKind::checkpoint_end, &LoopBinding::finish_checkpoint);
    }
  }
  checkpoint_state_ &= ~kInCheckpoint;
}

// Runs our microtasks and the bindings'. True if there were any of ours, or if the bindings' have queued ticks.
bool LoopCore::run_microtask_phase() {
  const std::uint64_t callbacks_before = stats.callbacks;
  bool more = false;
  take_late_microtasks();
  do {
    run_all(microtasks, CallbackKind::microtask, placed_);
    if (should_pause()) break;
    more |= run_microtasks_of_bindings();
  } while (!microtasks.empty() && !should_pause());
  return more || stats.callbacks != callbacks_before;
}

void LoopCore::run_microtasks() {
  if (checkpoint_state_ != 0) return;
  begin_checkpoint();
  run_microtask_phase();
  checkpoint_state_ &= ~kInCheckpoint;
}

// Runs callbacks until `left` are left, which may change meanwhile.
bool LoopCore::run_all(BlockQueue<Task>& queue, CallbackKind kind, const std::size_t& left) {
  bool any = false;
  while (queue.size() > left && !should_pause()) {
    if (!run_next(queue, kind)) break;
    any = true;
  }
  return any;
}

// --- Places in a runtime's queue of microtasks ---

void LoopCore::keep_places(std::size_t count) {
  for (; count > 0 && leader != nullptr; --count) {
    LoopBinding& binding = *leader;
    if (!binding.keep_place() || leader != &binding) return;  // what it destroyed on the way may have detached it
    ++binding.places.value_;
    ++placed_;
  }
}

bool LoopCore::run_microtasks_of_bindings() {
  bool any = false;
  for (std::size_t i = 0; i < bindings.size() && !should_abort(); ++i) {
    LoopBinding* const binding = bindings[i];
    running_binding_ = binding;
    guard(CallbackKind::microtask, [&] { any |= binding->run_microtasks(); });
    running_binding_ = nullptr;
    if (i < bindings.size() && bindings[i] == binding) give_up_places(*binding);  // else it has been detached
  }
  return any;
}

void LoopCore::run_microtask_in_place(LoopBinding& binding) {
  if (running_binding_ != &binding || binding.places.value_ == 0) return;
  --binding.places.value_;
  --placed_;
  if (microtasks.empty() || should_pause()) return;
  running_binding_ = nullptr;  // while it runs, no other can
  static_cast<void>(run_next(microtasks, CallbackKind::microtask));
  running_binding_ = &binding;
}

// A checkpoint has run for long, or for as long as it may. False if it is cut here.
bool LoopCore::may_go_on(CallbackKind kind, const BlockQueue<Task>& queue) {
  const BatchLimits& limits = options.checkpoint_limits;
  const std::uint64_t done = stats.callbacks - checkpoint_start_;
  if (done >= kFlood && !std::exchange(flood_told_, true)) {
    diagnose(
        {Severity::error,
         "microtask_flood",
         fmt::format("{} callbacks have run in one checkpoint, and there are more; timers and descriptors wait", done),
         {{"queued", std::to_string(queue.size())}, {"kind", std::string(to_string(kind))}}});
  }
  const bool too_many = limits.max_callbacks != 0 && done >= limits.max_callbacks;
  const bool too_long = limits.max_time > Duration::zero() && done > 0 && refresh_now() >= checkpoint_until_;
  if ((too_many || too_long) && !drains_) {
    checkpoint_cut_ = true;
    report_excess(kind, too_many ? BatchExcess::Limit::callbacks : BatchExcess::Limit::time, done, queue.size());
    return false;
  }
  checkpoint_mark_ = flood_told_ ? std::numeric_limits<std::uint64_t>::max() : checkpoint_start_ + kFlood;
  if (limits.max_time > Duration::zero()) checkpoint_mark_ = stats.callbacks + 1;
  if (limits.max_callbacks > done)
    checkpoint_mark_ = std::min(checkpoint_mark_, checkpoint_start_ + limits.max_callbacks);
  return true;
}

// A host that has put a checkpoint off goes on with it, or runs one.
void LoopCore::advance_checkpoint() {
  if (is_suspended()) {
    checkpoint_state_ &= ~kSuspended;
  } else {
    checkpoint();
  }
}
void LoopCore::resume_checkpoint() {
  checkpoint_state_ &= ~kSuspended;
  checkpoint();
}

// --- Timers ---

Result<void> LoopCore::cancel_thoroughly(TimerId id) {
  if (!accepts_work()) return ending();
  take_ingress();  // it may hold the timer
  TimerQueue::Timer* const timer = timers.find(id);
  if (timer == nullptr) [[unlikely]]
    return timer_not_found(id);
  // For another thread, a timer that runs once and has begun is one that has run: each timer either runs or is
  // cancelled. Its callback cannot arm it anew after this.
  const bool too_late =
      applying_commands_ && id == running_timer_ && timer->interval == TimerQueue::kOnce && !timers.is_waiting(*timer);
  if (!too_late) observe_cancel(CallbackKind::timer, id.value());
  if (timer->callback.is_plain()) {
    timers.drop(*timer);
  } else {
    static_cast<void>(timers.remove(*timer));
  }
  if (too_late) return timer_not_found(id);
  return {};
}

void LoopCore::set_ref(TimerId id, bool ref) {
  take_ingress();
  if (auto* timer = timers.find(id)) timers.set_ref(*timer, ref);
}

// --- Batches ---

void LoopCore::Batch::start(const BatchLimits& limits) {
  if (core_.drains_) return;  // there is no next turn
  if (limits.max_callbacks != 0 && left_ > limits.max_callbacks) {
    left_ = allowed_ = limits.max_callbacks;
    exceeded_ = true;
  }
  if (limits.max_time > Duration::zero()) until_ = saturating_add(core_.refresh_now(), limits.max_time);
}

bool LoopCore::Batch::is_out_of_time() {
  if (done() == 0 || core_.refresh_now() < until_) return false;
  exceeded_ = true;
  limit_ = BatchExcess::Limit::time;
  return true;
}

void LoopCore::Batch::report(CallbackKind kind, std::size_t still_queued) {
  if (!core_.should_abort()) core_.report_excess(kind, limit_, done(), still_queued);
}

void LoopCore::report_excess(CallbackKind kind, BatchExcess::Limit limit, std::size_t done, std::size_t left) {
  ++stats.cut_batches;
  const BatchExcess excess{.kind = kind, .limit = limit, .callbacks = done, .left = left};
  if (!std::exchange(excess_reported_, true)) {
    diagnose({Severity::warning,
              "batch_limit",
              fmt::format("a batch of {} was cut after {} callbacks by its limit of {}; this is said once",
                          to_string(kind), done, to_string(limit)),
              {{"left", std::to_string(left)}}});
  }
  if (options.on_batch_excess) guard(CallbackKind::pressure, [&] { options.on_batch_excess(excess); });
}

void LoopCore::report_pressure() {
  take_ingress();
  const std::size_t waiting = external.size();
  if (waiting == 0) return;
  guard(CallbackKind::pressure, [&] { options.on_queue_pressure(waiting); });
  checkpoint();
}

// True if any binding says so; false for all once the loop is being closed.
bool LoopCore::ask_bindings(CallbackKind kind, bool (LoopBinding::*question)()) {
  bool any = false;
  // By index: a callback may attach or detach a binding.
  for (std::size_t i = 0; i < bindings.size() && !should_abort(); ++i) {
    guard(kind, [&] { any |= (bindings[i]->*question)(); });
  }
  return any;
}

bool LoopCore::is_alive() {
  if (shared->ended || should_abort()) return false;
  take_ingress();
  // Predicates first: they are users' code and may add what is counted next.
  bool wanted = false;
  if (immediates.predicate_count() > 0) [[unlikely]] {
    immediates.for_each_predicate([&](auto& predicate) {
      if (!wanted) guard(CallbackKind::liveness, [&] { wanted = predicate(); });
    });
    take_ingress();
  }
  return wanted || timers.ref_count() > 0 || immediates.ref_count() > 0 || watchers.ref_count() > 0 ||
         offloads_.in_use() > 0 || *holds > 0 || !external.empty() || !internal.empty() || !close_callbacks.empty() ||
         has_checkpoint_work() || is_suspended();
}

}  // namespace gyre::internal
