'use strict';
// Values as text, the way Node.js prints them: what console.log, the REPL and error messages use.
//
//   inspect({ a: [1, 2] })                        // "{ a: [ 1, 2 ] }"
//   inspect(value, { depth: null, colors: true })
//   format('%s is %d', 'x', 3)                    // "x is 3"
//
// inspect_value.js decides how a value is shown, inspect_layout.js breaks the lines, inspect_context.js lists the options.

const { ObjectFreeze } = require('primordials');
const { colors, defaultOptions, styles } = require('inspect_context');
const { formatArguments } = require('inspect_format');
const { customInspect, inspect } = require('inspect_value');

// A custom inspect function is given `inspect` and may use these. They are the same for everybody, so nobody can change them.
inspect.custom = customInspect;
inspect.defaultOptions = defaultOptions;
inspect.colors = colors;
inspect.styles = styles;
ObjectFreeze(inspect);

exports.inspect = inspect;
/// Formats as console.log does: a leading string may hold directives.
exports.format = (...args) => formatArguments(undefined, args);
/// The same, with options for inspect.
exports.formatWithOptions = (options, ...args) => formatArguments(options, args);
/// The same, with the arguments in an array.
exports.formatArguments = formatArguments;
