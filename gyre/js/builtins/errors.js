'use strict';
// Errors in Node's shape: an own `code`, a plain `name`, and a stack that reads "TypeError [CODE]: message".

const {
  Error, ErrorCaptureStackTrace, ObjectDefineProperty, RangeError, SafeMap, StringPrototypeIncludes, StringPrototypeSlice, TypeError,
} = require('primordials');

// Kept here: `name` of a constructor can be changed by a script.
const classNames = new SafeMap([[Error, 'Error'], [RangeError, 'RangeError'], [TypeError, 'TypeError']]);

/// Makes an error of class `Base` with Node's `code`. `hideFrom` and the frames above it are left out of the stack.
function codedError(Base, code, message, hideFrom = codedError) {
  const error = new Base(message);
  // The stack's header is rendered when it is captured, so the name carries the code just for that moment.
  ObjectDefineProperty(error, 'name', { __proto__: null, value: `${classNames.get(Base)} [${code}]`, configurable: true });
  ErrorCaptureStackTrace(error, hideFrom);
  error.stack; // eslint-disable-line no-unused-expressions -- renders the header
  delete error.name;
  // Defined, not assigned: a script may have put a setter on Object.prototype.
  ObjectDefineProperty(error, 'code', { __proto__: null, value: code, writable: true, enumerable: true, configurable: true });
  return error;
}

/// The "Received ..." part of Node's argument errors.
function describeReceived(value) {
  const { inspect } = require('inspect');
  if (value === null || value === undefined) return `Received ${value}`;
  if (typeof value === 'function') return value.name ? `Received function ${value.name}` : 'Received function ';
  if (typeof value === 'object') {
    const name = value.constructor?.name;
    return name ? `Received an instance of ${name}` : `Received ${inspect(value, { depth: -1 })}`;
  }
  if (typeof value === 'string' && value.length > 28) value = `${StringPrototypeSlice(value, 0, 25)}...`;
  return `Received type ${typeof value} (${inspect(value, { colors: false })})`;
}

/// ERR_INVALID_ARG_TYPE. `expected` completes "must be", for example "of type function".
function invalidArgType(name, expected, value) {
  const kind = StringPrototypeIncludes(name, '.') ? 'property' : 'argument';
  const message = `The "${name}" ${kind} must be ${expected}. ${describeReceived(value)}`;
  return codedError(TypeError, 'ERR_INVALID_ARG_TYPE', message, invalidArgType);
}

/// ERR_OUT_OF_RANGE. `range` completes "It must be", `received` is the value as text.
function outOfRange(name, range, received) {
  const message = `The value of "${name}" is out of range. It must be ${range}. Received ${received}`;
  return codedError(RangeError, 'ERR_OUT_OF_RANGE', message, outOfRange);
}

/// Throws ERR_INVALID_ARG_TYPE unless `value` can be called.
function requireFunction(value, name) {
  if (typeof value !== 'function') throw invalidArgType(name, 'of type function', value);
}

exports.codedError = codedError;
exports.describeReceived = describeReceived;
exports.invalidArgType = invalidArgType;
exports.outOfRange = outOfRange;
exports.requireFunction = requireFunction;
