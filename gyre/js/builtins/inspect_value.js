'use strict';
// Formats any value. Primitives become their text; an object becomes a List of entries that the layout joins.
//
// Proxies are looked through by the engine's own means, so that no trap runs. What may run is a custom inspect function,
// a Symbol.toStringTag or `name` accessor, Symbol.hasInstance, and with `getters` the accessors.

const {
  ArrayIsArray, BigIntPrototypeValueOf, BooleanPrototypeValueOf, DatePrototypeGetTime, DatePrototypeToISOString,
  FunctionPrototypeSymbolHasInstance, MapPrototypeGetSize, NumberIsNaN, NumberPrototypeValueOf, Object,
  ObjectGetOwnPropertyDescriptor, ObjectGetOwnPropertyNames, ObjectGetOwnPropertySymbols, ObjectKeys,
  ObjectPrototypePropertyIsEnumerable, ObjectSetPrototypeOf, RangeErrorPrototype, ReflectApply, ReflectGetPrototypeOf,
  RegExpPrototypeGetDotAll, RegExpPrototypeGetGlobal, RegExpPrototypeGetHasIndices, RegExpPrototypeGetIgnoreCase,
  RegExpPrototypeGetMultiline, RegExpPrototypeGetSource, RegExpPrototypeGetSticky, RegExpPrototypeGetUnicode,
  RegExpPrototypeGetUnicodeSets, SetPrototypeGetSize, StringPrototypeRepeat, StringPrototypeSlice, StringPrototypeToLowerCase,
  StringPrototypeValueOf, SymbolFor, SymbolIterator, SymbolPrototypeValueOf, TypedArrayPrototypeGetLength,
  TypedArrayPrototypeGetSymbolToStringTag,
} = require('primordials');
const { List, listOf } = require('inspect_list');
const { indentLines } = require('inspect_text');
const { Context, stylizePlain } = require('inspect_context');
const { layOut } = require('inspect_layout');
const { factNames, formatElement, formatFact, formatKey, formatPrimitive, formatProperty } = require('inspect_property');
const { constructorName, functionText, plainPrefixOf, prefixOf, tagOf } = require('inspect_names');
const { errorKeys, errorText, isError } = require('inspect_error');
const collections = require('inspect_collections');

const customInspect = SymbolFor('nodejs.util.inspect.custom');

function ownKeys(object, showHidden) {
  const symbols = ObjectGetOwnPropertySymbols(object);
  if (!showHidden && symbols.length === 0) return enumerableNames(object);
  const keys = listOf(showHidden ? ObjectGetOwnPropertyNames(object) : enumerableNames(object));
  for (let i = 0; i < symbols.length; i++) {
    if (showHidden || ObjectPrototypePropertyIsEnumerable(object, symbols[i])) keys.add(symbols[i]);
  }
  return keys;
}

function enumerableNames(object) {
  try {
    return ObjectKeys(object);
  } catch {
    return ObjectGetOwnPropertyNames(object); // a module namespace with bindings that are not initialized yet
  }
}

// --- objects ---

const noEntries = () => new List();

// How one object is going to be printed.
class Plan {
  base = ''; // stands before the braces, or alone if there is nothing to put in them
  open = '{';
  close = '}';
  keys = undefined; // own properties to list
  factsOf = undefined; // the kind whose facts are listed
  entries = noEntries;
  isArray = false;
  whole = undefined; // set: this is the text already
}

function planArray(context, array, names, plan) {
  plan.keys = native.nonIndexKeys(array, context.showHidden);
  const plain = names.constructor === 'Array' && names.tag === '';
  plan.open = `${plain ? '' : prefixOf(names.constructor, names.tag, 'Array', `(${array.length})`)}[`;
  plan.close = ']';
  plan.isArray = true;
  plan.entries = collections.arrayEntries;
  if (array.length === 0 && plan.keys.length === 0 && names.hidden.length === 0) plan.whole = `${plan.open}]`;
}

