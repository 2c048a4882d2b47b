#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include <gyre/base/error.h>

namespace gyre::js {

/// The few questions that module resolution asks about files. A program that keeps its scripts elsewhere (in its
/// binary, in a database, behind a sandbox) answers them itself.
///
/// Paths are bytes with '/' between the parts, as POSIX has them. Called on the runtime's thread, one call at a time.
class ModuleFileSystem {
 public:
  enum class Kind {
    none,       ///< There is nothing of that name.
    file,       ///< A regular file.
    directory,  //
    other,      ///< A device, socket or pipe: never a module.
    forbidden,  ///< The caller may not look there.
  };

  virtual ~ModuleFileSystem() = default;
  /// What `path` leads to, through symbolic links.
  virtual Kind kind(const std::string& path) = 0;
  /// The absolute path of the same file without symbolic links, "." or "..". A relative `path` counts from the current
  /// directory.
  virtual Result<std::string> real_path(const std::string& path) = 0;
  /// The content of a file; `Errc::limit_exceeded` if it is longer than `max_bytes`.
  virtual Result<std::string> read(const std::string& path, std::size_t max_bytes) = 0;
};

/// The files of the operating system. Has no state: any number of threads may share one.
class RealModuleFileSystem final : public ModuleFileSystem {
 public:
  Kind kind(const std::string& path) override;
  Result<std::string> real_path(const std::string& path) override;
  Result<std::string> read(const std::string& path, std::size_t max_bytes) override;
};

/// Files that live in memory: for tests, and for programs that carry their scripts with them.
///
/// ```
/// MemoryModuleFileSystem files;
/// files.add("/app/main.js", "import { answer } from './answer.js';");
/// files.add("/app/answer.js", "export const answer = 42;");
/// ```
class MemoryModuleFileSystem final : public ModuleFileSystem {
 public:
  /// Puts a file at an absolute path, with the directories above it; replaces what was there.
  void add(std::string_view path, std::string content);
  /// Puts a symbolic link at `path`; a relative `target` counts from the link's directory.
  void add_link(std::string_view path, std::string target);
  void add_directory(std::string_view path);
  /// Takes away a file, link or empty directory; false if there was none.
  bool remove(std::string_view path);

  Kind kind(const std::string& path) override;
  Result<std::string> real_path(const std::string& path) override;
  Result<std::string> read(const std::string& path, std::size_t max_bytes) override;

 private:
  enum class EntryKind { file, directory, link };
  struct Entry {
    EntryKind kind;
    std::string text;  // a file's content, a link's target
  };
  void put(std::string_view path, Entry entry);

  std::map<std::string, Entry, std::less<>> entries_;  // by normal absolute path; the root is implied
};

}  // namespace gyre::js
