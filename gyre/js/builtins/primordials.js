'use strict';
// The language's own functions, captured before any script runs. Built-ins call these and nothing else, so a
// script that replaces Array.prototype.push or Map cannot change how the runtime behaves.
//
// Naming: a static `Array.isArray` becomes `ArrayIsArray`; a method `Array.prototype.push` becomes
// `ArrayPrototypePush(receiver, ...args)`; a getter `Map.prototype.size` becomes `MapPrototypeGetSize(receiver)`;
// a constructor keeps its name (`primordials.Map`). Symbol-keyed methods use the symbol's name:
// `ArrayPrototypeSymbolIterator`.

const { bind, call } = Function.prototype;
const uncurryThis = bind.bind(call);
const { defineProperty, freeze, getOwnPropertyDescriptor, setPrototypeOf } = Object;
const { ownKeys } = Reflect;

const primordials = exports;
primordials.uncurryThis = uncurryThis;

const nameOf = (key) => {
  const text = typeof key === 'symbol' ? 'Symbol' + key.description.slice(7, 8).toUpperCase() + key.description.slice(8) : key;
  return text[0].toUpperCase() + text.slice(1);
};

const copyMembers = (source, prefix, wrap) => {
  for (const key of ownKeys(source)) {
    if (key === 'prototype' || key === 'constructor' || (typeof key === 'symbol' && !key.description.startsWith('Symbol.'))) continue;
    const descriptor = getOwnPropertyDescriptor(source, key);
    const name = nameOf(key);
    if ('get' in descriptor) {
      if (descriptor.get) primordials[`${prefix}Get${name}`] = wrap(descriptor.get);
      if (descriptor.set) primordials[`${prefix}Set${name}`] = wrap(descriptor.set);
    } else {
      primordials[prefix + name] = typeof descriptor.value === 'function' ? wrap(descriptor.value) : descriptor.value;
    }
  }
};

for (const name of ['JSON', 'Math', 'Reflect']) {
  copyMembers(globalThis[name], name, (f) => f);
}

const constructors = [
  'AggregateError', 'Array', 'ArrayBuffer', 'BigInt', 'BigInt64Array', 'BigUint64Array', 'Boolean', 'DataView', 'Date', 'Error',
  'EvalError', 'FinalizationRegistry', 'Float32Array', 'Float64Array', 'Function', 'Int16Array', 'Int32Array', 'Int8Array', 'Map',
  'Number', 'Object', 'Promise', 'Proxy', 'RangeError', 'ReferenceError', 'RegExp', 'Set', 'SharedArrayBuffer', 'String', 'Symbol',
  'SyntaxError', 'TypeError', 'URIError', 'Uint16Array', 'Uint32Array', 'Uint8Array', 'Uint8ClampedArray', 'WeakMap', 'WeakRef',
  'WeakSet',
];
for (const name of constructors) {
  const constructor = globalThis[name];
  if (constructor === undefined) continue;
  primordials[name] = constructor;
  // Statics such as Promise.resolve need their constructor as receiver; bound once, they are plain functions.
  copyMembers(constructor, name, (f) => bind.call(f, constructor));
  if (constructor.prototype !== undefined) {
    primordials[`${name}Prototype`] = constructor.prototype;
    copyMembers(constructor.prototype, `${name}Prototype`, uncurryThis);
  }
}

const hidden = [
  ['TypedArray', Object.getPrototypeOf(Uint8Array)],
  ['ArrayIterator', { prototype: Object.getPrototypeOf([][Symbol.iterator]()) }],
  ['StringIterator', { prototype: Object.getPrototypeOf(''[Symbol.iterator]()) }],
];
for (const [name, constructor] of hidden) {
  primordials[name] = constructor;
  primordials[`${name}Prototype`] = constructor.prototype;
  copyMembers(constructor.prototype, `${name}Prototype`, uncurryThis);
}

for (const name of ['decodeURI', 'decodeURIComponent', 'encodeURI', 'encodeURIComponent', 'isFinite', 'isNaN', 'parseFloat', 'parseInt']) {
  primordials[name] = globalThis[name];
}
primordials.globalThis = globalThis;
primordials.SymbolDispose = Symbol.dispose; // undefined where the engine lacks it; bootstrap installs one
primordials.AsyncIteratorPrototype = Object.getPrototypeOf(Object.getPrototypeOf(async function* () {}).prototype);

// Subclasses whose prototype chain ends here: their methods stay what they are now.
const makeSafe = (unsafe, name) => {
  // Written out, because the default constructor spreads its arguments through Array.prototype[Symbol.iterator].
  const Safe = {
    [name]: class extends unsafe {
      constructor(argument) {
        super(argument);
      }
    },
  }[name];
  for (const key of ownKeys(unsafe.prototype)) {
    if (key !== 'constructor') defineProperty(Safe.prototype, key, getOwnPropertyDescriptor(unsafe.prototype, key));
  }
  setPrototypeOf(Safe.prototype, null);
  freeze(Safe.prototype);
  freeze(Safe);
  primordials[name] = Safe;
};
makeSafe(Map, 'SafeMap');
makeSafe(Set, 'SafeSet');
makeSafe(WeakMap, 'SafeWeakMap');
makeSafe(WeakSet, 'SafeWeakSet');
makeSafe(WeakRef, 'SafeWeakRef');
makeSafe(FinalizationRegistry, 'SafeFinalizationRegistry');

freeze(primordials);
