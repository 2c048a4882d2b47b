'use strict';
// printf-like formatting, as console.log does it: %s %d %i %f %j %o %O %c %%.

const {
  JSONStringify, Number, NumberParseFloat, NumberParseInt, ObjectGetOwnPropertyDescriptor, ObjectGetPrototypeOf,
  ObjectPrototypeHasOwnProperty, String, StringPrototypeCharCodeAt, StringPrototypeIndexOf, StringPrototypeSlice,
  StringPrototypeStartsWith, SymbolToPrimitive, TypeErrorPrototype,
} = require('primordials');
const { bigintText, numberText } = require('inspect_text');
const { isBuiltInName } = require('inspect_names');
const { inspect } = require('inspect_value');

const kPercent = 37;

// Whether converting `object` to a string would run the language's own function, which says less than an inspection.
function convertsByBuiltIn(object) {
  while (native.kindOf(object) === 'Proxy') {
    object = native.proxyDetails(object)[0];
    if (object === null) return true;
  }
  const hasToString = typeof object.toString === 'function';
  const hasToPrimitive = typeof object[SymbolToPrimitive] === 'function';
  if (!hasToString && !hasToPrimitive) return true;
  const converts = (holder) => (hasToString && ObjectPrototypeHasOwnProperty(holder, 'toString')) ||
    (hasToPrimitive && ObjectPrototypeHasOwnProperty(holder, SymbolToPrimitive));
  if (converts(object)) return false;
  let holder = object;
  do {
    holder = ObjectGetPrototypeOf(holder);
    if (holder === null) return true;
  } while (!converts(holder));
  const constructor = ObjectGetOwnPropertyDescriptor(holder, 'constructor')?.value;
  return typeof constructor === 'function' && isBuiltInName(constructor.name);
}

function formatAsString(value, options) {
  switch (typeof value) {
    case 'string': return value;
    case 'number': return numberText(value, options?.numericSeparator);
    case 'bigint': return bigintText(value, options?.numericSeparator);
    case 'object':
      if (value === null || !convertsByBuiltIn(value)) return String(value);
      return inspect(value, { __proto__: null, ...options, depth: 0, colors: false, compact: 3 });
    default: return String(value);
  }
}

function formatAsNumber(value, convert, options) {
  if (typeof value === 'bigint' && convert !== NumberParseFloat) return bigintText(value, options?.numericSeparator);
  return numberText(typeof value === 'symbol' ? NaN : convert(value), options?.numericSeparator);
}

const toInteger = (value) => NumberParseInt(value);

function formatAsJson(value) {
  try {
    return `${JSONStringify(value)}`;
  } catch (error) {
    if (isCircularError(error)) return '[Circular]';
    throw error;
  }
}

// The engine has no other mark for it than this text.
function isCircularError(error) {
  if (typeof error !== 'object' || error === null || ObjectGetPrototypeOf(error) !== TypeErrorPrototype) return false;
  const message = ObjectGetOwnPropertyDescriptor(error, 'message')?.value;
  return typeof message === 'string' && StringPrototypeStartsWith(message, 'Converting circular structure to JSON');
}

// The text for one directive, or undefined if the character is none.
function formatDirective(letter, value, options) {
  switch (letter) {
    case 115: return formatAsString(value, options); // s
    case 100: return formatAsNumber(value, Number, options); // d
    case 105: return formatAsNumber(value, toInteger, options); // i
    case 102: return formatAsNumber(value, NumberParseFloat, options); // f
    case 106: return formatAsJson(value); // j
    case 79: return inspect(value, options); // O
    case 111: return inspect(value, { __proto__: null, ...options, showHidden: true, showProxy: true, depth: 4 }); // o
    case 99: return ''; // c: styles of a browser's console
    default: return undefined;
  }
}

/// Formats `args` (an array) as console.log does.
function formatArguments(options, args) {
  const first = args[0];
  let text = '';
  let used = 0;
  if (typeof first === 'string') {
    if (args.length === 1) return first;
    used = 1;
    let copied = 0; // what is before this index of the format is in `text`
    let at = StringPrototypeIndexOf(first, '%');
    while (at !== -1 && at < first.length - 1) {
      const letter = StringPrototypeCharCodeAt(first, at + 1);
      let piece;
      if (letter === kPercent) piece = '%';
      else if (used < args.length) piece = formatDirective(letter, args[used], options);
      if (piece !== undefined) {
        text += StringPrototypeSlice(first, copied, at) + piece;
        copied = at + 2;
        if (letter !== kPercent) used++;
      }
      at = StringPrototypeIndexOf(first, '%', at + 2);
    }
    text += StringPrototypeSlice(first, copied);
  }
  for (; used < args.length; used++) {
    const value = args[used];
    if (used !== 0) text += ' ';
    text += typeof value === 'string' ? value : inspect(value, options);
  }
  return text;
}

exports.formatArguments = formatArguments;
