'use strict';
// process.emitWarning, and the line a warning becomes when no listener takes it.

const { ArrayIsArray, Error, ErrorCaptureStackTrace, ObjectPrototypeHasOwnProperty, String } = require('primordials');
const { invalidArgType } = require('errors');
const { enqueueTick } = require('ticks');

let process;

/// Names the object that emits the warnings.
function connectWarnings(processObject) {
  process = processObject;
}

function makeWarning(message, type, code, detail, hideFrom) {
  const warning = new Error(message);
  warning.name = String(type || 'Warning');
  if (code !== undefined) warning.code = code;
  if (detail !== undefined) warning.detail = detail;
  ErrorCaptureStackTrace(warning, hideFrom);
  return warning;
}

function isError(value) {
  return native.kindOf(value) === 'Error' ||
    (typeof value === 'object' && value !== null && native.kindOf(value) !== 'Proxy' && ObjectPrototypeHasOwnProperty(value, 'stack'));
}

/// The text for people. It runs in a tick, so an accessor of the warning that throws takes the uncaught path.
function describe(warning) {
  const code = warning.code ? `[${warning.code}] ` : '';
  const detail = typeof warning.detail === 'string' ? `\n${warning.detail}` : '';
  return `(gyre:${native.info.pid}) ${code}${warning.name}: ${warning.message}${detail}\n`;
}

function deliver(warning) {
  if (!process.emit('warning', warning)) native.emitWarningToHost(describe(warning));
}

function emitWarning(warning, type, code, hideFrom) {
  let detail;
  if (type !== null && typeof type === 'object' && !ArrayIsArray(type)) {
    const options = type;
    hideFrom = options.ctor;
    code = options.code;
    if (typeof options.detail === 'string') detail = options.detail;
    type = options.type || 'Warning';
  } else if (typeof type === 'function') {
    hideFrom = type;
    code = '';
    type = 'Warning';
  }
  if (type !== undefined && typeof type !== 'string') throw invalidArgType('type', 'of type string', type);
  if (typeof code === 'function') {
    hideFrom = code;
    code = '';
  } else if (code !== undefined && typeof code !== 'string') {
    throw invalidArgType('code', 'of type string', code);
  }
  if (typeof warning === 'string') {
    warning = makeWarning(warning, type, code, detail, hideFrom || emitWarning);
  } else if (!isError(warning)) {
    throw invalidArgType('warning', 'of type string or an instance of Error', warning);
  }
  if (warning.name === 'DeprecationWarning') {
    if (process.noDeprecation) return;
    if (process.throwDeprecation) {
      enqueueTick(rethrow, [warning]);
      return;
    }
  }
  if (!process._exiting) enqueueTick(deliver, [warning]);
}

function rethrow(error) {
  throw error;
}

exports.connectWarnings = connectWarnings;
exports.emitWarning = emitWarning;
exports.isError = isError;
exports.rethrow = rethrow;