function planTypedArray(context, array, names, plan) {
  const length = TypedArrayPrototypeGetLength(array);
  plan.keys = native.nonIndexKeys(array, context.showHidden);
  plan.open = `${prefixOf(names.constructor, names.tag, TypedArrayPrototypeGetSymbolToStringTag(array), `(${length})`)}[`;
  plan.close = ']';
  plan.isArray = true;
  plan.entries = collections.typedArrayEntries;
  if (context.showHidden) plan.factsOf = 'TypedArray';
  else if (length === 0 && plan.keys.length === 0) plan.whole = `${plan.open}]`;
}

function planMapOrSet(context, collection, kind, names, plan) {
  const size = kind === 'Map' ? MapPrototypeGetSize(collection) : SetPrototypeGetSize(collection);
  const prefix = prefixOf(names.constructor, names.tag, kind, `(${size})`);
  plan.keys = ownKeys(collection, context.showHidden);
  plan.open = `${prefix}{`;
  plan.entries = kind === 'Map' ? collections.mapEntries : collections.setEntries;
  if (size === 0 && plan.keys.length === 0 && names.hidden.length === 0) plan.whole = `${prefix}{}`;
}

function planIterator(context, iterator, kind, names, plan) {
  const type = kind === 'MapIterator' ? 'Map' : 'Set';
  const preview = native.previewEntries(iterator);
  const tag = names.tag === `${type} Iterator` || names.tag === '' ? '' : `[${names.tag}] `;
  plan.keys = ownKeys(iterator, context.showHidden);
  plan.open = `${tag}[${type} ${preview[1] ? 'Entries' : 'Iterator'}] {`;
  plan.entries = (_, __, level) => collections.iteratorEntries(context, preview, level);
}

// `base` alone, if the object has nothing else to show.
function planBase(base, style, context, names, plan) {
  plan.base = base;
  if (plan.keys.length === 0 && names.hidden.length === 0) plan.whole = style === undefined ? base : context.stylize(base, style);
}

// Read flag by flag: RegExp.prototype.toString and `flags` ask properties that a script can replace.
function regexpText(regexp) {
  const flags = (RegExpPrototypeGetHasIndices?.(regexp) ? 'd' : '') + (RegExpPrototypeGetGlobal(regexp) ? 'g' : '') +
    (RegExpPrototypeGetIgnoreCase(regexp) ? 'i' : '') + (RegExpPrototypeGetMultiline(regexp) ? 'm' : '') +
    (RegExpPrototypeGetDotAll(regexp) ? 's' : '') + (RegExpPrototypeGetUnicode(regexp) ? 'u' : '') +
    (RegExpPrototypeGetUnicodeSets?.(regexp) ? 'v' : '') + (RegExpPrototypeGetSticky(regexp) ? 'y' : '');
  return `/${RegExpPrototypeGetSource(regexp)}/${flags}`;
}

// "Class " before what speaks for itself, unless the class is the usual one.
function unusualPrefix(names, usual) {
  const prefix = prefixOf(names.constructor, names.tag, usual);
  return prefix === `${usual} ` ? '' : prefix;
}

const unboxers = {
  __proto__: null,
  NumberObject: NumberPrototypeValueOf,
  StringObject: StringPrototypeValueOf,
  BooleanObject: BooleanPrototypeValueOf,
  BigIntObject: BigIntPrototypeValueOf,
  SymbolObject: SymbolPrototypeValueOf,
};

function planBoxed(context, object, kind, names, plan) {
  const type = StringPrototypeSlice(kind, 0, -'Object'.length);
  let base = `[${type}`;
  if (names.constructor === null) base += ' (null prototype)';
  else if (names.constructor !== type) base += ` (${names.constructor})`;
  const { stylize } = context;
  context.stylize = stylizePlain; // the whole is coloured as one
  base += `: ${formatPrimitive(context, unboxers[kind](object))}]`;
  context.stylize = stylize;
  if (names.tag !== '' && names.tag !== names.constructor) base += ` [${names.tag}]`;
  planBase(base, plan.keys.length === 0 ? StringPrototypeToLowerCase(type) : undefined, context, names, plan);
}

