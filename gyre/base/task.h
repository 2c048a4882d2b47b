#pragma once

#include <concepts>
#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace gyre {

template <typename Signature, std::size_t InlineBytes = 48>
class UniqueFunction;

/// A move-only callable. Callables of up to `InlineBytes` bytes that can be moved without throwing live inside the
/// object; larger ones cost one allocation. With 48 bytes the whole object fills one cache line of 64 bytes.
///
/// Calling an empty one is undefined; test it with `operator bool`. Not for sharing between threads without a
/// hand-over.
template <typename R, typename... Args, std::size_t InlineBytes>
class UniqueFunction<R(Args...), InlineBytes> {
 public:
  UniqueFunction() noexcept {}  // NOLINT(modernize-use-equals-default): defaulted, `{}` would zero the storage
  UniqueFunction(std::nullptr_t) noexcept {}

  template <typename F>
    requires(!std::same_as<std::remove_cvref_t<F>, UniqueFunction> &&
             std::is_invocable_r_v<R, std::decay_t<F>&, Args...>)
  UniqueFunction(F&& callable) {  // NOLINT(google-explicit-constructor): callables convert, as for std::function
    using Callable = std::decay_t<F>;
    // A null function pointer or an empty std::function gives an empty UniqueFunction.
    if constexpr (std::is_pointer_v<std::remove_cvref_t<F>> || std::is_member_pointer_v<Callable> ||
                  std::same_as<Callable, std::function<R(Args...)>>) {
      if (!callable) return;
    }
    if constexpr (fits_inline<Callable>()) {
      place(std::forward<F>(callable));
      if constexpr (!std::is_trivially_copyable_v<Callable>) manage_ = &manage_inline<Callable>;
    } else {
      auto* heap = new Callable(std::forward<F>(callable));
      std::memcpy(storage_, &heap, sizeof(heap));
      invoke_ = [](void* self, Args... args) -> R {
        return std::invoke(**static_cast<Callable**>(self), std::forward<Args>(args)...);
      };
      manage_ = &manage_heap<Callable>;
    }
  }

  UniqueFunction(UniqueFunction&& other) noexcept { take(other); }
  UniqueFunction& operator=(UniqueFunction&& other) noexcept {
    if (this != &other) {
      reset();
      take(other);
    }
    return *this;
  }
  ~UniqueFunction() {
    if (manage_ != nullptr) reset();
  }

  R operator()(Args... args) { return invoke_(storage_, std::forward<Args>(args)...); }
  explicit operator bool() const noexcept { return invoke_ != nullptr; }

  /// Puts a callable into an empty one, where it is: a move less than making one and assigning it.
  template <typename F>
  void fill(const F& callable) noexcept {
    static_assert(fits_inline<F>() && std::is_trivially_copyable_v<F> && std::is_trivially_copy_constructible_v<F>);
    place(callable);
  }

  /// True if it is empty or holds plain bytes, so that destroying it runs no code of anybody's.
  bool is_plain() const noexcept { return manage_ == nullptr; }

  /// Destroys the callable and what it captured, now.
  void reset() noexcept {
    // Emptied first: the captures' destructors may look at this object again.
    invoke_ = nullptr;
    if (auto* manage = std::exchange(manage_, nullptr)) manage(Action::destroy, storage_, nullptr);
  }

  /// True if a callable of type `F` is stored without allocation.
  template <typename F>
  static constexpr bool fits_inline() {
    return sizeof(F) <= InlineBytes && alignof(F) <= alignof(std::max_align_t) &&
           std::is_nothrow_move_constructible_v<F>;
  }

 private:
  enum class Action { move, destroy };

  template <typename F>
  void place(F&& callable) noexcept(std::is_nothrow_constructible_v<std::decay_t<F>, F>) {
    using Callable = std::decay_t<F>;
    // A callable without captures writes nothing; with one byte written, no compiler takes a move for a mistake.
    if constexpr (std::is_empty_v<Callable>) storage_[0] = std::byte{};
    ::new (static_cast<void*>(storage_)) Callable(std::forward<F>(callable));
    invoke_ = [](void* self, Args... args) -> R {
      return std::invoke(*static_cast<Callable*>(self), std::forward<Args>(args)...);
    };
  }

  template <typename Callable>
  static void manage_inline(Action action, void* self, void* target) noexcept {
    auto* callable = std::launder(static_cast<Callable*>(self));
    if (action == Action::move) ::new (target) Callable(std::move(*callable));
    callable->~Callable();
  }

  template <typename Callable>
  static void manage_heap(Action action, void* self, void* target) noexcept {
    if (action == Action::move) {
      std::memcpy(target, self, sizeof(Callable*));
    } else {
      delete *static_cast<Callable**>(self);
    }
  }

  void take(UniqueFunction& other) noexcept {
    if (other.manage_ != nullptr) {
      other.manage_(Action::move, other.storage_, storage_);
    } else if (other.invoke_ != nullptr) {
      std::memcpy(storage_, other.storage_, InlineBytes);  // trivially copyable
    }
    invoke_ = std::exchange(other.invoke_, nullptr);
    manage_ = std::exchange(other.manage_, nullptr);
  }

  using Invoke = R (*)(void*, Args...);
  using Manage = void (*)(Action, void* self, void* target) noexcept;

  // The pointers first: of a small callable only the first half of the object is ever touched.
  Invoke invoke_ = nullptr;
  Manage manage_ = nullptr;  // null for callables that are moved by copying their bytes and need no destruction
  // Left as it is: zeroing it would cost as much as everything else that making a task does. What a move copies beyond
  // the callable is indeterminate bytes, which std::byte may hold and nobody reads.
  alignas(std::max_align_t) std::byte storage_[InlineBytes];
};

/// What loops run: no arguments, no result, 48 bytes of captures without allocation, one cache line in all.
using Task = UniqueFunction<void(), 48>;
static_assert(sizeof(Task) == 64);

/// A closure that a `Task` holds as plain bytes. Loops make such a task in its place in the queue.
template <typename F>
concept PlainClosure =
    std::is_class_v<F> && std::is_trivially_copyable_v<F> && std::is_trivially_copy_constructible_v<F> &&
    Task::fits_inline<F>() && std::is_invocable_r_v<void, F&>;

}  // namespace gyre
