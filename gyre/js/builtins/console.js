'use strict';
// The console: formats like Node's, writes each call with one native write. log, info, debug, dir, table, count and the
// timers go to standard output; warn, error, trace and assert to standard error.
//
//   const { createConsole } = require('console');
//   createConsole({ target: console, emitWarning: (text) => process.emitWarning(text) });

const {
  ArrayIsArray, ErrorCaptureStackTrace, MathFloor, Number, NumberPrototypeToFixed, ObjectDefineProperty, ObjectKeys, SafeMap, String,
  StringPrototypePadStart, StringPrototypeSlice, SymbolToStringTag,
} = require('primordials');
const { invalidArgType } = require('errors');
const { indentLines, numberText } = require('inspect_text');
const { formatArguments, inspect } = require('inspect');
const { drawTable, fitsCell } = require('console_table');

const kGroupIndentation = '  ';
const kSecond = 1000; // all in milliseconds
const kMinute = 60 * kSecond;
const kHour = 60 * kMinute;
const kDefaultLabel = 'default';
const kClearScreen = '\x1b[1;1H\x1b[0J';

/// "1.234ms", "1.234s", "1:02.345 (m:ss.mmm)", "1:02:03.456 (h:mm:ss.mmm)".
function formatDuration(milliseconds) {
  if (milliseconds < kSecond) return `${Number(NumberPrototypeToFixed(milliseconds, 3))}ms`;
  if (milliseconds < kMinute) return `${NumberPrototypeToFixed(milliseconds / kSecond, 3)}s`;
  const twoDigits = (number) => StringPrototypePadStart(`${number}`, 2, '0');
  const seconds = StringPrototypePadStart(NumberPrototypeToFixed((milliseconds % kMinute) / kSecond, 3), 6, '0');
  const minutes = MathFloor((milliseconds % kHour) / kMinute);
  const hours = MathFloor(milliseconds / kHour);
  return hours === 0 ? `${minutes}:${seconds} (m:ss.mmm)` : `${hours}:${twoDigits(minutes)}:${seconds} (h:mm:ss.mmm)`;
}

// The text of one primitive argument; undefined for what has to be inspected. The way of nearly every call.
function simpleText(value) {
  switch (typeof value) {
    case 'string': return value;
    case 'number': return numberText(value);
    case 'boolean': return value ? 'true' : 'false';
    case 'undefined': return 'undefined';
    default: return value === null ? 'null' : undefined;
  }
}

/// Fills `target` with the console's methods and returns it.
///
/// `emitWarning(text)` reports misused labels. `colors` tells which stream takes ANSI colours, `isTerminal` whether
/// standard output is one (console.clear does nothing elsewhere).
function createConsole({ target = {}, emitWarning, colors = {}, isTerminal = false }) {
  const { writeStdout, writeStderr, now } = native;
  const stdoutOptions = colors.stdout ? { __proto__: null, colors: true } : undefined;
  const stderrOptions = colors.stderr ? { __proto__: null, colors: true } : undefined;
  const counts = new SafeMap();
  const timers = new SafeMap();
  let indentation = '';

  const format = (options, args) => {
    if (args.length === 1 && options === undefined) {
      const text = simpleText(args[0]);
      if (text !== undefined) return text;
    }
    return formatArguments(options, args);
  };
  const indented = (text) => (indentation === '' ? text : indentation + indentLines(text, indentation.length));
  const writeLine = (text) => writeStdout(`${indented(text)}\n`);
  const writeErrorLine = (text) => writeStderr(`${indented(text)}\n`);
  const print = (args) => writeLine(format(stdoutOptions, args));
  const printError = (args) => writeErrorLine(format(stderrOptions, args));

  const openGroup = (data) => {
    if (data.length !== 0) print(data);
    indentation += kGroupIndentation;
  };

  // Calls `report` with the time since label's start, or warns.
  const withElapsed = (label, method, report) => {
    label = `${label}`;
    const start = timers.get(label);
    if (start === undefined) {
      emitWarning(`No such label '${label}' for console.${method}()`);
      return;
    }
    report(label, formatDuration(now() - start));
  };

  const formatCell = (value) => inspect(value, {
    __proto__: null, ...stdoutOptions, maxArrayLength: 3, breakLength: 1 / 0, depth: fitsCell(value) ? 0 : -1,
  });

  // Shorthand methods: no `prototype`, not constructors, and they do not use `this`, so they can be called detached.
  const methods = {
    __proto__: null,
    log(...args) {
      print(args);
    },
    warn(...args) {
      printError(args);
    },
    dir(object, options) {
      writeLine(inspect(object, { __proto__: null, customInspect: false, ...stdoutOptions, ...options }));
    },
    time(label = kDefaultLabel) {
      label = `${label}`;
      if (timers.has(label)) emitWarning(`Label '${label}' already exists for console.time()`);
      else timers.set(label, now());
    },
    timeEnd(label = kDefaultLabel) {
      withElapsed(label, 'timeEnd', (name, elapsed) => {
        timers.delete(name);
        writeLine(`${name}: ${elapsed}`);
      });
    },
    timeLog(label = kDefaultLabel, ...data) {
      withElapsed(label, 'timeLog', (name, elapsed) => {
        let text = `${name}: ${elapsed}`;
        for (let i = 0; i < data.length; i++) text += ` ${typeof data[i] === 'string' ? data[i] : inspect(data[i], stdoutOptions)}`;
        writeLine(text);
      });
    },
    trace(...args) {
      const message = formatArguments(stderrOptions, args);
      const trace = { __proto__: null, name: 'Trace', message };
      ErrorCaptureStackTrace(trace, methods.trace);
      writeErrorLine(trace.stack);
    },
    assert(condition, ...args) {
      if (condition) return;
      if (args.length === 0) {
        writeErrorLine('Assertion failed');
        return;
      }
      args[0] = `Assertion failed: ${String(args[0])}`;
      printError(args);
    },
    clear() {
      if (isTerminal) writeStdout(kClearScreen);
    },
    count(label = kDefaultLabel) {
      label = `${label}`;
      const count = (counts.get(label) ?? 0) + 1;
      counts.set(label, count);
      writeLine(`${label}: ${count}`);
    },
    countReset(label = kDefaultLabel) {
      label = `${label}`;
      if (!counts.delete(label)) emitWarning(`Count for '${label}' does not exist`);
    },
    group(...data) {
      openGroup(data);
    },
    groupEnd() {
      indentation = StringPrototypeSlice(indentation, kGroupIndentation.length);
    },
    table(data, properties) {
      if (properties !== undefined && !ArrayIsArray(properties)) throw invalidArgType('properties', 'an instance of Array', properties);
      if (data === null || typeof data !== 'object') print([data]);
      else writeLine(drawTable(data, properties, formatCell));
    },
    debug(...args) {
      print(args);
    },
    info(...args) {
      print(args);
    },
    dirxml(...args) {
      print(args);
    },
    error(...args) {
      printError(args);
    },
    groupCollapsed(...data) {
      openGroup(data);
    },
  };

  const names = ObjectKeys(methods);
  for (let i = 0; i < names.length; i++) {
    ObjectDefineProperty(methods[names[i]], 'length', { __proto__: null, value: 0, configurable: true }); // as in Node
    ObjectDefineProperty(target, names[i], {
      __proto__: null, value: methods[names[i]], writable: true, enumerable: true, configurable: true,
    });
  }
  ObjectDefineProperty(target, SymbolToStringTag, { __proto__: null, value: 'console', configurable: true });
  return target;
}

exports.createConsole = createConsole;
