#include <algorithm>
#include <exception>
#include <random>
#include <type_traits>
#include <utility>

#include <gyre/poll/keep_alive.h>
#include <gyre/poll/random.h>
#include <gyre/poll/scheduler_core.h>
#include <gyre/poll/time.h>

namespace gyre::poll::internal {
namespace {

/// Tasks that start in one go; then whatever else waits for the loop has its turn.
constexpr std::size_t kStartsPerTurn = 256;

/// In a catch-all: lets through what no C++ code has thrown, which is the cancellation of this thread.
void let_cancellation_pass() {
  if (std::current_exception() == nullptr) throw;
}

Error stopped() {
  return Error(Errc::cancelled, "the run of the polling scheduler was stopped on request");
}

}  // namespace

// --- Execution ---

PromiseHome Execution::promise_home() const {
  return core_->promise_home();
}
Loop& Execution::loop() const {
  return core_->loop();
}
void Execution::done() {
  core_->first_stage_done(*this, std::nullopt, {});
}
void Execution::done(SecondFunction second) {
  core_->first_stage_done(*this, std::nullopt, std::move(second));
}
void Execution::failed(const Reason& reason) {
  core_->first_stage_done(*this, reason, {});
}

// --- Signals from other threads ---

void HookSource::notify() noexcept {
  // A loop that has ended asks nobody any more.
  static_cast<void>(remote_->post_completion([core = core_, id = id_] {
    if (const auto live = core.lock()) live->hook_woken(id);
  }));
}

void SchedulerCore::OnStop::operator()() noexcept {
  static_cast<void>(remote.post_priority([core = core] {
    if (const auto live = core.lock()) live->request_step();
  }));
}

// --- The scheduler ---

SchedulerCore::SchedulerCore(Loop& loop, SchedulerOptions options)
    : loop_(loop),
      remote_(loop.remote()),
      clock_(loop.clock()),
      promises_(Promises::of(loop)),
      options_(std::move(options)),
      random_(options_.seed ? *options_.seed : std::random_device()()) {
  ended_.request_stop();
}

SchedulerCore::~SchedulerCore() = default;

void SchedulerCore::close() {
  is_closed_ = true;
  if (phase_ != Phase::idle) {
    run_options_.exit = ExitMode::leave;
    finish(Error(Errc::cancelled, "the polling scheduler was destroyed while it ran"));
    if (phase_ == Phase::leaving) conclude();
  }
  options_.on_record.reset();
  run_hooks_.clear();
  if (executing_ > 0 && !loop_is_gone()) {
    auto keeper = std::make_shared<KeepAlive>(shared_from_this());
    keeper_ = keeper;
    loop_.add_extension(nullptr, std::move(keeper));
  }
}

Promise<Reason> SchedulerCore::run(RunOptions options) {
  if (phase_ != Phase::idle) {
    return Promise<Reason>::resolved_in_place(
        promises_, Error(Errc::already_running, "the polling scheduler is running; wait for that run to end first"));
  }
  if (task_count() == 0) {
    return Promise<Reason>::resolved_in_place(
        promises_, Error(Errc::no_tasks, "no tasks configured: add one to the polling scheduler before it runs"));
  }
  auto [promise, resolver] = Promise<Reason>::with_resolver(promises_);
  promise.ignore_rejection();  // the loop's end, which whoever is interested in sees in other ways
  if (loop_is_gone()) return promise;
  resolver_ = std::move(resolver);
  hold_ = loop_.hold();
  run_options_ = std::move(options);
  end_reason_.reset();
  exit_deadline_.reset();
  phase_ = Phase::waiting;
  ++generation_;
  if (run_options_.stop.stop_possible()) {
    on_stop_.emplace(run_options_.stop, OnStop{weak_from_this(), remote_});
  }
  request_step();
  return promise;
}

// --- Turns ---

void SchedulerCore::request_step() {
  if (step_is_posted_ || loop_is_gone()) return;
  step_is_posted_ = loop_
                        .post_completion([self = shared_from_this()] {
                          self->step_is_posted_ = false;
                          self->step();
                        })
                        .has_value();
}

void SchedulerCore::step() {
  const auto self = shared_from_this();
  ++stats_.turns;
  sweep();
  if (phase_ == Phase::idle) return;
  if (phase_ == Phase::leaving) {
    if (executing_ == 0 || (exit_deadline_ && now() >= *exit_deadline_)) return conclude();
    return arm_timer();
  }
  if (end_if_due()) return;
  if (phase_ == Phase::waiting) {
    if (executing_ > 0) return arm_timer();
    begin();
  } else {
    take_one_input();
  }
  if (phase_ != Phase::running || end_if_due()) return;
  collect_due();
  start_ready();
  if (phase_ != Phase::running) return;
  arm_timer();
  if (!available_.empty() || !finished_.empty() || may_start()) request_step();
}

/// The run's own limits.
bool SchedulerCore::end_if_due() {
  if (run_options_.stop.stop_requested()) {
    finish(stopped());
    return true;
  }
  if (run_options_.deadline && now() >= *run_options_.deadline) {
    finish(Error(Errc::timed_out, "the deadline of the polling scheduler's run has passed"));
    return true;
  }
  return false;
}

void SchedulerCore::begin() {
  phase_ = Phase::running;
  if (records()) record(RecordKind::run_started);
  for (std::size_t i = 0; i < run_hooks_.size(); ++i) {
    const auto failure = guarded([&] {
      // Taken out for the call: it may add others.
      RunHookFunction hook = std::move(run_hooks_[i]);
      auto result = in_call([&](const CallHandle& handle) { return hook(handle); });
      if (i < run_hooks_.size()) run_hooks_[i] = std::move(hook);
      return result;
    });
    if (phase_ != Phase::running) return;
    if (failure) return finish(wrap(*failure, Errc::hook_failed, "run hook"));
  }
  for (const auto& [id, hook] : hooks_) {
    if (!hook->is_available && !hook->source->listen()) {
      hook->is_available = true;
      available_.push_back(hook);
    }
  }
}

void SchedulerCore::take_one_input() {
  // A hook whose channel somebody else has emptied is no input.
  for (std::size_t i = 0; i < available_.size();) {
    const auto& hook = available_[i];
    if (!hook->is_removed && (hook->source->has_input() || !hook->source->listen())) {
      ++i;
      continue;
    }
    hook->is_available = false;
    available_[i] = available_.back();
    available_.pop_back();
  }
  const std::size_t inputs = available_.size() + finished_.size();
  if (inputs == 0) return;
  const std::size_t choice = inputs == 1 ? 0 : next_random(random_) % inputs;
  if (choice < available_.size()) return deliver(std::shared_ptr(available_[choice]));
  auto& place = finished_[choice - available_.size()];
  const auto execution = std::move(place);
  if (&place != &finished_.back()) place = std::move(finished_.back());
  finished_.pop_back();
  run_second_stage(*execution);
}

void SchedulerCore::deliver(const std::shared_ptr<Hook>& hook) {
  const std::string key = records() ? "hook " + std::to_string(hook->id) : std::string();
  const TimePoint began = records() ? now() : TimePoint();
  HookSource::Outcome outcome;
  const auto failure = guarded([&]() -> Result<void> {
    outcome = in_call([&](const CallHandle& handle) { return hook->source->deliver(handle); });
    if (!outcome.action) return std::unexpected(outcome.action.error());
    return {};
  });
  if (records()) {
    record(RecordKind::hook_called, key, elapsed(began, now()));
    watch_budget(began, key);
  }
  if (phase_ != Phase::running) return;
  if (failure) return finish(wrap(*failure, Errc::hook_failed, "hook " + std::to_string(hook->id)));
  // A closed channel would deliver its end for ever.
  if (outcome.delivery == HookSource::Delivery::closed || *outcome.action == HookAction::unregister) {
    static_cast<void>(remove_hook(hook->id));
  }
}

void SchedulerCore::run_second_stage(Execution& execution) {
  const auto keep = execution.shared_from_this();
  if (execution.task_->is_dropped) return release(execution);
  const TimePoint began = records() ? now() : TimePoint();
  std::optional<Reason> failure;
  {
    const ContextScope scope(execution.context_);
    failure = guarded([&] {
      SecondFunction second = std::move(execution.second_);
      return in_call([&](const CallHandle& handle) { return second(handle); });
    });
    if (records()) watch_budget(began, key_text(*execution.task_));
  }
  if (execution.is_released_) return;  // the run ended inside it
  if (failure) {
    fail_task(execution, *failure);
  } else {
    if (auto& extras = execution.task_->extras; extras != nullptr && extras->backoff) extras->backoff->reset();
    count_end(execution, nullptr);
    release(execution);
  }
}

void SchedulerCore::collect_due() {
  if (heap_.empty()) return;
  const TimePoint time = now();
  while (!heap_.empty() && heap_.front().when <= time) {
    TaskState& task = *heap_.front().task;
    heap_remove(task);
    task.phase = ScheduleState::ready;
    link_ready(task);
  }
}

void SchedulerCore::start_ready() {
  const std::uint64_t generation = generation_;
  for (std::size_t started = 0; started < kStartsPerTurn && may_start(); ++started) {
    start(*pop_ready());
    if (phase_ != Phase::running || generation != generation_ || run_options_.stop.stop_requested()) return;
  }
}

void SchedulerCore::start(TaskState& task) {
  const TimePoint time = now();
  // The mark and the time are consumed before the first stage begins.
  task.stats.last_lateness = std::max(Duration::zero(), elapsed(task.next, time));
  stats_.lateness.record(static_cast<std::uint64_t>(task.stats.last_lateness.count()));
  task.phase = ScheduleState::none;
  ++task.stats.runs;
  ++stats_.starts;
  const auto execution = std::make_shared<Execution>(shared_from_this(), task, generation_, time);
  execution->context_ = std::exchange(task.context, {});
  executions_.push_back(*execution);
  ++executing_;
  task.is_running = true;
  task.is_starting = true;

  const ContextScope scope(execution->context_);
  if (records()) record(RecordKind::task_started, key_text(task), task.stats.last_lateness);
  if (task.extras != nullptr && task.extras->timeout > Duration::zero()) {
    auto timer = loop_.set_timeout(task.extras->timeout, [weak = execution->weak_from_this()] {
      if (const auto late = weak.lock()) late->core_->time_out(*late);
    });
    if (timer) execution->timeout_ = *timer;
  }
  try {
    task.start(execution);
  } catch (...) {
    let_cancellation_pass();
    execution->failed(Reason::current());
  }
  if (records()) watch_budget(time, key_text(task));
  task.is_starting = false;
  if (task.is_removed && !task.is_running) {
    trash_.push_back(&task);
    request_step();
  }
}

/// One timer serves all tasks, and the limits of the run.
void SchedulerCore::arm_timer() {
  std::optional<TimePoint> wanted;
  if (phase_ == Phase::leaving) {
    wanted = exit_deadline_;
  } else if (phase_ != Phase::idle) {
    wanted = run_options_.deadline;
    if (phase_ == Phase::running && !heap_.empty()) {
      wanted = wanted ? std::min(*wanted, heap_.front().when) : heap_.front().when;
    }
  }
  if (wanted && *wanted == TimePoint::max()) wanted.reset();
  if (timer_ && wanted && timer_deadline_ == *wanted) return;
  if (timer_) static_cast<void>(loop_.cancel(std::exchange(timer_, TimerId())));
  if (!wanted) return;
  auto armed = loop_.set_timeout_at(*wanted, [self = weak_from_this()] {
    const auto live = self.lock();
    if (live == nullptr) return;
    live->timer_ = TimerId();
    live->step();
  });
  if (armed) {
    timer_ = *armed;
    timer_deadline_ = *wanted;
  } else if (phase_ != Phase::leaving) {
    finish(std::move(armed).error());
  }
}

/// Ends the run. What it calls comes last, so that it finds the scheduler in order.
void SchedulerCore::finish(Reason reason) {
  if (phase_ != Phase::waiting && phase_ != Phase::running) return;
  const auto self = shared_from_this();
  const bool waits = run_options_.exit != ExitMode::leave && executing_ > 0;
  end_reason_ = std::move(reason);
  ++generation_;
  in_call_ = false;
  for (const HeapItem& item : heap_) {
    item.task->phase = ScheduleState::none;
    item.task->context = {};
  }
  heap_.clear();
  for (auto& [priority, list] : ready_) {
    while (TaskState* task = list.pop_front()) {
      task->phase = ScheduleState::none;
      task->context = {};
    }
  }
  ready_count_ = 0;
  for (Execution& execution : executions_) {
    if (!execution.task_->is_removed) clear(*execution.task_);
  }
  for (const auto& execution : std::exchange(finished_, {})) release(*execution);
  for (const auto& [id, hook] : hooks_) {
    hook->source->stop_listening();
    hook->is_available = false;
  }
  available_.clear();
  phase_ = Phase::leaving;
  if (waits && executing_ > 0 && run_options_.exit_limit < Duration::max()) {
    exit_deadline_ = later(now(), run_options_.exit_limit);
  }
  if (!loop_is_gone()) arm_timer();

  std::vector<std::stop_source> told;
  if (call_stop_) told.push_back(*std::exchange(call_stop_, std::nullopt));
  call_stop_chain_.reset();
  if (run_options_.exit != ExitMode::wait) {
    for (Execution& execution : executions_) {
      if (!execution.first_stage_over_ && execution.stop_) told.push_back(*execution.stop_);
    }
  }
  if (!waits || executing_ == 0) conclude();
  for (auto& source : told) source.request_stop();
}

void SchedulerCore::conclude() {
  if (phase_ != Phase::leaving) return;
  const auto self = shared_from_this();
  phase_ = Phase::idle;
  exit_deadline_.reset();
  if (!loop_is_gone()) arm_timer();
  on_stop_.reset();
  std::vector<std::stop_source> told;
  if (run_options_.exit == ExitMode::wait) {
    for (Execution& execution : executions_) {
      if (!execution.first_stage_over_ && execution.stop_) told.push_back(*execution.stop_);
    }
  }
  const Resolver<Reason> resolver = std::exchange(resolver_, {});
  const Reason reason = *std::exchange(end_reason_, std::nullopt);
  hold_.release();
  if (records()) record(RecordKind::run_ended, {}, {}, &reason.error());
  if (!loop_is_gone()) resolver.resolve(reason);
  for (auto& source : told) source.request_stop();
}

/// Destroys removed tasks, never inside their own calls.
void SchedulerCore::sweep() {
  for (TaskState* task : std::exchange(trash_, {})) erase_buried(*task);
}

template <typename Call>
std::optional<Reason> SchedulerCore::guarded(Call call) {
  try {
    Result<void> result = call();
    if (!result) return Reason(std::move(result).error());
    return std::nullopt;
  } catch (...) {
    let_cancellation_pass();
    return Reason::current();
  }
}

/// Makes a call during which its handle is valid.
template <typename Call>
std::invoke_result_t<Call&, const CallHandle&> SchedulerCore::in_call(Call call) {
  struct End {
    SchedulerCore& core;
    ~End() {
      core.in_call_ = false;
      core.call_stop_chain_.reset();
      if (auto source = std::exchange(core.call_stop_, std::nullopt)) source->request_stop();
    }
  };
  in_call_ = true;
  ++call_;
  const End end{*this};
  return call(CallHandle{shared_from_this(), call_});
}

std::stop_token SchedulerCore::call_token(std::uint64_t call) {
  if (!is_current(call)) return ended_.get_token();
  if (!call_stop_) {
    call_stop_.emplace();
    if (run_options_.stop.stop_possible()) call_stop_chain_.emplace(run_options_.stop, ForwardStop{*call_stop_});
  }
  return call_stop_->get_token();
}

void SchedulerCore::watch_budget(TimePoint began, const std::string& key) {
  if (options_.callback_budget <= Duration::zero()) return;
  const Duration took = elapsed(began, now());
  if (took > options_.callback_budget) record(RecordKind::over_budget, key, took);
}

/// Errors stay as they are; an exception gets a frame that says where it came from, and stays behind it.
Reason SchedulerCore::wrap(const Reason& reason, Errc code, const std::string& key) const {
  if (reason.exception() == nullptr) return reason;
  try {
    std::rethrow_exception(reason.exception());
  } catch (const ErrorException&) {
    return reason;
  } catch (...) {
    let_cancellation_pass();
    Error error(code, code == Errc::task_failed ? fmt::format("the task {} threw an exception", key)
                                                : fmt::format("the {} threw an exception", key));
    try {
      std::throw_with_nested(ErrorException(error.with("key", key).caused_by(reason.error())));
    } catch (...) {
      let_cancellation_pass();
      return Reason::current();
    }
  }
}

// --- Executions ---

bool SchedulerCore::is_live(const Execution& execution) const {
  return phase_ == Phase::running && execution.generation_ == generation_ && !execution.task_->is_dropped &&
         !run_options_.stop.stop_requested();
}

void SchedulerCore::first_stage_done(Execution& execution, std::optional<Reason> failure, SecondFunction second) {
  if (execution.first_stage_over_) return;
  const auto self = shared_from_this();
  const auto keep = execution.shared_from_this();
  execution.first_stage_over_ = true;
  if (execution.timeout_ && !loop_is_gone()) {
    static_cast<void>(loop_.cancel(std::exchange(execution.timeout_, TimerId())));
  }
  if (execution.has_timed_out_ || !is_live(execution)) {
    // A time-out was reported when it came.
    const bool retries = execution.has_timed_out_ && is_live(execution) && execution.task_->extras->backoff;
    if (retries && execution.task_->phase == ScheduleState::none && !execution.task_->is_removed) {
      arm(*execution.task_, later(now(), execution.task_->extras->backoff->next()));
    }
    if (execution.has_timed_out_) request_step();
    release(execution);
  } else if (failure) {
    fail_task(execution, *failure);
  } else if (second) {
    execution.second_ = std::move(second);
    finished_.push_back(keep);
    request_step();
  } else {
    if (auto& extras = execution.task_->extras; extras != nullptr && extras->backoff) extras->backoff->reset();
    count_end(execution, nullptr);
    release(execution);
  }
  if (execution.stop_) execution.stop_->request_stop();
}

void SchedulerCore::fail_task(Execution& execution, const Reason& failure) {
  TaskState& task = *execution.task_;
  const std::string key = key_text(task);
  const Reason reason = wrap(failure, Errc::task_failed, key);
  ++task.stats.errors;
  count_end(execution, &reason.error());
  const bool retries = task.extras != nullptr && task.extras->backoff;
  if (retries && !task.is_removed) {
    const Duration delay = task.extras->backoff->next();
    if (task.phase == ScheduleState::none) {
      const ContextScope scope(execution.context_);
      arm(task, later(now(), delay));
    }
    request_step();
  }
  release(execution);
  if (!retries) finish(reason);
}

void SchedulerCore::time_out(Execution& execution) {
  execution.timeout_ = TimerId();
  if (execution.first_stage_over_ || !is_live(execution)) return;
  TaskState& task = *execution.task_;
  const auto keep = execution.shared_from_this();
  execution.has_timed_out_ = true;
  ++task.stats.errors;
  const std::string key = key_text(task);
  const Error error = Error(Errc::timed_out, fmt::format("the task {} was not done within {} ms", key,
                                                         task.extras->timeout.count() / 1'000'000))
                          .with("key", key);
  count_end(execution, &error);
  auto source = execution.stop_source();
  if (!task.extras->backoff) finish(error);
  source.request_stop();
}

void SchedulerCore::count_end(Execution& execution, const Error* error) {
  const bool wanted = records();
  execution.task_->stats.last_duration = elapsed(execution.started_, now());
  if (!wanted) return;
  const ContextScope scope(execution.context_);
  record(error == nullptr ? RecordKind::task_finished : RecordKind::task_failed, key_text(*execution.task_),
         execution.task_->stats.last_duration, error);
}

void SchedulerCore::release(Execution& execution) {
  if (std::exchange(execution.is_released_, true)) return;
  execution.unlink();
  execution.second_.reset();
  --executing_;
  TaskState& task = *execution.task_;
  task.is_running = false;
  if (task.is_removed) {
    if (!task.is_starting) trash_.push_back(&task);
    request_step();
  } else if (task.phase == ScheduleState::ready) {
    link_ready(task);
  }
  if (may_start() || (executing_ == 0 && (phase_ == Phase::waiting || phase_ == Phase::leaving))) request_step();
  if (executing_ == 0 && is_closed_ && !loop_is_gone()) {
    if (const auto keeper = keeper_.lock()) loop_.remove_extension(*keeper);
  }
}

// --- Schedules ---

/// A timer whose time has come counts as fired, whether the loop has noticed or not.
void SchedulerCore::settle_due(TaskState& task) {
  if (task.phase != ScheduleState::timer || task.next > now()) return;
  heap_remove(task);
  task.phase = ScheduleState::ready;
  link_ready(task);
}

void SchedulerCore::clear(TaskState& task) {
  if (task.phase == ScheduleState::timer) heap_remove(task);
  if (task.is_linked()) {
    task.unlink();
    --ready_count_;
  }
  task.phase = ScheduleState::none;
  task.context = {};
}

void SchedulerCore::arm(TaskState& task, TimePoint when) {
  clear(task);
  task.phase = ScheduleState::timer;
  task.next = when;
  task.order = ++orders_;
  note_context(task);
  heap_.push_back({});
  sift_up(heap_.size() - 1, {when, &task});
}

void SchedulerCore::make_ready(TaskState& task, TimePoint when) {
  if (task.phase == ScheduleState::ready) {
    ++task.stats.coalesced;
  } else {
    clear(task);
    task.phase = ScheduleState::ready;
    link_ready(task);
  }
  task.next = when;
  note_context(task);
}

void SchedulerCore::note_context(TaskState& task) {
  task.context = Context::current();
}

void SchedulerCore::link_ready(TaskState& task) {
  if (task.is_running) return;
  ready_[task.priority].push_back(task);
  ++ready_count_;
}

TaskState* SchedulerCore::pop_ready() {
  for (auto& [priority, list] : ready_) {
    if (TaskState* const task = list.pop_front()) {
      --ready_count_;
      return task;
    }
  }
  return nullptr;
}

bool SchedulerCore::may_start() const {
  return phase_ == Phase::running && ready_count_ > 0 &&
         (options_.max_concurrent == 0 || executing_ < options_.max_concurrent);
}

ScheduleState SchedulerCore::schedule(TaskState& task, Duration delay) {
  settle_due(task);
  const ScheduleState before = task.phase;
  if (delay < Duration::zero()) {
    clear(task);
  } else if (delay == Duration::zero()) {
    if (before == ScheduleState::ready) {
      ++task.stats.coalesced;
    } else {
      make_ready(task, now());
    }
  } else if (before != ScheduleState::ready || !options_.keep_ready) {
    arm(task, later(now(), delay));
  }
  return before;
}

ScheduleState SchedulerCore::postpone(TaskState& task, Duration delay) {
  settle_due(task);
  const ScheduleState before = task.phase;
  arm(task, later(now(), delay));
  return before;
}

ScheduleState SchedulerCore::schedule_at(TaskState& task, std::optional<TimePoint> when) {
  settle_due(task);
  const ScheduleState before = task.phase;
  if (!when) {
    clear(task);
  } else if (*when <= now()) {
    make_ready(task, *when);
  } else if (before != ScheduleState::ready || !options_.keep_ready) {
    arm(task, *when);
  }
  return before;
}

ScheduleState SchedulerCore::schedule_at_sooner(TaskState& task, TimePoint when) {
  settle_due(task);
  const ScheduleState before = task.phase;
  if (before != ScheduleState::none && task.next <= when) return before;
  if (before == ScheduleState::ready || when <= now()) {
    make_ready(task, when);
  } else {
    arm(task, when);
  }
  return before;
}

bool SchedulerCore::stop_timer(TaskState& task) {
  settle_due(task);
  if (task.phase == ScheduleState::timer) clear(task);
  return task.phase == ScheduleState::ready;
}

std::optional<TimePoint> SchedulerCore::next(const TaskState& task) const {
  if (task.phase == ScheduleState::none) return std::nullopt;
  return task.next;
}

// --- The heap: each node has four children, which halves its depth and keeps them in one or two cache lines ---

bool SchedulerCore::comes_before(const HeapItem& a, const HeapItem& b) const {
  return a.when != b.when ? a.when < b.when : a.task->order < b.task->order;
}

void SchedulerCore::place(std::size_t index, HeapItem item) {
  heap_[index] = item;
  item.task->heap_index = static_cast<std::uint32_t>(index);
}

void SchedulerCore::sift_up(std::size_t index, HeapItem item) {
  while (index > 0) {
    const std::size_t parent = (index - 1) / 4;
    if (!comes_before(item, heap_[parent])) break;
    place(index, heap_[parent]);
    index = parent;
  }
  place(index, item);
}

void SchedulerCore::sift_down(std::size_t index, HeapItem item) {
  while (true) {
    const std::size_t first = index * 4 + 1;
    if (first >= heap_.size()) break;
    std::size_t best = first;
    for (std::size_t child = first + 1; child < std::min(first + 4, heap_.size()); ++child) {
      if (comes_before(heap_[child], heap_[best])) best = child;
    }
    if (!comes_before(heap_[best], item)) break;
    place(index, heap_[best]);
    index = best;
  }
  place(index, item);
}

void SchedulerCore::heap_remove(TaskState& task) {
  const std::size_t index = task.heap_index;
  const HeapItem last = heap_.back();
  heap_.pop_back();
  if (last.task == &task) return;
  if (index > 0 && comes_before(last, heap_[(index - 1) / 4])) {
    sift_up(index, last);
  } else {
    sift_down(index, last);
  }
}

// --- Configuration ---

void SchedulerCore::configure(TaskState& task, TaskOptions options) {
  task.priority = options.priority;
  if (options.timeout <= Duration::zero() && !options.retry) return;
  task.extras = std::make_unique<TaskExtras>();
  task.extras->timeout = options.timeout;
  if (options.retry) task.extras->backoff.emplace(*options.retry);
}

bool SchedulerCore::remove(TaskState& task, Removal how) {
  clear(task);
  task.is_removed = true;
  if (!task.is_running) {
    trash_.push_back(&task);
    request_step();
    return true;
  }
  task.is_dropped = how == Removal::drop;
  if (!task.is_dropped) return true;
  for (Execution& execution : executions_) {
    if (execution.task_ != &task) continue;
    if (!execution.first_stage_over_) {
      auto source = execution.stop_source();
      source.request_stop();
    }
    break;
  }
  return true;
}

std::uint64_t SchedulerCore::add_hook(std::shared_ptr<HookSource> source) {
  const std::uint64_t id = ++hook_ids_;
  source->connect(remote_, weak_from_this(), id);
  const auto hook = std::make_shared<Hook>(Hook{.id = id, .source = std::move(source)});
  hooks_.emplace(id, hook);
  if (phase_ == Phase::running && !hook->source->listen()) hook_woken(id);
  return id;
}

bool SchedulerCore::remove_hook(std::uint64_t id) {
  const auto place = hooks_.find(id);
  if (place == hooks_.end()) return false;
  const auto hook = place->second;
  hooks_.erase(place);
  hook->is_removed = true;
  hook->is_available = false;
  std::erase(available_, hook);
  hook->source->stop_listening();
  return true;
}

void SchedulerCore::hook_woken(std::uint64_t id) {
  const auto place = hooks_.find(id);
  if (place == hooks_.end() || phase_ != Phase::running || place->second->is_available) return;
  place->second->is_available = true;
  available_.push_back(place->second);
  request_step();
}

// --- Looking ---

std::unexpected<Error> SchedulerCore::refuse(Error error) {
  if (records()) record(RecordKind::misuse, {}, {}, &error);
  return std::unexpected(std::move(error));
}

const SchedulerStats& SchedulerCore::stats() {
  stats_.running = executing_;
  return stats_;
}

void SchedulerCore::record(RecordKind kind, std::string key, Duration duration, const Error* error) {
  if (options_.on_record) options_.on_record({kind, std::move(key), duration, error});
}

}  // namespace gyre::poll::internal
