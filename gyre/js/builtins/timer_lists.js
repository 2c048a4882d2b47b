'use strict';
// The lists behind setTimeout and setInterval. Timers of one whole-millisecond duration share a list, in the order
// they were started, so the first member is always the next to expire; the lists stand in a queue by expiry. One
// native timer, the carrier, wakes for the earliest list.
//
// Members are linked through their visible `_idlePrev` and `_idleNext`, with the list itself as the end mark: its
// `_idlePrev` is the oldest member, its `_idleNext` the youngest. Everything is done by plain property reads and
// writes, because a member may be a script's own object, or a proxy of a timer.
//
// Invariants: a list is in `lists` exactly while it is in the queue; `nextExpiry` is what the carrier is armed for,
// Infinity when it is not, -Infinity during a wake (whose result arms it); `refCount` counts the timers that are ref'ed
// and not destroyed; `running` is the timer whose callback is on the stack.

const { MathMax, MathMin, MathTrunc, NumberMIN_SAFE_INTEGER, ReflectApply, SafeMap } = require('primordials');
const { kAsyncContextFrame, kAsyncId, kHasPrimitive, kMainScriptId, kRefed, kTriggerId, nextId } = require('handles');
const { reportUncaught } = require('uncaught');
const queue = require('timer_queue');

const { checkpoint: runCheckpoint, flags } = native;
const kCheckpointSuspended = 2;

// The carrier is never asked for more, whatever a delay() asks for: it wakes, finds nothing due, and is armed again.
const kLongestSleep = 2 ** 31 - 1;

const lists = new SafeMap();
const timersById = { __proto__: null }; // only of timers that were converted to a primitive
let lastListId = NumberMIN_SAFE_INTEGER;
let nextExpiry = Infinity;
let refCount = 0;
let running = null;
let runningSince;
let terminated = false;

class TimersList {
  constructor(expiry, msecs) {
    this._idleNext = this;
    this._idlePrev = this;
    this.expiry = expiry;
    this.id = lastListId++;
    this.msecs = msecs;
    this.priorityQueuePosition = null;
  }
}

function oldestOf(list) {
  const oldest = list._idlePrev;
  return oldest === list ? null : oldest;
}

function isEmpty(list) {
  return list._idleNext === list;
}

function unlink(item) {
  if (item._idleNext) item._idleNext._idlePrev = item._idlePrev;
  if (item._idlePrev) item._idlePrev._idleNext = item._idleNext;
  item._idleNext = null;
  item._idlePrev = null;
}

function append(list, item) {
  if (item._idleNext || item._idlePrev) unlink(item);
  item._idleNext = list._idleNext;
  item._idlePrev = list;
  list._idleNext._idlePrev = item;
  list._idleNext = item;
}

function incrementRefs() {
  if (refCount === 0) native.refTimer(true);
  refCount = (refCount + 1) | 0;
}

function decrementRefs() {
  refCount = (refCount - 1) | 0;
  if (refCount === 0) native.refTimer(false);
}

function dropList(list) {
  queue.remove(list);
  lists.delete(list.msecs);
}

/// Puts `item` into the list of its duration, counted from `start`.
function insert(item, duration, start = native.refreshLoopTime()) {
  if (terminated) return;
  const msecs = MathTrunc(duration);
  item._idleStart = start;
  let list = lists.get(msecs);
  if (list === undefined) {
    // `|| 0`: a duration of NaN, which only a script that writes `_idleTimeout` can make, is due at once.
    list = new TimersList(start + (msecs || 0), msecs);
    lists.set(msecs, list);
    queue.insert(list);
    if (list.expiry < nextExpiry) {
      nextExpiry = MathMin(list.expiry, start + kLongestSleep);
      native.armTimer(nextExpiry - start);
    }
  }
  append(list, item);
}

/// Gives a handle its number and the rest of its identity.
function giveIdentity(item) {
  item[kAsyncId] = nextId();
  item[kTriggerId] = kMainScriptId;
  item[kAsyncContextFrame] = undefined;
}

/// Starts `item` again from now, with its current `_idleTimeout`, whatever its state was.
function restart(item, refed) {
  const msecs = item._idleTimeout;
  if (msecs < 0 || msecs === undefined) return;
  insert(item, msecs);
  const wasDestroyed = item._destroyed;
  if (wasDestroyed || !item[kAsyncId]) {
    item._destroyed = false;
    giveIdentity(item);
  }
  if (wasDestroyed) {
    if (refed) incrementRefs();
  } else if (refed === !item[kRefed]) {
    if (refed) incrementRefs();
    else decrementRefs();
  }
  item[kRefed] = refed;
}

/// Takes `item` out of its list for good.
function cancel(item) {
  if (item._destroyed) return;
  item._destroyed = true;
  if (item[kHasPrimitive]) delete timersById[item[kAsyncId]];
  unlink(item);
  if (item[kRefed]) {
    // The list of an unref'ed timer stays until its expiry: such timers come in crowds of one duration.
    const list = lists.get(MathTrunc(item._idleTimeout));
    if (list !== undefined && isEmpty(list)) dropList(list);
    decrementRefs();
  }
  item._idleTimeout = -1;
}

