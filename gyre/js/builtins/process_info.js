'use strict';
// What process tells about the machine and the host: clocks, memory, environment, output streams.

const {
  ArrayIsArray, BigInt, Number, ObjectAssign, Proxy, ReflectDefineProperty, ReflectHas, TypeError,
} = require('primordials');
const { codedError, invalidArgType, outOfRange, requireFunction } = require('errors');
const { enqueueTick } = require('ticks');

const kNanosecondsPerSecond = 1_000_000_000;
const kNanosecondsPerSecondBig = BigInt(kNanosecondsPerSecond);

/// [seconds, nanoseconds] of the monotonic clock, or since an earlier result.
function hrtime(time) {
  const now = native.hrtime();
  const seconds = Number(now / kNanosecondsPerSecondBig);
  const nanoseconds = Number(now % kNanosecondsPerSecondBig);
  if (time === undefined) return [seconds, nanoseconds];
  if (!ArrayIsArray(time)) throw invalidArgType('time', 'an instance of Array', time);
  if (time.length !== 2) throw outOfRange('time', '2', `${time.length}`);
  const elapsedSeconds = seconds - time[0];
  const elapsedNanoseconds = nanoseconds - time[1];
  if (elapsedNanoseconds < 0) return [elapsedSeconds - 1, elapsedNanoseconds + kNanosecondsPerSecond];
  return [elapsedSeconds, elapsedNanoseconds];
}
hrtime.bigint = function bigint() {
  return native.hrtime();
};

function memoryUsage() {
  const { rss, heapTotal, heapUsed, external, arrayBuffers } = native.memoryUsage();
  return { rss, heapTotal, heapUsed, external, arrayBuffers };
}
memoryUsage.rss = function rss() {
  return native.memoryUsage().rss;
};

/// Seconds since the runtime started.
function uptime() {
  return native.now() / 1000;
}

function cwd() {
  return native.cwd();
}

function toEnvironmentText(value) {
  if (typeof value === 'symbol') throw new TypeError('Cannot convert a Symbol value to a string');
  return `${value}`;
}

const environmentTraps = {
  __proto__: null,
  set(variables, key, value) {
    const name = toEnvironmentText(key);
    return ReflectDefineProperty(variables, name, {
      __proto__: null, value: toEnvironmentText(value), writable: true, enumerable: true, configurable: true,
    });
  },
  defineProperty(variables, key, descriptor) {
    if ('get' in descriptor || 'set' in descriptor) {
      throw codedError(TypeError, 'ERR_INVALID_OBJECT_DEFINE_PROPERTY',
        "'process.env' does not accept an accessor(getter/setter) descriptor");
    }
    if (!descriptor.configurable || !descriptor.writable || !descriptor.enumerable) {
      throw codedError(TypeError, 'ERR_INVALID_OBJECT_DEFINE_PROPERTY',
        "'process.env' only accepts a configurable, writable, and enumerable data descriptor");
    }
    return environmentTraps.set(variables, key, descriptor.value);
  },
  has: (variables, key) => typeof key !== 'symbol' && ReflectHas(variables, key),
};

/// An object like Node's process.env over a copy of the host's variables: every value is a string. Writing to it
/// does not change the host's environment.
function makeEnvironment() {
  return new Proxy(ObjectAssign({}, native.info.env), environmentTraps);
}

/// An output stream of process: only what is needed to write text.
function makeStream(fd, writeText) {
  return {
    fd,
    writable: true,
    isTTY: false,
    write(chunk, encoding, callback) {
      if (typeof chunk !== 'string') throw invalidArgType('chunk', 'of type string', chunk);
      writeText(chunk);
      if (typeof encoding === 'function') callback = encoding;
      if (callback !== undefined) {
        requireFunction(callback, 'callback');
        enqueueTick(callback, undefined);
      }
      return true;
    },
  };
}

exports.cwd = cwd;
exports.hrtime = hrtime;
exports.makeEnvironment = makeEnvironment;
exports.makeStream = makeStream;
exports.memoryUsage = memoryUsage;
exports.uptime = uptime;
