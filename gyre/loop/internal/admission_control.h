#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gyre/base/cache_line.h>
#include <gyre/base/clock.h>
#include <gyre/base/error.h>
#include <gyre/base/internal/short_lock.h>
#include <gyre/base/intrusive_list.h>
#include <gyre/base/task.h>
#include <gyre/loop/admission.h>
#include <gyre/loop/internal/acceptance_history.h>
#include <gyre/loop/wait_limit.h>
#include <gyre/rate/limiter.h>

namespace gyre::internal {

struct SharedState;

/// Decides whether a loop accepts a task, and keeps those waiting who would rather wait. Made with the loop, so that
/// every task in its queue has been counted; lives as long as its `SharedState`.
///
/// A slot in the queue is reserved first and given back if the task is refused after all, so that the depth is hard.
/// All reservations are one counter; with a limit on the depth alone nothing else is written.
///
/// Lost wake-ups: who frees a slot writes the counter, then reads `slot_wanted_`; who waits writes `slot_wanted_`, then
/// reads the counter. Both are sequentially consistent, so that one of the two sees the other.
class AdmissionControl {
 public:
  /// `clock`: the loop's, where it is not the system's. Throws std::invalid_argument for options out of range.
  AdmissionControl(SharedState& shared, AdmissionOptions&& options, const Clock* clock);

  // --- Any thread ---

  /// Judges a task that is to be queued, and counts it. An empty category is none.
  Result<void> admit(std::string_view category);
  /// Counts a task that is not judged.
  void enter() noexcept { note(depth_.fetch_add(1) + 1); }
  /// A task that was counted has not been queued after all.
  void withdraw() noexcept {
    depth_.fetch_sub(1);
    tell_of_slot();
  }
  /// Queues the task when there is room for it; see `Remote::post_wait`.
  Result<void> post_wait(Task&& task, const WaitLimit& limit, std::string_view category);
  /// Nobody waits any more: the loop is ending.
  void close() noexcept;

  Result<void> set_limits(AdmissionLimits limits);
  AdmissionMetrics metrics();
  void reset_metrics();
  bool exempts_own_tasks() const noexcept { return options_.exempt_own_tasks; }

  // --- The owner ---

  /// A task that was counted starts, or is destroyed unrun.
  void started() noexcept {
    depth_.fetch_sub(1);
    left_.store(left_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);  // nobody else writes it
    tell_of_slot();
  }
  /// Once a turn: what is due now and then.
  void attend(TimePoint now);
  /// The depth, once after it has reached the soft limit.
  std::optional<std::size_t> take_soft_excess() noexcept;
  /// Whether to warn of refusals for that reason; at most once a minute for each.
  bool take_warning(AdmissionRefusal reason) noexcept;
  UniqueFunction<void(std::size_t)>& on_soft_depth() noexcept { return options_.on_soft_depth; }

 private:
  static constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();
  static constexpr Duration kBetweenWarnings = std::chrono::minutes(1);

  struct Verdict {
    enum class Kind : std::uint8_t { accepted, refused, ending };
    Kind kind = Kind::accepted;
    AdmissionRefusal reason = AdmissionRefusal::depth;
    std::optional<TimePoint> next = std::nullopt;  // on the loop's clock
    std::optional<Duration> retry_after = std::nullopt;

    bool accepted() const noexcept { return kind == Kind::accepted; }
    /// Whether nobody else can be accepted either, or nobody else of the same category.
    bool blocks_all() const noexcept { return kind == Kind::refused && reason != AdmissionRefusal::category; }
    bool blocks_category() const noexcept { return kind == Kind::refused && reason == AdmissionRefusal::category; }
  };

