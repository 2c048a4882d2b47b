#pragma once

#include <cerrno>

#include <sys/stat.h>

#include <gyre/base/error.h>

namespace gyre::internal {

/// Tells whether a number still stands for the file that it stood for. For interfaces that look files up by number time
/// and again, and so could report somebody else's. Files without a place of their own in a file system (eventfd,
/// timerfd) look the same among each other.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;

  /// Errors: EBADF; EPERM for a regular file or folder, which cannot be waited for.
  static Result<FileIdentity> of(int fd) {
    struct stat status{};
    if (fstat(fd, &status) != 0) return std::unexpected(Error::from_errno(errno, "watch descriptor").with("fd", fd));
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) {
      return std::unexpected(Error::from_errno(EPERM, "watch descriptor").with("fd", fd));
    }
    return FileIdentity{.device = status.st_dev, .inode = status.st_ino};
  }
  enum class Found { same, another, closed };
  /// What a number stands for now, for checks on the way. Where the system does not say: the same.
  Found find(int fd) const noexcept {
    struct stat status{};
    if (fstat(fd, &status) != 0) return errno == EBADF ? Found::closed : Found::same;
    return status.st_dev == device && status.st_ino == inode ? Found::same : Found::another;
  }
};

}  // namespace gyre::internal
