// The CUDA twins of swiglu and swiglu_backward against the CPU ops.
#include <cmath>

#include "core/ops/swiglu.h"
#include "tests/cuda/cuda_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

class SwigluCudaTest : public QObject {
  Q_OBJECT
  Context cpu_{2};
  Context gpu_{1, DeviceType::cuda};

  struct Inputs { Tensor gate, up, dy; };
  struct Result { Tensor y, d_gate, d_up; };

  static Inputs inputs(int64_t rows, int64_t width, DType type) {
    Inputs in{random_tensor({rows, width}, 1, type, 6), random_tensor({rows, width}, 2, type, 2), random_tensor({rows, width}, 3, type)};
    return in;
  }
  Result on_host(Inputs in, GateActivation activation) {
    if (in.gate.dtype() == DType::f16)
      for (Tensor* t : {&in.gate, &in.up, &in.dy}) *t = t->to(DType::f32);
    Result r{Tensor::empty(in.gate.shape(), in.gate.dtype()), Tensor::empty(in.gate.shape(), in.gate.dtype()), Tensor::empty(in.gate.shape(), in.gate.dtype())};
    swiglu(cpu_, {in.gate, in.up, r.y, activation});
    swiglu_backward(cpu_, {in.dy, in.gate, in.up, r.d_gate, r.d_up, activation});
    return r;
  }
  Result on_device(const Inputs& in, GateActivation activation) {
    const Tensor gate = on_gpu(in.gate), up = on_gpu(in.up), dy = on_gpu(in.dy);
    Result r{gpu_empty(gate.shape(), gate.dtype()), gpu_empty(gate.shape(), gate.dtype()), gpu_empty(gate.shape(), gate.dtype())};
    swiglu(gpu_, {gate, up, r.y, activation});
    swiglu_backward(gpu_, {dy, gate, up, r.d_gate, r.d_up, activation});
    return {on_cpu(r.y), on_cpu(r.d_gate), on_cpu(r.d_up)};
  }
  static void compare(const Result& got, const Result& wanted, double tolerance) {
    QVERIFY2(relative_l2(got.y, wanted.y) < tolerance, qPrintable(QString::number(relative_l2(got.y, wanted.y))));
    QVERIFY2(relative_l2(got.d_gate, wanted.d_gate) < tolerance, qPrintable(QString::number(relative_l2(got.d_gate, wanted.d_gate))));
    QVERIFY2(relative_l2(got.d_up, wanted.d_up) < tolerance, qPrintable(QString::number(relative_l2(got.d_up, wanted.d_up))));
  }
  static double tolerance(DType type) { return type == DType::f64 ? 1e-13 : is_half_row(type) ? half_tolerance(type) : 1e-6; }

  static void type_rows() {
    QTest::addColumn<int>("type");
    QTest::addColumn<int>("activation");
    for (DType type : {DType::f32, DType::f64, DType::bf16, DType::f16})
      for (GateActivation a : {GateActivation::silu, GateActivation::gelu_tanh})
        QTest::addRow("%s %s", std::string(dtype_name(type)).c_str(), a == GateActivation::silu ? "silu" : "gelu") << static_cast<int>(type) << static_cast<int>(a);
  }

 private slots:
  void initTestCase() { LORIKEET_NEEDS_GPU(); }

  void equalsTheCpuOp_data() { type_rows(); }
  void equalsTheCpuOp() {
    QFETCH(int, type);
    QFETCH(int, activation);
    const auto t = static_cast<DType>(type);
    const auto a = static_cast<GateActivation>(activation);
    for (const auto& [rows, width] : {std::pair<int64_t, int64_t>{1, 1}, {3, 31}, {33, 96}, {5, 257}, {9, 1536}, {300, 8}}) {
      const Inputs in = inputs(rows, width, t);
      compare(on_device(in, a), on_host(in, a), tolerance(t));
    }
  }

  void takesRowsWithGaps_data() { type_rows(); }
  void takesRowsWithGaps() {
    QFETCH(int, type);
    QFETCH(int, activation);
    const auto t = static_cast<DType>(type);
    const auto a = static_cast<GateActivation>(activation);
    for (int64_t width : {31, 96, 257})
      for (int64_t gap : {8, 3}) {  // 8: every row begins with a pack
        const Inputs in = inputs(33, width, t);
        const int64_t behind = gap == 8 ? 16 - width % 8 : 2;
        const Tensor gate = gpu_strided(in.gate, gap, behind), up = gpu_strided(in.up, gap, behind), dy = gpu_strided(in.dy, gap, behind), nothing = Tensor::zeros({33, width}, t);
        Result r{gpu_strided(nothing, gap, behind), gpu_strided(nothing, gap, behind), gpu_strided(nothing, gap, behind)};
        swiglu(gpu_, {gate, up, r.y, a});
        swiglu_backward(gpu_, {dy, gate, up, r.d_gate, r.d_up, a});
        compare({on_cpu(r.y), on_cpu(r.d_gate), on_cpu(r.d_up)}, on_host(in, a), tolerance(t));
      }
  }

