// The CUDA twin of rms_norm against the CPU op and an f64 reference.
#include <cmath>

#include "core/ops/cpu_kernels.h"
#include "core/ops/rms_norm.h"
#include "cuda/backend.h"
#include "cuda/runtime/device_tensor.h"
#include "cuda/runtime/stream.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

class RmsNormCudaTest : public QObject {
  Q_OBJECT
  Context cpu_{2};
  Context gpu_{1, DeviceType::cuda};

  struct Result { Tensor y, rstd, dx; };

  Result on_cpu(const Tensor& x, const Tensor& weight, const Tensor& dy) {
    Result r{Tensor::empty(x.shape(), x.dtype()), Tensor::empty({x.rows()}, x.dtype()), Tensor::empty(x.shape(), x.dtype())};
    rms_norm(cpu_, {x, weight, r.y, &r.rstd, 1e-5});
    rms_norm_backward(cpu_, {dy, x, weight, r.rstd, r.dx});
    return r;
  }

  Result on_gpu(const Tensor& x, const Tensor& weight, const Tensor& dy, bool in_place) {
    const cuda::Stream stream;
    gpu_.stream = stream.handle();
    const auto up = [&](const Tensor& t) { return cuda::device_from_host(t, stream.handle()); };
    Tensor dx_in = up(x), dweight = up(weight), ddy = up(dy), drstd = cuda::device_tensor({x.rows()}, x.dtype());
    Tensor dy_out = in_place ? up(x) : cuda::device_tensor(x.shape(), x.dtype());
    Tensor dx_out = in_place ? ddy : cuda::device_tensor(x.shape(), x.dtype());
    const Tensor& source = in_place ? dy_out : dx_in;
    rms_norm_slot().get(DeviceType::cuda)(gpu_, {source, dweight, dy_out, &drstd, 1e-5});
    rms_norm_backward_slot().get(DeviceType::cuda)(gpu_, {ddy, dx_in, dweight, drstd, dx_out});
    const auto down = [&](const Tensor& t) { return cuda::host_from_device(t, stream.handle()); };
    return {down(dy_out), down(drstd), down(dx_out)};
  }

 private slots:
  void initTestCase() {
    register_cpu_kernels();
    const GpuList list = list_gpus();
    if (!list.reason.empty()) QSKIP(list.reason.c_str());
    register_cuda_kernels();
  }

  void equalsTheCpuOp_data() {
    QTest::addColumn<int>("rows");
    QTest::addColumn<int>("width");
    QTest::addColumn<bool>("twice_as_precise");
    QTest::addColumn<bool>("in_place");
    for (bool f64 : {false, true})
      for (bool in_place : {false, true})
        for (const auto& [rows, width] : {std::pair{1, 1}, {3, 31}, {7, 256}, {5, 257}, {64, 576}, {2, 16384}, {70000, 8}})
          QTest::addRow("%dx%d %s%s", rows, width, f64 ? "f64" : "f32", in_place ? " in place" : "") << rows << width << f64 << in_place;
  }
  void equalsTheCpuOp() {
    QFETCH(int, rows);
    QFETCH(int, width);
    QFETCH(bool, twice_as_precise);
    QFETCH(bool, in_place);
    const DType type = twice_as_precise ? DType::f64 : DType::f32;
    const double tolerance = twice_as_precise ? 1e-13 : 2e-6;
    const Tensor x = random_tensor({rows, width}, 1, type, 3), weight = random_tensor({width}, 2, type), dy = random_tensor({rows, width}, 3, type);
    const Result wanted = on_cpu(x, weight, dy), got = on_gpu(x, weight, dy, in_place);
    QVERIFY(relative_l2(got.y, wanted.y) < tolerance);
    QVERIFY(relative_l2(got.rstd, wanted.rstd) < tolerance);
    QVERIFY(width == 1 ? max_abs_difference(got.dx, wanted.dx) < 1e-4 : relative_l2(got.dx, wanted.dx) < tolerance * 4);
  }

  void givesTheSameBitsEveryTime() {
    const Tensor x = random_tensor({64, 576}, 1), weight = random_tensor({576}, 2), dy = random_tensor({64, 576}, 3);
    const Result a = on_gpu(x, weight, dy, false), b = on_gpu(x, weight, dy, false);
    QCOMPARE(max_abs_difference(a.y, b.y), 0.0);
    QCOMPARE(max_abs_difference(a.dx, b.dx), 0.0);
  }
};

LORIKEET_TEST_MAIN(RmsNormCudaTest)
#include "rms_norm_cuda_test.moc"
