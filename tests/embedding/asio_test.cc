#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <gtest/gtest.h>

#include "workload.h"

namespace gyre {
namespace {

using namespace testing;

class InAsio : public OnEveryPoller {};

// Each async_wait asks anew, also for what was readable all the time.
struct Driver {
  Loop& loop;
  boost::asio::posix::stream_descriptor handle;

  void wait() {
    handle.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](boost::system::error_code failure) {
      if (failure) return;
      must(loop.poll_once());
      wait();
    });
  }
};

TEST_P(InAsio, EverythingTheLoopDoesIsDriven) {
  boost::asio::io_context asio;
  Loop loop({.poller = GetParam()});
  {
    Driver driver{loop, boost::asio::posix::stream_descriptor(asio, must(loop.native_handle()))};
    Workload work(loop, [&] { asio.stop(); });
    driver.wait();
    work.begin();
    asio.run();
    expect_complete(work);
    driver.handle.release();  // it is the loop's
  }
}

INSTANTIATE_TEST_SUITE_P(Of, InAsio, kPollersWithHandle, poller_name);

}  // namespace
}  // namespace gyre
