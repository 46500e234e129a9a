// The CUDA twins of both AdamW updates against the CPU ops, over several steps; optimizers whose state is paged.
#include <algorithm>
#include <cmath>
#include <deque>

#include "core/ops/adamw8bit_update.h"
#include "core/ops/adamw_update.h"
#include "core/optim/optimizer.h"
#include "tests/cuda/cuda_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

/// Counts what is sent to the device while it lives.
class CountedCopies {
 public:
  CountedCopies() : real_(&device_memory(DeviceType::cuda)), counted_(*real_) {
    before_ = real_->from_host;
    copies = 0;
    counted_.from_host = [](void* device, const void* host, size_t bytes) {
      ++copies;
      before_(device, host, bytes);
    };
    set_device_memory(DeviceType::cuda, &counted_);
  }
  ~CountedCopies() { set_device_memory(DeviceType::cuda, real_); }
  CountedCopies(const CountedCopies&) = delete;
  CountedCopies& operator=(const CountedCopies&) = delete;
  static inline int copies = 0;

 private:
  static inline void (*before_)(void*, const void*, size_t) = nullptr;
  const DeviceMemory* real_;
  DeviceMemory counted_;
};

}  // namespace

class AdamwCudaTest : public QObject {
  Q_OBJECT
  Context cpu_{2};
  Context gpu_{1, DeviceType::cuda};

  static constexpr int64_t kSteps = 10;
  // Of a list: empty ones in every place, single elements, blocks and pieces that are not full.
  static constexpr int64_t kSizes[] = {0, 1, 4096, 3, 0, 5000, 4097, 257, 12289, 1, 40, 0};
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

  /// A tensor of the device between numbers that belong to others.
  struct Between {
    Tensor room, inside;
    Between(int64_t n, DType type) : room(gpu_empty({n + 32}, type)), inside(room.slice(16, n + 16)) { room.fill(3); }
    bool alone() const {
      const Tensor all = on_cpu(room).to(DType::f32);
      const float* x = all.data<float>();
      return std::all_of(x, x + 16, [](float v) { return v == 3; }) && std::all_of(x + all.size() - 16, x + all.size(), [](float v) { return v == 3; });
    }
  };

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

  void aListIsTheSameAsOneAfterTheOther() {
    std::deque<Moments> alone, listed;
    std::deque<Tensor> gradients;
    int which = 0;
    for (const DType type : {DType::f32, DType::f64})
      for (const int64_t n : kSizes) {
        const bool crooked = ++which % 3 == 0;
        alone.push_back(placed(start({n}, type), crooked));
        listed.push_back(placed(start({n}, type), crooked));
        gradients.push_back(placed(gradient({n}, which, type), which % 4 == 1));
      }
    std::vector<AdamwTensors> list;
    for (const size_t i : mixed(listed.size())) list.push_back({listed[i].p, gradients[i], listed[i].m, listed[i].v});
    const Options& o = kOptions[1];
    for (int64_t t = 1; t <= 2; ++t) {
      adamw_update(gpu_, {list, o.grad_scale, o.learning_rate, o.beta1, o.beta2, o.eps, o.weight_decay, t});
      for (size_t i = 0; i < alone.size(); ++i) step(gpu_, alone[i], gradients[i], o, t);
    }
    for (size_t i = 0; i < alone.size(); ++i) {
      QVERIFY2(same_bits(on_cpu(alone[i].p), on_cpu(listed[i].p)), qPrintable(QString::number(i)));
      QVERIFY(same_bits(on_cpu(alone[i].m), on_cpu(listed[i].m)) && same_bits(on_cpu(alone[i].v), on_cpu(listed[i].v)));
    }
  }
  void aListOfCodesHasTheCpusBits() {
    std::deque<Coded> here, there;
    std::deque<Tensor> gradients, sent;
    int which = 0;
    for (const int64_t n : kSizes) {
      here.push_back(start_coded(n));
      there.push_back(placed(here.back(), ++which % 3 == 0));
      gradients.push_back(uneven_gradient(n, which));
      sent.push_back(placed(gradients.back(), which % 4 == 1));
    }
    std::vector<Adamw8bitTensors> list, list_here;
    for (const size_t i : mixed(there.size())) list.push_back({there[i].p, sent[i], there[i].m, there[i].v, there[i].m_absmax, there[i].v_absmax});
    for (size_t i = 0; i < here.size(); ++i) list_here.push_back({here[i].p, gradients[i], here[i].m, here[i].v, here[i].m_absmax, here[i].v_absmax});
    const Options& o = kOptions[1];
    for (int64_t t = 1; t <= 2; ++t) {
      adamw8bit_update(gpu_, {list, o.grad_scale, o.learning_rate, o.beta1, o.beta2, o.eps, o.weight_decay, t});
      adamw8bit_update(cpu_, {list_here, o.grad_scale, o.learning_rate, o.beta1, o.beta2, o.eps, o.weight_decay, t});
    }
    for (size_t i = 0; i < here.size(); ++i) compare(there[i], here[i], 2);
  }
  /// The numbers below n, f32 and f64 in turn where the second half is f64.
  static std::vector<size_t> mixed(size_t n) {
    std::vector<size_t> order;
    for (size_t i = 0; i < n; ++i) order.push_back(i % 2 == 0 ? i / 2 : n - 1 - i / 2);
    return order;
  }

