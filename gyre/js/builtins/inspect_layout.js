'use strict';
// From formatted entries to one text: on one line if it is short and shallow, long arrays in columns, otherwise an
// entry a line.
//
// The rule for one line (numeric `compact`, 3 by default): fewer than `compact` levels of containers are printed below
// this one, counted along the container formatted last; no entry has a line feed; and everything fits in
// `breakLength` less a margin of 10.

const {
  MathFloor, MathMax, MathMin, MathRound, MathSqrt, ObjectGetOwnPropertyDescriptor, StringPrototypeIncludes, StringPrototypePadEnd,
  StringPrototypePadStart, StringPrototypeRepeat, TypedArrayPrototypeGetSymbolToStringTag,
} = require('primordials');
const { List } = require('inspect_list');
const { stripColors, textWidth } = require('inspect_width');

const kMargin = 10;
const kMinEntriesForColumns = 7;
const kMaxColumns = 15;
const kColumnsPerCompact = 4;
const kCharacterAspect = 2.5; // a character is about this many times as high as wide; columns aim at a square
const kSeparatorWidth = 2; // comma and blank

function visibleLength(context, text) {
  return context.colors ? stripColors(text).length : text.length;
}

function fitsOnOneLine(context, entries, start, base) {
  let total = entries.length + start;
  if (total + entries.length > context.breakLength) return false;
  for (let i = 0; i < entries.length; i++) {
    total += visibleLength(context, entries[i]);
    if (total > context.breakLength) return false;
  }
  return !StringPrototypeIncludes(base, '\n');
}

// Numbers read best aligned at the right. Reads elements without running accessors.
function holdsOnlyNumbers(array, count) {
  const isTypedArray = TypedArrayPrototypeGetSymbolToStringTag(array) !== undefined;
  for (let i = 0; i < count; i++) {
    const type = typeof (isTypedArray ? array[i] : ObjectGetOwnPropertyDescriptor(array, i)?.value);
    if (type !== 'number' && type !== 'bigint') return false;
  }
  return true;
}

function countColumns(context, entryCount, groupedCount, totalWidth, columnWidth) {
  const bias = MathSqrt(columnWidth - totalWidth / entryCount);
  const biasedWidth = MathMax(columnWidth - 3 - bias, 1);
  return MathMin(
    MathRound(MathSqrt(kCharacterAspect * biasedWidth * groupedCount) / biasedWidth),
    MathFloor((context.breakLength - context.indentation) / columnWidth),
    context.compact * kColumnsPerCompact,
    kMaxColumns,
  );
}

/// The entries of an array joined to rows of columns, or `entries` itself where columns would not help.
function intoColumns(context, entries, array) {
  // The last entry of a cut array ("... 5 more items") stays on a line of its own.
  const isCut = context.maxArrayLength < entries.length;
  const count = isCut ? entries.length - 1 : entries.length;

  const widths = new List();
  let totalWidth = 0;
  let longest = 0;
  for (let i = 0; i < count; i++) {
    const width = textWidth(entries[i]);
    widths.add(width);
    totalWidth += width + kSeparatorWidth;
    longest = MathMax(longest, width);
  }
  const columnWidth = longest + kSeparatorWidth;
  if (columnWidth * 3 + context.indentation >= context.breakLength) return entries;
  if (totalWidth / columnWidth <= 5 && longest > 6) return entries;
  const columns = countColumns(context, entries.length, count, totalWidth, columnWidth);
  if (columns <= 1) return entries;

  const columnWidths = new List();
  for (let column = 0; column < columns; column++) {
    let width = 0;
    for (let i = column; i < count; i += columns) width = MathMax(width, widths[i]);
    columnWidths.add(width + kSeparatorWidth);
  }

  const alignRight = array === undefined || holdsOnlyNumbers(array, entries.length);
  const rows = new List();
  for (let first = 0; first < count; first += columns) {
    const last = MathMin(first + columns, count) - 1;
    let row = '';
    for (let i = first; i < last; i++) {
      // Padding counts characters; wide characters and colours make the two measures differ.
      const padded = columnWidths[i - first] + entries[i].length - widths[i];
      row += (alignRight ? StringPrototypePadStart : StringPrototypePadEnd)(`${entries[i]}, `, padded);
    }
    const padded = columnWidths[last - first] + entries[last].length - widths[last] - kSeparatorWidth;
    rows.add(row + (alignRight ? StringPrototypePadStart(entries[last], padded) : entries[last]));
  }
  if (isCut) rows.add(entries[count]);
  return rows;
}

// `compact: true`: everything on one line if it fits, else the first entry beside the brace.
function layOutCompact(context, entries, base, open, close) {
  if (fitsOnOneLine(context, entries, 0, base)) {
    return `${open}${base === '' ? '' : ` ${base}`} ${entries.join(', ')} ${close}`;
  }
  const lineStart = `\n${StringPrototypeRepeat(' ', context.indentation)}`;
  const firstStart = base === '' && open.length === 1 ? ' ' : `${base === '' ? '' : ` ${base}`}${lineStart}  `;
  return `${open}${firstStart}${entries.join(`,${lineStart}  `)} ${close}`;
}

/// Joins `entries` between `open` and `close`, with `base` (an error's stack, a function's name ...) before them.
/// `level` is the container's depth; `isArray` allows columns, `array` is its value where there is one.
function layOut(context, entries, base, open, close, level, isArray = false, array = undefined) {
  const { compact } = context;
  if (compact === true) return layOutCompact(context, entries, base, open, close);

  const prefix = base === '' ? open : `${base} ${open}`;
  if (typeof compact === 'number' && compact >= 1) {
    const entryCount = entries.length;
    if (isArray && entryCount >= kMinEntriesForColumns) entries = intoColumns(context, entries, array);
    if (context.deepestLevel - level < compact && entries.length === entryCount) {
      const start = entries.length + context.indentation + open.length + base.length + kMargin;
      if (fitsOnOneLine(context, entries, start, base)) {
        const joined = entries.join(', ');
        if (!StringPrototypeIncludes(joined, '\n')) return `${prefix} ${joined} ${close}`;
      }
    }
  }
  const lineStart = `\n${StringPrototypeRepeat(' ', context.indentation)}`;
  return `${prefix}${lineStart}  ${entries.join(`,${lineStart}  `)}${lineStart}${close}`;
}

exports.layOut = layOut;
exports.visibleLength = visibleLength;
