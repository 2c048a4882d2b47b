'use strict';
// Errors: the stack text, improved where it hides the class; repeated frames left out; message, name and stack not
// printed twice.

const {
  ArrayIsArray, Error, ErrorPrototypeToString, FunctionPrototypeSymbolHasInstance, MathMin, ObjectPrototypeHasOwnProperty,
  ObjectPrototypeToString, RegExpPrototypeExec, SafeMap, String, StringPrototypeEndsWith, StringPrototypeIncludes,
  StringPrototypeIndexOf, StringPrototypeSlice, StringPrototypeStartsWith,
} = require('primordials');
const { List, listOf } = require('inspect_list');
const { indentLines, splitLines } = require('inspect_text');
const { prefixOf } = require('inspect_names');

const kMinSharedFrames = 4; // shared with the cause: leave out only from here
const kMinFramesForCollapse = 11;
const kMinRepeat = 3;
const kFrameStart = '\n    at';

const isError = (value, kind) => kind === 'Error' || FunctionPrototypeSymbolHasInstance(Error, value);

// Reads a property of an error. Getters may throw; the inspection must not.
function read(error, name) {
  try {
    return error[name];
  } catch {
    return undefined;
  }
}

const kNoLevel = NaN; // never too deep, and never on one line

// The error's stack as text. A stack that is not text is inspected under "Name: message".
function stackText(context, error) {
  const stack = read(error, 'stack');
  if (!stack) return ErrorPrototypeToString(error);
  if (typeof stack === 'string') return stack;
  context.seen.add(error);
  const text = context.formatIndented(stack, kNoLevel, 4);
  context.seen.removeLast();
  return `${ErrorPrototypeToString(error)}\n    ${text}`;
}

const leadingName = /^([A-Z][a-z_ A-Z0-9[\]()-]+)(?::|\n {4}at)/;
const wholeName = /^([a-z_A-Z0-9-]*Error)$/;

// Stacks begin with the `name` at the time of capture, which subclasses seldom set. Shows the class where the two differ:
// "Derived: message", "Foo [TypeError]: message", "[TypeError: null prototype]: message".
function withClassName(stack, constructor, name, tag) {
  if (typeof name !== 'string') {
    const text = String(name);
    const at = StringPrototypeIndexOf(stack, text);
    const className = StringPrototypeSlice(prefixOf(constructor, tag, 'Error'), 0, -1);
    if (at !== -1) stack = `${StringPrototypeSlice(stack, 0, at)}${text} [${className}]${StringPrototypeSlice(stack, at + text.length)}`;
    name = text;
  }
  let { length } = name;
  const next = stack[length];
  const beginsWithName = StringPrototypeEndsWith(name, 'Error') && StringPrototypeStartsWith(stack, name) &&
    (next === undefined || next === ':' || next === '\n');
  if (constructor !== null && !beginsWithName) return stack;

  let fallback = 'Error';
  if (constructor === null) {
    const match = RegExpPrototypeExec(leadingName, stack) ?? RegExpPrototypeExec(wholeName, stack);
    length = match === null ? 0 : match[1].length;
    if (match !== null && length !== 0) fallback = match[1];
  }
  const className = StringPrototypeSlice(prefixOf(constructor, tag, fallback), 0, -1);
  if (className === name) return stack;
  const rest = StringPrototypeSlice(stack, length);
  if (!StringPrototypeIncludes(className, name)) return `${className} [${name}]${rest}`;
  return length === 0 ? `${className}: ${stack}` : `${className}${rest}`;
}

// The first run of at least kMinSharedFrames lines of `lines` that stands in `other` too, as [start, length].
function sharedRun(lines, other) {
  for (let i = 0; i + kMinSharedFrames <= lines.length; i++) {
    const j = other.indexOf(lines[i]);
    if (j === -1) continue;
    const limit = MathMin(lines.length - i, other.length - j);
    let length = 1;
    while (length < limit && lines[i + length] === other[j + length]) length++;
    if (length >= kMinSharedFrames) return { __proto__: null, start: i, length };
  }
  return undefined;
}

// Replaces `count` lines from `start` by one.
function replaceLines(lines, start, count, line) {
  const result = lines.slice(0, start);
  result.add(line);
  result.addAll(lines.slice(start + count, lines.length));
  return result;
}

function hideFramesOfCause(context, lines, error) {
  const cause = read(error, 'cause');
  if (cause === undefined || cause === null || typeof cause !== 'object' || !isError(cause, native.kindOf(cause))) return lines;
  const causeStack = stackText(context, cause);
  const start = StringPrototypeIndexOf(causeStack, kFrameStart);
  if (start === -1) return lines;
  const run = sharedRun(lines, splitLines(StringPrototypeSlice(causeStack, start + 1)));
  if (run === undefined) return lines;
  const hidden = run.length - 2; // the first and the last stay, to show where the gap is
  const note = context.stylize(`    ... ${hidden} lines matching cause stack trace ...`, 'undefined');
  return replaceLines(lines, run.start + 1, hidden, note);
}

