// The CUDA twins of attention against the CPU op: every option, both kernels (general, on tensor cores).
#include <cmath>

#include "core/ops/attention.h"
#include "tests/cuda/cuda_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

struct Setting {
  std::vector<int32_t> documents;
  int64_t heads = 1, kv_heads = 1, head_dim = 64, window = 0;
  double soft_cap = 0;
  DType type = DType::bf16;
  bool strided = false;

  AttentionShape shape() const { return {heads, kv_heads, head_dim, 1 / std::sqrt(static_cast<double>(head_dim)), window, soft_cap}; }
  std::string text() const {
    std::string t = std::string(dtype_name(type)) + " " + std::to_string(heads) + "/" + std::to_string(kv_heads) + "x" + std::to_string(head_dim) + " rows";
    for (const int32_t d : documents) t += " " + std::to_string(d);
    return t + (window ? " window " + std::to_string(window) : "") + (soft_cap > 0 ? " capped" : "") + (strided ? " strided" : "");
  }
};

struct Inputs {
  Tensor starts, q, k, v, d_o;
  explicit Inputs(const Setting& c) : starts(Tensor::from(c.documents, {static_cast<int64_t>(c.documents.size())})) {
    const int64_t rows = c.documents.back(), wide = c.heads * c.head_dim, narrow = c.kv_heads * c.head_dim;
    q = random_tensor({rows, wide}, 1, c.type, 2);
    k = random_tensor({rows, narrow}, 2, c.type, 2);
    v = random_tensor({rows, narrow}, 3, c.type);
    d_o = random_tensor({rows, wide}, 4, c.type);
  }
  Inputs rows(int64_t begin, int64_t end) const {
    Inputs part = *this;
    part.starts = Tensor::from(std::vector<int32_t>{0, static_cast<int32_t>(end - begin)}, {2});
    for (Tensor* t : {&part.q, &part.k, &part.v, &part.d_o}) *t = t->slice(begin, end);
    return part;
  }
  Inputs to(DType type) const {
    Inputs wide = *this;
    for (Tensor* t : {&wide.q, &wide.k, &wide.v, &wide.d_o}) *t = t->to(type);
    return wide;
  }
};

struct Results { Tensor o, lse, dq, dk, dv; };

bool same_bits(const Tensor& a, const Tensor& b) { return a.shape() == b.shape() && max_abs_difference(a, b) == 0.0; }
bool same_bits(const Results& a, const Results& b) {
  return same_bits(a.o, b.o) && same_bits(a.lse, b.lse) && same_bits(a.dq, b.dq) && same_bits(a.dk, b.dk) && same_bits(a.dv, b.dv);
}
double error_of(const Tensor& got, const Tensor& wanted) {
  const double e = relative_l2(got, wanted);
  return std::isnan(e) ? INFINITY : e;
}

}  // namespace

class AttentionCudaTest : public QObject {
  Q_OBJECT
  Context cpu_{2};
  Context gpu_{1, DeviceType::cuda};

  Results on_host(const Setting& c, const Inputs& in) {
    const DType type = in.q.dtype(), sums = sum_type(type);
    Results r{Tensor::empty(in.q.shape(), type), Tensor::empty({in.q.rows(), c.heads}, sums), Tensor::empty(in.q.shape(), sums), Tensor::empty(in.k.shape(), sums),
              Tensor::empty(in.k.shape(), sums)};
    attention(cpu_, {in.q, in.k, in.v, in.starts, r.o, &r.lse, c.shape()});
    attention_backward(cpu_, {in.d_o, in.q, in.k, in.v, r.o, r.lse, in.starts, r.dq, r.dk, r.dv, c.shape()});
    return r;
  }

