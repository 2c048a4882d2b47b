#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <gyre/base/clock.h>
#include <gyre/base/context.h>
#include <gyre/base/error.h>
#include <gyre/base/histogram.h>
#include <gyre/base/task.h>
#include <gyre/loop/loop.h>
#include <gyre/poll/keep_alive.h>
#include <gyre/poll/time.h>
#include <gyre/promise/promise.h>
#include <gyre/promise/stop.h>

// Groups single jobs into calls of a processor: one insert for many rows, one request for many keys.

namespace gyre::poll {

/// What a full batcher does with one job more.
enum class WhenFull {
  wait,         ///< It is accepted when there is room again.
  refuse,       ///< It fails with `backpressure`.
  drop_oldest,  ///< The jobs of the oldest waiting batch fail with `backpressure`.
};

/// What made a batch be handed over.
enum class BatchTrigger : std::uint8_t { size, time, idle, key_limit, shutdown };
inline constexpr std::size_t kBatchTriggers = 5;

template <typename Job, typename Key = std::monostate>
struct BatcherOptions {
  /// Jobs in a batch; 0 means 16, negative no limit.
  std::int64_t max_size = 16;
  /// How long a batch waits for more, from its first job on; 0 means 50 ms, negative without end.
  Duration interval = std::chrono::milliseconds(50);
  /// Calls of the processor at a time; 0 means 1, negative any number.
  std::int64_t max_concurrent = 1;
  /// Batches that may wait for the processor before the batcher is full; at least 1.
  std::size_t max_waiting = 1;
  WhenFull when_full = WhenFull::wait;
  /// What a job counts, for example its bytes; a batch ends before the sum exceeds `max_cost`. A job that is greater by
  /// itself is a batch by itself. Empty: only numbers count.
  std::function<std::size_t(const Job&)> cost = {};
  std::size_t max_cost = 0;
  /// Hand a batch over at the end of this turn of the loop whenever no call is under way.
  bool flush_when_idle = false;
  /// Jobs with different keys are never in one batch. Empty: one batch for all.
  std::function<Key(const Job&)> key = {};
  /// Open batches of different keys; beyond that, the batch of the key that was used least recently is handed over.
  std::size_t max_keys = 1024;
};

struct BatcherStats {
  std::uint64_t accepted = 0;
  std::uint64_t cancelled = 0;                 ///< Taken back before they were handed over.
  std::uint64_t refused = 0;                   ///< For want of room.
  std::uint64_t batches[kBatchTriggers] = {};  ///< By `BatchTrigger`.
  std::size_t in_flight = 0;                   ///< Calls of the processor.
  std::size_t waiting = 0;                     ///< Jobs that were accepted and not handed over.
  Histogram sizes;
  Histogram queue_wait;  ///< From a job's acceptance to the processor, in nanoseconds.

  std::uint64_t by(BatchTrigger trigger) const { return batches[static_cast<std::size_t>(trigger)]; }
};

/// What a processor is told beside its jobs.
struct BatchCall {
  std::stop_token stop;  ///< Stopped when the call has ended, and when the batcher is closed.
  BatchTrigger trigger = {};
  std::vector<Context> contexts;  ///< Of whoever submitted each job.
};

namespace internal {

template <typename R>
using BatchResults = std::vector<Result<R>>;

template <typename Job, typename R, typename Key, typename Hash>
class BatcherCore;

/// A job between its submission and its result.
template <typename Job, typename R>
struct Entry {
  enum class Place { blocked, open, waiting, running, gone };

  std::optional<Job> job;
  Resolver<R> result;
  std::optional<Resolver<void>> accepted;
  Context context;
  std::size_t cost = 1;
  TimePoint accepted_at = {};
  Place place = Place::blocked;
  void* batch = nullptr;        // while it is open or waiting
  std::shared_ptr<void> watch;  // for its submitter's stop, while it is blocked
};

template <typename Job, typename R, typename Key>
struct Batch {
  std::vector<std::shared_ptr<Entry<Job, R>>> entries;
  std::size_t cost = 0;
  TimePoint due = TimePoint::max();
  std::uint64_t used = 0;
  BatchTrigger trigger = {};
  std::optional<Key> key;
};

}  // namespace internal

/// A job that was submitted: whether it was accepted, what came of it. Copyable; for the loop's thread.
template <typename R>
class Submission {
 public:
  Submission(Promise<void> accepted, Promise<R> result, std::function<bool()> cancel)
      : accepted_(std::move(accepted)), result_(std::move(result)), cancel_(std::move(cancel)) {}

