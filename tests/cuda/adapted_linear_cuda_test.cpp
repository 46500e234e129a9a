// The CUDA twin of adapted_linear against the CPU op, forward and backward.
#include <cmath>

#include "core/ops/adapted_linear.h"
#include "core/ops/weight_on.h"
#include "cuda/ops/linear_parts.h"
#include "tests/core/quant/quant_support.h"
#include "tests/cuda/cuda_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

struct Sizes { int64_t tokens, in, out, rank; };  // rank 0: no adapter
struct Options {
  double dropout = 0;
  bool bias = false, accumulate = false, y_f32 = false, dy_f32 = false, dx_f32 = false, residual = false, strided = false;
  std::optional<GateActivation> gate = std::nullopt;
};
/// f32 numbers that the type of the rows holds: what a weight loses there by rounding has a bound of its own.
Tensor representable(Shape shape, uint64_t seed, DType type, double size = 1) { return random_tensor(std::move(shape), seed, DType::f32, size).to(type).to(DType::f32); }
struct Result { Tensor y, h, gated, dx, da, db; };

/// Operands on the host; run() computes on either device.
struct Case {
  Sizes n;
  Options o;
  DType rows, sums = DType::f32;
  FrozenWeightPtr w;
  Tensor x, bias, a, b, dy, residual, gate, dx, da, db;

  Case(const Sizes& s, DType type, const FrozenWeightPtr& weight, const Options& options)
      : n(s), o(options), rows(type), w(weight), x(random_tensor({s.tokens, s.in}, 2, type)), bias(random_tensor({s.out}, 3)), a(representable({s.rank, s.in}, 4, type)),
        b(representable({s.out, s.rank}, 5, type, 0.3)), dy(random_tensor({s.tokens, s.out}, 6).to(type).to(o.dy_f32 ? sums : type)), residual(random_tensor({s.tokens, s.out}, 7)),
        gate(random_tensor({s.tokens, s.out}, 8, y_type())), dx(random_tensor({s.tokens, s.in}, 9, o.dx_f32 || o.accumulate ? sums : type)), da(random_tensor({s.rank, s.in}, 10)),
        db(random_tensor({s.out, s.rank}, 11)) {}
  /// The same numbers in f32.
  Case widened() const {
    Case wide = *this;
    wide.rows = sums;
    for (Tensor* t : {&wide.x, &wide.dy, &wide.gate, &wide.dx}) *t = t->to(sums);
    return wide;
  }
  DType y_type() const { return o.y_f32 || o.residual ? sums : rows; }

  Result run(Context& cx) const {
    const bool gpu = cx.device() == DeviceType::cuda, adapter = n.rank > 0;
    const auto here = [&](const Tensor& t) { return !gpu ? t.clone() : o.strided && t.rank() == 2 ? gpu_strided(t) : on_gpu(t); };
    const auto whole = [&](const Tensor& t) { return gpu ? on_gpu(t) : t.clone(); };
    const auto output = [&](Shape s, DType t) { return here(Tensor::zeros(std::move(s), t)); };
    const FrozenWeightPtr weight = weight_on(cx.device(), w);
    const Tensor xs = here(x), biases = whole(bias), as = whole(a), bs = whole(b), dys = here(dy), residuals = here(residual), gates = here(gate);
    Result r{output({n.tokens, n.out}, y_type()), output({n.tokens, n.rank}, rows), output({n.tokens, n.out}, y_type()), here(dx), here(da), here(db)};
    LinearEpilogue then;
    if (o.residual) then.residual = &residuals;
    if (o.gate) then.gate = &gates, then.gated = &r.gated, then.activation = *o.gate;
    adapted_linear(cx, {xs, *weight, o.bias ? &biases : nullptr, r.y, adapter ? &as : nullptr, adapter ? &bs : nullptr, 0.7, adapter ? &r.h : nullptr, o.dropout, 77, then});
    adapted_linear_backward(cx, {dys, xs, *weight, adapter ? &as : nullptr, adapter ? &bs : nullptr, adapter ? &r.h : nullptr, 0.7, o.dropout, 77, &r.dx, o.accumulate,
                                 adapter ? &r.da : nullptr, adapter ? &r.db : nullptr});
    if (gpu)
      for (Tensor* t : {&r.y, &r.h, &r.gated, &r.dx, &r.da, &r.db}) *t = on_cpu(*t);
    return r;
  }
};

}  // namespace

