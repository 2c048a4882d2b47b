#include <glib-unix.h>
#include <gtest/gtest.h>

#include "workload.h"

namespace gyre {
namespace {

using namespace testing;

class InGlib : public OnEveryPoller {};

TEST_P(InGlib, EverythingTheLoopDoesIsDriven) {
  GMainContext* const context = g_main_context_new();
  GMainLoop* const glib = g_main_loop_new(context, FALSE);
  Loop loop({.poller = GetParam()});
  {
    Workload work(loop, [&] { g_main_loop_quit(glib); });
    GSource* const source = g_unix_fd_source_new(must(loop.native_handle()), G_IO_IN);
    const GUnixFDSourceFunc on_ready = [](int, GIOCondition, void* given) -> gboolean {
      must(static_cast<Loop*>(given)->poll_once());
      return G_SOURCE_CONTINUE;
    };
    g_source_set_callback(source, G_SOURCE_FUNC(on_ready), &loop, nullptr);
    g_source_attach(source, context);

    work.begin();
    g_main_loop_run(glib);
    expect_complete(work);

    g_source_destroy(source);
    g_source_unref(source);
  }
  g_main_loop_unref(glib);
  g_main_context_unref(context);
}

INSTANTIATE_TEST_SUITE_P(Of, InGlib, kPollersWithHandle, poller_name);

}  // namespace
}  // namespace gyre
