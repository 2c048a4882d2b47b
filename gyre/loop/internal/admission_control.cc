#include <algorithm>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include <gyre/loop/internal/admission_control.h>
#include <gyre/loop/internal/admission_fields.h>
#include <gyre/loop/internal/errors.h>
#include <gyre/loop/internal/shared_state.h>

namespace gyre::internal {
namespace {

constexpr std::size_t index_of(AdmissionRefusal reason) {
  return static_cast<std::size_t>(reason);
}

TimePoint real_now() {
  return std::chrono::steady_clock::now();
}

}  // namespace

AdmissionControl::AdmissionControl(SharedState& shared, AdmissionOptions&& options, const Clock* clock)
    : shared_(shared),
      options_(std::move(options)),
      clock_(clock),
      all_(options_.limits.rates, {.memory = options_.memory, .max_categories = 1, .sweep_per_accept = 0}),
      categories_(options_.limits.category_rates,
                  {.memory = options_.memory, .max_categories = options_.max_categories}) {
  const TimePoint start = clock_ == nullptr ? real_now() : clock_->now();
  history_.reset(start, 0, 0);
  seen_ = start;
  for (auto& moment : next_warning_) moment = start.time_since_epoch().count();
  if (auto set = set_limits(std::exchange(options_.limits, {})); !set) {
    throw std::invalid_argument("gyre: " + set.error().message());
  }
}

Result<void> AdmissionControl::set_limits(AdmissionLimits limits) {
  if (limits.max_depth != 0 && limits.soft_depth > limits.max_depth) {
    return fail(Errc::invalid_argument, "AdmissionLimits::soft_depth is {} and could never be reached: max_depth is {}",
                limits.soft_depth, limits.max_depth);
  }
  {
    const std::lock_guard lock(both_);
    const rate::Rates before = categories_.rates();
    if (limits.category_rates != before) {
      if (auto set = categories_.set_rates(limits.category_rates); !set) return set;
    }
    if (limits.rates != all_.rates()) {
      if (auto set = all_.set_rates(limits.rates); !set) {
        static_cast<void>(categories_.set_rates(before));
        return set;
      }
    }
    rated_ = (limits.rates.empty() ? 0 : kAll) | (limits.category_rates.empty() ? 0 : kByCategory);
    max_depth_ = limits.max_depth == 0 ? kUnlimited : limits.max_depth;
    soft_depth_ = limits.soft_depth == 0 ? kUnlimited : limits.soft_depth;
  }
  serve();
  return {};
}

// --- Judging ---

std::optional<TimePoint> AdmissionControl::now() {
  if (clock_ == nullptr) [[likely]]
    return real_now();
  // A clock of somebody's is there for as long as the loop accepts work.
  const std::lock_guard lock(shared_.mutex);
  if (!shared_.accepting) return std::nullopt;
  return clock_->now();
}

bool AdmissionControl::is_exempt(std::string_view category) const noexcept {
  return !category.empty() &&
         std::ranges::find(options_.exempt_categories, category) != options_.exempt_categories.end();
}

std::size_t AdmissionControl::take_slot() noexcept {
  const std::size_t limit = max_depth_.load(std::memory_order_relaxed);
  if (depth_.load() >= limit) return 0;  // whoever is refused does not ask for the cache line
  const std::size_t before = depth_.fetch_add(1);
  if (before < limit) return before + 1;
  depth_.fetch_sub(1);
  return 0;
}

void AdmissionControl::note(std::size_t depth) noexcept {
  std::size_t highest = highest_.load(std::memory_order_relaxed);
  while (depth > highest && !highest_.compare_exchange_weak(highest, depth, std::memory_order_relaxed)) {
  }
  if (depth >= soft_depth_.load(std::memory_order_relaxed) && soft_.load(std::memory_order_relaxed) == Soft::below) {
    // Relaxed: the task that is posted next brings the loop to look, and what it finds.
    Soft expected = Soft::below;
    soft_.compare_exchange_strong(expected, Soft::reached, std::memory_order_relaxed);
  }
}

AdmissionControl::Verdict AdmissionControl::judge(std::string_view category) {
  if (is_exempt(category)) {
    enter();
    return {};
  }
  const std::size_t depth = take_slot();
  if (depth == 0) return {.kind = Verdict::Kind::refused, .reason = AdmissionRefusal::depth};
  if (rated_.load(std::memory_order_relaxed) != 0) {
    if (const Verdict verdict = ask_rates(category); !verdict.accepted()) {
      depth_.fetch_sub(1);
      return verdict;
    }
  }
  note(depth);
  return {};
}

AdmissionControl::Verdict AdmissionControl::refusal(AdmissionRefusal reason, const rate::Decision& decision) {
  Verdict verdict{.kind = Verdict::Kind::refused, .reason = reason, .next = decision.next};
  if (decision.next) verdict.retry_after = decision.wait;
  return verdict;
}

// Always by a fresh reading of the clock: to know how old the loop's own is one would have to read it, too.
AdmissionControl::Verdict AdmissionControl::ask_rates(std::string_view category) {
  const auto moment = now();
  if (!moment) return {.kind = Verdict::Kind::ending};
  if (moment->time_since_epoch().count() >= history_due_.load(std::memory_order_relaxed)) show_totals(*moment);
  const unsigned rated = rated_.load(std::memory_order_relaxed);
  const bool by_category = (rated & kByCategory) != 0 && !category.empty();
  const bool among_all = (rated & kAll) != 0;
  std::unique_lock lock(both_, std::defer_lock);
  if (by_category && among_all) lock.lock();
  rate::Ticket ticket;
  if (by_category) {
    const rate::Decision decision = categories_.allow_at(*moment, category);
    if (!decision) return refusal(AdmissionRefusal::category, decision);
    ticket = decision.ticket;
  }
  if (among_all) {
    const rate::Decision decision = all_.allow_at(*moment, 0);
    if (!decision) {
      if (by_category) categories_.undo(ticket);
      return refusal(AdmissionRefusal::rate, decision);
    }
  }
  return {};
}

Result<void> AdmissionControl::admit(std::string_view category) {
  Verdict verdict;
  if (waiting_.load(std::memory_order_relaxed) == 0) [[likely]] {
    verdict = judge(category);
    if (verdict.accepted()) [[likely]]
      return {};
    tell_of_slot();  // a slot was taken for a moment
  } else {
    const std::lock_guard lock(mutex_);
    verdict = judge_behind_waiters(category);
  }
  if (verdict.accepted()) return {};
  return refuse(verdict, category);
}

// --- Refusing ---

Error AdmissionControl::error_of(const Verdict& verdict, std::string_view category) const {
  const auto retry = [&] {
    return verdict.retry_after ? fmt::format("; try again in {} us",
                                             (*verdict.retry_after + Duration(999)) / std::chrono::microseconds(1))
                               : std::string();
  };
  std::string message;
  switch (verdict.reason) {
    case AdmissionRefusal::depth:
      message = fmt::format(
          "{} tasks are waiting for the loop, as many as AdmissionLimits::max_depth allows; try again when it has "
          "caught up",
          max_depth_.load(std::memory_order_relaxed));
      break;
    case AdmissionRefusal::rate:
      message = "the loop has accepted as many tasks as AdmissionLimits::rates allows" + retry();
      break;
    case AdmissionRefusal::category:
      message = fmt::format(
          "the loop has accepted as many tasks of category '{}' as AdmissionLimits::category_rates allows{}", category,
          retry());
      break;
  }
  std::vector<Error::Field> fields;
  fields.push_back({kReasonField, std::string(to_string(verdict.reason))});
  if (verdict.retry_after) fields.push_back({kRetryAfterField, std::to_string(verdict.retry_after->count())});
  if (!category.empty()) fields.push_back({"category", std::string(category)});
  return Error(Errc::backpressure, std::move(message), std::move(fields));
}

Result<void> AdmissionControl::refuse(const Verdict& verdict, std::string_view category) {
  if (verdict.kind == Verdict::Kind::ending) return ending();
  record_refusal(verdict.reason);
  return std::unexpected(error_of(verdict, category));
}

void AdmissionControl::record_refusal(AdmissionRefusal reason) {
  const auto moment = now();
  if (!moment) return;
  const Duration::rep count = moment->time_since_epoch().count();
  if (count >= history_due_.load(std::memory_order_relaxed)) show_totals(*moment);
  refused_[index_of(reason)].fetch_add(1, std::memory_order_relaxed);
  std::atomic<Duration::rep>& next = next_warning_[index_of(reason)];
  Duration::rep due = next.load(std::memory_order_relaxed);
  if (count < due) return;
  const TimePoint again = saturating_add(*moment, kBetweenWarnings);
  if (!next.compare_exchange_strong(due, again.time_since_epoch().count(), std::memory_order_relaxed)) return;
  warnings_.fetch_or(1u << index_of(reason), std::memory_order_relaxed);
  // Whose loop sleeps, because everything is refused, hears of it, too.
  if (!shared_.on_owner_thread()) static_cast<void>(shared_.wake_now());
}

bool AdmissionControl::take_warning(AdmissionRefusal reason) noexcept {
  const unsigned bit = 1u << index_of(reason);
  if ((warnings_.load(std::memory_order_relaxed) & bit) == 0) return false;
  warnings_.fetch_and(~bit, std::memory_order_relaxed);
  return true;
}

// --- Waiting ---

bool AdmissionControl::is_behind_another(const Waiter& waiter) noexcept {
  for (const Waiter& other : waiters_) {
    if (&other == &waiter) return false;
    if (other.verdict.blocks_category() && other.category == waiter.category) return true;
  }
  return false;
}

AdmissionControl::Verdict AdmissionControl::judge_behind_waiters(std::string_view category) {
  if (!is_exempt(category)) {
    serve_locked();
    for (const Waiter& waiter : waiters_) {
      if (waiter.verdict.blocks_all() || (waiter.verdict.blocks_category() && waiter.category == category)) {
        return waiter.verdict;
      }
    }
  }
  return judge(category);
}

void AdmissionControl::finish(Waiter& waiter, Result<void> outcome) noexcept {
  waiter.unlink();
  waiting_.fetch_sub(1, std::memory_order_relaxed);
  waiter.outcome.emplace(std::move(outcome));
  waiter.told.notify_one();
}

// If it is refused, the task is its waiter's still, who destroys it without the mutex.
Result<void> AdmissionControl::queue(Waiter& waiter) {
  IngressRecord& record = shared_.ingress.prepare();
  ::new (static_cast<void*>(record.storage)) Task(std::move(waiter.task));
  switch (shared_.ingress.publish(record, IngressKind::task, Ingress::Gate::tasks)) {
    case Ingress::Push::refused:
      waiter.task = std::move(record.task());
      shared_.ingress.discard(record);
      return ending();
    case Ingress::Push::queued:
      return {};
    case Ingress::Push::first:
      break;
  }
  static_cast<void>(shared_.wake_if_sleeping());
  return {};
}

void AdmissionControl::serve() noexcept {
  const std::lock_guard lock(mutex_);
  serve_locked();
}

// Accepts, of those who wait, all that it can, the first first. One whose category is used up lets other categories
// pass; one who waits for anything else lets nobody pass.
void AdmissionControl::serve_locked() noexcept {
  if (waiters_.empty()) return;
  slot_wanted_.store(true);
  bool wanted = false;
  for (auto at = waiters_.begin(); at != waiters_.end();) {
    Waiter& waiter = *at;
    ++at;
    if (is_behind_another(waiter)) {
      waiter.verdict = {};
      continue;
    }
    waiter.verdict = judge(waiter.category);
    if (waiter.verdict.kind != Verdict::Kind::refused) {
      auto queued = waiter.verdict.accepted() ? queue(waiter) : Result<void>(ending());
      if (!queued && waiter.verdict.accepted()) depth_.fetch_sub(1);
      finish(waiter, std::move(queued));
      continue;
    }
    if (waiter.asks_at != waiter.verdict.next) {
      waiter.asks_at = waiter.verdict.next;
      waiter.asks_at_changed = true;
      waiter.told.notify_one();
    }
    if (waiter.verdict.blocks_all()) {
      wanted = waiter.verdict.reason == AdmissionRefusal::depth;
      break;
    }
  }
  slot_wanted_.store(wanted);
}

// How long to sleep until a moment on the loop's clock.
Duration AdmissionControl::time_until(TimePoint moment) {
  if (clock_ == nullptr) return std::max(moment - real_now(), Duration::zero());
  const std::lock_guard lock(shared_.mutex);
  return shared_.accepting ? clock_->time_until(moment) : Duration::zero();
}

Result<void> AdmissionControl::post_wait(Task&& task, const WaitLimit& limit, std::string_view category) {
  if (is_exempt(category)) return shared_.push_judged(std::move(task), category);
  const TimePoint deadline = saturating_add(real_now(), std::max(limit.timeout, Duration::zero()));
  Waiter waiter(std::move(task), category);  // outlives the lock: what the task captured may post in its destructor
  std::unique_lock lock(mutex_);
  if (closed_) return ending();
  waiters_.push_back(waiter);
  waiting_.fetch_add(1, std::memory_order_relaxed);
  serve_locked();
  while (!waiter.outcome) {
    TimePoint until = deadline;
    if (waiter.asks_at) until = std::min(until, saturating_add(real_now(), time_until(*waiter.asks_at)));
    waiter.asks_at_changed = false;
    waiter.told.wait_until(lock, limit.stop, until, [&] { return waiter.outcome || waiter.asks_at_changed; });
    if (waiter.outcome || waiter.asks_at_changed) continue;
    const bool stopped = limit.stop.stop_requested();
    if (!stopped && real_now() < deadline) {  // the time to ask again has come
      waiter.asks_at.reset();
      serve_locked();
      continue;
    }
    const Verdict verdict = waiter.verdict.kind == Verdict::Kind::refused ? waiter.verdict : waiters_.front().verdict;
    waiter.unlink();
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    serve_locked();  // another one is the first now
    lock.unlock();
    record_refusal(verdict.reason);
    Error error = stopped ? Error(Errc::cancelled, "the wait for the loop to accept a task was stopped")
                          : Error(Errc::timed_out, "the loop did not accept the task within the time given");
    return std::unexpected(error.caused_by(error_of(verdict, category)));
  }
  return *std::move(waiter.outcome);
}

void AdmissionControl::close() noexcept {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  while (!waiters_.empty()) finish(waiters_.front(), ending());
}

// --- Looking ---

void AdmissionControl::attend(TimePoint now) {
  if (now.time_since_epoch().count() >= history_due_.load(std::memory_order_relaxed)) show_totals(now);
  // Nobody else knows when a clock of somebody's moves.
  if (clock_ != nullptr && waiting_.load(std::memory_order_relaxed) != 0) serve();
}

std::optional<std::size_t> AdmissionControl::take_soft_excess() noexcept {
  const Soft seen = soft_.load(std::memory_order_relaxed);
  if (seen == Soft::below) return std::nullopt;
  const std::size_t depth = depth_.load(std::memory_order_relaxed);
  if (seen == Soft::reached) {
    soft_.store(Soft::told, std::memory_order_relaxed);
    return depth;
  }
  if (depth < soft_depth_.load(std::memory_order_relaxed)) soft_.store(Soft::below, std::memory_order_relaxed);
  return std::nullopt;
}

std::uint64_t AdmissionControl::refused_total() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& count : refused_) sum += count.load(std::memory_order_relaxed);
  return sum;
}