function namespaceEntries(context, namespace, level, plan) {
  const entries = new List();
  for (let i = 0; i < plan.keys.length; i++) {
    const key = plan.keys[i];
    try {
      entries.add(formatProperty(context, namespace, level, key, ObjectGetOwnPropertyDescriptor(namespace, key)));
    } catch {
      entries.add(`${formatKey(context, key, true)}: ${context.stylize('<uninitialized>', 'special')}`);
    }
  }
  plan.keys = [];
  return entries;
}

function planOther(context, object, kind, names, plan) {
  if (plan.keys.length !== 0 || names.hidden.length !== 0) plan.open = `${plainPrefixOf(object, names.constructor, names.tag)}{`;
  else if (kind === 'External') plan.whole = context.stylize('[External]', 'special');
  else plan.whole = `${plainPrefixOf(object, names.constructor, names.tag)}{}`;
}

// Objects that cannot be iterated.
function planByKind(context, object, kind, names, plan, level, insideTypedArray) {
  const { constructor, tag, hidden } = names;
  // The characters of a boxed string are its indices; they are not worth printing again.
  plan.keys = kind === 'StringObject' ? native.nonIndexKeys(object, context.showHidden) : ownKeys(object, context.showHidden);
  if (typeof object === 'function') {
    planBase(functionText(object, kind, constructor, tag), 'special', context, names, plan);
  } else if (kind === 'Arguments') {
    plan.open = `${constructor === 'Object' ? '[Arguments] ' : prefixOf(constructor, tag, 'Arguments')}{`;
    if (plan.keys.length === 0 && hidden.length === 0) plan.whole = `${plan.open}}`;
  } else if (constructor === 'Object') {
    if (tag !== '') plan.open = `${prefixOf(constructor, tag, 'Object')}{`;
    if (plan.keys.length === 0 && hidden.length === 0) plan.whole = `${plan.open}}`;
  } else if (kind === 'RegExp') {
    planBase(unusualPrefix(names, 'RegExp') + regexpText(object), 'regexp', context, names, plan);
    if (context.tooDeep(level)) plan.whole = context.stylize(plan.base, 'regexp');
  } else if (kind === 'Date') {
    const text = NumberIsNaN(DatePrototypeGetTime(object)) ? 'Invalid Date' : DatePrototypeToISOString(object);
    planBase(unusualPrefix(names, 'Date') + text, 'date', context, names, plan);
  } else if (isError(object, kind)) {
    plan.keys = errorKeys(context, object, plan.keys);
    planBase(errorText(context, object, constructor, tag), undefined, context, names, plan);
  } else if (kind === 'ArrayBuffer' || kind === 'SharedArrayBuffer') {
    plan.open = `${prefixOf(constructor, tag, kind)}{`;
    // The bytes of a typed array's buffer have just been printed as elements.
    if (insideTypedArray) {
      if (plan.keys.length === 0 && hidden.length === 0) {
        plan.whole = `${plan.open} ${formatFact(context, object, kind, level, 'byteLength')} }`;
      }
    } else {
      plan.entries = (_, buffer) => collections.bufferEntries(context, buffer, kind);
    }
    plan.factsOf = kind;
  } else if (kind === 'DataView') {
    plan.open = `${prefixOf(constructor, tag, kind)}{`;
    plan.factsOf = kind;
  } else if (kind === 'Promise') {
    plan.open = `${prefixOf(constructor, tag, kind)}{`;
    plan.entries = collections.promiseEntries;
  } else if (kind === 'WeakSet' || kind === 'WeakMap') {
    plan.open = `${prefixOf(constructor, tag, kind)}{`;
    plan.entries = collections.weakEntries;
  } else if (kind === 'ModuleNamespace') {
    plan.open = `${prefixOf(constructor, tag, 'Module')}{`;
    plan.entries = namespaceEntries;
  } else if (unboxers[kind] !== undefined) {
    planBoxed(context, object, kind, names, plan);
  } else {
    planOther(context, object, kind, names, plan);
  }
}