  /// Fulfilled when a batch has taken the job. Rejected with `cancelled`, `closed` or `backpressure`, and then the
  /// result is too.
  const Promise<void>& accepted() const noexcept { return accepted_; }
  const Promise<R>& result() const noexcept { return result_; }
  /// The result, unless `stop` is requested first: then `cancelled`, and the job goes on.
  Promise<R> wait(std::stop_token stop) const { return unless_stopped(result_, std::move(stop)); }
  /// Takes the job back: true if it will never reach the processor. Its place in the batch is free again.
  bool cancel() const { return cancel_(); }

 private:
  Promise<void> accepted_;
  Promise<R> result_;
  std::function<bool()> cancel_;
};

namespace internal {

template <typename Job, typename R, typename Key, typename Hash>
class BatcherCore final : public std::enable_shared_from_this<BatcherCore<Job, R, Key, Hash>> {
 public:
  using Options = BatcherOptions<Job, Key>;
  using TheEntry = Entry<Job, R>;
  using EntryPtr = std::shared_ptr<TheEntry>;
  using TheBatch = Batch<Job, R, Key>;
  using Batches = std::list<TheBatch>;
  using Place = typename TheEntry::Place;
  /// Starts the processor; the promise is settled with one result a job.
  using Start = std::function<Promise<BatchResults<R>>(PromiseHome, std::vector<Job>, BatchCall)>;

  BatcherCore(Loop& loop, Options options, Start start)
      : loop_(loop),
        remote_(loop.remote()),
        clock_(loop.clock()),
        promises_(Promises::of(loop)),
        options_(std::move(options)),
        start_(std::move(start)) {
    max_size_ =
        options_.max_size < 0 ? kUnbounded : static_cast<std::size_t>(options_.max_size == 0 ? 16 : options_.max_size);
    has_interval_ = options_.interval >= Duration::zero();
    interval_ = options_.interval == Duration::zero() ? std::chrono::milliseconds(50) : options_.interval;
    max_concurrent_ = options_.max_concurrent < 0
                          ? kUnbounded
                          : static_cast<std::size_t>(options_.max_concurrent == 0 ? 1 : options_.max_concurrent);
    max_cost_ = options_.cost && options_.max_cost > 0 ? options_.max_cost : kUnbounded;
    if (max_size_ == kUnbounded && max_cost_ == kUnbounded && !has_interval_ && !options_.flush_when_idle) {
      throw std::invalid_argument("gyre: a batcher needs a limit: a size, a cost, an interval, or flush_when_idle");
    }
    if (options_.max_waiting == 0 || options_.max_keys == 0) {
      throw std::invalid_argument("gyre: a batcher's max_waiting and max_keys are at least 1");
    }
  }

  Submission<R> submit(Job job, std::stop_token stop) {
    loop_.require_owner();
    auto [result, result_resolver] = Promise<R>::with_resolver(promises_);
    auto [accepted, accepted_resolver] = Promise<void>::with_resolver(promises_);
    result.ignore_rejection();
    accepted.ignore_rejection();
    const auto entry = std::make_shared<TheEntry>();
    entry->job.emplace(std::move(job));
    entry->result = std::move(result_resolver);
    entry->accepted = std::move(accepted_resolver);
    entry->context = Context::current();
    Submission<R> submission(accepted, result, [weak = this->weak_from_this(), entry] {
      const auto core = weak.lock();
      return core != nullptr && core->take_back(entry);
    });
    if (stop.stop_requested()) {
      drop(entry, Error(Errc::cancelled, "the job was stopped before it was accepted"));
    } else if (is_closed_) {
      drop(entry, closed());
    } else {
      if (options_.cost) entry->cost = options_.cost(*entry->job);
      if (!blocked_.empty() || !accept(entry)) when_full(entry);
      if (entry->place == Place::blocked && stop.stop_possible()) watch(entry, std::move(stop));
    }
    return submission;
  }

