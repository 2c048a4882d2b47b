'use strict';
// The module "gyre:fs": files, as promises. The work is done off the script's thread.

const { PromiseReject, StringPrototypeStartsWith, TypeError } = require('primordials');
const { codedError, invalidArgType } = require('errors');

/// Paths may be given as text or as a file: URL.
function toPath(path, name) {
  const text = typeof path === 'string' ? path : path?.href;
  if (typeof text !== 'string') throw invalidArgType(name, 'of type string or an instance of URL', path);
  if (text === '') throw codedError(TypeError, 'ERR_INVALID_ARG_VALUE', `The argument '${name}' must not be empty`);
  return StringPrototypeStartsWith(text, 'file:') ? native.fileUrlToPath(text) : text;
}

/// Errors of arguments reject as well: every function here always returns a promise.
const promising = (operation) => (...args) => {
  try {
    return operation(...args);
  } catch (error) {
    return PromiseReject(error);
  }
};

const readFile = promising(function readFile(path) {
  return native.fs.read(toPath(path, 'path'), false);
});

const readTextFile = promising(function readTextFile(path) {
  return native.fs.read(toPath(path, 'path'), true);
});

const writeFile = promising(function writeFile(path, data, options) {
  const file = toPath(path, 'path');
  if (typeof data !== 'string' && !native.isBytes(data)) {
    throw invalidArgType('data', 'of type string or an instance of ArrayBuffer, TypedArray or DataView', data);
  }
  return native.fs.write(file, data, options?.append === true);
});

const readDir = promising(function readDir(path) {
  return native.fs.list(toPath(path, 'path'));
});

exports.readDir = readDir;
exports.readFile = readFile;
exports.readTextFile = readTextFile;
exports.writeFile = writeFile;