  void neighboursStayAsTheyAre() {
    for (const int64_t n : {1, 2, 3, 5, 257, 4099}) {
      Between p(n, DType::f32), m(n, DType::f32), v(n, DType::f32), p8(n, DType::f32), blocks_m((n + 255) / 256, DType::f32), blocks_v((n + 255) / 256, DType::f32);
      const Tensor g = on_gpu(gradient({n}, 1, DType::f32));
      Tensor codes_m = on_gpu(Tensor::zeros({n + 32}, DType::u8)), codes_v = codes_m.clone(), inside_m = codes_m.slice(16, n + 16), inside_v = codes_v.slice(16, n + 16);
      adamw_update(gpu_, {{{p.inside, g, m.inside, v.inside}}, 1, 0.1, 0.9, 0.999, 1e-8, 0, 1});
      adamw8bit_update(gpu_, {{{p8.inside, g, inside_m, inside_v, blocks_m.inside, blocks_v.inside}}, 1, 0.1, 0.9, 0.999, 1e-8, 0, 1});
      for (const Between* b : {&p, &m, &v, &p8, &blocks_m, &blocks_v}) QVERIFY(b->alone());
      for (const Tensor& codes : {on_cpu(codes_m), on_cpu(codes_v)})
        for (int64_t i = 0; i < 16; ++i) QVERIFY(codes.data<uint8_t>()[i] == 0 && codes.data<uint8_t>()[n + 31 - i] == 0);
    }
  }

