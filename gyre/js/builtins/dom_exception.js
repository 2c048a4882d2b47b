'use strict';
// DOMException, and the few conventions of its home, Web IDL (https://webidl.spec.whatwg.org), that every interface
// among the built-ins shares: visible shape, illegal constructors, receiver and argument checks.

const { codedError, invalidArgType } = require('errors');
const {
  Error, ErrorPrototype, ObjectDefineProperty, ObjectGetOwnPropertyDescriptor, ObjectSetPrototypeOf, ReflectConstruct,
  ReflectOwnKeys, SymbolFor, SymbolToStringTag, TypeError,
} = require('primordials');

const isObject = (value) => (typeof value === 'object' && value !== null) || typeof value === 'function';

/// Base of the classes that put hidden state on an object made elsewhere: `super(object)` makes `this` that object,
/// and the subclass's private fields land on it. It lets the runtime build its objects without running `super` of a
/// public class, whose parent a script can replace.
class Stamp {
  constructor(object) {
    return object; // eslint-disable-line no-constructor-return
  }
}

/// Gives a class the shape of a Web IDL interface: enumerable members, a class string, and constants, if any.
function defineInterface(Interface, constants = undefined) {
  for (const object of [Interface, Interface.prototype]) {
    for (const key of ReflectOwnKeys(object)) {
      if (typeof key !== 'string' || key === 'constructor') continue;
      const descriptor = ObjectGetOwnPropertyDescriptor(object, key);
      const isMember = descriptor.get !== undefined || typeof descriptor.value === 'function';
      if (isMember) ObjectDefineProperty(object, key, { __proto__: null, enumerable: true });
    }
    for (const key in constants) {
      ObjectDefineProperty(object, key, { __proto__: null, value: constants[key], enumerable: true });
    }
  }
  ObjectDefineProperty(Interface.prototype, SymbolToStringTag, { __proto__: null, value: Interface.name, configurable: true });
}

const kInspect = SymbolFor('nodejs.util.inspect.custom');

/// Makes the console print instances as `Name { ... }` with what `describe(instance)` returns (undefined: not an
/// instance). `collapse(instance, name)` is the form beyond the depth limit; by default the plain form of the object.
function defineInspection(Interface, describe, collapse = (instance) => instance) {
  const methods = {
    [kInspect](depth, options) {
      const fields = describe(this);
      if (fields === undefined) return this;
      const name = this.constructor?.name ?? Interface.name;
      if (depth < 0) return collapse(this, name);
      const nested = typeof options?.depth === 'number' ? { ...options, depth: options.depth - 1 } : options;
      return `${name} ${require('inspect').inspect(fields, nested)}`;
    },
  };
  ObjectDefineProperty(Interface.prototype, kInspect, {
    __proto__: null, value: methods[kInspect], writable: true, enumerable: false, configurable: true,
  });
}

/// The error of `new Interface()` for interfaces that only the runtime creates.
function illegalConstructor() {
  return codedError(TypeError, 'ERR_ILLEGAL_CONSTRUCTOR', 'Illegal constructor', illegalConstructor);
}

/// The error of a member called on an object that is not an `interfaceName`.
function invalidThis(interfaceName) {
  return codedError(TypeError, 'ERR_INVALID_THIS', `Value of "this" must be of type ${interfaceName}`, invalidThis);
}

/// The error of a call with fewer arguments than required; `names` is text such as '"type" and "listener" arguments'.
function missingArguments(names) {
  return codedError(TypeError, 'ERR_MISSING_ARGS', `The ${names} must be specified`, missingArguments);
}

const emptyDictionary = { __proto__: null };

/// Web IDL's check of a dictionary argument: undefined and null stand for the empty one.
function toDictionary(value, name) {
  if (value === undefined || value === null) return emptyDictionary;
  if (!isObject(value)) throw invalidArgType(name, 'of type object', value);
  return value;
}

const legacyCodes = {
  __proto__: null,
  IndexSizeError: 1,
  HierarchyRequestError: 3,
  WrongDocumentError: 4,
  InvalidCharacterError: 5,
  NoModificationAllowedError: 7,
  NotFoundError: 8,
  NotSupportedError: 9,
  InUseAttributeError: 10,
  InvalidStateError: 11,
  SyntaxError: 12,
  InvalidModificationError: 13,
  NamespaceError: 14,
  InvalidAccessError: 15,
  TypeMismatchError: 17,
  SecurityError: 18,
  NetworkError: 19,
  AbortError: 20,
  URLMismatchError: 21,
  QuotaExceededError: 22,
  TimeoutError: 23,
  InvalidNodeTypeError: 24,
  DataCloneError: 25,
};

