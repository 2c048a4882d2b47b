// A tenant that does its work: a few sums a second, through functions that the host gave it.
let orders = 0;
const interval = setInterval(() => {
  const price = quote(++orders);
  console.log(`order ${orders}: ${price.toFixed(2)}`);
  if (orders === 5) {
    clearInterval(interval);
    console.log('all orders done');
  }
}, 60);
