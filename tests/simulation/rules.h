#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <gyre/loop/loop.h>

namespace gyre::simulation {

/// The contract of the loop, as far as it can be checked from outside: told of everything that is scheduled, cancelled
/// and run, it says what must not have happened.
class Rules final : public LoopObserver {
 public:
  /// How the loop under test may deviate.
  struct Leeway {
    bool batches_are_cut = false;      // tasks and immediates may wait for several turns
    bool checkpoints_are_cut = false;  // ticks and microtasks may be left over
    std::uint32_t turns_between_polls = 1;
    Duration timer_slack{};
  };
  Rules(const Clock& clock, Leeway leeway) : clock_(clock), leeway_(leeway) {}

  /// Something was accepted. Returns its number.
  int accept(CallbackKind kind, bool foreign, bool ref = true);
  void accept_timer(int item, TimePoint deadline, std::optional<Duration> interval);
  void rearm_timer(int item, TimePoint deadline) { set_deadline(items_[index(item)], deadline); }
  void cancel(int item) { items_[index(item)].state = State::cancelled; }
  void set_ref(int item, bool ref) { items_[index(item)].ref = ref; }
  bool is_pending(int item) const { return items_[index(item)].state == State::pending; }
  bool is_running(int item) const { return items_[index(item)].running; }
  /// What was queued in the loop is gone: it is being closed.
  void close() { closed_ = true; }
  void shut_down() { draining_ = true; }

  void start(int item);
  void finish(int item);
  void start_watcher(int fd);
  void finish_watcher() { current_ = std::nullopt; }
  /// No checkpoint is going on.
  void pause() { in_microtasks_ = false; }
  /// The loop wants to sleep.
  void sleep(TimePoint deadline);
  /// The loop is over.
  void end();
  /// The descriptor is ready and watched for that, or no longer.
  void set_ready(int fd, bool ready) {
    if (!ready) {
      ready_since_.erase(fd);
    } else {
      ready_since_.try_emplace(fd, turn_);
    }
  }

  void on_turn(const QueueDepths& depths) override;

  const std::vector<std::string>& violations() const { return violations_; }
  std::size_t ran() const { return ran_; }

 private:
  enum class State { pending, done, cancelled };
  struct Item {
    CallbackKind kind;
    bool foreign;
    bool ref;
    State state = State::pending;
    bool running = false;
    std::uint64_t turn;                 // when it was accepted
    std::optional<CallbackKind> phase;  // and by a callback of which kind
    TimePoint deadline{};
    std::uint64_t sequence = 0;
    std::optional<Duration> interval = {};
    TimePoint started{};
  };

  static std::size_t index(int item) { return static_cast<std::size_t>(item); }
  static bool is_checkpoint_kind(CallbackKind kind) {
    return kind == CallbackKind::next_tick || kind == CallbackKind::microtask || kind == CallbackKind::checkpoint_end;
  }
  static int rank(CallbackKind kind);
  void set_deadline(Item& item, TimePoint deadline) {
    item.deadline = deadline;
    item.sequence = ++last_sequence_;
    item.turn = turn_;
  }
  void check(bool holds, const std::string& what) {
    if (!holds) violations_.push_back(fmt::format("turn {}: {}", turn_, what));
  }
  /// The oldest pending item of a kind; of those of this thread only, if `own`.
  std::optional<int> oldest(CallbackKind kind, bool own = false);
  void start_macro(int item, Item& started);
  void start_in_checkpoint(int item, Item& started);
  void start_timer(int item, Item& started);

  const Clock& clock_;
  const Leeway leeway_;
  std::vector<Item> items_;
  std::map<CallbackKind, std::deque<int>> queues_;
  std::set<int> timers_;
  std::map<int, std::uint64_t> ready_since_;
  std::vector<std::string> violations_;
  std::uint64_t turn_ = 0;
  std::uint64_t last_sequence_ = 0;
  std::size_t ran_ = 0;
  std::optional<CallbackKind> current_;  // of the callback that runs, if it is no checkpoint's
  int last_rank_ = -1;
  bool in_microtasks_ = false;
  bool nothing_ran_ = true;
  bool closed_ = false;
  bool draining_ = false;
};

}  // namespace gyre::simulation