  Promise<void> shutdown(std::stop_token stop) {
    loop_.require_owner();
    stop_accepting();
    if (stop.stop_requested()) {
      source_.request_stop();
      return Promise<void>::rejected(promises_,
                                     Error(Errc::cancelled, "the wait for the batcher's end was stopped on request"));
    }
    auto end = when_done();
    if (!stop.stop_possible()) return end;
    return unless_stopped(end, stop).catch_(Errc::cancelled, [self = this->shared_from_this()](const Reason& reason) {
      self->source_.request_stop();
      reason.rethrow();
    });
  }

  Promise<void> close(Duration limit) {
    loop_.require_owner();
    auto source = source_;
    stop_accepting();
    auto end = when_done();
    source.request_stop();
    if (end.is_pending() && limit < Duration::max() && !close_timer_ && !remote_.is_done()) {
      auto armed = loop_.set_timeout(limit, [self = this->shared_from_this()] {
        self->close_timer_ = TimerId();
        self->give_up();
      });
      if (armed) close_timer_ = *armed;
    }
    return end;
  }

  /// The batcher goes. Calls that are under way give their results still.
  void abandon() {
    is_closed_ = true;
    if (!remote_.is_done()) cancel_timers();
    for (const auto& entry : std::exchange(blocked_, {})) drop(entry, closed());
    for (auto* batches : {&waiting_, &open_}) {
      Batches taken;
      taken.swap(*batches);
      for (const auto& batch : taken) {
        for (const auto& entry : batch.entries) drop(entry, closed());
      }
    }
    by_key_.clear();
    settle_end();
    if (in_flight_ > 0 && !remote_.is_done()) {
      auto keeper = std::make_shared<KeepAlive>(this->shared_from_this());
      keeper_ = keeper;
      loop_.add_extension(nullptr, std::move(keeper));
    }
    auto source = source_;
    source.request_stop();
  }

  const BatcherStats& stats() {
    stats_.in_flight = in_flight_;
    stats_.waiting = waiting_jobs_;
    return stats_;
  }
  const Remote& remote() const noexcept { return remote_; }
  PromiseHome promise_home() const { return promises_; }

 private:
  static constexpr std::size_t kUnbounded = std::numeric_limits<std::size_t>::max();

  static Error closed() { return Error(Errc::closed, "the batcher has been shut down and accepts no jobs"); }

  // --- Accepting ---

  bool accept(const EntryPtr& entry) {
    std::optional<Key> key;
    if (options_.key) key = options_.key(*entry->job);
    auto batch = find_open(key);
    if (batch != open_.end() && batch->cost + entry->cost > max_cost_) {
      hand_over(batch, BatchTrigger::size);
      batch = open_.end();
      if (drop_if_closed(entry)) return true;
    }
    if (batch == open_.end()) {
      if (waiting_.size() >= options_.max_waiting) return false;
      if (open_.size() >= options_.max_keys) {
        hand_over(std::ranges::min_element(open_, {}, &TheBatch::used), BatchTrigger::key_limit);
        if (drop_if_closed(entry)) return true;
      }
      batch = open_.emplace(open_.end());
      batch->key = std::move(key);
      if (batch->key) by_key_.emplace(*batch->key, batch);
      if (has_interval_) batch->due = later(clock_.now(), interval_);
    }
    entry->place = Place::open;
    entry->batch = &*batch;
    entry->accepted_at = clock_.now();
    batch->entries.push_back(entry);
    batch->cost += entry->cost;
    batch->used = ++uses_;
    ++waiting_jobs_;
    ++stats_.accepted;
    entry->watch.reset();
    std::exchange(entry->accepted, std::nullopt)->resolve();
    if (batch->entries.size() >= max_size_ || batch->cost >= max_cost_) {
      hand_over(batch, BatchTrigger::size);
    } else {
      arm();
      if (options_.flush_when_idle && in_flight_ == 0) flush_soon();
    }
    return true;
  }

