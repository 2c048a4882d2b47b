#pragma once

#include <memory>
#include <string>
#include <utility>

#include <gyre/base/task.h>

namespace gyre {

namespace internal {

struct ContextNode {
  virtual ~ContextNode() = default;
  const void* key = nullptr;
  std::shared_ptr<const ContextNode> parent;
};

/// What is current on this thread, or null; kept alive by the innermost `ContextScope`.
inline constinit thread_local const std::shared_ptr<const ContextNode>* current_context = nullptr;

}  // namespace internal

/// Names a value of type `T` in a `Context`. Its identity is its address: make one, typically static, and pass it by
/// reference.
template <typename T>
class ContextKey {
 public:
  explicit ContextKey(std::string name) : name_(std::move(name)) {}
  ContextKey(const ContextKey&) = delete;
  ContextKey& operator=(const ContextKey&) = delete;
  const std::string& name() const noexcept { return name_; }

 private:
  std::string name_;
};

/// Facts that follow a piece of work through everything it schedules: a request id, a trace span, a deadline.
///
/// Immutable; copying costs a reference count. A loop remembers the context that is current when a callback is given to
/// it, and makes it current again while the callback runs: in tasks, timers, immediates, ticks, microtasks, watchers
/// and off-loaded work. Where no context is current, that costs one comparison; where one is, an allocation per
/// callback.
///
/// ```
/// static const gyre::ContextKey<std::string> request_id("request_id");
/// gyre::ContextScope scope(gyre::Context::current().with(request_id, "42"));
/// loop.post([] { log(*gyre::Context::current().get(request_id)); });
/// ```
class Context {
 public:
  Context() = default;

  /// The one that is current on this thread; empty if there is none.
  static Context current() {
    return internal::current_context == nullptr ? Context() : Context(*internal::current_context);
  }

  /// This context with one more fact, which hides an earlier one of the same key.
  template <typename T>
  Context with(const ContextKey<T>& key, T value) const {
    auto node = std::make_shared<ValueNode<T>>();
    node->key = &key;
    node->parent = node_;
    node->value = std::move(value);
    return Context(std::move(node));
  }
  /// The fact of that key, or null. Takes time in proportion to the number of facts.
  template <typename T>
  const T* get(const ContextKey<T>& key) const noexcept {
    for (const internal::ContextNode* node = node_.get(); node != nullptr; node = node->parent.get()) {
      if (node->key == &key) return &static_cast<const ValueNode<T>*>(node)->value;
    }
    return nullptr;
  }

  explicit operator bool() const noexcept { return node_ != nullptr; }
  friend bool operator==(const Context&, const Context&) = default;

 private:
  friend class ContextScope;

  template <typename T>
  struct ValueNode final : internal::ContextNode {
    T value{};
  };

  explicit Context(std::shared_ptr<const internal::ContextNode> node) : node_(std::move(node)) {}

  std::shared_ptr<const internal::ContextNode> node_;
};

/// Makes a context current on this thread until it is destroyed. Scopes nest like the blocks they are in.
class ContextScope {
 public:
  explicit ContextScope(Context context)
      : context_(std::move(context)),
        outer_(std::exchange(internal::current_context, context_ ? &context_.node_ : nullptr)) {}
  ContextScope(const ContextScope&) = delete;
  ContextScope& operator=(const ContextScope&) = delete;
  ~ContextScope() { internal::current_context = outer_; }

 private:
  const Context context_;
  const std::shared_ptr<const internal::ContextNode>* const outer_;
};

/// The callable, to be called with the context that is current now.
template <typename R, typename... Args, std::size_t Bytes>
UniqueFunction<R(Args...), Bytes> in_current_context(UniqueFunction<R(Args...), Bytes> callable) {
  if (internal::current_context == nullptr || !callable) [[likely]]
    return callable;
  return [context = Context::current(), callable = std::move(callable)](Args... args) mutable -> R {
    const ContextScope scope(context);
    return callable(std::forward<Args>(args)...);
  };
}

namespace internal {

/// The same in place, for paths on which hardly ever a context is current.
template <typename Callable>
void bind_current_context(Callable& callable) {
  if (current_context != nullptr) [[unlikely]]
    callable = in_current_context(std::move(callable));
}

}  // namespace internal

}  // namespace gyre
