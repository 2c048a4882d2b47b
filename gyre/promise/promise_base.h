#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <source_location>
#include <string_view>
#include <utility>

#include <gyre/base/context.h>
#include <gyre/promise/block_cache.h>
#include <gyre/promise/reason.h>

namespace gyre {

/// The numbers are stable.
enum class PromiseStatus : std::uint8_t { pending = 0, fulfilled = 1, rejected = 2 };

constexpr std::string_view to_string(PromiseStatus status) {
  constexpr std::string_view kNames[] = {"pending", "fulfilled", "rejected"};
  const auto index = static_cast<std::size_t>(status);
  return index < std::size(kNames) ? kNames[index] : "unknown";
}

// What every promise is made of, whatever its type. Nothing here is for users; it is installed because templates need
// it.
namespace internal {

class PromiseBase;
class PromiseDomain;
class PromiseRecords;
class Reaction;

/// A reaction's place in a queue.
struct ReactionLink {
  Reaction* next_reaction = nullptr;
  PromiseBase* queued_source = nullptr;  // with a reference, while the reaction is to run
  /// It runs within the call that settles its source. It must not call users' code.
  const bool is_immediate = false;
};

/// What happens when a promise settles. A reaction lives inside something else (the state of the promise that `then`
/// returned, a coroutine's frame, a combinator) and is in one queue at a time: its source's while that is pending, its
/// domain's when it is to run. Whoever has it queued keeps that something alive; exactly one of the three calls ends
/// this.
class Reaction : public ReactionLink {
 public:
  /// The source is settled, and this is the reaction's microtask.
  virtual void run(PromiseBase& source) = 0;
  /// The source is settled, but the loop has ended and runs no microtasks any more.
  virtual void refuse(PromiseBase& source) noexcept = 0;
  /// The source will never be settled.
  virtual void abandon() noexcept = 0;

 protected:
  explicit Reaction(bool immediate = false) : ReactionLink{.is_immediate = immediate} {}
  Reaction(const Reaction&) = delete;
  Reaction& operator=(const Reaction&) = delete;
  ~Reaction() = default;
};

/// First in, first out.
class ReactionQueue {
 public:
  bool empty() const noexcept { return head_ == nullptr; }
  void push(Reaction& reaction) noexcept {
    reaction.next_reaction = nullptr;
    *(head_ == nullptr ? &head_ : &tail_->next_reaction) = &reaction;
    tail_ = &reaction;
  }
  Reaction* pop() noexcept {
    Reaction* reaction = head_;
    if (reaction != nullptr) head_ = reaction->next_reaction;
    return reaction;
  }

 private:
  Reaction* head_ = nullptr;
  Reaction* tail_ = nullptr;
};

/// A place in a ring.
struct Links {
  Links* next = this;
  Links* previous = this;

  Links() = default;
  Links(const Links&) = delete;
  Links& operator=(const Links&) = delete;
  bool is_alone() const noexcept { return next == this; }
  /// Takes time in proportion to their number.
  std::size_t count_others() const noexcept {
    std::size_t count = 0;
    for (const Links* at = next; at != this; at = at->next) ++count;
    return count;
  }
  void insert_before(Links& position) noexcept {
    previous = position.previous;
    next = &position;
    previous->next = this;
    position.previous = this;
  }
  void unlink() noexcept {
    previous->next = next;
    next->previous = previous;
    next = previous = this;
  }
};

/// The state of a promise, without its value: who refers to it, what waits for it, how it ended.
///
/// Reference counts are plain integers: a promise belongs to its loop's thread. Everybody who may still settle it, read
/// it or be told of it holds a reference. While it is pending it is in its domain's list, in the order of creation, if
/// the end of the loop has to reject it; once rejected, in the list of unhandled rejections, until somebody handles it.
class PromiseBase : private Links {
 public:
  PromiseBase(const PromiseBase&) = delete;
  PromiseBase& operator=(const PromiseBase&) = delete;

  PromiseDomain& domain() const noexcept { return *domain_; }
  PromiseStatus status() const noexcept { return status_; }
  bool is_pending() const noexcept { return status_ == PromiseStatus::pending; }
  /// True once its fate is decided: settled, or bound to another promise.
  bool is_claimed() const noexcept { return claimed_; }

  void retain() noexcept { ++references_; }
  void release() noexcept {
    if (--references_ == 0) bury();
  }
  /// True for a reaction that is the last to see the value.
  bool is_unique() const noexcept { return references_ == 1; }

  void retain_resolver() noexcept {
    ++resolvers_;
    ++references_;
  }
  void release_resolver() noexcept {
    if (--resolvers_ == 0 && !claimed_) [[unlikely]]
      break_promise();
    release();
  }

  /// Only if rejected.
  Reason reason() const noexcept;

  /// Settles. The first claim wins: callers ask `is_claimed`, or hold the only right to settle.
  void reject(Reason reason) noexcept;
  /// With the reason of another promise, passed on: if that was reported as unhandled, this one is not again.
  void reject_as(const PromiseBase& source, bool source_was_reported) noexcept;

