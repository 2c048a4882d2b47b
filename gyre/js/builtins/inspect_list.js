'use strict';
// A growable list that scripts cannot reach into. Storing to a fresh index of an array asks Array.prototype first, so
// one setter there (`Object.defineProperty(Array.prototype, 0, ...)`) would see everything that is being printed. A
// List has a frozen prototype with nothing above it.

const { ArrayPrototypeSort, ObjectFreeze, ObjectSetPrototypeOf } = require('primordials');

class List {
  length = 0;

  add(item) {
    this[this.length++] = item;
  }

  addAll(items) {
    for (let i = 0; i < items.length; i++) this[this.length++] = items[i];
  }

  removeLast() {
    this[--this.length] = undefined;
  }

  indexOf(item) {
    for (let i = 0; i < this.length; i++) {
      if (this[i] === item) return i;
    }
    return -1;
  }

  without(item) {
    const rest = new List();
    for (let i = 0; i < this.length; i++) {
      if (this[i] !== item) rest.add(this[i]);
    }
    return rest;
  }

  slice(start, end) {
    const part = new List();
    for (let i = start; i < end; i++) part.add(this[i]);
    return part;
  }

  join(separator) {
    let text = this.length === 0 ? '' : this[0];
    for (let i = 1; i < this.length; i++) text += separator + this[i];
    return text;
  }

  sort(compare) {
    return ArrayPrototypeSort(this, compare);
  }
}
ObjectSetPrototypeOf(List.prototype, null);
ObjectFreeze(List.prototype);

/// Copies an array (or list) into a new List.
function listOf(items) {
  const list = new List();
  list.addAll(items);
  return list;
}

exports.List = List;
exports.listOf = listOf;