void AdmissionControl::show_totals(TimePoint now) {
  const std::lock_guard lock(history_mutex_);
  history_.show(now, accepted_total(), refused_total());
  history_due_.store(history_.due().time_since_epoch().count(), std::memory_order_relaxed);
  seen_ = std::max(seen_, now);
}

AdmissionMetrics AdmissionControl::metrics() {
  const auto moment = now();
  AdmissionMetrics result;
  const std::lock_guard lock(history_mutex_);
  history_.show(moment.value_or(seen_), accepted_total(), refused_total());
  result.accepted = accepted_total() - accepted_before_;
  for (std::size_t i = 0; i < kAdmissionRefusals; ++i) {
    result.refused_for[i] = refused_[i].load(std::memory_order_relaxed) - refused_before_[i];
    result.refused += result.refused_for[i];
  }
  result.acceptance = AcceptanceHistory::share_of(result.accepted, result.refused);
  result.acceptance_1s = history_.share(std::chrono::seconds(1));
  result.acceptance_10s = history_.share(std::chrono::seconds(10));
  result.acceptance_60s = history_.share(std::chrono::seconds(60));
  result.depth = depth_.load(std::memory_order_relaxed);
  result.highest_depth = highest_.load(std::memory_order_relaxed);
  result.waiting = waiting_.load(std::memory_order_relaxed);
  return result;
}

void AdmissionControl::reset_metrics() {
  const auto moment = now();
  const std::lock_guard lock(history_mutex_);
  accepted_before_ = accepted_total();
  for (std::size_t i = 0; i < kAdmissionRefusals; ++i) {
    refused_before_[i] = refused_[i].load(std::memory_order_relaxed);
  }
  history_.reset(moment.value_or(seen_), accepted_before_, refused_total());
  highest_.store(depth_.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

}  // namespace gyre::internal