class AdaptedLinearCudaTest : public QObject {
  Q_OBJECT
  Context cpu_{2};
  Context gpu_{1, DeviceType::cuda};

  FrozenWeightPtr weight(const char* format, int64_t rows, int64_t columns) {
    if (std::string(format) != "q4_1") return weight_formats().get(format)->encode(cpu_, normal_values(rows * columns, 1).data(), rows, columns, {});
    auto bytes = std::make_shared<std::vector<std::byte>>(static_cast<size_t>(rows * columns / 32 * 20));
    for (size_t i = 0; i < bytes->size(); ++i) {
      const uint16_t d = f16_from_f32(0.11f), m = f16_from_f32(-0.8f);
      const size_t at = i % 20;
      const unsigned v = at < 2 ? d >> (8 * at) : at < 4 ? m >> (8 * (at - 2)) : static_cast<unsigned>(splitmix64(9, i));
      (*bytes)[i] = static_cast<std::byte>(v & 255u);
    }
    return stored_weight(3, *bytes, rows, columns, bytes);
  }
  static double error(const Tensor& got, const Tensor& wanted) { return got.size() == 0 ? 0 : relative_l2(got.to(DType::f64), wanted.to(DType::f64)); }
  void compare(const Case& c) {
    const Result wanted = c.rows == DType::f16 ? c.widened().run(cpu_) : c.run(cpu_), got = c.run(gpu_);
    const double forward = is_half_row(c.rows) ? half_tolerance(c.rows) : 1e-5, gradient = is_half_row(c.rows) ? half_gradient_tolerance(c.rows) : 1e-5;
    const auto small = [&](const char* name, const Tensor& a, const Tensor& b, double most) {
      if (a.size() < 50) most *= 2;  // roundings of few numbers do not average out
      const double e = error(a, b);
      if (!(e < most)) qWarning("%s: %g over %g", name, e, most);
      return e < most;
    };
    QVERIFY(small("y", got.y, wanted.y, forward));
    if (c.o.gate) QVERIFY(small("gated", got.gated, wanted.gated, 2 * forward));
    QVERIFY(small("dx", got.dx, wanted.dx, gradient));
    if (c.n.rank == 0) return;
    QVERIFY(small("h", got.h, wanted.h, forward));
    QVERIFY(small("da", got.da, wanted.da, gradient));
    QVERIFY(small("db", got.db, wanted.db, gradient));
  }

 private slots:
  void initTestCase() { LORIKEET_NEEDS_GPU(); }
  void cleanup() { cuda::set_work_bytes(0); }

  void equalsTheCpuOp_data() {
    QTest::addColumn<int>("type");
    for (DType t : {DType::f32, DType::bf16, DType::f16}) QTest::newRow(std::string(dtype_name(t)).c_str()) << static_cast<int>(t);
  }
  void equalsTheCpuOp() {
    QFETCH(int, type);
    const auto t = static_cast<DType>(type);
    for (const char* format : {"nf4", "q4_1", "f32", "bf16", "f16"})
      for (const Sizes& n : {Sizes{33, 96, 65, 5}, {1, 32, 8, 1}, {33, 130, 65, 16}, {17, 64, 40, 0}, {9, 96, 128, 16}}) {
        if (n.in % 32 != 0 && std::string(format) == "q4_1") continue;
        for (double p : {0.0, 0.3}) compare(Case(n, t, weight(format, n.out, n.in), {.dropout = p}));
        compare(Case(n, t, weight(format, n.out, n.in), {.dropout = 0.1, .bias = true, .strided = true}));
      }
  }
  void everyOption_data() { equalsTheCpuOp_data(); }
  void everyOption() {
    QFETCH(int, type);
    const auto t = static_cast<DType>(type);
    const Sizes n{33, 96, 65, 5};
    const FrozenWeightPtr w = weight("nf4", n.out, n.in);
    for (bool strided : {false, true})
      for (double p : {0.0, 0.25}) {
        compare(Case(n, t, w, {.dropout = p, .accumulate = true, .strided = strided}));
        compare(Case(n, t, w, {.dropout = p, .y_f32 = true, .dy_f32 = true, .dx_f32 = true, .strided = strided}));
        compare(Case(n, t, w, {.dropout = p, .bias = true, .residual = true, .strided = strided}));
        compare(Case(n, t, w, {.dropout = p, .dy_f32 = true, .residual = true, .strided = strided}));
      }
    for (GateActivation g : {GateActivation::silu, GateActivation::gelu_tanh})
      for (bool y_f32 : {false, true}) compare(Case(n, t, w, {.bias = true, .y_f32 = y_f32, .strided = y_f32, .gate = g}));
    compare(Case({33, 96, 65, 0}, t, w, {.accumulate = true}));
    compare(Case({33, 96, 65, 0}, t, w, {.residual = true}));
  }

