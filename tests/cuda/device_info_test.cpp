// What the CUDA backend says about the machine, and how its calls fail. Passes with and without a GPU.
#include "cuda/backend.h"
#include "cuda/runtime/check.h"
#include "cuda/runtime/device_buffer.h"
#include "cuda/runtime/stream.h"
#include "tests/support/support.h"

using namespace lorikeet;

class DeviceInfoTest : public QObject {
  Q_OBJECT
  const GpuList list_ = list_gpus();

 private slots:
  void aMissingGpuHasAReason() {
    bool usable = false;
    for (const GpuInfo& g : list_.gpus) {
      usable = usable || g.usable;
      QCOMPARE(g.usable, g.reason.empty());
    }
    QCOMPARE(usable, list_.reason.empty());
    QVERIFY(!list_.runtime.empty());
  }

  void aPresentGpuIsDescribed() {
    if (list_.gpus.empty()) QSKIP(list_.reason.c_str());
    for (size_t i = 0; i < list_.gpus.size(); ++i) {
      const GpuInfo& g = list_.gpus[i];
      QCOMPARE(g.index, static_cast<int>(i));
      QVERIFY(!g.name.empty() && g.major >= 3 && g.multiprocessors > 0 && g.total_bytes > (uint64_t{1} << 28));
      if (g.usable) QVERIFY(free_gpu_bytes(g.index) <= g.total_bytes);
    }
    QVERIFY(!list_.driver.empty());
  }

  void aFailingCallNamesItselfAndItsPlace() {
    VERIFY_THROWS([] { LORIKEET_CUDA(cudaSetDevice(-1)); return 0; }(), cuda::CudaError, "cudaSetDevice(-1): ");
    VERIFY_THROWS([] { LORIKEET_CUDA(cudaSetDevice(-1)); return 0; }(), cuda::CudaError, "device_info_test.cpp:");
    QVERIFY(cudaGetLastError() == cudaSuccess || list_.gpus.empty());  // nothing is left for the next check to find
  }

  void memoryAndStreamsFailWithAnErrorWhereNoGpuIs() {
    if (!list_.gpus.empty()) QSKIP("this machine has a GPU");
    VERIFY_THROWS(cuda::DeviceBuffer(16), cuda::CudaError, "cudaMalloc");
    VERIFY_THROWS(cuda::Stream(), cuda::CudaError, "cudaStreamCreateWithFlags");
    VERIFY_THROWS(free_gpu_bytes(0), cuda::CudaError, "cudaSetDevice");
  }

  void tooMuchMemoryIsRefusedWithFigures() {
    if (!list_.reason.empty()) QSKIP(list_.reason.c_str());
    VERIFY_THROWS(cuda::DeviceBuffer(size_t{1} << 50), OutOfMemoryError, " asked, ");
    const cuda::DeviceBuffer small(1 << 20);  // the failure left nothing behind
    QVERIFY(small.data());
  }

  void buffersMoveAndCopyBothWays() {
    if (!list_.reason.empty()) QSKIP(list_.reason.c_str());
    const std::vector<int> sent = {1, 2, 3, 4};
    std::vector<int> got(4);
    const cuda::Stream stream;
    cuda::DeviceBuffer a(16), b(std::move(a));
    QVERIFY(!a.data() && b.data());
    cuda::device_from_host(b.data(), sent.data(), 16, stream.handle());
    cuda::host_from_device(got.data(), b.data(), 16, stream.handle());
    QCOMPARE(got, sent);
    cuda::DeviceBuffer empty(0);
    QVERIFY(!empty.data());
  }
};

LORIKEET_TEST_MAIN(DeviceInfoTest)
#include "device_info_test.moc"
