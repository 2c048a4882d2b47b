'use strict';
// Array.prototype.toSorted and its relatives, their typed-array twins, Array.fromAsync, Object.groupBy, Map.groupBy,
// as ECMAScript 2023 and 2024 specify them.

const primordials = require('primordials');
const {
  Array, ArrayPrototype, ArrayPrototypeSort, BigInt64Array, Map, MapPrototypeForEach, MapPrototypeGet, MapPrototypeSet, MathMax,
  MathMin, MathTrunc, NumberMAX_SAFE_INTEGER, Object, ObjectDefineProperty, ObjectSetPrototypeOf, Proxy, RangeError, ReflectApply,
  ReflectConstruct, ReflectOwnKeys, String, SymbolAsyncIterator, SymbolIterator, TypeError, TypedArrayPrototypeGetLength,
  TypedArrayPrototypeGetSymbolToStringTag, TypedArrayPrototypeReverse, TypedArrayPrototypeSet, TypedArrayPrototypeSort,
} = primordials;

const kMaxArrayLength = 2 ** 32 - 1;

// Results are filled while they have no prototype, so no setter that a script puts on Array.prototype sees them.
const startList = (length) => {
  if (length > kMaxArrayLength) throw new RangeError('Invalid array length');
  return ObjectSetPrototypeOf([], null);
};
const finishList = (list) => ObjectSetPrototypeOf(list, ArrayPrototype);

function toInteger(value) {
  const number = MathTrunc(+value);
  return number !== number ? 0 : number + 0;
}

function toObject(value, method) {
  if (value === null || value === undefined) throw new TypeError(`${method} called on null or undefined`);
  return Object(value);
}

const lengthOf = (object) => MathMin(MathMax(toInteger(object.length), 0), NumberMAX_SAFE_INTEGER);

function requireComparator(compare) {
  if (compare !== undefined && typeof compare !== 'function') {
    throw new TypeError('The comparison function must be either a function or undefined');
  }
}

function copyOf(object, length) {
  const list = startList(length);
  for (let i = 0; i < length; i++) list[i] = object[i];
  return list;
}

/// The index that a possibly negative `index` means.
const relative = (index, length) => (index < 0 ? length + index : index);
const clampRelative = (index, length) => MathMin(MathMax(relative(index, length), 0), length);

const arrayMethods = {
  toReversed() {
    const object = toObject(this, 'Array.prototype.toReversed');
    const length = lengthOf(object);
    const list = startList(length);
    for (let i = 0; i < length; i++) list[i] = object[length - 1 - i];
    return finishList(list);
  },

  toSorted(compare) {
    requireComparator(compare);
    const object = toObject(this, 'Array.prototype.toSorted');
    return finishList(ArrayPrototypeSort(copyOf(object, lengthOf(object)), compare));
  },

  toSpliced(start, skipCount, ...items) {
    const object = toObject(this, 'Array.prototype.toSpliced');
    const length = lengthOf(object);
    const first = clampRelative(toInteger(start), length);
    let skipped = 0;
    if (arguments.length === 1) skipped = length - first;
    else if (arguments.length > 1) skipped = MathMin(MathMax(toInteger(skipCount), 0), length - first);
    const newLength = length + items.length - skipped;
    if (newLength > NumberMAX_SAFE_INTEGER) throw new TypeError('Invalid array length');
    const list = startList(newLength);
    let to = 0;
    for (let i = 0; i < first; i++) list[to++] = object[i];
    for (let i = 0; i < items.length; i++) list[to++] = items[i];
    for (let i = first + skipped; i < length; i++) list[to++] = object[i];
    return finishList(list);
  },

  with(index, value) {
    const object = toObject(this, 'Array.prototype.with');
    const length = lengthOf(object);
    const position = relative(toInteger(index), length);
    if (position < 0 || position >= length) throw new RangeError('Invalid index : ' + String(index));
    const list = startList(length);
    for (let i = 0; i < length; i++) list[i] = i === position ? value : object[i];
    return finishList(list);
  },
};

function copyTypedArray(source) {
  const length = TypedArrayPrototypeGetLength(source); // the brand check
  const copy = new primordials[TypedArrayPrototypeGetSymbolToStringTag(source)](length);
  TypedArrayPrototypeSet(copy, source);
  return copy;
}