const legacyConstants = {
  __proto__: null,
  INDEX_SIZE_ERR: 1,
  DOMSTRING_SIZE_ERR: 2,
  HIERARCHY_REQUEST_ERR: 3,
  WRONG_DOCUMENT_ERR: 4,
  INVALID_CHARACTER_ERR: 5,
  NO_DATA_ALLOWED_ERR: 6,
  NO_MODIFICATION_ALLOWED_ERR: 7,
  NOT_FOUND_ERR: 8,
  NOT_SUPPORTED_ERR: 9,
  INUSE_ATTRIBUTE_ERR: 10,
  INVALID_STATE_ERR: 11,
  SYNTAX_ERR: 12,
  INVALID_MODIFICATION_ERR: 13,
  NAMESPACE_ERR: 14,
  INVALID_ACCESS_ERR: 15,
  VALIDATION_ERR: 16,
  TYPE_MISMATCH_ERR: 17,
  SECURITY_ERR: 18,
  NETWORK_ERR: 19,
  ABORT_ERR: 20,
  URL_MISMATCH_ERR: 21,
  QUOTA_EXCEEDED_ERR: 22,
  TIMEOUT_ERR: 23,
  INVALID_NODE_TYPE_ERR: 24,
  DATA_CLONE_ERR: 25,
};

class ExceptionSlots extends Stamp {
  #name;
  #message;

  constructor(exception, message, name) {
    super(exception);
    this.#message = message;
    this.#name = name;
  }

  static isOn(value) {
    return isObject(value) && #name in value;
  }

  static name(exception) {
    if (!ExceptionSlots.isOn(exception)) throw invalidThis('DOMException');
    return exception.#name;
  }

  static message(exception) {
    if (!ExceptionSlots.isOn(exception)) throw invalidThis('DOMException');
    return exception.#message;
  }
}

const isOptions = (value) => typeof value === 'object' && value !== null && ('name' in value || 'cause' in value);

class DOMException {
  // Second argument: a name, or (from Node) an object with `name` and `cause`.
  constructor(message = '', nameOrOptions = 'Error') {
    const text = `${message}`;
    const options = isOptions(nameOrOptions) ? nameOrOptions : undefined;
    const name = options ? options.name : nameOrOptions;
    // A real Error, so that it has a stack and counts as an error everywhere. The engine renders the stack's first
    // line from `name` and `message` when the stack is first read; by then both are here.
    const exception = ReflectConstruct(Error, [], new.target);
    new ExceptionSlots(exception, text, name === undefined ? 'Error' : `${name}`);
    if (options && 'cause' in options) {
      ObjectDefineProperty(exception, 'cause', {
        __proto__: null, value: options.cause, writable: true, enumerable: false, configurable: true,
      });
    }
    return exception; // eslint-disable-line no-constructor-return
  }

  get name() {
    return ExceptionSlots.name(this);
  }

  get message() {
    return ExceptionSlots.message(this);
  }

  get code() {
    return legacyCodes[ExceptionSlots.name(this)] ?? 0;
  }
}
ObjectSetPrototypeOf(DOMException.prototype, ErrorPrototype);
defineInterface(DOMException, legacyConstants);

/// A DOMException with a given stack, for structured clones.
function restoreDOMException(message, name, stack) {
  const exception = new DOMException(message, name);
  ObjectDefineProperty(exception, 'stack', {
    __proto__: null, value: stack, writable: true, enumerable: false, configurable: true,
  });
  return exception;
}

exports.DOMException = DOMException;
exports.isDOMException = ExceptionSlots.isOn;
exports.restoreDOMException = restoreDOMException;

exports.Stamp = Stamp;
exports.defineInspection = defineInspection;
exports.defineInterface = defineInterface;
exports.illegalConstructor = illegalConstructor;
exports.invalidThis = invalidThis;
exports.isObject = isObject;
exports.missingArguments = missingArguments;
exports.toDictionary = toDictionary;
