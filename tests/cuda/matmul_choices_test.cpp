// The file of chosen algorithms: kept, read again, and harmless when it is broken.
#include "cuda/runtime/matmul_choices.h"

#include "core/base/files.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;
using cuda::MatmulChoices;

class MatmulChoicesTest : public QObject {
  Q_OBJECT
  const uint64_t large_ = 0xfedcba9876543210u;

 private slots:
  void whatIsKeptIsReadAgain() {
    const ScratchFolder folder;
    const std::string path = folder.path("new/choices.jsonl");
    MatmulChoices first(path, "130001");
    QVERIFY(!first.find("1x2x3"));
    first.keep("1x2x3", 7);
    first.keep("4x5x6", large_);
    QCOMPARE(*first.find("1x2x3"), uint64_t{7});
    MatmulChoices second(path, "130001");
    QCOMPARE(*second.find("1x2x3"), uint64_t{7});
    QCOMPARE(*second.find("4x5x6"), large_);
    second.keep("1x2x3", 8);
    QCOMPARE(*MatmulChoices(path, "130001").find("1x2x3"), uint64_t{8});
    QVERIFY(!MatmulChoices(path, "120000").find("1x2x3"));  // another library's
  }

  void brokenLinesArePassedOver() {
    const ScratchFolder folder;
    const std::string good = R"({"library":"1","shape":"s","algorithm":"000000000000000a"})";
    const std::string bad = "\n{\nnull\n[1]\n\xff\xfe\n{\"library\":1,\"shape\":2,\"algorithm\":3}\n{\"library\":\"1\",\"shape\":\"t\",\"algorithm\":\"12x\"}\n"
                            "{\"library\":\"1\",\"shape\":\"u\",\"algorithm\":\"\"}\n{\"library\":\"1\",\"shape\":\"v\",\"algorithm\":\"11112222333344445\"}\n";
    const std::string path = folder.write("choices.jsonl", bad + std::string(100000, '[') + "\n" + good + "\n");
    const MatmulChoices choices(path, "1");
    QCOMPARE(*choices.find("s"), uint64_t{10});
    for (const char* shape : {"t", "u", "v", ""}) QVERIFY(!choices.find(shape));
  }

  void aLineCutOffSpoilsNoOther() {
    const ScratchFolder folder;
    const std::string path = folder.write("choices.jsonl", "{\"library\":\"1\",\"shape\":\"s\",\"algorithm\":\"0a\"}\n{\"library\":\"1\",\"sha");
    MatmulChoices(path, "1").keep("t", 11);
    const MatmulChoices again(path, "1");
    QCOMPARE(*again.find("s"), uint64_t{10});
    QCOMPARE(*again.find("t"), uint64_t{11});
  }

  void aFileTooLargeIsBegunAnew() {
    const ScratchFolder folder;
    const std::string path = folder.write("choices.jsonl", std::string((1 << 20) + 1, ' '));
    MatmulChoices choices(path, "1");
    choices.keep("s", 10);
    QVERIFY(read_file(path).size() < 200);
    QCOMPARE(*MatmulChoices(path, "1").find("s"), uint64_t{10});
  }

  void aFileThatCannotBeWrittenIsNoError() {
    const ScratchFolder folder;
    MatmulChoices choices(folder.path(), "1");  // a folder
    choices.keep("s", 10);
    QCOMPARE(*choices.find("s"), uint64_t{10});
  }

  void aDeviceHasAFileOfItsOwn() {
    const std::string path = cuda::matmul_choices_path("NVIDIA GeForce RTX 4090 / (x) 8.9");
    QVERIFY2(path.ends_with("/lorikeet/matmul-NVIDIA-GeForce-RTX-4090-x-8-9.jsonl"), path.c_str());
  }
};

LORIKEET_TEST_MAIN(MatmulChoicesTest)
#include "matmul_choices_test.moc"
