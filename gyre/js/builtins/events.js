'use strict';
// Event, CustomEvent and EventTarget of the DOM Standard (https://dom.spec.whatwg.org/#events), for targets outside a
// tree: the event path is always the target alone.
//
// Listeners of one type form a linked list. A dispatch walks it directly: nodes carry a rising sequence number, so
// "the listeners there were at the start" are those up to the number current at that moment, and a removed node keeps
// its `next`, so a walk standing on it finds its way. Nothing is copied, whatever the listeners do meanwhile.

const {
  DOMException, defineInspection, defineInterface, invalidThis, isObject, missingArguments, toDictionary,
} = require('dom_exception');
const { invalidArgType, requireFunction } = require('errors');
const {
  Map, MapPrototypeDelete, MapPrototypeGet, MapPrototypeSet, ObjectDefineProperty, ObjectGetOwnPropertyDescriptor, ReflectApply,
  ReflectConstruct,
} = require('primordials');

let reportError = (exception) => {
  throw exception; // no reporter is wired yet: no script has run either
};

/// `report(exception)` receives what a listener throws; the dispatch goes on.
function setErrorReporter(report) {
  reportError = report;
}

let stateOf; // the hidden state of an Event, or TypeError
let isEvent;

class Event {
  #state;

  constructor(type, eventInitDict = undefined) {
    if (arguments.length === 0) throw missingArguments('"type" argument');
    const typeText = `${type}`;
    const init = toDictionary(eventInitDict, 'options');
    this.#state = {
      type: typeText,
      bubbles: !!init.bubbles,
      cancelable: !!init.cancelable,
      composed: !!init.composed,
      timeStamp: native.now(),
      target: null,
      currentTarget: null,
      isTrusted: false,
      // The standard's flags.
      dispatch: false,
      stopPropagation: false,
      stopImmediatePropagation: false,
      canceled: false,
      inPassiveListener: false,
    };
    ObjectDefineProperty(this, 'isTrusted', isTrustedDescriptor);
  }

  static {
    isEvent = (value) => isObject(value) && #state in value;
    stateOf = (value) => {
      if (!isEvent(value)) throw invalidThis('Event');
      return value.#state;
    };
  }

  get type() {
    return stateOf(this).type;
  }

  get target() {
    return stateOf(this).target;
  }

  get srcElement() {
    return stateOf(this).target;
  }

  get currentTarget() {
    return stateOf(this).currentTarget;
  }

  composedPath() {
    const { currentTarget } = stateOf(this);
    return currentTarget === null ? [] : [currentTarget];
  }

  get eventPhase() {
    return stateOf(this).dispatch ? phases.AT_TARGET : phases.NONE;
  }

  stopPropagation() {
    stateOf(this).stopPropagation = true;
  }

  get cancelBubble() {
    return stateOf(this).stopPropagation;
  }

  set cancelBubble(value) {
    const state = stateOf(this);
    if (value) state.stopPropagation = true;
  }

  stopImmediatePropagation() {
    const state = stateOf(this);
    state.stopPropagation = true;
    state.stopImmediatePropagation = true;
  }

  get bubbles() {
    return stateOf(this).bubbles;
  }

  get cancelable() {
    return stateOf(this).cancelable;
  }

  get returnValue() {
    return !stateOf(this).canceled;
  }

  set returnValue(value) {
    const state = stateOf(this);
    if (!value) cancel(state);
  }

  preventDefault() {
    cancel(stateOf(this));
  }

  get defaultPrevented() {
    return stateOf(this).canceled;
  }

  get composed() {
    return stateOf(this).composed;
  }

  get timeStamp() {
    return stateOf(this).timeStamp;
  }

  initEvent(type, bubbles = false, cancelable = false) {
    const state = stateOf(this);
    if (arguments.length === 0) throw missingArguments('"type" argument');
    initialize(state, `${type}`, bubbles, cancelable);
  }
}

const phases = { __proto__: null, NONE: 0, CAPTURING_PHASE: 1, AT_TARGET: 2, BUBBLING_PHASE: 3 };
defineInterface(Event, phases);

// An own property of every event that no script can replace ([LegacyUnforgeable]), with one getter for all of them.
const isTrustedDescriptor = {
  __proto__: null,
  get: ObjectGetOwnPropertyDescriptor({
    get isTrusted() {
      return stateOf(this).isTrusted;
    },
  }, 'isTrusted').get,
  set: undefined,
  enumerable: true,
  configurable: false,
};

defineInspection(Event, (event) => {
  if (!isEvent(event)) return undefined;
  const { type, canceled, cancelable, timeStamp } = stateOf(event);
  return { type, defaultPrevented: canceled, cancelable, timeStamp };
}, (event, name) => name);

function cancel(state) {
  if (state.cancelable && !state.inPassiveListener) state.canceled = true;
}

