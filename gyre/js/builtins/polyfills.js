'use strict';
// Library functions of ECMAScript 2023 to 2026 that an older engine lacks. What the engine has is left alone. All are
// methods of object literals, so they have their names, no prototype, and cannot be called with `new`.

const {
  Array, ArrayPrototype, ArrayPrototypeSymbolUnscopables, Error, Map, Object, ObjectDefineProperty, ObjectPrototypeHasOwnProperty,
  Promise, ReflectApply, ReflectConstruct, ReflectOwnKeys, RegExpPrototypeExec, SetPrototype, StringPrototype,
  StringPrototypeCharCodeAt, StringPrototypeSlice, TypeError, TypedArrayPrototype,
} = require('primordials');
const { arrayMethods, arrayStatics, mapStatics, objectStatics, typedArrayMethods } = require('polyfills_array');
const { setMethods } = require('polyfills_set');

function requireObject(value, method) {
  if ((typeof value !== 'object' || value === null) && typeof value !== 'function') {
    throw new TypeError(`${method} called on non-object`);
  }
}

/// NewPromiseCapability of the standard: a promise of `Constructor`, with its functions.
function makeCapability(Constructor) {
  let resolve;
  let reject;
  const promise = ReflectConstruct(Constructor, [(resolveIt, rejectIt) => {
    if (resolve !== undefined || reject !== undefined) {
      throw new TypeError('Promise executor has already been invoked with non-undefined arguments');
    }
    resolve = resolveIt;
    reject = rejectIt;
  }]);
  if (typeof resolve !== 'function' || typeof reject !== 'function') {
    throw new TypeError('Promise resolve or reject function is not callable');
  }
  return { promise, resolve, reject };
}

const promiseStatics = {
  withResolvers() {
    requireObject(this, 'Promise.withResolvers');
    return makeCapability(this);
  },

  try(callback, ...args) {
    requireObject(this, 'Promise.try');
    const { promise, resolve, reject } = makeCapability(this);
    let value;
    try {
      value = typeof callback === 'function' ? ReflectApply(callback, undefined, args) : callback();
    } catch (error) {
      reject(error);
      return promise;
    }
    resolve(value);
    return promise;
  },
};

const loneSurrogate = /\p{Surrogate}/u;

function toText(value, method) {
  if (value === null || value === undefined) throw new TypeError(`${method} called on null or undefined`);
  return `${value}`;
}

const stringMethods = {
  isWellFormed() {
    return RegExpPrototypeExec(loneSurrogate, toText(this, 'String.prototype.isWellFormed')) === null;
  },

  toWellFormed() {
    const text = toText(this, 'String.prototype.toWellFormed');
    let result = '';
    let done = 0;
    for (let i = 0; i < text.length; i++) {
      const unit = StringPrototypeCharCodeAt(text, i);
      if (unit < 0xD800 || unit > 0xDFFF) continue;
      const next = i + 1 < text.length ? StringPrototypeCharCodeAt(text, i + 1) : 0;
      if (unit < 0xDC00 && next >= 0xDC00 && next <= 0xDFFF) {
        i++;
        continue;
      }
      result += StringPrototypeSlice(text, done, i) + '\uFFFD';
      done = i + 1;
    }
    return result + StringPrototypeSlice(text, done);
  },
};

const errorStatics = {
  isError(value) {
    return native.kindOf(value) === 'Error';
  },
};

function fill(target, methods) {
  for (const key of ReflectOwnKeys(methods)) {
    if (ObjectPrototypeHasOwnProperty(target, key)) continue;
    ObjectDefineProperty(target, key, { __proto__: null, value: methods[key], writable: true, enumerable: false, configurable: true });
  }
}

/// Names that must not reach into `with (array)`.
function fillUnscopables(names) {
  for (const name of names) {
    if (ArrayPrototypeSymbolUnscopables[name] === undefined) ArrayPrototypeSymbolUnscopables[name] = true;
  }
}

/// To be called before any script runs.
function installPolyfills() {
  fill(ArrayPrototype, arrayMethods);
  fillUnscopables(['toReversed', 'toSorted', 'toSpliced']);
  fill(Array, arrayStatics);
  fill(TypedArrayPrototype, typedArrayMethods);
  fill(Object, objectStatics);
  fill(Map, mapStatics);
  fill(SetPrototype, setMethods);
  fill(Promise, promiseStatics);
  fill(StringPrototype, stringMethods);
  fill(Error, errorStatics);
}

exports.installPolyfills = installPolyfills;
