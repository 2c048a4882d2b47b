#include <utility>

#include <gyre/promise/internal/reason_body.h>
#include <gyre/promise/promise_base.h>
#include <gyre/promise/promise_domain.h>

namespace gyre::internal {

PromiseBase::PromiseBase(PromiseDomain& domain) noexcept : domain_(&domain) {
  domain.retain_promise();
  if (domain.options_.observer != nullptr) [[unlikely]]
    domain.records_.observe(*this);
}

PromiseBase::~PromiseBase() {
  if (has_record_) [[unlikely]]
    domain_->records_.erase(*this);
  if (status_ == PromiseStatus::rejected) static_cast<void>(Reason(reason_));
  domain_->release_promise();
}

Reason PromiseBase::reason() const noexcept {
  Reason held(reason_);
  Reason copy = held;
  static_cast<void>(held.release());
  return copy;
}

// --- Settling ---

void PromiseBase::leave_list() noexcept {
  unlink();
  listed_ = Listed::no;
}

void PromiseBase::publish_fulfilled() noexcept {
  if (listed_ != Listed::no) leave_list();
  Reaction* const last = std::exchange(last_, nullptr);
  claimed_ = true;
  bound_to_ = nullptr;
  status_ = PromiseStatus::fulfilled;
  if (has_record_) [[unlikely]]
    domain_->records_.settled(*this);
  if (last == nullptr) return;
  if (last->next_reaction == last && !last->is_immediate && domain_->captured_ == nullptr) [[likely]] {
    domain_->enqueue(*last, *this);
  } else {
    domain_->start(*this, last);
  }
}

void PromiseBase::publish_rejected(Reaction* last) noexcept {
  if (listed_ != Listed::no) leave_list();
  claimed_ = true;
  bound_to_ = nullptr;
  status_ = PromiseStatus::rejected;
  if (has_record_) [[unlikely]]
    domain_->records_.settled(*this);
  if (!handled_) domain_->add_unhandled(*this);
  if (last != nullptr) domain_->start(*this, last);
}

void PromiseBase::reject(Reason reason) noexcept {
  if (has_record_ && reason.trace().empty()) [[unlikely]]
    reason = domain_->records_.with_origin(*this, std::move(reason));
  Reaction* const last = last_;
  reason_ = reason.release();
  publish_rejected(last);
}

void PromiseBase::reject_as(const PromiseBase& source, bool source_was_reported) noexcept {
  if (source_was_reported && !handled_) {
    reported_ = true;
    handled_ = true;  // keeps it out of the list
  }
  reject(source.reason());
  if (reported_) handled_ = false;  // a handler that comes is news
}

// Its last resolver is gone.
void PromiseBase::break_promise() noexcept {
  claimed_ = true;
  if (references_ == 1) return;  // nobody will know
  reject(Error(Errc::broken, "the promise was abandoned: everything that could have settled it has gone"));
}

void PromiseBase::reject_at_end() noexcept {
  if (domain_->has_ended()) {
    // Born too late.
    claimed_ = true;
    handled_ = true;
    reject(Error(Errc::terminated, "the loop has ended, and the promise with it"));
    handled_ = false;
    return;
  }
  enlist();
}

void PromiseBase::enlist() noexcept {
  insert_before(domain_->pending_);
  listed_ = Listed::pending;
  if (domain_->options_.overdue_after > Duration::zero()) [[unlikely]]
    domain_->records_.watch(*this);
}

// --- Reactions ---

void PromiseBase::add_reaction(Reaction& reaction) {
  if (!is_pending()) {
    if (reaction.is_immediate) {
      reaction.run(*this);
    } else {
      domain_->enqueue(reaction, *this);
    }
    return;
  }
  if (last_ == nullptr) {
    reaction.next_reaction = &reaction;
  } else {
    reaction.next_reaction = last_->next_reaction;
    last_->next_reaction = &reaction;
  }
  last_ = &reaction;
}

void PromiseBase::remove_reaction(Reaction& reaction) noexcept {
  Reaction* before = last_;
  while (before->next_reaction != &reaction) before = before->next_reaction;
  if (before == &reaction) {
    last_ = nullptr;
    return;
  }
  before->next_reaction = reaction.next_reaction;
  if (last_ == &reaction) last_ = before;
}

void PromiseBase::handled_now() noexcept {
  if (has_record_) [[unlikely]]
    domain_->records_.changed(*this, PromiseTransition::handled);
  if (status_ != PromiseStatus::rejected) return;
  if (listed_ == Listed::unhandled) {
    domain_->remove_unhandled(*this);
  } else if (reported_) {
    domain_->handled_late(*this);
  }
}

// --- Following another promise ---

bool PromiseBase::bind_to(PromiseBase& inner) noexcept {
  // Rings of more links than this stay until the loop's end; to look further would make long chains slow.
  constexpr int kLongestRing = 1000;
  claimed_ = true;
  bound_to_ = nullptr;
  // A ring that leads through combinators or coroutines is not found here. The end of the loop dissolves it.
  if (listed_ == Listed::no && !domain_->has_ended()) enlist();
  if (has_record_) [[unlikely]]
    domain_->records_.adopted(*this, inner);
  const PromiseBase* at = &inner;
  for (int i = 0; i < kLongestRing && at->bound_to_ != nullptr; ++i) {
    at = at->bound_to_;
    if (at == this) return false;
  }
  bound_to_ = &inner;
  return true;
}

std::optional<Error> PromiseBase::refuses_to_wait_for(PromiseBase& source) noexcept {
  const std::size_t limit = domain_->options_.depth_limit;
  if (limit == 0 || !source.is_pending()) return std::nullopt;
  // This one, those that wait for it, and those that the source waits for, itself included.
  std::size_t row = waiting_ + std::size_t{1};
  for (const PromiseBase* at = &source; at != nullptr && at->is_pending(); at = at->bound_to_) {
    if (++row > limit) {
      return Error(Errc::limit_exceeded,
                   "too many promises wait for one another in a row; see PromiseOptions::depth_limit")
          .with("limit", limit);
    }
  }
  std::size_t waiting = waiting_ + std::size_t{1};
  for (PromiseBase* at = &source; at != nullptr && at->is_pending() && at->waiting_ < waiting; at = at->bound_to_) {
    at->waiting_ = static_cast<std::uint16_t>(waiting++);
  }
  return std::nullopt;
}

// --- Going ---

void PromiseBase::bury() noexcept {
  domain_->bury(*this);
}

bool PromiseBase::joins_chain(PromiseBase& source, const std::source_location& where) {
  if (domain_->options_.trace_depth > 0) set_origin(&source, where);
  auto refusal = refuses_to_wait_for(source);
  if (!refusal) return true;
  reject(*std::move(refusal));
  return false;
}

void PromiseBase::set_origin(const PromiseBase* parent, const std::source_location& where) {
  domain_->records_.set_origin(*this, parent, where);
}

}  // namespace gyre::internal
