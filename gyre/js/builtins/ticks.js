'use strict';
// process.nextTick and queueMicrotask. Ticks wait in a ring here; microtasks wait in the engine's own queue.

const { ObjectSetPrototypeOf, ReflectApply } = require('primordials');
const { requireFunction } = require('errors');
const { copyArguments } = require('handles');
const { reportUncaught } = require('uncaught');

const { flags } = native;
const kTicksWaiting = 0;
const kCheckpointSuspended = 2;

// Two slots a tick: the callback and its arguments, undefined when there are none. The size is a power of two, and
// never full, so that head === tail means empty.
const kSmallestRing = 512;
const kLargestKeptRing = 2 ** 16; // A flood of ticks must not hold its memory for ever.

let ring = makeRing(kSmallestRing);
let mask = kSmallestRing - 1;
let head = 0;
let tail = 0;
let process;

function makeRing(size) {
  const slots = ObjectSetPrototypeOf([], null); // no setters of Array.prototype when it is filled
  for (let i = 0; i < size; i++) slots[i] = undefined;
  return slots;
}

function grow() {
  const size = mask + 1;
  const larger = makeRing(size * 2);
  for (let i = 0; i < size; i++) larger[i] = ring[(head + i) & mask];
  ring = larger;
  mask = size * 2 - 1;
  head = 0;
  tail = size - 2;
}

/// Queues a tick of the runtime's own, whatever `process._exiting` says.
function enqueueTick(callback, args) {
  if (((tail + 2) & mask) === head) grow();
  ring[tail] = callback;
  ring[tail + 1] = args;
  tail = (tail + 2) & mask;
  flags[kTicksWaiting] = 1;
}

function nextTick(callback) {
  requireFunction(callback, 'callback');
  // The public property decides, as in Node.js: a script that sets it switches this queue off and on again.
  if (process._exiting) return;
  enqueueTick(callback, arguments.length > 1 ? copyArguments(arguments, 1) : undefined);
}

function queueMicrotask(callback) {
  requireFunction(callback, 'callback');
  native.enqueueMicrotask(callback);
}

/// Runs ticks until none is left. A handled exception suspends the whole checkpoint: what is left runs after the
/// next macrotask's callback.
function processTicks() {
  flags[kCheckpointSuspended] = 0;
  while (head !== tail) {
    const callback = ring[head];
    const args = ring[head + 1];
    ring[head] = undefined;
    ring[head + 1] = undefined;
    head = (head + 2) & mask;
    try {
      if (args === undefined) callback();
      else ReflectApply(callback, undefined, args);
    } catch (error) {
      reportUncaught(error, 'uncaughtException');
      flags[kTicksWaiting] = head === tail ? 0 : 1;
      flags[kCheckpointSuspended] = 1;
      return;
    }
  }
  flags[kTicksWaiting] = 0;
  if (mask >= kLargestKeptRing) terminateTicks();
}

/// Forgets every tick, and the memory of a large ring.
function terminateTicks() {
  ring = makeRing(kSmallestRing);
  mask = kSmallestRing - 1;
  head = 0;
  tail = 0;
  flags[kTicksWaiting] = 0;
}

/// Names the object whose `_exiting` is asked.
function connectTicks(processObject) {
  process = processObject;
}

exports.connectTicks = connectTicks;
exports.enqueueTick = enqueueTick;
exports.nextTick = nextTick;
exports.processTicks = processTicks;
exports.queueMicrotask = queueMicrotask;
exports.terminateTicks = terminateTicks;
