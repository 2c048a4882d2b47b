'use strict';
// AbortController and AbortSignal of the DOM Standard (https://dom.spec.whatwg.org/#aborting-ongoing-activities).
//
// A signal is two objects: the AbortSignal that scripts see, and its SignalState, which carries the truth and the links
// between signals. Who keeps what alive:
//
//   AbortController --> AbortSignal --> SignalState
//   SignalState --> AbortSignal      while an abort listener is registered (the event needs its target)
//   source --> dependent             while the dependent is observed, otherwise weak
//   dependent --> source             if the source is a time-out (else nobody might abort it), otherwise weak
//   timer --> SignalState            while the time-out is observed, otherwise weak
//
// "Observed" means: someone waits for the abort, as a listener, an algorithm or an observed dependent. So a signal
// that a script dropped is delivered if anyone waits for it, and is garbage if nobody does or nobody can abort it.

const {
  DOMException, Stamp, defineInspection, defineInterface, illegalConstructor, invalidThis, isObject, missingArguments,
} = require('dom_exception');
const { codedError, invalidArgType } = require('errors');
const { EventTarget, createEventTarget, fireEvent, getEventHandler, observeListeners, setEventHandler } = require('events');
const {
  FinalizationRegistry, FinalizationRegistryPrototypeRegister, FinalizationRegistryPrototypeUnregister, Map, MapPrototypeDelete,
  MapPrototypeForEach, MapPrototypeGetSize, MapPrototypeHas, MapPrototypeSet, MathTrunc, NumberMAX_SAFE_INTEGER, ReflectApply, Set,
  SetPrototypeAdd, SetPrototypeDelete, SetPrototypeForEach, SetPrototypeGetSize, SymbolIterator, TypeError, WeakRef,
  WeakRefPrototypeDeref,
} = require('primordials');

let timers;

/// `start(ms, callback)` starts a timer that does not keep the loop alive and returns its handle; `stop(handle)` cancels
/// it. `ms` is an integer up to 2^53 - 1.
function setTimers(implementation) {
  timers = implementation;
}

// The two kinds of things that need work when they are collected: time-outs (stop the timer) and dependents (leave the
// sources' lists). Made on first use: a start-up snapshot cannot hold a registry.
let collected;

function onCollection(state, cleanUp) {
  collected ??= new FinalizationRegistry((cleanUpOfState) => cleanUpOfState());
  FinalizationRegistryPrototypeRegister(collected, state, cleanUp, state);
}

class SignalState {
  aborted = false;
  reason = undefined;
  #delivered = false; // the abort event is over: nothing can be awaited any more
  #target = undefined; // the AbortSignal, while it has abort listeners
  #algorithms = undefined; // Set of functions
  #observers = 0; // listeners (as one), algorithms (as one), observed dependents (each)
  #weak = undefined; // the one WeakRef to this, key of the maps below
  #dependents = undefined; // Map of WeakRef to the state itself while it is observed
  #sources = undefined; // of a dependent signal: Map of WeakRef to the state itself if it is a time-out
  #timer = undefined; // of a time-out: { handle, state }; what the timer holds of this

