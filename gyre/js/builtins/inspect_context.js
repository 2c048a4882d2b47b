'use strict';
// What one inspection carries: its options, how it colours, and where it stands in the object graph.

const { NumberPOSITIVE_INFINITY, ObjectFreeze, ObjectKeys, SafeMap } = require('primordials');
const { List } = require('inspect_list');

const defaultOptions = ObjectFreeze({
  __proto__: null,
  showHidden: false,
  depth: 2,
  colors: false,
  customInspect: true,
  showProxy: false,
  maxArrayLength: 100,
  maxStringLength: 10000,
  breakLength: 80,
  compact: 3,
  sorted: false,
  getters: false,
  numericSeparator: false,
});

// SGR numbers: switch on, switch off.
const colors = ObjectFreeze({
  __proto__: null,
  bold: ObjectFreeze([1, 22]),
  dim: ObjectFreeze([2, 22]),
  underline: ObjectFreeze([4, 24]),
  red: ObjectFreeze([31, 39]),
  green: ObjectFreeze([32, 39]),
  yellow: ObjectFreeze([33, 39]),
  magenta: ObjectFreeze([35, 39]),
  cyan: ObjectFreeze([36, 39]),
  grey: ObjectFreeze([90, 39]),
});
const styles = ObjectFreeze({
  __proto__: null,
  special: 'cyan',
  number: 'yellow',
  bigint: 'yellow',
  boolean: 'yellow',
  undefined: 'grey',
  null: 'bold',
  string: 'green',
  symbol: 'green',
  date: 'magenta',
  regexp: 'red',
  module: 'underline',
});

const paint = (text, color) => `\x1b[${colors[color][0]}m${text}\x1b[${colors[color][1]}m`;
const stylizePlain = (text) => text;
const stylizeColored = (text, style) => (styles[style] === undefined ? text : paint(text, styles[style]));

class Context {
  showHidden = defaultOptions.showHidden;
  depth = defaultOptions.depth;
  colors = defaultOptions.colors;
  customInspect = defaultOptions.customInspect;
  showProxy = defaultOptions.showProxy;
  maxArrayLength = defaultOptions.maxArrayLength;
  maxStringLength = defaultOptions.maxStringLength;
  breakLength = defaultOptions.breakLength;
  compact = defaultOptions.compact;
  sorted = defaultOptions.sorted;
  getters = defaultOptions.getters;
  numericSeparator = defaultOptions.numericSeparator;

  printer = undefined;
  stylize = stylizePlain;
  userOptions = undefined; // as the caller gave them; custom inspect functions get them passed on
  indentation = 0;
  seen = new List(); // objects between the root and here
  circular = undefined; // SafeMap: object -> number of its <ref *N>
  deepestLevel = 0; // level of the container that was formatted last
  written = new List(); // by indentation: characters printed at it

  /// `printer` holds formatValue and formatProperty: what formats a part of a whole goes through it, since the parts
  /// may be anything again.
  constructor(options, printer) {
    this.printer = printer;
    if (options !== undefined && options !== null) this.#adopt(options);
    if (this.colors) this.stylize = stylizeColored;
    if (this.maxArrayLength === null) this.maxArrayLength = NumberPOSITIVE_INFINITY;
    if (this.maxStringLength === null) this.maxStringLength = NumberPOSITIVE_INFINITY;
  }

  #adopt(options) {
    const names = ObjectKeys(options);
    for (let i = 0; i < names.length; i++) {
      const name = names[i];
      if (name in defaultOptions || name === 'stylize') this[name] = options[name];
      else this.userOptions = options;
    }
  }

  /// A context for a side inspection with the same look, and `changes` to it.
  derive(changes) {
    return new Context({ __proto__: null, ...this.options(), ...changes }, this.printer);
  }

  /// The options as a fresh object for a custom inspect function.
  options() {
    return {
      stylize: this.stylize,
      showHidden: this.showHidden,
      depth: this.depth,
      colors: this.colors,
      customInspect: this.customInspect,
      showProxy: this.showProxy,
      maxArrayLength: this.maxArrayLength,
      maxStringLength: this.maxStringLength,
      breakLength: this.breakLength,
      compact: this.compact,
      sorted: this.sorted,
      getters: this.getters,
      numericSeparator: this.numericSeparator,
    };
  }

  /// Formats `value` as a part, indented by `width` more.
  formatIndented(value, level, width = 2, insideTypedArray = false) {
    this.indentation += width;
    const text = this.printer.formatValue(this, value, level, insideTypedArray);
    this.indentation -= width;
    return text;
  }

  tooDeep(level) {
    return level > this.depth && this.depth !== null;
  }

  /// The number of the reference mark for `object`, which was met again below itself.
  referenceTo(object) {
    this.circular ??= new SafeMap();
    let index = this.circular.get(object);
    if (index === undefined) {
      index = this.circular.size + 1;
      this.circular.set(object, index);
    }
    return index;
  }

  /// Past this much text at one indentation the rest is only named. Strings cannot grow without bound, and neither
  /// should the time to print something enormous.
  account(length) {
    const total = (this.written[this.indentation] ?? 0) + length;
    this.written[this.indentation] = total;
    if (total > 2 ** 27) this.depth = -1;
  }
}

exports.Context = Context;
exports.colors = colors;
exports.defaultOptions = defaultOptions;
exports.paint = paint;
exports.styles = styles;
exports.stylizePlain = stylizePlain;
