#include <cerrno>
#include <csignal>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gyre/js/internal/test_support.h>

// The module gyre:fs.

namespace gyre::js {
namespace {

using ::testing::HasSubstr;
using testing::Host;
using testing::must;
using ::testing::StartsWith;

class Files : public ::testing::Test {
 protected:
  /// Runs a module's body with the functions of gyre:fs and the folder's path as `folder`; what it printed.
  std::string run(std::string_view body, RuntimeOptions options = {.file_access = FileAccess::read_write}) {
    host_.emplace(std::move(options));
    (*host_)->set("folder", folder_.path() + "/");
    must(
        (*host_)->run_code("import { readDir, readFile, readTextFile, writeFile } from 'gyre:fs';\n"
                           "const failing = p => p.then(v => console.log('no error', v), e => console.log(e.code, "
                           "e.syscall, e.path?.slice(folder.length), e.errno));\n" +
                               std::string(body),
                           "main.mjs", folder_.path()));
    const std::string output = host_->finish();
    EXPECT_EQ(host_->errors, "");
    return output;
  }

  testing::Folder folder_;
  std::optional<Host> host_;
};

TEST_F(Files, TextIsReadAsUtf8) {
  folder_.write("text.txt", "na\u00EFve \U0001F600\n\xFF!");
  EXPECT_EQ(run("console.log(JSON.stringify(await readTextFile(folder + 'text.txt')))"),
            "\"na\u00EFve \U0001F600\\n\uFFFD!\"\n");
}

TEST_F(Files, BytesAreReadAsAUint8Array) {
  folder_.write("bytes", std::string_view("\0\xFFz", 3));
  EXPECT_EQ(run("const b = await readFile(folder + 'bytes'); console.log(b instanceof Uint8Array, b.join())"),
            "true 0,255,122\n");
}

TEST_F(Files, AnEmptyFileIsEmpty) {
  folder_.write("empty", "");
  EXPECT_EQ(run("console.log((await readFile(folder + 'empty')).length, JSON.stringify(await readTextFile(folder + "
                "'empty')))"),
            "0 \"\"\n");
}

TEST_F(Files, TextAndBytesAreWrittenAndReplaceWhatWasThere) {
  run("await writeFile(folder + 'a', 'a longer text than the next'); await writeFile(folder + 'a', '\u00E4');"
      "await writeFile(folder + 'b', new Uint8Array([1, 2, 3, 4]).subarray(1, 3));"
      "await writeFile(folder + 'c', new Uint16Array([0x4241]).buffer);");
  EXPECT_EQ(folder_.read("a"), "\u00E4");
  EXPECT_EQ(folder_.read("b"), "\x02\x03");
  EXPECT_EQ(folder_.read("c"), "AB");
}

TEST_F(Files, WhatIsWrittenIsWhatTheBufferHeldAtTheCall) {
  run("const b = new Uint8Array([65]); const done = writeFile(folder + 'a', b); b[0] = 66; await done;");
  EXPECT_EQ(folder_.read("a"), "A");
}

TEST_F(Files, AppendAdds) {
  run("await writeFile(folder + 'log', 'one\\n', { append: true }); await writeFile(folder + 'log', 'two\\n', { "
      "append: true });");
  EXPECT_EQ(folder_.read("log"), "one\ntwo\n");
}

TEST_F(Files, LargeFilesSurvive) {
  EXPECT_EQ(run("const text = 'x'.repeat(5_000_000); await writeFile(folder + 'large', text);"
                "console.log(await readTextFile(folder + 'large') === text)"),
            "true\n");
}

TEST_F(Files, FilesOfUnknownSizeAreReadToTheirEnd) {
  EXPECT_THAT(run("console.log((await readTextFile('/proc/self/status')).slice(0, 5))"), StartsWith("Name:"));
}

TEST_F(Files, DirectoriesAreListedByName) {
  folder_.write("sub/x", "");
  folder_.write("b.txt", "");
  folder_.write("a.txt", "");
  ASSERT_EQ(symlink("a.txt", folder_.path("link").c_str()), 0);
  EXPECT_EQ(
      run("for (const e of await readDir(folder)) console.log(e.name, e.isFile, e.isDirectory, e.isSymbolicLink)"),
      "a.txt true false false\nb.txt true false false\nlink false false true\nsub false true false\n");
}

TEST_F(Files, FileUrlsAreAsGoodAsPaths) {
  folder_.write("a b#%.txt", "found");
  EXPECT_EQ(run("console.log(await readTextFile(import.meta.dirname + '/a b#%.txt'), await readTextFile('file://' + "
                "folder + 'a%20b%23%25.txt'),"
                "await readTextFile({ href: 'file://localhost' + folder + './a%20b%23%25.txt?query' }));"),
            "found found found\n");
}

TEST_F(Files, UrlsThatLeadElsewhereAreTypeErrors) {
  EXPECT_EQ(run("for (const url of ['file://other/etc/x', 'file:///a%2Fb', 'file:///a%00b', 'file:///%zz']) await "
                "readFile(url).catch(e => console.log(e.name, e.message))"),
            "TypeError cannot use 'file://other/etc/x': it names another host, and modules are local files\n"
            "TypeError cannot use 'file:///a%2Fb': it contains an encoded '/' (%2F)\n"
            "TypeError cannot use 'file:///a%00b': it contains a NUL character\n"
            "TypeError cannot use 'file:///%zz': it contains a '%' that is not followed by two hexadecimal digits "
            "(write '%25')\n");
}

TEST_F(Files, ErrorsCarryCodeSyscallPathAndNumberAsInNode) {
  folder_.write("file", "");
  EXPECT_EQ(run("await failing(readFile(folder + 'none')); await failing(readFile(folder)); await "
                "failing(readDir(folder + 'file'));"
                "await failing(writeFile(folder + 'no/such/folder', '')); await failing(writeFile(folder, ''));"
                "await readFile('/none').catch(e => console.log(e.message, e instanceof Error))"),
            "ENOENT open none -2\nEISDIR read  -21\nENOTDIR scandir file -20\nENOENT open no/such/folder -2\nEISDIR "
            "open  -21\n"
            "ENOENT: no such file or directory, open '/none' true\n");
}

TEST_F(Files, WrongArgumentsReject) {
  EXPECT_EQ(run("for (const p of [readFile(), readTextFile(7), readFile(''), writeFile(folder + 'x'), writeFile(folder "
                "+ 'x', {}), readDir(null), readFile('a\\0b')])"
                "  await p.catch(e => console.log(e.name, e.code))"),
            "TypeError ERR_INVALID_ARG_TYPE\nTypeError ERR_INVALID_ARG_TYPE\nTypeError "
            "ERR_INVALID_ARG_VALUE\nTypeError ERR_INVALID_ARG_TYPE\n"
            "TypeError ERR_INVALID_ARG_TYPE\nTypeError ERR_INVALID_ARG_TYPE\nTypeError undefined\n");
}

TEST_F(Files, NothingIsAllowedUnlessTheHostSaysSo) {
  folder_.write("file", "secret");
  EXPECT_EQ(run("await failing(readTextFile(folder + 'file')); await failing(readDir(folder)); await "
                "failing(writeFile(folder + 'x', ''))",
                {}),
            "EACCES undefined undefined undefined\nEACCES undefined undefined undefined\nEACCES undefined undefined "
            "undefined\n");
  EXPECT_EQ(run("console.log(await readTextFile(folder + 'file')); await failing(writeFile(folder + 'file', ''))",
                {.file_access = FileAccess::read}),
            "secret\nEACCES undefined undefined undefined\n");
  EXPECT_EQ(folder_.read("file"), "secret");
}

TEST_F(Files, AFileLargerThanTheBudgetIsRefused) {
  folder_.write("large", std::string(200'000, 'x'));
  EXPECT_EQ(run("await readFile(folder + 'large').catch(e => console.log(e.code)); await readFile('/dev/zero').catch(e "
                "=> console.log(e.code))",
                {.file_access = FileAccess::read, .array_buffer_limit = 100'000}),
            "ERR_FS_FILE_TOO_LARGE\nERR_FS_FILE_TOO_LARGE\n");
}

TEST_F(Files, ManyReadsRunAtOnceAndKeepTheLoopAlive) {
  folder_.write("file", "x");
  EXPECT_EQ(run("const all = await Promise.all(Array.from({ length: 200 }, () => readTextFile(folder + 'file'))); "
                "console.log(all.join('').length)"),
            "200\n");
}

class PendingRead : public Files {
 protected:
  /// A read that waits until somebody writes to the pipe.
  void begin_reading() {
    ASSERT_EQ(mkfifo(folder_.path("pipe").c_str(), 0600), 0);
    host_.emplace(RuntimeOptions{.file_access = FileAccess::read});
    (*host_)->set("pipe", folder_.path("pipe"));
    must(
        (*host_)->run_code("import { readTextFile } from 'gyre:fs'; readTextFile(pipe).then(console.log, e => "
                           "console.log('failed', e.code))",
                           "main.mjs", folder_.path()));
    must(host_->loop.poll_once());
  }
  PendingRead() { std::signal(SIGPIPE, SIG_IGN); }
  ~PendingRead() override {
    if (writer_ >= 0) ::close(writer_);
  }
  /// True once the pool's thread has opened the pipe: only then can the other end be opened.
  bool reader_is_there() {
    writer_ = ::open(folder_.path("pipe").c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    return writer_ >= 0;
  }
  /// Gives the reader what it waits for, and the end of the file.
  void release_reader() {
    const ssize_t written = ::write(writer_, "late", 4);
    EXPECT_TRUE(written == 4 || errno == EPIPE);  // it may have heard of the end of its loop first
    ::close(std::exchange(writer_, -1));
  }

  int writer_ = -1;
};

TEST_F(PendingRead, OfALoopThatIsClosedIsDropped) {
  begin_reading();
  ASSERT_TRUE(testing::eventually([&] { return reader_is_there(); }));
  must(host_->loop.close());
  EXPECT_TRUE((*host_)->has_ended());
  host_->destroy();
  release_reader();
  EXPECT_EQ(host_->output, "");
}

TEST_F(PendingRead, OfARuntimeThatIsGoneIsDropped) {
  begin_reading();
  host_->destroy();
  ASSERT_TRUE(testing::eventually([&] { return reader_is_there(); }));
  release_reader();
  must(host_->loop.run());
  EXPECT_EQ(host_->output, "");
}

TEST_F(PendingRead, ArrivesWhenItIsDone) {
  begin_reading();
  ASSERT_TRUE(testing::eventually([&] { return reader_is_there(); }));
  release_reader();
  EXPECT_EQ(host_->finish(), "late\n");
}

}  // namespace
}  // namespace gyre::js
