#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include <gyre/base/error.h>
#include <gyre/loop/loop.h>
#include <gyre/poll/channel.h>
#include <gyre/poll/options.h>
#include <gyre/poll/scheduler_core.h>
#include <gyre/poll/time.h>
#include <gyre/promise/promise.h>
#include <gyre/promise/work.h>

namespace gyre::poll {

template <typename Key>
class Control;
template <typename Key>
class SecondStage;

/// Names a hook of one scheduler.
struct HookId {
  std::uint64_t value = 0;
  friend bool operator==(const HookId&, const HookId&) = default;
};

namespace internal {

template <typename Key>
std::string text_of(const Key& key) {
  if constexpr (fmt::is_formattable<Key>::value) {
    return fmt::format("{}", key);
  } else {
    return "(a key that fmt cannot format)";
  }
}

/// How a table of tasks looks from a call.
template <typename Key>
class TaskTable : public SchedulerCore {
 public:
  using SchedulerCore::SchedulerCore;
  virtual TaskState* find(const Key& key) = 0;
};

/// The tasks of a scheduler by their keys.
template <typename Key, typename Hash, typename Equal>
class KeyedCore final : public TaskTable<Key> {
 public:
  using TaskTable<Key>::TaskTable;

  TaskState* find(const Key& key) override {
    const auto place = tasks_.find(key);
    return place == tasks_.end() ? nullptr : &place->second;
  }
  /// Null if the key is taken.
  TaskState* insert(Key key) {
    const auto [place, is_new] = tasks_.try_emplace(std::move(key));
    if (!is_new) return nullptr;
    place->second.key = &place->first;
    return &place->second;
  }
  bool erase(const Key& key, Removal how) {
    const auto place = tasks_.find(key);
    if (place == tasks_.end()) return false;
    auto node = tasks_.extract(place);
    TaskState& task = node.mapped();
    buried_.emplace(&task, std::move(node));
    this->remove(task, how);
    return true;
  }
  void reserve(std::size_t count) {
    tasks_.reserve(count);
    this->reserve_timers(count);
  }
  std::size_t task_count() const override { return tasks_.size(); }

 private:
  using Tasks = std::unordered_map<Key, TaskState, Hash, Equal>;

  std::string key_text(const TaskState& task) const override { return text_of(*static_cast<const Key*>(task.key)); }
  // Destroyed when the table is in order again: what the task captured may come back here.
  void erase_buried(TaskState& task) override { const auto node = buried_.extract(&task); }

  Tasks tasks_;
  std::unordered_map<const TaskState*, typename Tasks::node_type> buried_;
};

template <typename F>
bool is_empty_callable(const F& f) {
  if constexpr (std::is_null_pointer_v<F>) {
    return true;
  } else if constexpr (std::is_pointer_v<F>) {
    return f == nullptr;
  } else if constexpr (requires { f.operator bool(); }) {
    return !f;
  } else {
    return false;
  }
}

/// Calls what returns nothing or a `Result<void>`.
template <typename F, typename... Args>
Result<void> call_for_result(F& f, Args&&... args) {
  if constexpr (std::is_void_v<std::invoke_result_t<F&, Args...>>) {
    std::invoke(f, std::forward<Args>(args)...);
    return {};
  } else {
    return std::invoke(f, std::forward<Args>(args)...);
  }
}

template <typename R>
struct IsPromise : std::false_type {};
template <typename T>
struct IsPromise<Promise<T>> : std::true_type {};
template <typename R>
struct ResultValue {
  using type = R;
};
template <typename T>
struct ResultValue<Result<T>> {
  using type = T;
};

/// A first stage on the loop's thread.
template <typename Key, typename F>
struct FirstStage {
  F f;

  void operator()(const std::shared_ptr<Execution>& execution) {
    if constexpr (std::is_invocable_v<F&, Loop&, std::stop_token>) {
      settle(execution, [&]() -> decltype(auto) { return std::invoke(f, execution->loop(), execution->stop_token()); });
    } else if constexpr (std::is_invocable_v<F&, Loop&>) {
      settle(execution, [&]() -> decltype(auto) { return std::invoke(f, execution->loop()); });
    } else if constexpr (std::is_invocable_v<F&, std::stop_token>) {
      settle(execution, [&]() -> decltype(auto) { return std::invoke(f, execution->stop_token()); });
    } else {
      static_assert(std::is_invocable_v<F&>, "a task takes a Loop&, a std::stop_token, both, or nothing");
      settle(execution, [&]() -> decltype(auto) { return std::invoke(f); });
    }
  }