  struct Waiter : ListHook {
    Waiter(Task&& given, std::string_view its_category) : task(std::move(given)), category(its_category) {}
    Task task;
    const std::string_view category;
    Verdict verdict;
    /// When to ask again by itself, on the loop's clock; empty if another one does, or whoever frees a slot.
    std::optional<TimePoint> asks_at = std::nullopt;
    bool asks_at_changed = false;
    std::optional<Result<void>> outcome = std::nullopt;
    std::condition_variable_any told;
  };

  /// By the loop's clock; empty once the loop is ending, when there may be no clock any more.
  std::optional<TimePoint> now();
  /// How long to sleep until a moment on the loop's clock.
  Duration time_until(TimePoint moment);
  bool is_exempt(std::string_view category) const noexcept;

  /// The depth with it, or zero if there is none.
  std::size_t take_slot() noexcept;
  void tell_of_slot() noexcept {
    if (slot_wanted_.load()) [[unlikely]]
      serve();
  }
  void note(std::size_t depth) noexcept;
  Verdict judge(std::string_view category);
  Verdict ask_rates(std::string_view category);
  static Verdict refusal(AdmissionRefusal reason, const rate::Decision& decision);
  [[gnu::cold]] Result<void> refuse(const Verdict& verdict, std::string_view category);
  Error error_of(const Verdict& verdict, std::string_view category) const;
  void record_refusal(AdmissionRefusal reason);

  [[gnu::cold]] void serve() noexcept;
  // With `mutex_` held:
  void serve_locked() noexcept;
  Result<void> queue(Waiter& waiter);
  void finish(Waiter& waiter, Result<void> outcome) noexcept;
  Verdict judge_behind_waiters(std::string_view category);
  bool is_behind_another(const Waiter& waiter) noexcept;

  std::uint64_t accepted_total() const noexcept {
    return left_.load(std::memory_order_relaxed) + depth_.load(std::memory_order_relaxed);
  }
  std::uint64_t refused_total() const noexcept;
  void show_totals(TimePoint now);

  SharedState& shared_;
  AdmissionOptions options_;  // its limits are empty: they are in what follows
  const Clock* const clock_;  // null: the system's

  // Hardly ever written.
  std::atomic<std::size_t> max_depth_{kUnlimited};
  std::atomic<std::size_t> soft_depth_{kUnlimited};
  static constexpr unsigned kAll = 1;
  static constexpr unsigned kByCategory = 2;
  std::atomic<unsigned> rated_{0};
  rate::Limiter<int> all_;  // one category
  rate::Limiter<std::string> categories_;

  // Written with every task.
  alignas(kCacheLinePair) std::atomic<std::size_t> depth_{0};
  alignas(kCacheLinePair) std::atomic<std::uint64_t> left_{0};  // the owner's: tasks that have started, or never will

  // Written now and then.
  alignas(kCacheLinePair) std::atomic<std::size_t> waiting_{0};
  std::atomic<bool> slot_wanted_{false};  // changes under mutex_
  std::atomic<std::size_t> highest_{0};
  enum class Soft : std::uint8_t { below, reached, told };
  std::atomic<Soft> soft_{Soft::below};
  std::array<std::atomic<std::uint64_t>, kAdmissionRefusals> refused_{};
  std::array<std::atomic<Duration::rep>, kAdmissionRefusals> next_warning_{};
  std::atomic<unsigned> warnings_{0};  // by reason, those to be given
  std::atomic<Duration::rep> history_due_{0};

  /// Taken by whoever asks both limiters, so that what one of them accepted can be given back.
  ShortLock both_;

  ShortLock history_mutex_;
  // Guarded by it:
  AcceptanceHistory history_;
  TimePoint seen_{};                   // the clock, when it was last read for the history
  std::uint64_t accepted_before_ = 0;  // the last reset
  std::array<std::uint64_t, kAdmissionRefusals> refused_before_{};

  std::mutex mutex_;  // before SharedState::mutex where both are needed
  // Guarded by it:
  IntrusiveList<Waiter> waiters_;  // in the order of their coming
  bool closed_ = false;
};

}  // namespace gyre::internal
