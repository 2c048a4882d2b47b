'use strict';
// The entry point: loads the built-ins, installs the globals with the flags that Node.js and the web give them, and
// hands the host the hooks by which the loop drives the queues.

// First of all, so that everything below sees them as if the engine had them.
for (const name of ['dispose', 'asyncDispose']) {
  if (Symbol[name] === undefined) Object.defineProperty(Symbol, name, { __proto__: null, value: Symbol(`Symbol.${name}`) });
}

const { ObjectDefineProperty, ObjectGetOwnPropertyDescriptor, ReflectOwnKeys, globalThis } = require('primordials');
const { AbortController, AbortSignal, setTimers } = require('abort');
const { createConsole } = require('console');
const { DOMException } = require('dom_exception');
const { CustomEvent, Event, EventTarget, setErrorReporter } = require('events');
const { delay, settleDelay, terminateDelays } = require('delay');
const { setWarningEmitter } = require('event_emitter');
const { clearImmediate, processImmediates, setImmediate, terminateImmediates } = require('immediates');
const {
  Performance, PerformanceEntry, PerformanceMark, PerformanceMeasure, performance,
} = require('performance');
const { installPolyfills } = require('polyfills');
const { storedExitCode } = require('exit_code');
const { emitBeforeExit, emitExit, fillProcess, installProcess, process } = require('process');
const { connectRejections, processRejections, terminateRejections } = require('rejections');
const { connectTicks, enqueueTick, processTicks, queueMicrotask, terminateTicks } = require('ticks');
const { cancelAll, processTimers } = require('timer_lists');
const { clearInterval, clearTimeout, setInterval, setTimeout, startPrivate, stopPrivate } = require('timers');
const { connectUncaught, reportUncaught } = require('uncaught');
const { connectWarnings, emitWarning, rethrow } = require('warnings');

function connect() {
  connectTicks(process);
  connectWarnings(process);
  connectRejections(process);
  // A handled exception leaves ticks and microtasks behind: an empty immediate brings the turn that runs them.
  connectUncaught(process, () => setImmediate(() => {}));
  setWarningEmitter(emitWarning);
  // What an event listener throws is reported like an exception of a tick.
  setErrorReporter((error) => enqueueTick(rethrow, [error]));
  setTimers({
    start: (ms, callback) => startPrivate(ms < 1 ? 1 : ms, callback, false),
    stop: stopPrivate,
  });
}

function defineGlobal(name, value, enumerable) {
  ObjectDefineProperty(globalThis, name, { __proto__: null, value, writable: true, enumerable, configurable: true });
}

/// Functions of Web IDL operations and of Node.js are enumerable, interfaces and namespaces are not.
function defineGlobals(values, enumerable) {
  for (const name of ReflectOwnKeys(values)) defineGlobal(name, values[name], enumerable);
}

/// An accessor whose setter replaces it by a data property, as Web IDL has it for [Replaceable] attributes.
function defineReplaceable(name, value) {
  const { get, set } = ObjectGetOwnPropertyDescriptor({
    get [name]() {
      return value;
    },
    set [name](replacement) {
      defineGlobal(name, replacement, true);
    },
  }, name);
  ObjectDefineProperty(globalThis, name, { __proto__: null, get, set, enumerable: true, configurable: true });
}

function installGlobals() {
  installPolyfills();
  installProcess();
  defineGlobals({
    global: globalThis,
    clearImmediate, setImmediate, clearInterval, clearTimeout, setInterval, setTimeout, queueMicrotask, delay,
  }, true);
  defineGlobals({
    AbortController, AbortSignal, CustomEvent, DOMException, Event, EventTarget,
    Performance, PerformanceEntry, PerformanceMark, PerformanceMeasure,
    // The engine's own console object, so that an inspector attached to it stays attached.
    console: createConsole({ target: globalThis.console, emitWarning }),
  }, false);
  defineReplaceable('performance', performance);
}

/// The end of the runtime: no callback runs any more, and nothing is left that could keep a script's objects.
function terminalCleanup() {
  terminateDelays();
  cancelAll(settleDelay);
  terminateImmediates();
  terminateTicks();
  terminateRejections();
}

connect();
fillProcess();
installGlobals();

exports.hooks = {
  processTimers, processImmediates, processTicks, processRejections, reportUncaught, emitBeforeExit, emitExit, storedExitCode,
  terminalCleanup, fillProcess,
};
