#include <cerrno>
#include <cstdlib>
#include <deque>
#include <memory>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gyre/js/internal/file_url.h>
#include <gyre/js/module_file_system.h>

namespace gyre::js {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

struct Free {
  void operator()(char* text) const { std::free(text); }
};

bool has_nul(std::string_view path) {
  return path.find('\0') != path.npos;
}

std::unexpected<Error> too_long(std::string_view path, std::size_t max_bytes) {
  return fail(Errc::limit_exceeded, "'{}' is longer than {} bytes", path, max_bytes);
}

std::unexpected<Error> system_error(int error_number, std::string_view verb, std::string_view path) {
  return std::unexpected(Error::from_errno(error_number, fmt::format("{} '{}'", verb, path)));
}

// The parts of `path`, without "" and ".".
std::deque<std::string> split(std::string_view path) {
  std::deque<std::string> parts;
  for (std::size_t start = 0, end = 0; start < path.size(); start = end + 1) {
    end = std::min(path.find('/', start), path.size());
    const std::string_view part = path.substr(start, end - start);
    if (!part.empty() && part != ".") parts.emplace_back(part);
  }
  return parts;
}

std::string normal_path(std::string_view path) {
  std::string normal = "/";
  for (const std::string& part : split(path)) {
    normal = part == ".." ? std::string(internal::parent_directory(normal)) : internal::join_path(normal, part);
  }
  return normal;
}

}  // namespace

ModuleFileSystem::Kind RealModuleFileSystem::kind(const std::string& path) {
  if (has_nul(path)) return Kind::none;
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) return errno == EACCES || errno == EPERM ? Kind::forbidden : Kind::none;
  if (S_ISREG(status.st_mode)) return Kind::file;
  return S_ISDIR(status.st_mode) ? Kind::directory : Kind::other;
}

Result<std::string> RealModuleFileSystem::real_path(const std::string& path) {
  if (has_nul(path)) return system_error(EINVAL, "resolve", path.c_str());
  const std::unique_ptr<char, Free> resolved(::realpath(path.c_str(), nullptr));
  if (!resolved) return system_error(errno, "resolve", path);
  return std::string(resolved.get());
}

Result<std::string> RealModuleFileSystem::read(const std::string& path, std::size_t max_bytes) {
  if (has_nul(path)) return system_error(EINVAL, "read", path.c_str());
  // Non-blocking: a pipe of that name must not hold up the loop. Regular files are not affected.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return system_error(errno, "open", path);
  struct stat status;
  if (::fstat(file.get(), &status) != 0) return system_error(errno, "read", path);
  if (!S_ISREG(status.st_mode)) return system_error(S_ISDIR(status.st_mode) ? EISDIR : EINVAL, "read", path);

  std::string content;
  constexpr std::size_t kChunk = 64 * 1024;
  for (;;) {
    const std::size_t size = content.size();
    content.resize(size + kChunk);
    const ssize_t got = ::read(file.get(), content.data() + size, kChunk);
    content.resize(size + (got > 0 ? static_cast<std::size_t>(got) : 0));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(errno, "read", path);
    if (got == 0) return content;
    if (content.size() > max_bytes) return too_long(path, max_bytes);
  }
}

void MemoryModuleFileSystem::add(std::string_view path, std::string content) {
  put(path, {EntryKind::file, std::move(content)});
}

void MemoryModuleFileSystem::add_link(std::string_view path, std::string target) {
  put(path, {EntryKind::link, std::move(target)});
}

void MemoryModuleFileSystem::add_directory(std::string_view path) {
  put(path, {EntryKind::directory, {}});
}

void MemoryModuleFileSystem::put(std::string_view path, Entry entry) {
  std::string place = normal_path(path);
  for (std::string_view above = internal::parent_directory(place); above != "/";
       above = internal::parent_directory(above)) {
    entries_.try_emplace(std::string(above), Entry{EntryKind::directory, {}});
  }
  if (place != "/") entries_.insert_or_assign(std::move(place), std::move(entry));
}

bool MemoryModuleFileSystem::remove(std::string_view path) {
  const auto entry = entries_.find(normal_path(path));
  if (entry == entries_.end()) return false;
  const std::string inside = entry->first + "/";
  const auto child = entries_.lower_bound(inside);
  if (child != entries_.end() && child->first.starts_with(inside)) return false;
  entries_.erase(entry);
  return true;
}

ModuleFileSystem::Kind MemoryModuleFileSystem::kind(const std::string& path) {
  const Result<std::string> real = real_path(path);
  if (!real) return Kind::none;
  if (*real == "/") return Kind::directory;
  return entries_.find(*real)->second.kind == EntryKind::file ? Kind::file : Kind::directory;
}

Result<std::string> MemoryModuleFileSystem::real_path(const std::string& path) {
  constexpr int kMaxLinks = 40;  // as Linux counts them
  std::deque<std::string> rest = split(path);
  std::string real = "/";
  bool through_file = false;
  for (int links = 0; !rest.empty();) {
    const std::string part = std::move(rest.front());
    rest.pop_front();
    if (through_file) return system_error(ENOTDIR, "resolve", path);
    if (part == "..") {
      real = std::string(internal::parent_directory(real));
      continue;
    }
    const std::string next = internal::join_path(real, part);
    const auto entry = entries_.find(next);
    if (entry == entries_.end()) return system_error(ENOENT, "resolve", path);
    if (entry->second.kind != EntryKind::link) {
      through_file = entry->second.kind == EntryKind::file;
      real = next;
      continue;
    }
    if (++links > kMaxLinks) return system_error(ELOOP, "resolve", path);
    if (entry->second.text.starts_with('/')) real = "/";
    std::deque<std::string> target = split(entry->second.text);
    rest.insert(rest.begin(), target.begin(), target.end());
  }
  return real;
}

Result<std::string> MemoryModuleFileSystem::read(const std::string& path, std::size_t max_bytes) {
  Result<std::string> real = real_path(path);
  if (!real) return real;
  const auto entry = entries_.find(*real);
  if (entry == entries_.end() || entry->second.kind != EntryKind::file) return system_error(EISDIR, "read", path);
  if (entry->second.text.size() > max_bytes) return too_long(path, max_bytes);
  return entry->second.text;
}

}  // namespace gyre::js
