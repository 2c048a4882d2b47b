#include <chrono>
#include <stdexcept>
#include <utility>

#include <gyre/js/internal/runtime_core.h>

// Promises that the host waits for, and for how long.

namespace gyre::js::internal {

void require_callback(const SettledCallback& done) {
  if (!done) throw std::invalid_argument("gyre: an empty callback was given to wait for a promise");
}

Result<void> RuntimeCore::eval_async(std::string_view code, std::string_view name, SettledCallback done,
                                     Duration timeout) {
  if (auto usable_now = check_usable(); !usable_now) return usable_now;
  const Entry entry(*this);
  return wait_for(realm->run_script(code, name), std::move(done), timeout);
}

Result<void> RuntimeCore::wait_for(const Completion& completion, SettledCallback done, Duration timeout) {
  if (completion.is_terminated()) return std::unexpected(to_error(completion));
  const std::uint64_t id = ++last_wait_;
  TimerId deadline;
  if (timeout != Duration::max()) {
    const auto armed = loop.set_timeout(timeout, [core = weak_from_this(), id, timeout] {
      if (const auto self = core.lock()) {
        self->finish_wait(
            id, fail(Errc::timed_out,
                     "the promise is still pending after {:g} ms; the script goes on, but nobody waits for it any more",
                     std::chrono::duration<double, std::milli>(timeout).count()));
      }
    });
    if (!armed) return std::unexpected(armed.error());
    deadline = *armed;
  }
  waits_.emplace(id, Wait{.done = std::move(done), .deadline = deadline, .settled = {}});
  if (completion.is_thrown()) {
    settle_wait(id, std::unexpected(to_error(completion)));
    return {};
  }
  const auto [promise, resolver] = realm->deferred();
  realm->resolve(resolver, completion.value);  // looks for a method `then`, and so may run script, and end the runtime
  if (!usable()) return {};                    // then the end tells
  realm->promise_then(promise, realm->function("", 1, [this, id](Call& call) { settle_wait(id, make_value(call[0])); }),
                      realm->function("", 1, [this, id](Call& call) {
                        settle_wait(id, std::unexpected(to_error({Completion::Kind::thrown, call[0]})));
                      }));
  return {};
}

// In one of the script's microtasks. The host is told in one of its own.
void RuntimeCore::settle_wait(std::uint64_t id, Result<Value> settled) {
  const auto found = waits_.find(id);
  if (found == waits_.end()) return;  // the time-out came first
  found->second.settled = std::move(settled);
  static_cast<void>(loop.cancel(found->second.deadline));
  static_cast<void>(loop.queue_microtask([core = weak_from_this(), id] {
    const auto self = core.lock();
    if (self == nullptr) return;
    const auto waiting = self->waits_.find(id);
    if (waiting != self->waits_.end()) self->finish_wait(id, *std::move(waiting->second.settled));
  }));
}

void RuntimeCore::finish_wait(std::uint64_t id, Result<Value> settled) {
  auto wait = waits_.extract(id);
  if (!wait.empty()) wait.mapped().done(std::move(settled));
}

// The runtime has ended: what was settled before is told still.
void RuntimeCore::fail_waits() {
  while (!waits_.empty()) {
    auto wait = waits_.extract(waits_.begin());
    static_cast<void>(loop.cancel(wait.mapped().deadline));
    auto settled = std::move(wait.mapped().settled);
    if (!settled) {
      settled = std::unexpected(
          limit_error ? *limit_error : Error(Errc::terminated, "the runtime has ended before the promise was settled"));
    }
    tell_host(wait.mapped().done, *std::move(settled));
  }
}

}  // namespace gyre::js::internal
