#pragma once

#include <concepts>
#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <gyre/promise/promise.h>

namespace gyre {

/// How a promise was settled.
template <typename T>
using Settled = std::expected<T, Reason>;

namespace internal {

template <typename T>
using Stored = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

/// The value for a combinator: moved where nobody else can see it any more, or where it cannot be copied.
template <typename T>
Stored<T> value_of(PromiseState<T>& source) {
  if constexpr (std::is_void_v<T>) {
    return {};
  } else if constexpr (kIsCopyable<T>) {
    if (source.is_unique()) return std::move(source.take());
    return std::as_const(source.value());
  } else {
    return std::move(source.take());
  }
}

/// Tells an owner, which is a promise, how one input of a combinator is settled. The owner is told once for each, and
/// is held until then.
template <typename Owner, typename T, std::size_t kIndex>
class Input final : public Reaction {
 public:
  Owner* owner = nullptr;

  void run(PromiseBase& base) override {
    const Release release{*owner};
    if (owner->is_claimed()) return;
    auto& source = static_cast<PromiseState<T>&>(base);
    try {
      if (source.status() == PromiseStatus::fulfilled) {
        owner->template fulfilled<T, kIndex>(*this, source);
      } else {
        owner->template rejected<T, kIndex>(*this, source.reason());
      }
    } catch (...) {  // copying a value has failed
      let_unwinding_pass();
      if (!owner->is_claimed()) owner->reject(Reason::current());
    }
  }
  void refuse(PromiseBase&) noexcept override {
    const Release release{*owner};
    if (owner->is_claimed()) return;
    owner->mark_handled();
    owner->reject(Error(Errc::terminated, "the loop has ended before the promises that are combined were settled"));
  }
  void abandon() noexcept override {
    const Release release{*owner};
    if (owner->is_claimed() || owner->is_unique()) return;
    owner->template rejected<T, kIndex>(*this,
                                        Error(Errc::broken, "a promise among those that are combined was abandoned"));
  }

 private:
  struct Release {
    Owner& owner;
    ~Release() { owner.release(); }
  };
};

template <typename T>
void require_same_loop(const PromiseDomain& domain, const PromiseState<T>& input) {
  if (input.domain().loop_id() != domain.loop_id()) {
    throw std::logic_error("gyre: promises of different loops were combined; hand them over with forward() first");
  }
}
inline Error empty_input(std::size_t index) {
  return Error(Errc::invalid_argument, "one of the promises to be combined is empty").with("index", index);
}

template <typename State, typename T, std::size_t kIndex>
void connect(State& owner, Input<State, T, kIndex>& input, PromiseState<T>& source) {
  input.owner = &owner;
  owner.retain();
  source.mark_handled();
  source.add_reaction(input);
}

// --- Over ranges ---

/// `Rule` says what becomes of the settlements: it has a type `Out`, `start(state, count)`, and `fulfilled` and
/// `rejected` for each input.
template <typename T, typename Rule>
class RangeState final : public PromiseState<typename Rule::Out> {
 public:
  using Out = typename Rule::Out;
  using Element = Input<RangeState, T, 0>;

  explicit RangeState(PromiseDomain& domain) : PromiseState<Out>(domain) {}

  template <typename Range>
  static Promise<Out> make(PromiseHome home, const Range& promises) {
    PromiseDomain& domain = home.domain();
    domain.require_thread();
    std::size_t count = 0;
    std::optional<std::size_t> empty;
    for (const Promise<T>& promise : promises) {
      if (!promise && !empty) empty = count;
      if (promise) require_same_loop(domain, PromiseAccess::state(promise));
      ++count;
    }
    auto* const state = make_in_block<RangeState>(domain);
    auto result = PromiseAccess::adopt<Out>(state);
    if (empty) {
      state->reject(empty_input(*empty));
      return result;
    }
    state->rule_.start(*state, count);
    if (count == 0) return result;
    state->inputs_ = std::make_unique<Element[]>(count);
    Element* next = state->inputs_.get();
    for (const Promise<T>& promise : promises) connect(*state, *next++, PromiseAccess::state(promise));
    return result;
  }

