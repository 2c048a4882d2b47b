'use strict';
// What timer handles and immediate handles have in common: the symbols of their visible state, and their numbers.

const { NumberMAX_SAFE_INTEGER, RangeError, ReflectApply, Symbol } = require('primordials');
const { codedError } = require('errors');

const kRefed = Symbol('refed');
const kHasPrimitive = Symbol('kHasPrimitive');
const kAsyncId = Symbol('asyncId');
const kTriggerId = Symbol('triggerId');
const kAsyncContextFrame = Symbol('kAsyncContextFrame');

// Programs read these symbols from handles; there are no async hooks behind them, so everything has one trigger.
const kMainScriptId = 0;

let lastId = 0;

function nextId() {
  if (lastId === NumberMAX_SAFE_INTEGER) {
    throw codedError(RangeError, 'ERR_OUT_OF_RANGE', 'No more timer ids: 2 ** 53 - 1 handles have been created', nextId);
  }
  return ++lastId;
}

const tailAfter1 = (_first, ...rest) => rest;
const tailAfter2 = (_first, _second, ...rest) => rest;

/// The entries of an `arguments` object from `start` (1 or 2) on, as an array. Unlike a loop or a spread, this
/// neither meets setters on Array.prototype nor its iterator; unlike a rest parameter it costs nothing when unused.
function copyArguments(args, start) {
  if (args.length === start + 1) return [args[start]]; // the most common case, without the call
  return ReflectApply(start === 1 ? tailAfter1 : tailAfter2, undefined, args);
}

exports.copyArguments = copyArguments;
exports.kAsyncContextFrame = kAsyncContextFrame;
exports.kAsyncId = kAsyncId;
exports.kHasPrimitive = kHasPrimitive;
exports.kMainScriptId = kMainScriptId;
exports.kRefed = kRefed;
exports.kTriggerId = kTriggerId;
exports.nextId = nextId;
