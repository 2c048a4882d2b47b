'use strict';
// The part of CommonJS that the suite needs: files of the suite, its copy of Sinon, and Node.js's `assert`. `native` is
// the host's: `sourceOf(path)` gives a file's text, or undefined if there is none.

(() => {
  const { sourceOf } = native;
  const loaded = new Map();

  class AssertionError extends Error {
    get name() {
      return 'AssertionError';
    }
  }

  function assert(condition, message) {
    if (!condition) throw new AssertionError(message ?? 'the condition is false');
  }
  assert.strictEqual = (actual, expected) => {
    if (!Object.is(actual, expected)) throw new AssertionError(`${String(actual)} is not ${String(expected)}`);
  };
  assert.notStrictEqual = (actual, unexpected) => {
    if (Object.is(actual, unexpected)) throw new AssertionError(`it is ${String(actual)}`);
  };

  /// The text of a file as the body of a function.
  function compile(path, ...parameters) {
    const source = sourceOf(path);
    if (source === undefined) throw new Error(`there is no file ${path}`);
    return new Function(...parameters, `${source}\n//# sourceURL=${path}`);
  }

  /// Loads a file once and returns its exports. `packages` is the folder of packages.
  function load(path, packages) {
    const known = loaded.get(path);
    if (known !== undefined) return known.exports;
    const module = { exports: {} };
    loaded.set(path, module);
    const folder = path.slice(0, path.lastIndexOf('/'));
    const require = (name) => {
      if (name === 'assert') return assert;
      if (name === 'sinon') return loadSinon(packages);
      if (!name.startsWith('./')) throw new Error(`the suite asks for '${name}', which is not provided here`);
      return load(`${folder}/${name.slice(2)}.js`, packages);
    };
    compile(path, 'exports', 'require', 'module', 'global')
      .call(module.exports, module.exports, require, module, globalThis);
    return module.exports;
  }

  /// For browsers, Sinon comes as one file that needs nothing else and defines a global.
  function loadSinon(packages) {
    if (globalThis.sinon === undefined) compile(`${packages}/sinon/pkg/sinon.js`).call(globalThis);
    return globalThis.sinon;
  }

  native.load = load;
})();