  void aTableIsSentWhenItChanged() {
    Context cx(1, DeviceType::cuda);
    Moments s = placed(start({300}, DType::f32), false), wanted = start({300}, DType::f32);
    Coded c = placed(start_coded(300), false), wanted_codes = start_coded(300);
    const Tensor g = gradient({300}, 1, DType::f32), first = on_gpu(g), second = on_gpu(g);
    int64_t t = 0;
    const auto copies = [&](const Tensor& there) {
      ++t;
      step(cpu_, wanted, g, kOptions[0], t);
      step(cpu_, wanted_codes, g, kOptions[0], t);
      const CountedCopies counted;
      step(cx, s, there, kOptions[0], t);
      step(cx, c, there, kOptions[0], t);
      return CountedCopies::copies;
    };
    QVERIFY(copies(first) >= 2);  // of the maps, too
    QCOMPARE(copies(first), 0);
    QCOMPARE(copies(second), 2);
    QCOMPARE(copies(first), 0);
    std::vector<Tensor> others;
    for (int i = 0; i < 20; ++i) QCOMPARE(copies(others.emplace_back(on_gpu(g))), 2);
    QCOMPARE(copies(first) + copies(first), 2);
    cx.release_scratch();
    QCOMPARE(copies(second), 2);
    QVERIFY(relative_l2(on_cpu(s.p), wanted.p) <= 1e-6);
    compare(c, wanted_codes, t);
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

  // Gradients that are sums over 37 tokens, against means.
  void theNormIsThatOfScaledGradients() {
    const Tensor sums = random_tensor({1000}, 7);
    Tensor means = sums.clone();
    double sum = 0, norm = 0;
    for (int64_t i = 0; i < 1000; ++i) {
      const double x = static_cast<double>(sums.data<float>()[i]);
      sum += x * x;
      norm += x * x / 37 / 37;
      means.data<float>()[i] = static_cast<float>(x / 37);
    }
    norm = std::sqrt(norm);
    for (const double most : {0.0, 0.3 * norm, 2 * norm}) {
      const Tensor squares = Tensor::from<double>({sum}, {1}), there = on_gpu(squares), there_g = on_gpu(sums);
      Moments wanted = start({1000}, DType::f32), here = start({1000}, DType::f32), got = placed(wanted, false);
      Coded wanted_codes = start_coded(1000), here_codes = start_coded(1000), got_codes = placed(here_codes, false);
      const auto run = [&](Context& cx, Moments& s, Coded& c, const Tensor& g, double scale, DeviceClip clip) {
        adamw_update(cx, {{{s.p, g, s.m, s.v}}, scale, 1e-3, 0.9, 0.999, 1e-8, 0, 1, clip});
        adamw8bit_update(cx, {{{c.p, g, c.m, c.v, c.m_absmax, c.v_absmax}}, scale, 1e-3, 0.9, 0.999, 1e-8, 0, 1, clip});
      };
      run(cpu_, wanted, wanted_codes, means, clip_factor(norm, most), {});
      run(cpu_, here, here_codes, sums, 1.0 / 37, {&squares, most});
      run(gpu_, got, got_codes, there_g, 1.0 / 37, {&there, most});
      QVERIFY(same_bits(on_cpu(got.p), here.p) && same_bits(on_cpu(got.m), here.m) && same_bits(on_cpu(got.v), here.v));
      compare(got_codes, here_codes, 1);
      QVERIFY(relative_l2(here.m, wanted.m) < 1e-6 && relative_l2(here.v, wanted.v) < 1e-6 && relative_l2(here.p, wanted.p) < 1e-6);
      QVERIFY(relative_l2(here_codes.m_absmax, wanted_codes.m_absmax) < 1e-6 && relative_l2(here_codes.v_absmax, wanted_codes.v_absmax) < 1e-6);
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

  // Enough state for seven batches and more, with a matrix that is cut, and parameters of no, of one and of few elements.
  static std::vector<NamedParameter> parameters(int64_t large) {
    std::vector<NamedParameter> all;
    uint64_t seed = 0;
    for (const Shape& shape : {Shape{33, 131}, Shape{large, 100}, Shape{0}, Shape{1}, Shape{4095}, Shape{64, 400}, Shape{7}, Shape{200, 301}})
      all.push_back({std::to_string(seed), make_leaf(on_gpu(random_tensor(shape, seed)), true)}), ++seed;
    return all;
  }
  static void set_gradients(const std::vector<NamedParameter>& all, uint64_t seed) {
    for (const NamedParameter& p : all) p.var->grad = on_gpu(random_tensor(p.var->value.shape(), seed++));
    all[4].var->grad = Tensor();
  }
  void aPagedStateChangesNoBit_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<int>("large");
    QTest::newRow("f32") << "adamw" << 1000;
    QTest::newRow("8-bit") << "adamw8bit" << 4000;
    QTest::newRow("one batch") << "adamw" << 10;
  }
  void aPagedStateChangesNoBit() {
    QFETCH(QString, name);
    QFETCH(int, large);
    const ScratchFolder folder;
    OptimizerOptions options{.weight_decay = 0.1, .folder = folder.path(), .batch_bytes = large == 10 ? 0u : 1u << 18};
    const auto one = parameters(large), two = parameters(large);
    const auto plain = optimizers().get(name.toStdString()).make(one, options), paged = optimizers().get("paged_" + name.toStdString()).make(two, options);
    for (uint64_t t = 0; t < 3; ++t) {
      set_gradients(one, 10 * t), set_gradients(two, 10 * t);
      const Tensor squares = on_gpu(Tensor::from<double>({t == 1 ? HUGE_VAL : 1e4}, {1}));
      const DeviceClip clip{&squares, t == 2 ? 0.5 : 0.0};
      plain->step(gpu_, 0.1, 0.7, clip), paged->step(gpu_, 0.1, 0.7, clip);
      const auto a = plain->state(), b = paged->state();
      for (size_t i = 0; i < a.size(); ++i) QVERIFY2(a[i].first == b[i].first && same_bits(on_cpu(a[i].second), b[i].second), a[i].first.c_str());
      paged->rest();
    }
    for (size_t i = 0; i < one.size(); ++i) QVERIFY(same_bits(on_cpu(one[i].var->value), on_cpu(two[i].var->value)));
  }

  void aPagedStepWithoutRoomChangesNothing() {
    const ScratchFolder folder;
    const auto all = parameters(1000);
    const auto paged = optimizers().get("paged_adamw").make(all, {.folder = folder.path()});
    set_gradients(all, 1);
    const Tensor before = all[0].var->value.clone();
    {
      static DeviceMemory full;
      const DeviceMemory& real = device_memory(DeviceType::cuda);
      full = real;
      full.host_stage = [](size_t bytes) -> std::unique_ptr<HostStage> { throw OutOfMemoryError("full", bytes, 0); };
      set_device_memory(DeviceType::cuda, &full);
      bool thrown = false;
      try {
        paged->step(gpu_, 0.1, 1);
      } catch (const OutOfMemoryError&) {
        thrown = true;
      }
      set_device_memory(DeviceType::cuda, &real);
      QVERIFY(thrown);
    }
    QCOMPARE(paged->steps_done(), int64_t{0});
    QVERIFY(same_bits(on_cpu(all[0].var->value), on_cpu(before)));
    paged->step(gpu_, 0.1, 1);
    QVERIFY(!same_bits(on_cpu(all[0].var->value), on_cpu(before)));
  }
};

LORIKEET_TEST_MAIN(AdamwCudaTest)
#include "adamw_cuda_test.moc"