 private:
  template <typename Call>
  static void settle(const std::shared_ptr<Execution>& execution, Call call) {
    using Returned = std::invoke_result_t<Call>;
    using Value = typename ResultValue<Returned>::type;
    if constexpr (IsPromise<Returned>::value) {
      follow(execution, call());
    } else if constexpr (std::is_void_v<Returned>) {
      call();
      execution->done();
    } else if constexpr (std::is_same_v<Returned, Value>) {
      execution->done(SecondStage<Key>(call()).release());
    } else {
      Returned result = call();
      if (!result) {
        execution->failed(std::move(result).error());
      } else if constexpr (std::is_void_v<Value>) {
        execution->done();
      } else {
        execution->done(SecondStage<Key>(*std::move(result)).release());
      }
    }
  }

 public:
  template <typename T>
  static void follow(const std::shared_ptr<Execution>& execution, const Promise<T>& promise) {
    const auto on_failure = [execution](const Reason& reason) { execution->failed(reason); };
    if constexpr (std::is_void_v<T>) {
      promise.then([execution] { execution->done(); }, on_failure);
    } else {
      static_assert(std::is_same_v<T, SecondStage<Key>>,
                    "a task's promise holds nothing, or a SecondStage for the scheduler's type of key");
      promise.then([execution](SecondStage<Key> second) { execution->done(std::move(second).release()); }, on_failure);
    }
  }
};

/// A first stage on a thread of the loop's pool.
template <typename Key, typename F>
struct OffloadedStage {
  // The thread may still be at work when the loop and the scheduler have gone.
  std::shared_ptr<F> f;

  void operator()(const std::shared_ptr<Execution>& execution) {
    auto work = [f = f, source = execution->stop_source()](std::stop_token loop_stop) mutable -> decltype(auto) {
      const std::stop_callback on_close(loop_stop, [&source] { source.request_stop(); });
      if constexpr (std::is_invocable_v<F&, std::stop_token>) {
        return std::invoke(*f, source.get_token());
      } else {
        return std::invoke(*f);
      }
    };
    FirstStage<Key, F>::follow(execution, gyre::offload(execution->promise_home(), std::move(work)));
  }
};

template <typename Key, typename T, typename F>
class ChannelHook final : public HookSource {
 public:
  ChannelHook(Channel<T> channel, F f) : channel_(std::move(channel)), f_(std::move(f)) {}

  bool listen() override {
    channel_.shared()->forget(*this);
    return channel_.shared()->listen_readable(shared_from_this());
  }
  void stop_listening() override { channel_.shared()->forget(*this); }
  bool has_input() const override { return channel_.size() > 0 || channel_.is_closed(); }
  Outcome deliver(const CallHandle& handle) override {
    auto value = channel_.try_receive();
    if (!value && !channel_.is_finished()) return {};
    Outcome outcome{.delivery = value ? Delivery::value : Delivery::closed};
    Control<Key> control(handle);
    using Returned = std::invoke_result_t<F&, Control<Key>&, std::optional<T>>;
    if constexpr (std::is_void_v<Returned>) {
      std::invoke(f_, control, std::move(value));
    } else if constexpr (std::is_same_v<Returned, Result<void>>) {
      if (Result<void> result = std::invoke(f_, control, std::move(value)); !result) {
        outcome.action = std::unexpected(std::move(result).error());
      }
    } else {
      outcome.action = std::invoke(f_, control, std::move(value));
    }
    return outcome;
  }

 private:
  const Channel<T> channel_;
  F f_;
};

}  // namespace internal

/// The scheduling interface, as a run hook, hook or second stage gets it. Valid during that call only: later, every
/// function fails with `expired`. For the loop's thread.
///
/// A key that no task has gives `unknown_key`. The functions that change a schedule return the state before.
/// docs/poll.md has the table of what each does in each state.
template <typename Key>
class Control {
 public:
  explicit Control(internal::CallHandle handle) : handle_(std::move(handle)) {}