  void outputsMayBeInputs_data() { type_rows(); }
  void outputsMayBeInputs() {
    QFETCH(int, type);
    QFETCH(int, activation);
    const auto t = static_cast<DType>(type);
    const auto a = static_cast<GateActivation>(activation);
    const Inputs in = inputs(33, 97, t);
    const Result apart = on_device(in, a);
    {
      Tensor gate = on_gpu(in.gate.clone());
      const Tensor up = on_gpu(in.up);
      swiglu(gpu_, {gate, up, gate, a});
      QCOMPARE(max_abs_difference(on_cpu(gate), apart.y), 0.0);
    }
    {
      const Tensor gate = on_gpu(in.gate);
      Tensor up = on_gpu(in.up.clone());
      swiglu(gpu_, {gate, up, up, a});
      QCOMPARE(max_abs_difference(on_cpu(up), apart.y), 0.0);
    }
    for (bool over_gate : {false, true}) {  // d_gate over gate or dy, d_up over up
      Tensor gate = on_gpu(in.gate.clone()), up = on_gpu(in.up.clone()), dy = on_gpu(in.dy.clone());
      Tensor d_gate = over_gate ? gate : dy;
      swiglu_backward(gpu_, {dy, gate, up, d_gate, up, a});
      QCOMPARE(max_abs_difference(on_cpu(d_gate), apart.d_gate), 0.0);
      QCOMPARE(max_abs_difference(on_cpu(up), apart.d_up), 0.0);
    }
  }

  // Rounded once: the 16-bit result lies within half a unit of what f64 gives for the same inputs.
  void halvesAreRoundedOnce_data() { type_rows(); }
  void halvesAreRoundedOnce() {
    QFETCH(int, type);
    QFETCH(int, activation);
    const auto t = static_cast<DType>(type);
    const auto a = static_cast<GateActivation>(activation);
    if (is_half_row(t)) {
      const Inputs in = inputs(33, 96, t);
      const Result got = on_device(in, a), exact = on_host({in.gate.to(DType::f64), in.up.to(DType::f64), in.dy.to(DType::f64)}, a);
      for (const auto& [g, w] : {std::pair(&got.y, &exact.y), {&got.d_gate, &exact.d_gate}, {&got.d_up, &exact.d_up}}) {
        const auto values = g->to_vector<double>(), wanted = w->to_vector<double>();
        for (size_t i = 0; i < values.size(); ++i) QVERIFY(std::abs(values[i] - wanted[i]) <= std::abs(wanted[i]) * half_unit(t) + 1e-6);
      }
    }
  }

  void farGatesGiveNoNaN_data() { type_rows(); }
  void farGatesGiveNoNaN() {
    QFETCH(int, type);
    QFETCH(int, activation);
    const auto t = static_cast<DType>(type);
    const auto a = static_cast<GateActivation>(activation);
    const std::vector<double> far = {-3e4, -200, -89, -88, -50, 0, 50, 88, 89, 200, 3e4};
    const auto n = static_cast<int64_t>(far.size());
    const auto all = [&](double v) { return Tensor::from(std::vector<double>(far.size(), v), {1, n}).to(t); };
    const Inputs in{Tensor::from(far, {1, n}).to(t), all(1.5), all(0.5)};
    const Result got = on_device(in, a);
    const auto y = got.y.to_vector<double>(), dg = got.d_gate.to_vector<double>(), du = got.d_up.to_vector<double>();
    for (size_t i = 0; i < far.size(); ++i) {
      const double x = std::abs(far[i]) > 40 && far[i] < 0 ? 0 : in.gate.to_vector<double>()[i];
      QVERIFY(std::abs(y[i] - 1.5 * x) <= 1e-2 * std::abs(x) + 1e-6);
      QVERIFY(std::abs(du[i] - 0.5 * x) <= 1e-2 * std::abs(x) + 1e-6);
      QVERIFY(std::abs(dg[i] - (far[i] < 0 ? 0.0 : far[i] > 0 ? 0.75 : 0.375)) < 1e-2);
    }
  }

  void whatIsTooLargeForF16IsInfinite() {
    const auto all = [](double v) { return Tensor::from(std::vector<double>(11, v), {1, 11}).to(DType::f16); };
    const Result got = on_device({all(3e4), all(3), all(-2.5)}, GateActivation::silu);
    for (const double v : got.y.to_vector<double>()) QCOMPARE(v, HUGE_VAL);
    for (const double v : got.d_up.to_vector<double>()) QCOMPARE(v, -HUGE_VAL);
    for (const double v : got.d_gate.to_vector<double>()) QCOMPARE(v, -7.5);
  }

  void anEmptyTensorIsNoWork() {
    const Tensor none = gpu_empty({0, 96});
    Tensor y = gpu_empty({0, 96});
    swiglu(gpu_, {none, none, y});
    swiglu_backward(gpu_, {none, none, none, y, y});
  }

  void givesTheSameBitsEveryTime_data() { type_rows(); }
  void givesTheSameBitsEveryTime() {
    QFETCH(int, type);
    QFETCH(int, activation);
    const Inputs in = inputs(33, 576, static_cast<DType>(type));
    const Result a = on_device(in, static_cast<GateActivation>(activation)), b = on_device(in, static_cast<GateActivation>(activation));
    QCOMPARE(max_abs_difference(a.y, b.y), 0.0);
    QCOMPARE(max_abs_difference(a.d_gate, b.d_gate), 0.0);
    QCOMPARE(max_abs_difference(a.d_up, b.d_up), 0.0);
  }
};

LORIKEET_TEST_MAIN(SwigluCudaTest)
#include "swiglu_cuda_test.moc"
