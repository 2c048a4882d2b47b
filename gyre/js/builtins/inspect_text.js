'use strict';
// Text of the smallest things: strings in quotes, numbers, line-wise edits. Regular expressions are used only through
// their captured `exec`; String.prototype.replace and split would look up Symbol.replace where a script can put one.

const {
  MathTrunc, Number, NumberIsFinite, NumberPrototypeToString, ObjectIs, RegExpPrototypeExec, String, StringPrototypeCharCodeAt,
  StringPrototypeIncludes, StringPrototypeIndexOf, StringPrototypePadStart, StringPrototypeRepeat, StringPrototypeSlice,
  StringPrototypeToUpperCase,
} = require('primordials');
const { List } = require('inspect_list');

// Anything that quoting may have to change: controls (C0, DEL, C1), the single quote, the backslash, surrogates.
const mayNeedEscape = /[^\x20-\x26\x28-\x5b\x5d-\x7e\xa0-\ud7ff\ue000-\uffff]/;
const shortEscapes = { __proto__: null, 8: '\\b', 9: '\\t', 10: '\\n', 12: '\\f', 13: '\\r', 92: '\\\\' };
const kSingleQuote = 39;

const isHighSurrogate = (unit) => unit >= 0xd800 && unit <= 0xdbff;
const isLowSurrogate = (unit) => unit >= 0xdc00 && unit <= 0xdfff;

/// Escapes what would not survive between quotes. The single quote only if `escapeSingleQuote`.
function escapeText(text, escapeSingleQuote) {
  let escaped = '';
  let copied = 0; // everything before this index is in `escaped`
  for (let i = 0; i < text.length; i++) {
    const unit = StringPrototypeCharCodeAt(text, i);
    let replacement;
    if (unit < 0x20 || unit === 0x5c || (unit >= 0x7f && unit <= 0x9f)) {
      replacement = shortEscapes[unit] ??
        `\\x${StringPrototypePadStart(StringPrototypeToUpperCase(NumberPrototypeToString(unit, 16)), 2, '0')}`;
    } else if (unit === kSingleQuote && escapeSingleQuote) {
      replacement = "\\'";
    } else if (isHighSurrogate(unit) && isLowSurrogate(StringPrototypeCharCodeAt(text, i + 1))) {
      i++;
      continue;
    } else if (isHighSurrogate(unit) || isLowSurrogate(unit)) {
      replacement = `\\u${NumberPrototypeToString(unit, 16)}`;
    } else {
      continue;
    }
    escaped += StringPrototypeSlice(text, copied, i) + replacement;
    copied = i + 1;
  }
  return escaped + StringPrototypeSlice(text, copied);
}

/// The text as a string literal, in the first kind of quotes that spares an escape: '', "", ``.
function quote(text) {
  if (RegExpPrototypeExec(mayNeedEscape, text) === null) return `'${text}'`;
  let mark = "'";
  if (StringPrototypeIncludes(text, "'")) {
    if (!StringPrototypeIncludes(text, '"')) mark = '"';
    else if (!StringPrototypeIncludes(text, '`') && !StringPrototypeIncludes(text, '${')) mark = '`';
  }
  return mark + escapeText(text, mark === "'") + mark;
}

// Underscores every three digits, counted from the right end.
function groupInteger(digits) {
  const first = digits[0] === '-' ? 1 : 0;
  let grouped = '';
  let end = digits.length;
  for (; end - 3 > first; end -= 3) grouped = `_${StringPrototypeSlice(digits, end - 3, end)}${grouped}`;
  return StringPrototypeSlice(digits, 0, end) + grouped;
}

// Underscores every three digits, counted from the left end.
function groupFraction(digits) {
  let grouped = StringPrototypeSlice(digits, 0, 3);
  for (let i = 3; i < digits.length; i += 3) grouped += `_${StringPrototypeSlice(digits, i, i + 3)}`;
  return grouped;
}

function numberText(number, separateThousands) {
  if (ObjectIs(number, -0)) return '-0';
  const text = `${number}`;
  if (!separateThousands || !NumberIsFinite(number) || StringPrototypeIncludes(text, 'e')) return text;
  if (MathTrunc(number) === number) return groupInteger(text);
  const point = StringPrototypeIndexOf(text, '.');
  return `${groupInteger(StringPrototypeSlice(text, 0, point))}.${groupFraction(StringPrototypeSlice(text, point + 1))}`;
}

function bigintText(bigint, separateThousands) {
  const text = `${bigint}`;
  return `${separateThousands ? groupInteger(text) : text}n`;
}

/// Splits at line feeds; the pieces keep theirs if `keepLineFeeds`.
function splitLines(text, keepLineFeeds = false) {
  const lines = new List();
  let start = 0;
  for (;;) {
    const end = StringPrototypeIndexOf(text, '\n', start);
    if (end === -1) break;
    lines.add(StringPrototypeSlice(text, start, keepLineFeeds ? end + 1 : end));
    start = end + 1;
  }
  if (start < text.length || !keepLineFeeds) lines.add(StringPrototypeSlice(text, start));
  return lines;
}

/// Puts `width` blanks after every line feed.
function indentLines(text, width) {
  if (width === 0 || !StringPrototypeIncludes(text, '\n')) return text;
  return splitLines(text).join(`\n${StringPrototypeRepeat(' ', width)}`);
}

const plural = (count, noun) => `${count} ${noun}${count > 1 ? 's' : ''}`;

/// Whether `key` is the canonical text of an array index, and which (-1 if not).
function arrayIndexOf(key) {
  const index = Number(key);
  return index >= 0 && index < 2 ** 32 - 1 && String(MathTrunc(index)) === key ? index : -1;
}

exports.arrayIndexOf = arrayIndexOf;
exports.bigintText = bigintText;
exports.escapeText = escapeText;
exports.indentLines = indentLines;
exports.numberText = numberText;
exports.plural = plural;
exports.quote = quote;
exports.splitLines = splitLines;
