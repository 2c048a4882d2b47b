#include "simulation.h"

#include <gyre/loop/internal/loop_access.h>
#include <gyre/loop/internal/loop_core.h>

namespace gyre::simulation {

LoopOptions Simulation::options_for(Choices& choices, SimulatedClock& clock, std::size_t& failures) {
  LoopOptions options;
  options.clock = &clock;
  options.auto_exit = choices.one_in(2);
  options.turns_between_polls = 1 + static_cast<std::uint32_t>(choices.below(8));
  options.time_between_polls = std::chrono::hours(1);  // turns decide
  options.timer_slack = std::chrono::microseconds(choices.one_in(3) ? 100 : 0);
  if (choices.one_in(4)) options.batch_limits.max_callbacks = 1 + static_cast<std::size_t>(choices.below(4));
  if (choices.one_in(8)) options.checkpoint_limits.max_callbacks = 1 + static_cast<std::size_t>(choices.below(4));
  options.on_callback_error = [&failures](const Error&, CallbackKind) { ++failures; };
  return options;
}

Rules::Leeway Simulation::leeway_for(const LoopOptions& options) {
  return {.batches_are_cut = options.batch_limits.any(),
          .checkpoints_are_cut = options.checkpoint_limits.any(),
          .turns_between_polls = options.turns_between_polls,
          .timer_slack = options.timer_slack};
}

Simulation::Simulation(std::uint64_t seed, bool keep_log)
    : choices_(seed),
      keep_log_(keep_log),
      options_(options_for(choices_, clock_, failures_reported_)),
      rules_(clock_, leeway_for(options_)),
      loop_(std::make_unique<Loop>(std::move(options_))),
      remote_(loop_->remote()),
      actions_left_(20 + choices_.below(150)),
      visits_left_(choices_.below(40)) {
  auto poller = std::make_unique<SimulatedPoller>(clock_, *this, choices_);
  poller_ = poller.get();
  internal::LoopAccess::core(*loop_).shared->poller = std::move(poller);
  loop_->add_observer(rules_);
}

Simulation::~Simulation() {
  watchers_.clear();
}

void Simulation::note(std::string text) {
  for (const char c : text) fingerprint_ = (fingerprint_ ^ static_cast<unsigned char>(c)) * 1099511628211u;
  if (keep_log_)
    log_.push_back(fmt::format("{} {}", (clock_.now().time_since_epoch()).count() / 1000, std::move(text)));
}

void Simulation::run() {
  for (int i = choices_.below(12); i > 0; --i) choices_.one_in(3) ? act_elsewhere() : act();
  note(fmt::format("begin, auto_exit {}", loop_->is_alive()));
  const bool stepwise = choices_.one_in(3);
  while (!over_) {
    if (!stepwise) {
      const auto result = loop_->run();
      finish(result ? "run ended" : result.error().message());
    } else {
      rules_.pause();
      const int how = choices_.below(3);
      const auto result = how == 0 ? loop_->poll_once() : how == 1 ? loop_->run_once() : loop_->run_for(some_delay());
      if (!result || loop_->state() == LoopState::terminated) {
        finish(result ? "stepped to the end" : result.error().message());
      } else if (choices_.one_in(4)) {
        act();
      } else if (visits_left_ == 0) {
        note("shutdown between steps");
        if (remote_.shutdown(Duration::zero())) rules_.shut_down();
        rules_.shut_down();
      } else {
        --visits_left_;
        act_elsewhere();
      }
    }
  }
  if (failures_ != failures_reported_) {
    violations_.push_back(fmt::format("{} callbacks threw, {} were reported", failures_, failures_reported_));
  }
  violations_.insert(violations_.end(), rules_.violations().begin(), rules_.violations().end());
}

void Simulation::finish(std::string how) {
  note("end: " + how);
  over_ = true;
  rules_.end();
  if (loop_->state() != LoopState::terminated)
    violations_.push_back("the loop has ended, but is not terminated: " + how);
  if (loop_->post([] {})) violations_.push_back("a task was accepted after the end");
}

// --- What callbacks do ---

Task Simulation::body(int item) {
  return [this, item] {
    rules_.start(item);
    note(fmt::format("run {}", item));
    struct Finish {
      Rules& rules;
      int item;
      ~Finish() { rules.finish(item); }
    } finish{rules_, item};
    if (choices_.one_in(8)) clock_.advance(some_delay());
    while (choices_.one_in(2)) act();
    if (choices_.one_in(12)) act_elsewhere();
    if (rules_.ran() >= kLongLife) {
      rules_.shut_down();
      static_cast<void>(loop_->shutdown());
    }
    if (choices_.one_in(20)) {
      ++failures_;
      throw item;
    }
  };
}

void Simulation::act() {
  if (--actions_left_ < 0) return;
  switch (choices_.below(10)) {
    case 0:
    case 1:
      return touch_timers();
    case 2:
      return touch_descriptors();
    case 3:
      if (!immediates_.empty()) {
        const Immediate chosen =
            immediates_[static_cast<std::size_t>(choices_.below(static_cast<int>(immediates_.size())))];
        const bool pending = rules_.is_pending(chosen.item);
        if (pending) rules_.cancel(chosen.item);
        note(fmt::format("cancel immediate {}", chosen.item));
        if (loop_->cancel(chosen.id).has_value() != pending) violations_.push_back("an immediate's cancellation lied");
      }
      return;
    case 4:
      if (!choices_.one_in(12)) return schedule();
      if (choices_.one_in(3)) {
        note("shutdown by the loop");
        rules_.shut_down();
        static_cast<void>(loop_->shutdown());
      }
      return;
    default:
      return schedule();
  }
}

void Simulation::schedule() {
  constexpr CallbackKind kKinds[] = {CallbackKind::task,      CallbackKind::priority_task,  CallbackKind::next_tick,
                                     CallbackKind::microtask, CallbackKind::checkpoint_end, CallbackKind::close,
                                     CallbackKind::immediate};
  const CallbackKind kind = kKinds[choices_.below(7)];
  const bool ref = !choices_.one_in(4);
  // Told first: the number goes into the callback. What is refused then counts as cancelled.
  const int item = rules_.accept(kind, false, ref);
  note(fmt::format("schedule {} {}", to_string(kind), item));
  bool accepted = false;
  switch (kind) {
    case CallbackKind::task:
      accepted = loop_->post(body(item)).has_value();
      break;
    case CallbackKind::priority_task:
      accepted = loop_->post_priority(body(item)).has_value();
      break;
    case CallbackKind::next_tick:
      accepted = loop_->next_tick(body(item)).has_value();
      break;
    case CallbackKind::microtask:
      accepted = loop_->queue_microtask(body(item)).has_value();
      break;
    case CallbackKind::checkpoint_end:
      accepted = loop_->at_checkpoint_end(body(item)).has_value();
      break;
    case CallbackKind::close:
      accepted = loop_->post_close(body(item)).has_value();
      break;
    default:
      if (const auto id = loop_->set_immediate(body(item), ref)) {
        accepted = true;
        immediates_.push_back({item, *id});
      }
  }
  if (!accepted) rules_.cancel(item);
}

void Simulation::touch_timers() {
  const auto arm = [&] {
    const bool ref = !choices_.one_in(4);
    const Duration delay = some_delay();
    const bool repeats = choices_.one_in(5);
    const int item = rules_.accept(CallbackKind::timer, false, ref);
    note(fmt::format("arm {} in {} us", item, delay.count() / 1000));
    rules_.accept_timer(item, clock_.now() + delay, repeats ? std::optional(delay) : std::nullopt);
    const auto id = repeats ? loop_->set_interval(delay, body(item), ref) : loop_->set_timeout(delay, body(item), ref);
    if (id) {
      timers_.push_back({item, *id});
    } else {
      rules_.cancel(item);
    }
  };
  if (timers_.empty() || choices_.one_in(2)) return arm();
  const Timer chosen = timers_[static_cast<std::size_t>(choices_.below(static_cast<int>(timers_.size())))];
  const bool ending = loop_->state() == LoopState::terminating || loop_->state() == LoopState::terminated;
  const bool exists = (rules_.is_pending(chosen.item) || rules_.is_running(chosen.item)) && !ending;
  switch (choices_.below(4)) {
    case 0:
    case 1: {
      note(fmt::format("cancel timer {}", chosen.item));
      if (exists && rules_.is_pending(chosen.item)) rules_.cancel(chosen.item);
      const bool cancelled = loop_->cancel(chosen.id).has_value();
      if (cancelled && !exists) violations_.push_back(fmt::format("timer {} was cancelled twice", chosen.item));
      return;
    }
    case 2:
      if (!exists || !rules_.is_pending(chosen.item) || rules_.is_running(chosen.item)) return;
      {
        const Duration delay = some_delay();
        note(fmt::format("move timer {} to {} us", chosen.item, delay.count() / 1000));
        if (loop_->reschedule(chosen.id, delay)) rules_.rearm_timer(chosen.item, clock_.now() + delay);
      }
      return;
    default: {
      const bool ref = choices_.one_in(2);
      rules_.set_ref(chosen.item, ref);
      ref ? loop_->ref(chosen.id) : loop_->unref(chosen.id);
    }
  }
}

void Simulation::touch_descriptors() {
  const int fd = kFirstDescriptor + choices_.below(kDescriptors);
  const auto found = watchers_.find(fd);
  if (found == watchers_.end()) {
    note(fmt::format("watch {}", fd));
    auto watcher = loop_->watch(fd, Readiness::read, [this, fd](Readiness) {
      rules_.start_watcher(fd);
      note(fmt::format("ready {}", fd));
      if (!choices_.one_in(3)) {
        poller_->ready.erase(fd);
        rules_.set_ready(fd, false);
      }
      while (choices_.one_in(2)) act();
      if (rules_.ran() >= kLongLife) {
        rules_.shut_down();
        static_cast<void>(loop_->shutdown());
      }
      rules_.finish_watcher();
    });
    if (!watcher) return;
    if (poller_->ready.contains(fd)) rules_.set_ready(fd, true);
    watchers_.emplace(fd, std::move(*watcher));
    return;
  }
  note(fmt::format("unwatch {}", fd));
  rules_.set_ready(fd, false);
  Watcher watcher = std::move(found->second);
  watchers_.erase(found);
  static_cast<void>(watcher.stop());
}

// --- What the rest of the world does ---

void Simulation::act_elsewhere() {
  const auto command = [&](CallbackKind kind, auto give) {
    const int item = rules_.accept(kind, true);
    note(fmt::format("elsewhere: {} {}", to_string(kind), item));
    if (!give(body(item))) rules_.cancel(item);
  };
  switch (choices_.below(12)) {
    case 0:
    case 1:
      return command(CallbackKind::task, [&](Task task) { return remote_.post(std::move(task)).has_value(); });
    case 2:
      return command(CallbackKind::priority_task,
                     [&](Task task) { return remote_.post_priority(std::move(task)).has_value(); });
    case 3:
      return command(CallbackKind::next_tick,
                     [&](Task task) { return remote_.next_tick(std::move(task)).has_value(); });
    case 4:
      return command(CallbackKind::microtask,
                     [&](Task task) { return remote_.queue_microtask(std::move(task)).has_value(); });
    case 5:
      return command(CallbackKind::immediate,
                     [&](Task task) { return remote_.set_immediate(std::move(task)).has_value(); });
    case 6:
      return command(CallbackKind::close, [&](Task task) { return remote_.post_close(std::move(task)).has_value(); });
    case 7: {
      const Duration delay = some_delay();
      const int item = rules_.accept(CallbackKind::timer, true);
      note(fmt::format("elsewhere: arm {} in {} us", item, delay.count() / 1000));
      rules_.accept_timer(item, clock_.now() + delay, std::nullopt);
      if (const auto id = remote_.set_timeout(delay, body(item))) {
        timers_.push_back({item, *id});
      } else {
        rules_.cancel(item);
      }
      return;
    }
    case 8:
      if (!timers_.empty()) {
        const Timer chosen = timers_[static_cast<std::size_t>(choices_.below(static_cast<int>(timers_.size())))];
        if (rules_.is_running(chosen.item) || !rules_.is_pending(chosen.item)) return;
        note(fmt::format("elsewhere: cancel timer {}", chosen.item));
        if (remote_.request_cancel(chosen.id)) rules_.cancel(chosen.item);
      }
      return;
    case 9:
      static_cast<void>(remote_.wake());
      return;
    default: {
      const int fd = kFirstDescriptor + choices_.below(kDescriptors);
      note(fmt::format("{} becomes ready", fd));
      poller_->ready[fd] = Readiness::read;
      if (watchers_.contains(fd)) rules_.set_ready(fd, true);
    }
  }
}

bool Simulation::while_asleep(TimePoint deadline) {
  rules_.sleep(deadline);
  if (visits_left_ > 0 && choices_.one_in(2)) {
    --visits_left_;
    act_elsewhere();
    return true;
  }
  if (deadline != TimePoint::max()) {
    // Time passes, perhaps not all of it before something else happens.
    const Duration left = deadline - clock_.now();
    clock_.advance(visits_left_ > 0 && choices_.one_in(3) ? left / 2 : left);
    return true;
  }
  if (visits_left_ > 0) {
    --visits_left_;
    act_elsewhere();
    return true;
  }
  note("shutdown from elsewhere");
  rules_.shut_down();
  static_cast<void>(remote_.shutdown(Duration::zero()));
  return true;
}

}  // namespace gyre::simulation
