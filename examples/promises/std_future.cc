#include "std_future.h"

#include <cstdio>
#include <future>
#include <stdexcept>
#include <thread>

#include <gyre/loop/loop.h>

// A chain that goes from a std::future through the loop to another std::future.
int main() {
  gyre::Loop loop({.auto_exit = true});

  std::promise<int> source;
  auto doubled = example::from_future(loop, source.get_future()).then([](int n) { return n * 2; });
  std::future<int> result = example::to_future(doubled);
  std::future<void> failure = example::to_future(doubled.then([](int) { throw std::out_of_range("too far"); }));

  std::jthread other([&] {
    source.set_value(21);
    std::printf("result: %d\n", result.get());
    try {
      failure.get();
    } catch (const std::out_of_range& error) {
      std::printf("failure: %s\n", error.what());
    }
  });
  return loop.run() ? 0 : 1;
}
