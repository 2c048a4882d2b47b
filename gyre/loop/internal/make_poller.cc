#include <gyre/loop/internal/poller.h>

namespace gyre::internal {

#ifndef GYRE_HAVE_LIBURING
Result<std::unique_ptr<Poller>> make_io_uring_poller() {
  return fail(Errc::unsupported, "this build of Gyre has no io_uring: it was configured without liburing");
}
#endif

Result<std::unique_ptr<Poller>> make_poller(PollerKind wanted) {
  // In the order of replacement. Only what the system cannot do is replaced: a shortage, of descriptors for instance,
  // is the caller's to know.
  if (wanted == PollerKind::io_uring) {
    auto made = make_io_uring_poller();
    if (made || !made.error().is(Errc::unsupported)) return made;
  }
  if (wanted != PollerKind::poll) {
    auto made = make_epoll_poller();
    if (made || !made.error().is(Errc::unsupported)) return made;
  }
  return make_poll_poller();
}

}  // namespace gyre::internal
