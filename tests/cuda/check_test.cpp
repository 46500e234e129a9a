// Which error a CUDA error code becomes. Passes with and without a GPU.
#include "cuda/runtime/check.h"
#include "tests/support/support.h"

using namespace lorikeet;
using cuda::CudaError;


class CheckTest : public QObject {
  Q_OBJECT
  static int thrown(cudaError_t code, uint64_t asked = 0) { cuda::throw_cuda_error(code, "step()", "file.cpp", 12, asked); }

 private slots:
  void aLostDeviceIsToldApart() {
    for (const cudaError_t code : {cudaErrorIllegalAddress, cudaErrorMisalignedAddress, cudaErrorAssert, cudaErrorLaunchFailure, cudaErrorLaunchTimeout, cudaErrorECCUncorrectable,
                                   cudaErrorHardwareStackError, cudaErrorDevicesUnavailable}) {
      VERIFY_THROWS(thrown(code), DeviceLostError, "the GPU was lost: step(): " + std::string(cudaGetErrorName(code)));
      VERIFY_THROWS(thrown(code), DeviceLostError, "last checkpoint");
      VERIFY_THROWS(thrown(code), DeviceLostError, "--device cpu");
    }
  }
  void otherErrorsAreNot() {
    for (const cudaError_t code : {cudaErrorInvalidValue, cudaErrorInvalidConfiguration, cudaErrorNoKernelImageForDevice, cudaErrorUnknown}) {
      QVERIFY(!cuda::loses_the_device(code));
      try {
        thrown(code);
      } catch (const DeviceLostError&) {
        QFAIL("the device is not lost");
      } catch (const CudaError& e) {
        QCOMPARE(e.code, code);
        QVERIFY(std::string(e.what()).find("(file.cpp:12)") != std::string::npos);
      }
    }
  }
  void memoryIsAnErrorOfItsOwn() { VERIFY_THROWS(thrown(cudaErrorMemoryAllocation, 3 << 20), OutOfMemoryError, "3.1 MB asked, "); }
};

LORIKEET_TEST_MAIN(CheckTest)
#include "check_test.moc"