  Results on_device(const Setting& c, const Inputs& in) {
    const DType type = in.q.dtype(), sums = sum_type(type);
    const auto there = [&](const Tensor& t, int64_t gap) { return c.strided ? gpu_strided(t, 8, gap) : on_gpu(t); };
    const auto room = [&](const Tensor& like, DType t, int64_t gap) {
      return c.strided ? gpu_empty({like.rows(), like.width() + gap}, t).columns(0, like.width()) : gpu_empty(like.shape(), t);
    };
    const Tensor q = there(in.q, 16), k = there(in.k, 24), v = there(in.v, 8), d_o = there(in.d_o, 40), starts = on_gpu(in.starts);
    Tensor o = room(in.q, type, 8), lse = gpu_empty({in.q.rows(), c.heads}, sums), dq = room(in.q, sums, 3), dk = room(in.k, sums, 5), dv = room(in.k, sums, 4);
    attention(gpu_, {q, k, v, starts, o, &lse, c.shape()});
    attention_backward(gpu_, {d_o, q, k, v, o, lse, starts, dq, dk, dv, c.shape()});
    return {on_cpu(o), on_cpu(lse), on_cpu(dq), on_cpu(dk), on_cpu(dv)};
  }

  /// o and its logarithms.
  std::pair<Tensor, Tensor> forward_on_device(const Setting& c, const Inputs& in) {
    const Tensor q = on_gpu(in.q), k = on_gpu(in.k), v = on_gpu(in.v), starts = on_gpu(in.starts);
    Tensor o = gpu_empty(q.shape(), q.dtype()), lse = gpu_empty({q.rows(), c.heads}, sum_type(q.dtype()));
    attention(gpu_, {q, k, v, starts, o, &lse, c.shape()});
    return {on_cpu(o), on_cpu(lse)};
  }

  /// Largest errors seen, for the log: o, lse, dq, dk, dv.
  double worst_[3][5] = {};

  void check(const Setting& c) {
    const Inputs in(c);
    const bool half = is_half_row(c.type);
    const int kind = c.type == DType::bf16 ? 1 : c.type == DType::f16 ? 2 : 0;
    const Results got = on_device(c, in), wanted = on_host(c, in.to(DType::f64));
    const double tolerance = half ? half_tolerance(c.type) : c.type == DType::f32 ? 2e-6 : 1e-13;
    const double errors[5] = {error_of(got.o, wanted.o), max_abs_difference(got.lse, wanted.lse), error_of(got.dq, wanted.dq), error_of(got.dk, wanted.dk),
                              error_of(got.dv, wanted.dv)};
    for (int i = 0; i < 5; ++i) {
      if ((i == 2 || i == 3) && wanted.dq.rows() <= 2 * static_cast<int64_t>(c.documents.size())) continue;  // hardly more than one key a query: nothing but rounding
      worst_[kind][i] = std::max(worst_[kind][i], c.type == DType::f64 ? 0 : errors[i]);
      const double limit = i == 1 ? (half ? 1e-5 : 10 * tolerance) : i >= 2 && half ? half_gradient_tolerance(c.type) : i >= 2 ? 4 * tolerance : tolerance;
      QVERIFY2(errors[i] < limit, qPrintable(QString("%1 is off by %2; at most %3").arg(QStringList{"o", "lse", "dq", "dk", "dv"}[i]).arg(errors[i]).arg(limit)));
    }
  }

 private slots:
  void initTestCase() { LORIKEET_NEEDS_GPU(); }
  void cleanupTestCase() {
    constexpr const char* kNames[] = {"f32", "bf16", "f16"};
    for (int i = 0; i < 3; ++i) qInfo("%s: largest errors o %.2g lse %.2g dq %.2g dk %.2g dv %.2g", kNames[i], worst_[i][0], worst_[i][1], worst_[i][2], worst_[i][3], worst_[i][4]);
  }

  void equalsTheCpuOp_data() {
    QTest::addColumn<int>("row");
    for (size_t i = 0; i < settings().size(); ++i) QTest::addRow("%s", settings()[i].text().c_str()) << static_cast<int>(i);
  }
  void equalsTheCpuOp() {
    QFETCH(int, row);
    check(settings()[static_cast<size_t>(row)]);
  }

