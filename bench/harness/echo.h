#pragma once

#include "harness.h"

namespace bench {

/// A non-blocking socket that listens on a free port of the loopback interface.
int listen_for_echo();
/// The next connection, non-blocking and with TCP_NODELAY; negative if there is none.
int accept_echo(int listener);
/// Starts `bench_echo_client` with `connections` connections, for `milliseconds`. When it is done, prints the report of
/// the calling thread, which serves it, and ends the process.
void start_echo_client(int listener, int connections, std::int64_t milliseconds, Report& report);

}  // namespace bench
