'use strict';
// High Resolution Time (https://w3c.github.io/hr-time/) and User Timing (https://w3c.github.io/user-timing/): the
// `performance` object and its marks and measures.

const {
  DOMException, Stamp, defineInspection, defineInterface, illegalConstructor, invalidThis, isObject, missingArguments, toDictionary,
} = require('dom_exception');
const { codedError, invalidArgType } = require('errors');
const { EventTarget, createEventTarget } = require('events');
const {
  ArrayPrototypeSort, Map, MapPrototypeClear, MapPrototypeDelete, MapPrototypeGet, MapPrototypeSet, NumberIsFinite,
  ObjectDefineProperty, ReflectConstruct, Set, SetPrototypeAdd, SetPrototypeDelete, SetPrototypeForEach, TypeError,
} = require('primordials');

let clone = (value) => value;

/// `structuredClone(value)`, applied to the `detail` of marks and measures.
function setStructuredClone(structuredClone) {
  clone = structuredClone;
}

let isPerformanceEntry;
let entryOf; // the data of an entry, of the given type if one is named, or TypeError

const kCreate = {}; // the first argument that makes the PerformanceEntry constructor legal

class PerformanceEntry {
  #entry;

  constructor() {
    if (arguments[0] !== kCreate) throw illegalConstructor();
    this.#entry = arguments[1];
  }

  static {
    isPerformanceEntry = (value) => isObject(value) && #entry in value;
    entryOf = (value, interfaceName = 'PerformanceEntry', entryType = undefined) => {
      if (!isPerformanceEntry(value)) throw invalidThis(interfaceName);
      const entry = value.#entry;
      if (entryType !== undefined && entry.entryType !== entryType) throw invalidThis(interfaceName);
      return entry;
    };
  }

  get name() {
    return entryOf(this).name;
  }

  get entryType() {
    return entryOf(this).entryType;
  }

  get startTime() {
    return entryOf(this).startTime;
  }

  get duration() {
    return entryOf(this).duration;
  }

  toJSON() {
    return { ...entryOf(this) };
  }
}
defineInterface(PerformanceEntry);
defineInspection(
  PerformanceEntry, (entry) => (isPerformanceEntry(entry) ? { ...entryOf(entry) } : undefined), (entry, name) => `[${name}]`);

class PerformanceMark extends PerformanceEntry {
  constructor(markName, markOptions = undefined) { // eslint-disable-line constructor-super
    if (arguments.length === 0) throw missingArguments('"name" argument');
    return createMark(markName, markOptions, new.target);
  }

  get detail() {
    return entryOf(this, 'PerformanceMark', 'mark').detail;
  }
}
defineInterface(PerformanceMark);

class PerformanceMeasure extends PerformanceEntry {
  constructor() { // eslint-disable-line constructor-super
    throw illegalConstructor();
  }

  get detail() {
    return entryOf(this, 'PerformanceMeasure', 'measure').detail;
  }
}
defineInterface(PerformanceMeasure);

function createEntry(Interface, name, entryType, startTime, duration, detail) {
  return ReflectConstruct(PerformanceEntry, [kCreate, { name, entryType, startTime, duration, detail }], Interface);
}

function createMark(markName, markOptions, Interface) {
  const name = `${markName}`;
  const { detail, startTime } = toDictionary(markOptions, 'options');
  const start = startTime === undefined ? native.now() : toTimestamp(startTime, 'options.startTime');
  return createEntry(Interface, name, 'mark', start, 0, cloneDetail(detail));
}

const cloneDetail = (detail) => (detail === undefined || detail === null ? null : clone(detail));

const invalidTimestamp = (time) => codedError(TypeError, 'ERR_PERFORMANCE_INVALID_TIMESTAMP', `${time} is not a valid timestamp`);

function toDouble(value, name) {
  const number = +value;
  if (!NumberIsFinite(number)) throw invalidArgType(name, 'a finite number', value);
  return number;
}

function toTimestamp(value, name) {
  const time = toDouble(value, name);
  if (time < 0) throw invalidTimestamp(time);
  return time;
}

/// (DOMString or double): a time or the name of a mark.
function toMark(value, name) {
  if (value === undefined) return undefined;
  return typeof value === 'number' ? toDouble(value, name) : `${value}`;
}

// The timeline. Entries stay until the script clears them, as the standard wants.
const entries = new Set();
const lastMarkTimes = new Map(); // name -> start time of the latest mark of that name

/// The time of a mark, given as a time or by name.
function timeOfMark(mark) {
  if (typeof mark === 'number') {
    if (mark < 0) throw invalidTimestamp(mark);
    return mark;
  }
  const time = MapPrototypeGet(lastMarkTimes, mark);
  if (time === undefined) throw new DOMException(`The "${mark}" performance mark has not been set`, 'SyntaxError');
  return time;
}

const invalidMeasure = (message) => codedError(TypeError, 'ERR_PERFORMANCE_MEASURE_INVALID_OPTIONS', message, invalidMeasure);

const isGiven = (value) => value !== undefined;

/// The members of a measure's options, read in Web IDL's order.
function toMeasureOptions(value) {
  const dictionary = toDictionary(value, 'options');
  const { detail } = dictionary;
  const duration = dictionary.duration === undefined ? undefined : toDouble(dictionary.duration, 'options.duration');
  const end = toMark(dictionary.end, 'options.end');
  const start = toMark(dictionary.start, 'options.start');
  return { detail, duration, end, start };
}

