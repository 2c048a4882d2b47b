'use strict';
// Rejected promises that nobody handles. The engine tells of every rejection without a handler, and of every handler
// that comes later; at the end of a checkpoint this file decides what is reported.

const { Error, SafeWeakMap } = require('primordials');
const { emitWarning, isError } = require('warnings');
const { reasonText } = require('reason_text');
const { reportUncaught } = require('uncaught');

const { flags } = native;
const kRejectionsWaiting = 1;
const kCheckpointSuspended = 2;
const kRejectedWithoutHandler = 0;

// Of every rejection without a handler: weak, so that reporting does not keep promises alive.
const rejections = new SafeWeakMap();
// Promises are held only until the next examination. Linked lists, as Array.prototype is the script's.
let unhandledFirst = null;
let unhandledLast = null;
let handledFirst = null;
let handledLast = null;
let count = 0;
let process;

function noteUnhandled(promise, reason) {
  rejections.set(promise, { id: ++count, reason, reported: false });
  const node = { promise, next: null };
  if (unhandledFirst === null) unhandledFirst = node;
  else unhandledLast.next = node;
  unhandledLast = node;
  flags[kRejectionsWaiting] = 1;
}

function noteHandled(promise) {
  const rejection = rejections.get(promise);
  if (rejection === undefined) return;
  rejections.delete(promise);
  if (!rejection.reported) return;
  const node = { promise, id: rejection.id, next: null };
  if (handledFirst === null) handledFirst = node;
  else handledLast.next = node;
  handledLast = node;
  flags[kRejectionsWaiting] = 1;
}

/// Wraps a reason that is no error, because the uncaught path reports errors.
function toError(reason) {
  if (isError(reason)) return reason;
  const error = new Error('This error originated either by throwing inside of an async function without a catch block, ' +
    'or by rejecting a promise which was not handled with .catch(). ' +
    `The promise rejected with the reason "${reasonText(reason)}".`);
  error.code = 'ERR_UNHANDLED_REJECTION';
  error.name = 'UnhandledPromiseRejection';
  return error;
}

function reportHandled() {
  while (handledFirst !== null) {
    const { promise, id } = handledFirst;
    handledFirst = handledFirst.next;
    if (!process.emit('rejectionHandled', promise)) {
      emitWarning(`Promise rejection was handled asynchronously (rejection id: ${id})`, 'PromiseRejectionHandledWarning');
    }
  }
}

function reportUnhandled() {
  let node = unhandledFirst;
  unhandledFirst = null; // What is rejected meanwhile belongs to the next examination.
  for (; node !== null; node = node.next) {
    const { promise } = node;
    const rejection = rejections.get(promise);
    if (rejection === undefined) continue; // A handler came in time.
    const { reason } = rejection;
    rejection.reported = true;
    rejection.reason = undefined;
    if (!process.emit('unhandledRejection', reason, promise)) reportUncaught(toError(reason), 'unhandledRejection');
  }
}

/// The examination at the end of a checkpoint: late handlers first, then new rejections, in their order. True if it
/// may have queued ticks, microtasks or more rejections. An exception of a listener drops the rest of the rejections
/// and suspends the checkpoint.
function processRejections() {
  flags[kCheckpointSuspended] = 0;
  const hadWork = handledFirst !== null || unhandledFirst !== null;
  try {
    reportHandled();
    reportUnhandled();
  } catch (error) {
    reportUncaught(error, 'uncaughtException');
    flags[kCheckpointSuspended] = 1;
  }
  flags[kRejectionsWaiting] = handledFirst !== null || unhandledFirst !== null ? 1 : 0;
  return hadWork;
}

/// Starts tracking; `processObject` gets the events.
function connectRejections(processObject) {
  process = processObject;
  native.setPromiseRejectHook((kind, promise, reason) => {
    if (kind === kRejectedWithoutHandler) noteUnhandled(promise, reason);
    else noteHandled(promise);
  });
}

function terminateRejections() {
  unhandledFirst = null;
  handledFirst = null;
  flags[kRejectionsWaiting] = 0;
}

exports.connectRejections = connectRejections;
exports.processRejections = processRejections;
exports.terminateRejections = terminateRejections;