const noProperties = [];

function makePlan(context, object, kind, level, insideTypedArray) {
  const plan = new Plan();
  const hidden = context.showHidden && !context.tooDeep(level) ? new List() : undefined;
  const constructor = constructorName(context, object, level, hidden);
  const names = { __proto__: null, constructor, tag: tagOf(context, object), hidden: hidden ?? noProperties };
  // An array or map that lost its iterator with its prototype is printed like any object; without prototype, as it is.
  if (constructor === null || SymbolIterator in object) {
    if (ArrayIsArray(object)) planArray(context, object, names, plan);
    else if (kind === 'Map' || kind === 'Set') planMapOrSet(context, object, kind, names, plan);
    else if (kind === 'TypedArray') planTypedArray(context, object, names, plan);
    else if (kind === 'MapIterator' || kind === 'SetIterator') planIterator(context, object, kind, names, plan);
  }
  if (plan.keys === undefined) planByKind(context, object, kind, names, plan, level, insideTypedArray);
  if (plan.whole !== undefined) return plan.whole;
  if (context.tooDeep(level)) {
    const name = StringPrototypeSlice(plainPrefixOf(object, constructor, names.tag), 0, -1);
    return context.stylize(constructor === null ? name : `[${name}]`, 'special');
  }
  return formatPlan(context, object, plan, names, level + 1);
}

function isStackOverflow(error) {
  return typeof error === 'object' && error !== null && ReflectGetPrototypeOf(error) === RangeErrorPrototype &&
    ObjectGetOwnPropertyDescriptor(error, 'message')?.value === 'Maximum call stack size exceeded';
}

// Entries, facts, own properties, then properties of prototypes.
function collectEntries(context, object, plan, hidden, level) {
  const entries = plan.entries(context, object, level, plan);
  if (plan.factsOf !== undefined) {
    const names = factNames(plan.factsOf);
    for (let i = 0; i < names.length; i++) entries.add(formatFact(context, object, plan.factsOf, level, names[i]));
  }
  for (let i = 0; i < plan.keys.length; i++) {
    const key = plan.keys[i];
    const descriptor = ObjectGetOwnPropertyDescriptor(object, key);
    if (descriptor !== undefined) entries.add(formatProperty(context, object, level, key, descriptor));
  }
  entries.addAll(hidden);
  return entries;
}

function formatPlan(context, object, plan, names, level) {
  const { indentation } = context;
  context.seen.add(object);
  context.deepestLevel = level;
  let entries;
  try {
    entries = collectEntries(context, object, plan, names.hidden, level);
  } catch (error) {
    if (!isStackOverflow(error)) throw error;
    context.seen.removeLast();
    context.indentation = indentation;
    const name = StringPrototypeSlice(plainPrefixOf(object, names.constructor, names.tag), 0, -1);
    return context.stylize(`[${name}: Inspection interrupted prematurely. Maximum call stack size exceeded.]`, 'special');
  }
  const reference = context.circular?.get(object);
  if (reference !== undefined) {
    const mark = context.stylize(`<ref *${reference}>`, 'special');
    if (context.compact === true) plan.open = `${mark} ${plan.open}`;
    else plan.base = plan.base === '' ? mark : `${mark} ${plan.base}`;
  }
  context.seen.removeLast();
  if (context.sorted) sortEntries(context, entries, plan);

  const array = plan.isArray ? object : undefined;
  const text = layOut(context, entries, plan.base, plan.open, plan.close, level, plan.isArray, array);
  context.account(text.length);
  return text;
}

// Elements of an array keep their order, its other properties are sorted.
function sortEntries(context, entries, plan) {
  const compare = context.sorted === true ? undefined : context.sorted;
  if (!plan.isArray) {
    entries.sort(compare);
  } else if (plan.keys.length > 1) {
    const start = entries.length - plan.keys.length;
    const sorted = entries.slice(start, entries.length).sort(compare);
    for (let i = 0; i < sorted.length; i++) entries[start + i] = sorted[i];
  }
}

// --- any value ---