// How often the `length` lines from `start` repeat right after themselves.
function countRepeats(lines, start, length) {
  let repeats = 0;
  for (let i = start + length; i + length <= lines.length; i += length) {
    for (let j = 0; j < length; j++) {
      if (lines[start + j] !== lines[i + j]) return repeats;
    }
    repeats++;
  }
  return repeats;
}

// Mutual recursion fills a stack with the same few lines. Keeps the first of each run of repeats.
function collapseRepeats(context, lines) {
  const lastSeenAt = new SafeMap();
  for (let i = 0; i < lines.length; i++) lastSeenAt.set(lines[i], i);
  if (lines.length - lastSeenAt.size <= kMinRepeat) return lines;

  const result = new List();
  for (let i = 0; i < lines.length;) {
    let best = { __proto__: null, length: 1, repeats: 0 };
    const span = lastSeenAt.get(lines[i]) - i;
    const farthest = MathMin(span, (lines.length - i) >> 1);
    for (let length = 1; length <= farthest; length++) {
      if (lines[i + length] !== lines[i]) continue;
      const repeats = countRepeats(lines, i, length);
      if (length * repeats > best.length * best.repeats) best = { __proto__: null, length, repeats };
      if (length * (repeats + 1) >= span) break; // nothing covers more
    }
    result.addAll(lines.slice(i, i + best.length));
    const hidden = best.length * best.repeats;
    if (hidden >= kMinRepeat) {
      const what = best.repeats > 1 ? `${best.length} lines ${best.repeats} times...` : 'lines ...';
      result.add(context.stylize(`    ... collapsed ${hidden} duplicate lines matching above ${what}`, 'undefined'));
      i += hidden;
    }
    i += best.length;
  }
  return result;
}

const kModulesFolder = 'node_modules/';

// Packages in a frame are underlined; the runtime's own frames are grey.
function colorFrame(context, line) {
  if (StringPrototypeIncludes(line, '(gyre:') || StringPrototypeIncludes(line, 'at gyre:')) return context.stylize(line, 'undefined');
  let colored = '';
  let start = 0;
  for (;;) {
    const at = StringPrototypeIndexOf(line, kModulesFolder, start);
    if (at === -1) return colored + StringPrototypeSlice(line, start);
    const nameStart = at + kModulesFolder.length;
    let end = StringPrototypeIndexOf(line, '/', nameStart);
    if (line[nameStart] === '@' && end !== -1) end = StringPrototypeIndexOf(line, '/', end + 1); // "@scope/name"
    if (end === -1) return colored + StringPrototypeSlice(line, start);
    colored += StringPrototypeSlice(line, start, nameStart) + context.stylize(StringPrototypeSlice(line, nameStart, end), 'module');
    start = end;
  }
}

// Drops the keys that the stack text already tells. `stack` itself always, the others where they stand in it.
function withoutRepeatedKeys(keys, error, stack) {
  let rest = keys.without('stack');
  if (rest.indexOf('message') !== -1) {
    const message = read(error, 'message');
    if (typeof message !== 'string' || StringPrototypeIncludes(stack, message)) rest = rest.without('message');
  }
  if (rest.indexOf('name') !== -1) {
    const name = read(error, 'name');
    if (typeof name !== 'string' || StringPrototypeIncludes(stack, name)) rest = rest.without('name');
  }
  return rest;
}

/// The keys of `error` to print below its stack: its own, plus `cause` and `errors` although these are not enumerable.
function errorKeys(context, error, keys) {
  let shown = listOf(keys);
  if (!context.showHidden && shown.length !== 0) {
    let stack = '';
    try {
      stack = stackText(context, error);
    } catch {
      return shown;
    }
    shown = withoutRepeatedKeys(shown, error, stack);
  }
  if (ObjectPrototypeHasOwnProperty(error, 'cause') && shown.indexOf('cause') === -1) shown.add('cause');
  if (ObjectPrototypeHasOwnProperty(error, 'errors') && ArrayIsArray(read(error, 'errors')) && shown.indexOf('errors') === -1) {
    shown.add('errors');
  }
  return shown;
}

/// The text of `error` without its properties. In brackets where there are no frames.
function errorText(context, error, constructor, tag) {
  let stack;
  try {
    stack = withClassName(stackText(context, error), constructor, read(error, 'name') ?? 'Error', tag);
  } catch {
    return ObjectPrototypeToString(error);
  }

  // The message may hold lines that look like frames.
  const message = read(error, 'message');
  let from = typeof message === 'string' && message !== '' ? StringPrototypeIndexOf(stack, message) : -1;
  if (from > 0) from += message.length;
  const framesAt = StringPrototypeIndexOf(stack, kFrameStart, from);
  if (framesAt === -1) return indentLines(`[${stack}]`, context.indentation);

  let lines = splitLines(StringPrototypeSlice(stack, framesAt + 1));
  lines = hideFramesOfCause(context, lines, error);
  if (lines.length >= kMinFramesForCollapse) lines = collapseRepeats(context, lines);
  let text = StringPrototypeSlice(stack, 0, framesAt);
  for (let i = 0; i < lines.length; i++) text += `\n${context.colors ? colorFrame(context, lines[i]) : lines[i]}`;
  return indentLines(text, context.indentation);
}

exports.errorKeys = errorKeys;
exports.errorText = errorText;
exports.isError = isError;