  void laterTokensChangeNothingBefore() {
    for (const Setting& c : {Setting{{0, 150}, 2, 1, 64}, Setting{{0, 150}, 1, 1, 128}, Setting{{0, 150}, 1, 1, 128, 0, 0, DType::f16}, Setting{{0, 150}, 1, 1, 32, 0, 0, DType::f32}}) {
      const Inputs in(c);
      const auto before = forward_on_device(c, in);
      for (const int64_t changed : {1, 63, 64, 100, 149}) {
        Inputs other = in;
        for (Tensor* t : {&other.q, &other.k, &other.v}) {
          *t = t->clone();
          t->slice(changed, 150).fill(3);
        }
        const auto [o, lse] = forward_on_device(c, other);
        QVERIFY(same_bits(before.first.slice(0, changed), o.slice(0, changed)));
        QVERIFY(same_bits(before.second.slice(0, changed), lse.slice(0, changed)));
        QVERIFY(!same_bits(before.first.slice(changed, 150), o.slice(changed, 150)));
      }
    }
  }

  void packedDocumentsEqualSeparateOnes() {
    for (const Setting& c : {Setting{{0, 40, 40, 140, 141}, 4, 2, 64}, Setting{{0, 40, 40, 80, 81}, 2, 1, 72}, Setting{{0, 40, 40, 80, 81}, 2, 1, 32, 0, 0, DType::f32}}) {
      const Inputs in(c);
      const Results packed = on_device(c, in);
      const double tolerance = is_half_row(c.type) ? half_tolerance(c.type) : 1e-6;
      for (size_t d = 0; d + 1 < c.documents.size(); ++d) {
        const int64_t begin = c.documents[d], end = c.documents[d + 1];
        if (end - begin < 2) continue;
        const Results one = on_device(c, in.rows(begin, end));
        QVERIFY(error_of(packed.o.slice(begin, end), one.o) < tolerance);
        QVERIFY(error_of(packed.dq.slice(begin, end), one.dq) < tolerance);
        QVERIFY(error_of(packed.dk.slice(begin, end), one.dk) < tolerance);
        QVERIFY(error_of(packed.dv.slice(begin, end), one.dv) < tolerance);
      }
    }
  }

  void givesTheSameBitsEveryTime() {
    for (const Setting& c : {Setting{{0, 33, 130}, 4, 2, 64, 50, 20}, Setting{{0, 33, 130}, 3, 1, 128}, Setting{{0, 33, 70}, 2, 1, 256}, Setting{{0, 33, 50}, 3, 1, 80},
                             Setting{{0, 33, 130}, 2, 1, 96, 50, 20, DType::f16}, Setting{{0, 33, 70}, 2, 1, 256, 0, 0, DType::f16}}) {
      const Inputs in(c);
      const Results a = on_device(c, in), b = on_device(c, in);
      QVERIFY(same_bits(a, b));
      Setting apart = c;
      apart.strided = true;
      QVERIFY(same_bits(a, on_device(apart, in)));
    }
  }

  void rowsThatAreNotAlignedGiveTheSame() {
    for (const DType type : kHalfRows) {
      const Setting c{{0, 70}, 2, 1, 64, 0, 0, type};
      const Inputs in(c);
      const Results wanted = on_device(c, in);
      const Tensor q = gpu_strided(in.q, 3, 2), k = on_gpu(in.k), v = on_gpu(in.v), starts = on_gpu(in.starts);
      Tensor o = gpu_empty(in.q.shape(), type);
      attention(gpu_, {q, k, v, starts, o, nullptr, c.shape()});
      QVERIFY(error_of(on_cpu(o), wanted.o) < half_tolerance(type));
    }
  }

  void largeScoresDoNotOverflow() {
    for (const auto& [d, type] : {std::pair<int64_t, DType>{64, DType::bf16}, {80, DType::bf16}, {64, DType::f16}}) {
      const Setting c{{0, 70}, 2, 1, d, 0, 0, type};
      Inputs in(c);
      for (Tensor* t : {&in.q, &in.k}) *t = random_tensor(t->shape(), 9, type, 40);
      const Results r = on_device(c, in);
      for (const Tensor* t : {&r.o, &r.lse, &r.dq, &r.dk, &r.dv})
        for (const double v : t->to_vector<double>()) QVERIFY(std::isfinite(v));
    }
  }

  void emptyTensorsAreLeftAlone() {
    const Setting c{{0}, 2, 1, 64};
    const Inputs in(c);
    QCOMPARE(on_device(c, in).o.rows(), int64_t{0});
  }