/// Start, end and detail of a measure in the forms (), (start), (start, end) and (options).
function readMeasure(startOrOptions, endMark) {
  const isOptions = startOrOptions === undefined || startOrOptions === null || isObject(startOrOptions);
  const { detail, duration, end, start } = isOptions ? toMeasureOptions(startOrOptions) : { start: `${startOrOptions}` };
  const lastMark = endMark === undefined ? undefined : `${endMark}`;

  if (isOptions && (isGiven(detail) || isGiven(duration) || isGiven(end) || isGiven(start))) {
    if (isGiven(lastMark)) throw invalidMeasure('endMark must not be specified');
    // With nothing but a detail the standard throws too; Node measures from the time origin to now, which harms nobody.
    if (isGiven(duration) && !isGiven(start) && !isGiven(end)) {
      throw invalidMeasure('One of options.start or options.end is required');
    }
    if (isGiven(duration) && isGiven(start) && isGiven(end)) {
      throw invalidMeasure('Must not have options.start, options.end, and options.duration specified');
    }
  }

  let endTime;
  if (isGiven(lastMark ?? end)) endTime = timeOfMark(lastMark ?? end);
  else if (isGiven(start) && isGiven(duration)) endTime = timeOfMark(start) + duration;
  else endTime = native.now();

  let startTime = 0;
  if (isGiven(start)) startTime = timeOfMark(start);
  else if (isGiven(duration)) startTime = endTime - duration;
  return { startTime, endTime, detail };
}

/// The entries `accept(entry data)` wants, oldest start first; equal starts in the order they were made.
function selectEntries(accept) {
  const selected = [];
  SetPrototypeForEach(entries, (entry) => {
    if (!accept(entryOf(entry))) return;
    // Defined, not assigned: a script may have put a setter on Array.prototype.
    ObjectDefineProperty(selected, selected.length, {
      __proto__: null, value: entry, writable: true, enumerable: true, configurable: true,
    });
  });
  return ArrayPrototypeSort(selected, (a, b) => entryOf(a).startTime - entryOf(b).startTime);
}

function clearEntries(entryType, name) {
  SetPrototypeForEach(entries, (entry) => {
    const data = entryOf(entry);
    if (data.entryType === entryType && (name === undefined || data.name === name)) SetPrototypeDelete(entries, entry);
  });
}

class PerformanceSlot extends Stamp {
  #brand; // eslint-disable-line no-unused-private-class-members

  static isOn(value) {
    return isObject(value) && #brand in value;
  }
}

const isPerformance = PerformanceSlot.isOn;

function check(receiver) {
  if (!isPerformance(receiver)) throw invalidThis('Performance');
}

class Performance extends EventTarget {
  constructor() { // eslint-disable-line constructor-super
    throw illegalConstructor();
  }

  now() {
    check(this);
    return native.now();
  }

  get timeOrigin() {
    check(this);
    return native.timeOrigin;
  }

  toJSON() {
    check(this);
    return { timeOrigin: native.timeOrigin };
  }

  getEntries() {
    check(this);
    return selectEntries(() => true);
  }

  getEntriesByType(type) {
    check(this);
    if (arguments.length === 0) throw missingArguments('"type" argument');
    const entryType = `${type}`;
    return selectEntries((entry) => entry.entryType === entryType);
  }

  getEntriesByName(name, type = undefined) {
    check(this);
    if (arguments.length === 0) throw missingArguments('"name" argument');
    const entryName = `${name}`;
    const entryType = type === undefined ? undefined : `${type}`;
    return selectEntries((entry) => entry.name === entryName && (entryType === undefined || entry.entryType === entryType));
  }

  mark(markName, markOptions = undefined) {
    check(this);
    if (arguments.length === 0) throw missingArguments('"name" argument');
    const mark = createMark(markName, markOptions, PerformanceMark);
    const { name, startTime } = entryOf(mark);
    SetPrototypeAdd(entries, mark);
    MapPrototypeSet(lastMarkTimes, name, startTime);
    return mark;
  }

  clearMarks(markName = undefined) {
    check(this);
    const name = markName === undefined ? undefined : `${markName}`;
    clearEntries('mark', name);
    if (name === undefined) MapPrototypeClear(lastMarkTimes);
    else MapPrototypeDelete(lastMarkTimes, name);
  }

  measure(measureName, startOrMeasureOptions = undefined, endMark = undefined) {
    check(this);
    if (arguments.length === 0) throw missingArguments('"name" argument');
    const name = `${measureName}`;
    const { startTime, endTime, detail } = readMeasure(startOrMeasureOptions, endMark);
    const measure = createEntry(PerformanceMeasure, name, 'measure', startTime, endTime - startTime, cloneDetail(detail));
    SetPrototypeAdd(entries, measure);
    return measure;
  }

  clearMeasures(measureName = undefined) {
    check(this);
    clearEntries('measure', measureName === undefined ? undefined : `${measureName}`);
  }

  /// Nothing here loads resources, so there is never one to forget.
  clearResourceTimings() {
    check(this);
  }
}
defineInterface(Performance);
defineInspection(
  Performance, (value) => (isPerformance(value) ? { timeOrigin: native.timeOrigin } : undefined), (value, name) => `[${name}]`);

const performance = createEventTarget(Performance);
new PerformanceSlot(performance);

exports.Performance = Performance;
exports.PerformanceEntry = PerformanceEntry;
exports.PerformanceMark = PerformanceMark;
exports.PerformanceMeasure = PerformanceMeasure;
exports.isPerformance = isPerformance;
exports.isPerformanceEntry = isPerformanceEntry;
exports.performance = performance;
exports.setStructuredClone = setStructuredClone;
