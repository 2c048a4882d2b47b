#include <algorithm>
#include <stdexcept>

#include <gyre/promise/coroutine_base.h>
#include <gyre/promise/promise_domain.h>
#include <gyre/promise/remote_link.h>

namespace gyre::internal {

// --- Beginning and end ---

namespace {

// Its address finds the domain that belongs to the loop itself.
constexpr char kLoopsOwn = 0;
// Promises count in 16 bits what waits for them.
constexpr std::size_t kDeepestLimit = 0xffff;

}  // namespace

/// How a loop tells a domain of its end. That of the loop's own promises holds a reference: they are there as long as
/// the loop.
class PromiseDomain::Extension final : public LoopExtension {
 public:
  Extension(PromiseDomain& domain, bool owns) : domain_(domain), owns_(owns) {
    if (owns_) domain_.retain();
  }
  Extension(const Extension&) = delete;
  Extension& operator=(const Extension&) = delete;
  ~Extension() override {
    if (owns_) domain_.release();
  }
  void on_terminated(LoopEnd) override { domain_.end(); }
  PromiseDomain& domain() const noexcept { return domain_; }

 private:
  PromiseDomain& domain_;
  const bool owns_;
};

PromiseDomain::PromiseDomain(Loop& loop, PromiseOptions options)
    : loop_(&loop), options_(std::move(options)), remote_(loop.remote()), loop_id_(loop.id()) {
  if (options_.reaction_batch < 1) {
    throw std::invalid_argument("gyre: PromiseOptions::reaction_batch must be at least 1");
  }
  if (options_.observe_every < 1) {
    throw std::invalid_argument("gyre: PromiseOptions::observe_every must be at least 1");
  }
  if (options_.depth_limit > kDeepestLimit) {
    throw std::invalid_argument("gyre: PromiseOptions::depth_limit must be at most 65535");
  }
}

PromiseDomain::~PromiseDomain() {
  records_.end_watch();
  if (loop_ != nullptr && extension_ != nullptr) loop_->remove_extension(*extension_);
}

PromiseDomain& PromiseDomain::of(Loop& loop) {
  if (LoopExtension* found = loop.find_extension(&kLoopsOwn)) return static_cast<Extension*>(found)->domain();
  StatePtr<PromiseDomain> domain = StatePtr<PromiseDomain>::adopt(new PromiseDomain(loop, {}));
  if (loop.state() == LoopState::terminated)
    throw std::logic_error("gyre: a promise was made on a loop that has ended");
  loop.add_extension(&kLoopsOwn, std::make_shared<Extension>(*domain, true));
  return *domain;
}

PromiseDomain* PromiseDomain::make(Loop& loop, PromiseOptions options) {
  StatePtr<PromiseDomain> domain = StatePtr<PromiseDomain>::adopt(new PromiseDomain(loop, std::move(options)));
  if (loop.state() == LoopState::terminated)
    throw std::logic_error("gyre: Promises were made on a loop that has ended");
  auto extension = std::make_shared<Extension>(*domain, false);
  domain->extension_ = extension.get();
  loop.add_extension(nullptr, std::move(extension));
  return domain.detach();
}

// Everything that still waits is told that it waits in vain. No microtask will run any more: what this causes, happens
// at once, in the order in which it is caused.
void PromiseDomain::end() noexcept {
  const StatePtr<PromiseDomain> keep(*this);
  loop_ = nullptr;
  extension_ = nullptr;
  records_.end_watch();
  refuse_all();
  while (!pending_.is_alone()) {
    StatePtr<PromiseBase> promise(*static_cast<PromiseBase*>(pending_.next));
    promise->claimed_ = true;
    // Nobody's mistake: it is not reported.
    const bool handled = promise->handled_;
    promise->handled_ = true;
    promise->reject(Error(Errc::terminated, "the loop has ended before the promise was settled"));
    promise->handled_ = handled;
  }
  while (!links_.is_alone()) static_cast<RemoteLink*>(links_.next)->end();
  // Coroutines whose awaited promise could not be settled.
  while (!frames_.is_alone()) {
    static_cast<CoroutineBase*>(frames_.next)
        ->destroy_suspended(Error(Errc::terminated, "the loop has ended while the coroutine was waiting"));
  }
  while (!unhandled_.is_alone()) {
    const auto promise = StatePtr<PromiseBase>::adopt(static_cast<PromiseBase*>(unhandled_.next));
    promise->leave_list();
    promise->reported_ = true;
    report_late(*promise);
  }
  handled_late_.clear();
}

void PromiseDomain::track(CoroutineBase& frame) noexcept {
  frame.insert_before(frames_);
}
void PromiseDomain::track(RemoteLink& link) noexcept {
  link.insert_before(links_);
}

// --- Reactions ---

// The reactions bring their own context.
void PromiseDomain::schedule_without_context(std::size_t reactions) {
  const ContextScope none{Context()};
  static_cast<void>(loop_->queue_microtask(RunReactions{this, reactions}));
}

// All reactions to a settlement, whose ring ends with `last`.
void PromiseDomain::start(PromiseBase& source, Reaction* last) noexcept {
  if (last->next_reaction == last && !last->is_immediate && captured_ == nullptr) [[likely]] {
    enqueue(*last, source);
    return;
  }
  const StatePtr<PromiseBase> keep(source);
  std::size_t batch = 0;
  Reaction* at = last->next_reaction;
  for (bool more = true; more;) {
    Reaction& reaction = *at;
    more = &reaction != last;
    at = reaction.next_reaction;
    if (reaction.is_immediate) {
      reaction.run(source);
      continue;
    }
    if (captured_ != nullptr) {
      source.retain();
      reaction.queued_source = &source;
      captured_->push(reaction);
      continue;
    }
    add_ready(reaction, source);
    if (loop_ != nullptr && ++batch == options_.reaction_batch) schedule(std::exchange(batch, 0));
  }
  if (loop_ == nullptr) {
    refuse_all();
  } else if (batch > 0) {
    schedule(batch);
  }
}

void PromiseDomain::run(std::size_t reactions) {
  const StatePtr<PromiseDomain> keep(*this);
  for (; reactions > 0; --reactions) {
    Reaction* const next = ready_.pop();
    if (next == nullptr) break;  // one of them has ended the loop
    run_one(*next);
  }
}

void PromiseDomain::run_all(ReactionQueue& reactions) {
  const StatePtr<PromiseDomain> keep(*this);
  while (Reaction* next = reactions.pop()) {
    if (loop_ != nullptr) {
      run_one(*next);
    } else {
      const auto source = StatePtr<PromiseBase>::adopt(next->queued_source);
      next->refuse(*source);
    }
  }
}

void PromiseDomain::refuse_all() noexcept {
  if (std::exchange(refusing_, true)) return;
  const StatePtr<PromiseDomain> keep(*this);
  while (Reaction* next = ready_.pop()) {
    const auto source = StatePtr<PromiseBase>::adopt(next->queued_source);
    next->refuse(*source);
  }
  refusing_ = false;
}

// Nobody refers to the promise any more. A long chain of promises goes link by link, not by recursion.
void PromiseDomain::bury(PromiseBase& promise) noexcept {
  if (promise.listed_ != PromiseBase::Listed::no) promise.leave_list();
  if (burying_) {
    promise.insert_before(buried_);
    return;
  }
  ++references_;
  burying_ = true;
  if (promise.is_pending() && promise.last_ != nullptr) [[unlikely]] {
    promise.insert_before(buried_);
  } else {
    promise.destroy();
  }
  if (!buried_.is_alone()) [[unlikely]]
    bury_rest();
  burying_ = false;
  release_promise();
}

void PromiseDomain::bury_rest() noexcept {
  while (!buried_.is_alone()) {
    auto& dead = *static_cast<PromiseBase*>(buried_.next);
    dead.unlink();
    if (dead.is_pending() && dead.last_ != nullptr) {
      Reaction* const last = std::exchange(dead.last_, nullptr);
      Reaction* at = last->next_reaction;
      for (bool more = true; more;) {
        Reaction& reaction = *at;
        more = &reaction != last;
        at = reaction.next_reaction;
        reaction.abandon();
      }
    }
    dead.destroy();
  }
}

// --- Rejections that nobody handles ---

// The list keeps the promise: its reason must be there for the report.
void PromiseDomain::add_unhandled(PromiseBase& promise) noexcept {
  if (loop_ == nullptr) {
    promise.reported_ = true;
    report_late(promise);
    return;
  }
  promise.retain();
  promise.insert_before(unhandled_);
  promise.listed_ = PromiseBase::Listed::unhandled;
  schedule_check();
}

void PromiseDomain::remove_unhandled(PromiseBase& promise) noexcept {
  promise.leave_list();
  promise.release();
}

void PromiseDomain::handled_late(PromiseBase& promise) noexcept {
  if (loop_ == nullptr || !options_.on_rejection_handled) return;
  handled_late_.push_back(promise.reason());
  schedule_check();
}

void PromiseDomain::schedule_check() noexcept {
  if (std::exchange(check_scheduled_, true)) return;
  const ContextScope none{Context()};
  // If the loop refuses, its end looks after what is left.
  static_cast<void>(loop_->at_checkpoint_end([keep = StatePtr<PromiseDomain>(*this)] { keep->check(); }));
}

// One report, and then the next in a callback of its own: ticks and microtasks that a report queues come before it, and
// its failure is its own.
void PromiseDomain::check() {
  check_scheduled_ = false;
  if (!handled_late_.empty()) {
    const std::vector<Reason> reasons = std::exchange(handled_late_, {});
    for (const Reason& reason : reasons) {
      try {
        options_.on_rejection_handled(reason);
      } catch (...) {  // the report of an unhandled rejection may still follow
        let_unwinding_pass();
        if (&reason == &reasons.back()) throw;
      }
    }
  }
  if (unhandled_.is_alone()) return;
  auto promise = StatePtr<PromiseBase>::adopt(static_cast<PromiseBase*>(unhandled_.next));
  promise->leave_list();
  promise->reported_ = true;
  if (promise->has_record_) [[unlikely]]
    records_.changed(*promise, PromiseTransition::reported);
  if (!unhandled_.is_alone()) schedule_check();
  const Reason reason = promise->reason();
  promise = {};
  if (options_.on_unhandled_rejection) {
    options_.on_unhandled_rejection(reason);
  } else {
    throw ErrorException(
        Error(reason.code(), "a promise was rejected, and nobody has handled that").caused_by(reason.error()));
  }
}

void PromiseDomain::report_late(PromiseBase& promise) noexcept {
  if (promise.has_record_) records_.changed(promise, PromiseTransition::reported);
  if (options_.late_rejections == LateRejections::ignored || !options_.on_unhandled_rejection) return;
  try {
    // Not here: whoever rejects, or ends the loop, must not have to wait for the handler.
    reporters_.emplace_back([this, reason = promise.reason()] {
      try {
        options_.on_unhandled_rejection(reason);
      } catch (...) {  // documented: there is nobody left to tell
        let_unwinding_pass();
      }
    });
  } catch (const std::system_error&) {  // no thread to be had
  }
}

}  // namespace gyre::internal