  /// The processor has just run, and may have closed its batcher.
  bool drop_if_closed(const EntryPtr& entry) {
    if (is_closed_) drop(entry, closed());
    return is_closed_;
  }

  typename Batches::iterator find_open(const std::optional<Key>& key) {
    if (!key) return open_.begin();
    const auto place = by_key_.find(*key);
    return place == by_key_.end() ? open_.end() : place->second;
  }

  void when_full(const EntryPtr& entry) {
    switch (options_.when_full) {
      case WhenFull::wait:
        blocked_.push_back(entry);
        return;
      case WhenFull::drop_oldest: {
        TheBatch oldest = std::move(waiting_.front());
        waiting_.pop_front();
        waiting_jobs_ -= oldest.entries.size();
        stats_.refused += oldest.entries.size();
        for (const auto& dropped : oldest.entries) {
          drop(dropped, Error(Errc::backpressure, "the job was dropped for a newer one: the batcher was full"));
        }
        if (accept(entry)) return;
        break;
      }
      case WhenFull::refuse:
        break;
    }
    ++stats_.refused;
    drop(entry, Error(Errc::backpressure, "the batcher is full: its processor is behind; try again later"));
  }

  void accept_blocked() {
    while (!blocked_.empty() && !is_closed_) {
      const auto entry = blocked_.front();
      if (!accept(entry)) return;
      blocked_.pop_front();
    }
  }

  struct OnStop {
    std::weak_ptr<BatcherCore> core;
    EntryPtr entry;
    Remote remote;
    void operator()() noexcept {
      static_cast<void>(remote.post_priority([core = core, entry = entry] {
        if (const auto live = core.lock(); live != nullptr && entry->place == Place::blocked) live->take_back(entry);
      }));
    }
  };
  /// A job that waits for acceptance gives up when its submitter does.
  void watch(const EntryPtr& entry, std::stop_token stop) {
    entry->watch =
        std::make_shared<std::stop_callback<OnStop>>(std::move(stop), OnStop{this->weak_from_this(), entry, remote_});
  }

  /// For jobs that were not handed over. True if it is out of its batch.
  bool take_back(const EntryPtr& entry) {
    switch (entry->place) {
      case Place::blocked:
        std::erase(blocked_, entry);
        break;
      case Place::open:
      case Place::waiting: {
        auto& batch = *static_cast<TheBatch*>(entry->batch);
        std::erase(batch.entries, entry);
        batch.cost -= entry->cost;
        --waiting_jobs_;
        if (batch.entries.empty()) discard(batch, entry->place == Place::open ? open_ : waiting_);
        break;
      }
      case Place::running:
      case Place::gone:
        return false;
    }
    ++stats_.cancelled;
    drop(entry, Error(Errc::cancelled, "the job was taken back"));
    arm();
    accept_blocked();
    settle_end();
    return true;
  }

  void discard(TheBatch& batch, Batches& list) {
    if (&list == &open_ && batch.key) by_key_.erase(*batch.key);
    list.remove_if([&](const TheBatch& held) { return &held == &batch; });
  }

  /// Fails a job that never reached the processor.
  void drop(const EntryPtr& entry, const Error& error) {
    entry->place = Place::gone;
    entry->watch.reset();
    entry->job.reset();
    if (auto accepted = std::exchange(entry->accepted, std::nullopt)) accepted->reject(error);
    entry->result.reject(error);
  }

  // --- Handing over ---

  void hand_over(typename Batches::iterator batch, BatchTrigger trigger) {
    if (batch->key) by_key_.erase(*batch->key);
    batch->trigger = trigger;
    for (const auto& entry : batch->entries) entry->place = Place::waiting;
    waiting_.splice(waiting_.end(), open_, batch);
    arm();
    start_waiting();
  }

