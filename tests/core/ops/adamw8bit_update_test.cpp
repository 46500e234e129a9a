// Bit equality with bitsandbytes (fixture made by tests/tools/make_adamw8bit_fixtures.py), the formula in f64, and errors.
#include "core/ops/adamw8bit_update.h"

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "core/ops/adamw_update.h"
#include "core/ops/dynamic_map.h"
#include "tests/core/ops/op_support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

const Json& fixture() {
  static const Json j = read_json_file(data_path("optim/adamw8bit.json"));
  return j;
}

uint64_t splitmix64(uint64_t seed, uint64_t i) {
  uint64_t z = seed + (i + 1) * 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

/// values() and gradient() of the script.
Tensor values_of(int64_t n, uint64_t seed) {
  Tensor t = Tensor::empty({n});
  for (int64_t i = 0; i < n; ++i) {
    const uint64_t z = splitmix64(seed, static_cast<uint64_t>(i));
    t.data<float>()[i] = std::ldexp(static_cast<float>(static_cast<int64_t>(z & 0xFFFF) - 32768), -15 - static_cast<int>((z >> 16) & 15));
  }
  return t;
}
Tensor gradient_of(int64_t n, uint64_t seed, int64_t step) {
  Tensor g = values_of(n, seed + 1000 * static_cast<uint64_t>(step));
  if (step == 3) g.fill(0);
  for (int64_t i = 256; i < 512; ++i) g.data<float>()[i] = 0;
  for (int64_t i = 512; i < 768; ++i) g.data<float>()[i] *= 0x1p-62f;
  return g;
}

std::string bytes_of(const Tensor& t) { return {static_cast<const char*>(t.raw()), t.bytes()}; }
std::string from_hex(const std::string& text) { return QByteArray::fromHex(QByteArray::fromStdString(text)).toStdString(); }

struct State {
  Tensor p, m, v, m_absmax, v_absmax;
  explicit State(Tensor parameters)
      : p(std::move(parameters)), m(Tensor::zeros(p.shape(), DType::u8)), v(Tensor::zeros(p.shape(), DType::u8)),
        m_absmax(Tensor::zeros({(p.size() + 255) / 256})), v_absmax(Tensor::zeros({(p.size() + 255) / 256})) {}
  void step(Context& cx, const Tensor& g, int64_t t, double clip = 1, double lr = 1e-2, double b1 = 0.9, double b2 = 0.999, double eps = 1e-8, double decay = 0.05) {
    adamw8bit_update(cx, {{{p, g, m, v, m_absmax, v_absmax}}, clip, lr, b1, b2, eps, decay, t});
  }
  std::string bits() const { return bytes_of(m) + bytes_of(v) + bytes_of(m_absmax) + bytes_of(v_absmax); }
};

}  // namespace

