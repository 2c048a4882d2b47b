'use strict';
// delay(ms): a promise for a time to come. Unlike a timer it cannot be cleared, and it always settles: when the
// runtime ends first, it is fulfilled then.

const { Error, MathTrunc, Promise, PromiseReject, RangeError, SafeWeakSet } = require('primordials');
const { codedError } = require('errors');
const { startPrivate } = require('timers');

const kMaxDelay = 9_223_372_036_854; // ms; what 64 bits of nanoseconds hold
const kMinDelay = 1; // ms; like every timer, so that a chain of delays lets the rest of the loop run

const delays = new SafeWeakSet();
let terminated = false;

function delay(ms) {
  const msecs = MathTrunc(+ms) || 0;
  if (msecs > kMaxDelay) {
    throw codedError(RangeError, 'ERR_OUT_OF_RANGE',
      `The value of "ms" is out of range. It must be at most ${kMaxDelay}. Received ${msecs}`, delay);
  }
  if (terminated) return PromiseReject(codedError(Error, 'ERR_LOOP_TERMINATED', 'The event loop has terminated', delay));
  return new Promise((resolve) => {
    delays.add(startPrivate(msecs < kMinDelay ? kMinDelay : msecs, resolve, true));
  });
}

/// Settles `timer` if it belongs to a delay; for the end of the runtime.
function settleDelay(timer) {
  if (delays.has(timer)) timer._onTimeout();
}

function terminateDelays() {
  terminated = true;
}

exports.delay = delay;
exports.settleDelay = settleDelay;
exports.terminateDelays = terminateDelays;