  void start_waiting() {
    if (is_starting_) return;  // a processor that submits jobs: the loop below sees to them
    const auto self = this->shared_from_this();
    is_starting_ = true;
    while (!waiting_.empty() && in_flight_ < max_concurrent_) {
      TheBatch batch = std::move(waiting_.front());
      waiting_.pop_front();
      start(std::move(batch));
    }
    is_starting_ = false;
  }

  void start(TheBatch batch) {
    std::vector<Job> jobs;
    jobs.reserve(batch.entries.size());
    BatchCall call;
    call.trigger = batch.trigger;
    const TimePoint now = clock_.now();
    for (const auto& entry : batch.entries) {
      jobs.push_back(*std::move(entry->job));
      entry->job.reset();
      entry->place = Place::running;
      call.contexts.push_back(entry->context);
      stats_.queue_wait.record(
          static_cast<std::uint64_t>(std::max(Duration::zero(), elapsed(entry->accepted_at, now)).count()));
    }
    waiting_jobs_ -= jobs.size();
    stats_.sizes.record(jobs.size());
    ++stats_.batches[static_cast<std::size_t>(batch.trigger)];
    ++in_flight_;
    auto running = std::make_shared<Running>(source_.get_token(), std::move(batch.entries));
    running_.push_back(running);
    call.stop = running->stop.get_token();
    const auto self = this->shared_from_this();
    auto results =
        Promise<BatchResults<R>>::try_(promises_, [&] { return start_(promises_, std::move(jobs), std::move(call)); });
    results.then([self, running](BatchResults<R> given) { self->finish(running, std::move(given)); },
                 [self, running](const Reason& reason) { self->fail(running, reason); });
  }

  /// One call of the processor.
  struct Running {
    struct Forward {
      std::stop_source& source;
      void operator()() noexcept { source.request_stop(); }
    };
    Running(std::stop_token closing, std::vector<EntryPtr> held)
        : entries(std::move(held)), on_close(std::move(closing), Forward{stop}) {}

    std::vector<EntryPtr> entries;
    std::stop_source stop;
    std::stop_callback<Forward> on_close;
  };

  void finish(const std::shared_ptr<Running>& running, BatchResults<R> results) {
    if (results.size() != running->entries.size()) {
      fail(running, Error(Errc::broken, fmt::format("the processor gave {} results for {} jobs", results.size(),
                                                    running->entries.size())));
      return;
    }
    for (std::size_t i = 0; i < results.size(); ++i) {
      running->entries[i]->place = Place::gone;
      running->entries[i]->result.resolve(std::move(results[i]));
    }
    end(running);
  }
  void fail(const std::shared_ptr<Running>& running, const Reason& reason) {
    for (const auto& entry : running->entries) {
      entry->place = Place::gone;
      entry->result.reject(reason);
    }
    end(running);
  }
  void end(const std::shared_ptr<Running>& running) {
    std::erase(running_, running);
    --in_flight_;
    if (!remote_.is_done()) {
      start_waiting();
      accept_blocked();
      if (options_.flush_when_idle && in_flight_ == 0 && !open_.empty()) flush_soon();
      settle_end();
      if (in_flight_ == 0) {
        if (const auto keeper = keeper_.lock()) loop_.remove_extension(*keeper);
      }
    }
    running->stop.request_stop();
  }

  // --- Time ---

  void arm() {
    if (remote_.is_done()) return;
    TimePoint due = TimePoint::max();
    if (!open_.empty()) due = open_.front().due;  // the same interval for all: the first was opened first
    if (timer_ && timer_due_ == due) return;
    if (timer_) static_cast<void>(loop_.cancel(std::exchange(timer_, TimerId())));
    if (due == TimePoint::max()) return;
    auto armed = loop_.set_timeout_at(due, [weak = this->weak_from_this()] {
      const auto self = weak.lock();
      if (self == nullptr) return;
      self->timer_ = TimerId();
      while (!self->open_.empty() && self->open_.front().due <= self->clock_.now()) {
        self->hand_over(self->open_.begin(), BatchTrigger::time);
      }
      self->arm();
    });
    if (!armed) return;
    timer_ = *armed;
    timer_due_ = due;
  }
  void flush_soon() {
    if (flush_is_posted_) return;
    flush_is_posted_ = loop_
                           .set_immediate([weak = this->weak_from_this()] {
                             const auto self = weak.lock();
                             if (self == nullptr) return;
                             self->flush_is_posted_ = false;
                             if (self->in_flight_ == 0 && !self->open_.empty()) {
                               self->hand_over(self->open_.begin(), BatchTrigger::idle);
                             }
                           })
                           .has_value();
  }