  template <typename, std::size_t>
  void fulfilled(Element& input, PromiseState<T>& source) {
    rule_.fulfilled(*this, static_cast<std::size_t>(&input - inputs_.get()), source);
  }
  template <typename, std::size_t>
  void rejected(Element& input, Reason reason) {
    rule_.rejected(*this, static_cast<std::size_t>(&input - inputs_.get()), std::move(reason));
  }

 private:
  void destroy() noexcept override { destroy_in_block(this); }

  Rule rule_;
  std::unique_ptr<Element[]> inputs_;
};

template <typename T>
struct AllRule {
  using Out = std::conditional_t<std::is_void_v<T>, void, std::vector<Stored<T>>>;

  template <typename State>
  void start(State& state, std::size_t count) {
    left = count;
    if constexpr (!std::is_void_v<T>) values.resize(count);
    if (count == 0) finish(state);
  }
  template <typename State>
  void fulfilled(State& state, std::size_t index, PromiseState<T>& source) {
    if constexpr (!std::is_void_v<T>) values[index].emplace(value_of(source));
    if (--left == 0) finish(state);
  }
  template <typename State>
  void rejected(State& state, std::size_t, Reason reason) {
    values = decltype(values)();
    state.reject(std::move(reason));
  }

 private:
  template <typename State>
  void finish(State& state) {
    if constexpr (std::is_void_v<T>) {
      state.fulfil();
    } else {
      Out all;
      all.reserve(values.size());
      for (auto& value : values) all.push_back(std::move(*value));
      values = decltype(values)();
      state.fulfil(std::move(all));
    }
  }

  std::size_t left = 0;
  std::vector<std::optional<Stored<T>>> values;
};

template <typename T>
struct AllSettledRule {
  using Out = std::vector<Settled<T>>;

  template <typename State>
  void start(State& state, std::size_t count) {
    left = count;
    values.resize(count);
    if (count == 0) finish(state);
  }
  template <typename State>
  void fulfilled(State& state, std::size_t index, PromiseState<T>& source) {
    if constexpr (std::is_void_v<T>) {
      values[index].emplace();
    } else {
      values[index].emplace(value_of(source));
    }
    if (--left == 0) finish(state);
  }
  template <typename State>
  void rejected(State& state, std::size_t index, Reason reason) {
    values[index].emplace(std::unexpect, std::move(reason));
    if (--left == 0) finish(state);
  }

 private:
  template <typename State>
  void finish(State& state) {
    Out all;
    all.reserve(values.size());
    for (auto& value : values) all.push_back(std::move(*value));
    values = decltype(values)();
    state.fulfil(std::move(all));
  }

  std::size_t left = 0;
  std::vector<std::optional<Settled<T>>> values;
};

/// The reasons of an `any`, until one is fulfilled or all are rejected.
struct Rejections {
  std::size_t left = 0;
  std::vector<std::optional<Reason>> reasons;

  void start(std::size_t count) {
    left = count;
    reasons.resize(count);
  }
  /// The aggregate, once the last one is in.
  std::optional<Reason> add(std::size_t index, Reason reason) {
    reasons[index] = std::move(reason);
    if (--left > 0) return std::nullopt;
    return aggregate();
  }
  Reason aggregate() {
    std::vector<Reason> all;
    for (auto& one : reasons) all.push_back(*std::move(one));
    reasons.clear();
    return AggregateError(std::move(all));
  }
};

template <typename T>
struct AnyRule {
  using Out = T;

  template <typename State>
  void start(State& state, std::size_t count) {
    rejections.start(count);
    if (count == 0) state.reject(rejections.aggregate());
  }
  template <typename State>
  void fulfilled(State& state, std::size_t, PromiseState<T>& source) {
    rejections.reasons.clear();
    state.settle_as(source, false);
  }
  template <typename State>
  void rejected(State& state, std::size_t index, Reason reason) {
    if (auto aggregate = rejections.add(index, std::move(reason))) state.reject(*std::move(aggregate));
  }