  void newTokensAgainstTheCacheEqualTheWholeSequence_data() {
    QTest::addColumn<int>("head_dim");
    QTest::addColumn<int>("window");
    for (const auto& [d, window] : {std::pair{64, 0}, {64, 40}, {80, 0}, {256, 7}}) QTest::addRow("width %d window %d", d, window) << d << window;
  }
  void newTokensAgainstTheCacheEqualTheWholeSequence() {
    QFETCH(int, head_dim);
    QFETCH(int, window);
    const Setting c{{0, 100}, 2, 1, head_dim, window, window > 0 ? 2.0 : 0.0, DType::f32};
    const Inputs in(c);
    const Results whole = on_host(c, in);
    for (const auto& [past, n] : {std::pair<int64_t, int64_t>{0, 1}, {0, 100}, {99, 1}, {3, 5}, {60, 40}}) {
      Tensor keys = gpu_empty({128, in.k.width()}), values = gpu_empty({128, in.k.width()});  // NaN behind the tokens in the emulation
      keys.slice(0, past + n).copy_from(in.k.slice(0, past + n));
      values.slice(0, past + n).copy_from(in.v.slice(0, past + n));
      const Tensor q = on_gpu(in.q.slice(past, past + n));
      Tensor o = gpu_empty(q.shape());
      attention_cached(gpu_, {q, keys, values, o, past, c.shape()});
      QVERIFY(error_of(on_cpu(o), whole.o.slice(past, past + n)) < 2e-6);
    }
  }

 private:
  static const std::vector<Setting>& settings() {
    static const std::vector<Setting> all = [] {
      std::vector<Setting> out;
      const std::vector<int32_t> several{0, 33, 34, 34, 98, 163};
      const std::vector<int32_t> few{0, 33, 34, 34, 70};
      for (const DType type : {DType::f32, DType::bf16, DType::f16})
        for (const int32_t rows : {1, 2, 33, 64, 65, 130}) out.push_back({{0, rows}, 1, 1, is_half_row(type) ? 64 : 32, 0, 0, type});
      for (const DType type : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
        out.push_back({few, 6, 2, 32, 0, 0, type});
        out.push_back({few, 4, 1, 10, 9, 1.5, type, true});
      }
      out.push_back({few, 2, 1, 80, 0, 0, DType::f32, true});
      out.push_back({{0, 33}, 1, 1, 256, 0, 0, DType::f32});
      out.push_back({{0, 20, 40}, 2, 1, 129, 11, 2, DType::f32});
      out.push_back({few, 2, 1, 80, 0, 0, DType::bf16, true});
      for (const int64_t d : {64, 96, 128}) {
        out.push_back({several, 3, 1, d});
        out.push_back({several, 2, 2, d, 40, 0, DType::bf16, true});
        if (d != 96) out.push_back({few, 4, 1, d, 0, 0, DType::bf16, true});
        out.push_back({several, 2, 1, d, 0, 1.5});
        out.push_back({{0, 200}, 1, 1, d, 70, 30});
        out.push_back({{0, 130}, 1, 1, d, 1});
        out.push_back({several, 3, 1, d, 0, 0, DType::f16});
        out.push_back({several, 2, 2, d, 40, 0, DType::f16, true});
        out.push_back({{0, 200}, 1, 1, d, 70, 30, DType::f16});
      }
      out.push_back({few, 2, 1, 256, 0, 1.5, DType::f16, true});  // forward alone by fragments
      out.push_back({{0, 300}, 2, 2, 64});
      out.push_back({{0, 40}, 11, 1, 64});  // a block of keys takes several heads of the group, the last block fewer
      out.push_back({{0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 145}, 2, 1, 128});
      out.push_back({several, 2, 1, 256, 0, 0, DType::bf16, true});
      out.push_back({{0, 0, 5, 90, 90}, 2, 1, 256, 33, 1.5});
      return out;
    }();
    return all;
  }
};

LORIKEET_TEST_MAIN(AttentionCudaTest)
#include "attention_cuda_test.moc"