class Adamw8bitUpdateTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_cpu_kernels(); }

  void mapsHaveTheReferencesBits() {
    for (const auto& [name, map] : {std::pair("signed", &signed_dynamic_map()), std::pair("unsigned", &unsigned_dynamic_map())}) {
      const std::string wanted = from_hex(fixture().at("maps").at(name).get<std::string>());
      QCOMPARE(wanted.size(), sizeof map->values);
      QVERIFY2(std::memcmp(wanted.data(), map->values.data(), wanted.size()) == 0, name);
    }
  }

  void codesAreNearestAfterTheGrid() {
    for (const DynamicMap* map : {&signed_dynamic_map(), &unsigned_dynamic_map()}) {
      for (int i = -2200; i <= 2200; ++i) {
        const float x = static_cast<float>(i) / 2000.0f, inside = std::clamp(x, -1.0f, 1.0f);
        const auto distance = [&](size_t c) { return std::abs(map->values[c] - inside); };
        float nearest = 2;
        for (size_t c = 0; c < 256; ++c) nearest = std::min(nearest, distance(c));
        QVERIFY(distance(dynamic_code(*map, x)) <= nearest + 2.0f / 65535.0f);
      }
      QCOMPARE(dynamic_code(*map, std::nanf("")), uint8_t{0});
      QCOMPARE(dynamic_code(*map, HUGE_VALF), uint8_t{255});
    }
  }

  // Thirty steps: codes and maxima equal to bitsandbytes' in every bit, parameters but for its square roots.
  void stateEqualsBitsandbytes_data() {
    QTest::addColumn<int>("level");
    QTest::addColumn<int>("row");
    for (CpuLevel l : cpu_probe().available)
      for (int row = 0; row < 3; ++row) QTest::addRow("%s %d", std::string(cpu_level_name(l)).c_str(), row) << static_cast<int>(l) << row;
  }
  void stateEqualsBitsandbytes() {
    QFETCH(int, level);
    QFETCH(int, row);
    const Json& c = fixture().at("cases").at(static_cast<size_t>(row));
    Context cx = context(static_cast<CpuLevel>(level));
    const int64_t n = c["n"];
    const uint64_t seed = c["seed"];
    QCOMPARE(c["dtype"].get<std::string>(), std::string("torch.uint8"));
    State s(values_of(n, seed));
    int64_t t = 0;
    for (const Json& digest : c["state_sha256"]) {
      ++t;
      s.step(cx, gradient_of(n, seed, t), t, c["clip"], c["lr"], c["beta1"], c["beta2"], c["eps"], c["decay"]);
      QVERIFY2(sha256_of_text(s.bits()) == digest.get<std::string>(), qPrintable(QString("step %1").arg(t)));
    }
    QCOMPARE(t, int64_t{30});
    const std::string wanted = from_hex(c["p"].get<std::string>());
    double worst = 0;
    for (int64_t i = 0; i < n; ++i) {
      float q;
      std::memcpy(&q, wanted.data() + 4 * i, 4);
      worst = std::max(worst, static_cast<double>(std::abs(q - s.p.data<float>()[i])));
    }
    // A square root one unit off moves a step by 2^-23 of its length, and then the sum may round the other way.
    VERIFY_SMALL(worst, 30 * 0x1p-24 * (1 + 30 * c["lr"].get<double>()));
  }

  // Below 4096 elements bitsandbytes keeps f32 moments: our plain update does the same.
  void smallTensorsFollowThePlainUpdate() {
    const Json& c = fixture().at("cases").at(3);
    QCOMPARE(c["dtype"].get<std::string>(), std::string("torch.float32"));
    const int64_t n = c["n"];
    const uint64_t seed = c["seed"];
    Context cx(1);
    Tensor p = values_of(n, seed), m = Tensor::zeros({n}), v = Tensor::zeros({n});
    for (int64_t t = 1; t <= 30; ++t) adamw_update(cx, {{{p, gradient_of(n, seed, t), m, v}}, 1, c["lr"], c["beta1"], c["beta2"], c["eps"], c["decay"], t});
    const std::string wanted = from_hex(c["p"].get<std::string>());
    Tensor q = Tensor::empty({n});
    std::memcpy(q.raw(), wanted.data(), q.bytes());
    VERIFY_SMALL(max_abs_difference(p, q), 2e-6);
  }

  // One step from a state of codes, against the formula in f64: parameters, and moments within the width of a code.
  void followsTheFormula() {
    for (CpuLevel level : cpu_probe().available) {
      Context cx = context(level);
      State s(random_tensor({3, 171}, 1));
      for (int64_t t = 1; t <= 3; ++t) s.step(cx, random_tensor({3, 171}, 10 + static_cast<uint64_t>(t)), t);
      const State before = [&] {
        State copy(s.p.clone());
        copy.m = s.m.clone(), copy.v = s.v.clone(), copy.m_absmax = s.m_absmax.clone(), copy.v_absmax = s.v_absmax.clone();
        return copy;
      }();
      const Tensor g = random_tensor({3, 171}, 20);
      s.step(cx, g, 4, 0.5);
      const auto at = [](const DynamicMap& map, const Tensor& codes, const Tensor& absmax, int64_t i) {
        return static_cast<double>(map.values[codes.data<uint8_t>()[i]]) * static_cast<double>(absmax.data<float>()[i / 256]);
      };
      for (int64_t i = 0; i < s.p.size(); ++i) {
        const double grad = 0.5 * static_cast<double>(g.data<float>()[i]);
        const double m = 0.9 * at(signed_dynamic_map(), before.m, before.m_absmax, i) + 0.1 * grad;
        const double v = 0.999 * at(unsigned_dynamic_map(), before.v, before.v_absmax, i) + 0.001 * grad * grad;
        const double step = m / (1 - std::pow(0.9, 4)) / (std::sqrt(v / (1 - std::pow(0.999, 4))) + 1e-8);
        const double p = static_cast<double>(before.p.data<float>()[i]) * (1 - 0.01 * 0.05) - 0.01 * step;
        QVERIFY(std::abs(static_cast<double>(s.p.data<float>()[i]) - p) < 2e-7);
        const double m_width = static_cast<double>(s.m_absmax.data<float>()[i / 256]), v_width = static_cast<double>(s.v_absmax.data<float>()[i / 256]);
        QVERIFY(std::abs(at(signed_dynamic_map(), s.m, s.m_absmax, i) - m) < 0.008 * m_width);
        QVERIFY(std::abs(at(unsigned_dynamic_map(), s.v, s.v_absmax, i) - v) < 0.004 * v_width);
      }
    }
  }

  void levelsAndThreadsChangeNoBit() {
    std::string first;
    for (CpuLevel level : cpu_probe().available)
      for (int threads : {1, 2, 3}) {
        Context cx = context(level, threads);
        State s(random_tensor({131, 257}, 1));
        for (int64_t t = 1; t < 5; ++t) s.step(cx, random_tensor({131, 257}, 5 + static_cast<uint64_t>(t)), t);
        const std::string bits = s.bits() + bytes_of(s.p);
        if (first.empty()) first = bits;
        QVERIFY(first == bits);
      }
  }

  void oneElementAndNoneWork() {
    Context cx(1);
    State one(Tensor::from<float>({2}, {1}));
    one.step(cx, Tensor::from<float>({0.25f}, {1}), 1, 1, 0.5, 0.9, 0.999, 1e-8, 0);
    QVERIFY(std::abs(one.p.data<float>()[0] - 1.5f) < 1e-5f);
    QCOMPARE(one.m.data<uint8_t>()[0], uint8_t{255});
    State none(Tensor::zeros({0}));
    none.step(cx, Tensor::zeros({0}), 1);
  }

  void refusesWhatDoesNotFit() {
    Context cx(1);
    State s(random_tensor({2, 300}, 1));
    const Tensor g = random_tensor({2, 300}, 2);
    VERIFY_THROWS(s.step(cx, random_tensor({300, 2}, 2), 1), ShapeError, "g is [300, 2]");
    VERIFY_THROWS(s.step(cx, random_tensor({2, 300}, 2, DType::f64), 1), DTypeError, "g is f64");
    VERIFY_THROWS(s.step(cx, g, 0), ShapeError, "step 0");
    State other(s.p);
    other.m_absmax = Tensor::zeros({2});
    VERIFY_THROWS(other.step(cx, g, 1), ShapeError, "m_absmax is [2]; wanted [3]");
    other = State(s.p);
    other.v = Tensor::zeros({2, 300});
    VERIFY_THROWS(other.step(cx, g, 1), DTypeError, "v_codes is f32; wanted u8");
    other = State(s.p);
    other.p = strided(s.p);
    VERIFY_THROWS(other.step(cx, g, 1), ShapeError, "p has gaps");
  }
};

LORIKEET_TEST_MAIN(Adamw8bitUpdateTest)
#include "adamw8bit_update_test.moc"