  /// Start once, `delay` from now, never earlier, whatever was scheduled before, also where the task is ready already
  /// (see `SchedulerOptions::keep_ready`). Zero: as soon as possible; negative: not at all.
  Result<ScheduleState> schedule(const Key& key, Duration delay) {
    return with_task<ScheduleState>(key, [&](auto& core, auto& task) { return core.schedule(task, delay); });
  }
  Result<ScheduleState> schedule_asap(const Key& key) { return schedule(key, Duration::zero()); }
  /// Like `schedule`, and a ready task always has to wait again. Errors: `invalid_delay` unless it is positive.
  Result<ScheduleState> postpone(const Key& key, Duration delay) {
    if (delay <= Duration::zero()) return refuse_delay(key, "postpone");
    return with_task<ScheduleState>(key, [&](auto& core, auto& task) { return core.postpone(task, delay); });
  }
  /// A time in the past means as soon as possible; none, not at all.
  Result<ScheduleState> schedule_at(const Key& key, std::optional<TimePoint> when) {
    return with_task<ScheduleState>(key, [&](auto& core, auto& task) { return core.schedule_at(task, when); });
  }
  /// Unless it is to start sooner anyway. Errors: `invalid_delay` unless it is positive.
  Result<ScheduleState> schedule_sooner(const Key& key, Duration delay) {
    if (delay <= Duration::zero()) return refuse_delay(key, "schedule_sooner");
    return with_task<ScheduleState>(
        key, [&](auto& core, auto& task) { return core.schedule_at_sooner(task, internal::later(core.now(), delay)); });
  }
  /// Errors: `invalid_delay` without a time.
  Result<ScheduleState> schedule_at_sooner(const Key& key, std::optional<TimePoint> when) {
    if (!when) return refuse_delay(key, "schedule_at_sooner");
    return with_task<ScheduleState>(key, [&](auto& core, auto& task) { return core.schedule_at_sooner(task, *when); });
  }
  /// Takes back what has not come yet. True if it was too late: the task is ready, and stays so.
  Result<bool> stop_timer(const Key& key) {
    return with_task<bool>(key, [](auto& core, auto& task) { return core.stop_timer(task); });
  }
  /// When the task is to start; empty if it is not.
  Result<std::optional<TimePoint>> next(const Key& key) const {
    return with_task<std::optional<TimePoint>>(key, [](auto& core, auto& task) { return core.next(task); });
  }
  /// True from the start of the first stage to the end of the second.
  Result<bool> running(const Key& key) const {
    return with_task<bool>(key, [](auto&, auto& task) { return task.is_running; });
  }

  /// Stopped when this call returns, and when the run is to end.
  std::stop_token stop_token() const { return handle_.core->call_token(handle_.call); }
  /// By the loop's clock.
  TimePoint now() const { return handle_.core->now(); }

 private:
  template <typename R, typename Use>
  Result<R> with_task(const Key& key, Use use) const {
    auto& table = static_cast<internal::TaskTable<Key>&>(*handle_.core);
    table.loop().require_owner();
    if (!table.is_current(handle_.call)) {
      return table.refuse(Error(Errc::expired, "a Control was used after the call that it was made for"));
    }
    internal::TaskState* const task = table.find(key);
    if (task == nullptr) {
      return table.refuse(Error(Errc::unknown_key, fmt::format("no task has the key {}", internal::text_of(key)))
                              .with("key", internal::text_of(key)));
    }
    return use(table, *task);
  }
  std::unexpected<Error> refuse_delay(const Key& key, const char* function) {
    return handle_.core->refuse(Error(Errc::invalid_delay, fmt::format("{} needs a time to come", function))
                                    .with("key", internal::text_of(key)));
  }

  internal::CallHandle handle_;
};

/// What a first stage leaves to be done on the loop's thread, one at a time with everything else: a function of
/// `Control<Key>&`, which returns nothing or a `Result<void>`. May be empty.
template <typename Key>
class SecondStage {
 public:
  SecondStage() = default;
  SecondStage(std::nullptr_t) {}  // NOLINT(google-explicit-constructor): nothing is left
  template <typename F>
    requires(!std::same_as<std::remove_cvref_t<F>, SecondStage> && std::is_invocable_v<std::decay_t<F>&, Control<Key>&>)
  SecondStage(F&& f) {  // NOLINT(google-explicit-constructor): functions convert
    if (internal::is_empty_callable(f)) return;
    function_ = [f = std::forward<F>(f)](const internal::CallHandle& handle) mutable -> Result<void> {
      Control<Key> control(handle);
      return internal::call_for_result(f, control);
    };
  }
  explicit operator bool() const noexcept { return static_cast<bool>(function_); }
  internal::SecondFunction release() && { return std::move(function_); }

