// The order in which JavaScript's queues run. Compare with Node.js: it is the same.
console.log('  1  the script itself');

setTimeout(() => {
  console.log('  6  a timer of 5 ms');
  setTimeout(() => console.log('  9  a timer set by the timer'), 0);
  setImmediate(() => console.log('  8  an immediate comes before it'));
  process.nextTick(() => console.log('  7  but first the tick that the timer queued'));
}, 5);

setImmediate(() => console.log('  5  an immediate: the check phase of the first turn'));
Promise.resolve().then(() => console.log('  4  a microtask: after the ticks'));
process.nextTick(() => console.log('  3  a tick: as soon as the script has returned'));

console.log('  2  still the script');