  /// Queues the reaction for the settlement, or at once if there has been one. Throws only on another thread than the
  /// loop's, and only if there has been one.
  void add_reaction(Reaction& reaction);
  /// Takes a reaction back. It must be waiting for the settlement. Takes time in proportion to their number.
  void remove_reaction(Reaction& reaction) noexcept;
  /// Somebody looks after the rejection.
  void mark_handled() noexcept {
    if (handled_) return;
    handled_ = true;
    if (status_ == PromiseStatus::rejected || has_record_) [[unlikely]]
      handled_now();
  }
  /// Somebody passes the rejection on to another promise. True if it has been reported, so that that one is not.
  bool mark_passed_on() noexcept {
    if (reported_) return true;
    mark_handled();
    return false;
  }

  /// Binds this promise to `inner`, which will settle it. False if that would make a ring, of which nothing can be
  /// settled.
  bool bind_to(PromiseBase& inner) noexcept;
  void unbind() noexcept { bound_to_ = nullptr; }
  /// Says that nothing but a reaction to `source` will settle this promise. That reaction, or its end, unsays it.
  void depend_on(PromiseBase& source) noexcept {
    if (source.is_pending()) bound_to_ = &source;
  }
  /// Asks, before this promise is to wait for `source`, for an error if there is a limit that forbids it.
  std::optional<Error> refuses_to_wait_for(PromiseBase& source) noexcept;

  /// Has the end of the loop reject this promise, if it is pending then.
  void reject_at_end() noexcept;
  void set_origin(const PromiseBase* parent, const std::source_location& where);
  /// For a promise made by `then`, where the domain follows chains. False if it is rejected, because of a limit.
  bool joins_chain(PromiseBase& source, const std::source_location& where);

 protected:
  explicit PromiseBase(PromiseDomain& domain) noexcept;
  virtual ~PromiseBase();

  /// The value is in place.
  void publish_fulfilled() noexcept;
  virtual void destroy() noexcept = 0;

 private:
  friend class PromiseDomain;
  friend class PromiseRecords;

  enum class Listed : std::uint8_t { no, pending, unhandled };

  void bury() noexcept;
  void break_promise() noexcept;
  void handled_now() noexcept;
  void publish_rejected(Reaction* last) noexcept;
  void enlist() noexcept;
  void leave_list() noexcept;

  PromiseDomain* const domain_;
  union {
    Reaction* last_ = nullptr;  // while pending: the last reaction of a ring
    ReasonBody* reason_;        // once rejected
  };
  PromiseBase* bound_to_ = nullptr;  // what will settle it, while that is pending
  std::uint32_t references_ = 1;
  std::uint32_t resolvers_ = 0;
  std::uint16_t waiting_ = 0;  // promises that wait for it in a row; only counted while there is a limit
  PromiseStatus status_ = PromiseStatus::pending;
  Listed listed_ : 2 = Listed::no;
  bool claimed_ : 1 = false;
  bool handled_ : 1 = false;
  bool reported_ : 1 = false;
  bool has_record_ : 1 = false;

 protected:
  bool value_taken_ : 1 = false;  // a consumer has moved the value away
};

/// A reference to a promise's state.
template <typename State>
class StatePtr {
 public:
  StatePtr() = default;
  /// Takes over a reference that the caller has.
  static StatePtr adopt(State* state) noexcept {
    StatePtr pointer;
    pointer.state_ = state;
    return pointer;
  }
  explicit StatePtr(State& state) noexcept : state_(&state) { state.retain(); }
  StatePtr(const StatePtr& other) noexcept : state_(other.state_) {
    if (state_ != nullptr) state_->retain();
  }
  StatePtr(StatePtr&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  StatePtr& operator=(StatePtr other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~StatePtr() {
    if (state_ != nullptr) state_->release();
  }

  State* get() const noexcept { return state_; }
  State& operator*() const noexcept { return *state_; }
  State* operator->() const noexcept { return state_; }
  explicit operator bool() const noexcept { return state_ != nullptr; }
  State* detach() noexcept { return std::exchange(state_, nullptr); }

 private:
  State* state_ = nullptr;
};

/// Makes an object in a recycled block. `Block` is the complete type; `destroy_in_block` ends it.
template <typename Block, typename... Args>
Block* make_in_block(Args&&... args) {
  void* memory;
  if constexpr (alignof(Block) > alignof(std::max_align_t)) {
    memory = ::operator new(sizeof(Block), std::align_val_t(alignof(Block)));
  } else {
    memory = allocate_block(sizeof(Block));
  }
  try {
    return ::new (memory) Block(std::forward<Args>(args)...);
  } catch (...) {
    if constexpr (alignof(Block) > alignof(std::max_align_t)) {
      ::operator delete(memory, std::align_val_t(alignof(Block)));
    } else {
      free_block(memory, sizeof(Block));
    }
    throw;
  }
}
template <typename Block>
void destroy_in_block(Block* block) noexcept {
  block->~Block();
  if constexpr (alignof(Block) > alignof(std::max_align_t)) {
    ::operator delete(block, std::align_val_t(alignof(Block)));
  } else {
    free_block(block, sizeof(Block));
  }
}

}  // namespace internal

}  // namespace gyre
