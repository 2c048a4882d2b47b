#pragma once

#include <memory>
#include <thread>
#include <vector>

#include <gyre/loop/loop.h>
#include <gyre/promise/promise_base.h>
#include <gyre/promise/promise_observer.h>
#include <gyre/promise/promise_records.h>

namespace gyre {

/// What becomes of rejections that nobody handles once the loop has ended.
enum class LateRejections : std::uint8_t {
  ignored,   ///< They are dropped.
  isolated,  ///< `on_unhandled_rejection` is called for each, on a thread of its own.
};

struct PromiseOptions {
  /// Told of every rejection that nobody has handled by the end of the checkpoint in which it happened, in the order of
  /// the rejections, on the loop's thread. What it throws is contained by the loop, and the next report follows.
  /// Without it, unhandled rejections go to `LoopOptions::on_callback_error` as errors.
  UniqueFunction<void(const Reason& reason)> on_unhandled_rejection = {};
  /// Told when a rejection that was reported has found a handler after all, at the end of that checkpoint.
  UniqueFunction<void(const Reason& reason)> on_rejection_handled = {};
  LateRejections late_rejections = LateRejections::ignored;
  /// So many places are recorded for each promise: where it was made, and where those before it in its chain were. A
  /// rejection shows them (`Reason::trace`). 0 costs nothing; otherwise an allocation or two per promise.
  std::size_t trace_depth = 0;
  /// Reactions that settle together share a microtask, up to this many. The order of everything stays the same; what
  /// counts or limits microtasks counts fewer, and a checkpoint that is put off or closed ends after the whole batch.
  std::size_t reaction_batch = 1;
  /// Where the end of the loop refuses a reaction, callbacks of `finally` run all the same, because they free things.
  bool run_finally_at_end = false;
  /// How many promises may wait for one another in a row, by `then`, `finally`, `co_await`, or because one was resolved
  /// with the next; up to 65535, 0 for no limit. The one that would be too many is rejected with
  /// `Errc::limit_exceeded` at once, and its handlers are not called; a `co_await` throws that. Recursion without an
  /// end goes on, but is told of, and its promises do not take all memory. With combinators a row begins anew. Costs
  /// time in proportion to the length of the row, for each promise.
  std::size_t depth_limit = 0;
  /// A promise made with a resolver, or by a coroutine, that has been pending for so long is reported to `on_overdue`,
  /// once, on the loop's thread; 0 for never. One that waits for another is not: that other one is. Concerns promises
  /// that are made from then on. Costs an allocation for each, and keeps no loop alive.
  Duration overdue_after = {};
  /// Without it, overdue promises go to `LoopOptions::on_callback_error` as errors with the code `timed_out`.
  UniqueFunction<void(const OverduePromise& promise)> on_overdue = {};
  /// Sees what becomes of promises that are made from then on. It must live until it is taken away here, or the last
  /// of these promises has gone.
  PromiseObserver* observer = nullptr;
  /// The observer sees each so-many-th promise, with all its transitions.
  std::size_t observe_every = 1;
};

namespace internal {

class CoroutineBase;
class RemoteLink;

/// What the promises of one adapter share: their loop, the reactions that are to run, the promises that the end of the
/// loop has to reject, the rejections that nobody has handled. It lives as long as its `Promises`, or any promise.
class PromiseDomain {
 public:
  /// The domain of promises that are made from the loop itself.
  static PromiseDomain& of(Loop& loop);
  /// With one reference, which the caller takes over.
  static PromiseDomain* make(Loop& loop, PromiseOptions options);

  PromiseDomain(const PromiseDomain&) = delete;
  PromiseDomain& operator=(const PromiseDomain&) = delete;

  /// For all but promises.
  void retain() noexcept {
    ++references_;
    ++outside_references_;
  }
  void release() noexcept {
    --outside_references_;
    release_promise();
  }
  void retain_promise() noexcept { ++references_; }
  void release_promise() noexcept {
    if (--references_ == 0) [[unlikely]]
      delete this;
  }

