'use strict';
// The entries of what holds other values: arrays, typed arrays, maps, sets, their iterators, buffers, promises. Each
// function returns a List of formatted entries, cut at `maxArrayLength`.

const {
  ArrayBufferPrototypeGetByteLength, MathMax, MathMin, NumberPrototypeToString, ObjectGetOwnPropertyDescriptor, ObjectGetPrototypeOf,
  ObjectKeys, ObjectPrototypeHasOwnProperty, MapPrototypeEntries, MapPrototypeGetSize, SetPrototypeGetSize,
  SetPrototypeValues, SharedArrayBufferPrototypeGetByteLength, StringPrototypePadStart, TypedArrayPrototypeGetLength, Uint8Array,
  uncurryThis, Map, Set,
} = require('primordials');
const { List } = require('inspect_list');
const { arrayIndexOf, bigintText, numberText, plural } = require('inspect_text');
const { layOut } = require('inspect_layout');

// Built-ins are loaded before any script: these are the engine's own.
const nextOfMap = uncurryThis(ObjectGetPrototypeOf(MapPrototypeEntries(new Map())).next);
const nextOfSet = uncurryThis(ObjectGetPrototypeOf(SetPrototypeValues(new Set())).next);

const kHolesLookedAt = 1000;

const limitOf = (context, length) => MathMin(MathMax(0, context.maxArrayLength), length);

function addRemainder(entries, remaining, noun = 'item') {
  if (remaining > 0) entries.add(`... ${plural(remaining, `more ${noun}`)}`);
  return entries;
}

// The next index from `start` on that `array` has. Long gaps are looked up in its keys; calls share them by `memory`.
function nextIndex(array, start, memory) {
  const end = MathMin(array.length, start + kHolesLookedAt);
  for (let i = start; i < end; i++) {
    if (ObjectPrototypeHasOwnProperty(array, i)) return i;
  }
  if (end === array.length) return end;
  memory.keys ??= ObjectKeys(array); // ascending indices first
  for (let i = memory.next; i < memory.keys.length; i++) {
    const index = arrayIndexOf(memory.keys[i]);
    if (index === -1) break;
    if (index >= start) {
      memory.next = i;
      return index;
    }
  }
  memory.next = memory.keys.length;
  return array.length;
}

function arrayEntries(context, array, level) {
  const { length } = array;
  const limit = limitOf(context, length);
  const entries = new List();
  const memory = { __proto__: null, keys: undefined, next: 0 };
  let index = 0;
  while (index < length && entries.length < limit) {
    const descriptor = ObjectGetOwnPropertyDescriptor(array, index);
    if (descriptor === undefined) {
      const next = nextIndex(array, index, memory);
      entries.add(context.stylize(`<${plural(next - index, 'empty item')}>`, 'undefined'));
      index = next;
    } else {
      entries.add(context.printer.formatElement(context, array, level, index, descriptor));
      index++;
    }
  }
  return addRemainder(entries, length - index);
}

function typedArrayEntries(context, array) {
  const length = TypedArrayPrototypeGetLength(array);
  const limit = limitOf(context, length);
  const entries = new List();
  for (let i = 0; i < limit; i++) {
    const element = array[i];
    entries.add(typeof element === 'number' ? context.stylize(numberText(element, context.numericSeparator), 'number') :
      context.stylize(bigintText(element, context.numericSeparator), 'bigint'));
  }
  return addRemainder(entries, length - limit);
}

function setEntries(context, set, level) {
  const size = SetPrototypeGetSize(set);
  const limit = limitOf(context, size);
  const entries = new List();
  const iterator = SetPrototypeValues(set);
  for (let i = 0; i < limit; i++) {
    const { value, done } = nextOfSet(iterator);
    if (done) break; // a custom inspect function took entries out
    entries.add(context.formatIndented(value, level));
  }
  return addRemainder(entries, size - limit);
}

const formatPair = (context, key, value, level) => `${context.formatIndented(key, level)} => ${context.formatIndented(value, level)}`;

function mapEntries(context, map, level) {
  const size = MapPrototypeGetSize(map);
  const limit = limitOf(context, size);
  const entries = new List();
  const iterator = MapPrototypeEntries(map);
  for (let i = 0; i < limit; i++) {
    const { value: pair, done } = nextOfMap(iterator);
    if (done) break; // as above
    entries.add(formatPair(context, pair[0], pair[1], level));
  }
  return addRemainder(entries, size - limit);
}

/// What an iterator over a Map or Set has still to give; it is not advanced.
function iteratorEntries(context, preview, level) {
  const values = preview[0];
  const step = preview[1] ? 2 : 1;
  const length = values.length / step;
  const limit = limitOf(context, length);
  const entries = new List();
  context.indentation += 2;
  for (let i = 0; i < limit; i++) {
    const { formatValue } = context.printer;
    if (step === 1) {
      entries.add(formatValue(context, values[i], level));
    } else {
      const pair = new List();
      pair.add(formatValue(context, values[i * 2], level));
      pair.add(formatValue(context, values[i * 2 + 1], level));
      entries.add(layOut(context, pair, '', '[', ']', level, true));
    }
  }
  context.indentation -= 2;
  return addRemainder(entries, length - limit);
}

/// Weak collections have no order, so their entries are sorted by text to be the same every time.
function weakEntries(context, collection, level) {
  const entries = new List();
  if (!context.showHidden) {
    entries.add(context.stylize('<items unknown>', 'special'));
    return entries;
  }
  const { 0: values, 1: isKeyValue } = native.previewEntries(collection);
  const step = isKeyValue ? 2 : 1;
  const length = values.length / step;
  const limit = limitOf(context, length);
  for (let i = 0; i < limit; i++) {
    entries.add(isKeyValue ? formatPair(context, values[i * 2], values[i * 2 + 1], level) : context.formatIndented(values[i], level));
  }
  if (!context.sorted) entries.sort();
  return addRemainder(entries, length - limit);
}

function bufferEntries(context, buffer, kind) {
  const entries = new List();
  const length = kind === 'ArrayBuffer' ? ArrayBufferPrototypeGetByteLength(buffer) : SharedArrayBufferPrototypeGetByteLength(buffer);
  const limit = limitOf(context, length);
  let bytes;
  try {
    bytes = new Uint8Array(buffer, 0, limit);
  } catch {
    entries.add(context.stylize('(detached)', 'special'));
    return entries;
  }
  let text = '';
  for (let i = 0; i < limit; i++) text += `${i === 0 ? '' : ' '}${StringPrototypePadStart(NumberPrototypeToString(bytes[i], 16), 2, '0')}`;
  if (length > limit) text += ` ... ${plural(length - limit, 'more byte')}`;
  entries.add(`${context.stylize('[Uint8Contents]', 'special')}: <${text}>`);
  return entries;
}

const kPending = 0;
const kRejected = 2;

function promiseEntries(context, promise, level) {
  const entries = new List();
  const { 0: state, 1: result } = native.promiseDetails(promise);
  if (state === kPending) {
    entries.add(context.stylize('<pending>', 'special'));
    return entries;
  }
  const text = context.formatIndented(result, level);
  entries.add(state === kRejected ? `${context.stylize('<rejected>', 'special')} ${text}` : text);
  return entries;
}

exports.arrayEntries = arrayEntries;
exports.bufferEntries = bufferEntries;
exports.iteratorEntries = iteratorEntries;
exports.mapEntries = mapEntries;
exports.promiseEntries = promiseEntries;
exports.setEntries = setEntries;
exports.typedArrayEntries = typedArrayEntries;
exports.weakEntries = weakEntries;
