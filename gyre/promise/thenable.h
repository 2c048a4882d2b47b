#pragma once

namespace gyre {

template <typename T>
class Resolver;

/// Says how promises follow objects of another promise type `X`, so that handlers may return them and resolvers take
/// them. Specialise it with
///
///   using value_type = ...;                                       // what X promises
///   static void then(X object, Resolver<value_type> resolver);    // settles the resolver, now or later
///
/// `then` is called once, in a microtask of its own, on the loop's thread. What it throws rejects the promise, unless
/// the resolver was used before. As in ECMAScript, "NewPromiseResolveThenableJob".
template <typename X>
struct Thenable;

template <typename X>
concept IsThenable = requires { typename Thenable<X>::value_type; };

}  // namespace gyre
