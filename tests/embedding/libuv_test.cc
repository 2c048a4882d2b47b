#include <gtest/gtest.h>
#include <uv.h>

#include "workload.h"

namespace gyre {
namespace {

using namespace testing;

class InLibuv : public OnEveryPoller {};

TEST_P(InLibuv, EverythingTheLoopDoesIsDriven) {
  uv_loop_t uv;
  ASSERT_EQ(uv_loop_init(&uv), 0);
  Loop loop({.poller = GetParam()});
  {
    uv_poll_t ready;
    Workload work(loop, [&] { uv_close(reinterpret_cast<uv_handle_t*>(&ready), nullptr); });
    ASSERT_EQ(uv_poll_init(&uv, &ready, must(loop.native_handle())), 0);
    ready.data = &loop;
    const auto on_ready = [](uv_poll_t* handle, int status, int) {
      ASSERT_EQ(status, 0);
      must(static_cast<Loop*>(handle->data)->poll_once());
    };
    ASSERT_EQ(uv_poll_start(&ready, UV_READABLE, on_ready), 0);

    work.begin();
    uv_run(&uv, UV_RUN_DEFAULT);
    expect_complete(work);
  }
  EXPECT_EQ(uv_loop_close(&uv), 0);
}

INSTANTIATE_TEST_SUITE_P(Of, InLibuv, kPollersWithHandle, poller_name);

}  // namespace
}  // namespace gyre
