'use strict';
// setImmediate, clearImmediate and the Immediate handle. Immediates wait in one linked list, over their visible
// `_idlePrev` and `_idleNext`. The check phase takes the whole list as a batch, so what is added meanwhile waits for
// the next turn.

const { ArrayIsArray, ReflectApply, Symbol } = require('primordials');
const { invalidArgType } = require('errors');
const { copyArguments, kAsyncContextFrame, kAsyncId, kMainScriptId, kRefed, kTriggerId, nextId } = require('handles');
const { reportUncaught } = require('uncaught');

const { checkpoint: runCheckpoint, flags } = native;
const kCheckpointSuspended = 2;

let head = null;
let tail = null;
let batch = null; // the next member to run
let refCount = 0;
let terminated = false;

// A handle may come in a proxy, so handles are compared by their number.
function isSame(a, b) {
  return a === b || (b !== null && a[kAsyncId] === b[kAsyncId]);
}

function append(immediate) {
  if (terminated) return;
  if (tail !== null) {
    immediate._idlePrev = tail;
    tail._idleNext = immediate;
  } else {
    head = immediate;
    native.armImmediate();
  }
  tail = immediate;
}

function remove(immediate) {
  const next = immediate._idleNext;
  const previous = immediate._idlePrev;
  if (next) next._idlePrev = previous;
  else if (isSame(immediate, tail)) tail = previous;
  if (previous) previous._idleNext = next;
  else if (isSame(immediate, head)) head = next;
  immediate._idleNext = null;
  immediate._idlePrev = null;
}

function dropRef(immediate) {
  if (immediate[kRefed] && --refCount === 0) native.refImmediate(false);
  immediate[kRefed] = null;
}

class Immediate {
  constructor(callback, args) {
    this._idleNext = null;
    this._idlePrev = null;
    this._onImmediate = callback;
    this._argv = args;
    this._destroyed = false;
    this[kRefed] = false;
    this[kAsyncId] = nextId();
    this[kTriggerId] = kMainScriptId;
    this[kAsyncContextFrame] = undefined;
    this.ref();
    append(this);
  }

  ref() {
    if (this[kRefed] === false) {
      this[kRefed] = true;
      if (refCount++ === 0) native.refImmediate(true);
    }
    return this;
  }

  unref() {
    if (this[kRefed] === true) {
      this[kRefed] = false;
      if (--refCount === 0) native.refImmediate(false);
    }
    return this;
  }

  hasRef() {
    return !!this[kRefed];
  }
}

// Assigned, not defined in the class: it is enumerable and has no name.
Immediate.prototype[Symbol.dispose] = function() {
  clearImmediate(this);
};

function setImmediate(callback) {
  if (typeof callback !== 'function') throw invalidArgType('callback', 'of type function', callback);
  return new Immediate(callback, arguments.length > 1 ? copyArguments(arguments, 1) : undefined);
}

function clearImmediate(immediate) {
  if (!immediate?._onImmediate || immediate._destroyed) return;
  immediate._destroyed = true;
  dropRef(immediate);
  immediate._onImmediate = null;
  remove(immediate);
}

/// Calls the callback. False after a handled exception.
function run(immediate) {
  immediate._destroyed = true;
  dropRef(immediate);
  try {
    const args = immediate._argv;
    if (!args) immediate._onImmediate();
    else if (ArrayIsArray(args)) ReflectApply(immediate._onImmediate, immediate, args);
    else immediate._onImmediate(...args); // A handle that a script constructed: any iterable will do.
    immediate._onImmediate = null;
    return true;
  } catch (error) {
    immediate._onImmediate = null;
    reportUncaught(error, 'uncaughtException');
    return false;
  }
}

/// The check phase: runs the batch, with a checkpoint between its members. The caller runs the last checkpoint.
function processImmediates() {
  flags[kCheckpointSuspended] = 0;
  if (batch) { // The last batch ended by termination: its rest goes first.
    if (batch._destroyed) batch = batch._idleNext;
    if (head !== null) native.armImmediate();
  } else {
    batch = head;
    head = null;
    tail = null;
  }
  let previous = null;
  // After a handled exception the next member runs before what is left of the ticks and microtasks.
  let checkpointIsDue = false;
  while (batch) {
    if (checkpointIsDue) {
      flags[kCheckpointSuspended] = 0;
      runCheckpoint();
      // An exception that was handled in there suspended it, and the next member must not wait for it.
      checkpointIsDue = flags[kCheckpointSuspended] === 0;
      flags[kCheckpointSuspended] = 0;
    }
    const immediate = batch;
    if (immediate._destroyed) {
      // Cleared in that checkpoint, so its own links are gone.
      batch = previous === null ? null : previous._idleNext;
      continue;
    }
    checkpointIsDue = run(immediate);
    previous = immediate;
    batch = immediate._idleNext; // live: a callback may have cut or cleared what follows
  }
  batch = null;
}

/// Ends every immediate with the runtime.
function terminateImmediates() {
  terminated = true;
  while (head !== null) {
    const next = head._idleNext;
    head._destroyed = true;
    head._onImmediate = null;
    head._idleNext = null;
    head._idlePrev = null;
    head = next;
  }
  tail = null;
  batch = null;
  refCount = 0;
}

exports.clearImmediate = clearImmediate;
exports.processImmediates = processImmediates;
exports.setImmediate = setImmediate;
exports.terminateImmediates = terminateImmediates;
