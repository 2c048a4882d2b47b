#include "rules.h"

namespace gyre::simulation {

int Rules::rank(CallbackKind kind) {
  switch (kind) {
    case CallbackKind::watcher:
      return 0;
    case CallbackKind::immediate:
      return 1;
    case CallbackKind::close:
      return 2;
    case CallbackKind::timer:
      return 3;
    case CallbackKind::priority_task:
      return 4;
    default:
      return 5;
  }
}

int Rules::accept(CallbackKind kind, bool foreign, bool ref) {
  const int item = static_cast<int>(items_.size());
  items_.push_back({.kind = kind, .foreign = foreign, .ref = ref, .turn = turn_, .phase = current_});
  if (kind != CallbackKind::timer) queues_[kind].push_back(item);
  return item;
}

void Rules::accept_timer(int item, TimePoint deadline, std::optional<Duration> interval) {
  Item& timer = items_[index(item)];
  timer.interval = interval;
  set_deadline(timer, deadline);
  timers_.insert(item);
}

std::optional<int> Rules::oldest(CallbackKind kind, bool own) {
  auto& queue = queues_[kind];
  while (!queue.empty() && !is_pending(queue.front())) queue.pop_front();
  for (const int item : queue) {
    if (is_pending(item) && !(own && items_[index(item)].foreign)) return item;
  }
  return std::nullopt;
}

void Rules::start(int item) {
  Item& started = items_[index(item)];
  ++ran_;
  check(!closed_, fmt::format("{} {} started after the loop was closed", to_string(started.kind), item));
  check(started.state == State::pending,
        fmt::format("{} {} started, but it {}", to_string(started.kind), item,
                    started.state == State::done ? "had run already" : "was cancelled"));
  if (is_checkpoint_kind(started.kind)) {
    start_in_checkpoint(item, started);
  } else {
    start_macro(item, started);
  }
  started.running = true;
  started.started = clock_.now();
  if (started.kind != CallbackKind::timer || !started.interval) {
    started.state = State::done;
    timers_.erase(item);
  }
}

void Rules::start_in_checkpoint(int item, Item& started) {
  check(oldest(started.kind) == item,
        fmt::format("{} {} overtook {}", to_string(started.kind), item, oldest(started.kind).value_or(-1)));
  if (leeway_.checkpoints_are_cut) return;
  switch (started.kind) {
    case CallbackKind::next_tick:
      // A batch of microtasks is run to its end; what other threads queued meanwhile is not of it.
      if (in_microtasks_) {
        check(!oldest(CallbackKind::microtask, true), fmt::format("tick {} ran amid microtasks", item));
      }
      in_microtasks_ = false;
      break;
    case CallbackKind::microtask:
      if (!in_microtasks_)
        check(!oldest(CallbackKind::next_tick, true), fmt::format("microtask {} before a tick", item));
      in_microtasks_ = true;
      break;
    default:
      check(!oldest(CallbackKind::next_tick, true) && !oldest(CallbackKind::microtask, true),
            fmt::format("end-of-checkpoint callback {} before a tick or microtask", item));
      in_microtasks_ = false;
  }
}

void Rules::start_macro(int item, Item& started) {
  const bool start_up = std::exchange(nothing_ran_, false) && started.kind == CallbackKind::priority_task;
  if (!leeway_.checkpoints_are_cut && !start_up) {
    for (const CallbackKind kind : {CallbackKind::next_tick, CallbackKind::microtask, CallbackKind::checkpoint_end}) {
      check(!oldest(kind, true),
            fmt::format("{} {} started with a {} pending", to_string(started.kind), item, to_string(kind)));
    }
  }
  in_microtasks_ = false;
  if (turn_ > 0 && !draining_) {
    check(rank(started.kind) >= last_rank_,
          fmt::format("{} {} started out of its phase", to_string(started.kind), item));
    last_rank_ = rank(started.kind);
  }
  current_ = started.kind;
  if (started.kind == CallbackKind::timer) {
    start_timer(item, started);
    return;
  }
  check(oldest(started.kind) == item,
        fmt::format("{} {} overtook {}", to_string(started.kind), item, oldest(started.kind).value_or(-1)));
  check(started.turn != turn_ || started.phase != started.kind || draining_ || turn_ == 0,
        fmt::format("{} {} ran in the phase that it was queued in", to_string(started.kind), item));
}

void Rules::start_timer(int item, Item& started) {
  check(!draining_, fmt::format("timer {} fired during the final drain", item));
  check(clock_.now() >= started.deadline, fmt::format("timer {} fired early", item));
  check(started.turn < turn_ || turn_ == 0, fmt::format("timer {} fired in the turn that it was armed in", item));
  for (const int other : timers_) {
    const Item& timer = items_[index(other)];
    if (other == item || timer.state != State::pending || timer.running || timer.turn >= turn_) continue;
    check(std::pair(timer.deadline, timer.sequence) > std::pair(started.deadline, started.sequence),
          fmt::format("timer {} fired before timer {}", item, other));
  }
}

void Rules::finish(int item) {
  Item& finished = items_[index(item)];
  finished.running = false;
  if (!is_checkpoint_kind(finished.kind)) current_ = std::nullopt;
  if (finished.kind == CallbackKind::timer && finished.interval && finished.state == State::pending) {
    // Unless the callback has moved it itself.
    if (finished.deadline <= finished.started) set_deadline(finished, finished.started + *finished.interval);
  }
}

void Rules::start_watcher(int fd) {
  ++ran_;
  check(!closed_ && !draining_, fmt::format("watcher of {} called after the end", fd));
  check(ready_since_.contains(fd), fmt::format("watcher of {} called though it is not ready", fd));
  if (!leeway_.checkpoints_are_cut) {
    for (const CallbackKind kind : {CallbackKind::next_tick, CallbackKind::microtask, CallbackKind::checkpoint_end}) {
      check(!oldest(kind, true), fmt::format("watcher of {} called with a {} pending", fd, to_string(kind)));
    }
  }
  check(last_rank_ <= 0, fmt::format("watcher of {} called out of its phase", fd));
  ready_since_[fd] = turn_;
  current_ = CallbackKind::watcher;
  in_microtasks_ = false;
  nothing_ran_ = false;
}

void Rules::on_turn(const QueueDepths&) {
  ++turn_;
  last_rank_ = -1;
  pause();
  if (!leeway_.batches_are_cut) {
    for (const CallbackKind kind :
         {CallbackKind::task, CallbackKind::priority_task, CallbackKind::immediate, CallbackKind::close}) {
      if (const auto item = oldest(kind)) {
        check(items_[index(*item)].turn + 2 >= turn_, fmt::format("{} {} is left behind", to_string(kind), *item));
      }
    }
  }
  for (const auto& [fd, since] : ready_since_) {
    check(turn_ - since <= leeway_.turns_between_polls + 2,
          fmt::format("descriptor {} is starved since turn {}", fd, since));
  }
}

void Rules::sleep(TimePoint deadline) {
  pause();
  for (const CallbackKind kind :
       {CallbackKind::task, CallbackKind::priority_task, CallbackKind::immediate, CallbackKind::close,
        CallbackKind::next_tick, CallbackKind::microtask, CallbackKind::checkpoint_end}) {
    check(!oldest(kind), fmt::format("the loop sleeps with a {} pending", to_string(kind)));
  }
  for (const int timer : timers_) {
    if (!is_pending(timer)) continue;
    check(deadline >= clock_.now() && items_[index(timer)].deadline + leeway_.timer_slack >= clock_.now(),
          fmt::format("the loop sleeps with timer {} due", timer));
  }
}

void Rules::end() {
  const bool by_itself = !draining_;
  if (closed_) return;
  for (std::size_t i = 0; i < items_.size(); ++i) {
    const Item& item = items_[i];
    if (item.state != State::pending) continue;
    const bool may_be_left = item.kind == CallbackKind::timer
                                 ? !by_itself || !item.ref
                                 : item.kind == CallbackKind::immediate && by_itself && !item.ref;
    check(may_be_left, fmt::format("{} {} was accepted and never ran", to_string(item.kind), i));
  }
}

}  // namespace gyre::simulation