 private:
  internal::SecondFunction function_;
};

/// Runs tasks again and again, each when it was scheduled, none twice at once, and makes every decision in one place.
///
/// A task has two stages. The first does the work: on the loop as a coroutine, or on a thread (`add_offloaded`). What
/// it returns, if anything, is the second: a function that runs on the loop's thread like hooks do, one at a time, and
/// looks at the outcome, publishes it, and schedules what is to come. So the state that these functions share needs no
/// lock.
///
/// ```
/// gyre::poll::Scheduler<std::string> poller(loop);
/// poller.add("weather", [&](gyre::Loop& loop, std::stop_token stop) -> gyre::Promise<Stage> {
///   auto report = co_await fetch(loop, url, stop);
///   co_return [&, report](Control& control) {
///     latest = report;
///     control.schedule("weather", 10min);
///   };
/// });
/// poller.add_run_hook([](Control& control) { control.schedule_asap("weather"); });
/// gyre::Reason why = co_await poller.run({.stop = stop});
/// ```
///
/// For the loop's thread; must not outlive the loop's thread's use of it, but may outlive the loop. Destroying it ends
/// its run; tasks that still run are told to stop, and their callables live until they have ended.
template <typename Key, typename Hash = std::hash<Key>, typename Equal = std::equal_to<Key>>
class Scheduler {
  static_assert(std::is_invocable_r_v<std::size_t, const Hash&, const Key&>, "the key needs a hash");
  static_assert(std::is_invocable_r_v<bool, const Equal&, const Key&, const Key&>, "the key needs ==");

 public:
  explicit Scheduler(Loop& loop, SchedulerOptions options = {})
      : core_(std::make_shared<Core>(loop, std::move(options))) {}
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;
  ~Scheduler() { core_->close(); }

  // --- Configuration, also while it runs ---

  /// `task(Loop&, std::stop_token)`, or with only one of these parameters, or none, runs on the loop's thread, and
  /// returns a `Promise` of nothing or of a `SecondStage<Key>` (a coroutine needs the loop as its parameter); or, where
  /// it need not wait, nothing, a `SecondStage<Key>`, or a `Result` of either. A failure ends the run (see
  /// `TaskOptions::retry`). The token is stopped when the first stage or the run ends. Errors: `duplicate_key`,
  /// `invalid_argument` for an empty function or options out of range.
  template <typename F>
  Result<void> add(Key key, F task, const TaskOptions& options = {}) {
    if constexpr (std::is_null_pointer_v<F>) {
      return fail(Errc::invalid_argument, "the task {} has no function", internal::text_of(key));
    } else {
      if (internal::is_empty_callable(task)) return add(std::move(key), nullptr);
      return insert(std::move(key), internal::FirstStage<Key, F>{std::move(task)}, options);
    }
  }
  /// The same for a function that blocks or computes: it runs on a thread of the loop's pool (`LoopOptions`), and
  /// returns no promise.
  template <typename F>
  Result<void> add_offloaded(Key key, F task, const TaskOptions& options = {}) {
    if constexpr (std::is_null_pointer_v<F>) {
      return add(std::move(key), nullptr);
    } else {
      if (internal::is_empty_callable(task)) return add(std::move(key), nullptr);
      return insert(std::move(key), internal::OffloadedStage<Key, F>{std::make_shared<F>(std::move(task))}, options);
    }
  }
  /// From now on nobody knows the key, and it may be given to another task. Errors: `unknown_key`.
  Result<void> remove(const Key& key, Removal how = Removal::drop) {
    core_->loop().require_owner();
    if (core_->erase(key, how)) return {};
    return fail(Errc::unknown_key, "no task has the key {}", internal::text_of(key));
  }
  /// `hook(Control<Key>&, std::optional<T>)` is called with each value that it takes from the channel while the
  /// scheduler runs, and with nothing when the channel is closed; after that it is unregistered. It returns nothing, a
  /// `Result<void>`, a `HookAction`, or a `Result<HookAction>`; an error ends the run. Errors: `invalid_argument` for
  /// an empty channel or function.
  template <typename T, typename F>
  Result<HookId> add_hook(Channel<T> channel, F hook) {
    if (!channel) return fail(Errc::invalid_argument, "a hook was given an empty channel");
    if constexpr (std::is_null_pointer_v<F>) {
      return fail(Errc::invalid_argument, "a hook has no function");
    } else {
      if (internal::is_empty_callable(hook)) return add_hook(std::move(channel), nullptr);
      core_->loop().require_owner();
      return HookId{
          core_->add_hook(std::make_shared<internal::ChannelHook<Key, T, F>>(std::move(channel), std::move(hook)))};
    }
  }
  /// Errors: `not_found`.
  Result<void> remove_hook(HookId id) {
    core_->loop().require_owner();
    if (core_->remove_hook(id.value)) return {};
    return fail(Errc::not_found, "the scheduler has no hook {}", id.value);
  }
  /// `hook(Control<Key>&)` is called at the start of every run, in the order of adding, before anything else: the place
  /// for first schedules. An error ends the run. Errors: `invalid_argument` for an empty function.
  template <typename F>
  Result<void> add_run_hook(F hook) {
    if constexpr (std::is_null_pointer_v<F>) {
      return fail(Errc::invalid_argument, "a run hook has no function");
    } else {
      if (internal::is_empty_callable(hook)) return add_run_hook(nullptr);
      core_->add_run_hook([hook = std::move(hook)](const internal::CallHandle& handle) mutable -> Result<void> {
        Control<Key> control(handle);
        return internal::call_for_result(hook, control);
      });
      return {};
    }
  }
  /// Makes room for that many tasks.
  void reserve(std::size_t tasks) { core_->reserve(tasks); }