/// True if the event took the new values: an event being dispatched keeps its own.
function initialize(state, type, bubbles, cancelable) {
  if (state.dispatch) return false;
  state.type = type;
  state.bubbles = !!bubbles;
  state.cancelable = !!cancelable;
  state.isTrusted = false;
  state.target = null;
  state.stopPropagation = false;
  state.stopImmediatePropagation = false;
  state.canceled = false;
  return true;
}

class CustomEvent extends Event {
  #detail;

  constructor(type, eventInitDict = undefined) {
    if (arguments.length === 0) throw missingArguments('"type" argument');
    super(type, eventInitDict);
    const { detail } = toDictionary(eventInitDict, 'options');
    this.#detail = detail === undefined ? null : detail;
  }

  static #check(value) {
    if (!isObject(value) || !(#detail in value)) throw invalidThis('CustomEvent');
  }

  get detail() {
    CustomEvent.#check(this);
    return this.#detail;
  }

  initCustomEvent(type, bubbles = false, cancelable = false, detail = null) {
    CustomEvent.#check(this);
    if (arguments.length === 0) throw missingArguments('"type" argument');
    if (initialize(stateOf(this), `${type}`, bubbles, cancelable)) this.#detail = detail;
  }
}
defineInterface(CustomEvent);

let lastSequence = 0;

class Listener {
  type;
  callback;
  capture;
  once = false;
  passive = false;
  isHandler = false; // the value of an event handler attribute such as onabort
  stopFollowing = undefined; // undoes the registration at the `signal` option
  removed = false;
  sequence = ++lastSequence;
  previous = undefined;
  next = undefined;

  constructor(type, callback, capture) {
    this.type = type;
    this.callback = callback;
    this.capture = capture;
  }
}

/// All listeners of one target.
class ListenerRegistry {
  #lists = undefined; // type -> { first, last, count }
  #handlers = undefined; // type -> Listener, for event handler attributes
  target;
  observer = undefined; // its listenersChanged(target, type, count) is called on every change

  constructor(target) {
    this.target = target;
  }

  first(type) {
    return this.#lists === undefined ? undefined : MapPrototypeGet(this.#lists, type)?.first;
  }

  find(type, callback, capture) {
    for (let listener = this.first(type); listener !== undefined; listener = listener.next) {
      if (listener.callback === callback && listener.capture === capture && !listener.isHandler) return listener;
    }
    return undefined;
  }

