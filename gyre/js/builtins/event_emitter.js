'use strict';
// Node's EventEmitter, as far as `process` shows it (https://nodejs.org/api/events.html#class-eventemitter).
//
// The state is visible, as in Node, and read anew at every call, because scripts replace it: `_events` maps a name to
// one listener or to an array of them, `_eventsCount` counts its names, `_maxListeners` overrides the default limit.

const { codedError, invalidArgType, outOfRange, requireFunction } = require('errors');
const {
  Error, FunctionPrototypeSymbolHasInstance, ObjectDefineProperty, ObjectGetPrototypeOf, ReflectApply, ReflectOwnKeys, String,
} = require('primordials');

const kDefaultMaxListeners = 10;

let emitWarning = () => {};

/// `emit(warning)` receives the Error that tells of a probable leak of listeners.
function setWarningEmitter(emit) {
  emitWarning = emit;
}

// Plain assignment to a missing property, or Array.prototype.push, would run a setter that a script put on the
// prototype; a definition does not.
function define(object, key, value) {
  ObjectDefineProperty(object, key, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
}

const toArray = (...items) => items;
const kMaxArguments = 10_000; // what fits on the stack with certainty

function copyOf(array) {
  if (array.length <= kMaxArguments) return ReflectApply(toArray, undefined, array);
  const copy = [];
  for (let i = 0; i < array.length; i += 1) define(copy, i, array[i]);
  return copy;
}

function insertFirst(array, value) {
  for (let i = array.length; i > 0; i -= 1) define(array, i, array[i - 1]);
  array[0] = value;
}

function removeAt(array, index) {
  for (let i = index; i + 1 < array.length; i += 1) array[i] = array[i + 1];
  array.length -= 1;
}

const noEvents = () => ({ __proto__: null });
const isFor = (registered, listener) => registered === listener || registered.listener === listener;
const original = (registered) => registered.listener ?? registered;

function EventEmitter(options) { // eslint-disable-line no-unused-vars -- its length is 1 in Node
  if (this._events === undefined || this._events === ObjectGetPrototypeOf(this)._events) {
    this._events = noEvents();
    this._eventsCount = 0;
  }
  this._maxListeners = this._maxListeners || undefined;
}

EventEmitter.prototype._events = undefined;
EventEmitter.prototype._eventsCount = 0;
EventEmitter.prototype._maxListeners = undefined;

EventEmitter.prototype.setMaxListeners = function setMaxListeners(n) {
  if (typeof n !== 'number') throw invalidArgType('setMaxListeners', 'of type number', n);
  if (!(n >= 0)) throw outOfRange('setMaxListeners', '>= 0', `${n}`);
  this._maxListeners = n;
  return this;
};

const maxListenersOf = (emitter) => emitter._maxListeners ?? kDefaultMaxListeners;

EventEmitter.prototype.getMaxListeners = function getMaxListeners() {
  return maxListenersOf(this);
};

EventEmitter.prototype.emit = function emit(type, ...args) {
  const listeners = this._events?.[type];
  if (listeners === undefined) {
    if (type === 'error') throw unhandledError(args[0]);
    return false;
  }
  if (typeof listeners === 'function') {
    ReflectApply(listeners, this, args);
  } else {
    // Who is added or removed by a listener does not change this round.
    const round = copyOf(listeners);
    for (let i = 0; i < round.length; i += 1) ReflectApply(round[i], this, args);
  }
  return true;
};

function unhandledError(value) {
  if (FunctionPrototypeSymbolHasInstance(Error, value)) return value;
  const error = codedError(Error, 'ERR_UNHANDLED_ERROR', `Unhandled error. (${describe(value)})`, EventEmitter.prototype.emit);
  define(error, 'context', value);
  return error;
}

function describe(value) {
  try {
    return require('inspect').inspect(value);
  } catch {
    return typeof value; // inspecting ran a script's function that threw
  }
}

function addListenerTo(emitter, type, listener, atFront) {
  requireFunction(listener, 'listener');
  if (emitter._events === undefined) {
    emitter._events = noEvents();
    emitter._eventsCount = 0;
  } else if (emitter._events.newListener !== undefined) {
    emitter.emit('newListener', type, original(listener));
  }
  const events = emitter._events; // a newListener listener may have replaced it
  const existing = events[type];
  if (existing === undefined) {
    events[type] = listener;
    emitter._eventsCount += 1;
    return emitter;
  }
  let list = existing;
  if (typeof existing === 'function') {
    list = events[type] = atFront ? [listener, existing] : [existing, listener];
  } else if (atFront) {
    insertFirst(list, listener);
  } else {
    define(list, list.length, listener);
  }
  warnOfLeak(emitter, type, list);
  return emitter;
}

/// Once per list of listeners.
function warnOfLeak(emitter, type, list) {
  const limit = maxListenersOf(emitter);
  if (!(limit > 0) || list.length <= limit || list.warned) return;
  define(list, 'warned', true);
  const { inspect } = require('inspect');
  const warning = new Error(
    `Possible EventEmitter memory leak detected. ${list.length} ${String(type)} listeners added to ` +
    `${inspect(emitter, { depth: -1 })}. MaxListeners is ${limit}. Use emitter.setMaxListeners() to increase limit`);
  define(warning, 'name', 'MaxListenersExceededWarning');
  define(warning, 'emitter', emitter);
  define(warning, 'type', type);
  define(warning, 'count', list.length);
  emitWarning(warning);
}

EventEmitter.prototype.addListener = function addListener(type, listener) {
  return addListenerTo(this, type, listener, false);
};

EventEmitter.prototype.on = EventEmitter.prototype.addListener;

EventEmitter.prototype.prependListener = function prependListener(type, listener) {
  return addListenerTo(this, type, listener, true);
};

/// A listener that takes itself off before its only call. `listener` on it is what off() and listenerCount() look for.
function makeOnce(emitter, type, listener) {
  let called = false;
  const wrapper = function onceWrapper(...args) {
    if (called) return undefined;
    emitter.removeListener(type, wrapper);
    if (called) return undefined; // a removeListener listener emitted the event again
    called = true;
    return ReflectApply(listener, emitter, args);
  };
  define(wrapper, 'listener', listener);
  return wrapper;
}

EventEmitter.prototype.once = function once(type, listener) {
  requireFunction(listener, 'listener');
  this.on(type, makeOnce(this, type, listener));
  return this;
};

EventEmitter.prototype.prependOnceListener = function prependOnceListener(type, listener) {
  requireFunction(listener, 'listener');
  this.prependListener(type, makeOnce(this, type, listener));
  return this;
};

/// Takes a name out of `_events`; with the last one the object goes too, as in Node.
function forgetEvent(emitter, type) {
  emitter._eventsCount -= 1;
  if (emitter._eventsCount === 0) emitter._events = noEvents();
  else delete emitter._events[type];
}

EventEmitter.prototype.removeListener = function removeListener(type, listener) {
  requireFunction(listener, 'listener');
  const events = this._events;
  const registered = events?.[type];
  if (registered === undefined) return this;

  let removed = listener;
  if (typeof registered === 'function') {
    if (!isFor(registered, listener)) return this;
    removed = original(registered);
    forgetEvent(this, type);
  } else {
    let index = registered.length - 1;
    while (index >= 0 && !isFor(registered[index], listener)) index -= 1;
    if (index < 0) return this;
    removeAt(registered, index);
    if (registered.length === 1) events[type] = registered[0];
  }
  if (this._events.removeListener !== undefined) this.emit('removeListener', type, removed);
  return this;
};

EventEmitter.prototype.off = EventEmitter.prototype.removeListener;

EventEmitter.prototype.removeAllListeners = function removeAllListeners(type) {
  const all = arguments.length === 0;
  const events = this._events;
  if (events === undefined) return this;

  if (events.removeListener === undefined) {
    if (all) {
      this._events = noEvents();
      this._eventsCount = 0;
    } else if (events[type] !== undefined) {
      forgetEvent(this, type);
    }
    return this;
  }
  // Someone wants to hear of each removal; its own listeners go last.
  if (all) {
    const names = ReflectOwnKeys(events);
    for (let i = 0; i < names.length; i += 1) {
      if (names[i] !== 'removeListener') this.removeAllListeners(names[i]);
    }
    this.removeAllListeners('removeListener');
    this._events = noEvents();
    this._eventsCount = 0;
    return this;
  }
  const listeners = events[type];
  if (typeof listeners === 'function') {
    this.removeListener(type, listeners);
  } else if (listeners !== undefined) {
    for (let i = listeners.length - 1; i >= 0; i -= 1) this.removeListener(type, listeners[i]);
  }
  return this;
};

function listenersOf(emitter, type) {
  const listeners = emitter._events?.[type];
  if (listeners === undefined) return [];
  return typeof listeners === 'function' ? [listeners] : copyOf(listeners);
}

EventEmitter.prototype.listeners = function listeners(type) {
  const list = listenersOf(this, type);
  for (let i = 0; i < list.length; i += 1) list[i] = original(list[i]);
  return list;
};

EventEmitter.prototype.rawListeners = function rawListeners(type) {
  return listenersOf(this, type);
};

EventEmitter.prototype.listenerCount = function listenerCount(type, listener) {
  const listeners = this._events?.[type];
  if (listeners === undefined) return 0;
  const matches = (registered) => listener === undefined || listener === null || isFor(registered, listener);
  if (typeof listeners === 'function') return matches(listeners) ? 1 : 0;
  let count = 0;
  for (let i = 0; i < listeners.length; i += 1) {
    if (matches(listeners[i])) count += 1;
  }
  return count;
};

EventEmitter.prototype.eventNames = function eventNames() {
  return this._eventsCount > 0 ? ReflectOwnKeys(this._events) : [];
};

exports.EventEmitter = EventEmitter;
exports.setWarningEmitter = setWarningEmitter;
