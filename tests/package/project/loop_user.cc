#include <gyre/loop/loop.h>

int main() {
  gyre::Loop loop({.auto_exit = true});
  int runs = 0;
  const bool armed = loop.set_timeout(std::chrono::milliseconds(1), [&] { ++runs; }).has_value();
  return armed && loop.run() && runs == 1 ? 0 : 1;
}