  void panelsAndStretchesOfRows_data() { equalsTheCpuOp_data(); }
  void panelsAndStretchesOfRows() {
    QFETCH(int, type);
    const auto t = static_cast<DType>(type);
    const Sizes n{33, 130, 65, 5};
    cuda::set_work_bytes(130 * 4 * 20);
    QVERIFY(cuda::panel_rows(cuda::device_weight("test", *weight_on(DeviceType::cuda, weight("nf4", n.out, n.in))), t) < n.out);
    for (const char* format : {"nf4", "f32"})
      for (bool accumulate : {false, true})
        for (double p : {0.0, 0.3}) compare(Case(n, t, weight(format, n.out, n.in), {.dropout = p, .accumulate = accumulate}));
  }

  /// With x = 1 and A = 1 on the diagonal, h is the mask.
  void theMaskIsTheCpus() {
    const int64_t tokens = 40, in = 70;
    const FrozenWeightPtr w = weight("f32", 3, in), there = weight_on(DeviceType::cuda, w);
    for (DType type : {DType::f32, DType::bf16, DType::f16})
      for (uint64_t seed : {uint64_t{9}, uint64_t{0x123456789abcdef0}}) {
        Tensor ones = Tensor::empty({tokens, in}), a = Tensor::zeros({in, in}), b = Tensor::zeros({3, in});
        ones.fill(1);
        for (int64_t i = 0; i < in; ++i) a.row<float>(i)[i] = 1;
        const Tensor x = ones.to(type), ax = on_gpu(a), bx = on_gpu(b);
        const DType host = type == DType::f16 ? DType::f32 : type;
        Tensor h = Tensor::empty({tokens, in}, host), y = Tensor::empty({tokens, 3}, host), hx = gpu_empty({tokens, in}, type), yx = gpu_empty({tokens, 3}, type);
        adapted_linear(cpu_, {x.to(host), *w, nullptr, y, &a, &b, 1, &h, 0.5, seed});
        adapted_linear(gpu_, {on_gpu(x), *there, nullptr, yx, &ax, &bx, 1, &hx, 0.5, seed});
        QCOMPARE(max_abs_difference(on_cpu(hx), h), 0.0);
      }
  }

