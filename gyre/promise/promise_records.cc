#include <exception>
#include <utility>
#include <vector>

#include <fmt/chrono.h>

#include <gyre/promise/promise_domain.h>
#include <gyre/promise/promise_records.h>

namespace gyre::internal {

PromiseRecords::Record& PromiseRecords::record_of(PromiseBase& promise) {
  Record& record = records_[&promise];
  record.promise = &promise;
  promise.has_record_ = true;
  return record;
}

void PromiseRecords::erase(const PromiseBase& promise) noexcept {
  const auto found = records_.find(&promise);
  if (!found->second.is_alone()) found->second.unlink();
  if (found->second.number != 0) notify(found->second, {.transition = PromiseTransition::released});
  records_.erase(&promise);
}

void PromiseRecords::settled(const PromiseBase& promise) noexcept {
  Record& record = records_.at(&promise);
  if (!record.is_alone()) record.unlink();
  changed(promise,
          promise.status() == PromiseStatus::fulfilled ? PromiseTransition::fulfilled : PromiseTransition::rejected);
}

// --- Observing ---

void PromiseRecords::observe(PromiseBase& promise) noexcept {
  if (notifying_) return;
  const std::size_t every = domain_.options().observe_every;
  if (observed_++ % (every > 0 ? every : 1) != 0) return;
  try {
    Record& record = record_of(promise);
    record.number = observed_;
    notify(record, {.transition = PromiseTransition::created});
  } catch (const std::bad_alloc&) {  // the promise is more important than its audit
  }
}

void PromiseRecords::adopted(const PromiseBase& promise, const PromiseBase& by) noexcept {
  const Record& record = at(promise);
  if (record.number == 0) return;
  notify(record, {.transition = PromiseTransition::adopted, .other = by.has_record_ ? at(by).number : 0});
}

void PromiseRecords::changed(const PromiseBase& promise, PromiseTransition transition) noexcept {
  const Record& record = at(promise);
  if (record.number == 0) return;
  if (transition != PromiseTransition::rejected && transition != PromiseTransition::reported) {
    notify(record, {.transition = transition});
  } else {
    const Reason reason = promise.reason();
    notify(record, {.transition = transition, .reason = &reason});
  }
}

void PromiseRecords::notify(const Record& record, PromiseEvent event) noexcept {
  PromiseObserver* const observer = domain_.options().observer;
  if (observer == nullptr || notifying_) return;
  event.promise = record.number;
  if (domain_.loop() != nullptr) event.time = domain_.loop()->now();
  notifying_ = true;
  try {
    observer->on_transition(event);
  } catch (...) {  // documented: dropped
    let_unwinding_pass();
  }
  notifying_ = false;
}

// --- Watching ---

void PromiseRecords::watch(PromiseBase& promise) noexcept {
  try {
    Record& record = record_of(promise);
    record.since = domain_.loop()->now();
    record.insert_before(watched_);
    if (!timer_) arm();
  } catch (const std::exception&) {  // without memory, or on a wrong thread, it is not watched
  }
}

// Reports are due in the order of the ring. The timer keeps nothing alive, and runs without anybody's context.
void PromiseRecords::arm() {
  if (watched_.is_alone()) return;
  const Record& next = static_cast<const Record&>(*watched_.next);
  const ContextScope none{Context()};
  const auto armed = domain_.loop()->set_timeout_at(
      saturating_add(next.since, domain_.options().overdue_after), [this] { on_timer(); }, false);
  if (armed) timer_ = *armed;
}

// One report at a time: each failure of its handler is its own.
void PromiseRecords::on_timer() {
  timer_ = {};
  const TimePoint now = domain_.loop()->now();
  const Duration limit = domain_.options().overdue_after;
  if (limit <= Duration::zero()) {
    end_watch();
    return;
  }
  while (!watched_.is_alone()) {
    Record& record = static_cast<Record&>(*watched_.next);
    if (now - record.since < limit) break;
    record.unlink();
    if (record.promise->bound_to_ != nullptr) continue;  // the one that it waits for is reported
    const OverduePromise overdue{
        .pending_for = now - record.since, .trace = trace_of(record), .promise = record.number};
    arm();
    if (domain_.options().on_overdue) {
      domain_.options().on_overdue(overdue);
      return;
    }
    throw ErrorException(Error(
        Errc::timed_out, fmt::format("a promise has been pending for {}",
                                     std::chrono::duration_cast<std::chrono::milliseconds>(overdue.pending_for))));
  }
  arm();
}

void PromiseRecords::end_watch() noexcept {
  while (!watched_.is_alone()) watched_.next->unlink();
  if (const TimerId timer = std::exchange(timer_, TimerId()); timer && domain_.loop() != nullptr) {
    static_cast<void>(domain_.loop()->cancel(timer));
  }
}

// --- Where promises come from ---

/// A place, and the place before it in the chain.
struct PromiseRecords::Origin {
  std::source_location where;
  std::shared_ptr<const Origin> parent;
};

void PromiseRecords::set_origin(PromiseBase& promise, const PromiseBase* parent, const std::source_location& where) {
  std::shared_ptr<const Origin> before;
  if (parent != nullptr && parent->has_record_) before = parent->domain().records().at(*parent).origin;
  // Beyond the depth that is shown, the chain is forgotten: a long one would otherwise keep all of its places.
  const std::size_t depth = domain_.options().trace_depth;
  std::vector<std::source_location> places;
  for (const Origin* at = before.get(); at != nullptr && places.size() + 1 < depth; at = at->parent.get()) {
    places.push_back(at->where);
  }
  std::shared_ptr<const Origin> kept;
  if (places.size() + 1 < depth) {
    kept = before;
  } else {
    for (auto place = places.rbegin(); place != places.rend(); ++place) {
      kept = std::make_shared<const Origin>(*place, std::move(kept));
    }
  }
  record_of(promise).origin = std::make_shared<const Origin>(where, std::move(kept));
}

std::vector<std::source_location> PromiseRecords::trace_of(const Record& record) {
  std::vector<std::source_location> trace;
  for (const Origin* at = record.origin.get(); at != nullptr; at = at->parent.get()) trace.push_back(at->where);
  return trace;
}

Reason PromiseRecords::with_origin(const PromiseBase& promise, Reason reason) const {
  const Record& record = at(promise);
  return record.origin == nullptr ? reason : Reason::with_trace(reason, trace_of(record));
}

}  // namespace gyre::internal