  append(listener) {
    const { type } = listener;
    this.#lists ??= new Map();
    let list = MapPrototypeGet(this.#lists, type);
    if (list === undefined) {
      list = { first: undefined, last: undefined, count: 0 };
      MapPrototypeSet(this.#lists, type, list);
    }
    listener.previous = list.last;
    if (list.last === undefined) list.first = listener;
    else list.last.next = listener;
    list.last = listener;
    list.count += 1;
    this.observer?.listenersChanged(this.target, type, list.count);
  }

  remove(listener) {
    if (listener.removed) return;
    listener.removed = true;
    listener.callback = undefined;
    listener.stopFollowing?.();
    listener.stopFollowing = undefined;
    const { type, previous, next } = listener;
    const list = MapPrototypeGet(this.#lists, type);
    if (previous === undefined) list.first = next;
    else previous.next = next;
    if (next === undefined) list.last = previous;
    else next.previous = previous;
    listener.previous = undefined;
    list.count -= 1;
    if (list.count === 0) MapPrototypeDelete(this.#lists, type);
    this.observer?.listenersChanged(this.target, type, list.count);
  }

  handler(type) {
    return this.#handlers === undefined ? undefined : MapPrototypeGet(this.#handlers, type);
  }

  /// A new function takes the place of the old one among the listeners; null gives the place up.
  setHandler(type, callback) {
    const current = this.handler(type);
    if (current === undefined) {
      if (callback === null) return;
      const listener = new Listener(type, callback, false);
      listener.isHandler = true;
      this.#handlers ??= new Map();
      MapPrototypeSet(this.#handlers, type, listener);
      this.append(listener);
    } else if (callback === null) {
      MapPrototypeDelete(this.#handlers, type);
      this.remove(current);
    } else {
      current.callback = callback;
    }
  }
}

let isEventTarget;
let registryOf; // a target's ListenerRegistry, or TypeError
let existingRegistryOf; // the same, undefined while the target never had a listener

class EventTarget {
  #registry = undefined;

  static {
    isEventTarget = (value) => isObject(value) && #registry in value;
    existingRegistryOf = (target) => {
      if (!isEventTarget(target)) throw invalidThis('EventTarget');
      return target.#registry;
    };
    registryOf = (target) => existingRegistryOf(target) ?? (target.#registry = new ListenerRegistry(target));
  }

  addEventListener(type, callback, options = undefined) {
    if (!isEventTarget(this)) throw invalidThis('EventTarget');
    if (arguments.length < 2) throw missingArguments('"type" and "listener" arguments');
    const typeText = `${type}`;
    requireListener(callback);
    const isDictionary = isObject(options);
    const capture = !!(isDictionary ? options.capture : options);
    const once = isDictionary && !!options.once;
    const passive = isDictionary && !!options.passive;
    const signal = isDictionary ? options.signal : undefined;
    if (signal !== undefined && !require('abort').isAbortSignal(signal)) {
      throw invalidArgType('options.signal', 'an instance of AbortSignal', signal);
    }

    if (callback === null || callback === undefined) return;
    const registry = registryOf(this);
    if (registry.find(typeText, callback, capture) !== undefined) return;
    const listener = new Listener(typeText, callback, capture);
    listener.once = once;
    listener.passive = passive;
    if (signal !== undefined) {
      listener.stopFollowing = require('abort').addAbortAlgorithm(signal, () => registry.remove(listener));
      if (listener.stopFollowing === undefined) return; // aborted already
    }
    registry.append(listener);
  }

  removeEventListener(type, callback, options = undefined) {
    const registry = existingRegistryOf(this);
    if (arguments.length < 2) throw missingArguments('"type" and "listener" arguments');
    const typeText = `${type}`;
    requireListener(callback);
    const capture = !!(isObject(options) ? options.capture : options);
    if (registry === undefined || callback === null || callback === undefined) return;
    const listener = registry.find(typeText, callback, capture);
    if (listener !== undefined) registry.remove(listener);
  }

  dispatchEvent(event) {
    const registry = existingRegistryOf(this);
    if (arguments.length === 0) throw missingArguments('"event" argument');
    if (!isEvent(event)) throw invalidArgType('event', 'an instance of Event', event);
    const state = stateOf(event);
    if (state.dispatch) throw new DOMException('The event is already being dispatched', 'InvalidStateError');
    state.isTrusted = false;
    return dispatch(this, registry, event, state);
  }
}
defineInterface(EventTarget);
defineInspection(EventTarget, (target) => (isEventTarget(target) ? {} : undefined), (target, name) => name);

function requireListener(callback) {
  if (isObject(callback) || callback === null || callback === undefined) return;
  throw invalidArgType('listener', 'an instance of EventListener', callback);
}

/// True unless a listener prevented the default action.
function dispatch(target, registry, event, state) {
  state.dispatch = true;
  state.target = target;
  state.currentTarget = target;
  // At the target the capturing listeners run first; each pass sees the listeners there are when it starts.
  if (registry !== undefined) {
    invokeListeners(registry, event, state, true);
    invokeListeners(registry, event, state, false);
  }
  state.dispatch = false;
  state.currentTarget = null;
  state.stopPropagation = false;
  state.stopImmediatePropagation = false;
  return !state.canceled;
}

function invokeListeners(registry, event, state, capture) {
  if (state.stopPropagation) return;
  const last = lastSequence;
  let listener = registry.first(state.type);
  for (; listener !== undefined && listener.sequence <= last; listener = listener.next) {
    if (listener.removed || listener.capture !== capture) continue;
    const { callback } = listener;
    if (listener.once) registry.remove(listener);
    state.inPassiveListener = listener.passive;
    try {
      const result = callListener(callback, state.currentTarget, event);
      // From HTML: an event handler attribute cancels by returning false.
      if (listener.isHandler && result === false) cancel(state);
    } catch (exception) {
      reportError(exception);
    }
    state.inPassiveListener = false;
    if (state.stopImmediatePropagation) return;
  }
}

function callListener(callback, target, event) {
  if (typeof callback === 'function') return ReflectApply(callback, target, [event]);
  const { handleEvent } = callback; // looked up anew for every call
  requireFunction(handleEvent, 'listener.handleEvent');
  return ReflectApply(handleEvent, callback, [event]);
}

/// An object of `Interface`, a class that extends EventTarget, made without running the constructors in between.
function createEventTarget(Interface) {
  return ReflectConstruct(EventTarget, [], Interface);
}

/// Fires a trusted event of the runtime's own at `target`. True unless a listener prevented the default action.
function fireEvent(target, type, init = undefined) {
  const event = new Event(type, init);
  const state = stateOf(event);
  state.isTrusted = true;
  return dispatch(target, existingRegistryOf(target), event, state);
}

/// Calls `observer.listenersChanged(target, type, count)` whenever a listener comes or goes. One observer per target.
function observeListeners(target, observer) {
  registryOf(target).observer = observer;
}

/// The value of an event handler attribute (`onabort` and its like).
function getEventHandler(target, type) {
  return existingRegistryOf(target)?.handler(type)?.callback ?? null;
}

/// Sets an event handler attribute; what cannot be called counts as null.
function setEventHandler(target, type, value) {
  registryOf(target).setHandler(type, typeof value === 'function' ? value : null);
}

exports.CustomEvent = CustomEvent;
exports.Event = Event;
exports.EventTarget = EventTarget;
exports.createEventTarget = createEventTarget;
exports.fireEvent = fireEvent;
exports.getEventHandler = getEventHandler;
exports.isEvent = isEvent;
exports.isEventTarget = isEventTarget;
exports.observeListeners = observeListeners;
exports.setErrorReporter = setErrorReporter;
exports.setEventHandler = setEventHandler;