  // --- The end ---

  void stop_accepting() {
    if (std::exchange(is_closed_, true)) return;
    for (const auto& entry : std::exchange(blocked_, {})) drop(entry, closed());
    while (!open_.empty()) hand_over(open_.begin(), BatchTrigger::shutdown);
  }
  Promise<void> when_done() {
    if (!end_) {
      auto [promise, resolver] = Promise<void>::with_resolver(promises_);
      promise.ignore_rejection();
      end_ = promise;
      end_resolver_ = std::move(resolver);
      settle_end();
    }
    return *end_;
  }
  void settle_end() {
    if (!end_ || end_resolver_.is_settled() || in_flight_ > 0 || !waiting_.empty()) return;
    if (close_timer_) static_cast<void>(loop_.cancel(std::exchange(close_timer_, TimerId())));
    end_resolver_.resolve();
  }
  /// The processor does not end in time: nobody shall wait for it any more.
  void give_up() {
    const Error error(Errc::timed_out, "the batcher's processor had not ended when the time for closing it was over");
    Batches waiting;
    waiting.swap(waiting_);
    for (const auto& batch : waiting) {
      waiting_jobs_ -= batch.entries.size();
      for (const auto& entry : batch.entries) drop(entry, error);
    }
    for (const auto& running : running_) {
      for (const auto& entry : running->entries) entry->result.reject(error);
    }
    if (end_ && !end_resolver_.is_settled()) end_resolver_.reject(error);
  }
  void cancel_timers() {
    for (TimerId* timer : {&timer_, &close_timer_}) {
      if (*timer) static_cast<void>(loop_.cancel(std::exchange(*timer, TimerId())));
    }
  }

  Loop& loop_;
  const Remote remote_;
  Clock& clock_;
  const Promises promises_;
  const Options options_;
  Start start_;
  std::size_t max_size_;
  std::size_t max_concurrent_;
  std::size_t max_cost_;
  bool has_interval_;
  Duration interval_;

  Batches open_;     // in the order of opening
  Batches waiting_;  // for the processor
  std::deque<EntryPtr> blocked_;
  std::unordered_map<Key, typename Batches::iterator, Hash> by_key_;
  std::vector<std::shared_ptr<Running>> running_;
  std::size_t in_flight_ = 0;
  std::size_t waiting_jobs_ = 0;
  std::uint64_t uses_ = 0;
  bool is_closed_ = false;
  bool is_starting_ = false;
  bool flush_is_posted_ = false;
  TimerId timer_ = {};
  TimePoint timer_due_ = {};
  TimerId close_timer_ = {};
  std::stop_source source_;
  std::weak_ptr<LoopExtension> keeper_;
  std::optional<Promise<void>> end_;
  Resolver<void> end_resolver_;
  BatcherStats stats_;
};

/// Calls a processor in the form that it has, and makes one result a job of what it returns.
template <typename Job, typename R, typename F>
Promise<BatchResults<R>> call_processor(F& f, PromiseHome home, std::vector<Job> jobs, BatchCall call) {
  const std::size_t count = jobs.size();
  const auto invoke = [&]() -> decltype(auto) {
    if constexpr (std::is_invocable_v<F&, Loop&, std::vector<Job>, BatchCall>) {
      return std::invoke(f, home.loop(), std::move(jobs), std::move(call));
    } else if constexpr (std::is_invocable_v<F&, Loop&, std::vector<Job>>) {
      return std::invoke(f, home.loop(), std::move(jobs));
    } else if constexpr (std::is_invocable_v<F&, std::vector<Job>, BatchCall>) {
      return std::invoke(f, std::move(jobs), std::move(call));
    } else {
      static_assert(std::is_invocable_v<F&, std::vector<Job>>, "a processor takes a std::vector of jobs");
      return std::invoke(f, std::move(jobs));
    }
  };
  using Returned = std::invoke_result_t<decltype(invoke)>;
  const auto all_done = [count] { return BatchResults<R>(count); };
  if constexpr (std::is_same_v<Returned, Promise<BatchResults<R>>>) {
    return invoke();
  } else if constexpr (std::is_void_v<R> && std::is_same_v<Returned, Promise<void>>) {
    return invoke().then(all_done);
  } else if constexpr (std::is_void_v<R> && std::is_void_v<Returned>) {
    invoke();
    return Promise<BatchResults<R>>::resolved(home, all_done());
  } else if constexpr (std::is_void_v<R> && std::is_same_v<Returned, Result<void>>) {
    if (Result<void> result = invoke(); !result) {
      return Promise<BatchResults<R>>::rejected(home, std::move(result).error());
    }
    return Promise<BatchResults<R>>::resolved(home, all_done());
  } else {
    return Promise<BatchResults<R>>::resolved(home, invoke());
  }
}

/// A thread that waits for one result.
template <typename R>
struct ThreadWait {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::optional<Result<R>> result;

