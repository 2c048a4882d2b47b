'use strict';
// The set methods of ECMAScript 2025. The other operand may be anything with `size`, `has` and `keys`.

const {
  MathTrunc, ObjectGetPrototypeOf, RangeError, ReflectApply, Set, SetPrototypeAdd, SetPrototypeDelete, SetPrototypeForEach,
  SetPrototypeGetSize, SetPrototypeHas, SetPrototypeValues, String, TypeError, uncurryThis,
} = require('primordials');

const setIteratorNext = uncurryThis(ObjectGetPrototypeOf(SetPrototypeValues(new Set())).next);

const isObject = (value) => (typeof value === 'object' && value !== null) || typeof value === 'function';

/// What the standard reads of the other operand, in its order.
function readOperand(other) {
  if (!isObject(other)) throw new TypeError('The "other" argument must be of type object');
  const size = +other.size;
  if (size !== size) throw new TypeError("The 'size' property must be a number");
  const whole = MathTrunc(size);
  if (whole < 0) throw new RangeError(`'${whole}' is an invalid size`);
  const { has } = other;
  if (typeof has !== 'function') throw new TypeError("The 'has' property must be a function");
  const { keys } = other;
  if (typeof keys !== 'function') throw new TypeError("The 'keys' property must be a function");
  return { object: other, size: whole, has, keys };
}

function openKeys(operand) {
  const iterator = ReflectApply(operand.keys, operand.object, []);
  if (!isObject(iterator)) throw new TypeError("The result of 'keys' is not an object");
  return { iterator, next: iterator.next };
}

/// Calls `visit` with each key, until it returns true: then the iterator is closed. Returns whether it did.
function someKey({ iterator, next }, visit) {
  for (;;) {
    const step = ReflectApply(next, iterator, []);
    if (!isObject(step)) throw new TypeError(`Iterator result ${String(step)} is not an object`);
    if (step.done) return false;
    if (visit(step.value)) {
      const close = iterator.return;
      if (close !== undefined && close !== null) ReflectApply(close, iterator, []);
      return true;
    }
  }
}

/// Calls `visit` with each element of `set`, also those added meanwhile, until it returns true.
function someElement(set, visit) {
  const iterator = SetPrototypeValues(set);
  for (let step = setIteratorNext(iterator); !step.done; step = setIteratorNext(iterator)) {
    if (visit(step.value)) return true;
  }
  return false;
}

const operandHas = (operand, value) => !!ReflectApply(operand.has, operand.object, [value]);

function copyOf(set) {
  const copy = new Set();
  SetPrototypeForEach(set, (value) => {
    SetPrototypeAdd(copy, value);
  });
  return copy;
}

// Each method asks for the receiver's size first: that is also the check that it is a Set.
const setMethods = {
  union(other) {
    SetPrototypeGetSize(this);
    const keys = openKeys(readOperand(other));
    const result = copyOf(this);
    someKey(keys, (value) => {
      SetPrototypeAdd(result, value);
      return false;
    });
    return result;
  },

  intersection(other) {
    const size = SetPrototypeGetSize(this);
    const operand = readOperand(other);
    const result = new Set();
    if (size <= operand.size) {
      someElement(this, (value) => {
        if (operandHas(operand, value)) SetPrototypeAdd(result, value);
        return false;
      });
    } else {
      someKey(openKeys(operand), (value) => {
        if (SetPrototypeHas(this, value)) SetPrototypeAdd(result, value);
        return false;
      });
    }
    return result;
  },

  difference(other) {
    const size = SetPrototypeGetSize(this);
    const operand = readOperand(other);
    const result = copyOf(this);
    if (size <= operand.size) {
      someElement(this, (value) => {
        if (operandHas(operand, value)) SetPrototypeDelete(result, value);
        return false;
      });
    } else {
      someKey(openKeys(operand), (value) => {
        SetPrototypeDelete(result, value);
        return false;
      });
    }
    return result;
  },

  symmetricDifference(other) {
    SetPrototypeGetSize(this);
    const keys = openKeys(readOperand(other));
    const result = copyOf(this);
    someKey(keys, (value) => {
      // The receiver decides as it is now: keys() and next() may change it.
      if (SetPrototypeHas(this, value)) SetPrototypeDelete(result, value);
      else SetPrototypeAdd(result, value);
      return false;
    });
    return result;
  },

  isSubsetOf(other) {
    const size = SetPrototypeGetSize(this);
    const operand = readOperand(other);
    return size <= operand.size && !someElement(this, (value) => !operandHas(operand, value));
  },

  isSupersetOf(other) {
    const size = SetPrototypeGetSize(this);
    const operand = readOperand(other);
    return size >= operand.size && !someKey(openKeys(operand), (value) => !SetPrototypeHas(this, value));
  },

  isDisjointFrom(other) {
    const size = SetPrototypeGetSize(this);
    const operand = readOperand(other);
    if (size <= operand.size) return !someElement(this, (value) => operandHas(operand, value));
    return !someKey(openKeys(operand), (value) => SetPrototypeHas(this, value));
  },
};

exports.setMethods = setMethods;