  get weak() {
    return (this.#weak ??= new WeakRef(this));
  }

  // Observation

  #observe() {
    this.#observers += 1;
    if (this.#observers === 1) this.#tellSources(this);
  }

  #unobserve() {
    this.#observers -= 1;
    if (this.#observers === 0) this.#tellSources(undefined);
  }

  #tellSources(hold) {
    if (this.#timer !== undefined) this.#timer.state = hold;
    if (this.#sources === undefined) return;
    MapPrototypeForEach(this.#sources, (strong, weak) => {
      const source = strong ?? WeakRefPrototypeDeref(weak);
      if (source === undefined || source.aborted) return;
      MapPrototypeSet(source.#dependents, this.weak, hold);
      if (hold === undefined) source.#unobserve();
      else source.#observe();
    });
  }

  /// Called by the AbortSignal's listener registry.
  listenersChanged(target, type, count) {
    if (type !== 'abort' || this.#delivered) return;
    if (count > 0 && this.#target === undefined) {
      this.#target = target;
      this.#observe();
    } else if (count === 0 && this.#target !== undefined) {
      this.#target = undefined;
      this.#unobserve();
    }
  }

  /// Calls `algorithm` on abort, before the event. Returns the function that removes it, or undefined if it is too late.
  addAlgorithm(algorithm) {
    if (this.aborted) return undefined;
    if (this.#algorithms === undefined) {
      this.#algorithms = new Set();
      this.#observe();
    }
    const algorithms = this.#algorithms;
    const entry = { run: algorithm };
    SetPrototypeAdd(algorithms, entry);
    return () => {
      entry.run = undefined;
      if (!SetPrototypeDelete(algorithms, entry) || this.#algorithms !== algorithms) return;
      if (SetPrototypeGetSize(algorithms) !== 0) return;
      this.#algorithms = undefined;
      this.#unobserve();
    };
  }

  // Links

  /// Makes this a dependent signal of `input`, or of its sources if it is a dependent signal itself.
  follow(input) {
    if (input.#sources === undefined) {
      this.#followSource(input);
    } else {
      MapPrototypeForEach(input.#sources, (strong, weak) => {
        const source = strong ?? WeakRefPrototypeDeref(weak);
        if (source !== undefined) this.#followSource(source);
      });
    }
  }

  #followSource(source) {
    if (MapPrototypeHas(this.#sources, source.weak)) return;
    MapPrototypeSet(this.#sources, source.weak, source.#timer === undefined ? undefined : source);
    source.#dependents ??= new Map();
    MapPrototypeSet(source.#dependents, this.weak, undefined);
  }

  becomeDependent() {
    this.#sources = new Map();
  }

  forgetWhenCollected() {
    if (MapPrototypeGetSize(this.#sources) > 0) onCollection(this, SignalState.#makeUnlink(this.#sources, this.weak));
  }

  // Apart, so that the function holds the maps and not the state whose collection it awaits.
  static #makeUnlink(sources, weak) {
    return () => MapPrototypeForEach(sources, (strong, weakSource) => {
      const source = strong ?? WeakRefPrototypeDeref(weakSource);
      if (source?.#dependents !== undefined) MapPrototypeDelete(source.#dependents, weak);
    });
  }

  #unlink() {
    if (this.#timer === undefined && this.#sources === undefined) return;
    const sources = this.#sources;
    if (this.#observers > 0) this.#tellSources(undefined);
    this.#sources = undefined;
    this.#timer = undefined;
    if (sources !== undefined) SignalState.#makeUnlink(sources, this.weak)();
    if (collected !== undefined) FinalizationRegistryPrototypeUnregister(collected, this);
  }

  // Time-outs

  startTimer(milliseconds) {
    this.#timer = { state: undefined, handle: undefined };
    this.#timer.handle = SignalState.#startTimer(this.#timer, this.weak, milliseconds);
    onCollection(this, SignalState.#makeStop(this.#timer.handle));
  }

  static #startTimer(link, weak, milliseconds) {
    return timers.start(milliseconds, () => {
      const state = link.state ?? WeakRefPrototypeDeref(weak);
      state?.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError'));
    });
  }

  static #makeStop(handle) {
    return () => timers.stop(handle);
  }

  // Abort

  /// Marks this and its dependents as aborted before anything runs, then lets each in turn run its algorithms and fire
  /// its event. Throws the first failure of an algorithm when all is done.
  abort(reason) {
    if (this.aborted) return;
    const affected = new Set();
    this.#mark(reason, affected);
    if (this.#dependents !== undefined) {
      MapPrototypeForEach(this.#dependents, (strong, weak) => {
        const dependent = strong ?? WeakRefPrototypeDeref(weak);
        if (dependent !== undefined && !dependent.aborted) dependent.#mark(reason, affected);
      });
      this.#dependents = undefined;
    }
    const failures = { first: undefined, any: false };
    SetPrototypeForEach(affected, (state) => state.#unlink());
    SetPrototypeForEach(affected, (state) => state.#deliver(failures));
    if (failures.any) throw failures.first;
  }

  #mark(reason, affected) {
    this.aborted = true;
    this.reason = reason;
    SetPrototypeAdd(affected, this);
  }

  #deliver(failures) {
    const algorithms = this.#algorithms;
    this.#algorithms = undefined;
    if (algorithms !== undefined) {
      SetPrototypeForEach(algorithms, (entry) => {
        const { run } = entry;
        entry.run = undefined;
        try {
          run();
        } catch (exception) {
          if (!failures.any) failures.first = exception;
          failures.any = true;
        }
      });
    }
    const target = this.#target;
    if (target !== undefined) fireEvent(target, 'abort');
    this.#target = undefined;
    this.#delivered = true;
  }
}

class SignalSlot extends Stamp {
  #state;

  constructor(signal, state) {
    super(signal);
    this.#state = state;
  }

  static isOn(value) {
    return isObject(value) && #state in value;
  }

  static state(signal) {
    if (!SignalSlot.isOn(signal)) throw invalidThis('AbortSignal');
    return signal.#state;
  }
}

const stateOf = SignalSlot.state;
const isAbortSignal = SignalSlot.isOn;

function createSignal(state = new SignalState()) {
  const signal = createEventTarget(AbortSignal);
  new SignalSlot(signal, state);
  observeListeners(signal, state);
  return signal;
}

function abortError() {
  return new DOMException('This operation was aborted', 'AbortError');
}

class AbortSignal extends EventTarget {
  constructor() { // eslint-disable-line constructor-super
    throw illegalConstructor();
  }

  static abort(reason = undefined) {
    const state = new SignalState();
    state.abort(reason === undefined ? abortError() : reason);
    return createSignal(state);
  }

  static timeout(milliseconds) {
    if (arguments.length === 0) throw missingArguments('"milliseconds" argument');
    const delay = toDelay(milliseconds);
    const state = new SignalState();
    state.startTimer(delay);
    return createSignal(state);
  }

  static any(signals) {
    if (arguments.length === 0) throw missingArguments('"signals" argument');
    const inputs = toStates(signals);
    const state = new SignalState();
    let aborted;
    SetPrototypeForEach(inputs, (input) => {
      if (aborted === undefined && input.aborted) aborted = input;
    });
    if (aborted !== undefined) {
      state.abort(aborted.reason);
    } else {
      state.becomeDependent();
      SetPrototypeForEach(inputs, (input) => state.follow(input));
      state.forgetWhenCollected();
    }
    return createSignal(state);
  }

  get aborted() {
    return stateOf(this).aborted;
  }

  get reason() {
    return stateOf(this).reason;
  }

  throwIfAborted() {
    const { aborted, reason } = stateOf(this);
    if (aborted) throw reason;
  }

  get onabort() {
    stateOf(this);
    return getEventHandler(this, 'abort');
  }

  set onabort(value) {
    stateOf(this);
    setEventHandler(this, 'abort', value);
  }
}
defineInterface(AbortSignal);
defineInspection(
  AbortSignal, (signal) => (isAbortSignal(signal) ? { aborted: stateOf(signal).aborted } : undefined), (signal, name) => `[${name}]`);

let isAbortController;

class AbortController {
  #signal = createSignal();

  static {
    isAbortController = (value) => isObject(value) && #signal in value;
  }

  static #signalOf(value) {
    if (!isAbortController(value)) throw invalidThis('AbortController');
    return value.#signal;
  }

  get signal() {
    return AbortController.#signalOf(this);
  }

  abort(reason = undefined) {
    abortSignal(AbortController.#signalOf(this), reason);
  }
}
defineInterface(AbortController);
defineInspection(AbortController, (controller) => (isAbortController(controller) ? { signal: controller.signal } : undefined));

/// [EnforceRange] unsigned long long: the integer part, from 0 to 2^53 - 1.
function toDelay(value) {
  const number = +value;
  const integer = MathTrunc(number);
  if (integer >= 0 && integer <= NumberMAX_SAFE_INTEGER) return integer + 0; // -0.5 is 0
  const message = `The value of "milliseconds" is out of range. It must be >= 0 && <= ${NumberMAX_SAFE_INTEGER}. Received ${number}`;
  throw codedError(TypeError, 'ERR_OUT_OF_RANGE', message, toDelay);
}

/// sequence<AbortSignal>: the states of the signals an iterable yields, each checked as it arrives. As Web IDL has it,
/// the iterator is not closed on failure.
function toStates(iterable) {
  const states = new Set();
  const method = isObject(iterable) ? iterable[SymbolIterator] : undefined;
  if (typeof method !== 'function') throw invalidArgType('signals', 'an iterable of AbortSignal', iterable);
  const iterator = ReflectApply(method, iterable, []);
  if (!isObject(iterator)) throw new TypeError('Result of the Symbol.iterator method is not an object');
  const { next } = iterator;
  for (let index = 0; ; index += 1) {
    const step = ReflectApply(next, iterator, []);
    if (!isObject(step)) throw new TypeError(`Iterator result ${typeof step} is not an object`);
    if (step.done) return states;
    const signal = step.value;
    if (!isAbortSignal(signal)) throw invalidArgType(`signals[${index}]`, 'an instance of AbortSignal', signal);
    SetPrototypeAdd(states, stateOf(signal));
  }
}

/// Aborts a signal made by createSignal; without a reason, with an AbortError.
function abortSignal(signal, reason = undefined) {
  const state = stateOf(signal);
  if (!state.aborted) state.abort(reason === undefined ? abortError() : reason);
}

/// Calls `algorithm()` when `signal` is aborted, before its event and whatever listeners do. Returns the function that
/// takes it back (any number of times), or undefined if the signal is aborted already.
function addAbortAlgorithm(signal, algorithm) {
  return stateOf(signal).addAlgorithm(algorithm);
}

exports.AbortController = AbortController;
exports.AbortSignal = AbortSignal;
exports.abortSignal = abortSignal;
exports.addAbortAlgorithm = addAbortAlgorithm;
exports.createSignal = () => createSignal();
exports.isAbortController = isAbortController;
exports.isAbortSignal = isAbortSignal;
exports.setTimers = setTimers;