  /// Null once the loop has ended.
  Loop* loop() const noexcept { return loop_; }
  const Remote& remote() const noexcept { return remote_; }
  std::uint64_t loop_id() const noexcept { return loop_id_; }
  /// Throws std::logic_error on another thread than the loop's.
  void require_thread() const {
    if (loop_ != nullptr) loop_->require_owner();
  }
  bool has_ended() const noexcept { return loop_ == nullptr; }
  PromiseOptions& options() noexcept { return options_; }
  PromiseRecords& records() noexcept { return records_; }
  /// True if making a promise by `then` takes more than making it.
  bool follows_chains() const noexcept { return (options_.trace_depth | options_.depth_limit) != 0; }
  std::size_t live_promises() const noexcept { return references_ - outside_references_; }
  std::size_t registered() const noexcept { return pending_.count_others(); }
  std::size_t unhandled() const noexcept { return unhandled_.count_others(); }

  /// Queues a reaction as a microtask. Throws, and has done nothing, on another thread than the loop's.
  void enqueue(Reaction& reaction, PromiseBase& source) {
    if (loop_ != nullptr) [[likely]] {
      schedule(1);
      add_ready(reaction, source);
    } else {
      add_ready(reaction, source);
      refuse_all();
    }
  }
  /// Settles by calling `settle` within a microtask, and runs the reactions to that in the same one.
  template <typename Settle>
  void settle_in_place(Settle&& settle) {
    ReactionQueue reactions;
    ReactionQueue* const outer = std::exchange(captured_, &reactions);
    settle();
    captured_ = outer;
    run_all(reactions);
  }

  void track(CoroutineBase& frame) noexcept;
  void track(RemoteLink& link) noexcept;

 private:
  friend class PromiseBase;

  class Extension;

  /// A microtask that runs the reactions that are next in line.
  struct RunReactions {
    PromiseDomain* domain;
    std::size_t count;
    void operator()() const {
      if (count == 1) [[likely]] {
        domain->run_one(*domain->ready_.pop());
      } else {
        domain->run(count);
      }
    }
  };

  PromiseDomain(Loop& loop, PromiseOptions options);
  ~PromiseDomain();

  void start(PromiseBase& source, Reaction* last) noexcept;
  void schedule(std::size_t reactions) {
    // If the loop refuses, its end is near: that disposes of what is ready.
    if (current_context == nullptr) [[likely]] {
      static_cast<void>(loop_->queue_microtask(RunReactions{this, reactions}));
    } else {
      schedule_without_context(reactions);
    }
  }
  void schedule_without_context(std::size_t reactions);
  void add_ready(Reaction& reaction, PromiseBase& source) noexcept {
    source.retain();
    reaction.queued_source = &source;
    ready_.push(reaction);
  }
  void run(std::size_t reactions);
  void run_one(Reaction& reaction) {
    const auto source = StatePtr<PromiseBase>::adopt(reaction.queued_source);
    reaction.run(*source);
  }
  void run_all(ReactionQueue& reactions);
  void refuse_all() noexcept;
  void bury(PromiseBase& promise) noexcept;
  void bury_rest() noexcept;
  void end() noexcept;

  void add_unhandled(PromiseBase& promise) noexcept;
  void remove_unhandled(PromiseBase& promise) noexcept;
  void handled_late(PromiseBase& promise) noexcept;
  void schedule_check() noexcept;
  void check();
  void report_late(PromiseBase& promise) noexcept;

  Loop* loop_;
  ReactionQueue ready_;
  ReactionQueue* captured_ = nullptr;  // where reactions go instead, during settle_in_place
  std::size_t references_ = 1;
  std::size_t outside_references_ = 1;
  Links pending_;
  Links unhandled_;
  Links buried_;
  Links frames_;
  Links links_;
  std::vector<Reason> handled_late_;
  PromiseOptions options_;
  PromiseRecords records_{*this};
  Remote remote_;
  const std::uint64_t loop_id_;
  const LoopExtension* extension_ = nullptr;  // to be taken from the loop by the destructor
  bool check_scheduled_ = false;
  bool refusing_ = false;
  bool burying_ = false;
  std::vector<std::jthread> reporters_;  // last: they use the rest until they are joined
};

}  // namespace internal

}  // namespace gyre