/// Marks a timer that ran, or whose callback was taken away, as finished. The carrier is not told: the end of the
/// wake does that once for all.
function retire(timer) {
  timer._destroyed = true;
  if (timer[kHasPrimitive]) delete timersById[timer[kAsyncId]];
  if (timer[kRefed]) refCount = (refCount - 1) | 0;
}

/// The checkpoint between two callbacks. False when a handled exception cut it short: then the wake starts over, and
/// what is left of the checkpoint waits until one more callback has run.
function checkpoint() {
  flags[kCheckpointSuspended] = 0;
  runCheckpoint();
  if (flags[kCheckpointSuspended] === 0) return true;
  flags[kCheckpointSuspended] = 0;
  return false;
}

/// What becomes of the timer whose callback has returned, thrown, or was terminated by a limit.
function settleRunning() {
  const timer = running;
  running = null;
  // The live `_repeat` decides, so a callback can turn a timer into an interval and back.
  if (timer._repeat && timer._idleTimeout !== -1) {
    timer._idleTimeout = timer._repeat;
    insert(timer, timer._idleTimeout, runningSince);
  } else if (!timer._idleNext && !timer._idlePrev && !timer._destroyed) {
    retire(timer);
  }
}

/// Calls the callback of an unlinked timer. False after a handled exception.
function runTimer(timer) {
  if (!timer._onTimeout) {
    if (!timer._destroyed) retire(timer);
    return true;
  }
  runningSince = timer._repeat ? native.refreshLoopTime() : undefined;
  running = timer;
  try {
    const args = timer._timerArgs;
    if (args === undefined) timer._onTimeout();
    else ReflectApply(timer._onTimeout, timer, args);
  } catch (error) {
    settleRunning();
    reportUncaught(error, 'uncaughtException');
    return false;
  }
  settleRunning();
  return true;
}

/// Runs the members of `list` that are due. False after a handled exception.
function runList(list, now) {
  const msecs = list.msecs;
  let ranOne = false;
  let timer;
  while ((timer = oldestOf(list)) !== null) {
    const start = timer._idleStart;
    if (now - start < msecs) {
      list.expiry = MathMax(start + msecs, now + 1);
      list.id = lastListId++;
      queue.expiryGrew(list);
      return true;
    }
    // This checkpoint belongs to `timer`, even if it clears it.
    if (ranOne && !checkpoint()) return false;
    ranOne = true;
    unlink(timer);
    if (!runTimer(timer)) return false;
  }
  if (lists.get(msecs) === list) dropList(list);
  return true;
}

/// Runs the lists that are due. False when an exception was handled on the way and the same wake must be retried.
function runDueLists(now) {
  let ranOne = false;
  let list;
  try {
    while ((list = queue.peek()) !== null && list.expiry <= now) {
      if (ranOne && !checkpoint()) return false;
      ranOne = true;
      if (!runList(list, now)) return false;
    }
    return true;
  } catch (error) {
    // Not from a callback: a script has put a throwing accessor on a handle.
    reportUncaught(error, 'uncaughtException');
    checkpoint();
    return false;
  }
}

/// A wake of the carrier. `now` holds for all of it, so timers that became due only because a callback was slow wait
/// for the next wake, after the immediates. Returns the loop time of the next expiry, negative when no ref'ed timer
/// is left, 0 when no timer is left at all. The caller runs the checkpoint that belongs to the last timer.
function processTimers(now) {
  flags[kCheckpointSuspended] = 0;
  nextExpiry = -Infinity;
  if (running !== null) settleRunning(); // The last wake ended by termination.
  while (!runDueLists(now)) { /* the same wake again */ }
  const list = queue.peek();
  if (list === null) {
    nextExpiry = Infinity;
    return 0;
  }
  nextExpiry = MathMin(list.expiry, now + kLongestSleep);
  return refCount > 0 ? nextExpiry : -nextExpiry;
}

/// Ends every timer, at the end of the runtime; `visit` sees each one before it is emptied.
function cancelAll(visit) {
  terminated = true;
  let list;
  while ((list = queue.peek()) !== null) {
    let timer;
    while ((timer = oldestOf(list)) !== null) {
      unlink(timer);
      visit(timer);
      timer._destroyed = true;
      timer._onTimeout = undefined;
    }
    dropList(list);
  }
  refCount = 0;
}

exports.cancel = cancel;
exports.cancelAll = cancelAll;
exports.decrementRefs = decrementRefs;
exports.giveIdentity = giveIdentity;
exports.incrementRefs = incrementRefs;
exports.insert = insert;
exports.processTimers = processTimers;
exports.restart = restart;
exports.timersById = timersById;
