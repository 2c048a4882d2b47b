#include <stdexcept>

#include <gyre/loop/internal/errors.h>

namespace gyre::internal {

std::unexpected<Error> ending() {
  return fail(Errc::terminated, "the loop is ending and accepts no new work");
}
std::unexpected<Error> timer_not_found(TimerId id) {
  return std::unexpected(Error(Errc::timer_not_found, "the timer is unknown, has fired, or was cancelled before")
                             .with("timer", id.value()));
}
std::unexpected<Error> timer_ids_exhausted() {
  return fail(Errc::timer_ids_exhausted, "all timer ids of this loop are used up; make a new loop");
}
void reject_empty_callback() {
  throw std::logic_error("gyre: an empty callback was given to a loop");
}
void require_mode(FastPath mode) {
  if (mode > FastPath::disabled) throw std::invalid_argument("gyre: this is none of the modes of the fast path");
}

}  // namespace gyre::internal
