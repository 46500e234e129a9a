#include "core/tensor/cpu_level.h"

#include <algorithm>
#include <cstdlib>

#include "core/base/error.h"
#include "tests/support/support.h"

using namespace lorikeet;

class CpuLevelTest : public QObject {
  Q_OBJECT
 private slots:
  void cleanup() {
    force_cpu_level(std::nullopt);
    ::unsetenv("LORIKEET_CPU_LEVEL");
  }
  void theProbeAgreesWithTheCompilersOwn() {
    const CpuProbe& p = cpu_probe();
    const auto has = [&](CpuLevel l) { return std::find(p.available.begin(), p.available.end(), l) != p.available.end(); };
    QVERIFY(has(CpuLevel::scalar));
    __builtin_cpu_init();
    QCOMPARE(has(CpuLevel::avx2), __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
    QCOMPARE(has(CpuLevel::avx512), __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"));
    QVERIFY(p.best == p.available.back());
    QVERIFY(std::is_sorted(p.available.begin(), p.available.end()));
    QCOMPARE(p.available.size() + p.refused.size(), size_t{4});
    QVERIFY(!p.why.empty() && !p.model_name.empty());
  }
  void computeTypesHaveNames() {
    for (ComputeType c : {ComputeType::f32, ComputeType::bf16, ComputeType::f16}) QVERIFY(compute_type_from_name(compute_type_name(c)) == c);
    QVERIFY(compute_type_name(ComputeType::f16) == "f16" && !compute_type_from_name("auto"));
  }
  void everyAvailableLevelCanBeForced() {
    for (CpuLevel l : cpu_probe().available) {
      force_cpu_level(l);
      QVERIFY(cpu_level() == l);
      force_cpu_level(std::nullopt);
      ::setenv("LORIKEET_CPU_LEVEL", std::string(cpu_level_name(l)).c_str(), 1);
      QVERIFY(cpu_level() == l);
    }
    force_cpu_level(CpuLevel::scalar);  // the call wins over the environment
    QVERIFY(cpu_level() == CpuLevel::scalar);
    force_cpu_level(std::nullopt);
    ::setenv("LORIKEET_CPU_LEVEL", "", 1);
    QVERIFY(cpu_level() == cpu_probe().best);
  }
  void unknownAndMissingLevelsAreRefused() {
    ::setenv("LORIKEET_CPU_LEVEL", "avx1024", 1);
    VERIFY_THROWS(cpu_level(), UnsupportedError, "avx1024");
    ::unsetenv("LORIKEET_CPU_LEVEL");
    QVERIFY(!cpu_level_from_name("AVX2"));
    for (CpuLevel l : {CpuLevel::avx2, CpuLevel::avx512, CpuLevel::amx}) {
      if (l <= cpu_probe().best) continue;
      force_cpu_level(l);
      VERIFY_THROWS(cpu_level(), UnsupportedError, std::string(cpu_level_name(l)));
    }
  }
};

LORIKEET_TEST_MAIN(CpuLevelTest)
#include "cpu_level_test.moc"