  void stretchesOfRowsDrawTheMaskOfAllRows_data() { equalsTheCpuOp_data(); }
  void stretchesOfRowsDrawTheMaskOfAllRows() {
    QFETCH(int, type);
    const auto t = static_cast<DType>(type);
    const Sizes n{33, 96, 65, 5};
    for (const bool accumulate : {false, true}) {
      const Case c(n, t, weight("nf4", n.out, n.in), {.dropout = 0.3, .accumulate = accumulate});
      const Result wanted = c.run(gpu_);
      const FrozenWeightPtr w = weight_on(DeviceType::cuda, c.w);
      const Tensor x = on_gpu(c.x), a = on_gpu(c.a), b = on_gpu(c.b), dy = on_gpu(c.dy);
      Tensor h = gpu_empty({n.tokens, n.rank}, t), dx = on_gpu(c.dx), da = on_gpu(c.da), db = on_gpu(c.db);
      for (int64_t begin = 0; begin < n.tokens; begin += 8) {
        const int64_t end = std::min(n.tokens, begin + 8);
        Tensor none, some = h.slice(begin, end), to = dx.slice(begin, end);
        const Tensor rows = x.slice(begin, end), d_rows = dy.slice(begin, end);
        adapted_linear(gpu_, {rows, *w, nullptr, none, &a, &b, 0.7, &some, 0.3, 77, {}, begin});  // h alone
        adapted_linear_backward(gpu_, {d_rows, rows, *w, &a, &b, &some, 0.7, 0.3, 77, &to, accumulate, &da, &db, begin});
      }
      const double bound = t == DType::f32 ? 1e-6 : 1e-2;
      QVERIFY(error(on_cpu(h), wanted.h) < bound);
      QVERIFY(error(on_cpu(dx), wanted.dx) < bound);
      QVERIFY(error(on_cpu(da), wanted.da) < bound);
      QVERIFY(error(on_cpu(db), wanted.db) < bound);
    }
  }
  void residualInPlaceAndNoInputGradient() {
    const Sizes n{7, 64, 24, 4};
    const Case c(n, DType::bf16, weight("nf4", n.out, n.in), {.residual = true});
    const Result wanted = c.run(gpu_);
    const FrozenWeightPtr w = weight_on(DeviceType::cuda, c.w);
    Tensor y = on_gpu(c.residual), h = gpu_empty({n.tokens, n.rank}, DType::bf16), da = on_gpu(c.da), db = on_gpu(c.db);
    const Tensor x = on_gpu(c.x), a = on_gpu(c.a), b = on_gpu(c.b), dy = on_gpu(c.dy);
    adapted_linear(gpu_, {x, *w, nullptr, y, &a, &b, 0.7, &h, 0, 77, {.residual = &y}});
    adapted_linear_backward(gpu_, {dy, x, *w, &a, &b, &h, 0.7, 0, 77, nullptr, false, &da, &db});
    QCOMPARE(max_abs_difference(on_cpu(y), wanted.y), 0.0);
    QCOMPARE(max_abs_difference(on_cpu(da), wanted.da), 0.0);
    QCOMPARE(max_abs_difference(on_cpu(db), wanted.db), 0.0);
  }

  void givesTheSameBitsEveryTime() {
    const Sizes n{33, 96, 65, 5};
    for (const DType type : kHalfRows) {
      const Case c(n, type, weight("nf4", n.out, n.in), {.dropout = 0.2});
      const Result a = c.run(gpu_), b = c.run(gpu_);
      QCOMPARE(max_abs_difference(a.y, b.y), 0.0);
      QCOMPARE(max_abs_difference(a.dx, b.dx), 0.0);
      QCOMPARE(max_abs_difference(a.da, b.da), 0.0);
    }
  }

  void nothingToDo() {
    for (const Sizes& n : {Sizes{0, 64, 24, 4}, {5, 64, 0, 0}}) {
      const Case c(n, DType::f32, weight("f32", n.out, n.in), {});
      const Result r = c.run(gpu_);
      if (n.tokens > 0) QCOMPARE(max_abs_difference(r.dx, Tensor::zeros(r.dx.shape())), 0.0);
    }
  }

  void theCpuRefusesF16() {
    const Case c({5, 64, 24, 4}, DType::f16, weight("nf4", 24, 64), {});
    VERIFY_THROWS(c.run(cpu_), UnsupportedError, "adapted_linear: x is f16; rows of f16 are computed on a GPU only");
    VERIFY_THROWS(cpu_.set_compute(ComputeType::f16), UnsupportedError, "on a GPU only");
  }

  void refusesF64() {
    const Tensor x = Tensor::zeros({3, 4}, DType::f64, DeviceType::cuda);
    Tensor y = gpu_empty({3, 2}, DType::f64);
    const FrozenWeightPtr w = weight_on(DeviceType::cuda, weight("f32", 2, 4));
    VERIFY_THROWS(adapted_linear(gpu_, {x, *w, nullptr, y, nullptr, nullptr, 1, nullptr, 0, 0}), UnsupportedError, "f64");
  }
};

LORIKEET_TEST_MAIN(AdaptedLinearCudaTest)
#include "adapted_linear_cuda_test.moc"
