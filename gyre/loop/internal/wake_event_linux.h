#pragma once

#include <cerrno>
#include <cstdint>

#include <sys/eventfd.h>
#include <unistd.h>

#include <gyre/base/error.h>
#include <gyre/loop/internal/file_descriptor.h>

namespace gyre::internal {

/// A descriptor that one thread makes readable to wake another.
class WakeEvent {
 public:
  static Result<WakeEvent> make() {
    FileDescriptor fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!fd) return std::unexpected(Error::from_errno(errno, "create a wake-up descriptor"));
    return WakeEvent(std::move(fd));
  }
  int get() const noexcept { return fd_.get(); }
  /// From any thread.
  Result<void> signal() noexcept {
    const std::uint64_t one = 1;
    for (;;) {
      if (::write(fd_.get(), &one, sizeof(one)) == static_cast<ssize_t>(sizeof(one))) return {};
      if (errno == EAGAIN) return {};  // the counter is full: a wake-up is certainly pending
      if (errno != EINTR) return std::unexpected(Error::from_errno(errno, "wake the loop"));
    }
  }
  /// One read takes all signals. If it fails, the descriptor stays readable, and the next wait tries again.
  void clear() noexcept {
    std::uint64_t ignored;
    static_cast<void>(!::read(fd_.get(), &ignored, sizeof(ignored)));
  }

 private:
  explicit WakeEvent(FileDescriptor fd) : fd_(std::move(fd)) {}

  FileDescriptor fd_;
};

}  // namespace gyre::internal
