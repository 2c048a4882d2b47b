'use strict';
// The exit code and the exiting state behind `process.exitCode` and `process._exiting`.

const {
  MathAbs, NumberIsInteger, NumberIsSafeInteger, NumberMAX_SAFE_INTEGER, NumberMIN_SAFE_INTEGER, String, StringPrototypeSlice,
} = require('primordials');
const { invalidArgType, outOfRange } = require('errors');

let exitCode; // undefined, or a 32-bit signed integer
let exiting = false;

function groupDigits(number) {
  const digits = String(MathAbs(number));
  let text = '';
  let end = digits.length;
  for (; end > 3; end -= 3) text = `_${StringPrototypeSlice(digits, end - 3, end)}${text}`;
  return (number < 0 ? '-' : '') + StringPrototypeSlice(digits, 0, end) + text;
}

/// The number an accepted exit code stands for; throws for anything that is none.
function toExitCode(value) {
  let number = value;
  if (typeof value === 'string' && value !== '') {
    const converted = +value;
    if (NumberIsInteger(converted)) number = converted;
  }
  if (typeof number !== 'number') throw invalidArgType('code', 'of type number', value);
  if (!NumberIsInteger(number)) throw outOfRange('code', 'an integer', `${number}`);
  if (!NumberIsSafeInteger(number)) {
    const range = `>= ${NumberMIN_SAFE_INTEGER} && <= ${NumberMAX_SAFE_INTEGER}`;
    throw outOfRange('code', range, MathAbs(number) < 1e21 ? groupDigits(number) : `${number}`);
  }
  return number | 0;
}

/// The accessor behind `process.exitCode`.
const exitCodeProperty = {
  get() {
    return exitCode;
  },
  set(value) {
    exitCode = value === undefined || value === null ? undefined : toExitCode(value);
  },
};

/// The accessor behind `process._exiting`.
const exitingProperty = {
  get() {
    return exiting;
  },
  set(value) {
    exiting = !!value;
  },
};

function exit(code) {
  native.exit(code);
}

exports.exit = exit;
exports.exitCodeProperty = exitCodeProperty;
exports.exitingProperty = exitingProperty;
exports.isExiting = () => exiting;
exports.storedExitCode = () => exitCode;
