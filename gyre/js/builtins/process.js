'use strict';
// The process object: its shape, exit, and the events the host fires on it.

const {
  ObjectAssign, ObjectCreate, ObjectDefineProperties, ObjectDefineProperty, SymbolToStringTag, globalThis,
} = require('primordials');
const { EventEmitter } = require('event_emitter');
const { exit: leave, exitCodeProperty, exitingProperty, storedExitCode } = require('exit_code');
const { cwd, hrtime, makeEnvironment, makeStream, memoryUsage, uptime } = require('process_info');
const { nextTick } = require('ticks');
const { reportUncaught } = require('uncaught');
const { emitWarning } = require('warnings');

const hidden = (value) => ({ __proto__: null, value, writable: true, enumerable: false, configurable: true });
const plain = (value) => ({ __proto__: null, value, writable: true, enumerable: true, configurable: true });
const fixed = (value) => ({ __proto__: null, value, writable: false, enumerable: true, configurable: true });

/// Ends the script. With an argument, undefined included, that becomes the exit code. The call does not return, unless
/// it throws: for a code that is none, or from a script's own `_exiting` or exit listener.
function exit(code) {
  if (arguments.length !== 0) process.exitCode = code;
  if (!process._exiting) {
    process._exiting = true;
    process.emit('exit', storedExitCode() || 0);
  }
  leave(storedExitCode() || 0);
}

// Every emitter of Node.js processes has these two; here no signal is listened to.
function startListeningIfSignal() {}
function stopListeningIfSignal() {}

function makeProcess() {
  const constructor = function process() {};
  const prototype = ObjectCreate(EventEmitter.prototype, { __proto__: null, constructor: hidden(constructor) });
  constructor.prototype = prototype;
  const object = ObjectCreate(prototype);
  EventEmitter.call(object);
  ObjectDefineProperties(object, {
    __proto__: null,
    _exiting: { __proto__: null, ...exitingProperty, enumerable: true, configurable: true },
    exitCode: { __proto__: null, ...exitCodeProperty, enumerable: true, configurable: false },
    [SymbolToStringTag]: { __proto__: null, value: 'process', writable: true, enumerable: false, configurable: false },
  });
  object.on('newListener', startListeningIfSignal);
  object.on('removeListener', stopListeningIfSignal);
  return ObjectAssign(object, { emitWarning, exit, nextTick, hrtime, memoryUsage, uptime, cwd });
}

const process = makeProcess();

/// Fills in what the host tells: to be done again in a runtime that was started from a snapshot.
function fillProcess() {
  const { info } = native;
  ObjectDefineProperties(process, {
    __proto__: null,
    version: fixed(info.version),
    versions: fixed(ObjectAssign({}, info.versions)),
    arch: fixed(info.arch),
    platform: fixed(info.platform),
    title: plain(info.title),
    argv: plain(info.argv),
    execArgv: plain(info.execArgv),
    execPath: plain(info.execPath),
    env: plain(makeEnvironment()),
    pid: fixed(info.pid),
    stdout: fixed(makeStream(1, native.writeStdout)),
    stderr: fixed(makeStream(2, native.writeStderr)),
  });
}

/// The loop has nothing left to do. Listeners may give it more.
function emitBeforeExit() {
  try {
    process.emit('beforeExit', storedExitCode() || 0);
  } catch (error) {
    reportUncaught(error, 'uncaughtException');
  }
}

/// The natural end; `fallback` is the exit code if the script has set none. Returns the exit code, which listeners, and
/// the microtasks they queue, may still change.
function emitExit(fallback) {
  exitingProperty.set(true);
  if (fallback !== 0 && storedExitCode() === undefined) exitCodeProperty.set(fallback);
  try {
    process.emit('exit', storedExitCode() || 0);
  } catch (error) {
    reportUncaught(error, 'uncaughtException');
  }
  native.runMicrotasks();
  return storedExitCode() || 0;
}

/// Makes `process` a global the way Node.js does: an accessor, so that a script can replace it.
function installProcess() {
  let current = process;
  const { get, set } = {
    get() {
      return current;
    },
    set(value) {
      current = value;
    },
  };
  ObjectDefineProperty(globalThis, 'process', {
    __proto__: null, get, set, enumerable: false, configurable: true,
  });
}

exports.emitBeforeExit = emitBeforeExit;
exports.emitExit = emitExit;
exports.fillProcess = fillProcess;
exports.installProcess = installProcess;
exports.process = process;
