#include "core/base/files.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "core/base/error.h"
#include "tests/support/support.h"

using namespace lorikeet;
using lorikeet::test::ScratchFolder;

class FilesTest : public QObject {
  Q_OBJECT
 private slots:
  void atomicFileLeavesNothingWithoutCommit() {
    ScratchFolder folder;
    {
      AtomicFile file(folder.path("a.txt"));
      file.write("half");
    }
    QVERIFY(fs::is_empty(folder.path()));
  }
  void atomicFileReplacesAsAWhole() {
    ScratchFolder folder;
    write_file_atomic(folder.path("a.txt"), "old");
    AtomicFile file(folder.path("a.txt"));
    file.write("new text");
    QCOMPARE(read_file(folder.path("a.txt")), std::string("old"));
    file.commit();
    QCOMPARE(read_file(folder.path("a.txt")), std::string("new text"));
    QCOMPARE(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator{}), 1);
  }
  void aFullDiskLeavesTheOldFile() {
    ScratchFolder folder;
    write_file_atomic(folder.path("a.txt"), "old");
    const pid_t child = fork();
    if (child == 0) {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit limit{1000, 1000};
      setrlimit(RLIMIT_FSIZE, &limit);
      try {
        write_file_atomic(folder.path("a.txt"), std::string(5000, 'x'));
      } catch (const IoError& e) {
        _exit(std::string(e.what()).find("a.txt") != std::string::npos ? 7 : 8);
      }
      _exit(9);
    }
    int status = 0;
    waitpid(child, &status, 0);
    QCOMPARE(WEXITSTATUS(status), 7);
    QCOMPARE(read_file(folder.path("a.txt")), std::string("old"));
    QCOMPARE(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator{}), 1);
  }
  void readingIsLimited() {
    ScratchFolder folder;
    const std::string path = folder.write("a", std::string(100, 'x'));
    VERIFY_THROWS(read_file(path, 99), InputError, "100 bytes");
    QCOMPARE(read_file(path, 100).size(), size_t{100});
    VERIFY_THROWS(read_file(folder.path("none")), InputError, "no such file");
    VERIFY_THROWS(read_file(folder.path(std::string(300, 'n'))), InputError, "too long");
    VERIFY_THROWS(read_file(folder.path()), InputError, "folder");
  }
  void mapsFiles() {
    ScratchFolder folder;
    const MappedFile file(folder.write("a", "abc"));
    QCOMPARE(file.bytes().size(), size_t{3});
    QCOMPARE(static_cast<char>(file.bytes()[2]), 'c');
    QCOMPARE(MappedFile(folder.write("empty", "")).bytes().size(), size_t{0});
    VERIFY_THROWS(MappedFile(folder.path()), InputError, "regular");
  }
  void hashesAreSha256() {
    QCOMPARE(sha256_of_text("abc"), std::string("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    ScratchFolder folder;
    QCOMPARE(sha256_of_file(folder.write("a", "abc")), sha256_of_text("abc"));
  }
  void oneWriterPerFolder() {
    ScratchFolder folder;
    {
      const FolderLock lock(folder.path());
      QVERIFY(FolderLock::is_held(folder.path()));
      VERIFY_THROWS(FolderLock(folder.path()), RunError, "in use by another run (process");
    }
    QVERIFY(!FolderLock::is_held(folder.path()));
    const FolderLock again(folder.path());
  }
  void aKilledHolderFreesTheLock() {
    ScratchFolder folder;
    int ready[2];
    QVERIFY(pipe(ready) == 0);
    const pid_t child = fork();
    if (child == 0) {
      const FolderLock lock(folder.path());
      (void)!::write(ready[1], "x", 1);
      pause();
    }
    char c;
    QCOMPARE(::read(ready[0], &c, 1), ssize_t{1});
    QVERIFY(FolderLock::is_held(folder.path()));
    ::kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    QVERIFY(!FolderLock::is_held(folder.path()));
  }
  void lineWriterAppends() {
    ScratchFolder folder;
    { LineWriter(folder.path("log"), true).line("one"); }
    { LineWriter(folder.path("log"), false).line("two"); }
    QCOMPARE(read_file(folder.path("log")), std::string("one\ntwo\n"));
  }
};

LORIKEET_TEST_MAIN(FilesTest)
#include "files_test.moc"