function formatProxy(context, details, level) {
  if (context.tooDeep(level)) return context.stylize('Proxy [Array]', 'special');
  const parts = new List();
  context.deepestLevel = level + 1;
  parts.add(context.formatIndented(details[0], level + 1));
  parts.add(context.formatIndented(details[1], level + 1));
  return layOut(context, parts, '', 'Proxy [', ']', level + 1, true);
}

// The object's own way to be inspected, if it has one. The prototype of a class is not an instance of it.
function customInspectOf(context, object) {
  if (!context.customInspect) return undefined;
  const custom = object[customInspect];
  if (typeof custom !== 'function' || custom === inspect) return undefined;
  const constructor = ObjectGetOwnPropertyDescriptor(object, 'constructor')?.value;
  return constructor?.prototype === object ? undefined : custom;
}

// Options for a custom inspect function. One from elsewhere (another global, behind a proxy) gets nothing by which
// it could reach the intrinsics of this one.
function optionsFor(context, isForeign) {
  const options = { ...context.options(), ...context.userOptions };
  if (!isForeign) return options;
  ObjectSetPrototypeOf(options, null);
  const { stylize } = context;
  options.stylize = ObjectSetPrototypeOf((text, style) => {
    let result;
    try {
      result = `${stylize(text, style)}`;
    } catch {
      // the text is given back as it came
    }
    return typeof result === 'string' ? result : text;
  }, null);
  return options;
}

function formatCustom(context, custom, receiver, isProxy, level) {
  const depth = context.depth === null ? null : context.depth - level;
  const isForeign = isProxy || !FunctionPrototypeSymbolHasInstance(Object, receiver);
  const result = ReflectApply(custom, receiver, [depth, optionsFor(context, isForeign), inspect]);
  if (result === receiver) return undefined;
  return typeof result === 'string' ? indentLines(result, context.indentation) : formatValue(context, result, level);
}

function formatObject(context, value, level, insideTypedArray) {
  let target = value;
  let kind = native.kindOf(target);
  let proxies = 0;
  while (kind === 'Proxy') {
    const details = native.proxyDetails(target);
    if (details[0] === null) {
      target = null;
      break;
    }
    if (context.showProxy) return formatProxy(context, details, level);
    target = details[0];
    kind = native.kindOf(target);
    proxies++;
  }

  let text;
  if (target === null) {
    text = context.stylize('<Revoked Proxy>', 'special');
  } else {
    const custom = customInspectOf(context, target);
    if (custom !== undefined) {
      const own = formatCustom(context, custom, value, proxies !== 0, level);
      if (own !== undefined) return own;
    }
    text = context.seen.indexOf(target) !== -1 ? context.stylize(`[Circular *${context.referenceTo(target)}]`, 'special') :
      makePlan(context, target, kind, level, insideTypedArray);
  }
  if (proxies === 0) return text;
  return context.stylize(StringPrototypeRepeat('Proxy(', proxies), 'special') + text +
    context.stylize(StringPrototypeRepeat(')', proxies), 'special');
}

function formatValue(context, value, level, insideTypedArray = false) {
  if (typeof value === 'object') {
    return value === null ? context.stylize('null', 'null') : formatObject(context, value, level, insideTypedArray);
  }
  return typeof value === 'function' ? formatObject(context, value, level, insideTypedArray) : formatPrimitive(context, value);
}

const printer = { __proto__: null, formatElement, formatProperty, formatValue };

/// Node's util.inspect(value, options); also in its old form inspect(value, showHidden, depth, colors).
function inspect(value, options, depth, colors) {
  if (arguments.length > 2 || typeof options === 'boolean') {
    const old = { __proto__: null };
    if (depth !== undefined) old.depth = depth;
    if (colors !== undefined) old.colors = colors;
    options = typeof options === 'boolean' ? { __proto__: null, ...old, showHidden: options } : { __proto__: null, ...old, ...options };
  }
  return formatValue(new Context(options, printer), value, 0);
}

exports.customInspect = customInspect;
exports.inspect = inspect;
