'use strict';
// Gives the C++ promises of native_promises.h the shape that the suite knows. What is done here is about JavaScript's
// values alone: objects with a method `then`, getters, exceptions. States, order and following are C++'s.

(() => {
  const { makePromise, resolvePromise, rejectPromise, thenPromise } = native;
  const ids = new WeakMap(); // the C++ promises behind objects made here

  function wrap(id) {
    const promise = { then: (onFulfilled, onRejected) => wrap(thenPromise(id, onFulfilled, onRejected)) };
    ids.set(promise, id);
    return promise;
  }

  globalThis.adapter = {
    deferred() {
      const id = makePromise();
      return { promise: wrap(id), resolve: (value) => resolvePromise(id, value), reject: (reason) => rejectPromise(id, reason) };
    },
    resolved(value) {
      const { promise, resolve } = this.deferred();
      resolve(value);
      return promise;
    },
    rejected(reason) {
      const { promise, reject } = this.deferred();
      reject(reason);
      return promise;
    },
  };
  for (const name of ['deferred', 'resolved', 'rejected']) adapter[name] = adapter[name].bind(adapter);

  /// Calls a function; [true, its result] or [false, what it has thrown].
  native.attempt = (callback, ...args) => {
    try {
      return [true, callback(...args)];
    } catch (error) {
      return [false, error];
    }
  };
  /// What `x` is to the resolution procedure: the id of a C++ promise, a function `then`, or undefined. May throw.
  native.lookAt = (x) => {
    if ((typeof x !== 'object' || x === null) && typeof x !== 'function') return undefined;
    const id = ids.get(x);
    if (id !== undefined) return id;
    const { then } = x;
    return typeof then === 'function' ? then : undefined;
  };
  /// Calls another promise's `then` with functions that settle the C++ promise `id`.
  native.follow = (then, x, id) => {
    then.call(x, (value) => resolvePromise(id, value), (reason) => rejectPromise(id, reason));
  };
  native.makeTypeError = (message) => new TypeError(message);
})();
