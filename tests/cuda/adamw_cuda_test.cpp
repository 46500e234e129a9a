// The CUDA twins of both AdamW updates against the CPU ops, over several steps.
#include <cmath>

#include "core/ops/adamw8bit_update.h"
#include "core/ops/adamw_update.h"
#include "tests/cuda/cuda_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

class AdamwCudaTest : public QObject {
  Q_OBJECT
  Context cpu_{2};
  Context gpu_{1, DeviceType::cuda};

  static constexpr int64_t kSteps = 10;
  struct Options { double grad_scale, learning_rate, beta1, beta2, eps, weight_decay; };
  static constexpr Options kOptions[] = {{1, 1e-2, 0.9, 0.999, 1e-8, 0}, {0.37, 3e-3, 0.8, 0.95, 1e-6, 0.1}};

  static Tensor gradient(const Shape& shape, int64_t step, DType type) {
    Tensor g = random_tensor(shape, 100 + static_cast<uint64_t>(step), type, 0.1);
    if (step == 3) g.fill(0);
    return g;
  }
  /// `t` on the device, one element behind a multiple of 16 bytes when `crooked`.
  static Tensor placed(const Tensor& t, bool crooked) {
    if (!crooked) return on_gpu(t.clone());
    Tensor room = gpu_empty({t.size() + 1}, t.dtype());
    Tensor inside = room.slice(1, t.size() + 1).reshaped(t.shape());
    inside.copy_from(t);
    return inside;
  }

  struct Moments { Tensor p, m, v; };
  static Moments start(const Shape& shape, DType type) { return {random_tensor(shape, 1, type), Tensor::zeros(shape, type), Tensor::zeros(shape, type)}; }
  static Moments placed(const Moments& s, bool crooked) { return {placed(s.p, crooked), placed(s.m, crooked), placed(s.v, crooked)}; }
  void step(Context& cx, Moments& s, const Tensor& g, const Options& o, int64_t t) {
    adamw_update(cx, {{{s.p, g, s.m, s.v}}, o.grad_scale, o.learning_rate, o.beta1, o.beta2, o.eps, o.weight_decay, t});
  }

  struct Coded { Tensor p, m, v, m_absmax, v_absmax; };
  static Coded start_coded(int64_t n) {
    const int64_t blocks = (n + kMomentBlock - 1) / kMomentBlock;
    return {random_tensor({n}, 1), Tensor::zeros({n}, DType::u8), Tensor::zeros({n}, DType::u8), Tensor::zeros({blocks}), Tensor::zeros({blocks})};
  }
  static Coded placed(const Coded& s, bool crooked) {
    return {placed(s.p, crooked), placed(s.m, crooked), placed(s.v, crooked), placed(s.m_absmax, crooked), placed(s.v_absmax, crooked)};
  }
  void step(Context& cx, Coded& s, const Tensor& g, const Options& o, int64_t t) {
    adamw8bit_update(cx, {{{s.p, g, s.m, s.v, s.m_absmax, s.v_absmax}}, o.grad_scale, o.learning_rate, o.beta1, o.beta2, o.eps, o.weight_decay, t});
  }
  /// Blocks of zeros, of tiny and of mixed numbers.
  static Tensor uneven_gradient(int64_t n, int64_t step) {
    Tensor g = gradient({n}, step, DType::f32);
    for (int64_t i = 0; i < n; ++i) {
      float& x = g.data<float>()[i];
      if (i / kMomentBlock == 1) x = 0;
      if (i / kMomentBlock == 2) x *= 0x1p-62f;
      if (i / kMomentBlock == 3) x = std::ldexp(x, -static_cast<int>(i % 20));
      if (i / kMomentBlock == 4) x *= 0x1p-120f;
    }
    return g;
  }
  static bool same_bits(const Tensor& a, const Tensor& b) { return a.bytes() == b.bytes() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0; }
  static void compare(const Coded& got, const Coded& wanted, int64_t t) {
    QVERIFY2(same_bits(on_cpu(got.m), wanted.m), qPrintable(QString("first codes, step %1").arg(t)));
    QVERIFY2(same_bits(on_cpu(got.v), wanted.v), qPrintable(QString("second codes, step %1").arg(t)));
    QVERIFY2(same_bits(on_cpu(got.m_absmax), wanted.m_absmax), qPrintable(QString("first maxima, step %1").arg(t)));
    QVERIFY2(same_bits(on_cpu(got.v_absmax), wanted.v_absmax), qPrintable(QString("second maxima, step %1").arg(t)));
    QVERIFY2(same_bits(on_cpu(got.p), wanted.p), qPrintable(QString("parameters, step %1").arg(t)));
  }

