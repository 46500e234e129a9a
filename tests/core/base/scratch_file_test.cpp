#include "core/base/scratch_file.h"

#include <sys/resource.h>

#include <csignal>
#include <cstring>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/system.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

class ScratchFileTest : public QObject {
  Q_OBJECT
 private slots:
  void holdsWhatWasWrittenAndLeavesNothing() {
    const ScratchFolder folder;
    {
      ScratchFile file(folder.path(), 3 << 20);
      auto* bytes = static_cast<unsigned char*>(file.data());
      for (size_t i = 0; i < (3u << 20); i += 4099) QCOMPARE(bytes[i], static_cast<unsigned char>(0));
      std::memset(bytes, 0x5A, 3 << 20);
      QVERIFY(fs::is_empty(folder.path()));  // it has no name
      file.rest(bytes + 5, (3 << 20) - 5);
      file.expect(bytes, 3 << 20);
      for (size_t i = 0; i < (3u << 20); i += 4099) QCOMPARE(bytes[i], static_cast<unsigned char>(0x5A));
    }
    QVERIFY(fs::is_empty(folder.path()));
    ScratchFile none(folder.path(), 0);
  }
  void partsAtRestDoNotCountAsMemory() {
    const ScratchFolder folder;
    constexpr size_t kBytes = 32 << 20;
    ScratchFile file(folder.path(), kBytes);
    const uint64_t before = resident_bytes();
    std::memset(file.data(), 1, kBytes);
    QVERIFY(resident_bytes() > before + kBytes / 2);
    file.rest(file.data(), kBytes);
    QVERIFY(resident_bytes() < before + kBytes / 4);
  }
  void knowsFilesThatAreMemory() {
    if (!fs::exists("/dev/shm")) QSKIP("no /dev/shm here");
    QVERIFY(is_kept_in_memory("/dev/shm/not/there/yet"));
    QVERIFY(!is_kept_in_memory("/proc"));
  }
  void aFolderThatIsNotThereIsNamed() {
    VERIFY_THROWS(ScratchFile("/nowhere/at/all", 10), IoError, "/nowhere/at/all");
  }
  // More than the disk has, and more than the process may write: told before anything is used.
  void tooMuchIsRefusedAtOnce() {
    const ScratchFolder folder;
    VERIFY_THROWS(ScratchFile(folder.path(), uint64_t{1} << 60), IoError, folder.path());
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit old{};
    QCOMPARE(getrlimit(RLIMIT_FSIZE, &old), 0);
    const rlimit small{1 << 20, old.rlim_max};
    QCOMPARE(setrlimit(RLIMIT_FSIZE, &small), 0);
    VERIFY_THROWS(ScratchFile(folder.path(), 8 << 20), IoError, "8.4 MB");
    QCOMPARE(setrlimit(RLIMIT_FSIZE, &old), 0);
    QVERIFY(fs::is_empty(folder.path()));
  }
};

LORIKEET_TEST_MAIN(ScratchFileTest)
#include "scratch_file_test.moc"
