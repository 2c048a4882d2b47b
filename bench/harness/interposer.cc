// LD_PRELOAD this to count allocations and the system calls an event loop makes, at their libc entry points.
// What does not pass through libc's wrappers (io_uring, futexes) is not seen.
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstddef>

#include <dlfcn.h>
#include <malloc.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "counts.h"

// The allocator itself. Asking dlsym for it would allocate.
extern "C" void* __libc_malloc(std::size_t);
extern "C" void* __libc_calloc(std::size_t, std::size_t);
extern "C" void* __libc_realloc(void*, std::size_t);
extern "C" void* __libc_memalign(std::size_t, std::size_t);
extern "C" void __libc_free(void*);

namespace {

struct {
  std::atomic<std::uint64_t> allocations, bytes, polls, reads, writes, epoll_ctls, timerfd_settimes;
  std::atomic<std::int64_t> live_bytes;
} counted;

void tally(std::atomic<std::uint64_t>& counter, std::uint64_t by = 1) {
  counter.fetch_add(by, std::memory_order_relaxed);
}

void* count_block(void* block, std::size_t size) {
  if (block == nullptr) return nullptr;
  tally(counted.allocations);
  tally(counted.bytes, size);
  counted.live_bytes.fetch_add(static_cast<std::int64_t>(malloc_usable_size(block)), std::memory_order_relaxed);
  return block;
}

void count_free(void* block) {
  if (block == nullptr) return;
  counted.live_bytes.fetch_sub(static_cast<std::int64_t>(malloc_usable_size(block)), std::memory_order_relaxed);
}

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

// Counts a call of the libc function NAME and passes it on.
#define COUNTED(COUNTER, RESULT, NAME, PARAMETERS, ARGUMENTS) \
  extern "C" RESULT NAME PARAMETERS {                         \
    static auto* const real = next<RESULT PARAMETERS>(#NAME); \
    tally(counted.COUNTER);                                   \
    return real ARGUMENTS;                                    \
  }

extern "C" {

void bench_interposer_read(bench::Counts* counts) {
  counts->allocations = counted.allocations.load();
  counts->bytes = counted.bytes.load();
  counts->live_bytes = counted.live_bytes.load();
  counts->polls = counted.polls.load();
  counts->reads = counted.reads.load();
  counts->writes = counted.writes.load();
  counts->epoll_ctls = counted.epoll_ctls.load();
  counts->timerfd_settimes = counted.timerfd_settimes.load();
}

void* malloc(std::size_t size) {
  return count_block(__libc_malloc(size), size);
}
void* calloc(std::size_t count, std::size_t size) {
  return count_block(__libc_calloc(count, size), count * size);
}
void* realloc(void* block, std::size_t size) {
  count_free(block);
  return count_block(__libc_realloc(block, size), size);
}
void* memalign(std::size_t alignment, std::size_t size) {
  return count_block(__libc_memalign(alignment, size), size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return count_block(__libc_memalign(alignment, size), size);
}
int posix_memalign(void** block, std::size_t alignment, std::size_t size) {
  *block = count_block(__libc_memalign(alignment, size), size);
  return *block != nullptr ? 0 : ENOMEM;
}
void free(void* block) {
  count_free(block);
  __libc_free(block);
}

}  // extern "C"

COUNTED(polls, int, epoll_wait, (int epoll, epoll_event* events, int capacity, int timeout),
        (epoll, events, capacity, timeout))
COUNTED(polls, int, epoll_pwait, (int epoll, epoll_event* events, int capacity, int timeout, const sigset_t* mask),
        (epoll, events, capacity, timeout, mask))
COUNTED(polls, int, epoll_pwait2,
        (int epoll, epoll_event* events, int capacity, const timespec* timeout, const sigset_t* mask),
        (epoll, events, capacity, timeout, mask))
COUNTED(polls, int, poll, (pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))
COUNTED(polls, int, ppoll, (pollfd * fds, nfds_t count, const timespec* timeout, const sigset_t* mask),
        (fds, count, timeout, mask))
COUNTED(polls, int, select, (int count, fd_set* read, fd_set* write, fd_set* except, timeval* timeout),
        (count, read, write, except, timeout))
COUNTED(reads, ssize_t, read, (int fd, void* buffer, std::size_t size), (fd, buffer, size))
COUNTED(reads, ssize_t, readv, (int fd, const iovec* buffers, int count), (fd, buffers, count))
COUNTED(reads, ssize_t, recv, (int fd, void* buffer, std::size_t size, int flags), (fd, buffer, size, flags))
COUNTED(reads, ssize_t, recvfrom,
        (int fd, void* buffer, std::size_t size, int flags, sockaddr* from, socklen_t* from_size),
        (fd, buffer, size, flags, from, from_size))
COUNTED(reads, ssize_t, recvmsg, (int fd, msghdr* message, int flags), (fd, message, flags))
COUNTED(writes, ssize_t, write, (int fd, const void* buffer, std::size_t size), (fd, buffer, size))
COUNTED(writes, ssize_t, writev, (int fd, const iovec* buffers, int count), (fd, buffers, count))
COUNTED(writes, ssize_t, send, (int fd, const void* buffer, std::size_t size, int flags), (fd, buffer, size, flags))
COUNTED(writes, ssize_t, sendto,
        (int fd, const void* buffer, std::size_t size, int flags, const sockaddr* to, socklen_t to_size),
        (fd, buffer, size, flags, to, to_size))
COUNTED(writes, ssize_t, sendmsg, (int fd, const msghdr* message, int flags), (fd, message, flags))
COUNTED(epoll_ctls, int, epoll_ctl, (int epoll, int operation, int fd, epoll_event* event) noexcept,
        (epoll, operation, fd, event))
COUNTED(timerfd_settimes, int, timerfd_settime, (int fd, int flags, const itimerspec* value, itimerspec* old) noexcept,
        (fd, flags, value, old))
