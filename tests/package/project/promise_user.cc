#include <gyre/loop/loop.h>
#include <gyre/promise/abort.h>
#include <gyre/promise/blocking_wait.h>
#include <gyre/promise/combinators.h>
#include <gyre/promise/event_target.h>
#include <gyre/promise/performance.h>
#include <gyre/promise/promise.h>
#include <gyre/promise/task_scope.h>
#include <gyre/promise/timers.h>
#include <gyre/promise/work.h>

gyre::Promise<int> answer(gyre::Loop& loop) {
  co_await gyre::sleep_for(loop, std::chrono::milliseconds(1));
  co_return 42;
}

int main() {
  gyre::Loop loop({.auto_exit = true});
  int got = 0;
  answer(loop).then([&](int n) { got = n; });
  return loop.run() && got == 42 ? 0 : 1;
}
