'use strict';
// setTimeout, setInterval, their clear functions, and the Timeout handle. What a handle shows (property names, their
// order, symbols) is what Node.js shows, because programs read and write it.

const { MathTrunc, Symbol, SymbolToPrimitive } = require('primordials');
const { invalidArgType } = require('errors');
const { copyArguments, kHasPrimitive, kAsyncId, kRefed } = require('handles');
const { emitWarning } = require('warnings');
const {
  cancel, decrementRefs, giveIdentity, incrementRefs, insert, restart, timersById,
} = require('timer_lists');

const kMaxDelay = 2 ** 31 - 1;

let warnedNegative = false;
let warnedNaN = false;

/// The delay a timer gets for one out of range: 1 ms, with a warning if the number makes no sense.
function replaceDelay(after) {
  if (after > kMaxDelay) {
    warnDelay('TimeoutOverflowWarning', `${after} does not fit into a 32-bit signed integer.`);
  } else if (after < 0 && !warnedNegative) {
    warnedNegative = true;
    warnDelay('TimeoutNegativeWarning', `${after} is a negative number.`);
  } else if (after !== after && !warnedNaN) {
    warnedNaN = true;
    warnDelay('TimeoutNaNWarning', `${after} is not a number.`);
  }
  return 1;
}

function warnDelay(type, problem) {
  emitWarning(`${problem}\nTimeout duration was set to 1.`, type);
}

class Timeout {
  constructor(callback, after, args, isRepeat, isRefed) {
    if (after === undefined) {
      after = 1;
    } else {
      after *= 1; // Converts as arithmetic does: once, and not for BigInts and Symbols.
      if (!(after >= 1 && after <= kMaxDelay)) after = replaceDelay(after);
    }
    this._idleTimeout = after;
    this._idlePrev = this; // A handle that a script constructs is in no list: it is linked to itself.
    this._idleNext = this;
    this._idleStart = null;
    this._onTimeout = callback;
    this._timerArgs = args;
    this._repeat = isRepeat ? after : null;
    this._destroyed = false;
    if (isRefed) incrementRefs();
    this[kRefed] = isRefed;
    this[kHasPrimitive] = false;
    giveIdentity(this);
  }

  refresh() {
    if (this[kRefed]) restart(this, true);
    else restart(this, false);
    return this;
  }

  unref() {
    if (this[kRefed]) {
      this[kRefed] = false;
      if (!this._destroyed) decrementRefs();
    }
    return this;
  }

  ref() {
    if (!this[kRefed]) {
      this[kRefed] = true;
      if (!this._destroyed) incrementRefs();
    }
    return this;
  }

  hasRef() {
    return this[kRefed];
  }
}

// Assigned, not defined in the class: these are enumerable and have no name.
Timeout.prototype.close = function() {
  clearTimeout(this);
  return this;
};

Timeout.prototype[Symbol.dispose] = function() {
  clearTimeout(this);
};

Timeout.prototype[SymbolToPrimitive] = function() {
  const id = this[kAsyncId];
  if (!this[kHasPrimitive]) {
    this[kHasPrimitive] = true;
    timersById[id] = this;
  }
  return id;
};

function start(callback, after, args, isRepeat) {
  const timeout = new Timeout(callback, after, args, isRepeat, true);
  insert(timeout, timeout._idleTimeout);
  return timeout;
}

function setTimeout(callback, after) {
  if (typeof callback !== 'function') throw invalidArgType('callback', 'of type function', callback);
  return start(callback, after, arguments.length > 2 ? copyArguments(arguments, 2) : undefined, false);
}

function setInterval(callback, repeat) {
  if (typeof callback !== 'function') throw invalidArgType('callback', 'of type function', callback);
  return start(callback, repeat, arguments.length > 2 ? copyArguments(arguments, 2) : undefined, true);
}

function clearTimeout(timer) {
  if (timer?._onTimeout) {
    timer._onTimeout = undefined;
    cancel(timer);
  } else if (typeof timer === 'number' || typeof timer === 'string') {
    const known = timersById[timer];
    if (known !== undefined) {
      known._onTimeout = undefined;
      cancel(known);
    }
  }
}

function clearInterval(timer) {
  clearTimeout(timer);
}

/// A timer for the runtime's own use. It shares the lists, but has no prototype, so nothing that a script does to
/// Timeout.prototype reaches it. `msecs` is a number from 1 on, without upper limit.
function startPrivate(msecs, callback, refed) {
  const timer = {
    __proto__: null,
    _idleTimeout: MathTrunc(msecs),
    _idlePrev: null,
    _idleNext: null,
    _idleStart: null,
    _onTimeout: callback,
    _timerArgs: undefined,
    _repeat: null,
    _destroyed: false,
    [kRefed]: refed,
    [kHasPrimitive]: false,
  };
  giveIdentity(timer);
  if (refed) incrementRefs();
  insert(timer, timer._idleTimeout);
  return timer;
}

function stopPrivate(timer) {
  timer._onTimeout = undefined;
  cancel(timer);
}

exports.clearInterval = clearInterval;
exports.clearTimeout = clearTimeout;
exports.setInterval = setInterval;
exports.setTimeout = setTimeout;
exports.startPrivate = startPrivate;
exports.stopPrivate = stopPrivate;
