'use strict';
// Makes `require` for the built-ins: each file is compiled at its first use and keeps its exports.
// Parameters of this file: compile (name -> function (exports, require, native)), native.

const modules = { __proto__: null };

function require(name) {
  let exported = modules[name];
  if (exported === undefined) {
    exported = {};
    modules[name] = exported;
    compile(name)(exported, require, native);
  }
  return exported;
}

return require;
