// A tenant that never gives the loop back, and even tries to swallow being stopped.
function mine() {
  for (;;) {
    try {
      while (true);
    } finally {
      continue;
    }
  }
}

console.log('I will just be a moment');
setTimeout(mine, 100);
