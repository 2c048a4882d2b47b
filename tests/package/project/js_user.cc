#include <gyre/js/runtime.h>

int main() {
  gyre::Loop loop({.auto_exit = true});
  const auto engine = gyre::js::make_v8_engine();
  gyre::js::Runtime runtime(loop, *engine);
  runtime.set("add", [](double a, double b) { return a + b; });
  const auto sum = runtime.eval("add(40, 2)");
  return sum && sum->as<double>() == 42.0 && loop.run() ? 0 : 1;
}
