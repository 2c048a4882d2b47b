'use strict';
// What an object is called: the class it is an instance of, its Symbol.toStringTag, and how functions and classes
// present themselves.

const primordials = require('primordials');
const {
  FunctionPrototypeSymbolHasInstance, FunctionPrototypeToString, ObjectGetOwnPropertyDescriptor, ObjectGetPrototypeOf,
  ObjectPrototypeHasOwnProperty, ReflectOwnKeys, SafeMap, SafeSet, String, StringPrototypeStartsWith,
  SymbolToStringTag,
} = primordials;
const { paint } = require('inspect_context');

// The language's own constructors. What a script or the runtime adds to the global object is not built in.
const builtInNames = new SafeSet();
// Prototypes of them. Their name is known without asking `constructor`, which a script may have turned into a getter.
const builtInPrototypes = new SafeMap();
{
  const names = [
    'AggregateError', 'Array', 'ArrayBuffer', 'AsyncDisposableStack', 'Atomics', 'BigInt', 'BigInt64Array', 'BigUint64Array', 'Boolean',
    'DataView', 'Date', 'DisposableStack', 'Error', 'EvalError', 'FinalizationRegistry', 'Float16Array', 'Float32Array', 'Float64Array',
    'Function', 'Int16Array', 'Int32Array', 'Int8Array', 'Intl', 'Iterator', 'JSON', 'Map', 'Math', 'Number', 'Object', 'Promise',
    'Proxy', 'RangeError', 'ReferenceError', 'Reflect', 'RegExp', 'Set', 'SharedArrayBuffer', 'String', 'SuppressedError', 'Symbol',
    'SyntaxError', 'Temporal', 'TypeError', 'URIError', 'Uint16Array', 'Uint32Array', 'Uint8Array', 'Uint8ClampedArray', 'WeakMap',
    'WeakRef', 'WeakSet', 'WebAssembly',
  ];
  for (let i = 0; i < names.length; i++) builtInNames.add(names[i]);
  const known = ['Array', 'ArrayBuffer', 'Function', 'Map', 'Object', 'Set', 'TypedArray'];
  for (let i = 0; i < known.length; i++) {
    builtInPrototypes.set(primordials[`${known[i]}Prototype`], { __proto__: null, name: known[i], constructor: primordials[known[i]] });
  }
}

const isBuiltInName = (name) => builtInNames.has(name);

function isInstance(object, constructor) {
  try {
    return object instanceof constructor;
  } catch {
    return false; // `prototype` is not an object, or Symbol.hasInstance threw
  }
}

// The name that `prototype` gives to `object` as its class, or undefined.
function nameGivenBy(prototype, object) {
  const known = builtInPrototypes.get(prototype);
  if (known !== undefined && FunctionPrototypeSymbolHasInstance(known.constructor, object)) return known.name;
  const constructor = ObjectGetOwnPropertyDescriptor(prototype, 'constructor')?.value;
  if (typeof constructor !== 'function' || constructor.name === '' || !isInstance(object, constructor)) return undefined;
  return String(constructor.name);
}

/// The class name of `object`, or null where its prototype is null. An object whose prototypes name no class is
/// described by the engine's name for it and its first prototype: "Foo <[Object: null prototype] {}>".
/// With `hiddenProperties` (a List) also collects the accessors and data that a user's prototypes define.
function constructorName(context, object, level, hiddenProperties) {
  let firstPrototype;
  for (let current = object; current !== null;) {
    const name = nameGivenBy(current, object);
    if (name !== undefined) {
      if (hiddenProperties !== undefined && (firstPrototype !== current || !isBuiltInName(name))) {
        collectPrototypeProperties(context, object, firstPrototype ?? object, level, hiddenProperties);
      }
      return name;
    }
    current = ObjectGetPrototypeOf(current);
    if (firstPrototype === undefined) firstPrototype = current;
  }
  if (firstPrototype === null) return null;

  const engineName = native.constructorName(object);
  if (context.tooDeep(level)) return `${engineName} <Complex prototype>`;
  const prototypeName = constructorName(context, firstPrototype, level + 1, hiddenProperties);
  if (prototypeName !== null) return `${engineName} <${prototypeName}>`;
  const brief = context.derive({ __proto__: null, customInspect: false, depth: -1 });
  return `${engineName} <${brief.printer.formatValue(brief, firstPrototype, 0)}>`;
}

