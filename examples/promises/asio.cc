#include "asio.h"

#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <thread>
#include <utility>

#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <gyre/loop/loop.h>

// A Gyre loop on this thread and an io_context on another, awaiting each other.
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

asio::awaitable<int> in_asio(int n) {
  asio::steady_timer timer(co_await asio::this_coro::executor, 1ms);
  co_await timer.async_wait(asio::use_awaitable);
  if (n < 0) throw std::out_of_range("negative");
  co_return n + 1;
}

gyre::Promise<int> in_gyre(gyre::Loop& loop, asio::io_context& context) {
  asio::steady_timer timer(context, 1ms);
  co_await timer.async_wait(example::use_promise(loop));
  std::puts("an Asio timer, awaited in Gyre");
  const int n = co_await example::from_awaitable(loop, context.get_executor(), in_asio(41));
  std::printf("an Asio coroutine, awaited in Gyre: %d\n", n);
  try {
    co_await example::from_awaitable(loop, context.get_executor(), in_asio(-1));
  } catch (const std::out_of_range& error) {
    std::printf("its exception: %s\n", error.what());
  }
  co_return n;
}

}  // namespace

int main() {
  gyre::Loop loop({.auto_exit = true});
  asio::io_context context;
  auto work = asio::make_work_guard(context);
  std::jthread other([&] { context.run(); });

  const auto promise = in_gyre(loop, context);
  example::async_wait(promise, context.get_executor(),
                      [](std::exception_ptr, int n) { std::printf("a Gyre coroutine, awaited in Asio: %d\n", n); });
  const bool ran = loop.run().has_value();
  work.reset();
  return ran ? 0 : 1;
}