 private:
  Rejections rejections;
};

template <typename T>
struct RaceRule {
  using Out = T;

  template <typename State>
  void start(State&, std::size_t) {}
  template <typename State>
  void fulfilled(State& state, std::size_t, PromiseState<T>& source) {
    state.settle_as(source, false);
  }
  template <typename State>
  void rejected(State& state, std::size_t, Reason reason) {
    state.reject(std::move(reason));
  }
};

// --- Over packs ---

template <typename Rule, typename... Ts>
class PackState final : public PromiseState<typename Rule::Out> {
 public:
  using Out = typename Rule::Out;

  explicit PackState(PromiseDomain& domain) : PromiseState<Out>(domain) {}

  static Promise<Out> make(const Promise<Ts>&... promises) {
    PromiseDomain* domain = nullptr;
    std::size_t index = 0;
    std::optional<std::size_t> empty;
    const auto look = [&](const auto& promise) {
      if (!promise) {
        if (!empty) empty = index;
      } else if (domain == nullptr) {
        domain = &PromiseAccess::state(promise).domain();
      }
      ++index;
    };
    (look(promises), ...);
    if (domain == nullptr) throw std::logic_error("gyre: only empty promises were combined");
    domain->require_thread();
    const auto check = [&](const auto& promise) {
      if (promise) require_same_loop(*domain, PromiseAccess::state(promise));
    };
    (check(promises), ...);
    auto* const state = make_in_block<PackState>(*domain);
    auto result = PromiseAccess::adopt<Out>(state);
    if (empty) {
      state->reject(empty_input(*empty));
      return result;
    }
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (connect(*state, std::get<I>(state->inputs_.all), PromiseAccess::state(promises)), ...);
    }(std::index_sequence_for<Ts...>());
    return result;
  }

  template <typename T, std::size_t kIndex>
  void fulfilled(Reaction&, PromiseState<T>& source) {
    rule_.template fulfilled<kIndex>(*this, source);
  }
  template <typename T, std::size_t kIndex>
  void rejected(Reaction&, Reason reason) {
    rule_.template rejected<kIndex>(*this, std::move(reason));
  }

 private:
  template <typename Sequence>
  struct Inputs;
  template <std::size_t... I>
  struct Inputs<std::index_sequence<I...>> {
    std::tuple<Input<PackState, Ts, I>...> all;
  };

  void destroy() noexcept override { destroy_in_block(this); }

  Rule rule_;
  Inputs<std::index_sequence_for<Ts...>> inputs_;
};

template <typename... Ts>
struct AllPackRule {
  using Out = std::tuple<Stored<Ts>...>;

  template <std::size_t kIndex, typename State, typename T>
  void fulfilled(State& state, PromiseState<T>& source) {
    std::get<kIndex>(values).emplace(value_of(source));
    if (--left > 0) return;
    std::apply([&](auto&... value) { state.fulfil(std::move(*value)...); }, values);
    values = decltype(values)();
  }
  template <std::size_t, typename State>
  void rejected(State& state, Reason reason) {
    values = decltype(values)();
    state.reject(std::move(reason));
  }

 private:
  std::size_t left = sizeof...(Ts);
  std::tuple<std::optional<Stored<Ts>>...> values;
};

template <typename... Ts>
struct AllSettledPackRule {
  using Out = std::tuple<Settled<Ts>...>;

  template <std::size_t kIndex, typename State, typename T>
  void fulfilled(State& state, PromiseState<T>& source) {
    if constexpr (std::is_void_v<T>) {
      std::get<kIndex>(values).emplace();
    } else {
      std::get<kIndex>(values).emplace(value_of(source));
    }
    finish(state);
  }
  template <std::size_t kIndex, typename State>
  void rejected(State& state, Reason reason) {
    std::get<kIndex>(values).emplace(std::unexpect, std::move(reason));
    finish(state);
  }