const typedArrayMethods = {
  toReversed() {
    return TypedArrayPrototypeReverse(copyTypedArray(this));
  },

  toSorted(compare) {
    requireComparator(compare);
    return TypedArrayPrototypeSort(copyTypedArray(this), compare);
  },

  with(index, value) {
    const length = TypedArrayPrototypeGetLength(this);
    const position = relative(toInteger(index), length);
    const tag = TypedArrayPrototypeGetSymbolToStringTag(this);
    const element = tag === 'BigInt64Array' || tag === 'BigUint64Array' ? toBigInt(value) : +value;
    if (!(position >= 0 && position < TypedArrayPrototypeGetLength(this))) throw new RangeError('Invalid typed array index');
    const copy = copyTypedArray(this);
    copy[position] = element;
    return copy;
  },
};

// BigInt() would take numbers, which a BigInt array refuses; this is the array's own conversion, done once.
function toBigInt(value) {
  const cell = new BigInt64Array(1);
  cell[0] = value;
  return cell[0];
}

function isConstructor(value) {
  if (typeof value !== 'function') return false;
  try {
    // A proxy can be constructed exactly if its target can, and its trap keeps `value` from running.
    ReflectConstruct(new Proxy(value, { __proto__: null, construct: () => ({}) }), []);
    return true;
  } catch {
    return false;
  }
}

function methodOf(object, key) {
  const method = object[key];
  if (method === undefined || method === null) return undefined;
  if (typeof method !== 'function') throw new TypeError(`${String(key)} is not a function`);
  return method;
}

function defineElement(target, index, value) {
  ObjectDefineProperty(target, index, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
}

const arrayStatics = {
  async fromAsync(asyncItems, mapper = undefined, thisArg = undefined) {
    const Target = isConstructor(this) ? this : Array;
    if (mapper !== undefined && typeof mapper !== 'function') throw new TypeError(`${typeof mapper} is not a function`);
    const asyncMethod = methodOf(asyncItems, SymbolAsyncIterator);
    const method = asyncMethod ?? methodOf(asyncItems, SymbolIterator);
    let index = 0;
    let result;
    if (method !== undefined) {
      // The method was looked up once; the loop finds it under whichever of the two symbols it came from.
      const key = asyncMethod === undefined ? SymbolIterator : SymbolAsyncIterator;
      const items = { __proto__: null, [key]: () => ReflectApply(method, asyncItems, []) };
      result = new Target();
      for await (const item of items) {
        defineElement(result, index, mapper === undefined ? item : await ReflectApply(mapper, thisArg, [item, index]));
        index++;
      }
    } else {
      const object = Object(asyncItems);
      const length = lengthOf(object);
      result = new Target(length);
      for (; index < length; index++) {
        const item = await object[index];
        defineElement(result, index, mapper === undefined ? item : await ReflectApply(mapper, thisArg, [item, index]));
      }
    }
    result.length = index;
    return result;
  },
};

function toPropertyKey(value) {
  if (typeof value === 'string' || typeof value === 'symbol') return value;
  return ReflectOwnKeys({ __proto__: null, [value]: undefined })[0];
}

/// Calls `add(list, key)` for each new group, in order of first appearance.
function group(items, callback, toKey) {
  if (items === null || items === undefined) throw new TypeError(`${items} is not iterable`);
  if (typeof callback !== 'function') throw new TypeError(`${typeof callback} is not a function`);
  const groups = new Map();
  let index = 0;
  for (const item of items) {
    const key = toKey(callback(item, index++));
    let list = MapPrototypeGet(groups, key);
    if (list === undefined) {
      list = startList(0);
      MapPrototypeSet(groups, key, list);
    }
    list[list.length] = item;
  }
  MapPrototypeForEach(groups, finishList);
  return groups;
}

const objectStatics = {
  groupBy(items, callback) {
    const result = { __proto__: null };
    MapPrototypeForEach(group(items, callback, toPropertyKey), (list, key) => {
      result[key] = list;
    });
    return result;
  },
};

const mapStatics = {
  groupBy(items, callback) {
    return group(items, callback, (key) => key);
  },
};

exports.arrayMethods = arrayMethods;
exports.arrayStatics = arrayStatics;
exports.mapStatics = mapStatics;
exports.objectStatics = objectStatics;
exports.typedArrayMethods = typedArrayMethods;
