#include <string>

#include <gyre/poll/batcher.h>
#include <gyre/poll/collect.h>
#include <gyre/poll/scheduler.h>

int main() {
  gyre::Loop loop;
  gyre::poll::Scheduler<std::string> poller(loop);
  std::stop_source stop;
  if (!poller.add("a", [&] { stop.request_stop(); })) return 1;
  if (!poller.add_run_hook([](gyre::poll::Control<std::string>& c) { static_cast<void>(c.schedule_asap("a")); }))
    return 1;
  return poller.run_here({.stop = stop.get_token()}).is(gyre::Errc::cancelled) ? 0 : 1;
}
