#include "core/base/topology.h"

#include <sched.h>

#include <fstream>
#include <map>
#include <thread>

#include "core/base/files.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

/// A tree of system files, as path -> content.
using Tree = std::map<std::string, std::string>;

void put(const ScratchFolder& folder, const Tree& tree) {
  for (const auto& [name, content] : tree) {
    fs::create_directories(fs::path(folder.path(name)).parent_path());
    std::ofstream(folder.path(name), std::ios::binary) << content;  // no fsync: there are hundreds
  }
}

void add_cpu(Tree& tree, int id, int package, int core) {
  const std::string folder = "sys/devices/system/cpu/cpu" + std::to_string(id) + "/topology/";
  tree[folder + "physical_package_id"] = std::to_string(package) + "\n";
  tree[folder + "core_id"] = std::to_string(core) + "\n";
}

/// Two packages of four cores with two threads each, numbered as usual: 0-7 the first threads, 8-15 their siblings.
Tree two_packages() {
  Tree tree = {{"sys/devices/system/cpu/online", "0-15\n"},
               {"sys/devices/system/node/online", "0-1\n"},
               {"sys/devices/system/node/has_memory", "0-1\n"},
               {"sys/devices/system/node/node0/cpulist", "0-3,8-11\n"},
               {"sys/devices/system/node/node1/cpulist", "4-7,12-15\n"}};
  for (int id = 0; id < 16; ++id) add_cpu(tree, id, id % 8 / 4, id % 4);
  return tree;
}

std::vector<int> up_to(int n) {
  std::vector<int> out;
  for (int i = 0; i < n; ++i) out.push_back(i);
  return out;
}

Topology read(const Tree& tree, const std::vector<int>& allowed) {
  const ScratchFolder folder;
  put(folder, tree);
  return read_topology(folder.path(), allowed);
}

using Lists = std::vector<std::vector<int>>;

}  // namespace

class TopologyTest : public QObject {
  Q_OBJECT
 private slots:
  void countsCoresSiblingsAndNodes() {
    const Topology t = read(two_packages(), up_to(16));
    QCOMPARE(t.usable(), 16);
    QCOMPARE(t.physical(), 8);
    QVERIFY(t.pin_order() == up_to(16));
    QVERIFY(t.groups() == (Lists{{0, 1, 2, 3, 8, 9, 10, 11}, {4, 5, 6, 7, 12, 13, 14, 15}}));
    QCOMPARE(t.cpus[12].core, t.cpus[4].core);
    QCOMPARE(t.cpus[12].package, 1);
  }
  void countsOnlyWhatTheProcessMayUse() {
    const Topology t = read(two_packages(), {9, 1, 3, 3, 4000});
    QCOMPARE(t.usable(), 3);
    QCOMPARE(t.physical(), 2);  // 1 and 9 share a core
    QVERIFY(t.pin_order() == (std::vector<int>{1, 3, 9}));
    QVERIFY(t.groups() == (Lists{{1, 3, 9}}));
  }
  void aNodeWithoutMemoryIsNoGroup() {
    Tree tree = two_packages();
    tree["sys/devices/system/node/has_memory"] = "1";
    QVERIFY(read(tree, up_to(16)).groups() == (Lists{{4, 5, 6, 7, 12, 13, 14, 15}}));
    tree["sys/devices/system/node/has_memory"] = "7";  // no CPU there: taken as not said
    QCOMPARE(read(tree, up_to(16)).groups().size(), size_t{1});
    QCOMPARE(read(tree, up_to(16)).groups()[0].size(), size_t{16});
  }
  void aQuotaLimitsThreads_data() {
    QTest::addColumn<QString>("file");
    QTest::addColumn<QString>("content");
    QTest::addColumn<int>("usable");
    QTest::newRow("none") << "sys/fs/cgroup/a/b/cpu.max" << "max 100000" << 16;
    QTest::newRow("own group") << "sys/fs/cgroup/a/b/cpu.max" << "250000 100000" << 3;
    QTest::newRow("group above") << "sys/fs/cgroup/a/cpu.max" << "400000 100000\n" << 4;
    QTest::newRow("top") << "sys/fs/cgroup/cpu.max" << "50000 100000" << 1;
    QTest::newRow("more than there are") << "sys/fs/cgroup/cpu.max" << "9000000000000000000 1" << 16;
    QTest::newRow("nonsense") << "sys/fs/cgroup/cpu.max" << "-5 0 x" << 16;
    QTest::newRow("zero period") << "sys/fs/cgroup/cpu.max" << "5 0" << 16;
    QTest::newRow("version 1") << "sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us" << "200000" << 2;
  }
  void aQuotaLimitsThreads() {
    QFETCH(QString, file);
    QFETCH(QString, content);
    QFETCH(int, usable);
    Tree tree = two_packages();
    tree["proc/self/cgroup"] = "12:cpu,cpuacct:/c\n3:memory:/x\nnonsense\n0::/a/b\n";
    tree["sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_period_us"] = "100000";
    tree[file.toStdString()] = content.toStdString();
    const Topology t = read(tree, up_to(16));
    QCOMPARE(t.usable(), usable);
    QCOMPARE(t.physical(), std::min(usable, 8));
  }
  void missingFilesAreTolerated() {
    const Topology t = read({}, {2, 5});
    QCOMPARE(t.physical(), 2);
    QVERIFY(t.pin_order() == (std::vector<int>{2, 5}));
    QVERIFY(t.groups() == (Lists{{2, 5}}));
    QCOMPARE(t.quota, 0.0);
    QCOMPARE(read({}, {}).usable(), 1);
  }
  void nonsenseIsTolerated() {
    for (const std::string& bad : {std::string("-3"), std::string("99999999999999999999"), std::string("a-b,,-,7-"), std::string("0-999999999"), std::string("5-1"),
                                   std::string(100000, '1'), std::string("\0\xff\n", 3)}) {
      Tree tree = two_packages();
      for (auto& [name, content] : tree) content = bad;
      tree["proc/self/cgroup"] = "0::/../../etc\n0::" + bad + "\n:::\n";
      const Topology t = read(tree, up_to(4));
      QVERIFY(t.usable() == 4 && t.physical() >= 1 && t.groups().size() == 1 && t.groups()[0].size() == 4);
    }
  }
  void readsThisMachine() {
    const Topology t = read_topology();
    QVERIFY(t.usable() >= 1 && t.physical() >= 1 && t.physical() <= t.usable());
    QVERIFY(t.usable() <= static_cast<int>(std::thread::hardware_concurrency()) || std::thread::hardware_concurrency() == 0);
    size_t grouped = 0;
    for (const auto& g : t.groups()) grouped += g.size();
    QVERIFY(grouped >= 1 && grouped <= t.cpus.size());
  }
  void bindsAThread() {
    const std::vector<int> order = read_topology().pin_order();
    std::thread([&] {
      QVERIFY(bind_this_thread({order.back()}));
      cpu_set_t set;
      CPU_ZERO(&set);
      QCOMPARE(sched_getaffinity(0, sizeof set, &set), 0);
      QCOMPARE(CPU_COUNT(&set), 1);
      QVERIFY(CPU_ISSET(order.back(), &set));
      QVERIFY(!bind_this_thread({-1, 1 << 20}));  // no such CPU: refused, not fatal
      QVERIFY(bind_this_thread({}));
    }).join();
  }
};

LORIKEET_TEST_MAIN(TopologyTest)
#include "topology_test.moc"