 private:
  template <typename State>
  void finish(State& state) {
    if (--left > 0) return;
    std::apply([&](auto&... value) { state.fulfil(std::move(*value)...); }, values);
    values = decltype(values)();
  }
  std::size_t left = sizeof...(Ts);
  std::tuple<std::optional<Settled<Ts>>...> values;
};

template <typename... Ts>
struct AnyPackRule {
  using Out = std::variant<Stored<Ts>...>;

  AnyPackRule() { rejections.start(sizeof...(Ts)); }
  template <std::size_t kIndex, typename State, typename T>
  void fulfilled(State& state, PromiseState<T>& source) {
    rejections.reasons.clear();
    state.fulfil(std::in_place_index<kIndex>, value_of(source));
  }
  template <std::size_t kIndex, typename State>
  void rejected(State& state, Reason reason) {
    if (auto aggregate = rejections.add(kIndex, std::move(reason))) state.reject(*std::move(aggregate));
  }

 private:
  Rejections rejections;
};

template <typename... Ts>
struct RacePackRule {
  using Out = std::variant<Stored<Ts>...>;

  template <std::size_t kIndex, typename State, typename T>
  void fulfilled(State& state, PromiseState<T>& source) {
    state.fulfil(std::in_place_index<kIndex>, value_of(source));
  }
  template <std::size_t, typename State>
  void rejected(State& state, Reason reason) {
    state.reject(std::move(reason));
  }
};

template <typename Range>
concept PromiseRange = std::ranges::forward_range<Range> && IsPromise<std::ranges::range_value_t<Range>>::value;
template <typename Range>
using promised_t = typename std::ranges::range_value_t<Range>::value_type;

}  // namespace internal

// Each combinator comes in two forms: over a range of promises of one type, with the home of the result first, and over
// any number of promises of different types. All promises must be of one loop. They are thereby handled: what those
// that do not decide are rejected with is dropped. An empty promise among them rejects with `Errc::invalid_argument`,
// and then none of them is touched. Values are moved out of promises that nobody else holds, and copied out of others.

/// All values, in the order of the promises; or the reason of the first that is rejected. Of nothing: fulfilled at
/// once. Promises of void give a promise of void.
template <internal::PromiseRange Range>
auto all(PromiseHome home, const Range& promises) {
  using T = internal::promised_t<Range>;
  return internal::RangeState<T, internal::AllRule<T>>::make(home, promises);
}
/// A tuple of the values, with `std::monostate` for void. A handler may take them as parameters of their own.
template <typename... Ts>
auto all(const Promise<Ts>&... promises) {
  return internal::PackState<internal::AllPackRule<Ts...>, Ts...>::make(promises...);
}

/// How each promise was settled, in their order. Never rejected by them.
template <internal::PromiseRange Range>
auto all_settled(PromiseHome home, const Range& promises) {
  using T = internal::promised_t<Range>;
  return internal::RangeState<T, internal::AllSettledRule<T>>::make(home, promises);
}
template <typename... Ts>
auto all_settled(const Promise<Ts>&... promises) {
  return internal::PackState<internal::AllSettledPackRule<Ts...>, Ts...>::make(promises...);
}

/// The first value; or, when all are rejected, an `AggregateError` with every reason. Of nothing: rejected at once.
template <internal::PromiseRange Range>
auto any(PromiseHome home, const Range& promises) {
  using T = internal::promised_t<Range>;
  return internal::RangeState<T, internal::AnyRule<T>>::make(home, promises);
}
/// A variant that says by its index which promise it was.
template <typename... Ts>
auto any(const Promise<Ts>&... promises) {
  return internal::PackState<internal::AnyPackRule<Ts...>, Ts...>::make(promises...);
}

/// The first settlement. Of nothing: pending for ever.
template <internal::PromiseRange Range>
auto race(PromiseHome home, const Range& promises) {
  using T = internal::promised_t<Range>;
  return internal::RangeState<T, internal::RaceRule<T>>::make(home, promises);
}
/// A variant that says by its index which promise it was.
template <typename... Ts>
auto race(const Promise<Ts>&... promises) {
  return internal::PackState<internal::RacePackRule<Ts...>, Ts...>::make(promises...);
}

}  // namespace gyre
