#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gyre/js/module_file_system.h>

namespace gyre::js {
namespace {

using Kind = ModuleFileSystem::Kind;

class RealModuleFileSystemTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "gyre-files-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = std::filesystem::canonical(pattern);
    std::ofstream(root_ / "file", std::ios::binary) << std::string("text\0more", 9);
    std::filesystem::create_directory(root_ / "directory");
    std::filesystem::create_symlink("file", root_ / "link");
    std::filesystem::create_symlink("loop", root_ / "loop");
    ::mkfifo((root_ / "pipe").c_str(), 0600);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  std::string at(const std::string& name) const { return (root_ / name).string(); }

  std::filesystem::path root_;
  RealModuleFileSystem files_;
};

TEST_F(RealModuleFileSystemTest, TellsWhatIsThere) {
  EXPECT_EQ(files_.kind(at("file")), Kind::file);
  EXPECT_EQ(files_.kind(at("link")), Kind::file);
  EXPECT_EQ(files_.kind(at("directory")), Kind::directory);
  EXPECT_EQ(files_.kind(at("pipe")), Kind::other);
  EXPECT_EQ(files_.kind("/dev/null"), Kind::other);
  EXPECT_EQ(files_.kind(at("gone")), Kind::none);
  EXPECT_EQ(files_.kind(at("file/inside")), Kind::none);
  EXPECT_EQ(files_.kind(at("loop")), Kind::none);
  EXPECT_EQ(files_.kind(at(std::string(5000, 'n'))), Kind::none);
  EXPECT_EQ(files_.kind(at("file") + std::string("\0x", 2)), Kind::none) << "NUL does not end a name";
  EXPECT_EQ(files_.kind(""), Kind::none);
}

TEST_F(RealModuleFileSystemTest, RealPathsHaveNoLinks) {
  EXPECT_EQ(files_.real_path(at("link")).value(), at("file"));
  EXPECT_EQ(files_.real_path(at("directory/../link")).value(), at("file"));
  EXPECT_EQ(files_.real_path(at("gone")).error().code(), std::errc::no_such_file_or_directory);
  EXPECT_EQ(files_.real_path(at("loop")).error().code(), std::errc::too_many_symbolic_link_levels);
  EXPECT_FALSE(files_.real_path(at("file") + std::string("\0x", 2)));
}

TEST_F(RealModuleFileSystemTest, ReadsRegularFilesUpToTheLimit) {
  EXPECT_EQ(files_.read(at("file"), 9).value(), std::string("text\0more", 9));
  EXPECT_EQ(files_.read(at("link"), 100).value().size(), 9u);
  EXPECT_EQ(files_.read(at("file"), 8).error().code(), Errc::limit_exceeded);
  EXPECT_EQ(files_.read(at("gone"), 9).error().code(), std::errc::no_such_file_or_directory);
  EXPECT_EQ(files_.read(at("directory"), 9).error().code(), std::errc::is_a_directory);
  EXPECT_FALSE(files_.read(at("pipe"), 9)) << "and does not wait for a writer";
  EXPECT_FALSE(files_.read("/dev/zero", 9));
  EXPECT_FALSE(files_.read(at("file") + std::string("\0x", 2), 9));
  std::ofstream(root_ / "large") << std::string(300'000, 'x');
  EXPECT_EQ(files_.read(at("large"), 300'000).value().size(), 300'000u);
  EXPECT_FALSE(files_.read(at("large"), 299'999));
}

TEST(MemoryModuleFileSystem, HoldsFilesAndTheDirectoriesAboveThem) {
  MemoryModuleFileSystem files;
  files.add("/a/b/../c//file", "text");
  EXPECT_EQ(files.kind("/"), Kind::directory);
  EXPECT_EQ(files.kind("/a"), Kind::directory);
  EXPECT_EQ(files.kind("/a/c/file"), Kind::file);
  EXPECT_EQ(files.kind("/a/b"), Kind::none);
  EXPECT_EQ(files.kind("/a/c/file/x"), Kind::none);
  EXPECT_EQ(files.kind("a/c/file"), Kind::file) << "the current directory is the root";
  EXPECT_EQ(files.real_path("/a/./c/../c/file").value(), "/a/c/file");
  EXPECT_EQ(files.read("/a/c/file", 4).value(), "text");
  EXPECT_EQ(files.read("/a/c/file", 3).error().code(), Errc::limit_exceeded);
  EXPECT_EQ(files.read("/a", 10).error().code(), std::errc::is_a_directory);
  EXPECT_EQ(files.read("/", 10).error().code(), std::errc::is_a_directory);
  EXPECT_EQ(files.read("/gone", 10).error().code(), std::errc::no_such_file_or_directory);
  files.add("/a/c/file", "new");
  EXPECT_EQ(files.read("/a/c/file", 4).value(), "new");
}

TEST(MemoryModuleFileSystem, FollowsLinks) {
  MemoryModuleFileSystem files;
  files.add("/store/p/a.js", "x");
  files.add_link("/app/p", "../store/p");
  files.add_link("/app/absolute", "/store/p/a.js");
  files.add_link("/app/chain", "absolute");
  files.add_link("/app/loop", "loop");
  files.add_link("/app/dangling", "gone");
  EXPECT_EQ(files.real_path("/app/p/a.js").value(), "/store/p/a.js");
  EXPECT_EQ(files.real_path("/app/p/../x").error().code(), std::errc::no_such_file_or_directory) << "of the target";
  EXPECT_EQ(files.real_path("/app/p/../p/a.js").value(), "/store/p/a.js");
  EXPECT_EQ(files.real_path("/app/chain").value(), "/store/p/a.js");
  EXPECT_EQ(files.kind("/app/p"), Kind::directory);
  EXPECT_EQ(files.kind("/app/chain"), Kind::file);
  EXPECT_EQ(files.kind("/app/loop"), Kind::none);
  EXPECT_EQ(files.kind("/app/dangling"), Kind::none);
  EXPECT_EQ(files.real_path("/app/loop").error().code(), std::errc::too_many_symbolic_link_levels);
}

TEST(MemoryModuleFileSystem, RemovesWhatIsNotInUse) {
  MemoryModuleFileSystem files;
  files.add("/a/b", "");
  files.add("/a b", "");
  files.add_directory("/empty");
  EXPECT_FALSE(files.remove("/a")) << "it has a file in it";
  EXPECT_TRUE(files.remove("/a/b"));
  EXPECT_TRUE(files.remove("/a"));
  EXPECT_TRUE(files.remove("/empty"));
  EXPECT_FALSE(files.remove("/gone"));
  EXPECT_EQ(files.kind("/a"), Kind::none);
  EXPECT_EQ(files.kind("/a b"), Kind::file);
}

}  // namespace
}  // namespace gyre::js