  void settle(Result<R> given) {
    const std::lock_guard lock(mutex);
    if (!result) result.emplace(std::move(given));
    changed.notify_all();
  }
};
/// Settles the wait in any case: the loop may be closed, and destroy what it was given.
template <typename R>
struct ThreadWaitTicket {
  std::shared_ptr<ThreadWait<R>> wait;
  explicit ThreadWaitTicket(std::shared_ptr<ThreadWait<R>> given) : wait(std::move(given)) {}
  ThreadWaitTicket(ThreadWaitTicket&&) noexcept = default;
  ~ThreadWaitTicket() {
    if (wait != nullptr) wait->settle(fail(Errc::terminated, "the loop ended before the batch did"));
  }
};

}  // namespace internal

/// A batcher as other threads see it: copyable, safe from any thread, also after the batcher and its loop have gone.
template <typename Job, typename R, typename Key = std::monostate, typename Hash = std::hash<Key>>
class RemoteBatcher {
 public:
  explicit RemoteBatcher(std::shared_ptr<internal::BatcherCore<Job, R, Key, Hash>> core)
      : remote_(core->remote()), core_(core) {}

  /// Calls `on_done(Result<R>)` on the batcher's loop, or on that of `executor`. A loop that is closed first destroys
  /// it uncalled. Errors: `terminated` if the batcher's loop accepts nothing any more; `on_done` is then not called.
  Result<void> submit(Job job, UniqueFunction<void(Result<R>)> on_done, std::optional<Remote> executor = {}) const {
    auto done = std::make_shared<UniqueFunction<void(Result<R>)>>(std::move(on_done));
    const auto deliver = [done, executor = std::move(executor)](Result<R> result) {
      if (!executor) return (*done)(std::move(result));
      static_cast<void>(Remote(*executor).post_completion(
          [done, result = std::move(result)]() mutable { (*done)(std::move(result)); }));
    };
    return Remote(remote_).post([core = core_, job = std::move(job), deliver]() mutable {
      const auto live = core.lock();
      if (live == nullptr) return deliver(fail(Errc::closed, "the batcher has gone"));
      const auto result = live->submit(std::move(job), {}).result();
      const auto on_failure = [deliver](const Reason& reason) { deliver(std::unexpected(reason.error())); };
      if constexpr (std::is_void_v<R>) {
        result.then([deliver] { deliver({}); }, on_failure);
      } else {
        result.then([deliver](R value) { deliver(std::move(value)); }, on_failure);
      }
    });
  }
  /// Waits for the result on this thread, which must not be the loop's. Errors: also `cancelled` on `stop` (the job
  /// goes on) and `terminated`.
  Result<R> call(Job job, std::stop_token stop = {}) const {
    if (remote_.on_loop_thread()) {
      return fail(Errc::unsupported, "the loop's own thread cannot wait for a batch; use Batcher::submit");
    }
    auto wait = std::make_shared<internal::ThreadWait<R>>();
    auto submitted = submit(std::move(job), [ticket = internal::ThreadWaitTicket<R>(wait)](Result<R> result) {
      ticket.wait->settle(std::move(result));
    });
    if (!submitted) return std::unexpected(std::move(submitted).error());
    std::unique_lock lock(wait->mutex);
    if (!wait->changed.wait(lock, std::move(stop), [&] { return wait->result.has_value(); })) {
      return fail(Errc::cancelled, "the wait for a batch was stopped on request");
    }
    return *std::move(wait->result);
  }