 private slots:
  void initTestCase() { LORIKEET_NEEDS_GPU(); }

  void equalsTheCpuOp_data() {
    QTest::addColumn<int>("n");
    QTest::addColumn<bool>("twice_as_precise");
    QTest::addColumn<bool>("crooked");
    for (bool f64 : {false, true})
      for (bool crooked : {false, true})
        for (int n : {1, 255, 256, 257, 5000}) QTest::addRow("%d %s%s", n, f64 ? "f64" : "f32", crooked ? " crooked" : "") << n << f64 << crooked;
  }
  void equalsTheCpuOp() {
    QFETCH(int, n);
    QFETCH(bool, twice_as_precise);
    QFETCH(bool, crooked);
    const DType type = twice_as_precise ? DType::f64 : DType::f32;
    const double tolerance = twice_as_precise ? 1e-15 : 1e-6;  // a CPU level without fused steps differs by single roundings
    for (const Options& o : kOptions) {
      const Moments before = start({n}, type);
      Moments here{before.p.clone(), before.m.clone(), before.v.clone()}, there = placed(before, crooked);
      for (int64_t t = 1; t <= kSteps; ++t) {
        const Tensor g = gradient({n}, t, type);
        step(cpu_, here, g, o, t);
        step(gpu_, there, placed(g, crooked), o, t);
      }
      QVERIFY(relative_l2(here.p, before.p) > 1e-3);
      QVERIFY(relative_l2(on_cpu(there.m), here.m) <= tolerance);
      QVERIFY(relative_l2(on_cpu(there.v), here.v) <= tolerance);
      QVERIFY(relative_l2(on_cpu(there.p), here.p) <= tolerance);
    }
  }

  void takesAnyShape() {
    Moments flat = placed(start({231}, DType::f32), false), square{flat.p.clone().reshaped({7, 33}), flat.m.clone().reshaped({7, 33}), flat.v.clone().reshaped({7, 33})};
    const Tensor g = on_gpu(gradient({231}, 1, DType::f32));
    step(gpu_, flat, g, kOptions[1], 1);
    step(gpu_, square, g.reshaped({7, 33}), kOptions[1], 1);
    QVERIFY(same_bits(on_cpu(flat.p), on_cpu(square.p)));
  }

  void codesMaximaAndParametersHaveTheCpusBits_data() {
    QTest::addColumn<int>("n");
    QTest::addColumn<bool>("crooked");
    for (bool crooked : {false, true})
      for (int n : {1, 255, 256, 257, 5000}) QTest::addRow("%d%s", n, crooked ? " crooked" : "") << n << crooked;
  }
  void codesMaximaAndParametersHaveTheCpusBits() {
    QFETCH(int, n);
    QFETCH(bool, crooked);
    for (const Options& o : kOptions) {
      Coded here = start_coded(n), there = placed(here, crooked);
      for (int64_t t = 1; t <= kSteps; ++t) {
        const Tensor g = uneven_gradient(n, t);
        step(cpu_, here, g, o, t);
        step(gpu_, there, placed(g, crooked), o, t);
        compare(there, here, t);
      }
    }
  }