const kPrototypesLookedAt = 3;

function collectPrototypeProperties(context, object, prototype, level, output) {
  const shadowed = new SafeSet();
  for (let step = 0; step < kPrototypesLookedAt; step++) {
    // Only prototypes of user classes are of interest, and not the object itself.
    if (step !== 0 || object === prototype) {
      prototype = ObjectGetPrototypeOf(prototype);
      if (prototype === null) return;
      const constructor = ObjectGetOwnPropertyDescriptor(prototype, 'constructor')?.value;
      if (typeof constructor === 'function' && isBuiltInName(constructor.name)) return;
    }
    const keys = ReflectOwnKeys(prototype);
    context.seen.add(object);
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i];
      if (key === 'constructor' || ObjectPrototypeHasOwnProperty(object, key) || shadowed.has(key)) continue;
      const descriptor = ObjectGetOwnPropertyDescriptor(prototype, key);
      if (typeof descriptor.value === 'function') continue;
      const text = context.printer.formatProperty(context, prototype, level, key, descriptor, object);
      output.add(context.colors ? paint(text, 'dim') : text);
    }
    context.seen.removeLast();
    for (let i = 0; i < keys.length; i++) shadowed.add(keys[i]);
  }
}

/// The tag to show for `object`: its Symbol.toStringTag, unless that is printed as a property anyway.
function tagOf(context, object) {
  const tag = object[SymbolToStringTag];
  if (typeof tag !== 'string' || tag === '') return '';
  const own = ObjectGetOwnPropertyDescriptor(object, SymbolToStringTag);
  return own !== undefined && (context.showHidden || own.enumerable) ? '' : tag;
}

/// "Class(size) [Tag] " or "[Fallback(size): null prototype] [Tag] ".
function prefixOf(constructor, tag, fallback, size = '') {
  if (constructor === null) {
    return tag !== '' && fallback !== tag ? `[${fallback}${size}: null prototype] [${tag}] ` : `[${fallback}${size}: null prototype] `;
  }
  return tag !== '' && constructor !== tag ? `${constructor}${size} [${tag}] ` : `${constructor}${size} `;
}

/// The prefix for an object without a better one, with the engine's name for it where the prototype is null.
function plainPrefixOf(object, constructor, tag) {
  let fallback = '';
  if (constructor === null) {
    fallback = native.constructorName(object);
    if (fallback === tag) fallback = 'Object';
  }
  return prefixOf(constructor, tag, fallback);
}

// Among functions whose source begins with "class" only classes have a read-only `prototype`; a method may be
// called "class" too.
function isClass(value) {
  return StringPrototypeStartsWith(FunctionPrototypeToString(value), 'class') &&
    ObjectGetOwnPropertyDescriptor(value, 'prototype')?.writable === false;
}

function classText(value, constructor, tag) {
  const ownName = ObjectPrototypeHasOwnProperty(value, 'name') && value.name;
  let text = `[class ${ownName ? String(ownName) : '(anonymous)'}`;
  if (constructor !== 'Function' && constructor !== null) text += ` [${constructor}]`;
  if (tag !== '' && constructor !== tag) text += ` [${tag}]`;
  if (constructor === null) return `${text} extends [null prototype]]`;
  const parentName = ObjectGetPrototypeOf(value).name;
  return parentName ? `${text} extends ${String(parentName)}]` : `${text}]`;
}

/// "[Function: name]", "[AsyncFunction (anonymous)]", "[class A extends B]".
function functionText(value, kind, constructor, tag) {
  if (isClass(value)) return classText(value, constructor, tag);
  const type = kind === '' ? 'Function' : kind;
  let text = `[${type}`;
  if (constructor === null) text += ' (null prototype)';
  text += value.name === '' ? ' (anonymous)]' : `: ${String(value.name)}]`;
  if (constructor !== type && constructor !== null) text += ` ${constructor}`;
  if (tag !== '' && constructor !== tag) text += ` [${tag}]`;
  return text;
}

exports.constructorName = constructorName;
exports.functionText = functionText;
exports.isBuiltInName = isBuiltInName;
exports.plainPrefixOf = plainPrefixOf;
exports.prefixOf = prefixOf;
exports.tagOf = tagOf;
