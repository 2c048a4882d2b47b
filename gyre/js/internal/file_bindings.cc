#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gyre/js/internal/file_url.h>
#include <gyre/js/internal/quoted.h>
#include <gyre/js/internal/runtime_core.h>

// The work behind "gyre:fs": on the loop's off-load pool, results back as promises.

namespace gyre::js::internal {
namespace {

using Bytes = std::vector<std::byte>;

// Node's name for an errno value, and its own wording, which scripts compare.
std::pair<std::string, std::string> describe_errno(int number) {
  const char* name = strerrorname_np(number);
  std::string text = strerrordesc_np(number) != nullptr ? strerrordesc_np(number) : "unknown error";
  if (!text.empty()) text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  return {name != nullptr ? name : "UNKNOWN", text};
}

Error file_error(int number, std::string_view call, const std::string& path) {
  const auto [name, text] = describe_errno(number);
  return Error(std::error_code(number, std::system_category()), fmt::format("{}: {}, {} '{}'", name, text, call, path))
      .with("code", name)
      .with("syscall", call)
      .with("path", path);
}

class File {
 public:
  File(const std::string& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

// As much as Node.js reads at once. Files such as /dev/zero have no end.
constexpr std::size_t kMaxFileBytes = std::size_t{2} << 30;

Result<Bytes> read_file(const std::string& path, std::size_t max_bytes, const std::stop_token& stop) {
  const File file(path, O_RDONLY);
  if (file.fd() < 0) return std::unexpected(file_error(errno, "open", path));
  struct stat status{};
  if (fstat(file.fd(), &status) != 0) return std::unexpected(file_error(errno, "stat", path));
  if (S_ISDIR(status.st_mode)) return std::unexpected(file_error(EISDIR, "read", path));
  // The size is a hint: files in /proc say 0, others may grow meanwhile.
  Bytes bytes(std::min(static_cast<std::size_t>(status.st_size), max_bytes) + 1);
  std::size_t filled = 0;
  for (;;) {
    if (filled > max_bytes) {
      return std::unexpected(Error(Errc::limit_exceeded, fmt::format("'{}' has more than {} bytes", path, max_bytes))
                                 .with("code", "ERR_FS_FILE_TOO_LARGE")
                                 .with("path", path));
    }
    if (stop.stop_requested()) return fail(Errc::cancelled, "the loop was closed while '{}' was read", path);
    if (filled == bytes.size()) bytes.resize(bytes.size() * 2 + 4096);
    const ssize_t count =
        ::read(file.fd(), bytes.data() + filled, std::min<std::size_t>(bytes.size() - filled, 1 << 20));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::unexpected(file_error(errno, "read", path));
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  bytes.resize(filled);
  return bytes;
}

Result<void> write_file(const std::string& path, const Bytes& bytes, bool append) {
  const File file(path, O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC));
  if (file.fd() < 0) return std::unexpected(file_error(errno, "open", path));
  std::size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t count = ::write(file.fd(), bytes.data() + written, bytes.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::unexpected(file_error(errno, "write", path));
    written += static_cast<std::size_t>(count);
  }
  return {};
}

struct DirectoryEntry {
  std::string name;
  bool is_file = false;
  bool is_directory = false;
  bool is_link = false;
};

Result<std::vector<DirectoryEntry>> list_directory(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path.c_str()), &closedir);
  if (directory == nullptr) return std::unexpected(file_error(errno, "scandir", path));
  std::vector<DirectoryEntry> entries;
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(directory.get());
    if (entry == nullptr) {
      if (errno != 0) return std::unexpected(file_error(errno, "scandir", path));
      break;
    }
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat status{};
    if (fstatat(dirfd(directory.get()), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;  // just removed
    entries.push_back({name, S_ISREG(status.st_mode), S_ISDIR(status.st_mode), S_ISLNK(status.st_mode)});
  }
  std::ranges::sort(entries, {}, &DirectoryEntry::name);
  return entries;
}

// Runs `work(stop)` off the loop and settles a promise with what `to_value` makes of its result.
template <typename Work, typename ToValue>
void settle_later(RuntimeCore& core, Call& call, Work work, ToValue to_value) {
  const auto [promise, resolver] = call.realm.deferred();
  call.result = promise;
  auto submitted = core.loop.offload(
      std::move(work), [held = core.make_value(resolver), to_value = std::move(to_value)](auto outcome) mutable {
        RuntimeCore& owner = *held.core();
        if (!owner.usable()) return;
        const RuntimeCore::Entry entry(owner);
        Realm& realm = *owner.realm;
        const Local value = outcome ? to_value(realm, std::move(outcome)) : Local();
        if (!value.is_empty()) {
          realm.resolve(held.local(realm), value);
        } else if (outcome) {
          realm.reject(held.local(realm),
                       realm.error(ErrorClass::range_error, "the file is larger than the script may hold"));
        } else {
          realm.reject(held.local(realm), owner.make_error(outcome.error()));
        }
      });
  if (!submitted) core.realm->reject(resolver, core.make_error(submitted.error()));
}

// Returns the path, or sets call.thrown and returns nothing.
std::optional<std::string> checked_path(RuntimeCore& core, Call& call, FileAccess needed) {
  if (core.options.file_access < needed) {
    const bool writing = needed == FileAccess::read_write;
    call.thrown =
        core.make_error(Error(Errc::permission_denied, fmt::format("EACCES: the host does not let this script {} files "
                                                                   "(RuntimeOptions::file_access)",
                                                                   writing ? "write" : "read"))
                            .with("code", "EACCES"));
    return std::nullopt;
  }
  std::string path = call.realm.to_utf8(call[0]);
  if (path.find('\0') != std::string::npos) {
    call.thrown = call.realm.error(ErrorClass::type_error, "a path must not contain null bytes");
    return std::nullopt;
  }
  return path;
}

}  // namespace

void add_file_bindings(RuntimeCore& core, Local native) {
  Realm& realm = *core.realm;
  const Local files = realm.object();
  realm.set(native, "fs", files);

  define_function(core, native, "fileUrlToPath", [](Call& call) {
    const std::string url = call.realm.to_utf8(call[0]);
    if (const auto location = parse_file_url(url)) {
      call.result = call.realm.string(location->path);
    } else {
      call.thrown = call.realm.error(ErrorClass::type_error,
                                     fmt::format("cannot use {}: {}", in_quotes(url), location.error().message()));
    }
  });

  define_function(core, files, "read", [&core](Call& call) {
    const auto path = checked_path(core, call, FileAccess::read);
    if (!path) return;
    const bool as_text = call.realm.to_boolean(call[1]);
    const std::size_t budget = core.options.array_buffer_limit;
    const std::size_t max_bytes = budget == 0 ? kMaxFileBytes : std::min(budget, kMaxFileBytes);
    settle_later(
        core, call, [path = *path, max_bytes](const std::stop_token& stop) { return read_file(path, max_bytes, stop); },
        [as_text](Realm& to, Result<Bytes> bytes) {
          if (!as_text) return to.uint8_array(std::move(*bytes));
          return to.string({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
        });
  });

  define_function(core, files, "write", [&core](Call& call) {
    const auto path = checked_path(core, call, FileAccess::read_write);
    if (!path) return;
    // Copied before the call returns: the script may change its buffer while the file is written.
    Bytes bytes;
    if (const auto view = call.realm.bytes_of(call[1])) {
      bytes.assign(view->begin(), view->end());
    } else {
      const std::string text = call.realm.to_utf8(call[1]);
      const auto* first = reinterpret_cast<const std::byte*>(text.data());
      bytes.assign(first, first + text.size());
    }
    const bool append = call.realm.to_boolean(call[2]);
    settle_later(
        core, call,
        [path = *path, bytes = std::move(bytes), append](const std::stop_token&) {
          return write_file(path, bytes, append);
        },
        [](Realm& to, Result<void>) { return to.undefined(); });
  });

  define_function(core, files, "list", [&core](Call& call) {
    const auto path = checked_path(core, call, FileAccess::read);
    if (!path) return;
    settle_later(
        core, call, [path = *path](const std::stop_token&) { return list_directory(path); },
        [](Realm& to, Result<std::vector<DirectoryEntry>> entries) {
          std::vector<Local> elements;
          for (const DirectoryEntry& entry : *entries) {
            const Local object = to.object();
            to.set(object, "name", to.string(entry.name));
            to.set(object, "isFile", to.boolean(entry.is_file));
            to.set(object, "isDirectory", to.boolean(entry.is_directory));
            to.set(object, "isSymbolicLink", to.boolean(entry.is_link));
            elements.push_back(object);
          }
          return to.array(elements);
        });
  });
}

}  // namespace gyre::js::internal
