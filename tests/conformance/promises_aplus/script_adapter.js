'use strict';
// The script's own promises, in the shape that the suite knows.

globalThis.adapter = {
  deferred: () => Promise.withResolvers(),
  resolved: (value) => Promise.resolve(value),
  rejected: (reason) => Promise.reject(reason),
};
