'use strict';
// A rejection reason as text, without running any code of the script: no toString, no getter, no proxy trap.

const {
  ArrayIsArray, FunctionPrototypeToString, ObjectGetOwnPropertyDescriptor, ObjectGetPrototypeOf, ObjectPrototype, String,
  SymbolToStringTag, TypedArrayPrototypeGetSymbolToStringTag,
} = require('primordials');

const objectToString = ObjectPrototype.toString;

/// The value of a data property, own or inherited; undefined for accessors and behind proxies.
function readData(object, key) {
  for (let holder = object; holder !== null; holder = ObjectGetPrototypeOf(holder)) {
    if (native.kindOf(holder) === 'Proxy') return undefined;
    const descriptor = ObjectGetOwnPropertyDescriptor(holder, key);
    if (descriptor !== undefined) return 'value' in descriptor ? descriptor.value : undefined;
  }
  return undefined;
}

function nameOf(callable) {
  if (typeof callable !== 'function' || native.kindOf(callable) === 'Proxy') return '';
  const name = ObjectGetOwnPropertyDescriptor(callable, 'name')?.value;
  return typeof name === 'string' ? name : '';
}

function builtinKind(object) {
  if (ArrayIsArray(object)) return 'Array';
  return TypedArrayPrototypeGetSymbolToStringTag(object) ?? (native.kindOf(object) || 'Object');
}

/// The text V8 itself would put into a message for `value`.
function reasonText(value) {
  if (typeof value === 'symbol' || (typeof value !== 'object' && typeof value !== 'function') || value === null) return String(value);
  if (native.kindOf(value) === 'Proxy') return '#<Object>';
  if (typeof value === 'function') return FunctionPrototypeToString(value);
  if (readData(value, 'toString') === objectToString) {
    const name = nameOf(readData(value, 'constructor'));
    if (name !== '') return `#<${name}>`;
  }
  const tag = readData(value, SymbolToStringTag);
  return `[object ${typeof tag === 'string' ? tag : builtinKind(value)}]`;
}

exports.reasonText = reasonText;
