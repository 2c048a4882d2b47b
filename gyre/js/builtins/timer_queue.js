'use strict';
// A binary heap of timer lists, the earliest expiry first, ties by the lower list id. Each list knows its slot
// (`priorityQueuePosition`), so a list can move or leave from the middle in logarithmic time.

const { ObjectSetPrototypeOf } = require('primordials');

// Slot 0 stays empty: the children of slot n are then 2n and 2n + 1. Without a prototype, growing the array cannot
// run a setter that a script has put on Array.prototype.
const slots = ObjectSetPrototypeOf([null], null);
let size = 0;

function isBefore(a, b) {
  return a.expiry < b.expiry || (a.expiry === b.expiry && a.id < b.id);
}

function place(list, position) {
  slots[position] = list;
  list.priorityQueuePosition = position;
}

function moveUp(list, position) {
  while (position > 1) {
    const parent = slots[position >> 1];
    if (!isBefore(list, parent)) break;
    place(parent, position);
    position >>= 1;
  }
  place(list, position);
}

function moveDown(list, position) {
  for (let child = position * 2; child <= size; child = position * 2) {
    if (child < size && isBefore(slots[child + 1], slots[child])) child++;
    if (!isBefore(slots[child], list)) break;
    place(slots[child], position);
    position = child;
  }
  place(list, position);
}

/// The list that expires first; null when there is none.
function peek() {
  return size === 0 ? null : slots[1];
}

function insert(list) {
  size++;
  moveUp(list, size);
}

/// To be called after the expiry of `list` was made later.
function expiryGrew(list) {
  moveDown(list, list.priorityQueuePosition);
}

function remove(list) {
  const position = list.priorityQueuePosition;
  const last = slots[size];
  slots[size] = null;
  size--;
  list.priorityQueuePosition = null;
  if (last === list) return;
  moveUp(last, position);
  moveDown(last, last.priorityQueuePosition);
}

exports.expiryGrew = expiryGrew;
exports.insert = insert;
exports.peek = peek;
exports.remove = remove;