  void emptyTensorsAreNoWork() {
    Moments none = placed(start({0}, DType::f32), false);
    step(gpu_, none, gpu_empty({0}), kOptions[0], 1);
    Coded coded = placed(start_coded(0), false);
    step(gpu_, coded, gpu_empty({0}), kOptions[0], 1);
  }

  void givesTheSameBitsEveryTime() {
    std::vector<Tensor> results;
    for (int run = 0; run < 2; ++run) {
      Moments s = placed(start({5000}, DType::f32), false);
      for (int64_t t = 1; t <= 3; ++t) step(gpu_, s, on_gpu(gradient({5000}, t, DType::f32)), kOptions[1], t);
      results.push_back(on_cpu(s.p));
    }
    QVERIFY(same_bits(results[0], results[1]));
  }

  void clipsByANormThatOnlyTheDeviceKnows() {
    const Tensor g = random_tensor({1000}, 7);
    double sum = 0;
    for (const double x : g.to_vector<double>()) sum += x * x;
    for (const double most : {0.0, 0.5, 1e6}) {
      const double factor = clip_factor(std::sqrt(sum), most);
      const Tensor squares = Tensor::from<double>({sum}, {1}), there = on_gpu(squares);
      Moments wanted = start({1000}, DType::f32), got = placed(wanted, false), here = start({1000}, DType::f32);
      Coded wanted_codes = start_coded(1000), got_codes = placed(wanted_codes, false);
      const Tensor there_g = on_gpu(g);
      adamw_update(cpu_, {{{wanted.p, g, wanted.m, wanted.v}}, factor, 1e-3, 0.9, 0.999, 1e-8, 0, 1});
      adamw_update(cpu_, {{{here.p, g, here.m, here.v}}, 1, 1e-3, 0.9, 0.999, 1e-8, 0, 1, {&squares, most}});
      adamw_update(gpu_, {{{got.p, there_g, got.m, got.v}}, 1, 1e-3, 0.9, 0.999, 1e-8, 0, 1, {&there, most}});
      adamw8bit_update(cpu_, {{{wanted_codes.p, g, wanted_codes.m, wanted_codes.v, wanted_codes.m_absmax, wanted_codes.v_absmax}}, factor, 1e-3, 0.9, 0.999, 1e-8, 0, 1});
      adamw8bit_update(gpu_, {{{got_codes.p, there_g, got_codes.m, got_codes.v, got_codes.m_absmax, got_codes.v_absmax}}, 1, 1e-3, 0.9, 0.999, 1e-8, 0, 1, {&there, most}});
      QVERIFY(same_bits(on_cpu(got.p), wanted.p) && same_bits(here.p, wanted.p) && same_bits(on_cpu(got.v), wanted.v));
      compare(got_codes, wanted_codes, 1);
    }
  }

  void gradientsThatAreNotFiniteChangeNothing() {
    for (const double sum : {std::nan(""), HUGE_VAL}) {
      const Tensor squares = on_gpu(Tensor::from<double>({sum}, {1})), g = on_gpu(random_tensor({300}, 7));
      const Moments before = start({300}, DType::f32);
      const Coded codes = start_coded(300);
      Moments s = placed(before, false);
      Coded c = placed(codes, false);
      adamw_update(gpu_, {{{s.p, g, s.m, s.v}}, 1, 1e-3, 0.9, 0.999, 1e-8, 0.1, 1, {&squares, 1}});
      adamw8bit_update(gpu_, {{{c.p, g, c.m, c.v, c.m_absmax, c.v_absmax}}, 1, 1e-3, 0.9, 0.999, 1e-8, 0.1, 1, {&squares, 1}});
      QVERIFY(same_bits(on_cpu(s.p), before.p) && same_bits(on_cpu(s.m), before.m));
      compare(c, codes, 1);
    }
  }
};

LORIKEET_TEST_MAIN(AdamwCudaTest)
#include "adamw_cuda_test.moc"
