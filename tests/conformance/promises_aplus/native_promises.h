#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <gyre/js/runtime.h>
#include <gyre/promise/promise.h>

namespace gyre::testing {

class NativePromises;

/// A JavaScript object with a method `then` that is no promise of ours.
struct ForeignThenable {
  NativePromises* home;
  js::Value object;
  js::Value then;
};

/// What was thrown or given to `reject` in JavaScript, as the reason of a C++ promise.
struct Thrown {
  js::Value value;
};

}  // namespace gyre::testing

/// The loop calls a foreign `then` in a microtask of its own; see promise/thenable.h.
template <>
struct gyre::Thenable<gyre::testing::ForeignThenable> {
  using value_type = js::Value;
  static void then(testing::ForeignThenable thenable, Resolver<js::Value> resolver);
};

namespace gyre::testing {

/// Promises of C++ with values of JavaScript, for scripts to make, settle and react to. Scripts know them by number;
/// native_adapter.js makes objects of them.
class NativePromises {
 public:
  using Promise = gyre::Promise<js::Value>;

  NativePromises(Loop& loop, js::Runtime& runtime) : loop_(loop), runtime_(runtime) {
    Promises::of(loop).options().on_unhandled_rejection = [](const Reason&) {};  // the suite leaves many
  }

  std::uint32_t make() {
    auto [promise, resolver] = Promise::with_resolver(loop_);
    resolvers_.push_back(std::move(resolver));
    promises_.push_back(std::move(promise));
    return static_cast<std::uint32_t>(promises_.size() - 1);
  }
  void resolve(std::uint32_t id, const js::Value& value) {
    const Resolver<js::Value> resolver = resolvers_.at(id);
    if (resolver.is_settled()) return;
    try {
      std::visit([&](auto&& known) { resolver.resolve(std::move(known)); }, look_at(value));
    } catch (...) {
      resolver.reject(Reason::current());
    }
  }
  void reject(std::uint32_t id, const js::Value& reason) {
    const Resolver<js::Value> resolver = resolvers_.at(id);
    resolver.reject(Reason(std::make_exception_ptr(Thrown{reason})));
  }
  std::uint32_t then(std::uint32_t id, const js::Value& on_fulfilled, const js::Value& on_rejected) {
    const Promise source = promises_.at(id);
    const auto fulfilled = [this, on_fulfilled](const js::Value& value) { return react(on_fulfilled, value); };
    const auto rejected = [this, on_rejected](const Reason& reason) { return react(on_rejected, to_script(reason)); };
    Promise derived;
    if (on_fulfilled.is_function() && on_rejected.is_function()) {
      derived = source.then(fulfilled, rejected);
    } else if (on_fulfilled.is_function()) {
      derived = source.then(fulfilled);
    } else if (on_rejected.is_function()) {
      derived = source.then(nullptr, rejected);
    } else {
      derived = source.then(nullptr);
    }
    promises_.push_back(std::move(derived));
    resolvers_.emplace_back();
    return static_cast<std::uint32_t>(promises_.size() - 1);
  }
  void follow(const ForeignThenable& thenable, Resolver<js::Value> resolver) {
    resolvers_.push_back(std::move(resolver));
    promises_.emplace_back();
    attempt("follow", thenable.then, thenable.object, static_cast<std::uint32_t>(resolvers_.size() - 1));
  }

 private:
  using Resolution = std::variant<js::Value, Promise, ForeignThenable>;

  /// Runs `native.name(...)`; throws `Thrown` if that throws.
  template <typename... Args>
  js::Value attempt(std::string_view name, const Args&... args) {
    return attempt_call(runtime_.get("native")->get(name).value(), args...);
  }
  template <typename... Args>
  js::Value attempt_call(const js::Value& function, const Args&... args) {
    const js::Value ended = runtime_.get("native")->get("attempt")->call(function, args...).value();
    js::Value result = ended.get("1").value();
    if (!ended.get("0")->as<bool>().value()) throw Thrown{std::move(result)};
    return result;
  }

  Resolution look_at(const js::Value& value) {
    const js::Value known = attempt("lookAt", value);
    if (known.is_function()) return ForeignThenable{this, value, known};
    if (const auto id = known.as<std::uint32_t>()) return promises_.at(*id);
    return value;
  }
  /// What a handler's result resolves the next promise with.
  Promise react(const js::Value& handler, const js::Value& argument) {
    return std::visit([&](auto&& known) { return Promise::resolved(loop_, std::move(known)); },
                      look_at(attempt_call(handler, argument)));
  }
  js::Value to_script(const Reason& reason) {
    if (const auto* thrown = reason.as<Thrown>()) return thrown->value;
    return attempt("makeTypeError", reason.message());  // a promise that was resolved with itself
  }

  Loop& loop_;
  js::Runtime& runtime_;
  std::vector<Promise> promises_;
  std::vector<Resolver<js::Value>> resolvers_;  // of the same number; empty where C++ settles
};

}  // namespace gyre::testing

inline void gyre::Thenable<gyre::testing::ForeignThenable>::then(testing::ForeignThenable thenable,
                                                                 Resolver<js::Value> resolver) {
  thenable.home->follow(thenable, std::move(resolver));
}
