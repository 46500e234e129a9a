// What the management library tells. Passes with and without a driver.
#include "cuda/runtime/nvml.h"
#include "tests/support/support.h"

using namespace lorikeet;

class NvmlTest : public QObject {
  Q_OBJECT
 private slots:
  void aMissingDriverHasAReason() {
    const cuda::GpuStates states = cuda::gpu_states();
    QCOMPARE(states.gpus.empty(), !states.reason.empty());
    if (!states.reason.empty()) qInfo("%s", states.reason.c_str());
    QCOMPARE(cuda::gpu_states().gpus.size(), states.gpus.size());  // asking again is allowed
  }

  void figuresAreThoseOfACard() {
    const cuda::GpuStates states = cuda::gpu_states();
    if (states.gpus.empty()) QSKIP(states.reason.c_str());
    for (const cuda::GpuState& s : states.gpus) {
      QVERIFY(!s.name.empty() && !s.pci_bus_id.empty());
      if (s.used_bytes) QVERIFY(*s.used_bytes <= *s.total_bytes && *s.total_bytes > (uint64_t{1} << 28));
      if (s.busy_percent) QVERIFY(*s.busy_percent >= 0 && *s.busy_percent <= 100);
      if (s.temperature_c) QVERIFY(*s.temperature_c > 0 && *s.temperature_c < 130);
      if (s.power_w) QVERIFY(*s.power_w >= 0 && *s.power_w < 3000);
      const auto again = cuda::gpu_state(s.pci_bus_id);
      QVERIFY(again && again->name == s.name);
    }
  }

  void placesAreComparedAsBothLibrariesWriteThem() {
    QVERIFY(cuda::same_pci_bus("00000000:65:00.0", "0000:65:00.0"));
    QVERIFY(cuda::same_pci_bus("00000001:AF:00.0", "0001:af:00.0"));
    QVERIFY(!cuda::same_pci_bus("00000000:65:00.0", "0000:66:00.0"));
    QVERIFY(!cuda::same_pci_bus("00000001:65:00.0", "0000:65:00.0"));
    QVERIFY(!cuda::same_pci_bus("", ""));
    QVERIFY(!cuda::gpu_state("0000:ff:1f.7"));
  }
};

LORIKEET_TEST_MAIN(NvmlTest)
#include "nvml_test.moc"