 private:
  Remote remote_;
  std::weak_ptr<internal::BatcherCore<Job, R, Key, Hash>> core_;
};

/// Groups jobs into calls of a processor, in the order of their acceptance. A batch is handed over when it has its size
/// or cost, or when its first job has waited for the interval. Callers get a result each.
///
/// When the processor falls behind, a bounded number of batches waits for it; then submissions wait too, or fail
/// (`WhenFull`). The loop is never blocked.
///
/// For the loop's thread; `remote` is for others. Destroying it fails jobs that were not handed over with `closed`;
/// calls under way are told to stop and give their results still.
///
/// ```
/// gyre::poll::Batcher<Row, void> rows(loop, {.max_size = 100}, [&](std::vector<Row> batch) { database.insert(batch);
/// }); co_await rows.submit(row).result();
/// ```
template <typename Job, typename R = void, typename Key = std::monostate, typename Hash = std::hash<Key>>
class Batcher {
 public:
  using Options = BatcherOptions<Job, Key>;

  /// The processor is called on the loop's thread with `(std::vector<Job>)`, and a `BatchCall` after it and a `Loop&`
  /// before it if it takes them (a coroutine needs the loop). It returns `std::vector<Result<R>>`, one for each job in
  /// order, or a `Result` or `Promise` of that; where R is void, also nothing, `Result<void>` or `Promise<void>`, for
  /// all alike. What it throws fails all jobs of its batch. Throws std::invalid_argument without a processor, and for
  /// options without any limit.
  template <typename F>
  Batcher(Loop& loop, Options options, F processor) {
    if constexpr (std::is_null_pointer_v<F>) {
      throw std::invalid_argument("gyre: a batcher needs a processor");
    } else {
      if constexpr (requires { processor.operator bool(); }) {
        if (!processor) throw std::invalid_argument("gyre: a batcher needs a processor");
      }
      auto shared = std::make_shared<F>(std::move(processor));
      core_ = std::make_shared<Core>(
          loop, std::move(options), [shared](PromiseHome home, std::vector<Job> jobs, BatchCall call) {
            return internal::call_processor<Job, R>(*shared, home, std::move(jobs), std::move(call));
          });
    }
  }
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;
  ~Batcher() { core_->abandon(); }

  /// Never waits itself: see `Submission`. `stop` takes the job back until it is accepted.
  Submission<R> submit(Job job, std::stop_token stop = {}) {
    const auto core = core_;  // a processor may destroy its batcher
    return core->submit(std::move(job), std::move(stop));
  }
  /// Accepts no more jobs, hands over what is there, and is fulfilled when all batches are done. If `stop` is requested
  /// first, the processor's tokens are stopped, and this is rejected with `cancelled` at once.
  Promise<void> shutdown(std::stop_token stop = {}) {
    const auto core = core_;
    return core->shutdown(std::move(stop));
  }
  /// Like `shutdown`, and stops the processor's tokens at once. When `limit` is over, this is rejected with
  /// `timed_out`, and so is every job that has no result yet.
  Promise<void> close(Duration limit = Duration::max()) {
    const auto core = core_;
    return core->close(limit);
  }

  RemoteBatcher<Job, R, Key, Hash> remote() const { return RemoteBatcher<Job, R, Key, Hash>(core_); }
  const BatcherStats& stats() const { return core_->stats(); }

 private:
  using Core = internal::BatcherCore<Job, R, Key, Hash>;

  std::shared_ptr<Core> core_;
};

}  // namespace gyre::poll