  // --- Running ---

  /// Runs until something ends it; fulfilled with what: `cancelled` on a stop, `timed_out` at the deadline, the error
  /// of a task or hook as it was, or its exception within `task_failed` or `hook_failed`, which name the key. First
  /// waits for tasks of an earlier run that have not ended. All schedules are gone when it ends; it may then run again.
  /// Keeps the loop alive. At once, `no_tasks` or `already_running`. Rejected only if the loop ends (`terminated`).
  Promise<Reason> run(RunOptions options = {}) {
    core_->loop().require_owner();
    return core_->run(std::move(options));
  }
  /// The same for a scheduler on a thread of its own: turns the loop on this thread until the run has ended.
  Reason run_here(RunOptions options = {}) {
    Loop& loop = core_->loop();
    const auto ended = run(std::move(options));
    while (ended.is_pending()) {
      if (auto turned = loop.run_once(); !turned) return std::move(turned).error();
    }
    return ended.is_fulfilled() ? *ended.value() : *ended.reason();
  }
  bool is_running() const noexcept { return core_->is_run_active(); }

  // --- Looking ---

  std::size_t size() const noexcept { return core_->task_count(); }
  /// Errors: `unknown_key`.
  Result<TaskStats> stats(const Key& key) const {
    const internal::TaskState* const task = core_->find(key);
    if (task == nullptr) return fail(Errc::unknown_key, "no task has the key {}", internal::text_of(key));
    return task->stats;
  }
  const SchedulerStats& stats() const { return core_->stats(); }
  /// Tasks that wait for their time. They share one timer of the loop.
  std::size_t pending_timers() const noexcept { return core_->pending_timers(); }

 private:
  using Core = internal::KeyedCore<Key, Hash, Equal>;

  template <typename Stage>
  Result<void> insert(Key key, Stage stage, const TaskOptions& options) {
    core_->loop().require_owner();
    if (options.retry) {
      try {
        static_cast<void>(Backoff(*options.retry));
      } catch (const std::invalid_argument& error) {
        return fail(Errc::invalid_argument, "{}", error.what());
      }
    }
    if (core_->find(key) != nullptr) {
      return fail(Errc::duplicate_key, "there is a task with the key {} already", internal::text_of(key));
    }
    internal::TaskState* const task = core_->insert(std::move(key));
    task->start = std::move(stage);
    core_->configure(*task, options);
    return {};
  }

  std::shared_ptr<Core> core_;
};

}  // namespace gyre::poll
