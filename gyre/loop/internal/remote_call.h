#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include <gyre/base/error.h>
#include <gyre/base/task.h>
#include <gyre/loop/internal/owner_call.h>
#include <gyre/loop/internal/shared_state.h>
#include <gyre/loop/wait_limit.h>

namespace gyre::internal {

/// One question that a thread asks of a loop it does not own, and waits for the answer to.
///
/// Either the loop claims it and answers, or the asker withdraws it: then it never happens. The asker withdraws when
/// its time is up, and as soon as the end of the loop is decided: the callback that the loop is executing may itself
/// wait for the asker, and the loop would never come to answer.
class PendingCall {
 public:
  bool claim() noexcept { return move_on(State::waiting, State::claimed); }
  bool withdraw() noexcept { return move_on(State::waiting, State::withdrawn); }
  void finish(SharedState& shared) noexcept {
    const std::lock_guard lock(shared.mutex);
    state_.store(State::finished, std::memory_order_release);
    shared.call_changed.notify_all();
  }
  bool is_finished() const noexcept { return state_.load(std::memory_order_acquire) == State::finished; }

  /// Waits for the answer; empty if there is one, else why there will be none.
  Result<void> wait(SharedState& shared, const WaitLimit& limit);

 private:
  enum class State : std::uint8_t { waiting, claimed, withdrawn, finished };

  bool move_on(State from, State to) noexcept { return state_.compare_exchange_strong(from, to); }

  std::atomic<State> state_{State::waiting};
};

template <typename T>
struct TypedCall : PendingCall {
  explicit TypedCall(UniqueFunction<Result<T>(LoopCore&)> given) : operation(std::move(given)) {}
  UniqueFunction<Result<T>(LoopCore&)> operation;
  std::optional<Result<T>> answer;
};

/// The loop's side of a call. Destroyed unrun, because the loop has ended, it answers that.
template <typename T>
class CallAnswer {
 public:
  CallAnswer(std::shared_ptr<TypedCall<T>> call, std::shared_ptr<SharedState> shared)
      : call_(std::move(call)), shared_(std::move(shared)) {}
  CallAnswer(CallAnswer&&) noexcept = default;
  CallAnswer& operator=(CallAnswer&&) = delete;
  ~CallAnswer() {
    if (call_ != nullptr) answer(nullptr);
  }
  void operator()() { answer(shared_->core); }

 private:
  void answer(LoopCore* core) {
    const auto call = std::move(call_);
    if (call == nullptr || !call->claim()) return;
    try {
      call->answer.emplace(core == nullptr ? gone() : call->operation(*core));
    } catch (...) {
      // Out of memory, in practice; or the owner's thread is cancelled in an observer, and the loop ends with it.
      const auto thrown = std::current_exception();
      call->answer.emplace(thrown == nullptr ? gone() : std::unexpected(Error::from_exception(thrown)));
      finish(*call);
      if (thrown == nullptr) throw;
      return;
    }
    finish(*call);
  }
  static Result<T> gone() { return fail(Errc::terminated, "the loop has ended before it could answer"); }
  void finish(TypedCall<T>& call) {
    call.operation.reset();
    call.finish(*shared_);
  }

  std::shared_ptr<TypedCall<T>> call_;
  std::shared_ptr<SharedState> shared_;
};

/// Has the loop's owner run `operation` and waits for its result. Where nobody runs the loop, and on the owner's own
/// thread, it is run right here.
template <typename T, typename Operation>
Result<T> call_owner(const std::shared_ptr<SharedState>& shared, const WaitLimit& limit, Operation operation) {
  if (const OwnerCall owner(*shared, OwnerCall::try_borrow); owner.granted()) {
    if (shared->core == nullptr) return fail(Errc::terminated, "the loop is gone");
    return operation(*shared->core);
  }
  const auto call = std::make_shared<TypedCall<T>>(std::move(operation));
  auto pushed = shared->push_command({.kind = Command::Kind::call, .task = CallAnswer<T>(call, shared)});
  if (!pushed) return std::unexpected(pushed.error());
  if (auto waited = call->wait(*shared, limit); !waited) return std::unexpected(waited.error());
  return *std::move(call->answer);
}

}  // namespace gyre::internal
