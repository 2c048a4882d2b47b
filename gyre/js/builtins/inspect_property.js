'use strict';
// The parts of an object: its primitive values, its properties with their keys, and facts about buffers and views.

const {
  ArrayBufferPrototypeGetByteLength, DataViewPrototypeGetBuffer, DataViewPrototypeGetByteLength, DataViewPrototypeGetByteOffset,
  ObjectKeys, ReflectApply, RegExpPrototypeExec, SharedArrayBufferPrototypeGetByteLength, StringPrototypeIncludes,
  StringPrototypeRepeat, StringPrototypeSlice, SymbolPrototypeToString, TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength, TypedArrayPrototypeGetByteOffset, TypedArrayPrototypeGetLength,
} = require('primordials');
const { bigintText, escapeText, numberText, plural, quote, splitLines } = require('inspect_text');
const { visibleLength } = require('inspect_layout');

const kMinSplitLength = 16; // shorter texts stay on one line, however narrow it is

function formatString(context, text) {
  let trailer = '';
  if (text.length > context.maxStringLength) {
    trailer = `... ${plural(text.length - context.maxStringLength, 'more character')}`;
    text = StringPrototypeSlice(text, 0, context.maxStringLength);
  }
  // A long text of several lines shows them as such.
  if (context.compact !== true && text.length > kMinSplitLength && text.length > context.breakLength - context.indentation - 4 &&
      StringPrototypeIncludes(text, '\n')) {
    const lines = splitLines(text, true);
    for (let i = 0; i < lines.length; i++) lines[i] = context.stylize(quote(lines[i]), 'string');
    return lines.join(` +\n${StringPrototypeRepeat(' ', context.indentation + 2)}`) + trailer;
  }
  return context.stylize(quote(text), 'string') + trailer;
}

function formatPrimitive(context, value) {
  switch (typeof value) {
    case 'string': return formatString(context, value);
    case 'number': return context.stylize(numberText(value, context.numericSeparator), 'number');
    case 'bigint': return context.stylize(bigintText(value, context.numericSeparator), 'bigint');
    case 'symbol': return context.stylize(SymbolPrototypeToString(value), 'symbol');
    case 'boolean': return context.stylize(`${value}`, 'boolean');
    default: return context.stylize('undefined', 'undefined');
  }
}

// --- properties ---

function formatAccessor(context, descriptor, receiver, level) {
  const { get, set } = descriptor;
  const { stylize } = context;
  if (get === undefined) return stylize(set === undefined ? 'undefined' : '[Setter]', set === undefined ? 'undefined' : 'special');
  const label = set === undefined ? 'Getter' : 'Getter/Setter';
  const wanted = context.getters === true || (context.getters === 'get' && set === undefined) ||
    (context.getters === 'set' && set !== undefined);
  if (!wanted) return stylize(`[${label}]`, 'special');

  let inside;
  const { indentation } = context;
  try {
    const value = ReflectApply(get, receiver, []);
    const text = context.formatIndented(value, level);
    if ((typeof value === 'object' && value !== null) || typeof value === 'function') return `${stylize(`[${label}]`, 'special')} ${text}`;
    inside = text;
  } catch (error) {
    context.indentation = indentation;
    inside = `<Inspection threw${describeThrown(context, error, level)}>`;
  }
  return `${stylize(`[${label}:`, 'special')} ${inside}${stylize(']', 'special')}`;
}

function describeThrown(context, error, level) {
  const { indentation } = context;
  try {
    return ` (${context.formatIndented(error, level)})`;
  } catch {
    context.indentation = indentation;
    return '';
  }
}

const identifier = /^[a-zA-Z_][a-zA-Z_0-9]*$/;

function formatKey(context, key, isEnumerable) {
  let text;
  if (typeof key === 'symbol') text = context.stylize(escapeText(SymbolPrototypeToString(key), true), 'symbol');
  else if (key === '__proto__') text = "['__proto__']"; // as one has to write it in a literal
  else if (RegExpPrototypeExec(identifier, key) !== null) text = key;
  else text = context.stylize(quote(key), 'string');
  return isEnumerable ? text : `[${text}]`;
}

/// "key: value" of an own property of `object`; an accessor is called, if at all, on `receiver`.
function formatProperty(context, object, level, key, descriptor, receiver = object) {
  let gap = ' ';
  let text;
  if (descriptor.value === undefined) {
    text = formatAccessor(context, descriptor, receiver, level);
  } else if (context.compact === true) {
    context.indentation += 3;
    text = context.printer.formatValue(context, descriptor.value, level);
    if (visibleLength(context, text) > context.breakLength) gap = `\n${StringPrototypeRepeat(' ', context.indentation)}`;
    context.indentation -= 3;
  } else {
    text = context.formatIndented(descriptor.value, level);
  }
  return `${formatKey(context, key, descriptor.enumerable)}:${gap}${text}`;
}

/// The value of an array element.
function formatElement(context, array, level, index, descriptor) {
  if (descriptor.value === undefined) return formatAccessor(context, descriptor, array, level);
  return context.formatIndented(descriptor.value, level);
}

// Facts that are not own properties but that a script can ask for, by kind.
const facts = {
  __proto__: null,
  ArrayBuffer: { __proto__: null, byteLength: ArrayBufferPrototypeGetByteLength },
  SharedArrayBuffer: { __proto__: null, byteLength: SharedArrayBufferPrototypeGetByteLength },
  DataView: {
    __proto__: null,
    byteLength: DataViewPrototypeGetByteLength,
    byteOffset: DataViewPrototypeGetByteOffset,
    buffer: DataViewPrototypeGetBuffer,
  },
  TypedArray: {
    __proto__: null,
    BYTES_PER_ELEMENT: (array) => array.BYTES_PER_ELEMENT,
    length: TypedArrayPrototypeGetLength,
    byteLength: TypedArrayPrototypeGetByteLength,
    byteOffset: TypedArrayPrototypeGetByteOffset,
    buffer: TypedArrayPrototypeGetBuffer,
  },
};

function formatFact(context, object, kind, level, name) {
  let value;
  try {
    // Without prototype nobody could ask.
    if (name in object) value = facts[kind][name](object);
  } catch {
    if (name === 'byteLength') value = 0; // a view whose buffer is detached
  }
  return context.stylize(`[${name}]: ${context.formatIndented(value, level, 2, kind === 'TypedArray')}`, 'string');
}

exports.factNames = (kind) => ObjectKeys(facts[kind]);
exports.formatElement = formatElement;
exports.formatFact = formatFact;
exports.formatKey = formatKey;
exports.formatPrimitive = formatPrimitive;
exports.formatProperty = formatProperty;
